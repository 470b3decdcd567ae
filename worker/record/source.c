#include "worker/record/source.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "worker/record/config.h"
#include "worker/record/sound.h"

#define LEAST_US 100000        /* to read what came while this process stood still */
#define SOCKET_BYTES "2097152" /* of UDP: a key frame comes in one go */
#define REORDER_US "500000"    /* UDP packets that are late */
#define LOOK_US 3000000        /* at most, to learn what is in the stream */
#define LOOK_BYTES "20000000"
#define STREAMS "16" /* in one SDP */

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

volatile int source_stopped;
static const char *log_url = "";
static uint64_t lost;

int64_t source_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what libav says ---- */

static void on_log(void *object, int level, const char *format, va_list args)
{
    static int64_t last_us;
    static unsigned held;
    char line[512], clean[512];
    int64_t now = source_now_us();
    unsigned long packets;
    (void)object;
    if (level > AV_LOG_WARNING)
        return;
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\r\n")] = '\0';
    if (sscanf(line, "RTP: missed %lu packets", &packets) == 1)
        lost += packets;
    if (line[0] == '\0')
        return;
    if (last_us && now - last_us < 1000000) {
        held++;
        return;
    }
    record_mask(log_url, line, clean, sizeof(clean));
    if (held)
        fprintf(stderr, "libav: %s (and %u lines before)\n", clean, held);
    else
        fprintf(stderr, "libav: %s\n", clean);
    last_us = now;
    held = 0;
}

void source_log(const char *url)
{
    log_url = url;
    av_log_set_callback(on_log);
    avformat_network_init();
}

uint64_t source_lost(void)
{
    return lost;
}

/* ---- faults ---- */

static int on_wait(void *self)
{
    const struct source *source = self;
    return source_stopped || source_now_us() >= source->deadline_us;
}

static enum record_fault fault_of(int rc, bool connecting)
{
    switch (rc) {
    case AVERROR_EXIT:
        return source_stopped ? FAULT_STOPPED : FAULT_TIMEOUT;
    case AVERROR(ETIMEDOUT):
        return FAULT_TIMEOUT;
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
        return FAULT_AUTH;
    case AVERROR_HTTP_NOT_FOUND:
        return FAULT_NOTFOUND;
    case AVERROR_HTTP_BAD_REQUEST:
    case AVERROR_HTTP_OTHER_4XX:
    case AVERROR_HTTP_SERVER_ERROR:
    case AVERROR_INVALIDDATA:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_STREAM_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_PATCHWELCOME:
        return connecting ? FAULT_UNAVAILABLE : FAULT_READ;
    default:
        return connecting ? FAULT_CONNECT : FAULT_READ;
    }
}

static enum record_fault explain(int rc, bool connecting, char *text, size_t size)
{
    enum record_fault fault = source_stopped ? FAULT_STOPPED : fault_of(rc, connecting);
    const char *what = connecting ? "connecting" : "reading";
    char words[AV_ERROR_MAX_STRING_SIZE] = "";
    if (fault == FAULT_TIMEOUT)
        snprintf(text, size, connecting ? "the stream did not begin in time" : "nothing came in time");
    else if (rc == AVERROR_EOF)
        snprintf(text, size, connecting ? "the server closed the connection" : "the stream ended");
    else if (rc == AVERROR_INVALIDDATA && connecting)
        snprintf(text, size, "what the server says of the stream makes no sense");
    else {
        av_strerror(rc, words, sizeof(words));
        snprintf(text, size, "%s failed: %s", what, words);
    }
    return fault;
}

/* ---- the connection ---- */

static int options_fill(AVDictionary **options)
{
    static const char *const pairs[][2] = {
        {"rtsp_transport", "tcp+udp"},
        {"rtsp_flags", "prefer_tcp"},
        {"allowed_media_types", "video+audio"},
        {"protocol_whitelist", "rtsp,rtsps,rtp,tcp,udp,tls"},
        {"user_agent", "Gantry"},
        {"buffer_size", SOCKET_BYTES},
        {"max_delay", REORDER_US},
        {"analyzeduration", TEXT(LOOK_US)},
        {"probesize", LOOK_BYTES},
        {"fpsprobesize", "0"},
        {"max_streams", STREAMS},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (av_dict_set(options, pairs[i][0], pairs[i][1], 0) < 0)
            return AVERROR(ENOMEM);
    return 0;
}

static int format_open(struct source *source, const char *url)
{
    AVDictionary *options = NULL;
    source->format = avformat_alloc_context();
    if (!source->format)
        return AVERROR(ENOMEM);
    source->format->interrupt_callback = (AVIOInterruptCB){on_wait, source};
    source->format->flags |= AVFMT_FLAG_DISCARD_CORRUPT;
    const AVInputFormat *rtsp = av_find_input_format("rtsp");
    int rc = options_fill(&options);
    if (rc == 0)
        rc = rtsp ? avformat_open_input(&source->format, url, rtsp, &options) : AVERROR_DEMUXER_NOT_FOUND;
    av_dict_free(&options);
    return rc;
}

static bool holds_video(const AVCodecParameters *par)
{
    return par->codec_type == AVMEDIA_TYPE_VIDEO && par->width > 0 && par->height > 0 && par->codec_id != AV_CODEC_ID_NONE &&
           avformat_query_codec(av_guess_format("mp4", NULL, NULL), par->codec_id, FF_COMPLIANCE_NORMAL) == 1;
}

/* What to record, if there is a picture; else why there is none, with text. */
static enum record_fault streams_choose(struct source *source, bool ended, char *text, size_t size)
{
    AVFormatContext *format = source->format;
    const char *lacking = "there is no video in it";
    enum record_fault fault = FAULT_UNAVAILABLE;
    source->video = source->audio = -1;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVCodecParameters *par = format->streams[i]->codecpar;
        bool headless = (par->codec_id == AV_CODEC_ID_H264 || par->codec_id == AV_CODEC_ID_HEVC) && par->extradata_size <= 0;
        if (par->codec_type == AVMEDIA_TYPE_VIDEO && source->video < 0) {
            bool blank = headless || (par->codec_id != AV_CODEC_ID_NONE && par->width <= 0);
            lacking = blank && ended ? "the stream ended before a picture came"
                      : blank        ? "no picture can be read in it"
                                     : "its video is none that MP4 holds";
            fault = blank && ended ? FAULT_READ : FAULT_UNAVAILABLE;
            if (!blank && holds_video(par))
                source->video = (int)i;
        } else if (par->codec_type == AVMEDIA_TYPE_AUDIO && source->audio < 0 && sound_holds(par))
            source->audio = (int)i;
    }
    for (unsigned i = 0; i < format->nb_streams; i++)
        if ((int)i != source->video && (int)i != source->audio)
            format->streams[i]->discard = AVDISCARD_ALL;
    snprintf(text, size, "%s", source->video < 0 ? lacking : "");
    return source->video < 0 ? fault : FAULT_NONE;
}

enum record_fault source_open(struct source *source, const char *url, int64_t deadline_us, char *text, size_t size)
{
    *source = (struct source){.video = -1, .audio = -1, .deadline_us = deadline_us};
    int rc = format_open(source, url);
    if (rc >= 0 && !source_stopped)
        return FAULT_NONE;
    if (rc >= 0 ||
        (on_wait(source) && (rc == AVERROR_EOF || rc == AVERROR_INVALIDDATA))) /* as the demuxer calls the end of its time */
        rc = AVERROR_EXIT;
    source_close(source);
    return explain(rc, true, text, size);
}

enum record_fault source_look(struct source *source, int64_t deadline_us, char *text, size_t size)
{
    int64_t begun = source_now_us();
    source->deadline_us = deadline_us;
    int rc = avformat_find_stream_info(source->format, NULL);
    bool late = on_wait(source), ended = !late && source_now_us() - begun < LOOK_US;
    enum record_fault fault = rc < 0 || source_stopped ? FAULT_READ : streams_choose(source, ended, text, size);
    if (fault == FAULT_NONE)
        return FAULT_NONE;
    source_close(source);
    return rc < 0 || late ? explain(late ? AVERROR_EXIT : rc, true, text, size) : fault;
}

enum record_fault source_read(struct source *source, int64_t deadline_us, AVPacket *packet, char *text, size_t size)
{
    int64_t soonest = source_now_us() + LEAST_US;
    source->deadline_us = deadline_us > soonest ? deadline_us : soonest;
    for (;;) {
        int rc = av_read_frame(source->format, packet);
        if (rc == AVERROR(EAGAIN) && !on_wait(source))
            continue;
        if (rc == AVERROR(EAGAIN))
            rc = AVERROR_EXIT;
        /* The demuxer may tell of the end of the stream what was the end of its time. */
        if (rc < 0 && on_wait(source))
            rc = AVERROR_EXIT;
        if (rc < 0)
            return explain(rc, false, text, size);
        if (packet->stream_index == source->video || packet->stream_index == source->audio)
            return FAULT_NONE;
        av_packet_unref(packet);
    }
}

void source_close(struct source *source)
{
    source->deadline_us = source_now_us() + 1000000; /* for its farewell */
    avformat_close_input(&source->format);
}
