#include "worker/render/jpeg.h"

#include <libavcodec/avcodec.h>

static uint8_t byte_of(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5);
}

/* BT.601 of full range, as JPEG has it. */
static void row_convert(const uint8_t *rgb, int width, uint8_t *luma, uint8_t *blue, uint8_t *red)
{
    for (int x = 0; x < width; x++, rgb += 3) {
        double r = rgb[0], g = rgb[1], b = rgb[2], y = 0.299 * r + 0.587 * g + 0.114 * b;
        luma[x] = byte_of(y);
        blue[x] = byte_of(128 + (b - y) / 1.772);
        red[x] = byte_of(128 + (r - y) / 1.402);
    }
}

static AVFrame *convert(const AVFrame *frame)
{
    AVFrame *out = av_frame_alloc();
    if (!out)
        return NULL;
    out->format = AV_PIX_FMT_YUVJ444P;
    out->color_range = AVCOL_RANGE_JPEG;
    out->width = frame->width;
    out->height = frame->height;
    if (av_frame_get_buffer(out, 0) < 0) {
        av_frame_free(&out);
        return NULL;
    }
    for (int y = 0; y < frame->height; y++)
        row_convert(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], frame->width,
                    out->data[0] + (ptrdiff_t)y * out->linesize[0], out->data[1] + (ptrdiff_t)y * out->linesize[1],
                    out->data[2] + (ptrdiff_t)y * out->linesize[2]);
    return out;
}

static AVCodecContext *encoder_open(const AVFrame *frame, int quality)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!encoder)
        return NULL;
    encoder->width = frame->width;
    encoder->height = frame->height;
    encoder->pix_fmt = frame->format;
    encoder->color_range = AVCOL_RANGE_JPEG;
    encoder->time_base = (AVRational){1, 1};
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = FF_QP2LAMBDA * quality;
    if (avcodec_open2(encoder, codec, NULL) < 0)
        avcodec_free_context(&encoder);
    return encoder;
}

bool jpeg_write(const AVFrame *frame, int quality, FILE *out)
{
    AVFrame *converted = convert(frame);
    AVCodecContext *encoder = converted ? encoder_open(converted, quality) : NULL;
    AVPacket *packet = av_packet_alloc();
    bool well = encoder && packet;
    if (well) {
        converted->quality = encoder->global_quality;
        well = avcodec_send_frame(encoder, converted) == 0 && avcodec_send_frame(encoder, NULL) == 0 &&
               avcodec_receive_packet(encoder, packet) == 0 && fwrite(packet->data, (size_t)packet->size, 1, out) == 1;
    }
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
    av_frame_free(&converted);
    return well;
}
