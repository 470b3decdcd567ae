/* /config: the recorder's configuration, live and in its file. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/recorder.h"
#include "proto/file.h"
#include "proto/log.h"

/* ---- reading ---- */

static void on_stored(struct request *request, const struct msg *msg)
{
    struct recorder_wish *wish = request->own;
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct rec_recorder_config config;
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY};
    if (rows->rows.count == 0)
        recorder_refuse(request, PROBLEM_OVERLOADED, NULL, "recorder_unloaded", (struct str){0});
    else if (!arena || rec_decode_recorder_config(arena, rows->rows.items[0].value, &config, &err) != 0)
        reply_problem_kind(request, err.code == ERR_NO_MEMORY ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
    else {
        wish->directory =
            arena_str(arena, config.global.output_directory); /* what config is of may go before the request is answered */
        wish->on_config(request, &config);
    }
}

void recorder_config_ask(struct request *request,
                         void (*on_config)(struct request *request, const struct rec_recorder_config *config))
{
    static const uint64_t one = 1;
    const struct msg_get get = {.type = TYPE_RECORDER_CONFIG, .ids = {(uint64_t *)(uintptr_t)&one, 1}};
    struct recorder_wish *wish = request_alloc(request, sizeof *wish);
    if (!wish) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *wish = (struct recorder_wish){.on_config = on_config};
    request->own = wish;
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_stored);
}

static void all_answer(struct request *request, const struct rec_recorder_config *config)
{
    struct writer w = {.out = &request->out};
    buf_reset(&request->out);
    recorder_config_write(&w, config, recorder_masked(request));
    reply_done(request, 200);
}

static void global_answer(struct request *request, const struct rec_recorder_config *config)
{
    struct writer w;
    recorder_open(request, &w);
    recorder_global_write(&w, NULL, &config->global);
    recorder_close(request, &w, 200);
}

static void streams_answer(struct request *request, const struct rec_recorder_config *config)
{
    struct writer w;
    recorder_open(request, &w);
    writer_uint(&w, "count", config->streams.count);
    writer_open(&w, "streams", '[');
    for (uint32_t i = 0; i < config->streams.count; i++)
        recorder_stream_write(&w, NULL, &config->streams.items[i], i, recorder_masked(request));
    writer_close(&w, ']');
    recorder_close(request, &w, 200);
}

void recorder_config_get(struct request *request)
{
    recorder_config_ask(request, all_answer);
}

void recorder_global_get(struct request *request)
{
    recorder_config_ask(request, global_answer);
}

void recorder_streams_get(struct request *request)
{
    recorder_config_ask(request, streams_answer);
}

/* ---- changing ---- */

static void refuse_field(struct request *request, const struct recorder_fault *fault)
{
    struct problem problem;
    if (fault->given)
        problem_json(&problem, fault->field, "type", fault->given, "%s", fault->expected);
    else
        problem_value(&problem, PROBLEM_INVALID, fault->field, "items", (struct str){0}, "%s", fault->expected);
    reply_problem(request, &problem);
}

/* The folder that a new output_directory is; false, and answered, where it may be none. */
static bool folder_check(struct request *request, struct msg_recorder_configure *asked)
{
    char folder[4096];
    struct arena *arena = request_arena(request);
    if (!HAS(&asked->global, rec_recorder_global, output_directory))
        return true;
    if (!recorder_folder(request->gateway, asked->global.output_directory, folder)) {
        recorder_refuse(request, PROBLEM_INVALID, "output_directory", "recorder_folder", asked->global.output_directory);
        return false;
    }
    asked->folder = arena ? arena_str(arena, str_of(folder)) : (struct str){0};
    if (asked->folder.ptr)
        return true;
    reply_problem_kind(request, PROBLEM_OVERLOADED);
    return false;
}

static void configured(struct request *request, const struct msg *msg)
{
    const struct msg_recorder_configured *now = &msg->u.recorder_configured;
    const struct route *route = request->match.route;
    bool masked = recorder_masked(request);
    char path[4096];
    struct writer w;
    if (route->handle == recorder_config_put) {
        recorder_say(request, &w, TEXT_REC_CONFIG);
    } else if (route->handle == recorder_global_put) {
        recorder_say(request, &w, TEXT_REC_GLOBAL);
        recorder_global_write(&w, "updated_config", &now->global);
    } else if (route->handle == recorder_reload) {
        recorder_config_path(request->gateway, path);
        recorder_say(request, &w, TEXT_REC_RELOADED);
        writer_text(&w, "loaded_from", str_of(path));
        writer_text(&w, "file_path", str_of(path));
    } else if (route->handle == recorder_stream_delete) {
        recorder_say(request, &w, TEXT_REC_REMOVED);
        writer_uint(&w, "deleted_stream_index", now->index);
        writer_uint(&w, "deleted_index", now->index);
    } else {
        bool added = route->handle == recorder_streams_post;
        recorder_say(request, &w, added ? TEXT_REC_ADDED : TEXT_REC_CHANGED);
        writer_uint(&w, "stream_index", now->index);
        writer_uint(&w, "index", now->index);
        recorder_stream_write(&w, added ? "added_stream" : "updated_stream", &now->stream, -1, masked);
    }
    recorder_close(request, &w, 200);
}

static void configure(struct request *request, struct msg_recorder_configure *asked)
{
    struct problem problem;
    if (!folder_check(request, asked))
        return;
    if (request_idem(request, &asked->idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    request->on_error = recorder_told;
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_configure, asked, configured);
}

/* A whole configuration, from a body or the file. */
static void configure_all(struct request *request, const json_t *object, enum recorder_verb verb)
{
    struct msg_recorder_configure asked = {.verb = verb};
    struct recorder_fault fault;
    asked.streams.items = request_alloc(request, RECORDER_STREAMS * sizeof *asked.streams.items);
    if (!asked.streams.items) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (recorder_config_read(object, &asked.global, asked.streams.items, &asked.streams.count, &fault) != 0) {
        refuse_field(request, &fault);
        return;
    }
    if (verb == RECORDER_RELOAD)
        recorder_defaults(request->gateway, &asked.global);
    SET_HAS(&asked, msg_recorder_configure, global);
    configure(request, &asked);
}

static bool body_read(struct request *request)
{
    struct problem problem;
    if (request_read_json(request, &problem) == 0)
        return true;
    reply_problem(request, &problem);
    return false;
}

void recorder_config_put(struct request *request)
{
    if (body_read(request))
        configure_all(request, request->json, RECORDER_REPLACE);
}

void recorder_global_put(struct request *request)
{
    struct msg_recorder_configure asked = {.verb = RECORDER_SET_GLOBAL};
    struct recorder_fault fault;
    if (!body_read(request))
        return;
    if (request->json && recorder_fields(request->json, &shape_rec_recorder_global, "", &asked.global, &fault) != 0) {
        refuse_field(request, &fault);
        return;
    }
    SET_HAS(&asked, msg_recorder_configure, global);
    configure(request, &asked);
}

static void stream_change(struct request *request, enum recorder_verb verb, uint64_t index)
{
    struct rec_recorder_stream stream = {0};
    struct msg_recorder_configure asked = {.verb = verb, .index = index, .streams = {&stream, 1}};
    struct recorder_fault fault;
    if (!body_read(request))
        return;
    if (request->json && recorder_fields(request->json, &shape_rec_recorder_stream, "", &stream, &fault) != 0) {
        refuse_field(request, &fault);
        return;
    }
    configure(request, &asked);
}

bool recorder_index_read(struct request *request, uint64_t *index)
{
    struct str text = request->match.args[0];
    *index = 0;
    if (str_is(text, "0") || uri_number(text, index))
        return true;
    recorder_refuse(request, PROBLEM_NOT_FOUND, "index", "recorder_index", text);
    return false;
}

void recorder_streams_post(struct request *request)
{
    stream_change(request, RECORDER_ADD_STREAM, 0);
}

void recorder_stream_put(struct request *request)
{
    uint64_t index;
    if (recorder_index_read(request, &index))
        stream_change(request, RECORDER_SET_STREAM, index);
}

void recorder_stream_delete(struct request *request)
{
    struct msg_recorder_configure asked = {.verb = RECORDER_REMOVE_STREAM};
    if (recorder_index_read(request, &asked.index))
        configure(request, &asked);
}

/* ---- the file ---- */

static void reload_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    struct err err = {0};
    job->out.limit = FILE_MAX;
    job->cause = file_read(job->folder, &job->out, &err);
    if (job->cause)
        log_warn("GTY-RECORDER-CONFIG", "%s: %s", job->folder, err.text[0] ? err.text : "there is no such file");
}

static void reload_answer(struct recorder_job *job)
{
    struct err err = {0};
    json_t *object = job->cause ? NULL : json_parse(buf_str(&job->out), &err);
    if (object) {
        configure_all(job->request, object, RECORDER_RELOAD);
    } else {
        if (!job->cause)
            log_warn("GTY-RECORDER-CONFIG", "%s: %s", job->folder, err.text);
        recorder_refuse(job->request, PROBLEM_INVALID, "file_path", "recorder_unread", str_of(job->folder));
    }
    json_decref(object);
}

static void reload_begin(struct request *request)
{
    char path[4096];
    recorder_config_path(request->gateway, path);
    struct recorder_job *job = recorder_job_new(request, str_of(path), (struct str){0}, (struct str){0}, (struct str){0});
    if (job)
        recorder_job_do(job, reload_work, reload_answer);
}

static bool reload_unknown(struct request *request, const struct msg_error *error)
{
    if (!str_is(error->rule, "recorder_unread"))
        return false;
    reload_begin(request);
    return true;
}

/* Who asks again gets the first answer, whatever has become of the file: its key is asked for first. */
void recorder_reload(struct request *request)
{
    struct msg_recorder_configure asked = {.verb = RECORDER_KNOWN};
    struct problem problem;
    if (!request->headers.idempotency_key.len) {
        reload_begin(request);
        return;
    }
    if (request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    request->on_error = reload_unknown;
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_configure, &asked, configured);
}

static void save_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    struct err err = {0};
    json_t *object = json_loadb(job->out.data, job->out.len, 0, NULL);
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15)) : NULL;
    struct buf whole = {0};
    job->cause = -1;
    if (text && buf_text(&whole, text) == 0 && buf_text(&whole, "\n") == 0 &&
        file_replace(job->folder, buf_str(&whole), true, &err) == 0)
        job->cause = 0;
    else
        log_error("GTY-RECORDER-CONFIG", "%s: %s", job->folder, err.text[0] ? err.text : "out of memory");
    buf_free(&whole);
    free(text);
    json_decref(object);
}

static void save_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    struct writer w;
    if (job->cause) {
        recorder_refuse(request, PROBLEM_INTERNAL, "file_path", "recorder_unsaved", str_of(job->folder));
        return;
    }
    recorder_say(request, &w, TEXT_REC_SAVED);
    writer_text(&w, "saved_to", str_of(job->folder));
    writer_text(&w, "file_path", str_of(job->folder));
    recorder_close(request, &w, 200);
}

/* Its file, or one of another name beside it. False, and answered: that is elsewhere. */
static bool save_path(struct request *request, char path[4096])
{
    const json_t *given = json_object_get(request->json, "file_path");
    struct str name = {json_string_value(given), (uint32_t)json_string_length(given)};
    char own[4096];
    recorder_config_path(request->gateway, own);
    snprintf(path, 4096, "%s", own);
    if (!given || json_is_null(given) || str_is(name, own))
        return true;
    char *slash = strrchr(own, '/');
    struct str folder = {own, slash ? (uint32_t)(slash - own) : 0};
    if (name.len > folder.len && folder.len && memcmp(name.ptr, own, folder.len) == 0 && name.ptr[folder.len] == '/')
        name = (struct str){name.ptr + folder.len + 1, name.len - folder.len - 1};
    else if (name.len > 2 && memcmp(name.ptr, "./", 2) == 0)
        name = (struct str){name.ptr + 2, name.len - 2};
    bool plain = name.len > 5 && name.len <= 200 && name.ptr[0] != '.' && !memchr(name.ptr, '/', name.len) &&
                 memcmp(name.ptr + name.len - 5, ".json", 5) == 0;
    if (!plain) {
        recorder_refuse(request, PROBLEM_FORBIDDEN, "file_path", "recorder_file", str_cut(name, 200));
        return false;
    }
    int len = slash ? snprintf(path, 4096, "%.*s/%.*s", (int)folder.len, own, (int)name.len, name.ptr)
                    : snprintf(path, 4096, "%.*s", (int)name.len, name.ptr);
    return len > 0;
}

/* Its key is known: it is written, also for one who asks again, as nobody else could say whether it was. */
static void on_save(struct request *request, const struct msg *msg)
{
    (void)msg;
    recorder_job_do(recorder_job_of(request), save_work, save_answer);
}

static void save_config(struct request *request, const struct rec_recorder_config *config)
{
    struct msg_recorder_configure asked = {.verb = RECORDER_SAVE};
    struct problem problem;
    char path[4096];
    if (!body_read(request) || !save_path(request, path))
        return;
    struct recorder_job *job = recorder_job_new(request, str_of(path), (struct str){0}, (struct str){0}, (struct str){0});
    if (!job)
        return;
    struct writer w = {.out = &job->out};
    recorder_config_write(&w, config, false);
    if (request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ((struct recorder_wish *)request->own)->job = job;
    request->on_error = recorder_told;
    ask_send(request, ASK_SCHEDULER, &shape_msg_recorder_configure, &asked, on_save);
}

void recorder_save(struct request *request)
{
    if (body_read(request))
        recorder_config_ask(request, save_config);
}
