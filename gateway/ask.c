#include "gateway/ask.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/log.h"

#define PATIENCE_MS 3000  /* at least; how long a process may be away before requests are refused at once */
#define PATIENCE_TENTHS 3 /* of the deadline of a request */
#define SOFT_MS 1000      /* at least */
#define RETRY_MS 50       /* between askings of a command while the store is away */
#define PROBE_MS 500      /* at the end of a command's time, to learn who keeps it waiting; less of a short time */
#define PROBE_PART 4

struct link {
    struct bus_client *client;
    uint64_t down_since_ms;
    bool down;
};

struct ask {
    struct gateway *gateway;
    struct link links[2];     /* by enum ask_whom */
    struct request *retrying; /* commands to be asked again */
    struct request *due;      /* those whose time has come, while they are asked */
    int retry_timer;          /* made ahead */
};

static void on_up(void *self)
{
    struct link *link = self;
    link->down = false;
}

static void on_down(void *self)
{
    struct link *link = self;
    if (!link->down)
        link->down_since_ms = clock_mono_ms();
    link->down = true;
}

static int link_open(struct link *link, struct gateway *gateway, enum setting_id id, const char *name, struct err *err)
{
    static const struct bus_client_events events = {.up = on_up, .down = on_down};
    struct endpoint at;

    link->down = true;
    link->down_since_ms = clock_mono_ms();
    if (endpoint_of(gateway->settings, id, name, false, &at, err) == 0)
        link->client = bus_client_new(gateway->loop, at.text, &at.curve, &events, link, err);
    return link->client ? 0 : -1;
}

static void retry_all(void *arg);

struct ask *ask_new(struct gateway *gateway, struct err *err)
{
    struct ask *ask = calloc(1, sizeof *ask);

    if (!ask || (ask->retry_timer = loop_timer(gateway->loop, retry_all, ask)) < 0) {
        free(ask);
        err_set(err, ERR_NO_MEMORY, "no memory for the bus");
        return NULL;
    }
    ask->gateway = gateway;
    if (link_open(&ask->links[ASK_SCHEDULER], gateway, SET_BUS_SCHEDULER, "scheduler", err) != 0 ||
        link_open(&ask->links[ASK_STORE], gateway, SET_BUS_STORE, "store", err) != 0) {
        ask_free(ask);
        return NULL;
    }
    return ask;
}

void ask_free(struct ask *ask)
{
    if (!ask)
        return;
    bus_client_free(ask->links[ASK_SCHEDULER].client);
    bus_client_free(ask->links[ASK_STORE].client);
    loop_cancel(ask->gateway->loop, ask->retry_timer);
    free(ask);
}

struct bus_client *ask_client(struct ask *ask, enum ask_whom whom)
{
    return ask->links[whom].client;
}

/* Who is to wait longer for an answer waits longer for whoever gives it, too. */
static uint64_t tenths_of_deadline(const struct gateway *gateway, uint64_t tenths, uint64_t least)
{
    uint64_t share = gateway->deadline_ms * tenths / 10;
    return share > least ? share : least;
}

static uint64_t patience_ms(const struct ask *ask)
{
    return tenths_of_deadline(ask->gateway, PATIENCE_TENTHS, PATIENCE_MS);
}

uint64_t ask_soft_ms(const struct gateway *gateway)
{
    return tenths_of_deadline(gateway, 1, SOFT_MS);
}

/* True when it makes sense to ask: connected, or away only for a moment. */
static bool ask_reachable(const struct ask *ask, enum ask_whom whom)
{
    const struct link *link = &ask->links[whom];
    return !link->down || clock_mono_ms() - link->down_since_ms < patience_ms(ask);
}

/* Silence of the scheduler is the store's doing when the store is away: commits do not end. */
static enum problem_kind silence_kind(const struct request *request, int code)
{
    const struct ask *ask = request->gateway->ask;
    bool store = request->asked_whom == ASK_STORE || ask->links[ASK_STORE].down;
    bool write = request->method != METHOD_GET;

    if (code == ERR_LIMIT || code == ERR_NO_MEMORY)
        return PROBLEM_OVERLOADED;
    if (code != ERR_UNKNOWN_OUTCOME && code != ERR_UNAVAILABLE)
        return PROBLEM_INTERNAL; /* the question was not one: nobody was asked */
    if (code == ERR_UNKNOWN_OUTCOME && write)
        return store ? PROBLEM_STORE_UNKNOWN : PROBLEM_SCHEDULER_UNKNOWN;
    return store ? PROBLEM_STORE_AWAY : PROBLEM_SCHEDULER_AWAY;
}

/* ---- commands that are asked again while the store is away for a moment ---- */

static void retry_all(void *arg)
{
    struct ask *ask = arg;

    ask->due = ask->retrying;
    ask->retrying = NULL; /* who is refused again comes back */
    while (ask->due) {
        struct request *request = ask->due;
        ask->due = request->retry_next;
        request->retrying = false;
        log_request(str_of(request->rid));
        if (!request->answered)
            (request->again ? request->again : request_handle)(request);
        log_request((struct str){NULL, 0});
    }
}

/* True when the refused command will be asked again. */
static bool retry_later(struct request *request, const struct msg_error *error)
{
    struct ask *ask = request->gateway->ask;
    uint64_t now = clock_mono_ms(), until = now + patience_ms(ask);

    if (!error->soon || request->asked_whom != ASK_SCHEDULER || !request->keyed || !ask_reachable(ask, ASK_STORE))
        return false;
    if (request->retry_until_ms == 0)
        request->retry_until_ms = until < request->ask_deadline_ms ? until : request->ask_deadline_ms;
    if (now + RETRY_MS >= request->retry_until_ms)
        return false;
    if (!ask->retrying)
        loop_set(request->gateway->loop, ask->retry_timer, RETRY_MS, 0);
    request->retrying = true;
    request->retry_next = ask->retrying;
    ask->retrying = request;
    return true;
}

static void list_remove(struct request **at, const struct request *request)
{
    while (*at && *at != request)
        at = &(*at)->retry_next;
    if (*at)
        *at = request->retry_next;
}

void ask_forget(struct request *request)
{
    list_remove(&request->gateway->ask->retrying, request);
    list_remove(&request->gateway->ask->due, request);
    request->retrying = false;
}

/* ---- commands that nothing answers ---- */

static uint64_t probe_ms(uint64_t deadline_ms)
{
    return deadline_ms / PROBE_PART < PROBE_MS ? deadline_ms / PROBE_PART : PROBE_MS;
}

/* The scheduler says whether it waits for the store. */
static void on_probe(void *arg, const struct msg *msg, const struct err *err)
{
    struct request *request = arg;
    struct problem problem;

    (void)err;
    request->asking = false;
    log_request(str_of(request->rid));
    problem_set(&problem, silence_kind(request, ERR_UNKNOWN_OUTCOME), NULL, NULL);
    if (msg && msg->shape->id == MSG_PONG && msg->u.pong.trouble.len > 0) {
        problem.kind = PROBLEM_STORE_UNKNOWN;
        problem.sentence = msg->u.pong.trouble;
    }
    reply_problem(request, &problem);
    log_request((struct str){NULL, 0});
}

/* True when the answer to a silent command waits for what the scheduler says of itself. */
static bool probe_silence(struct request *request, const struct err *err)
{
    const struct ask *ask = request->gateway->ask;
    struct msg_ping ping = {0};

    if (!err || err->code != ERR_UNKNOWN_OUTCOME || request->asked_whom != ASK_SCHEDULER || !request->keyed ||
        ask->links[ASK_SCHEDULER].down || ask->links[ASK_STORE].down)
        return false;
    request->asking = true;
    uint64_t corr = bus_ask(request->asked, &shape_msg_ping, &ping, str_of(request->rid), probe_ms(request->gateway->deadline_ms),
                            on_probe, request);
    if (request->asking)
        request->corr = corr;
    return true;
}

/* ---- questions ---- */

/* What answers a question; 0: nothing does. */
static uint16_t answer_to(const struct shape *asked)
{
    static const struct {
        const struct shape *asked;
        uint16_t answer;
    } pairs[] = {
        {&shape_msg_task_create, MSG_TASK_ANSWER},
        {&shape_msg_task_update, MSG_TASK_ANSWER},
        {&shape_msg_task_delete, MSG_DONE},
        {&shape_msg_task_pause, MSG_TASK_ANSWER},
        {&shape_msg_run_trigger, MSG_RUN_ANSWER},
        {&shape_msg_run_trigger_batch, MSG_RUN_BATCH_ANSWER},
        {&shape_msg_run_submit, MSG_RUN_ANSWER},
        {&shape_msg_run_restart, MSG_RUN_ANSWER},
        {&shape_msg_run_abort, MSG_RUN_ANSWER},
        {&shape_msg_worker_list, MSG_WORKER_ROWS},
        {&shape_msg_run_live, MSG_RUN_LIVE_ROWS},
        {&shape_msg_fire_times, MSG_FIRE_TIMES_ROWS},
        {&shape_msg_query, MSG_QUERY_ROWS},
        {&shape_msg_get, MSG_QUERY_ROWS},
        {&shape_msg_log_read, MSG_LOG_ROWS},
        {&shape_msg_worker_register, MSG_WORKER_ANSWER},
        {&shape_msg_worker_update, MSG_WORKER_ANSWER},
        {&shape_msg_worker_remove, MSG_DONE},
        {&shape_msg_worker_beat, MSG_WORKER_BEAT_ANSWER},
        {&shape_msg_worker_lease, MSG_WORKER_LEASED},
        {&shape_msg_run_report, MSG_RUN_REPORTED},
        {&shape_msg_run_publish, MSG_RUN_PUBLISHED},
        {&shape_msg_webhook_create, MSG_WEBHOOK_ANSWER},
        {&shape_msg_webhook_update, MSG_WEBHOOK_ANSWER},
        {&shape_msg_webhook_delete, MSG_DONE},
        {&shape_msg_webhook_ping, MSG_DELIVERY_ANSWER},
        {&shape_msg_event_read, MSG_EVENT_ROWS},
        {&shape_msg_delivery_again, MSG_DELIVERY_ANSWER},
        {&shape_msg_run_bulk, MSG_RUN_BULK_ANSWER},
        {&shape_msg_run_purge, MSG_DONE},
        {&shape_msg_task_graph, MSG_TASK_GRAPH_ROWS},
        {&shape_msg_run_why, MSG_RUN_WHY_ROWS},
        {&shape_msg_pool_put, MSG_POOL_ANSWER},
        {&shape_msg_pool_delete, MSG_DONE},
        {&shape_msg_pool_list, MSG_POOL_ROWS},
        {&shape_msg_transcode_register, MSG_TRANSCODE_WORKER},
        {&shape_msg_transcode_worker_update, MSG_TRANSCODE_WORKER},
        {&shape_msg_transcode_worker_remove, MSG_DONE},
        {&shape_msg_transcode_beat, MSG_DONE},
        {&shape_msg_transcode_direct, MSG_DONE},
        {&shape_msg_transcode_workers, MSG_TRANSCODE_WORKER_ROWS},
        {&shape_msg_transcode_pull, MSG_TRANSCODE_PULLED},
        {&shape_msg_transcode_report, MSG_DONE},
        {&shape_msg_transcode_log, MSG_TRANSCODE_LOGGED},
        {&shape_msg_transcode_publish, MSG_TRANSCODE_PUBLISHED},
        {&shape_msg_transcode_estimate, MSG_TRANSCODE_ESTIMATES},
        {&shape_msg_video_set, MSG_VIDEO_ANSWER},
        {&shape_msg_library_scan, MSG_LIBRARY_SCANNING},
        {&shape_msg_video_check, MSG_VIDEO_CHECKING},
        {&shape_msg_asset_add, MSG_ASSET_ADDED},
        {&shape_msg_asset_check, MSG_ASSET_CHECKED},
        {&shape_msg_asset_look, MSG_ASSET_LOOKED},
        {&shape_msg_asset_find, MSG_ASSET_FOUND},
        {&shape_msg_asset_sweep, MSG_ASSET_SWEPT},
        {&shape_msg_asset_held, MSG_ASSET_CHECKED},
        {&shape_msg_scene_analyse, MSG_SCENE_STATE},
        {&shape_msg_scene_ask, MSG_SCENE_STATE},
        {&shape_msg_health_sweep, MSG_HEALTH_STATE},
        {&shape_msg_render_create, MSG_RENDER_ANSWER},
        {&shape_msg_render_act, MSG_RENDER_ANSWER},
        {&shape_msg_render_live, MSG_RENDER_LIVE_ROWS},
        {&shape_msg_render_fits, MSG_RENDER_FITTING},
        {&shape_msg_health_ask, MSG_HEALTH_STATE},
        {&shape_msg_recorder_configure, MSG_RECORDER_CONFIGURED},
        {&shape_msg_recorder_run, MSG_RECORDER_VIEW},
        {&shape_msg_recorder_ask, MSG_RECORDER_VIEW},
        {&shape_msg_recorder_disk, MSG_DONE},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].asked == asked)
            return pairs[i].answer;
    }
    return 0;
}

static void silent(struct request *request, const struct err *err)
{
    enum problem_kind kind = silence_kind(request, err ? err->code : ERR_UNAVAILABLE);

    if (kind == PROBLEM_INTERNAL)
        log_error("GTY-ASK-FAILED", "code=%s %s", error_code_name((uint64_t)err->code), err->text);
    reply_problem_kind(request, kind);
}

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    const struct msg_error strange = {.code = ERR_INTERNAL, .text = STR_LIT("an answer of the wrong kind")};
    struct request *request = arg;

    request->asking = false;
    log_request(str_of(request->rid));
    if (msg && msg->shape->id != MSG_ERROR && msg->shape->id != request->answer_id) {
        log_error("GTY-ASK-ANSWER", "message=%s answers nothing that was asked", msg->shape->name);
        if (request->asked_soft)
            request->on_answer(request, NULL);
        else
            reply_error(request, &strange, (enum ask_whom)request->asked_whom);
        log_request((struct str){NULL, 0});
        return;
    }
    if (msg && msg->shape->id != MSG_ERROR)
        request->on_answer(request, msg);
    else if (request->asked_soft)
        request->on_answer(request, NULL);
    else if (msg && request->on_error && request->on_error(request, &msg->u.error))
        ; /* it has asked something else */
    else if (msg && retry_later(request, &msg->u.error))
        ;
    else if (msg)
        reply_error(request, &msg->u.error, (enum ask_whom)request->asked_whom);
    else if (!probe_silence(request, err))
        silent(request, err);
    log_request((struct str){NULL, 0});
}

static void ask(struct request *request, enum ask_whom whom, bool soft, const struct shape *shape, const void *value,
                void (*on_answer)(struct request *request, const struct msg *msg))
{
    struct gateway *gateway = request->gateway;
    uint64_t deadline_ms = gateway->deadline_ms + request->wait_ms, now = clock_mono_ms();
    uint64_t soft_ms = ask_soft_ms(gateway), away_ms = patience_ms(gateway->ask);
    bool command = request->keyed && whom == ASK_SCHEDULER && !soft;

    if (command && request->retry_until_ms == 0)
        request->ask_deadline_ms = now + deadline_ms - probe_ms(deadline_ms);
    if (command)
        deadline_ms = request->ask_deadline_ms > now ? request->ask_deadline_ms - now : 1;
    if (soft && deadline_ms > soft_ms)
        deadline_ms = soft_ms;
    if (gateway->ask->links[whom].down && deadline_ms > away_ms)
        deadline_ms = away_ms;
    request->asked = ask_client(gateway->ask, whom);
    request->asked_whom = (int)whom;
    request->asked_soft = soft;
    request->answer_id = answer_to(shape);
    request->on_answer = on_answer;
    if (soft ? gateway->ask->links[whom].down : !ask_reachable(gateway->ask, whom)) {
        struct err away = {.code = ERR_UNAVAILABLE};
        on_reply(request, NULL, &away);
        return;
    }
    request->asking = true;
    uint64_t corr = bus_ask(request->asked, shape, value, str_of(request->rid), deadline_ms, on_reply, request);
    if (request->asking)
        request->corr = corr;
}

void ask_send(struct request *request, enum ask_whom whom, const struct shape *shape, const void *value,
              void (*on_answer)(struct request *request, const struct msg *msg))
{
    ask(request, whom, false, shape, value, on_answer);
}

void ask_soft(struct request *request, enum ask_whom whom, const struct shape *shape, const void *value,
              void (*on_answer)(struct request *request, const struct msg *msg))
{
    ask(request, whom, true, shape, value, on_answer);
}
