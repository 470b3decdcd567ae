#include "worker/record/finish.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/record/piece_read.h"

#define GAP_LEAST_US 1500000           /* and four times as long as frames usually are apart */
#define LENGTH_OFF_US INT64_C(1000000) /* that a finished file may be longer or shorter than what was put into it */

static const AVRational microseconds = {1, 1000000};

struct joining {
    AVFormatContext *mux;
    int video, audio;        /* streams in it; -1: none */
    int64_t last[2];         /* dts of the last packet, in the stream's units; INT64_MIN: none came */
    int64_t end_us, step_us; /* of the video; the last frame lasts a step, or what is guessed */
    int64_t first_key;       /* -1: no frame came; else whether the first was a key frame */
    bool unpacked;           /* parameter sets differ from piece to piece: they go into the stream */
    AVPacket *packet;
    struct record_report *report;
    struct err *err;
};

static int failed(struct joining *it, int rc)
{
    char words[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(rc, words, sizeof(words));
    return err_set(it->err, rc == AVERROR(ENOMEM) ? ERR_NO_MEMORY : ERR_IO, "the recording cannot be put together: %s", words);
}

/* ---- what is in a piece, and in the file ---- */

static void frame_count(struct joining *it, int64_t at_us, int64_t lasts_us, const AVPacket *packet, bool gaps)
{
    int64_t distance = it->end_us >= 0 ? at_us - it->end_us : 0;
    if (it->first_key < 0)
        it->first_key = (packet->flags & AV_PKT_FLAG_KEY) != 0;
    if (gaps && distance > GAP_LEAST_US && distance > 4 * it->step_us)
        report_gap(it->report, it->end_us, distance, FAULT_READ);
    if (lasts_us > 0 && lasts_us < GAP_LEAST_US)
        it->step_us = it->step_us ? (7 * it->step_us + lasts_us) / 8 : lasts_us;
    it->report->last_us = it->step_us ? it->step_us : 40000;
    it->end_us = at_us + it->report->last_us;
    it->report->frames++;
}

static int tracks_add(struct joining *it, const struct piece_file *piece)
{
    const AVStream *picture = piece->format->streams[piece->video];
    AVStream *stream = avformat_new_stream(it->mux, NULL);
    if (!stream || avcodec_parameters_copy(stream->codecpar, it->unpacked ? piece->filter->par_out : picture->codecpar) < 0)
        return failed(it, AVERROR(ENOMEM));
    stream->codecpar->codec_tag = picture->codecpar->codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
    stream->time_base = picture->time_base;
    it->video = stream->index;
    if (piece->audio < 0)
        return 0;
    const AVStream *sound = piece->format->streams[piece->audio];
    stream = avformat_new_stream(it->mux, NULL);
    if (!stream || avcodec_parameters_copy(stream->codecpar, sound->codecpar) < 0)
        return failed(it, AVERROR(ENOMEM));
    stream->codecpar->codec_tag = 0;
    stream->time_base = sound->time_base;
    it->audio = stream->index;
    return 0;
}

static void codecs_report(const AVFormatContext *format, int video, int audio, struct record_report *report)
{
    const AVCodecParameters *par = format->streams[video]->codecpar;
    snprintf(report->video, sizeof(report->video), "%s", avcodec_get_name(par->codec_id));
    report->width = (unsigned)par->width;
    report->height = (unsigned)par->height;
    if (audio >= 0)
        snprintf(report->audio, sizeof(report->audio), "%s", avcodec_get_name(format->streams[audio]->codecpar->codec_id));
}

static int mux_open(struct joining *it, const struct piece_file *first, const char *target)
{
    AVDictionary *options = NULL;
    int rc = avformat_alloc_output_context2(&it->mux, NULL, "mp4", target);
    if (rc < 0)
        return failed(it, rc);
    if (tracks_add(it, first) < 0)
        return -1;
    rc = avio_open(&it->mux->pb, target, AVIO_FLAG_WRITE);
    if (rc >= 0)
        rc = av_dict_set(&options, "movflags", "+faststart", 0);
    if (rc >= 0)
        rc = avformat_write_header(it->mux, &options);
    av_dict_free(&options);
    codecs_report(it->mux, it->video, it->audio, it->report);
    return rc < 0 ? failed(it, rc) : 0;
}

/* ---- its packets ---- */

static int packet_join(struct joining *it, const struct piece_file *piece, int64_t offset_us, bool own)
{
    AVPacket *packet = it->packet;
    bool film = packet->stream_index == piece->video;
    AVRational from = piece->format->streams[packet->stream_index]->time_base;
    int64_t lasts_us = av_rescale_q(packet->duration, from, microseconds);
    if (!film && it->audio < 0)
        return 0;
    packet->stream_index = film ? it->video : it->audio;
    AVRational to = it->mux->streams[packet->stream_index]->time_base;
    int64_t shift = av_rescale_q(offset_us, microseconds, to);
    av_packet_rescale_ts(packet, from, to);
    packet->dts += shift;
    packet->pts = packet->pts == AV_NOPTS_VALUE ? packet->dts : packet->pts + shift;
    int64_t *last = &it->last[film], apart = *last != INT64_MIN ? packet->dts - *last : 0;
    if (*last != INT64_MIN && apart <= 0)
        packet->dts = *last + 1;
    *last = packet->dts;
    if (packet->duration <= 0) /* as a fragment's last one has none; the file's last is to have one */
        packet->duration = film && it->step_us ? av_rescale_q(it->step_us, microseconds, to) : apart > 0 ? apart : 1;
    packet->pts = packet->pts < packet->dts ? packet->dts : packet->pts;
    packet->pos = -1;
    if (film)
        frame_count(it, av_rescale_q(packet->dts, to, microseconds), lasts_us, packet, !own);
    else
        it->report->audio_frames++;
    if (!own)
        it->report->bytes += (uint64_t)packet->size;
    int rc = av_interleaved_write_frame(it->mux, packet);
    return rc < 0 ? failed(it, rc) : 0;
}

static int piece_join(struct joining *it, struct piece_file *piece, int64_t offset_us, bool own)
{
    int rc;
    while ((rc = piece_next(piece, it->packet)) == 0) {
        rc = packet_join(it, piece, offset_us, own);
        av_packet_unref(it->packet);
        if (rc < 0)
            return -1;
    }
    return rc < 0 ? failed(it, AVERROR(ENOMEM)) : 0;
}

static bool joins(const struct piece_file *first, const struct piece_file *piece)
{
    const AVCodecParameters *a = first->format->streams[first->video]->codecpar,
                            *b = piece->format->streams[piece->video]->codecpar;
    return a->codec_id == b->codec_id;
}

static bool audio_joins(const struct piece_file *first, const struct piece_file *piece)
{
    if (first->audio < 0 || piece->audio < 0)
        return false;
    const AVCodecParameters *a = first->format->streams[first->audio]->codecpar,
                            *b = piece->format->streams[piece->audio]->codecpar;
    return a->codec_id == b->codec_id && a->sample_rate == b->sample_rate &&
           a->ch_layout.nb_channels == b->ch_layout.nb_channels && a->extradata_size == b->extradata_size &&
           (a->extradata_size == 0 || memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
}

static bool headers_differ(const struct piece_file *first, const struct piece_file *piece)
{
    const AVCodecParameters *a = first->format->streams[first->video]->codecpar,
                            *b = piece->format->streams[piece->video]->codecpar;
    bool packed = a->codec_id == AV_CODEC_ID_H264 || a->codec_id == AV_CODEC_ID_HEVC;
    return packed && (a->extradata_size != b->extradata_size ||
                      (a->extradata_size > 0 && memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) != 0));
}

/* Opens the pieces that hold something, and can follow the first; answers how many, -1 with err. */
static int pieces_open(struct joining *it, const struct pieces *pieces, struct piece_file *files, unsigned *which)
{
    unsigned count = 0;
    for (unsigned i = 0; i < pieces->count; i++) {
        char path[PATH_MAX];
        pieces_path(pieces, &pieces->at[i], path);
        int rc = piece_open(&files[count], path, it->err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            continue;
        if (count && !joins(&files[0], &files[count])) {
            fprintf(stderr, "attempt %llu recorded other video, which is left out\n", (unsigned long long)pieces->at[i].attempt);
            piece_close(&files[count]);
            continue;
        }
        if (count && !audio_joins(&files[0], &files[count]))
            files[count].audio = -1;
        it->unpacked = it->unpacked || (count && headers_differ(&files[0], &files[count]));
        which[count++] = i;
    }
    for (unsigned i = 0; it->unpacked && i < count; i++)
        if (piece_unpack(&files[i], it->err) < 0)
            return -1;
    return (int)count;
}

static int join(struct joining *it, const struct pieces *pieces, struct piece_file *files, const unsigned *which, unsigned count,
                uint64_t start_ms, uint64_t own, const char *target)
{
    if (mux_open(it, &files[0], target) < 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        const struct piece *piece = &pieces->at[which[i]];
        int64_t offset = piece->start_ms > start_ms ? (int64_t)(piece->start_ms - start_ms) * 1000 : 0;
        if (offset < it->end_us) /* the clock was set back */
            offset = it->end_us;
        int64_t end = it->end_us < 0 ? 0 : it->end_us; /* of nothing: what was lost before it is a gap, too */
        if (offset > end)
            report_gap(it->report, end, offset - end, FAULT_STOPPED);
        if (it->end_us >= 0)
            it->end_us = offset;
        if (piece_join(it, &files[i], offset, piece->attempt == own) < 0)
            return -1;
    }
    int rc = av_write_trailer(it->mux);
    if (rc >= 0 && it->mux->pb->error < 0) /* of a disk that is full, which nobody has told yet */
        rc = it->mux->pb->error;
    if (rc >= 0)
        rc = avio_closep(&it->mux->pb);
    return rc < 0 ? failed(it, rc) : 0;
}

int finish_make(const struct pieces *pieces, uint64_t start_ms, uint64_t own, const char *target, struct record_report *report,
                struct err *err)
{
    static struct piece_file files[PIECES_MAX];
    unsigned which[PIECES_MAX];
    struct joining it = {
        .video = -1, .audio = -1, .last = {INT64_MIN, INT64_MIN}, .end_us = -1, .first_key = -1, .report = report, .err = err};
    struct record_report check = {0};
    for (unsigned i = 0; i < PIECES_MAX; i++)
        files[i] = (struct piece_file){.fd = -1};
    report->frames = report->audio_frames = 0;
    it.packet = av_packet_alloc();
    int count = it.packet ? pieces_open(&it, pieces, files, which) : failed(&it, AVERROR(ENOMEM));
    int rc = count > 0 ? join(&it, pieces, files, which, (unsigned)count, start_ms, own, target) : count;
    if (it.mux && it.mux->pb)
        avio_closep(&it.mux->pb);
    avformat_free_context(it.mux);
    for (unsigned i = 0; i < PIECES_MAX; i++)
        piece_close(&files[i]);
    av_packet_free(&it.packet);
    if (rc < 0 || count == 0 || report->frames == 0)
        return rc < 0 ? -1 : 1;
    report->recorded_us = it.end_us - report_gaps_us(report);
    return finish_check(target, report, &check, err);
}

int finish_only(const struct pieces *pieces)
{
    int only = -1;
    for (unsigned i = 0; i < pieces->count; i++) {
        struct piece_file file;
        char path[PATH_MAX];
        pieces_path(pieces, &pieces->at[i], path);
        int rc = piece_open(&file, path, NULL);
        if (rc == 0)
            piece_close(&file);
        if (rc < 0 || (rc == 0 && only >= 0))
            return -1;
        only = rc == 0 ? (int)i : only;
    }
    return only;
}

int64_t finish_length_us(const struct record_report *report)
{
    return report->recorded_us + report_gaps_us(report);
}

/* Whether the file holds what was put into it. The last frames begin at one time; how long they last is guessed, in each by what it says itself. */
static int hold(const struct record_report *made, const struct record_report *found, struct err *err)
{
    int64_t off = (finish_length_us(found) - found->last_us) - (finish_length_us(made) - made->last_us);
    if (found->frames != made->frames)
        return err_set(err, ERR_INVALID, "%llu of %llu frames are in the finished file", (unsigned long long)found->frames,
                       (unsigned long long)made->frames);
    if (off > LENGTH_OFF_US || off < -LENGTH_OFF_US)
        return err_set(err, ERR_INVALID, "the finished file is %.1f s long, not %.1f", (double)finish_length_us(found) / 1e6,
                       (double)finish_length_us(made) / 1e6);
    return 0;
}

int finish_check(const char *path, const struct record_report *made, struct record_report *report, struct err *err)
{
    struct piece_file file;
    struct joining it = {.end_us = -1, .first_key = -1, .report = report, .err = err};
    int rc = piece_open(&file, path, err);
    if (rc != 0)
        return rc < 0 ? -1 : err_set(err, ERR_INVALID, "what was made is no video");
    it.packet = av_packet_alloc();
    rc = it.packet ? 0 : failed(&it, AVERROR(ENOMEM));
    codecs_report(file.format, file.video, file.audio, report);
    while (rc == 0 && (rc = piece_next(&file, it.packet)) == 0) {
        AVRational base = file.format->streams[it.packet->stream_index]->time_base;
        report->bytes += (uint64_t)it.packet->size;
        if (it.packet->stream_index != file.video)
            report->audio_frames++;
        else
            frame_count(&it, av_rescale_q(it.packet->dts, base, microseconds),
                        av_rescale_q(it.packet->duration, base, microseconds), it.packet, true);
        av_packet_unref(it.packet);
    }
    av_packet_free(&it.packet);
    piece_close(&file);
    if (rc < 0)
        return -1;
    if (it.first_key != 1)
        return err_set(err, ERR_INVALID, "what was made does not begin with a key frame");
    report->recorded_us = it.end_us - report_gaps_us(report);
    return made ? hold(made, report, err) : 0;
}
