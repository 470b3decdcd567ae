/* The recorder's configuration: it changes as a whole or not at all, and what it becomes is judged before anything is kept. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/url.h"
#include "scheduler/farms/record/record.h"

#define DAY_SECONDS 86400
#define CONFIG_ARENA ((size_t)4 << 20)
#define LANES_MAX 4096
#define ANSWER_BYTES 8192
#define SHOWN_MAX 2048 /* of an address in a recording's record */

/* ---- what will do ---- */

static const struct number_rule {
    const char *name;
    size_t offset;
    int64_t low, high;
} number_rules[] = {
#define RULE(field, low, high)                                                                                                   \
    {                                                                                                                            \
#field, offsetof(struct rec_recorder_global, field), low, high                                                           \
    }
    RULE(total_poll_duration_seconds, 1, 7 * DAY_SECONDS),
    RULE(max_concurrent_streams, 1, LANES_MAX),
    RULE(connection_timeout_seconds, 1, 3600),
    RULE(read_timeout_seconds, 1, 3600),
    RULE(poll_cycles, -1, 1000000000),
    RULE(cycle_interval_seconds, 0, 365 * DAY_SECONDS),
#undef RULE
};

/* A sentence for what is wrong with a field: `expected` says what it takes. */
static int refuse(struct fault *fault, const char *field, const char *rule, struct str value, const char *expected)
{
    return fault_set(fault, ERR_INVALID, field, rule, value, expected, "%s is not valid: %s expected", field, expected);
}

static int refuse_number(struct fault *fault, const char *field, const char *positive, const char *other, double value,
                         int64_t low, int64_t high)
{
    char text[48], expected[64];
    snprintf(text, sizeof text, "%.15g", value);
    if (low > 0 && !(value > 0))
        return refuse(fault, field, positive, str_of(text), "> 0");
    snprintf(expected, sizeof expected, "%lld..%lld", (long long)low, (long long)high);
    return refuse(fault, field, other, str_of(text), expected);
}

static bool control_free(struct str text)
{
    for (uint32_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return true;
}

/* The name of a file in a cycle's folder. */
static bool file_name(struct str name)
{
    return name.len && name.len <= 200 && name.ptr[0] != '.' && !memchr(name.ptr, '/', name.len) &&
           !memchr(name.ptr, '\\', name.len) && !memchr(name.ptr, '\0', name.len) && control_free(name);
}

static bool ends_with(struct str text, const char *end)
{
    size_t len = strlen(end);
    return text.len > len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

static bool rtsp_address(struct str url)
{
    uint32_t scheme = url.len > 7 && memcmp(url.ptr, "rtsp://", 7) == 0    ? 7
                      : url.len > 8 && memcmp(url.ptr, "rtsps://", 8) == 0 ? 8
                                                                           : 0;
    if (!scheme || !control_free(url) || memchr(url.ptr, ' ', url.len))
        return false;
    struct str rest = {url.ptr + scheme, url.len - scheme};
    const char *slash = memchr(rest.ptr, '/', rest.len);
    uint32_t authority = slash ? (uint32_t)(slash - rest.ptr) : rest.len;
    /* An @ behind the host is %40: nobody could tell it from that behind a password with a slash, which has to be masked. */
    return authority > 0 && rest.ptr[authority - 1] != '@' && !memchr(rest.ptr + authority, '@', rest.len - authority);
}

static int check_global(const struct rec_recorder_global *global, struct fault *fault)
{
    for (size_t i = 0; i < sizeof number_rules / sizeof *number_rules; i++) {
        const struct number_rule *rule = &number_rules[i];
        int64_t value = *(const int64_t *)(const void *)((const char *)global + rule->offset);
        if (value < rule->low || value > rule->high)
            return refuse_number(fault, rule->name, "recorder_positive", "recorder_global", (double)value, rule->low, rule->high);
    }
    if (global->poll_cycles == 0)
        return refuse(fault, "poll_cycles", "recorder_global", STR_LIT("0"), "-1, 1..1000000000");
    if (!global->output_directory.len || memchr(global->output_directory.ptr, '\0', global->output_directory.len))
        return refuse(fault, "output_directory", "recorder_global", global->output_directory, "a folder");
    struct str report = global->report_filename;
    if (!file_name(report) || ends_with(report, ".mp4") || str_is(report, "report.txt") || str_is(report, "streams.csv"))
        return refuse(fault, "report_filename", "recorder_global", report,
                      "a file name, without / and not .mp4, report.txt, streams.csv");
    return 0;
}

static int check_stream(const struct rec_recorder_stream *stream, uint32_t index, struct fault *fault)
{
    char field[64];
#define NAME(what) (snprintf(field, sizeof field, "streams[%u]." what, index), field)
    if (!rtsp_address(stream->rtsp_url))
        return refuse(fault, NAME("rtsp_url"), "recorder_stream_value", (struct str){0}, "rtsp://, rtsps://");
    if (url_mask_len(stream->rtsp_url) > SHOWN_MAX) /* many short secrets: it could not be shown */
        return refuse(fault, NAME("rtsp_url"), "recorder_stream_value", (struct str){0}, "2048 bytes, also as it is shown");
    if (stream->duration_seconds < 1 ||
        stream->duration_seconds > DAY_SECONDS) /* workers record no longer: of more the index would not fit */
        return refuse_number(fault, NAME("duration_seconds"), "recorder_stream_value", "recorder_stream_value",
                             (double)stream->duration_seconds, 1, DAY_SECONDS);
    if (!isfinite(stream->weight) || stream->weight <= 0 || stream->weight > 1e6)
        return refuse(fault, NAME("weight"), "recorder_stream_value", (struct str){0}, "> 0, <= 1000000");
    if (!file_name(stream->output_filename) || !ends_with(stream->output_filename, ".mp4"))
        return refuse(fault, NAME("output_filename"), "recorder_stream_value", stream->output_filename, "NAME.mp4, without /");
#undef NAME
    return 0;
}

int recorder_config_check(const struct rec_recorder_config *config, struct fault *fault)
{
    if (check_global(&config->global, fault))
        return -1;
    for (uint32_t i = 0; i < config->streams.count; i++)
        if (check_stream(&config->streams.items[i], i, fault))
            return -1;
    return 0;
}

/* ---- what it becomes ---- */

static void global_lay(struct rec_recorder_global *to, const struct rec_recorder_global *from)
{
#define TAKE(name)                                                                                                               \
    if (HAS(from, rec_recorder_global, name)) {                                                                                  \
        to->name = from->name;                                                                                                   \
        SET_HAS(to, rec_recorder_global, name);                                                                                  \
    }
    TAKE(total_poll_duration_seconds)
    TAKE(max_concurrent_streams)
    TAKE(output_directory)
    TAKE(report_filename)
    TAKE(connection_timeout_seconds)
    TAKE(read_timeout_seconds)
    TAKE(poll_cycles)
    TAKE(cycle_interval_seconds)
#undef TAKE
}

static void stream_lay(struct rec_recorder_stream *to, const struct rec_recorder_stream *from)
{
    if (from->rtsp_url.len)
        to->rtsp_url = from->rtsp_url;
#define TAKE(name)                                                                                                               \
    if (HAS(from, rec_recorder_stream, name)) {                                                                                  \
        to->name = from->name;                                                                                                   \
        SET_HAS(to, rec_recorder_stream, name);                                                                                  \
    }
    TAKE(duration_seconds)
    TAKE(weight)
    TAKE(output_filename)
#undef TAKE
}

static bool stream_complete(const struct rec_recorder_stream *stream)
{
    return stream->rtsp_url.len && HAS(stream, rec_recorder_stream, duration_seconds) &&
           HAS(stream, rec_recorder_stream, weight) && HAS(stream, rec_recorder_stream, output_filename);
}

static int incomplete(struct fault *fault)
{
    return fault_set(fault, ERR_INVALID, "streams", "recorder_stream", (struct str){0},
                     "rtsp_url, duration_seconds, weight, output_filename", "a stream's configuration is not complete");
}

/* A stream of a whole new list keeps its identity when one of the same address and name was there. */
static uint64_t stream_known(const struct rec_recorder_config *before, struct rec_recorder_config *next, uint32_t at)
{
    const struct rec_recorder_stream *stream = &next->streams.items[at];
    for (uint32_t i = 0; i < before->streams.count; i++) {
        const struct rec_recorder_stream *old = &before->streams.items[i];
        bool taken = false;
        if (!str_eq(old->rtsp_url, stream->rtsp_url) || !str_eq(old->output_filename, stream->output_filename))
            continue;
        for (uint32_t j = 0; j < at && !taken; j++)
            taken = next->streams.items[j].id == old->id;
        if (!taken)
            return old->id;
    }
    return next->next_stream++;
}

static int become_all(struct core *core, const struct rec_recorder_config *before, const struct msg_recorder_configure *asked,
                      struct rec_recorder_config *next, struct fault *fault)
{
    struct recorder_masks masks;
    if (recorder_masks_make(core, before, &masks))
        return fault_memory(fault);
    global_lay(&next->global, &asked->global);
    next->streams.count = asked->streams.count;
    for (uint32_t i = 0; i < asked->streams.count; i++) {
        next->streams.items[i] = asked->streams.items[i];
        if (!stream_complete(&next->streams.items[i]))
            return incomplete(fault);
        if (recorder_unmask(&masks, &asked->streams, i, &next->streams.items[i], fault))
            return -1;
        next->streams.items[i].id = stream_known(before, next, i);
    }
    return 0;
}

static int become_stream(struct core *core, const struct rec_recorder_config *before, const struct msg_recorder_configure *asked,
                         struct rec_recorder_config *next, struct fault *fault)
{
    struct rec_recorder_stream *items = next->streams.items;
    uint32_t count = next->streams.count, at = (uint32_t)asked->index;
    if (asked->verb == RECORDER_ADD_STREAM) {
        if (count >= RECORDER_STREAMS)
            return fault_set(fault, ERR_CONFLICT, "streams", "recorder_full", (struct str){0}, "at most 400",
                             "there are 400 streams");
        if (asked->streams.count != 1 || !stream_complete(&asked->streams.items[0]))
            return incomplete(fault);
        items[count] = asked->streams.items[0];
        items[count].id = next->next_stream++;
        next->streams.count++;
        return recorder_unmask_one(core, before, NULL, &items[count], fault);
    }
    if (asked->index >= count)
        return fault_set(fault, ERR_NOT_FOUND, "index", "recorder_index", (struct str){0}, NULL,
                         "there is no stream of this index");
    if (asked->verb == RECORDER_SET_STREAM) {
        if (asked->streams.count != 1)
            return incomplete(fault);
        stream_lay(&items[at], &asked->streams.items[0]);
        return recorder_unmask_one(core, before, &before->streams.items[at], &items[at], fault);
    }
    if (count == 1)
        return fault_set(fault, ERR_INVALID, "streams", "recorder_last", (struct str){0}, NULL, "one stream has to stay");
    memmove(&items[at], &items[at + 1], (count - at - 1) * sizeof *items);
    next->streams.count--;
    return 0;
}

/* What the configuration would be; borrows from it and the message. -1 with fault. */
static int become(const struct recorder *farm, struct core *core, const struct msg_recorder_configure *asked,
                  struct rec_recorder_config *next, struct fault *fault)
{
    const struct rec_recorder_config *before = &farm->config;
    *next = *before;
    next->id = RECORD_ONE;
    next->updated_at = core->wall_ms;
    next->next_stream = before->next_stream ? before->next_stream : 1;
    next->streams.items = arena_alloc(core->arena, RECORDER_STREAMS * sizeof *next->streams.items);
    if (!next->streams.items)
        return fault_memory(fault);
    if (before->streams.count)
        memcpy(next->streams.items, before->streams.items, before->streams.count * sizeof *next->streams.items);
    if (asked->folder.len)
        next->folder = asked->folder;
    int result = 0;
    if (asked->verb <= RECORDER_REPLACE)
        result = become_all(core, before, asked, next, fault);
    else if (asked->verb == RECORDER_SET_GLOBAL)
        global_lay(&next->global, &asked->global);
    else
        result = become_stream(core, before, asked, next, fault);
    if (result)
        return -1;
    if (asked->verb == RECORDER_REPLACE && !next->streams.count)
        return fault_set(fault, ERR_INVALID, "streams", "recorder_last", (struct str){0}, NULL, "one stream has to stay");
    return recorder_config_check(next, fault);
}

/* ---- keeping it ---- */

/* A copy in memory of its own. -1 with err. */
static int config_copy(const struct rec_recorder_config *config, struct arena **arena, struct rec_recorder_config *copy,
                       size_t *size, struct err *err)
{
    struct buf bytes = {0};
    int result = -1;
    *arena = arena_new(CONFIG_ARENA);
    if (!*arena) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
    } else if (rec_encode_recorder_config(&bytes, config, err) == 0) {
        struct str own = arena_str(*arena, buf_str(&bytes));
        if (!own.ptr)
            err_set(err, ERR_NO_MEMORY, "out of memory");
        else
            result = rec_decode_recorder_config(*arena, own, copy, err);
    }
    *size = bytes.len;
    buf_free(&bytes);
    if (result) {
        arena_free(*arena);
        *arena = NULL;
    }
    return result;
}

int recorder_config_load(struct recorder *farm, const struct rec_recorder_config *config, struct err *err)
{
    size_t size;
    arena_free(farm->config_arena);
    farm->config_arena = NULL;
    return config_copy(config, &farm->config_arena, &farm->config, &size, err);
}

static void answer(const struct recorder *farm, struct core *core, const struct core_call *call)
{
    const struct msg_recorder_configure *asked = &call->msg->u.recorder_configure;
    const struct rec_recorder_config *config = &farm->config;
    struct msg_recorder_configured say = {.global = config->global, .index = asked->index, .count = config->streams.count};
    if (asked->verb == RECORDER_ADD_STREAM)
        say.index = config->streams.count - 1;
    if (asked->verb == RECORDER_ADD_STREAM || asked->verb == RECORDER_SET_STREAM) {
        say.stream = config->streams.items[say.index];
        SET_HAS(&say, msg_recorder_configured, stream);
    }
    core_answer(core, call, &shape_msg_recorder_configured, &say);
}

void recorder_on_configure(struct core *core, const struct core_call *call)
{
    const struct msg_recorder_configure *asked = &call->msg->u.recorder_configure;
    struct recorder *farm = recorder_of(core);
    struct rec_recorder_config next, copy;
    struct arena *arena = NULL;
    struct err err = {0};
    struct fault fault;
    size_t size;
    if (asked->verb == RECORDER_KNOWN) { /* this refusal is not remembered, as others are */
        fault_set(&fault, ERR_UNAVAILABLE, NULL, "recorder_unread", (struct str){0}, NULL, "this key has no answer yet");
        goto error;
    }
    if (farm->config.id && (asked->verb == RECORDER_IMPORT || asked->verb == RECORDER_SAVE)) { /* the live one stays */
        if (core_reserve(core, 64, ANSWER_BYTES, 2, &fault))
            goto error;
        answer(farm, core, call);
        return;
    }
    if (!farm->config.id && (asked->verb > RECORDER_REPLACE || !asked->folder.len)) {
        fault_set(&fault, ERR_NOT_FOUND, NULL, "recorder_unloaded", (struct str){0}, NULL, "the configuration is not loaded yet");
        goto error;
    }
    if (become(farm, core, asked, &next, &fault))
        goto error;
    if (config_copy(&next, &arena, &copy, &size, &err)) {
        fault_set(&fault, err.code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_INVALID, NULL, NULL, (struct str){0}, NULL, "%s",
                  err.text);
        goto error;
    }
    if (core_reserve(core, size + 256, ANSWER_BYTES, 3, &fault))
        goto error;
    arena_free(farm->config_arena);
    farm->config_arena = arena;
    farm->config = copy;
    journal_put(core->journal, TYPE_RECORDER_CONFIG, RECORD_ONE, &farm->config);
    answer(farm, core, call);
    return;
error:
    arena_free(arena);
    core_refuse(core, call, &fault);
}
