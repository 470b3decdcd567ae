#include "worker/render/thumbnail.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "worker/render/pixels.h"

struct reduction {
    const AVFrame *frame;
    const AVPixFmtDescriptor *kind;
    bool real, yuv;
    int width, height;                               /* of the thumbnail */
    double sums[3][THUMBNAIL_LARGEST];               /* of one of its rows; values are 0 to 1 */
    uint32_t counts[3][THUMBNAIL_LARGEST], *samples; /* samples: a row of the picture */
};

static double value_of(const struct reduction *it, uint32_t sample, double most)
{
    float real;
    if (!it->real)
        return sample / most;
    memcpy(&real, &sample, sizeof(real));
    return isfinite(real) && real > 0 ? (real < 1 ? (double)real : 1) : 0;
}

/* Adds one component of one row of the picture. */
static void row_add(struct reduction *it, int y, int component)
{
    int shift = it->yuv && component ? it->kind->log2_chroma_w : 0, down = it->yuv && component ? it->kind->log2_chroma_h : 0;
    int width = AV_CEIL_RSHIFT(it->frame->width, shift);
    double most = (double)((UINT64_C(1) << pixels_depth(it->kind, component)) - 1);
    pixels_row(it->frame, it->kind, y >> down, component, width, it->samples);
    for (int x = 0; x < it->frame->width; x++) {
        int64_t at = (int64_t)x * it->width / it->frame->width;
        it->sums[component][at] += value_of(it, it->samples[x >> shift], most);
        it->counts[component][at]++;
    }
}

static uint8_t byte_of(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : value * 255 + 0.5);
}

static double srgb_of(double value)
{
    return value <= 0.0031308 ? 12.92 * value : 1.055 * pow(value, 1 / 2.4) - 0.055;
}

static void pixel_write(const struct reduction *it, int x, uint8_t out[3])
{
    double v[3];
    int components = pixels_components(it->kind);
    for (int c = 0; c < 3; c++) {
        int from = c < components ? c : 0;
        v[c] = it->counts[from][x] ? it->sums[from][x] / it->counts[from][x] : 0;
    }
    if (it->yuv) { /* BT.601, as JPEG has it, where it does not say otherwise */
        bool full = it->frame->color_range != AVCOL_RANGE_MPEG;
        double y = full ? v[0] : (v[0] * 255 - 16) / 219, chroma = full ? 1 : 255.0 / 224;
        double cb = (v[1] - 128.0 / 255) * chroma, cr = (v[2] - 128.0 / 255) * chroma;
        bool high = it->frame->colorspace == AVCOL_SPC_BT709;
        v[0] = y + (high ? 1.5748 : 1.402) * cr;
        v[1] = y - (high ? 0.187324 : 0.344136) * cb - (high ? 0.468124 : 0.714136) * cr;
        v[2] = y + (high ? 1.8556 : 1.772) * cb;
    }
    for (int c = 0; c < 3; c++)
        out[c] = byte_of(it->real ? srgb_of(v[c]) : v[c]);
}

static void reduce(struct reduction *it, AVFrame *out)
{
    int components = pixels_components(it->kind);
    for (int row = 0; row < it->height; row++) {
        int from = (int)((int64_t)row * it->frame->height / it->height);
        int to = (int)((int64_t)(row + 1) * it->frame->height / it->height);
        memset(it->sums, 0, sizeof(it->sums));
        memset(it->counts, 0, sizeof(it->counts));
        for (int y = from; y < to; y++)
            for (int c = 0; c < components; c++)
                row_add(it, y, c);
        for (int x = 0; x < it->width; x++)
            pixel_write(it, x, out->data[0] + (ptrdiff_t)row * out->linesize[0] + (ptrdiff_t)3 * x);
    }
}

/* ---- the file ---- */

static bool packet_write(const AVPacket *packet, const char *path)
{
    FILE *file = fopen(path, "wbe");
    bool well = file && fwrite(packet->data, (size_t)packet->size, 1, file) == 1;
    if (file)
        well = fclose(file) == 0 && well;
    return well;
}

static bool png_write(const AVFrame *frame, const char *path)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = av_packet_alloc();
    bool well = encoder && packet;
    if (well) {
        encoder->width = frame->width;
        encoder->height = frame->height;
        encoder->pix_fmt = frame->format;
        encoder->time_base = (AVRational){1, 1};
        encoder->thread_count = 1;
        well = avcodec_open2(encoder, codec, NULL) == 0 && avcodec_send_frame(encoder, frame) == 0 &&
               avcodec_send_frame(encoder, NULL) == 0 && avcodec_receive_packet(encoder, packet) == 0 &&
               packet_write(packet, path);
    }
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
    return well;
}

/* ---- both ---- */

/* How long a side becomes: at least a pixel. */
static int side(int length, int longer, int most)
{
    if (longer <= most)
        return length;
    int reduced = (int)((int64_t)length * most / longer);
    return reduced ? reduced : 1;
}

static AVFrame *picture_new(int width, int height)
{
    AVFrame *out = av_frame_alloc();
    if (!out)
        return NULL;
    out->format = AV_PIX_FMT_RGB24;
    out->width = width;
    out->height = height;
    if (av_frame_get_buffer(out, 0) < 0)
        av_frame_free(&out);
    return out;
}

AVFrame *thumbnail_make(const AVFrame *frame, int most)
{
    static struct reduction it;
    int longer = frame->width > frame->height ? frame->width : frame->height;
    it = (struct reduction){.frame = frame,
                            .kind = av_pix_fmt_desc_get(frame->format),
                            .width = side(frame->width, longer, most),
                            .height = side(frame->height, longer, most)};
    if (!pixels_can(it.kind) || most > THUMBNAIL_LARGEST)
        return NULL;
    it.real = it.kind->flags & AV_PIX_FMT_FLAG_FLOAT;
    it.yuv = !(it.kind->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_RGB)) && it.kind->nb_components > 2;
    if (it.real && it.kind->comp[0].depth != 32)
        return NULL;
    it.samples = calloc((size_t)frame->width, sizeof(*it.samples));
    AVFrame *out = it.samples ? picture_new(it.width, it.height) : NULL;
    if (out)
        reduce(&it, out);
    free(it.samples);
    return out;
}

bool thumbnail_write(const AVFrame *frame, const char *path)
{
    AVFrame *out = thumbnail_make(frame, THUMBNAIL_MOST);
    bool well = out && png_write(out, path);
    av_frame_free(&out);
    return well;
}
