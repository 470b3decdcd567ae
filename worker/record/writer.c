#include "worker/record/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/opt.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"

#define IO_BYTES 262144

static const AVRational microseconds = {1, 1000000};

/* ---- the file ---- */

static int io_write(void *opaque, uint8_t *data, int size)
{
    const struct writer *writer = opaque;
    for (int done = 0; done < size;) {
        ssize_t put = write(writer->fd, data + done, (size_t)(size - done));
        if (put < 0 && errno != EINTR)
            return AVERROR(errno);
        done += put > 0 ? (int)put : 0;
    }
    return size;
}

static int failed(int rc, struct err *err)
{
    char words[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(rc, words, sizeof(words));
    return err_set(err, rc == AVERROR(ENOMEM) ? ERR_NO_MEMORY : ERR_IO, "it cannot be written: %s", words);
}

static int io_open(struct writer *writer, const char *path, struct err *err)
{
    writer->fd = open_straight(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (writer->fd < 0)
        return err_set(err, ERR_IO, "%.150s cannot be made: %s", path, strerror(errno));
    uint8_t *bytes = av_malloc(IO_BYTES);
    writer->mux->pb = bytes ? avio_alloc_context(bytes, IO_BYTES, 1, writer, NULL, io_write, NULL) : NULL;
    if (!writer->mux->pb) {
        av_free(bytes);
        return err_set(err, ERR_NO_MEMORY, "no memory to record");
    }
    writer->mux->pb->seekable = 0;
    return 0;
}

/* ---- its tracks ---- */

static AVStream *track_add(struct writer *writer, const AVStream *source, struct writer_track *track, int rate)
{
    AVStream *stream = avformat_new_stream(writer->mux, NULL);
    if (!stream || avcodec_parameters_copy(stream->codecpar, source->codecpar) < 0)
        return NULL;
    stream->codecpar->codec_tag = source->codecpar->codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
    stream->time_base = (AVRational){1, rate};
    *track = (struct writer_track){.number = stream->index, .source = source->codecpar->codec_id, .last = INT64_MIN};
    return stream;
}

static int headers_keep(struct writer *writer, const AVCodecParameters *par)
{
    av_freep(&writer->headers);
    writer->headers_len = par->extradata_size;
    writer->headers = par->extradata_size > 0 ? av_memdup(par->extradata, (size_t)par->extradata_size) : NULL;
    return par->extradata_size > 0 && !writer->headers ? -1 : 0;
}

static int tracks_add(struct writer *writer, const AVStream *video, const AVStream *audio, struct err *err)
{
    AVStream *picture = track_add(writer, video, &writer->video, 90000), *sound = NULL;
    if (picture && audio)
        sound = track_add(writer, audio, &writer->audio, audio->codecpar->sample_rate);
    if (!picture || (audio && !sound) || headers_keep(writer, video->codecpar) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory to record");
    picture->avg_frame_rate = video->avg_frame_rate;
    if (!audio || sound_copies(audio->codecpar))
        return 0;
    writer->sound = sound_new(audio->codecpar, sound->codecpar);
    return writer->sound ? 0 : err_set(err, ERR_NO_MEMORY, "no memory to encode audio");
}

/* The next fragment's times are the timeline's own, not what the lengths of those before add up to. */
static int fragment_own(struct writer *writer, struct err *err)
{
    int rc = av_opt_set(writer->mux->priv_data, "movflags", "+frag_discont", 0);
    return rc < 0 ? failed(rc, err) : 0;
}

static int header_write(struct writer *writer, struct err *err)
{
    AVDictionary *options = NULL;
    int rc = av_dict_set(&options, "movflags", "frag_custom+empty_moov+default_base_moof", 0);
    if (rc >= 0)
        rc = av_dict_set(&options, "use_editlist", "0", 0);
    if (rc >= 0)
        rc = avformat_write_header(writer->mux, &options);
    av_dict_free(&options);
    if (rc < 0)
        return failed(rc, err);
    writer->mux->avoid_negative_ts = 0; /* else a track that begins later is moved to 0 */
    avio_flush(writer->mux->pb);
    return fragment_own(writer, err);
}

int writer_open(struct writer *writer, const char *path, const AVStream *video, const AVStream *audio, struct err *err)
{
    *writer = (struct writer){.fd = -1, .video = {.number = -1}, .audio = {.number = -1}, .fragment_us = -1};
    writer->packet = av_packet_alloc();
    if (!writer->packet || avformat_alloc_output_context2(&writer->mux, NULL, "mp4", NULL) < 0)
        err_set(err, ERR_NO_MEMORY, "no memory to record");
    else if (tracks_add(writer, video, audio, err) == 0 && io_open(writer, path, err) == 0 && header_write(writer, err) == 0)
        return 0;
    bool made = writer->fd >= 0;
    writer_close(writer, NULL);
    if (made)
        unlink(path);
    return -1;
}

int writer_resume(struct writer *writer, const AVStream *video, const AVStream *audio, struct err *err)
{
    const AVCodecParameters *par = video->codecpar;
    if (par->codec_id != writer->video.source)
        return err_set(err, ERR_INVALID, "the stream came back with other video (%s)", avcodec_get_name(par->codec_id));
    bool same = par->extradata_size == writer->headers_len &&
                (writer->headers_len == 0 || memcmp(par->extradata, writer->headers, (size_t)writer->headers_len) == 0);
    if (!same && headers_keep(writer, par) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory to record");
    writer->renew = writer->renew || (!same && writer->headers_len > 0);
    if (audio && writer->audio.number >= 0 && audio->codecpar->codec_id != writer->audio.source)
        return err_set(err, ERR_INVALID, "the stream came back with other audio (%s)",
                       avcodec_get_name(audio->codecpar->codec_id));
    return 0;
}

/* ---- packets ---- */

/* duration 0: as long as it says itself. */
static int held_write(struct writer *writer, struct writer_track *track, int64_t duration, struct err *err)
{
    if (!track->held || !track->held->buf)
        return 0;
    if (duration > 0)
        track->held->duration = duration;
    int rc = av_write_frame(writer->mux, track->held);
    av_packet_unref(track->held);
    return rc < 0 ? failed(rc, err) : 0;
}

/* writer->packet goes into the file at these times of the track. */
static int packet_put(struct writer *writer, struct writer_track *track, int64_t dts, int64_t pts, struct err *err)
{
    AVPacket *packet = writer->packet;
    if (!track->held && !(track->held = av_packet_alloc()))
        return failed(AVERROR(ENOMEM), err);
    if (track->last != INT64_MIN && dts <= track->last)
        dts = track->last + 1;
    int rc = held_write(writer, track, track->last != INT64_MIN ? dts - track->last : 0, err);
    track->last = dts;
    packet->dts = dts;
    packet->pts = pts > dts ? pts : dts;
    packet->stream_index = track->number;
    packet->pos = -1;
    av_packet_move_ref(track->held, packet);
    return rc;
}

static int fragment_end(struct writer *writer, struct err *err)
{
    writer->fragment_us = -1;
    int rc = av_write_frame(writer->mux, NULL);
    avio_flush(writer->mux->pb);
    if (rc >= 0 && writer->mux->pb->error < 0)
        rc = writer->mux->pb->error;
    if (rc < 0)
        return failed(rc, err);
    sync_file_range(writer->fd, 0, 0,
                    SYNC_FILE_RANGE_WRITE); /* on its way to disk; where that is refused, it goes in its own time */
    return fragment_own(writer, err);
}

/* Before another fragment is begun, that one is ended. */
static int fragment_turn(struct writer *writer, int64_t at_us, struct err *err)
{
    if (writer->fragment_us >= 0 && at_us - writer->fragment_us >= WRITER_FRAGMENT_US && fragment_end(writer, err) < 0)
        return -1;
    if (writer->fragment_us < 0)
        writer->fragment_us = at_us;
    return 0;
}

/* Into writer->packet: what came, behind parameter sets that the file does not have. */
static int packet_take(struct writer *writer, const AVPacket *packet, bool headed)
{
    if (!headed)
        return av_packet_ref(writer->packet, packet);
    int rc = av_new_packet(writer->packet, writer->headers_len + packet->size);
    if (rc < 0)
        return rc;
    memcpy(writer->packet->data, writer->headers, (size_t)writer->headers_len);
    memcpy(writer->packet->data + writer->headers_len, packet->data, (size_t)packet->size);
    writer->packet->flags = packet->flags;
    return 0;
}

int writer_video(struct writer *writer, const AVPacket *packet, int64_t dts, int64_t pts, int64_t step, struct err *err)
{
    const AVRational base = writer->mux->streams[writer->video.number]->time_base;
    bool headed = writer->renew && (packet->flags & AV_PKT_FLAG_KEY);
    if (fragment_turn(writer, dts, err) < 0)
        return -1;
    int rc = packet_take(writer, packet, headed);
    if (rc < 0)
        return failed(rc, err);
    writer->renew = writer->renew && !headed;
    writer->packet->duration = av_rescale_q(step, microseconds, base);
    return packet_put(writer, &writer->video, av_rescale_q(dts, microseconds, base), av_rescale_q(pts, microseconds, base), err);
}

struct sounding {
    struct writer *writer;
    struct err *err;
};

static int on_sound(void *self, AVPacket *packet)
{
    struct sounding *sounding = self;
    struct writer *writer = sounding->writer;
    const AVStream *stream = writer->mux->streams[writer->audio.number];
    const AVRational rate = {1, stream->codecpar->sample_rate};
    int64_t at = av_rescale_q(packet->dts, rate, stream->time_base);
    if (at < 0) /* what an encoder begins with */
        return 0;
    av_packet_move_ref(writer->packet, packet);
    writer->packet->duration = av_rescale_q(writer->packet->duration, rate, stream->time_base);
    return packet_put(writer, &writer->audio, at, at, sounding->err);
}

int writer_audio(struct writer *writer, const AVPacket *packet, int64_t dts, struct err *err)
{
    const AVStream *stream = writer->mux->streams[writer->audio.number];
    int64_t at = av_rescale_q(dts, microseconds, stream->time_base);
    if (fragment_turn(writer, dts, err) < 0)
        return -1;
    if (writer->sound) {
        struct sounding sounding = {writer, err};
        const AVRational rate = {1, stream->codecpar->sample_rate};
        int64_t sample = av_rescale_q(dts, microseconds, rate);
        if (sound_feed(writer->sound, packet, sample, on_sound, &sounding) == 0)
            return 0;
        return err && err->code ? -1 : err_set(err, ERR_NO_MEMORY, "no memory to encode audio");
    }
    int rc = av_packet_ref(writer->packet, packet);
    return rc < 0 ? failed(rc, err) : packet_put(writer, &writer->audio, at, at, err);
}

int writer_flush(struct writer *writer, struct err *err)
{
    if (held_write(writer, &writer->video, 0, err) < 0 || held_write(writer, &writer->audio, 0, err) < 0)
        return -1;
    return fragment_end(writer, err);
}

int writer_close(struct writer *writer, struct err *err)
{
    struct sounding sounding = {writer, err};
    int rc = 0;
    if (writer->mux && writer->mux->pb) {
        if (writer->video.last != INT64_MIN && writer->sound)
            rc = sound_end(writer->sound, on_sound, &sounding);
        if (writer->video.last != INT64_MIN && rc == 0)
            rc = writer_flush(writer, err);
        av_freep(&writer->mux->pb->buffer);
        avio_context_free(&writer->mux->pb);
    }
    avformat_free_context(writer->mux);
    sound_free(writer->sound);
    av_packet_free(&writer->packet);
    av_packet_free(&writer->video.held);
    av_packet_free(&writer->audio.held);
    av_freep(&writer->headers);
    if (writer->fd >= 0 && fdatasync(writer->fd) < 0 && rc == 0)
        rc = err_set(err, ERR_IO, "it cannot be flushed: %s", strerror(errno));
    if (writer->fd >= 0)
        close(writer->fd);
    *writer = (struct writer){.fd = -1};
    return rc;
}
