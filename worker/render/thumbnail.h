/* A small PNG of a decoded picture. */
#ifndef GANTRY_WORKER_RENDER_THUMBNAIL_H
#define GANTRY_WORKER_RENDER_THUMBNAIL_H

#include <stdbool.h>

#include <libavutil/frame.h>

#define THUMBNAIL_MOST 320 /* pixels of its longer side; a smaller picture stays as large as it is */

/* Each pixel is the mean of what it stands for; what is linear (real numbers, as in EXR) becomes sRGB. False: it could not be written. */
bool thumbnail_write(const AVFrame *frame, const char *path);

#endif
