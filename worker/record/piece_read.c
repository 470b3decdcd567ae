#include "worker/record/piece_read.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "worker/record/piece_whole.h"

#define IO_BYTES 262144

static int64_t file_read_at(void *self, int64_t at, unsigned char *bytes, int64_t len)
{
    return pread(*(const int *)self, bytes, (size_t)len, at);
}

static int io_read(void *opaque, uint8_t *data, int size)
{
    struct piece_file *file = opaque;
    int64_t left = file->whole - file->at;
    ssize_t got;
    if (left <= 0)
        return AVERROR_EOF;
    do
        got = pread(file->fd, data, (size_t)(left < size ? left : size), file->at);
    while (got < 0 && errno == EINTR);
    file->at += got > 0 ? got : 0;
    return got > 0 ? (int)got : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct piece_file *file = opaque;
    int64_t base = (whence & ~AVSEEK_FORCE) == SEEK_CUR ? file->at : (whence & ~AVSEEK_FORCE) == SEEK_END ? file->whole : 0;
    if (whence & AVSEEK_SIZE)
        return file->whole;
    if (base + offset < 0)
        return AVERROR(EINVAL);
    return file->at = base + offset;
}

static int io_refuse(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int format_open(struct piece_file *file)
{
    uint8_t *bytes = av_malloc(IO_BYTES);
    AVIOContext *io = bytes ? avio_alloc_context(bytes, IO_BYTES, 0, file, io_read, NULL, io_seek) : NULL;
    file->format = avformat_alloc_context();
    if (!io || !file->format) {
        av_free(io ? io->buffer : bytes);
        avio_context_free(&io);
        avformat_free_context(file->format);
        file->format = NULL;
        return AVERROR(ENOMEM);
    }
    file->format->pb = io;
    file->format->io_open = io_refuse;
    file->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    int rc = avformat_open_input(&file->format, NULL, av_find_input_format("mp4"), NULL);
    if (rc < 0) { /* which has freed the context, but not ours */
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
    return rc;
}

int piece_open(struct piece_file *file, const char *path, struct err *err)
{
    struct stat info;
    *file = (struct piece_file){.video = -1, .audio = -1};
    file->fd = open_straight(path, O_RDONLY, 0);
    if (file->fd < 0 || fstat(file->fd, &info) < 0) {
        int saved = errno;
        piece_close(file);
        return err_set(err, ERR_IO, "%.150s cannot be read: %s", path, strerror(saved));
    }
    file->whole = piece_whole(file_read_at, &file->fd, info.st_size);
    int rc = file->whole > 0 ? format_open(file) : AVERROR_INVALIDDATA;
    for (unsigned i = 0; rc >= 0 && i < file->format->nb_streams; i++) {
        enum AVMediaType type = file->format->streams[i]->codecpar->codec_type;
        if (type == AVMEDIA_TYPE_VIDEO && file->video < 0)
            file->video = (int)i;
        else if (type == AVMEDIA_TYPE_AUDIO && file->audio < 0)
            file->audio = (int)i;
    }
    if (rc >= 0 && file->video >= 0)
        return 0;
    piece_close(file);
    return rc == AVERROR(ENOMEM) ? err_set(err, ERR_NO_MEMORY, "no memory to read what was recorded") : 1;
}

int piece_unpack(struct piece_file *file, struct err *err)
{
    const AVCodecParameters *par = file->format->streams[file->video]->codecpar;
    const char *name = par->codec_id == AV_CODEC_ID_HEVC ? "hevc_mp4toannexb" : "h264_mp4toannexb";
    const AVBitStreamFilter *filter = av_bsf_get_by_name(name);
    if (!filter || av_bsf_alloc(filter, &file->filter) < 0 || avcodec_parameters_copy(file->filter->par_in, par) < 0 ||
        av_bsf_init(file->filter) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory to join what was recorded");
    return 0;
}

int piece_next(struct piece_file *file, AVPacket *packet)
{
    for (;;) {
        int rc = av_read_frame(file->format, packet);
        if (rc == AVERROR(ENOMEM))
            return -1;
        if (rc < 0)
            return 1;
        bool ours = packet->stream_index == file->video || packet->stream_index == file->audio;
        if (!ours || (packet->flags & AV_PKT_FLAG_CORRUPT) || packet->size == 0 || packet->dts == AV_NOPTS_VALUE) {
            av_packet_unref(packet);
            continue;
        }
        if (!file->filter || packet->stream_index != file->video)
            return 0;
        /* One in, one out; a packet that makes no sense is left out. */
        if (av_bsf_send_packet(file->filter, packet) == 0 && av_bsf_receive_packet(file->filter, packet) == 0)
            return 0;
        av_packet_unref(packet);
    }
}

void piece_close(struct piece_file *file)
{
    if (file->format) {
        AVIOContext *io = file->format->pb;
        avformat_close_input(&file->format);
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
    av_bsf_free(&file->filter);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
