#include "worker/record/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/record/place.h"

#define SECOND INT64_C(1000000)
#define SLACK SECOND           /* that a stream's clock may be behind ours when its time is over */
#define LATE_MAX (10 * SECOND) /* that what comes after its time is still taken, as it was held up */
#define KEYLESS (30 * SECOND)  /* that frames may come without a key frame: cameras have them that far apart */
#define BACKOFF_FIRST (SECOND / 4)
#define BACKOFF_MAX (8 * SECOND)
#define TELL_EVERY SECOND
#define NEARLY (SECOND / 2) /* that a stream may end before its time is over */
#define JITTER_AFTER 25     /* frames of a connection: the first come out of a buffer */

enum { STATUS_CONNECTING = 1, STATUS_CONNECTED, STATUS_RECORDING };

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t due_us(const struct session *it)
{
    return record_due_us(it->config, it->start_ms ? it->start_ms : wall_ms());
}

/* How far the recording is, gaps included. */
static int64_t done_us(const struct session *it)
{
    return it->opened ? it->base_us + timeline_end(&it->timeline, 0) : 0;
}

static void tell(struct session *it, int status)
{
    struct buf out = {0};
    struct record_report *report = it->report;
    it->told_us = source_now_us();
    report->recorded_us = done_us(it) - report_gaps_us(report);
    report->lost_packets = source_lost();
    if (report_progress(report, status, done_us(it), due_us(it), &out) == 0 && it->progress_fd >= 0) {
        ssize_t put = write(it->progress_fd, out.data, out.len);
        (void)put; /* soft */
    }
    buf_free(&out);
}

static enum record_fault broken(struct session *it, enum record_fault fault, const struct err *err)
{
    if (err->code == ERR_IO)
        fault = FAULT_DISK;
    snprintf(it->text, sizeof(it->text), "%s", err->text);
    return fault;
}

/* As record_place_check, with its text. */
static enum record_fault place_check(struct session *it)
{
    struct err err = {0};
    enum record_fault fault = record_place_check(it->config, &err);
    if (fault)
        snprintf(it->text, sizeof(it->text), "%s", err.text);
    return fault;
}

/* ---- packets ---- */

/* The first frame of all: the piece is made, and the time begins, unless it had begun in an earlier attempt. */
static enum record_fault piece_begin(struct session *it, int64_t arrival)
{
    struct pieces *pieces = it->pieces;
    AVFormatContext *format = it->source.format;
    struct piece piece = {it->attempt, wall_ms()};
    struct err err = {0};
    char path[PATH_MAX];
    enum record_fault barred = it->start_ms ? FAULT_NONE : place_check(it);
    if (barred)
        return barred;
    if (pieces->count == PIECES_MAX)
        memmove(pieces->at, pieces->at + 1, --pieces->count * sizeof(pieces->at[0]));
    pieces_path(pieces, &piece, path);
    const AVStream *audio = it->source.audio >= 0 ? format->streams[it->source.audio] : NULL;
    if (place_enter(it->config->root, it->config->output, true, &err) < 0 || pieces_folder(pieces, &err) < 0 ||
        writer_open(&it->writer, path, format->streams[it->source.video], audio, &err) < 0)
        return broken(it, FAULT_UNAVAILABLE, &err);
    pieces->at[pieces->count++] = piece;
    if (it->start_ms == 0)
        it->start_ms = piece.start_ms;
    it->base_us = piece.start_ms > it->start_ms ? (int64_t)(piece.start_ms - it->start_ms) * 1000 : 0;
    it->slot_end_us = arrival + due_us(it) - it->base_us + SLACK;
    it->opened = true;
    it->report->first_frame_ms = (double)(arrival - it->begun_us) / 1000;
    return FAULT_NONE;
}

static void jitter_take(struct session *it, int64_t arrival, int64_t dts)
{
    double apart = (double)((arrival - it->jittered_us) - (dts - it->jittered_dts)) / 1000;
    if (++it->jitter_frames > JITTER_AFTER) {
        double before = it->report->jitter_ms < 0 ? 0 : it->report->jitter_ms;
        it->report->jitter_ms = before + ((apart < 0 ? -apart : apart) - before) / 16;
    }
    it->jittered_us = arrival;
    it->jittered_dts = dts;
}

static int64_t time_of(int64_t time, AVRational base)
{
    return time == AV_NOPTS_VALUE ? TIMELINE_NONE : av_rescale_q(time, base, (AVRational){1, 1000000});
}

/* over: the recording's time is. */
static enum record_fault frame_take(struct session *it, const AVPacket *packet, int64_t arrival, bool *over)
{
    AVRational base = it->source.format->streams[packet->stream_index]->time_base;
    int64_t dts = time_of(packet->dts, base), pts = time_of(packet->pts, base), gap;
    struct err err = {0};
    if (!it->keyed && !(packet->flags & AV_PKT_FLAG_KEY))
        return FAULT_NONE;
    if (!it->opened) {
        enum record_fault fault = piece_begin(it, arrival);
        if (fault)
            return fault;
    }
    if (!timeline_put(&it->timeline, 0, arrival, &dts, &pts, &gap))
        return FAULT_NONE;
    *over = it->base_us + dts >= due_us(it) || arrival >= it->slot_end_us + LATE_MAX;
    if (*over)
        return FAULT_NONE;
    if (gap > 0)
        report_gap(it->report, it->base_us + dts - gap, gap, it->keyed ? FAULT_TIMEOUT : it->broke);
    it->keyed = true;
    it->report->frames++;
    it->report->bytes += (uint64_t)packet->size;
    jitter_take(it, arrival, dts);
    if (writer_video(&it->writer, packet, dts, pts, it->timeline.tracks[0].step, &err) < 0)
        return broken(it, FAULT_READ, &err);
    return FAULT_NONE;
}

static enum record_fault sound_take(struct session *it, const AVPacket *packet, int64_t arrival)
{
    AVRational base = it->source.format->streams[packet->stream_index]->time_base;
    int64_t dts = time_of(packet->dts, base), pts = time_of(packet->pts, base), gap;
    struct err err = {0};
    if (!it->keyed || it->writer.audio.number < 0 || !timeline_put(&it->timeline, 1, arrival, &dts, &pts, &gap))
        return FAULT_NONE;
    it->report->bytes += (uint64_t)packet->size;
    if (writer_audio(&it->writer, packet, dts, &err) < 0)
        return broken(it, FAULT_READ, &err);
    return FAULT_NONE;
}

/* ---- a connection ---- */

/* Until when a connection that has come about now is waited with for its first key frame, be there others: no longer than there is anything
 * to be recorded. */
static int64_t keyless_deadline(const struct session *it, int64_t now)
{
    const struct record_config *config = it->config;
    int64_t wait = greatest(config->read_s * SECOND, least(KEYLESS, config->duration_s * SECOND));
    return now + (config->until_ms ? least(wait, due_us(it)) : wait);
}

static int64_t read_deadline(const struct session *it)
{
    int64_t read = it->last_packet_us + it->config->read_s * SECOND;
    if (!it->keyed)
        read = least(read, it->keyless_us);
    return it->slot_end_us ? least(read, it->slot_end_us) : read;
}

/* No key frame came in time, be it that frames came which no decoder could begin with. */
static enum record_fault keyless(struct session *it, bool frames, int64_t now)
{
    if (!frames || now < it->keyless_us) /* it is silent, or the recording's time is over */
        return FAULT_TIMEOUT;
    snprintf(it->text, sizeof(it->text), "frames came, but no key frame in time");
    return FAULT_UNAVAILABLE;
}

/* Whether that is the end of the recording all the same: its time is over, or all but over. */
static bool ends(const struct session *it, enum record_fault fault, int64_t now)
{
    bool over = fault == FAULT_TIMEOUT && it->slot_end_us && now >= it->slot_end_us;
    bool nearly = (fault == FAULT_READ || fault == FAULT_TIMEOUT) && done_us(it) + NEARLY >= due_us(it);
    return it->keyed && (over || nearly);
}

static enum record_fault packets_take(struct session *it, AVPacket *packet)
{
    bool over = false, frames = false;
    for (;;) {
        enum record_fault fault = source_read(&it->source, read_deadline(it), packet, it->text, sizeof(it->text));
        int64_t arrival = source_now_us();
        if (fault == FAULT_TIMEOUT && !it->keyed && frames)
            return keyless(it, frames, arrival);
        if (fault)
            return ends(it, fault, arrival) ? FAULT_NONE : fault;
        bool film = packet->stream_index == it->source.video;
        frames = frames || film;
        fault = film ? frame_take(it, packet, arrival, &over) : sound_take(it, packet, arrival);
        av_packet_unref(packet);
        if (fault || over)
            return fault;
        if (it->keyed || film)
            it->last_packet_us = arrival;
        if (!it->keyed && arrival >= read_deadline(it)) { /* what comes keeps it from waiting, so nobody else says that */
            snprintf(it->text, sizeof(it->text), "nothing came in time");
            return keyless(it, frames, arrival);
        }
        if (arrival - it->told_us >= TELL_EVERY)
            tell(it, it->opened ? STATUS_RECORDING : STATUS_CONNECTED);
    }
}

static enum record_fault streams_check(struct session *it)
{
    AVFormatContext *format = it->source.format;
    struct err err = {0};
    if (!it->opened)
        return FAULT_NONE;
    const AVStream *audio = it->source.audio >= 0 ? format->streams[it->source.audio] : NULL;
    if (writer_resume(&it->writer, format->streams[it->source.video], audio, &err) == 0)
        return FAULT_NONE;
    return broken(it, FAULT_UNAVAILABLE, &err);
}

static enum record_fault connection(struct session *it, int64_t deadline_us, AVPacket *packet)
{
    enum record_fault fault = source_open(&it->source, it->config->url, deadline_us, it->text, sizeof(it->text));
    if (fault)
        return fault;
    tell(it, STATUS_CONNECTED);
    it->keyed = false;
    it->jitter_frames = 0;
    it->last_packet_us = source_now_us();
    it->keyless_us = keyless_deadline(it, it->last_packet_us);
    timeline_connect(&it->timeline);
    fault = source_look(&it->source, read_deadline(it), it->text, sizeof(it->text));
    if (fault)
        return fault;
    fault = streams_check(it);
    if (fault == FAULT_NONE)
        fault = packets_take(it, packet);
    source_close(&it->source);
    struct err err = {0};
    if (it->opened && writer_flush(&it->writer, &err) < 0)
        fault = broken(it, FAULT_READ, &err);
    return fault;
}

/* ---- one after another ---- */

/* Until when it may go on trying. */
static int64_t limit_us(const struct session *it)
{
    return it->slot_end_us ? it->slot_end_us : it->begun_us + least(it->config->connect_s * SECOND, due_us(it));
}

/* Whether another try may come to more. */
static bool passes(const struct session *it, enum record_fault fault)
{
    switch (fault) {
    case FAULT_CONNECT:
    case FAULT_READ:
    case FAULT_TIMEOUT:
        return true;
    case FAULT_AUTH:
    case FAULT_NOTFOUND:
    case FAULT_UNAVAILABLE:
        return it->opened || it->pieces->count > 0; /* a camera that starts anew */
    default:
        return false;
    }
}

static void pause_us(int64_t us)
{
    int64_t until = source_now_us() + us;
    while (!source_stopped && source_now_us() < until)
        poll(NULL, 0, 50);
}

enum record_fault session_record(struct session *it)
{
    AVPacket *packet = av_packet_alloc();
    int64_t backoff = BACKOFF_FIRST;
    enum record_fault fault = packet ? FAULT_NONE : FAULT_DISK, last = FAULT_NONE;
    struct err err = {0};
    it->begun_us = source_now_us();
    snprintf(it->text, sizeof(it->text), "no memory to record");
    if (it->start_ms) { /* an earlier attempt's time goes on */
        int64_t gone = wall_ms() > it->start_ms ? (int64_t)(wall_ms() - it->start_ms) * 1000 : 0;
        it->slot_end_us = it->begun_us + due_us(it) - gone + SLACK;
    }
    while (packet) {
        char before[sizeof(it->text)];
        snprintf(before, sizeof(before), "%s", it->text);
        tell(it, STATUS_CONNECTING);
        fault = connection(it, least(source_now_us() + it->config->connect_s * SECOND, limit_us(it)), packet);
        if (it->keyed)
            backoff = BACKOFF_FIRST;
        else if (fault == FAULT_TIMEOUT && last && source_now_us() >= limit_us(it)) { /* cut off: what was told before counts */
            fault = last;
            snprintf(it->text, sizeof(it->text), "%s", before);
        }
        last = fault;
        if (fault == FAULT_NONE || !passes(it, fault) || source_now_us() + backoff >= limit_us(it))
            break;
        fprintf(stderr, "%s: %s; it is tried again\n", record_fault_word(fault), it->text);
        it->broke = it->keyed ? fault : it->broke ? it->broke : fault;
        it->keyed = false;
        pause_us(backoff);
        backoff = least(2 * backoff, BACKOFF_MAX);
        it->report->reconnects += it->opened;
        if (source_stopped) {
            fault = FAULT_STOPPED;
            break;
        }
    }
    av_packet_free(&packet);
    tell(it, it->opened ? STATUS_RECORDING : STATUS_CONNECTING);
    if (it->opened && writer_close(&it->writer, &err) < 0 && fault == FAULT_NONE)
        fault = broken(it, FAULT_DISK, &err);
    enum record_fault state = fault == FAULT_DISK ? place_check(it) : FAULT_NONE;
    return state ? state : fault;
}
