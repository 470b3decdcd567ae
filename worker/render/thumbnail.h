/* A decoded picture made small. */
#ifndef GANTRY_WORKER_RENDER_THUMBNAIL_H
#define GANTRY_WORKER_RENDER_THUMBNAIL_H

#include <stdbool.h>

#include <libavutil/frame.h>

#define THUMBNAIL_MOST 320     /* pixels of its longer side; a smaller picture stays as large as it is */
#define THUMBNAIL_LARGEST 1280 /* that one may be made of */

/* A new picture in RGB24 whose longer side has at most that many pixels. Each is the mean of what it stands for; what is linear (real
 * numbers, as in EXR) becomes sRGB. NULL: no memory, or a format that cannot be read. */
AVFrame *thumbnail_make(const AVFrame *frame, int most);
/* The same as a PNG, of THUMBNAIL_MOST. False: it could not be written. */
bool thumbnail_write(const AVFrame *frame, const char *path);

#endif
