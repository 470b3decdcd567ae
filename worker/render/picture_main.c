/* gantry-picture FILE [THUMBNAIL]: what a rendered picture is, as one line of JSON: width, height, size, md5, black where nothing is to be
 * seen, and thumbnail if that was written; or error. All of it is decoded, which a damaged file may not survive: so this is a program of its own.
 * gantry-picture --still WHICH: a still of a video (still.h). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/md5.h>

#include "worker/record/still.h"
#include "worker/render/pixels.h"
#include "worker/render/thumbnail.h"

#define SIZE_MAX_BYTES ((uint64_t)1 << 30)
#define PIXELS_MAX ((int64_t)1 << 28)
#define CPU_SECONDS 600
#define WIDTH_MAX 65536

static int fail(const char *format, const char *what)
{
    printf("{\"error\":\"");
    printf(format, what);
    printf("\"}\n");
    return 1;
}

static enum AVCodecID codec_of(const uint8_t *bytes, size_t len)
{
    static const struct {
        const char *magic;
        size_t len;
        enum AVCodecID codec;
    } kinds[] = {
        {"\x89PNG", 4, AV_CODEC_ID_PNG}, {"\xff\xd8\xff", 3, AV_CODEC_ID_MJPEG}, {"\x76\x2f\x31\x01", 4, AV_CODEC_ID_EXR},
        {"II*\0", 4, AV_CODEC_ID_TIFF},  {"MM\0*", 4, AV_CODEC_ID_TIFF},         {"BM", 2, AV_CODEC_ID_BMP},
        {"SDPX", 4, AV_CODEC_ID_DPX},    {"XPDS", 4, AV_CODEC_ID_DPX},           {"RIFF", 4, AV_CODEC_ID_WEBP},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (len >= kinds[i].len && memcmp(bytes, kinds[i].magic, kinds[i].len) == 0)
            return kinds[i].codec;
    return AV_CODEC_ID_TARGA; /* has no magic */
}

/* The file with room behind it, as decoders want it. NULL: it was told why. */
static AVPacket *file_read(const char *path)
{
    struct stat info;
    AVPacket *packet = NULL;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        fail("it cannot be opened: %s", fd < 0 ? strerror(errno) : "not a regular file");
    else if (info.st_size == 0)
        fail("it is empty%s", "");
    else if ((uint64_t)info.st_size > SIZE_MAX_BYTES)
        fail("it is larger than %s", "1 GiB");
    else if (!(packet = av_packet_alloc()) || av_new_packet(packet, (int)info.st_size) < 0)
        fail("no memory%s", "");
    else {
        for (int done = 0; done < packet->size;) {
            ssize_t got = read(fd, packet->data + done, (size_t)(packet->size - done));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0) {
                fail("it cannot be read%s", "");
                av_packet_free(&packet);
                break;
            }
            done += (int)got;
        }
        close(fd);
        return packet;
    }
    av_packet_free(&packet);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The most that is black yet: renderers dither what they write, by a step of 256. Of real numbers, as their bits: 0.0001. */
static uint32_t black_most(const AVFrame *frame, const AVPixFmtDescriptor *kind, int component)
{
    bool rgb = kind->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_RGB), luma = !rgb && kind->nb_components > 2;
    int depth = pixels_depth(kind, component);
    if (kind->flags & AV_PIX_FMT_FLAG_FLOAT)
        return depth > 16 ? 0x38d1b717 : 0x068d;
    return depth < 8 ? 0 : (luma && frame->color_range == AVCOL_RANGE_MPEG ? 18u : 2u) << (depth - 8);
}

/* Whether one component of a row is nothing but black. */
static bool row_is_black(const AVFrame *frame, const AVPixFmtDescriptor *kind, int y, int component, uint32_t *row)
{
    bool real = kind->flags & AV_PIX_FMT_FLAG_FLOAT;
    uint32_t most = black_most(frame, kind, component), sign = real ? 1u << (pixels_depth(kind, component) - 1) : 0;
    pixels_row(frame, kind, y, component, frame->width, row);
    for (int x = 0; x < frame->width; x++)
        if ((row[x] & ~sign) > most)
            return false;
    return true;
}

static bool is_black(const AVFrame *frame)
{
    static uint32_t row[WIDTH_MAX];
    const AVPixFmtDescriptor *kind = av_pix_fmt_desc_get(frame->format);
    if (!pixels_can(kind) || frame->width > WIDTH_MAX)
        return false;
    bool rgb = kind->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_RGB);
    int components = rgb ? pixels_components(kind) : 1; /* of YUV what is bright */
    for (int y = 0; y < frame->height; y++)
        for (int component = 0; component < components; component++)
            if (!row_is_black(frame, kind, y, component, row))
                return false;
    return true;
}

static void hash(const AVPacket *packet, char out[33])
{
    uint8_t digest[16];
    av_md5_sum(digest, packet->data, (size_t)packet->size);
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int look(const AVPacket *packet, AVCodecContext *decoder, AVFrame *frame, const char *thumbnail)
{
    char md5[33], why[128];
    int rc = avcodec_send_packet(decoder, packet);
    if (rc == 0)
        avcodec_send_packet(decoder, NULL);
    if (rc == 0)
        rc = avcodec_receive_frame(decoder, frame);
    if (rc < 0) {
        av_strerror(rc, why, sizeof(why));
        return fail("it does not decode: %s", why);
    }
    if (frame->flags & AV_FRAME_FLAG_CORRUPT || frame->decode_error_flags)
        return fail("it is damaged%s", "");
    hash(packet, md5);
    printf("{\"width\":%d,\"height\":%d,\"size\":%d,\"md5\":\"%s\",\"black\":%s,\"thumbnail\":%s}\n", frame->width, frame->height,
           packet->size, md5, is_black(frame) ? "true" : "false",
           thumbnail && thumbnail_write(frame, thumbnail) ? "true" : "false");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "gantry-picture FILE [THUMBNAIL], or --still early|last <VIDEO >JPEG\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){CPU_SECONDS, CPU_SECONDS});
    av_log_set_level(AV_LOG_QUIET);
    if (argc == 3 && strcmp(argv[1], "--still") == 0)
        return still_main(argv[2]);
    AVPacket *packet = file_read(argv[1]);
    if (!packet)
        return 1;
    const AVCodec *codec = avcodec_find_decoder(codec_of(packet->data, (size_t)packet->size));
    AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    AVFrame *frame = av_frame_alloc();
    int rc = 1;
    if (!decoder || !frame)
        fail("no memory, or no decoder%s", "");
    else {
        decoder->max_pixels = PIXELS_MAX;
        if (codec->id != AV_CODEC_ID_TIFF) /* which would fail for tags that nobody knows, too */
            decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BUFFER | AV_EF_EXPLODE;
        decoder->thread_count = 1;
        rc = avcodec_open2(decoder, codec, NULL) < 0 ? fail("no decoder for it%s", "") : look(packet, decoder, frame, argv[2]);
    }
    av_frame_free(&frame);
    avcodec_free_context(&decoder);
    av_packet_free(&packet);
    return fflush(stdout) == 0 ? rc : 1;
}
