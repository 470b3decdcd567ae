/* A picture as JPEG. */
#ifndef GANTRY_WORKER_RENDER_JPEG_H
#define GANTRY_WORKER_RENDER_JPEG_H

#include <stdbool.h>
#include <stdio.h>

#include <libavutil/frame.h>

/* frame: RGB24. quality: the quantiser, 2 (best) to 31. False: no memory, or it cannot be written; then nothing of it was. */
bool jpeg_write(const AVFrame *frame, int quality, FILE *out);

#endif
