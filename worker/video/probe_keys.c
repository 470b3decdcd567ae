#include "worker/video/probe_keys.h"

#include <libavformat/avformat.h>
#include <stdio.h>

#include "worker/video/probe_read.h"

#define LOOK_PACKETS 200000 /* of the film, in search of one key frame */

/* The next key frame that is shown at `from` or later. */
static bool key_behind(AVFormatContext *format, int film, int64_t from, int64_t *at)
{
    AVPacket *packet = av_packet_alloc();
    bool found = false;
    for (int i = 0; packet && !found && i < LOOK_PACKETS && av_read_frame(format, packet) >= 0; i++) {
        bool key = packet->stream_index == film && packet->flags & AV_PKT_FLAG_KEY && packet->pts != AV_NOPTS_VALUE;
        if (key && packet->pts >= from) {
            *at = packet->pts;
            found = true;
        }
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return found;
}

/* An index leads to the key frame before each place, so little more than a group of frames is read for each. */
static void keys_look(AVFormatContext *format, int film, int64_t every, struct cut_places *places)
{
    for (int64_t aim = every; places->count < CUTS_KEYS && aim < places->length; aim += every) {
        int64_t last = places->keys[places->count - 1], from = places->keys[0] + aim, at;
        if (last >= from)
            continue;
        if (av_seek_frame(format, film, from, AVSEEK_FLAG_BACKWARD) < 0 || !key_behind(format, film, from, &at) || at <= last)
            break;
        places->keys[places->count++] = at;
    }
}

static void places_find(AVFormatContext *format, uint64_t every_ms, struct cut_places *places)
{
    int film = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    const AVRational ms = {1, 1000};
    if (film < 0) {
        snprintf(places->error, sizeof(places->error), "it has no video stream");
        return;
    }
    for (unsigned i = 0; i < format->nb_streams; i++)
        format->streams[i]->discard = (int)i == film ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    const AVStream *stream = format->streams[film];
    if (!key_behind(format, film, INT64_MIN, &places->keys[0])) {
        snprintf(places->error, sizeof(places->error), "its film has no key frame");
        return;
    }
    int64_t start = format->start_time == AV_NOPTS_VALUE ? 0 : format->start_time;
    places->count = 1;
    places->base_num = stream->time_base.num;
    places->base_den = stream->time_base.den;
    places->offset_us = av_rescale_q(places->keys[0], stream->time_base, AV_TIME_BASE_Q) - start;
    places->length = stream->duration > 0 ? stream->duration : av_rescale_q(format->duration, AV_TIME_BASE_Q, stream->time_base);
    int64_t every = av_rescale_q((int64_t)every_ms, ms, stream->time_base);
    if (places->length > 0 && every > 0)
        keys_look(format, film, every, places);
}

void probe_keys(int fd, const char *name, uint64_t every_ms, struct cut_places *places)
{
    struct probe_file file;
    *places = (struct cut_places){.count = 0};
    if (probe_open(&file, fd, name) < 0)
        snprintf(places->error, sizeof(places->error), "it cannot be read as a video");
    else
        places_find(file.format, every_ms, places);
    probe_close(&file);
}
