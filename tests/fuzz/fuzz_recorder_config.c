/* The recorder's configuration as JSON, of its file or of a body: read within its bounds, or refused with a field and what it should be; and what is
 * whole is written so that it reads as the same again. */
#include <stdlib.h>

#include "gateway/json.h"
#include "gateway/surfaces/recorder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct rec_recorder_config config;
    struct rec_recorder_stream streams[RECORDER_STREAMS];
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static int take(const json_t *object, struct reading *to)
{
    struct recorder_fault fault = {0};
    *to = (struct reading){0};
    int rc = recorder_config_read(object, &to->config.global, to->streams, &to->config.streams.count, &fault);
    to->config.streams.items = to->streams;
    check(to->config.streams.count <= RECORDER_STREAMS);
    if (rc != 0)
        check(fault.field[0] && memchr(fault.field, '\0', sizeof fault.field) && fault.expected && fault.expected[0]);
    return rc;
}

/* Every field is there: only then is it kept, and written. */
static bool whole(const struct reading *it)
{
    const struct rec_recorder_global *global = &it->config.global;
    bool all = HAS(global, rec_recorder_global, total_poll_duration_seconds) &&
               HAS(global, rec_recorder_global, max_concurrent_streams) && HAS(global, rec_recorder_global, output_directory) &&
               HAS(global, rec_recorder_global, report_filename) &&
               HAS(global, rec_recorder_global, connection_timeout_seconds) &&
               HAS(global, rec_recorder_global, read_timeout_seconds) && HAS(global, rec_recorder_global, poll_cycles) &&
               HAS(global, rec_recorder_global, cycle_interval_seconds);
    for (uint32_t i = 0; i < it->config.streams.count && all; i++) {
        const struct rec_recorder_stream *stream = &it->streams[i];
        all = HAS(stream, rec_recorder_stream, rtsp_url) && HAS(stream, rec_recorder_stream, duration_seconds) &&
              HAS(stream, rec_recorder_stream, weight) && HAS(stream, rec_recorder_stream, output_filename);
    }
    return all;
}

static void bounds(const struct reading *it)
{
    check(it->config.global.output_directory.len <= 4095 && it->config.global.report_filename.len <= 255);
    for (uint32_t i = 0; i < it->config.streams.count; i++) {
        const struct rec_recorder_stream *stream = &it->streams[i];
        check(stream->id == 0); /* who a stream is, nobody else says */
        check(stream->rtsp_url.len <= 2048 && stream->output_filename.len <= 255);
    }
}

static void same(const struct reading *a, const struct reading *b)
{
    const struct rec_recorder_global *one = &a->config.global, *other = &b->config.global;
    check(one->total_poll_duration_seconds == other->total_poll_duration_seconds && one->poll_cycles == other->poll_cycles &&
          str_eq(one->output_directory, other->output_directory) && str_eq(one->report_filename, other->report_filename));
    check(a->config.streams.count == b->config.streams.count);
    for (uint32_t i = 0; i < a->config.streams.count; i++)
        check(str_eq(a->streams[i].rtsp_url, b->streams[i].rtsp_url) && a->streams[i].weight == b->streams[i].weight &&
              a->streams[i].duration_seconds == b->streams[i].duration_seconds &&
              str_eq(a->streams[i].output_filename, b->streams[i].output_filename));
}

static void round_trip(const struct reading *first)
{
    static struct reading again;
    struct buf out = {0};
    struct writer w = {.out = &out};
    struct err err = {0};
    recorder_config_write(&w, &first->config, false);
    if (!out.failed) {
        json_t *back = json_parse(buf_str(&out), &err);
        check(back && take(back, &again) == 0);
        same(first, &again);
        json_decref(back);
    }
    buf_reset(&out);
    recorder_config_write(&w, &first->config, true); /* as those see it who may not see passwords */
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reading reading;
    struct err err = {0};
    if (size > UINT32_MAX)
        return 0;
    json_t *object = json_parse((struct str){(const char *)data, (uint32_t)size}, &err);
    if (json_is_object(object) && take(object, &reading) == 0) {
        bounds(&reading);
        if (whole(&reading))
            round_trip(&reading);
    }
    json_decref(object);
    return 0;
}
