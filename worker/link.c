/* The session: what the farm says becomes events of runs (link_routes), and what runs owe the farm is sent when a wake-up settles.
 *
 * Nothing is remembered about what is on its way. Each run knows what it owes and when it was last sent in this session; a new session begins
 * with HELLO, which names everything held, and then all that is owed is sent again. What the farm has not confirmed after a while is
 * sent again in the same session, too: it may have had to leave it unanswered (store away).
 *
 * Invariants: nothing but HELLO is sent before WELCOME. A run's log lines go out before its result. A result is forgotten
 * only when RESULT_ACK or REFUSED names it.
 */
#include "worker/link.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "worker/ask.h"
#include "worker/load.h"
#include "worker/owed.h"

#define HELLO_AGAIN_MS 3000
#define FLUSH_MS 200
#define KILL_AGAIN_MS 250    /* while the worker leaves and processes are left */
#define LAST_WORDS_MS 2000u  /* so long it waits at its end for the next part of what it owes to be taken */
#define RESULT_HELD_MS 1000u /* a result that came with lines the farm had no room for is not answered */
#define LINES_WAIT_MS 60000u /* log lines are tried this long behind an acknowledged result */

struct link {
    struct loop *loop;
    struct bus_client *client;
    const struct link_config *config;
    struct roster *roster;
    void (*over)(void *self, const struct err *err);
    void *self;
    char boot[33];
    bool welcomed, draining, leaving, said_bye, ended;
    uint64_t bye_at;                   /* monotonic: with nothing left to do, it waits no longer to be heard; 0 before */
    int heartbeat, hello, flush, kill; /* timers, made ahead: what keeps its leases needs no memory */
    uint32_t told_credit;
    uint64_t heartbeat_ms; /* as the farm said last */
    struct load load;
    struct owed owed;  /* space for messages */
    struct asks asks;  /* questions of runs' programs */
    struct ship *ship; /* NULL: its log stays here */
    struct {           /* LOG_LINES under way; corr 0: none */
        uint64_t corr;
        bus_reply *reply;
        void *arg;
    } lines;
};

static void on_kill(void *arg);

static void link_over(struct link *link, const struct err *err)
{
    if (link->ended)
        return;
    link->ended = true;
    link->over(link->self, err);
}

/* ---- what is said of itself ---- */

/* -1 without memory for it: then nothing may be said, as what is not named is taken away. */
static int held(struct link *link, struct rec_lease_list *leases)
{
    *leases = (struct rec_lease_list){.items = owed_leases(&link->owed, link->roster->count)};
    if (!leases->items)
        return -1;
    leases->count = roster_leases(link->roster, leases->items);
    return 0;
}

static void say_hello(void *arg)
{
    struct link *link = arg;
    const struct link_config *config = link->config;
    struct err err = {0};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(config->ident),
                              .boot = str_of(link->boot),
                              .hostname = str_of(config->hostname),
                              .ip_address = str_of(config->ip_address),
                              .pid = (uint64_t)getpid(),
                              .task_types = config->task_types,
                              .executors = config->executors,
                              .slots = link->roster->slots,
                              .credit = link->roster->credit,
                              .labels = config->labels,
                              .draining = link->draining,
                              .version = str_of(GANTRY_VERSION),
                              .grace_ms = link->roster->context.grace_ms};
    if (!bus_client_is_up(link->client))
        return;
    link->told_credit = link->roster->credit;
    if (held(link, &hello.running) < 0)
        log_warn("GTY-WORKER-HELLO", "no memory to say HELLO; it is tried again");
    else if (bus_tell(link->client, &shape_msg_hello, &hello, &err) < 0)
        log_warn("GTY-WORKER-HELLO", "HELLO could not be sent: %s", err.text);
}

/* It has no answer, may be refused (the store is away) and gets lost when it falls between HELLO and WELCOME: so it is said in every session
 * and with every HEARTBEAT, and a repeat changes nothing. */
static void say_drain(struct link *link)
{
    struct msg_drain drain = {0};
    struct err err = {0};
    if (link->draining && link->welcomed && bus_tell(link->client, &shape_msg_drain, &drain, &err) < 0)
        log_warn("GTY-WORKER-DRAIN", "DRAIN could not be sent: %s", err.text);
}

static void say_heartbeat(void *arg)
{
    struct link *link = arg;
    struct err err = {0};
    load_read(&link->load);
    struct msg_heartbeat beat = {.load_average = link->load.average,
                                 .memory_mb = link->load.memory_mb,
                                 .cpu_percent = link->load.cpu_percent,
                                 .credit = link->roster->credit,
                                 .grace_ms = link->roster->context.grace_ms};
    SET_HAS(&beat, msg_heartbeat, credit);
    SET_HAS(&beat, msg_heartbeat, grace_ms);
    if (!link->welcomed)
        return;
    say_drain(link);
    link->told_credit = link->roster->credit;
    if (held(link, &beat.running) < 0)
        log_warn("GTY-WORKER-HEARTBEAT", "no memory to say HEARTBEAT; the next one follows");
    else if (bus_tell(link->client, &shape_msg_heartbeat, &beat, &err) < 0)
        log_warn("GTY-WORKER-HEARTBEAT", "HEARTBEAT could not be sent: %s", err.text);
}

/* ---- what the farm says ---- */

static void drop(struct link *link, const struct rec_lease_list *leases)
{
    for (uint32_t i = 0; i < leases->count; i++) {
        const struct rec_lease *lease = &leases->items[i];
        struct run *run = roster_find(link->roster, lease->run_id, lease->attempt);
        if (!run)
            continue;
        log_warn("GTY-RUN-REFUSED", "run=%" PRIu64 " attempt=%" PRIu64 " is no longer this worker's: %.*s", run->id, run->attempt,
                 (int)lease->reason.len, lease->reason.ptr);
        run->spent = lease->spent;
        run_event(run, SLOT_EV_DROP);
    }
}

/* ---- its own log ---- */

static void lines_over(struct link *link, const struct msg *msg, const struct err *err)
{
    link->lines.corr = 0;
    link->lines.reply(link->lines.arg, msg, err);
}

static void on_lines_reply(void *arg, const struct msg *msg, const struct err *err)
{
    lines_over(arg, msg, err);
}

static bool say_lines(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    struct link *link = self;
    if (!link->welcomed)
        return false;
    link->lines.reply = reply;
    link->lines.arg = arg;
    link->lines.corr =
        bus_ask(link->client, &shape_msg_log_lines, lines, (struct str){0}, SHIP_DEADLINE_MS, on_lines_reply, link);
    return true;
}

/* In another session they are not asked for again: nothing but HELLO is sent before WELCOME. */
static void lines_forget(struct link *link)
{
    struct err err = {0};
    if (link->lines.corr == 0)
        return;
    bus_forget(link->client, link->lines.corr);
    err_set(&err, ERR_UNKNOWN_OUTCOME, "the session is over");
    lines_over(link, NULL, &err);
}

/* A farm that does not know LOG_LINES says so once; the next session may be with another one. */
static void lines_begin(struct link *link)
{
    const struct ship_port port = {.self = link, .ask = say_lines};
    if (link->ship)
        ship_attach(link->ship, &port);
}

void link_ship(struct link *link, struct ship *ship)
{
    link->ship = ship;
    if (link->welcomed)
        lines_begin(link);
}

/* ---- what the farm says of runs ---- */

static void on_welcome(struct link *link, const struct msg *msg)
{
    const struct msg_welcome *welcome = &msg->u.welcome;
    log_info("GTY-WORKER-WELCOME", "worker=%.*s id=%" PRIu64 " holding=%u", (int)welcome->name.len, welcome->name.ptr,
             welcome->worker_id, link->roster->count);
    link->welcomed = true;
    lines_begin(link);
    if (link->config->welcomed)
        link->config->welcomed(link->self, welcome->name);
    loop_unset(link->loop, link->hello);
    link->heartbeat_ms = welcome->heartbeat_ms;
    loop_set(link->loop, link->heartbeat, link->heartbeat_ms, link->heartbeat_ms);
    say_drain(link);
    drop(link, &welcome->drop);
    for (struct run *run = link->roster->first; run; run = run->next)
        owed_again(run);
}

static void on_heartbeat_ack(struct link *link, const struct msg *msg)
{
    const struct msg_heartbeat_ack *ack = &msg->u.heartbeat_ack;
    drop(link, &ack->drop);
    if (ack->heartbeat_ms == 0 || ack->heartbeat_ms == link->heartbeat_ms)
        return;
    link->heartbeat_ms = ack->heartbeat_ms;
    loop_set(link->loop, link->heartbeat, link->heartbeat_ms, link->heartbeat_ms);
}

static void on_assign(struct link *link, const struct msg *msg)
{
    const struct rec_assignment_list *runs = &msg->u.assign.runs;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct rec_assignment *assignment = &runs->items[i];
        struct err err = {0};
        if (roster_assign(link->roster, assignment, &err) == 0) {
            struct run *run = roster_find(link->roster, assignment->run_id, assignment->attempt);
            run->owes_accept = true;
            continue;
        }
        struct rec_lease lease = {.run_id = assignment->run_id, .attempt = assignment->attempt, .reason = str_of(err.text)};
        struct msg_reject reject = {.leases = {&lease, 1}};
        log_warn("GTY-RUN-REJECTED", "run=%" PRIu64 " attempt=%" PRIu64 " %s", lease.run_id, lease.attempt, err.text);
        if (bus_tell(link->client, &shape_msg_reject, &reject, &err) < 0)
            log_warn("GTY-RUN-REJECTED", "REJECT could not be sent: %s",
                     err.text); /* the farm takes it back when it is not accepted */
    }
}

static void on_log_ack(struct link *link, const struct msg *msg)
{
    const struct msg_log_ack *ack = &msg->u.log_ack;
    struct run *run = roster_find(link->roster, ack->run_id, ack->attempt);
    if (!run)
        return;
    uint64_t now = clock_mono_ms();
    backlog_acked(&run->backlog, ack->seq);
    if (link->bye_at)
        link->bye_at = now + LAST_WORDS_MS; /* it is being heard: what it owes gets less */
    owed_send_log(&link->owed, link->client, run, now);
    if (run->result_sent && now - run->result_sent > RESULT_HELD_MS)
        run->result_sent = 0; /* the farm had to leave it unanswered for these lines */
    if (run->acked_at && !run->backlog.first)
        run_event(run, SLOT_EV_ACK);
}

static void on_publish_grant(struct link *link, const struct msg *msg)
{
    struct run *run = roster_find(link->roster, msg->u.publish_grant.run_id, msg->u.publish_grant.attempt);
    if (run)
        run_event(run, SLOT_EV_GRANT);
}

static void on_result_ack(struct link *link, const struct msg *msg)
{
    const struct rec_lease_list *leases = &msg->u.result_ack.leases;
    for (uint32_t i = 0; i < leases->count; i++) {
        struct run *run = roster_find(link->roster, leases->items[i].run_id, leases->items[i].attempt);
        if (!run || run->acked_at)
            continue;
        if (run->state == SLOT_ENDED && link->config->finished)
            link->config->finished(link->self, run);
        if (run->state == SLOT_ENDED)
            roster_measure(link->roster, run);
        if (run->state == SLOT_ENDED && run->backlog.first)
            run->acked_at = clock_mono_ms(); /* the farm had no room for its last lines: they come again */
        else
            run_event(run, SLOT_EV_ACK);
    }
}

static void on_refused(struct link *link, const struct msg *msg)
{
    drop(link, &msg->u.refused.leases);
}

static void on_cancel(struct link *link, const struct msg *msg)
{
    const struct rec_lease_list *leases = &msg->u.cancel.leases;
    for (uint32_t i = 0; i < leases->count; i++) {
        struct run *run = roster_find(link->roster, leases->items[i].run_id, leases->items[i].attempt);
        if (run)
            run_event(run, SLOT_EV_CANCEL);
    }
}

/* rule "hello": the farm does not know this session (any more). rule "superseded": another process is this worker now. */
static void on_error(struct link *link, const struct msg *msg)
{
    const struct msg_error *error = &msg->u.error;
    log_warn("GTY-WORKER-ERROR", "code=%s rule=%.*s %.*s", error_code_name(error->code), (int)error->rule.len, error->rule.ptr,
             (int)error->text.len, error->text.ptr);
    bool again = str_is(error->rule, "hello");
    bool unfit = !link->welcomed && !again &&
                 (error->code == ERR_PROTOCOL || error->code == ERR_INVALID || error->code == ERR_BAD_REQUEST ||
                  error->code == ERR_FORBIDDEN);
    if (unfit || str_is(error->rule, "superseded")) {
        struct err err = {0};
        err_set(&err, (int)error->code, "the farm refuses this worker: %.*s", (int)error->text.len, error->text.ptr);
        link_over(link, &err);
    } else if (again && link->welcomed) {
        asks_again(&link->asks);
        link->welcomed = false;
        loop_unset(link->loop, link->heartbeat);
        loop_set(link->loop, link->hello, HELLO_AGAIN_MS, HELLO_AGAIN_MS);
        say_hello(link);
    }
}

/* Answers to what a run's program asked go to it (ask.c) and do not come by here; one that does, nobody waits for any more. */
static void on_late_answer(struct link *link, const struct msg *msg)
{
    (void)link;
    log_debug("GTY-RUN-ASK", "a %s that nobody waits for", msg->shape->name);
}

const struct worker_route link_routes[] = {
    {MSG_WELCOME, on_welcome, "the session stands; what it names in drop is stopped and forgotten"},
    {MSG_HEARTBEAT_ACK, on_heartbeat_ack,
     "what it names in drop is stopped and forgotten; heartbeats may come at another pace from now on"},
    {MSG_ASSIGN, on_assign, "runs to do: each is accepted or rejected at once"},
    {MSG_LOG_ACK, on_log_ack, "log lines that need not be kept any more"},
    {MSG_PUBLISH_GRANT, on_publish_grant, "the output gets its name"},
    {MSG_RESULT_ACK, on_result_ack, "results that need not be kept any more"},
    {MSG_REFUSED, on_refused, "runs that are another's now: stopped and forgotten"},
    {MSG_CANCEL, on_cancel, "runs to stop; their result is aborted"},
    {MSG_LIBRARY_KNOWN_ROWS, on_late_answer, "what the farm knows of a library, for a scan that asks"},
    {MSG_LIBRARY_FOUND_ACK, on_late_answer, "what a scan found is kept, and it may go on"},
    {MSG_TRANSCODE_CUT_KNOWN, on_late_answer, "whether a video is made in segments"},
    {MSG_RENDER_LOOKED, on_late_answer, "which files of a scene the farm has"},
    {MSG_SCENE_TOLD, on_late_answer, "it knows which files a scene needs"},
    {MSG_ERROR, on_error, "a session that is not known, or not wanted"},
    {0, NULL, NULL},
};

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    struct link *link = self;
    (void)frame;
    for (const struct worker_route *row = link_routes; row->id; row++)
        if (row->id == msg->shape->id) {
            if (link->welcomed || row->id == MSG_WELCOME || row->id == MSG_ERROR)
                row->handle(link, msg);
            return;
        }
    log_warn("GTY-WORKER-MESSAGE", "a %s is nothing a worker knows", msg->shape->name);
}

/* What came in the place of an answer. Only a REFUSED is acted on: it names the run. */
static void on_asked(void *self, const struct msg *msg)
{
    if (msg->shape->id == MSG_REFUSED || msg->shape->id == MSG_ERROR)
        on_message(self, msg, (struct str){0});
}

static void on_up(void *self)
{
    struct link *link = self;
    log_info("GTY-WORKER-UP", "endpoint=%s connected", link->config->endpoint);
    link->welcomed = false;
    say_hello(link);
    loop_set(link->loop, link->hello, HELLO_AGAIN_MS, HELLO_AGAIN_MS);
}

static void on_down(void *self)
{
    struct link *link = self;
    log_warn("GTY-WORKER-DOWN", "endpoint=%s connection lost; runs go on", link->config->endpoint);
    lines_forget(link);
    asks_again(&link->asks);
    link->welcomed = false;
    loop_unset(link->loop, link->heartbeat);
    loop_unset(link->loop, link->hello);
}

/* ---- sending what is owed ---- */

static bool rejects(const struct run *run)
{
    return run->owes_reject;
}

/* BYE, and a question behind it whose answer proves that it was read. */
static void on_pong(void *arg, const struct msg *msg, const struct err *err)
{
    (void)msg, (void)err;
    struct err none = {0};
    link_over(arg, &none);
}

static void say_bye(struct link *link)
{
    struct msg_bye bye = {0};
    struct msg_ping ping = {0};
    struct err err = {0};
    if (link->said_bye)
        return;
    link->said_bye = true;
    if (link->ship)
        ship_end(link->ship); /* behind BYE there is no session */
    if (!bus_client_is_up(link->client) || bus_tell(link->client, &shape_msg_bye, &bye, &err) < 0)
        link_over(link, &err);
    else
        bus_ask(link->client, &shape_msg_ping, &ping, (struct str){0}, 1000, on_pong, link);
}

/* Worth a message of its own: it halved, doubled, or fell back to the slots. */
static bool credit_moved(const struct link *link)
{
    uint32_t now = link->roster->credit, told = link->told_credit;
    return now != told && (now == link->roster->slots || now >= told * 2 || now * 2 <= told);
}

/* Draining, it goes when all is done. Leaving, it goes when nothing runs; but what has ended by itself is done, and would be done once more
 * if it went before the farm has heard of it: log lines first, then the result. What is still owed then is waited for a while. */
static bool may_go(struct link *link, uint64_t now_ms)
{
    if (!link->draining || (link->leaving ? roster_processes(link->roster) : roster_undone(link->roster)) > 0)
        return false;
    if (link->bye_at == 0)
        link->bye_at = now_ms + LAST_WORDS_MS;
    return link->roster->count == 0 || now_ms >= link->bye_at;
}

static void settle(void *arg)
{
    struct link *link = arg;
    if (link->ended)
        return;
    uint64_t now = clock_mono_ms();
    if (link->welcomed) {
        owed_send_accepts(&link->owed, link->client, link->roster, now);
        roster_fill(link->roster, now);
        owed_send_rejects(&link->owed, link->client, link->roster);
        owed_send_results(&link->owed, link->client, link->roster, now);
        owed_send_publishes(link->client, link->roster, now);
        asks_send(&link->asks);
        if (credit_moved(link))
            say_heartbeat(link);
    }
    roster_purge(link->roster, rejects);
    if (may_go(link, now))
        say_bye(link);
}

static void on_flush(void *arg)
{
    struct link *link = arg;
    for (struct run *run = link->roster->first; run; run = run->next)
        phase_again(run);
    if (!link->welcomed)
        return;
    uint64_t now = clock_mono_ms();
    owed_send_progress(&link->owed, link->client, link->roster);
    for (struct run *run = link->roster->first; run; run = run->next) {
        owed_send_log(&link->owed, link->client, run, now);
        if (run->acked_at && now - run->acked_at > LINES_WAIT_MS) {
            log_warn("GTY-RUN-LINES", "run=%" PRIu64 " attempt=%" PRIu64 " its last log lines are given up", run->id,
                     run->attempt);
            run_event(run, SLOT_EV_ACK);
        }
    }
}

/* ---- its life ---- */

struct link *link_new(struct loop *loop, const struct link_config *config, struct roster *roster,
                      void (*over)(void *self, const struct err *err), void *self, struct err *err)
{
    static const struct bus_client_events events = {.up = on_up, .down = on_down, .message = on_message};
    struct link *link = calloc(1, sizeof(*link));
    if (!link) {
        err_set(err, ERR_NO_MEMORY, "no memory");
        return NULL;
    }
    *link = (struct link){.loop = loop, .config = config, .roster = roster, .over = over, .self = self};
    ident_random(link->boot, 16);
    load_read(&link->load);
    link->flush = loop_every(loop, FLUSH_MS, on_flush, link);
    link->heartbeat = loop_timer(loop, say_heartbeat, link);
    link->hello = loop_timer(loop, say_hello, link);
    link->kill = loop_timer(loop, on_kill, link);
    if (link->flush < 0 || link->heartbeat < 0 || link->hello < 0 || link->kill < 0) {
        err_set(err, ERR_NO_MEMORY, "no memory");
        goto error;
    }
    link->client = bus_client_new(loop, config->endpoint, config->curve, &events, link, err);
    if (!link->client)
        goto error;
    link->asks = (struct asks){.roster = roster, .client = link->client, .message = on_asked, .self = link};
    loop_on_settle(loop, settle, link);
    return link;
error:
    link_free(link);
    return NULL;
}

void link_free(struct link *link)
{
    if (!link)
        return;
    if (link->ship)
        ship_attach(link->ship, NULL);
    loop_on_settle(link->loop, NULL, NULL);
    bus_client_free(link->client);
    asks_clear(&link->asks);
    loop_cancel(link->loop, link->heartbeat);
    loop_cancel(link->loop, link->hello);
    loop_cancel(link->loop, link->flush);
    loop_cancel(link->loop, link->kill);
    owed_clear(&link->owed);
    free(link);
}

void link_hint(struct link *link, const struct msg_library_hint *hint)
{
    struct err err = {0};
    if (link->welcomed && bus_tell(link->client, &shape_msg_library_hint, hint, &err) < 0)
        log_warn("GTY-LIBRARY-WATCH", "a hint could not be sent: %s", err.text);
}

void link_again(struct link *link)
{
    if (link && link->welcomed)
        say_hello(link);
}

void link_drain(struct link *link)
{
    if (link->draining)
        return;
    link->draining = link->roster->leaving = true;
    for (struct run *run = link->roster->first; run; run = run->next)
        if (run->state == SLOT_ASSIGNED || run->state == SLOT_ACCEPTED) {
            run->reject_reason = "the worker is draining";
            run_event(run, SLOT_EV_LEAVE);
        }
    say_drain(link);
}

/* Again and again until none is left: a run may be between two processes of its own at the moment of one kill. */
static void on_kill(void *arg)
{
    struct link *link = arg;
    for (struct run *run = link->roster->first; run; run = run->next)
        if (run->process)
            process_kill(run->process);
    loop_set(link->loop, link->kill, KILL_AGAIN_MS, 0);
}

void link_leave(struct link *link, uint64_t kill_ms)
{
    link->draining = true;
    if (!link->leaving)
        roster_leave(link->roster);
    link->leaving = true;
    if (kill_ms)
        loop_set(link->loop, link->kill, kill_ms, 0);
    else
        on_kill(link);
}
