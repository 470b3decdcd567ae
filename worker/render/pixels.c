#include "worker/render/pixels.h"

#include <string.h>

bool pixels_can(const AVPixFmtDescriptor *kind)
{
    return kind && !(kind->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM));
}

int pixels_components(const AVPixFmtDescriptor *kind)
{
    return kind->flags & AV_PIX_FMT_FLAG_PAL || kind->nb_components > 2 ? 3 : 1;
}

int pixels_depth(const AVPixFmtDescriptor *kind, int component)
{
    return kind->flags & AV_PIX_FMT_FLAG_PAL ? 8 : kind->comp[component].depth;
}

void pixels_row(const AVFrame *frame, const AVPixFmtDescriptor *kind, int y, int component, int width, uint32_t *out)
{
    bool palette = kind->flags & AV_PIX_FMT_FLAG_PAL;
    uint32_t colour;
    av_read_image_line2(out, (const uint8_t **)(uintptr_t)frame->data, frame->linesize, kind, 0, y, palette ? 0 : component,
                        width, 0, 4);
    for (int x = 0; palette && x < width; x++) {
        memcpy(&colour, frame->data[1] + (size_t)4 * (out[x] & 0xff), sizeof(colour)); /* 0xAARRGGBB */
        out[x] = colour >> (16 - 8 * component) & 0xff;
    }
}
