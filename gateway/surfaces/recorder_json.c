/* A configuration as JSON: of config.json, of bodies and answers. */
#include <stdio.h>

#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/recorder.h"
#include "proto/url.h"

/* ---- out ---- */

bool recorder_masked(const struct request *request)
{
    const struct auth *auth = request->gateway->auth;
    return auth && auth_is_on(auth) && request->actor.role != ROLE_ADMIN;
}

void recorder_url_write(struct writer *w, const char *key, struct str url, bool masked)
{
    struct buf text = {0};
    if (!masked) {
        writer_text(w, key, url);
        return;
    }
    url_mask(&text, url);
    w->out->failed = w->out->failed || text.failed;
    writer_text(w, key, buf_str(&text));
    buf_free(&text);
}

void recorder_global_write(struct writer *w, const char *key, const struct rec_recorder_global *global)
{
    if (key)
        writer_open(w, key, '{');
    writer_int(w, "total_poll_duration_seconds", global->total_poll_duration_seconds);
    writer_int(w, "max_concurrent_streams", global->max_concurrent_streams);
    writer_text(w, "output_directory", global->output_directory);
    writer_text(w, "report_filename", global->report_filename);
    writer_int(w, "connection_timeout_seconds", global->connection_timeout_seconds);
    writer_int(w, "read_timeout_seconds", global->read_timeout_seconds);
    writer_int(w, "poll_cycles", global->poll_cycles);
    writer_int(w, "cycle_interval_seconds", global->cycle_interval_seconds);
    if (key)
        writer_close(w, '}');
}

void recorder_stream_write(struct writer *w, const char *key, const struct rec_recorder_stream *stream, int64_t index,
                           bool masked)
{
    writer_open(w, key, '{');
    if (index >= 0)
        writer_int(w, "index", index);
    recorder_url_write(w, "rtsp_url", stream->rtsp_url, masked);
    writer_int(w, "duration_seconds", stream->duration_seconds);
    writer_real(w, "weight", stream->weight);
    writer_text(w, "output_filename", stream->output_filename);
    writer_close(w, '}');
}

void recorder_config_write(struct writer *w, const struct rec_recorder_config *config, bool masked)
{
    writer_open(w, NULL, '{');
    recorder_global_write(w, "global_config", &config->global);
    writer_open(w, "streams", '[');
    for (uint32_t i = 0; i < config->streams.count; i++)
        recorder_stream_write(w, NULL, &config->streams.items[i], -1, masked);
    writer_close(w, ']');
    writer_close(w, '}');
}

void recorder_parameters_write(struct writer *w, const char *key, struct str parameters)
{
    static const char *const numbers[] = {"duration_s", "connect_s", "read_s", "stream", "cycle", "until_ms"};
    struct token token;
    struct str text;
    writer_open(w, key, '{');
    if (map_text(parameters, STR_LIT("url"), &text))
        recorder_url_write(w, "url", text, true);
    if (map_text(parameters, STR_LIT("output"), &text))
        writer_text(w, "output", text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (map_find(parameters, numbers[i], &token) && token.kind == TOKEN_UINT)
            writer_uint(w, numbers[i], token.u.natural);
    writer_close(w, '}');
}

/* ---- in ---- */

static int bad(struct recorder_fault *fault, const char *prefix, const char *name, const json_t *given, const char *expected)
{
    snprintf(fault->field, sizeof fault->field, "%s%s", prefix, name);
    fault->given = given;
    fault->expected = expected;
    return -1;
}

static int field_read(const struct field *field, const json_t *given, const char *prefix, char *member,
                      struct recorder_fault *fault)
{
    struct str text;
    switch (field->kind) {
    case CODEC_INT:
        return json_integral(given, (int64_t *)(void *)member) ? 0 : bad(fault, prefix, field->name, given, "integer");
    case CODEC_REAL:
        if (!json_is_number(given))
            return bad(fault, prefix, field->name, given, "number");
        *(double *)(void *)member = json_number_value(given);
        return 0;
    default:
        if (!json_is_string(given))
            return bad(fault, prefix, field->name, given, "string");
        text = (struct str){json_string_value(given), (uint32_t)json_string_length(given)};
        if (!text.len || text.len > (uint64_t)field->high)
            return bad(fault, prefix, field->name, given,
                       "string, not empty, of at most 4095 bytes (an address: 2048; a file name: 255)");
        *(struct str *)(void *)member = text;
        return 0;
    }
}

int recorder_fields(const json_t *object, const struct shape *shape, const char *prefix, void *record,
                    struct recorder_fault *fault)
{
    uint64_t has = 0;
    if (!json_is_object(object))
        return bad(fault, prefix, "", object, "object");
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        const json_t *given = json_object_get(object, field->name);
        if (!given || json_is_null(given) || field->kind == CODEC_UINT) /* the identity of a stream is ours */
            continue;
        if (field_read(field, given, prefix, (char *)record + field->offset, fault) != 0)
            return -1;
        has |= UINT64_C(1) << field->key;
    }
    memcpy(record, &has, sizeof has); /* every record begins with its has */
    return 0;
}

int recorder_config_read(const json_t *object, struct rec_recorder_global *global, struct rec_recorder_stream *streams,
                         uint32_t *count, struct recorder_fault *fault)
{
    const json_t *all = json_object_get(object, "global_config"), *list = json_object_get(object, "streams");
    char prefix[32];
    *count = 0;
    if (all && recorder_fields(all, &shape_rec_recorder_global, "global_config.", global, fault) != 0)
        return -1;
    if (list && !json_is_array(list))
        return bad(fault, "", "streams", list, "list");
    if (json_array_size(list) > RECORDER_STREAMS)
        return bad(fault, "", "streams", NULL, "at most 400 streams");
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(prefix, sizeof prefix, "streams[%zu].", i);
        if (recorder_fields(json_array_get(list, i), &shape_rec_recorder_stream, prefix, &streams[*count], fault) != 0)
            return -1;
        *count += 1;
    }
    return 0;
}

void recorder_defaults(const struct gateway *gateway, struct rec_recorder_global *global)
{
#define DEFAULT(name, value)                                                                                                     \
    if (!HAS(global, rec_recorder_global, name)) {                                                                               \
        global->name = value;                                                                                                    \
        SET_HAS(global, rec_recorder_global, name);                                                                              \
    }
    const char *output = settings_text(gateway->settings, SET_OUTPUT);
    DEFAULT(total_poll_duration_seconds, 60)
    DEFAULT(max_concurrent_streams, 2)
    DEFAULT(output_directory, output[0] ? str_of(output) : STR_LIT("./output"))
    DEFAULT(report_filename, STR_LIT("rtsp_report.json"))
    DEFAULT(connection_timeout_seconds, 10)
    DEFAULT(read_timeout_seconds, 15)
    DEFAULT(poll_cycles, -1)
    DEFAULT(cycle_interval_seconds, 30)
#undef DEFAULT
}
