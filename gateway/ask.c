#include "gateway/ask.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/log.h"

#define PATIENCE_MS 3000 /* how long a process may be away before requests are refused at once */
#define SOFT_MS 1000

struct link {
    struct bus_client *client;
    uint64_t down_since_ms;
    bool down;
};

struct ask {
    struct link links[2]; /* by enum ask_whom */
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

struct ask *ask_new(struct gateway *gateway, struct err *err)
{
    struct ask *ask = calloc(1, sizeof *ask);

    if (!ask) {
        err_set(err, ERR_NO_MEMORY, "no memory for the bus");
        return NULL;
    }
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
    free(ask);
}

struct bus_client *ask_client(struct ask *ask, enum ask_whom whom)
{
    return ask->links[whom].client;
}

/* True when it makes sense to ask: connected, or away only for a moment. */
static bool ask_reachable(const struct ask *ask, enum ask_whom whom)
{
    const struct link *link = &ask->links[whom];
    return !link->down || clock_mono_ms() - link->down_since_ms < PATIENCE_MS;
}

/* Silence of the scheduler is the store's doing when the store is away: commits do not end. */
static enum problem_kind silence_kind(const struct request *request, int code)
{
    const struct ask *ask = request->gateway->ask;
    bool store = request->asked_whom == ASK_STORE || ask->links[ASK_STORE].down;
    bool write = request->method != METHOD_GET;

    if (code == ERR_LIMIT || code == ERR_NO_MEMORY)
        return PROBLEM_OVERLOADED;
    if (code == ERR_UNKNOWN_OUTCOME && write)
        return store ? PROBLEM_STORE_UNKNOWN : PROBLEM_SCHEDULER_UNKNOWN;
    return store ? PROBLEM_STORE_AWAY : PROBLEM_SCHEDULER_AWAY;
}

/* What answers a question; 0: nothing does. */
static uint16_t answer_to(uint16_t asked)
{
    static const struct {
        uint16_t asked, answer;
    } pairs[] = {
        {MSG_TASK_CREATE, MSG_TASK_ANSWER}, {MSG_TASK_UPDATE, MSG_TASK_ANSWER}, {MSG_TASK_DELETE, MSG_DONE},
        {MSG_TASK_PAUSE, MSG_TASK_ANSWER},  {MSG_RUN_TRIGGER, MSG_RUN_ANSWER},  {MSG_RUN_TRIGGER_BATCH, MSG_RUN_BATCH_ANSWER},
        {MSG_RUN_SUBMIT, MSG_RUN_ANSWER},   {MSG_RUN_RESTART, MSG_RUN_ANSWER},  {MSG_RUN_ABORT, MSG_RUN_ANSWER},
        {MSG_WORKER_LIST, MSG_WORKER_ROWS}, {MSG_RUN_LIVE, MSG_RUN_LIVE_ROWS},  {MSG_QUERY, MSG_QUERY_ROWS},
        {MSG_GET, MSG_QUERY_ROWS},          {MSG_LOG_READ, MSG_LOG_ROWS},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].asked == asked)
            return pairs[i].answer;
    }
    return 0;
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
    else if (msg)
        reply_error(request, &msg->u.error, (enum ask_whom)request->asked_whom);
    else
        reply_problem_kind(request, silence_kind(request, err ? err->code : ERR_UNAVAILABLE));
    log_request((struct str){NULL, 0});
}

static void ask(struct request *request, enum ask_whom whom, bool soft, const struct shape *shape, const void *value,
                void (*on_answer)(struct request *request, const struct msg *msg))
{
    struct gateway *gateway = request->gateway;
    uint64_t deadline_ms = gateway->deadline_ms;

    if (soft && deadline_ms > SOFT_MS)
        deadline_ms = SOFT_MS;
    if (gateway->ask->links[whom].down && deadline_ms > PATIENCE_MS)
        deadline_ms = PATIENCE_MS;
    request->asked = ask_client(gateway->ask, whom);
    request->asked_whom = (int)whom;
    request->asked_soft = soft;
    request->answer_id = answer_to(shape->id);
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
