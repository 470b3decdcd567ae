/* Workers of the transcode API, each with the gateway that it asks: it registers, asks for a task, reports, beats. A question is repeated
 * with its key until it is answered, for as long as an HTTP client waits; then it is given up, and what it came to is not known. They die
 * and forget their task, fall silent for long, come back by the same name, and tell of tasks that are not theirs. */
#include <stdlib.h>

#include "scheduler/journal.h"
#include "tests/sim/sim.h"

#define BEAT_MS 5000
#define PATIENCE_MS 20000 /* and as much again at most, until a question is given up */
#define KINDS 4           /* of encoders */

enum question { ASK_NOTHING, ASK_REGISTER, ASK_PULL, ASK_BEAT, ASK_REPORT, ASK_LIE };

struct api_sim {
    uint32_t connection;
    enum question question;
    struct buf frame;
    uint64_t corr, key, again_at, until, armed;
    uint64_t id, task; /* the farm's numbers; task 0: none */
    uint64_t next_at, beat_at, report_at, end_at, back_at, frozen_until;
    uint64_t handled; /* when the farm has handled what it said last; 0: since then it registered, and nothing else counts */
    uint64_t said;    /* with which key */
    uint8_t kind, vr, status; /* status: what its task will have come to */
    bool old, down;
};

static struct api_sim *apis;
static uint64_t asked, keys;

void apis_free(void)
{
    for (uint32_t i = 0; apis && i < sim.world->apis; i++)
        buf_free(&apis[i].frame);
    free(apis);
    apis = NULL;
}

static void arm(uint32_t who, uint64_t at)
{
    struct api_sim *api = &apis[who];
    if (at < api->armed || api->armed < sim.now) {
        api->armed = at < sim.now ? sim.now : at;
        wheel_add(api->armed, EVENT_API, who, NULL, 0);
    }
}

void apis_reset(void)
{
    apis = calloc(sim.world->apis + 1, sizeof *apis);
    asked = keys = 0;
    for (uint32_t i = 0; i < sim.world->apis; i++) {
        apis[i].kind = i % 2 ? (uint8_t)below(KINDS) : TRANSCODE_CPU;
        apis[i].vr = i % 4 < 2 ? 0 : 1;
        apis[i].old = one_in(3);
        apis[i].armed = NEVER;
        apis[i].next_at = 6000 + below(sim.world->api_ms);
        arm(i, apis[i].next_at);
    }
}

bool api_thawed(uint32_t who, uint64_t *at)
{
    *at = apis[who].frozen_until;
    return *at <= sim.now;
}

/* What is said again with its key is answered from the key, and no word of the worker's. */
void api_handled(uint32_t who, const struct msg *msg)
{
    const struct rec_idem *idem = msg->shape->id == MSG_TRANSCODE_PULL     ? &msg->u.transcode_pull.idem
                                  : msg->shape->id == MSG_TRANSCODE_REPORT ? &msg->u.transcode_report.idem
                                                                           : NULL;
    uint64_t key = 0;
    if (idem && idem->scope.len >= sizeof key)
        memcpy(&key, idem->scope.ptr, sizeof key);
    if (msg->shape->id == MSG_TRANSCODE_REGISTER)
        apis[who].handled = 0;
    else if (!idem || key != apis[who].said)
        apis[who].handled = sim.now;
    if (idem)
        apis[who].said = key;
}

bool api_silent(uint32_t who)
{
    return !apis[who].handled || sim.now >= apis[who].handled + (apis[who].old ? sim.offline_old_ms : sim.offline_ms);
}

/* ---- questions ---- */

static struct rec_idem idem_of(uint64_t number)
{
    static struct {
        uint64_t a, b;
    } scope, body;
    scope.a = number * UINT64_C(0x9e3779b97f4a7c15);
    scope.b = ~sim.seed;
    body.a = number;
    body.b = 2;
    return (struct rec_idem){.scope = {(char *)&scope, 16}, .body = {(char *)&body, 16}};
}

static void ask(uint32_t who, enum question question, const struct shape *shape, const void *value)
{
    struct api_sim *api = &apis[who];
    struct err err = {0};
    buf_reset(&api->frame);
    api->question = question;
    api->corr = ++asked;
    api->again_at = sim.now;
    api->until = sim.now + PATIENCE_MS + below(PATIENCE_MS);
    if (codec_encode(&api->frame, shape, value, api->corr, (struct str){0}, &err))
        broken(0, "a worker of the API cannot ask %s: %s", shape->name, err.text);
}

static struct str name_of(uint32_t who)
{
    static char name[24];
    snprintf(name, sizeof name, "api-%u", who);
    return str_of(name);
}

static void ask_register(uint32_t who)
{
    const struct api_sim *api = &apis[who];
    struct msg_transcode_register ask_it = {
        .idem = idem_of(++keys), .name = name_of(who), .type = api->kind, .support_vr = api->vr, .old = api->old};
    ask(who, ASK_REGISTER, &shape_msg_transcode_register, &ask_it);
}

static void ask_pull(uint32_t who)
{
    struct msg_transcode_pull pull = {.idem = idem_of(++keys), .worker_id = apis[who].id};
    if (apis[who].old)
        pull.worker_name = name_of(who);
    ask(who, ASK_PULL, &shape_msg_transcode_pull, &pull);
}

static void ask_beat(uint32_t who)
{
    struct msg_transcode_beat beat = {.id = apis[who].id, .name = name_of(who)};
    apis[who].beat_at = sim.now + BEAT_MS;
    ask(who, ASK_BEAT, &shape_msg_transcode_beat, &beat);
}

/* With the record that the scheduler no longer keeps, as the gateway reads it from the store. False: there is none. */
static bool ask_report(uint32_t who, bool known)
{
    struct api_sim *api = &apis[who];
    bool over = sim.now >= api->end_at;
    struct msg_transcode_report report = {.idem = idem_of(known ? api->key : ++keys),
                                          .task_id = api->task,
                                          .worker_id = api->id,
                                          .progress = over ? 100 : (double)below(100),
                                          .status = over ? api->status : TRANSCODE_RUNNING};
    api->key = known ? api->key : keys;
    if (over && api->status == TRANSCODE_FAILED)
        report.error_message = STR_LIT("the encoder has failed");
    if (known) {
        arena_reset(sim.arena);
        if (!disk_read(TYPE_TRANSCODE_TASK, api->task, &report.known))
            return false;
        SET_HAS(&report, msg_transcode_report, known);
    }
    ask(who, ASK_REPORT, &shape_msg_transcode_report, &report);
    return true;
}

static void ask_lie(uint32_t who)
{
    struct msg_transcode_report report = {.idem = idem_of(++keys),
                                          .task_id = sim.newest_film,
                                          .worker_id = apis[who].id,
                                          .progress = 100,
                                          .status = TRANSCODE_COMPLETED};
    ask(who, ASK_LIE, &shape_msg_transcode_report, &report);
}

/* ---- its task ---- */

static void task_begin(uint32_t who, uint64_t id)
{
    struct api_sim *api = &apis[who];
    if (api->task)
        return;
    api->task = id;
    api->status = !sim.calm && one_in(6) ? TRANSCODE_FAILED : TRANSCODE_COMPLETED;
    api->end_at = sim.now + 1 + below(sim.world->duration_ms * 2);
    api->report_at = sim.now + below(sim.report_ms / 3);
    tell(id, "worker %u of the API begins it, and in %lu ms it will be %s", who, (unsigned long)(api->end_at - sim.now),
         api->status == TRANSCODE_FAILED ? "failed" : "completed");
}

static void task_drop(uint32_t who, const char *why)
{
    tell(apis[who].task, "worker %u of the API lets go of it: %s", who, why);
    apis[who].task = 0;
    apis[who].next_at = sim.now + below(sim.world->api_ms);
}

/* Its end, said for the first time. */
static void task_end(uint32_t who)
{
    struct api_sim *api = &apis[who];
    if (api->status == TRANSCODE_COMPLETED)
        run_of(api->task)->ended |= 2; /* its attempt, of which there is one */
    tell(api->task, "worker %u of the API has ended it", who);
}

/* ---- answers ---- */

static void settle(uint32_t who)
{
    struct api_sim *api = &apis[who];
    api->question = ASK_NOTHING;
    arm(who, sim.now + 1);
}

static void on_pulled(uint32_t who, const struct msg_transcode_pulled *pulled)
{
    struct api_sim *api = &apis[who];
    if (HAS(pulled, msg_transcode_pulled, task))
        task_begin(who, pulled->task.id);
    else if (pulled->directive) { /* it ends, and is started again some time */
        api_kill(who, 1000 + about(60000));
        return;
    }
    api->next_at = sim.now + (api->task ? 0 : sim.world->api_ms / 2 + below(sim.world->api_ms));
    settle(who);
}

static void on_done(uint32_t who)
{
    struct api_sim *api = &apis[who];
    if (api->question == ASK_LIE)
        broken(sim.newest_film, "worker %u of the API ended a task that is not its own", who);
    if (api->question == ASK_REPORT && sim.now >= api->end_at && api->report_at == NEVER) {
        if (shelf_open(api->task) || shelf_status(api->task) != api->status)
            broken(api->task, "its end is confirmed, and on disk it is %lu", (unsigned long)shelf_status(api->task));
        task_drop(who, "confirmed");
    }
    settle(who);
}

static void on_refusal(uint32_t who, const struct msg_error *error)
{
    struct api_sim *api = &apis[who];
    enum question question = api->question;
    if (error->code == ERR_UNAVAILABLE || error->code == ERR_LIMIT || error->code == ERR_NO_MEMORY) {
        api->again_at = sim.now + 200 + below(3000);
        arm(who, api->again_at);
        return;
    }
    if (question == ASK_REPORT && str_is(error->rule, "fetch")) {
        if (ask_report(who, true)) {
            arm(who, sim.now);
            return;
        }
    } else if (error->code != ERR_CONFLICT && error->code != ERR_NOT_FOUND) {
        broken(api->task, "worker %u of the API is refused: %.*s", who, (int)error->text.len, error->text.ptr);
    }
    if (question == ASK_REPORT) {
        /* Memory is ahead of the disk; but when nothing is on its way there, what is open was so when it was refused, too. */
        int place = sched_serving();
        if (shelf_open(api->task) && place >= 0 && journal_idle(scheds[place].journal) && store_idle() &&
            scheds[place].granted == store_epoch())
            broken(api->task, "worker %u of the API is refused what it says of its own: %.*s", who, (int)error->text.len,
                   error->text.ptr);
        task_drop(who, "refused");
    } else if (question == ASK_REGISTER) {
        api->next_at = sim.now + 3000 + below(4000);
    } else if (question != ASK_LIE && error->code == ERR_NOT_FOUND) {
        api->id = 0; /* it is not known any more */
    }
    settle(who);
}

void api_message(uint32_t who, struct packet *packet, uint32_t connection)
{
    static struct msg msg;
    struct api_sim *api = &apis[who];
    struct err err = {0};
    if (api->connection != connection || api->question == ASK_NOTHING)
        return;
    arena_reset(sim.arena);
    if (msg_decode(sim.arena, (struct str){packet->bytes, packet->len}, &msg, &err))
        broken(0, "a worker of the API cannot decode its answer: %s", err.text);
    if (msg.corr != api->corr)
        return;
    switch (msg.shape->id) {
    case MSG_TRANSCODE_WORKER:
        api->id = msg.u.transcode_worker.worker.id;
        api->beat_at = sim.now + below(BEAT_MS);
        api->next_at = sim.now + below(sim.world->api_ms);
        settle(who);
        break;
    case MSG_TRANSCODE_PULLED:
        on_pulled(who, &msg.u.transcode_pulled);
        break;
    case MSG_DONE:
        on_done(who);
        break;
    default:
        on_refusal(who, &msg.u.error);
        break;
    }
}

/* ---- its life ---- */

void api_lost(uint32_t who, uint32_t connection)
{
    struct api_sim *api = &apis[who];
    if (api->connection != connection)
        return;
    api->connection = 0;
    api->again_at = sim.now + 1 + below(1000);
    arm(who, api->again_at);
}

void api_kill(uint32_t who, uint64_t away_ms)
{
    struct api_sim *api = &apis[who];
    if (api->down)
        return;
    if (api->task)
        task_drop(who, "it dies");
    api->down = true;
    api->question = ASK_NOTHING;
    api->id = 0;
    api->frozen_until = 0;
    api->back_at = sim.now + away_ms;
    sim.api_kills++;
    uint32_t connection = api->connection;
    api->connection = 0;
    net_break(connection);
    arm(who, api->back_at);
}

void api_freeze(uint32_t who, uint64_t ms)
{
    if (!apis[who].down && apis[who].frozen_until < sim.now + ms)
        apis[who].frozen_until = sim.now + ms;
}

void api_lie(uint32_t who)
{
    const struct api_sim *api = &apis[who];
    if (!api->down && api->id && api->question == ASK_NOTHING && sim.newest_film && !shelf_is_of(sim.newest_film, who) &&
        api->frozen_until <= sim.now) {
        ask_lie(who);
        arm(who, sim.now);
    }
}

uint64_t api_number(uint32_t who)
{
    return apis[who].id;
}

uint32_t api_connection(uint32_t who)
{
    return apis[who].connection;
}

/* What it has to ask by now, if anything. */
static void wish(uint32_t who)
{
    struct api_sim *api = &apis[who];
    if (!api->id) {
        if (sim.now >= api->next_at)
            ask_register(who);
    } else if (api->task && sim.now >= api->end_at) {
        if (api->report_at != NEVER)
            task_end(who);
        api->report_at = NEVER; /* nothing but its end is said from here on */
        ask_report(who, false);
    } else if (sim.now >= api->beat_at) {
        ask_beat(who);
    } else if (api->task && sim.now >= api->report_at) {
        api->report_at = sim.now + 1 + below(sim.report_ms / 3);
        ask_report(who, false);
    } else if (!api->task && sim.now >= api->next_at) {
        ask_pull(who);
    }
}

static uint64_t next_of(const struct api_sim *api)
{
    uint64_t next = api->next_at;
    if (api->id && api->task)
        next = api->end_at < api->report_at ? api->end_at : api->report_at;
    return api->id && api->beat_at < next ? api->beat_at : next;
}

static void question_send(uint32_t who)
{
    struct api_sim *api = &apis[who];
    if (sim.now < api->again_at)
        return;
    if (!api->connection)
        api->connection = net_connect(PEER_API, who, DOOR_COMMANDS);
    if (api->connection)
        net_up(api->connection, buf_str(&api->frame));
    api->again_at = sim.now + (api->connection ? 4000 + below(4000) : 500);
}

void api_event(uint32_t who)
{
    struct api_sim *api = &apis[who];
    if (api->armed != sim.now)
        return;
    api->armed = NEVER;
    if (api->frozen_until > sim.now || (api->down && api->back_at > sim.now)) {
        arm(who, api->frozen_until > sim.now ? api->frozen_until : api->back_at);
        return;
    }
    if (api->down) {
        api->down = false;
        api->next_at = sim.now;
    }
    if (api->question != ASK_NOTHING && sim.now >= api->until)
        api->question = ASK_NOTHING;
    if (api->question == ASK_NOTHING)
        wish(who);
    if (api->question != ASK_NOTHING)
        question_send(who);
    arm(who, api->question != ASK_NOTHING ? api->again_at : next_of(api) > sim.now ? next_of(api) : sim.now + 1);
}

bool apis_done(void)
{
    for (uint32_t i = 0; i < sim.world->apis; i++)
        if (apis[i].task)
            return false;
    return true;
}
