/* Rows of a decoded picture, whatever its format. */
#ifndef GANTRY_WORKER_RENDER_PIXELS_H
#define GANTRY_WORKER_RENDER_PIXELS_H

#include <stdbool.h>
#include <stdint.h>

#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>

/* Whether rows of this format can be read: a byte or more a value, in memory. */
bool pixels_can(const AVPixFmtDescriptor *kind);
/* How many components have colour (3) or only brightness (1), without alpha. */
int pixels_components(const AVPixFmtDescriptor *kind);
/* Bits of a component's values. */
int pixels_depth(const AVPixFmtDescriptor *kind, int component);
/* A row of one component (with a palette: 0 red, 1 green, 2 blue), width values; real numbers as their bits. */
void pixels_row(const AVFrame *frame, const AVPixFmtDescriptor *kind, int y, int component, int width, uint32_t *out);

#endif
