#include "worker/record/still.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "worker/record/piece_whole.h"
#include "worker/render/jpeg.h"
#include "worker/render/thumbnail.h"

#define IO_BYTES 65536
#define CPU_SECONDS 10
#define MEMORY_BYTES ((rlim_t)1 << 30)
#define PIXELS_MAX ((int64_t)1 << 26)
#define EARLY_SIDE 320
#define EARLY_QUALITY 5 /* of a quantiser: the lower the better */
#define LAST_QUALITY 4
#define TRIES 4            /* key frames that are looked at, until one decodes */
#define PACKETS_MAX 200000 /* that are read on the way to them */
#define TAIL_FRAGMENTS 32  /* in which the last key frame is looked for at first: 16 s */
#define TAIL_FRAGMENTS_MAX 512
#define LOOK_BYTES 4000000 /* at most, to learn what is in a file that does not say so in front */

struct still {
    bool last;
    int64_t size;
    struct piece_span span; /* what is read: [0, head) and [from, whole) */
    int64_t at;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame; /* of the picture, once there is one */
    int video;
};

/* ---- the file ---- */

static int64_t file_read_at(void *self, int64_t at, unsigned char *bytes, int64_t len)
{
    ssize_t got;
    (void)self;
    do
        got = pread(STDIN_FILENO, bytes, (size_t)len, at);
    while (got < 0 && errno == EINTR);
    return got;
}

static int64_t length(const struct still *it)
{
    return it->span.head + (it->span.whole - it->span.from);
}

static int io_read(void *opaque, uint8_t *data, int size)
{
    struct still *it = opaque;
    const struct piece_span *span = &it->span;
    bool behind = it->at >= span->head;
    int64_t left = (behind ? length(it) : span->head) - it->at;
    if (left <= 0)
        return AVERROR_EOF;
    int64_t got = file_read_at(NULL, behind ? span->from + (it->at - span->head) : it->at, data, left < size ? left : size);
    it->at += got > 0 ? got : 0;
    return got > 0 ? (int)got : got == 0 ? AVERROR_EOF : AVERROR(EIO);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct still *it = opaque;
    int from = whence & ~AVSEEK_FORCE;
    int64_t base = from == SEEK_CUR ? it->at : from == SEEK_END ? length(it) : 0;
    if (whence & AVSEEK_SIZE)
        return length(it);
    if (offset < -base || offset > length(it) - base)
        return AVERROR(EINVAL);
    return it->at = base + offset;
}

static int io_refuse(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

/* Formats of files that recorders leave, and no others. */
static int format_open(struct still *it)
{
    uint8_t *bytes = av_malloc(IO_BYTES);
    AVIOContext *io = bytes ? avio_alloc_context(bytes, IO_BYTES, 0, it, io_read, NULL, io_seek) : NULL;
    it->format = avformat_alloc_context();
    char *formats = av_strdup("mov,matroska,mpegts,flv,avi");
    if (!io || !it->format || !formats)
        return AVERROR(ENOMEM); /* the process ends: it takes what there is with it */
    it->at = 0;
    it->format->pb = io;
    it->format->io_open = io_refuse;
    it->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    it->format->format_whitelist = formats;
    it->format->probesize = LOOK_BYTES;
    int rc = avformat_open_input(&it->format, NULL, NULL, NULL);
    if (rc < 0) {
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
    return rc;
}

static void format_close(struct still *it)
{
    AVIOContext *io = it->format ? it->format->pb : NULL;
    avcodec_free_context(&it->decoder);
    avformat_close_input(&it->format);
    if (io) {
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
}

static const AVStream *film(struct still *it)
{
    it->video = -1;
    for (unsigned i = 0; i < it->format->nb_streams; i++) {
        const AVStream *stream = it->format->streams[i];
        bool film = stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
        if (film && it->video < 0)
            it->video = (int)i;
        else
            it->format->streams[i]->discard = AVDISCARD_ALL;
    }
    return it->video < 0 ? NULL : it->format->streams[it->video];
}

static int decoder_open(struct still *it)
{
    const AVStream *stream = film(it);
    if (!stream || stream->codecpar->width <= 0) {
        for (unsigned i = 0; i < it->format->nb_streams; i++)
            it->format->streams[i]->discard = AVDISCARD_DEFAULT;
        avformat_find_stream_info(it->format, NULL);
        stream = film(it);
    }
    const AVCodec *codec = stream ? avcodec_find_decoder(stream->codecpar->codec_id) : NULL;
    if (!stream || !codec)
        return AVERROR_DECODER_NOT_FOUND;
    it->decoder = avcodec_alloc_context3(codec);
    if (!it->decoder || avcodec_parameters_to_context(it->decoder, stream->codecpar) < 0)
        return AVERROR(ENOMEM);
    it->decoder->max_pixels = PIXELS_MAX;
    it->decoder->thread_count = 1;
    it->decoder->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT; /* a key frame that does not begin all anew */
    it->decoder->flags2 |= AV_CODEC_FLAG2_SHOW_ALL;
    it->decoder->codec_whitelist = av_strdup("h264,hevc,mpeg4,mpeg2video,mjpeg,vp8,vp9,libdav1d");
    return it->decoder->codec_whitelist ? avcodec_open2(it->decoder, codec, NULL) : AVERROR(ENOMEM);
}

/* ---- its key frames ---- */

static bool decodes(struct still *it, const AVPacket *packet)
{
    avcodec_flush_buffers(it->decoder);
    if (avcodec_send_packet(it->decoder, packet) < 0)
        return false;
    avcodec_send_packet(it->decoder, NULL);
    return avcodec_receive_frame(it->decoder, it->frame) == 0 && it->frame->width > 0 && it->frame->height > 0;
}

/* Goes to a tenth of it, where it can be told where that is. */
static void tenth(struct still *it)
{
    const AVFormatContext *format = it->format;
    if (format->duration > 0 &&
        av_seek_frame(it->format, -1, (format->start_time > 0 ? format->start_time : 0) + format->duration / 10,
                      AVSEEK_FLAG_BACKWARD) < 0)
        av_seek_frame(it->format, -1, 0, AVSEEK_FLAG_BACKWARD); /* where it was is as good */
}

/* The first key frame from here on that decodes; for the last picture, the last that does of all that come. */
static bool key_find(struct still *it)
{
    AVPacket *keys[TRIES] = {NULL};
    unsigned count = 0;
    bool found = false;
    for (unsigned read = 0; read < PACKETS_MAX && !found && av_read_frame(it->format, it->packet) >= 0; read++) {
        bool key = it->packet->stream_index == it->video && (it->packet->flags & AV_PKT_FLAG_KEY) && it->packet->size > 0;
        if (key && it->last) {
            av_packet_free(&keys[count % TRIES]);
            keys[count++ % TRIES] = av_packet_clone(it->packet);
        } else if (key) {
            found = decodes(it, it->packet);
        }
        av_packet_unref(it->packet);
        if (!it->last && key && ++count == TRIES)
            break;
    }
    for (unsigned i = 0; it->last && i < TRIES; i++) {
        const AVPacket *packet = i < count ? keys[(count - 1 - i) % TRIES] : NULL;
        found = found || (packet && decodes(it, packet));
    }
    for (unsigned i = 0; i < TRIES; i++)
        av_packet_free(&keys[i]);
    return found;
}

/* In what is read of the file, which begins with that fragment. NULL, or why there is none. */
static const char *look(struct still *it, uint64_t fragment)
{
    if (it->span.count > 0)
        piece_span(file_read_at, NULL, it->size, fragment, &it->span);
    const char *why = NULL;
    if (format_open(it) < 0)
        why = "it is no video, or a broken one";
    else if (decoder_open(it) < 0)
        why = "there is no video in it that can be decoded";
    if (!why && !it->last && it->span.count == 0)
        tenth(it);
    if (!why && !key_find(it))
        why = "there is no key frame in it that can be decoded";
    format_close(it);
    return why;
}

/* Where it consists of fragments, only some are read, however long it is. */
static const char *find(struct still *it)
{
    struct stat info;
    unsigned char head[8] = "";
    if (fstat(STDIN_FILENO, &info) < 0 || !S_ISREG(info.st_mode))
        return "it is no file";
    it->size = info.st_size;
    if (file_read_at(NULL, 0, head, sizeof(head)) == sizeof(head) && memcmp(head + 4, "ftyp", 4) == 0)
        piece_span(file_read_at, NULL, it->size, 0, &it->span);
    if (it->span.count == 0) /* also of an MP4 whose index stands behind its frames */
        it->span = (struct piece_span){.head = info.st_size, .from = info.st_size, .whole = info.st_size};
    uint64_t count = it->span.count;
    const char *why = look(it, !it->last ? count / 10 : count > TAIL_FRAGMENTS ? count - TAIL_FRAGMENTS : 0);
    if (!it->last)
        return why && count / 10 ? look(it, 0) : why;
    return why && count > TAIL_FRAGMENTS ? look(it, count > TAIL_FRAGMENTS_MAX ? count - TAIL_FRAGMENTS_MAX : 0) : why;
}

static void limits_set(void)
{
    setrlimit(RLIMIT_CPU, &(struct rlimit){CPU_SECONDS, CPU_SECONDS});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0});                /* it writes into a pipe */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadow takes terabytes of address space */
    setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_BYTES, MEMORY_BYTES});
#endif
}

/* What was found, written. NULL, or why it was not. */
static const char *write_out(const struct still *it)
{
    AVFrame *small = thumbnail_make(it->frame, it->last ? THUMBNAIL_LARGEST : EARLY_SIDE);
    const char *why = NULL;
    if (!small)
        why = "its pictures are of a kind that is not known";
    else if (!jpeg_write(small, it->last ? LAST_QUALITY : EARLY_QUALITY, stdout))
        why = "there is no memory for it";
    av_frame_free(&small);
    return why;
}

int still_main(const char *which)
{
    static struct still it;
    it.last = strcmp(which, "last") == 0;
    if (!it.last && strcmp(which, "early") != 0) {
        fprintf(stderr, "gantry-picture --still early|last <VIDEO >JPEG\n");
        return 2;
    }
    limits_set();
    it.packet = av_packet_alloc();
    it.frame = av_frame_alloc();
    const char *why = it.packet && it.frame ? find(&it) : "there is no memory for it";
    if (!why)
        why = write_out(&it);
    if (why)
        fputs(why, stdout);
    av_frame_free(&it.frame);
    av_packet_free(&it.packet);
    return fflush(stdout) == 0 && !why ? 0 : 1;
}
