/* Scenes: a worker reads one in a run, the scheduler keeps what it says by the MD5 of the file, and who asked waits a while for it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/admit.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/render_files.h"
#include "gateway/surfaces/transcode.h"
#include "proto/clock.h"

#define WAIT_MAX 30 /* seconds */
#define LOOK_MS 50

static void state_ask(struct scene_look *look);

/* ---- the answer ---- */

static void report_write(struct scene_look *look, json_t *report)
{
    struct request *request = look->request;
    struct writer w;

    if (look->given[0])
        json_object_set_new(report, "scene_file", json_string(look->given)); /* as this one calls it */
    char *text = json_dumps(report, JSON_COMPACT);
    if (!text) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    render_open(request, &w, 200, TEXT_RENDER_ANALYSED);
    writer_json(&w, "data", str_of(text));
    render_close(request, &w, 200);
    free(text);
}

static void answer_later(struct scene_look *look)
{
    struct request *request = look->request;
    char hex[BLOB_HEX];
    struct writer w;

    blob_hex(look->md5, hex);
    render_open(request, &w, 202, TEXT_RENDER_ANALYSING);
    writer_open(&w, "data", '{');
    if (look->given[0])
        writer_text(&w, "scene_file", str_of(look->given));
    writer_text(&w, "scene_file_hash", str_of(hex));
    writer_uint(&w, "run_id", look->run_id);
    writer_close(&w, '}');
    render_close(request, &w, 202);
}

/* Why it could not be read, as its reader said. */
static void refuse_unread(struct scene_look *look, struct str kind, struct str why)
{
    struct request *request = look->request;

    if (str_is(kind, "not_found"))
        render_refuse(request, PROBLEM_BAD_REQUEST, "scene_file", "file_missing", str_of(look->given));
    else if (str_is(kind, "forbidden"))
        render_refuse(request, PROBLEM_FORBIDDEN, "scene_file", "scene_outside", str_of(look->given));
    else
        render_refuse(request, kind.len ? PROBLEM_BAD_REQUEST : PROBLEM_INTERNAL, "scene_file",
                      kind.len ? "scene_unread" : "scene_run", why);
}

static struct str member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return (struct str){json_string_value(value), (uint32_t)json_string_length(value)};
}

static void on_scene(struct request *request, const struct msg *msg)
{
    struct scene_look *look = request->sink.self;
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct arena *arena = request_arena(request);
    struct rec_scene scene;
    struct err err;

    if (rows->count == 0 || !arena || rec_decode_scene(arena, rows->items[0].value, &scene, &err) != 0) {
        reply_problem_kind(request, PROBLEM_OVERLOADED); /* the oldest has just gone for a newer one: asked again, it is read */
        return;
    }
    json_t *report = json_loadb(scene.report.ptr, scene.report.len, 0, NULL);
    if (report)
        report_write(look, report);
    else
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    json_decref(report);
}

/* The run has ended, and there is nothing by the hash that was asked for: it says why, or read a newer version of the file. */
static void on_run(struct request *request, const struct msg *msg)
{
    struct scene_look *look = request->sink.self;
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct arena *arena = request_arena(request);
    struct rec_run run = {0};
    struct err err;

    if (rows->count == 0 || !arena || rec_decode_run(arena, rows->items[0].value, &run, &err) != 0) {
        refuse_unread(look, (struct str){NULL, 0}, (struct str){NULL, 0});
        return;
    }
    json_t *report = run.result.len ? json_loadb(run.result.ptr, run.result.len, 0, NULL) : NULL;
    struct str why = member(report, "error");
    if (run.status != RUN_COMPLETED || !json_is_object(report))
        refuse_unread(look, (struct str){NULL, 0}, run.error_message);
    else if (why.ptr)
        refuse_unread(look, member(report, "error_kind"), why);
    else
        report_write(look, report);
    json_decref(report);
}

/* ---- waiting ---- */

static void on_time(void *arg)
{
    struct scene_look *look = arg;

    look->timer = -1;
    state_ask(look);
}

static void wait_on(struct scene_look *look)
{
    struct request *request = look->request;
    bool over = clock_mono_ms() >= look->until_ms || request->gateway->stopping || connection_gone(request->connection);

    if (!admit_holds(request)) {
        admit_refuse(request);
        return;
    }
    look->timer = over ? -1 : loop_after(request->gateway->loop, LOOK_MS, on_time, look);
    if (look->timer < 0)
        answer_later(look);
}

static void on_state(struct request *request, const struct msg *msg)
{
    struct scene_look *look = request->sink.self;
    const struct msg_scene_state *state = &msg->u.scene_state;
    uint64_t id = state->scene_id;
    struct msg_get get = {.type = TYPE_SCENE, .ids = {&id, 1}};

    if (id && !(look->anew && state->run_id)) {
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_scene);
    } else if (state->run_id) {
        look->run_id = state->run_id;
        wait_on(look);
    } else if (look->run_id) {
        get = (struct msg_get){.type = TYPE_RUN, .ids = {&look->run_id, 1}};
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_run);
    } else {
        char hex[BLOB_HEX];
        blob_hex(look->md5, hex);
        render_refuse(request, PROBLEM_NOT_FOUND, "scene_hash", "scene_unknown", str_of(hex));
    }
}

static void state_ask(struct scene_look *look)
{
    struct msg_scene_ask asked = {.md5 = {(const char *)look->md5, BLOB_MD5}};

    look->request->retry_until_ms = 0; /* another question, with time of its own */
    ask_send(look->request, ASK_SCHEDULER, &shape_msg_scene_ask, &asked, on_state);
}

/* ---- asked for ---- */

static bool on_refused(struct request *request, const struct msg_error *error)
{
    if (!str_is(error->rule, "scene_worker"))
        return false;
    render_refuse(request, PROBLEM_OVERLOADED, NULL, "scene_worker", (struct str){NULL, 0});
    return true;
}

static void again(struct request *request);

static void analyse(struct scene_look *look)
{
    struct request *request = look->request;
    struct msg_scene_analyse asked = {.path = str_of(look->path), .md5 = {(const char *)look->md5, BLOB_MD5}, .anew = look->anew};
    struct problem problem;

    if (look->why[0]) {
        render_refuse(request, PROBLEM_INTERNAL, "oss_file_path", "blob_s3", str_of(look->why));
    } else if (look->cause && look->s3) { /* it could not be brought here */
        render_refuse_disk(request, look->cause);
    } else if (look->cause) {
        render_refuse(request, PROBLEM_BAD_REQUEST, "scene_file", "scene_unread", str_of(strerror(look->cause)));
    } else if (request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
    } else {
        request->on_error = on_refused;
        request->again = again;
        ask_send(request, ASK_SCHEDULER, &shape_msg_scene_analyse, &asked, on_state);
    }
}

/* The file was read: that stands, and its place among those that wait. */
static void again(struct request *request)
{
    analyse(request->sink.self);
}

/* What an uploaded scene's path stands for. */
static void on_found(struct request *request, const struct msg *msg)
{
    struct scene_look *look = request->sink.self;
    const struct msg_asset_found *found = &msg->u.asset_found;
    char root[4096], hex[BLOB_HEX];

    if (!found->asset_id || found->md5.len != BLOB_MD5 || !blob_root(request->gateway->settings, root)) {
        render_refuse(request, PROBLEM_NOT_FOUND, "oss_file_path", "file_missing", str_of(look->given));
        return;
    }
    memcpy(look->md5, found->md5.ptr, BLOB_MD5);
    blob_hex(look->md5, hex);
    snprintf(look->path, sizeof look->path, "%s/assets/%.2s/%s", root, hex, hex);
    if (request->gateway->s3 && access(look->path, F_OK) != 0)
        scene_look_fetch(look, root, analyse);
    else
        analyse(look);
}

struct wanted {
    struct str file, oss, unionid;
    uint64_t wait;
    bool anew;
};

static int wanted_read(struct request *request, struct wanted *wanted, struct problem *problem)
{
    wanted->wait = WAIT_MAX;
    if (request_read_json(request, problem) != 0 ||
        api_text(request, "scene_file", API_OPTIONAL, 4095, &wanted->file, problem) < 0 ||
        api_text(request, "oss_file_path", API_OPTIONAL, RENDER_PATH, &wanted->oss, problem) < 0 ||
        api_text(request, "unionid", API_OPTIONAL, RENDER_UNION, &wanted->unionid, problem) < 0 ||
        api_uint(request, "wait_seconds", API_OPTIONAL, 0, WAIT_MAX, &wanted->wait, problem) < 0 ||
        api_bool(request, "refresh", &wanted->anew, problem) < 0)
        return -1;
    if (!wanted->file.len && !wanted->oss.len)
        return problem_set(problem, PROBLEM_INVALID, "scene_file", "required");
    if (wanted->file.len && wanted->oss.len)
        return problem_value(problem, PROBLEM_INVALID, "scene_file", "exclusive", wanted->oss, "oss_file_path");
    return 0;
}

/* So many may wait at a time. */
static int polls_take(struct request *request, struct problem *problem)
{
    struct gateway *gateway = request->gateway;

    if (gateway->polls >= gateway->polls_max)
        return problem_value(problem, PROBLEM_LIMIT, NULL, "polls", (struct str){NULL, 0}, "%u", gateway->polls_max);
    gateway->polls++;
    request->polling = true;
    return 0;
}

void render_scene_analyse(struct request *request)
{
    struct wanted wanted = {0};
    struct problem problem;

    if (wanted_read(request, &wanted, &problem) != 0 || polls_take(request, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    struct scene_look *look = scene_look_new(request, wanted.file.len ? wanted.file : wanted.oss);
    if (!look)
        return;
    look->anew = wanted.anew;
    look->until_ms = clock_mono_ms() + wanted.wait * 1000;
    struct str own = render_subject(request);
    struct msg_asset_find find = {.path = wanted.oss, .unionid = own.len ? own : wanted.unionid};
    if (wanted.oss.len)
        ask_send(request, ASK_SCHEDULER, &shape_msg_asset_find, &find, on_found);
    else if (scene_look_open(look))
        scene_look_hash(look, analyse);
}

void render_scene_get(struct request *request)
{
    struct str text = request->match.args[0];
    struct problem problem;
    struct scene_look *look = scene_look_new(request, (struct str){NULL, 0});

    if (!look)
        return;
    if (blob_read_hex(text, look->md5)) {
        state_ask(look);
        return;
    }
    problem_value(&problem, PROBLEM_BAD_REQUEST, "scene_hash", "format", text, "32 hexadecimal digits");
    reply_problem(request, &problem);
}
