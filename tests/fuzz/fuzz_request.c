/* Requests through the real dispatch, routes and handlers: target, headers and body of any kind; what the scheduler and the store
 * answer is of any kind, too. What must hold: each request is answered once; JSON is JSON; what is asked keeps to the table. */
#include <microhttpd.h>
#include <stdlib.h>

#include "gateway/connection.h"
#include "gateway/dispatch.h"
#include "gateway/events.h"
#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/health.h"
#include "gateway/hooks.h"
#include "gateway/json.h"
#include "gateway/pool.h"
#include "gateway/stats.h"
#include "gateway/surfaces/surface.h"
#include "gateway/traffic.h"
#include "proto/log.h"
#include "proto/settings.h"
#include "tests/fuzz/farside.h"
#include "tests/fuzz/fuzz_request.h"
#include "tests/fuzz/steps.h"

const uint16_t fuzz_request_answers[] = {MSG_TASK_ANSWER,
                                         MSG_RUN_ANSWER,
                                         MSG_RUN_BATCH_ANSWER,
                                         MSG_DONE,
                                         MSG_WORKER_ROWS,
                                         MSG_RUN_LIVE_ROWS,
                                         MSG_QUERY_ROWS,
                                         MSG_QUERY_ROWS,
                                         MSG_LOG_ROWS,
                                         MSG_PONG,
                                         MSG_ERROR,
                                         MSG_FIRE_TIMES_ROWS,
                                         MSG_WORKER_ANSWER,
                                         MSG_WORKER_BEAT_ANSWER,
                                         MSG_WORKER_LEASED,
                                         MSG_RUN_REPORTED,
                                         MSG_WEBHOOK_ANSWER,
                                         MSG_DELIVERY_ANSWER,
                                         MSG_WEBHOOK_WORK,
                                         MSG_WEBHOOK_REPORTED,
                                         MSG_EVENT_ROWS,
                                         MSG_TASK_GRAPH_ROWS,
                                         MSG_RUN_WHY_ROWS,
                                         MSG_RUN_BULK_ANSWER,
                                         MSG_STATS_ANSWER,
                                         MSG_POOL_ANSWER,
                                         MSG_POOL_ROWS,
                                         MSG_RUN_PUBLISHED,
                                         MSG_TRANSCODE_WORKER,
                                         MSG_TRANSCODE_WORKER_ROWS,
                                         MSG_TRANSCODE_PULLED,
                                         MSG_TRANSCODE_LOGGED,
                                         MSG_VIDEO_ANSWER,
                                         MSG_LIBRARY_SCANNING,
                                         MSG_ASSET_ADDED,
                                         MSG_ASSET_CHECKED,
                                         MSG_ASSET_FOUND,
                                         MSG_SCENE_STATE,
                                         0};
static const uint16_t bell_ids[] = {MSG_DOORBELL, 0};

static const uint16_t *frames(unsigned op)
{
    return op == STEP_ANSWER ? fuzz_request_answers : op == STEP_RING ? bell_ids : NULL;
}

const struct steps_plan steps_plan = {STEP_OPS, frames};

static struct gateway gateway;
static struct connections connections;
static struct connection connection;
static struct pool pool;
static struct request *request; /* under way; NULL: none */
static struct str head;         /* its header lines */
static unsigned answers;
unsigned fuzz_request_status;
size_t fuzz_request_bytes;
void (*fuzz_request_checks)(bool begins);

/* ---- in the place of libmicrohttpd ---- */

int __wrap_MHD_get_connection_values_n(struct MHD_Connection *mhd, enum MHD_ValueKind kind, MHD_KeyValueIteratorN fn, void *cls);
void __wrap_http_answer(struct request *of);
void __wrap_http_wake(struct request *of);

static struct str line_of(struct str *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct str line = {rest->ptr, end ? (uint32_t)(end - rest->ptr) : rest->len};
    *rest = end ? (struct str){end + 1, rest->len - line.len - 1} : (struct str){NULL, 0};
    return line;
}

/* It lets no Content-Length through that is no number, and no NUL in a header. */
static bool header_fits(const char *name, struct str value)
{
    if (value.len && memchr(value.ptr, '\0', value.len))
        return false;
    if (strcasecmp(name, "Content-Length") != 0)
        return true;
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
    }
    return value.len > 0 && value.len < 19;
}

int __wrap_MHD_get_connection_values_n(struct MHD_Connection *mhd, enum MHD_ValueKind kind, MHD_KeyValueIteratorN fn, void *cls)
{
    struct str rest = head;
    (void)mhd;
    while (rest.len > 0) {
        struct str line = line_of(&rest);
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
        char name[64];
        if (!colon || !str_copy(name, sizeof name, (struct str){line.ptr, (uint32_t)(colon - line.ptr)}))
            continue;
        struct str value = str_trim((struct str){colon + 1, line.len - (uint32_t)(colon + 1 - line.ptr)}, " ");
        if (header_fits(name, value))
            fn(cls, kind, name, strlen(name), value.ptr ? value.ptr : "", value.len);
    }
    return 0;
}

void __wrap_http_answer(struct request *of)
{
    farside_check(of == request && of->answered);
}

void __wrap_http_wake(struct request *of)
{
    farside_check(of == request);
}

/* ---- the answer ---- */

static void check_body(void)
{
    struct str body = buf_str(&request->out);

    if (!request->content_type || !strstr(request->content_type, "json") || request->out.failed)
        return;
    json_t *value = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    farside_check(value != NULL && json_is_object(value));
    farside_check(request->status < 400 || !strstr(request->match.surface->name, "scheduler") || request->status == 503 ||
                  json_is_false(json_object_get(value, "success")));
    json_decref(value);
}

static void check_answer(void)
{
    if (!request || !request->answered || request->state == REQUEST_SENDING)
        return;
    request->state = REQUEST_SENDING;
    answers++;
    fuzz_request_status = request->status;
    fuzz_request_bytes = request->out.len;
    if (fuzz_request_checks)
        fuzz_request_checks(true);
    farside_check(request->status >= 200 && request->status < 600);
    check_body();
    if (fuzz_request_checks)
        fuzz_request_checks(false);
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    headers_write(request, response, false);
    MHD_destroy_response(response);
}

static void stream_read(size_t max)
{
    static char out[65536];
    if (!request || !request->answered || !request->stream.read)
        return;
    long got = request->stream.read(request->stream.self, out, max < sizeof out ? max : sizeof out);
    farside_check(got <= (long)max);
}

static void on_pass(void *arg)
{
    loop_stop(arg);
}

/* Half a second later: what is asked again after a while is. */
static void pass(void)
{
    farside_mono_ms += 500;
    loop_after(gateway.loop, 0, on_pass, gateway.loop);
    loop_run(gateway.loop);
}

/* Every question has a deadline, so every request has an answer. */
static void finish(void)
{
    for (int i = 0; request && !request->answered && i < 200; i++) {
        if (!farside_silence())
            pass();
    }
    if (!request)
        return;
    check_answer();
    farside_check(request->answered);
    stream_read(65536);
    struct request *gone = request;
    pool_give_back(&pool, gone);
    request = NULL;
}

/* ---- steps ---- */

static void body_take(struct str body)
{
    if (request->answered)
        return;
    if (body.len > gateway.limits.body)
        request->too_large = true;
    else if (buf_add(&request->body, body.ptr, body.len) != 0)
        request->out_of_memory = true;
}

static void begin(struct str text)
{
    static char target[URI_MAX + 64], method[32];
    struct str rest = text;
    struct str line = line_of(&rest);
    const char *blank = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
    const char *body = rest.len ? memmem(rest.ptr, rest.len, "\n\n", 2) : NULL;

    finish();
    if (!blank || !str_copy(method, sizeof method, (struct str){line.ptr, (uint32_t)(blank - line.ptr)}) ||
        !str_copy(target, sizeof target, (struct str){blank + 1, line.len - (uint32_t)(blank + 1 - line.ptr)}))
        return;
    head = body ? (struct str){rest.ptr, (uint32_t)(body + 1 - rest.ptr)} : rest;
    request = pool_take(&pool);
    if (!request)
        return;
    request->gateway = &gateway;
    request->connection = &connection;
    dispatch_target(request, target);
    request->state = REQUEST_BODY;
    headers_read(request, NULL, method);
    enum dispatch dispatch = dispatch_headers(request, false);
    if (dispatch == DISPATCH_OPEN) { /* it comes to no file: there is no gateway->files */
        dispatch_open(request);
        if (!request->answered)
            request->state = REQUEST_WAITING;
    } else if (dispatch == DISPATCH_READ) {
        if (body)
            body_take((struct str){body + 2, rest.len - (uint32_t)(body + 2 - rest.ptr)});
        dispatch_request(request);
        if (!request->answered)
            request->state = REQUEST_WAITING;
    }
    check_answer();
}

static void step(const struct step *step)
{
    farside_mono_ms += 1 + step->argument;
    switch ((enum step_op)step->op) {
    case STEP_REQUEST:
        begin(step->bytes);
        break;
    case STEP_ANSWER:
        farside_answer(step->bytes);
        break;
    case STEP_SILENCE:
        farside_silence();
        break;
    case STEP_RING:
        farside_ring(step->bytes);
        break;
    case STEP_READ:
        stream_read((size_t)1 << step->argument % 17);
        break;
    case STEP_LINK:
    case STEP_OPS:
        farside_up(step->argument & 1);
        break;
    }
    check_answer();
}

static void open_all(void)
{
    static char *argv[] = {"fuzz",
                           "--bus-scheduler=tcp://127.0.0.1:1",
                           "--bus-store=tcp://127.0.0.1:2",
                           "--bus-doorbell=tcp://127.0.0.1:3",
                           "--data=/nonexistent",
                           NULL};
    struct err err = {0};
    log_init("fuzz", (enum log_level)(LOG_ERROR + 1));
    connections.max = 10;
    connection = (struct connection){.all = &connections, .fd = -1};
    gateway.settings = settings_load(5, argv, NULL, &err);
    gateway.loop = loop_new();
    gateway.router = router_new();
    farside_check(gateway.settings && gateway.loop && gateway.router);
    for (const struct surface *const *surface = surfaces_all; *surface; surface++)
        farside_check(router_add(gateway.router, *surface, (*surface)->prefix, &err) == 0);
    gateway.guard = (struct guard){.bound = "127.0.0.1", .names = "farm.example", .origins = "https://app.example"};
    gateway.limits = (struct limits){.idle_ms = 75000, .request_ms = 30000, .body = 32768};
    gateway.deadline_ms = 10000;
    gateway.polls_max = 2;
    gateway.ask = ask_new(&gateway, &err);
    gateway.events = gateway.ask ? events_new(&gateway, &err) : NULL;
    gateway.health = gateway.events ? health_new(&gateway, &err) : NULL;
    gateway.feed = gateway.health ? feed_new(&gateway, &err) : NULL;
    gateway.hooks = gateway.feed ? hooks_new(&gateway, &err) : NULL;
    gateway.stats = gateway.health ? stats_asker_new(&gateway, &err) : NULL;
    gateway.traffic = gateway.stats ? traffic_new() : NULL;
    farside_check(gateway.traffic != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[STEPS_MAX];
    unsigned count = steps_read(data, size, steps);

    if (!gateway.health)
        open_all();
    farside_mono_ms += 10000; /* what was measured is old */
    farside_up(true);
    for (unsigned i = 0; i < count; i++)
        step(&steps[i]);
    finish();
    while (farside_silence())
        ;
    return 0;
}
