#include "gateway/recorder.h"

#include <sodium.h>
#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/events.h"
#include "gateway/json.h"
#include "gateway/recorder_disk.h"
#include "gateway/recorder_keep.h"
#include "gateway/recorder_report.h"
#include "gateway/surfaces/recorder.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/log.h"

#define EVERY_MS 1000 /* it looks, also where nobody says that there is something */
#define ASK_MS 5000   /* a question may take */
#define ARENA ((size_t)16 << 20)
#define RETRY_MS 60000 /* until a report that could not be written is tried again */

struct recorder {
    struct gateway *gateway;
    struct listener listener;
    int timer;
    bool asking;                    /* a question is open */
    bool writing;                   /* reports are being written */
    bool again;                     /* something happened meanwhile */
    bool imported;                  /* there is a configuration */
    bool told;                      /* that the file cannot be read */
    uint64_t failed_upto, retry_ms; /* cycles whose reports cannot be written now; mono: when that is tried again */
    enum ask_whom whom;
    uint64_t corr;
    struct arena *arena; /* of what the reports are of */
    struct rec_recorder_cycle cycle;
    struct recorder_report *report;
    struct recorder_keep *keep;
    struct recorder_disk *disk;
};

static void work(struct recorder *recorder);

static void ask(struct recorder *recorder, enum ask_whom whom, const struct shape *shape, const void *value, bus_reply *reply)
{
    recorder->asking = true;
    recorder->whom = whom;
    recorder->corr =
        bus_ask(ask_client(recorder->gateway->ask, whom), shape, value, (struct str){NULL, 0}, ASK_MS, reply, recorder);
}

/* The answer, when it is this one; else what went wrong is told by the next look, which comes in a moment. */
static const struct msg *answered(struct recorder *recorder, const struct msg *msg, uint16_t id)
{
    recorder->asking = false;
    return msg && msg->shape->id == id ? msg : NULL;
}

/* ---- the configuration ---- */

static void on_imported(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder *recorder = arg;
    (void)err;
    if (answered(recorder, msg, MSG_RECORDER_CONFIGURED)) {
        recorder->imported = true;
        work(recorder);
    } else if (msg && msg->shape->id == MSG_ERROR && msg->u.error.code == ERR_INVALID && !recorder->told) {
        recorder->told = true;
        log_error("GTY-RECORDER-CONFIG", "its file is not valid: %.*s", (int)msg->u.error.text.len, msg->u.error.text.ptr);
    }
}

/* What is in the file; where there is none the defaults, which become one. NULL: it cannot be read, or does not hold an object. */
static json_t *config_file(struct recorder *recorder, const char *path)
{
    struct buf text = {.limit = FILE_MAX};
    struct err err = {0};
    int found = file_read(path, &text, &err);
    json_t *object = found == 0 ? json_parse(buf_str(&text), &err) : found > 0 ? json_object() : NULL;
    if (found > 0) {
        struct rec_recorder_config config = {.id = 1};
        struct buf fresh = {0};
        struct writer w = {.out = &fresh};
        recorder_defaults(recorder->gateway, &config.global);
        recorder_config_write(&w, &config, false);
        json_t *pretty = fresh.failed ? NULL : json_loadb(fresh.data, fresh.len, 0, NULL);
        char *lines = pretty ? json_dumps(pretty, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
        if (!lines || file_replace(path, str_of(lines), true, &err) != 0)
            log_warn("GTY-RECORDER-CONFIG", "%s cannot be written: %s", path, err.text);
        free(lines);
        json_decref(pretty);
        buf_free(&fresh);
    } else if (!object && !recorder->told) {
        recorder->told = true;
        log_error("GTY-RECORDER-CONFIG", "%s: %s", path, err.text);
    }
    buf_free(&text);
    return object;
}

static void import_send(struct recorder *recorder, const json_t *object)
{
    struct msg_recorder_configure asked = {.verb = RECORDER_IMPORT};
    struct rec_recorder_stream *streams = calloc(RECORDER_STREAMS, sizeof *streams);
    struct recorder_fault fault;
    unsigned char scope[IDENT_HASH], body[IDENT_HASH];
    char folder[4096];
    if (!streams)
        return;
    asked.streams.items = streams;
    if (recorder_config_read(object, &asked.global, streams, &asked.streams.count, &fault) != 0) {
        if (!recorder->told)
            log_error("GTY-RECORDER-CONFIG", "its file is not valid: %s must be %s", fault.field, fault.expected);
        recorder->told = true;
        free(streams);
        return;
    }
    recorder_defaults(recorder->gateway, &asked.global);
    if (!recorder_folder(recorder->gateway, asked.global.output_directory, folder)) {
        if (!recorder->told)
            log_error("GTY-RECORDER-CONFIG",
                      "output_directory is not in the folder of the start, nor in one of recorder.folders");
        recorder->told = true;
        free(streams);
        return;
    }
    SET_HAS(&asked, msg_recorder_configure, global);
    asked.folder = str_of(folder);
    randombytes_buf(scope, sizeof scope);
    randombytes_buf(body, sizeof body);
    asked.idem = (struct rec_idem){.scope = {(const char *)scope, sizeof scope}, .body = {(const char *)body, sizeof body}};
    ask(recorder, ASK_SCHEDULER, &shape_msg_recorder_configure, &asked, on_imported);
    free(streams);
}

static void on_stored(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder *recorder = arg;
    const struct msg *rows = answered(recorder, msg, MSG_QUERY_ROWS);
    char path[4096];
    (void)err;
    if (!rows)
        return;
    if (rows->u.query_rows.rows.count > 0) { /* the live one stays */
        recorder->imported = true;
        work(recorder);
        return;
    }
    recorder_config_path(recorder->gateway, path);
    json_t *object = config_file(recorder, path);
    if (object)
        import_send(recorder, object);
    json_decref(object);
}

static void import(struct recorder *recorder)
{
    uint64_t one = 1;
    const struct msg_get get = {.type = TYPE_RECORDER_CONFIG, .ids = {&one, 1}};
    ask(recorder, ASK_STORE, &shape_msg_get, &get, on_stored);
}

/* ---- reports ---- */

static void on_reported(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder *recorder = arg;
    (void)err;
    if (answered(recorder, msg, MSG_DONE))
        work(recorder); /* there may be more */
}

/* Its folder may be gone, or out of order: others are not to wait for it. */
static void put_off(struct recorder *recorder, uint64_t cycle)
{
    recorder->failed_upto = cycle;
    recorder->retry_ms = clock_mono_ms() + RETRY_MS;
}

static void on_written(struct recorder_report *report, bool well, void *arg)
{
    struct recorder *recorder = arg;
    const struct msg_recorder_reported told = {.known = recorder->cycle};
    (void)report;
    recorder->writing = false;
    recorder->report = NULL;
    if (!well)
        put_off(recorder, recorder->cycle.id);
    if (well && !recorder->gateway->stopping)
        ask(recorder, ASK_SCHEDULER, &shape_msg_recorder_reported, &told, on_reported);
}

static void on_recordings(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder *recorder = arg;
    const struct msg *rows = answered(recorder, msg, MSG_QUERY_ROWS);
    bool known, marked = recorder_disk_is_marked(recorder->disk, recorder->cycle.folder, &known);
    (void)err;
    if (!rows || !known)
        return;
    recorder->report = recorder_report_new(&recorder->cycle, marked, &rows->u.query_rows.rows);
    if (!recorder->report)
        return; /* memory is short: at the next look */
    recorder->writing = true;
    recorder_report_write(recorder->report, recorder->gateway->files, on_written, recorder);
}

static void on_cycle(void *arg, const struct msg *msg, const struct err *why)
{
    struct recorder *recorder = arg;
    const struct msg *rows = answered(recorder, msg, MSG_QUERY_ROWS);
    struct err err;
    (void)why;
    if (!rows || !rows->u.query_rows.rows.count)
        return;
    const struct rec_row *row = &rows->u.query_rows.rows.items[0];
    arena_reset(recorder->arena);
    struct str value = arena_str(recorder->arena, row->value);
    if (!value.ptr)
        return;
    if (rec_decode_recorder_cycle(recorder->arena, value, &recorder->cycle, &err) != 0) {
        put_off(recorder, row->id);
        return;
    }
    struct rec_filter filter = {.field = STR_LIT("cycle"), .op = FILTER_EQ, .number = (int64_t)recorder->cycle.id};
    const struct msg_query query = {.type = TYPE_RECORDING, .filters = {&filter, 1}, .page = 1, .size = RECORDER_STREAMS};
    ask(recorder, ASK_STORE, &shape_msg_query, &query, on_recordings);
}

/* The oldest without its reports, behind those whose reports cannot be written now, however many these are. */
static void cycle_find(struct recorder *recorder)
{
    struct rec_filter filters[] = {{.field = STR_LIT("unreported"), .op = FILTER_EQ, .number = 1},
                                   {.field = STR_LIT("id"), .op = FILTER_GT, .number = (int64_t)recorder->failed_upto}};
    const struct msg_query query = {.type = TYPE_RECORDER_CYCLE, .filters = {filters, 2}, .page = 1, .size = 1};
    ask(recorder, ASK_STORE, &shape_msg_query, &query, on_cycle);
}

/* One step, when none is under way; each that succeeds looks for the next. */
static void work(struct recorder *recorder)
{
    if (recorder->failed_upto && clock_mono_ms() >= recorder->retry_ms)
        recorder->failed_upto = 0;
    if (recorder->asking || recorder->writing || recorder->gateway->stopping)
        return;
    if (!bus_client_is_up(ask_client(recorder->gateway->ask, ASK_STORE)) ||
        !bus_client_is_up(ask_client(recorder->gateway->ask, ASK_SCHEDULER)))
        return;
    if (recorder->imported)
        cycle_find(recorder);
    else
        import(recorder);
}

static void on_timer(void *arg)
{
    work(arg);
}

static void on_rang(void *self, uint64_t event)
{
    (void)event;
    work(self);
}

/* ---- life ---- */

struct recorder *recorder_new(struct gateway *gateway, struct err *err)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder)
        recorder->arena = arena_new(ARENA);
    if (!recorder || !recorder->arena || (recorder->timer = loop_every(gateway->loop, EVERY_MS, on_timer, recorder)) < 0) {
        if (recorder)
            arena_free(recorder->arena);
        free(recorder);
        err_set(err, ERR_NO_MEMORY, "no memory for the recorder");
        return NULL;
    }
    recorder->gateway = gateway;
    recorder->keep = recorder_keep_new(gateway, err);
    recorder->disk = recorder->keep ? recorder_disk_new(gateway, err) : NULL;
    if (!recorder->disk) {
        recorder_keep_free(recorder->keep);
        loop_cancel(gateway->loop, recorder->timer);
        arena_free(recorder->arena);
        free(recorder);
        return NULL;
    }
    recorder->listener = (struct listener){.rang = on_rang, .self = recorder};
    events_listen(gateway->events, &recorder->listener);
    return recorder;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    if (recorder->asking)
        bus_forget(ask_client(recorder->gateway->ask, recorder->whom), recorder->corr);
    events_unlisten(recorder->gateway->events, &recorder->listener);
    recorder_keep_free(recorder->keep);
    recorder_disk_free(recorder->disk);
    loop_cancel(recorder->gateway->loop, recorder->timer);
    arena_free(recorder->arena);
    free(recorder);
}
