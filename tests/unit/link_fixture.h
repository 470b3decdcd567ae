/* A worker's session, and a farm at its other end whose every step is the test's. Runs are real processes. */
#ifndef GANTRY_TESTS_LINK_FIXTURE_H
#define GANTRY_TESTS_LINK_FIXTURE_H

#include "tests/unit/worker_unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "proto/clock.h"
#include "worker/link.h"
#include "worker/value.h"

#define PATIENCE_MS 60000

static char folder[UNIT_FOLDER_SIZE], endpoint[128], mark[96];
static struct loop *loop;
static struct home home;
static struct processes *processes;
static struct roster roster;
static struct link_config config;
static struct link *session;
static struct bus_server *farm;
static struct str types[] = {{"shell", 5}}, names[] = {{"shell", 5}, {"exec", 4}};

/* What the worker said, in order, as words; and details of the newest of a kind. */
static struct {
    char words[65536];
    struct bus_peer peer;
    uint64_t hello_held, hello_credit, beat_credit, beat_grace, outcome, log_first, log_last, publish_size;
    char result[256], error[512], reason[256], log[4096], publish_temporary[PUBLISH_PATH];
    double percent;
    int over;
    struct err over_err;
    bool acks; /* confirm logs and results as they come */
} heard;

static inline void word(const struct bus_call *call, const char *format, ...)
{
    va_list args;
    heard.peer = call->peer;
    size_t have = strlen(heard.words);
    va_start(args, format);
    vsnprintf(heard.words + have, sizeof(heard.words) - have, format, args);
    va_end(args);
}

static inline void say(const struct shape *shape, const void *value)
{
    struct err err = {0};
    if (bus_send(farm, &heard.peer, shape, value, 0, (struct str){0}, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void on_hello(void *self, const struct bus_call *call)
{
    (void)self;
    const struct msg_hello *hello = &call->msg->u.hello;
    heard.hello_held = hello->running.count;
    heard.hello_credit = hello->credit;
    word(call, "HELLO ");
}

static inline void on_heartbeat(void *self, const struct bus_call *call)
{
    (void)self;
    heard.beat_credit = call->msg->u.heartbeat.credit;
    heard.beat_grace = call->msg->u.heartbeat.grace_ms;
    word(call, "HEARTBEAT ");
}

static inline void on_leases(const struct bus_call *call, const char *name, const struct rec_lease_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        word(call, "%s:%lu/%lu ", name, list->items[i].run_id, list->items[i].attempt);
        str_copy(heard.reason, sizeof(heard.reason), list->items[i].reason);
    }
}

static inline void on_accept(void *self, const struct bus_call *call)
{
    (void)self;
    on_leases(call, "ACCEPT", &call->msg->u.accept.leases);
}

static inline void on_reject(void *self, const struct bus_call *call)
{
    (void)self;
    on_leases(call, "REJECT", &call->msg->u.reject.leases);
}

static inline void on_progress(void *self, const struct bus_call *call)
{
    (void)self;
    heard.percent = call->msg->u.progress.items.items[0].percent;
    word(call, "PROGRESS ");
}

static inline void on_log(void *self, const struct bus_call *call)
{
    (void)self;
    const struct rec_log_chunk *chunk = &call->msg->u.log.chunk;
    heard.log_first = chunk->lines.items[0].seq;
    heard.log_last = chunk->lines.items[chunk->lines.count - 1].seq;
    str_copy(heard.log, sizeof(heard.log), chunk->lines.items[0].text);
    word(call, "LOG:%lu/%lu ", chunk->run_id, chunk->attempt);
    struct msg_log_ack ack = {.run_id = chunk->run_id, .attempt = chunk->attempt, .seq = heard.log_last};
    if (heard.acks)
        say(&shape_msg_log_ack, &ack);
}

static inline void on_publish(void *self, const struct bus_call *call)
{
    (void)self;
    const struct msg_publish *publish = &call->msg->u.publish;
    heard.publish_size = publish->output.size;
    str_copy(heard.publish_temporary, sizeof(heard.publish_temporary), publish->output.temporary);
    word(call, "PUBLISH:%lu/%lu ", publish->run_id, publish->output.attempt);
}

static inline void on_result(void *self, const struct bus_call *call)
{
    (void)self;
    const struct rec_outcome_list *list = &call->msg->u.result.items;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct rec_outcome *item = &list->items[i];
        word(call, "RESULT:%lu/%lu ", item->run_id, item->attempt);
        heard.outcome = item->outcome;
        str_copy(heard.result, sizeof(heard.result), item->result);
        str_copy(heard.error, sizeof(heard.error), item->error);
        struct rec_lease lease = {.run_id = item->run_id, .attempt = item->attempt};
        struct msg_result_ack ack = {.leases = {&lease, 1}};
        if (heard.acks)
            say(&shape_msg_result_ack, &ack);
    }
}

static inline void on_drain(void *self, const struct bus_call *call)
{
    (void)self;
    word(call, "DRAIN ");
}

static inline void on_bye(void *self, const struct bus_call *call)
{
    (void)self;
    word(call, "BYE ");
}

static const struct bus_route routes[] = {
    {MSG_HELLO, on_hello, ""},
    {MSG_HEARTBEAT, on_heartbeat, ""},
    {MSG_ACCEPT, on_accept, ""},
    {MSG_REJECT, on_reject, ""},
    {MSG_PROGRESS, on_progress, ""},
    {MSG_LOG, on_log, ""},
    {MSG_PUBLISH, on_publish, ""},
    {MSG_RESULT, on_result, ""},
    {MSG_DRAIN, on_drain, ""},
    {MSG_BYE, on_bye, ""},
    {0, NULL, NULL},
};

static inline void on_over(void *self, const struct err *err)
{
    (void)self;
    heard.over++;
    heard.over_err = *err;
}

/* ---- helpers ---- */

static inline void poke(void *arg)
{
    loop_stop(arg);
}

#define UNTIL(condition)                                                                                                         \
    do {                                                                                                                         \
        uint64_t until_ = clock_mono_ms() + PATIENCE_MS;                                                                         \
        while (!(condition)) {                                                                                                   \
            if (clock_mono_ms() > until_)                                                                                        \
                fail_msg("not within %d ms: %s\nheard: %s", PATIENCE_MS, #condition, heard.words);                               \
            loop_after(loop, 5, poke, loop);                                                                                     \
            loop_run(loop);                                                                                                      \
        }                                                                                                                        \
    } while (0)

/* The end of a script that goes on until let_go. */
static inline const char *until_let_go(const char *begin)
{
    static char script[256];
    snprintf(script, sizeof(script), "%s; until [ -e %s/go ]; do sleep 0.01; done", begin, folder);
    return script;
}

static inline void let_go(void)
{
    char path[UNIT_FOLDER_SIZE + 4];
    snprintf(path, sizeof(path), "%s/go", folder);
    unit_write(path, "");
}

static inline bool has(const char *text)
{
    return strstr(heard.words, text) != NULL;
}

static inline void farm_opens(void)
{
    struct err err = {0};
    farm = bus_server_new(loop, endpoint, NULL, routes, NULL, &err);
    if (!farm)
        fail_msg("%s", err.text);
}

static inline void welcome_beating(uint64_t heartbeat_ms)
{
    struct msg_welcome message = {
        .worker_id = 1, .name = STR_LIT("worker-001"), .protocol = 1, .heartbeat_ms = heartbeat_ms, .lease_ms = 30000};
    say(&shape_msg_welcome, &message);
}

static inline void welcome(void)
{
    welcome_beating(60000);
}

static inline struct rec_assignment assignment(uint64_t run, uint64_t attempt, const char *script)
{
    struct rec_assignment item = {.run_id = run, .attempt = attempt, .task_name = STR_LIT("t")};
    item.spec.executor = STR_LIT("shell");
    item.spec.command = str_of(script);
    SET_HAS(&item.spec, rec_task_spec, executor);
    SET_HAS(&item.spec, rec_task_spec, command);
    return item;
}

static inline void assign(struct rec_assignment item)
{
    struct msg_assign message = {.runs = {&item, 1}};
    struct buf env = {0};
    const struct str texts[] = {STR_LIT("UNIT_MARK"), str_of(mark + strlen("UNIT_MARK="))};
    assert_int_equal(value_pack_texts(&env, texts, 1), 0);
    item.spec.env = buf_str(&env);
    SET_HAS(&item.spec, rec_task_spec, env);
    say(&shape_msg_assign, &message);
    buf_free(&env);
}

static inline void lease_message(const struct shape *shape, uint64_t run, uint64_t attempt)
{
    struct rec_lease lease = {.run_id = run, .attempt = attempt};
    struct msg_refused message = {.leases = {&lease, 1}}; /* RESULT_ACK and CANCEL have the same members */
    say(shape, &message);
}

static inline int set_up_slots(uint32_t slots)
{
    char path[PATH_MAX];
    static char self[PATH_MAX];
    struct err err = {0};
    memset(&heard, 0, sizeof(heard));
    heard.acks = true;
    unit_folder(folder);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/s", folder);
    snprintf(mark, sizeof(mark), "UNIT_MARK=%s", folder);
    loop = loop_new();
    assert_int_equal(home_open(&home, loop, folder, "w", &err), 0);
    processes = processes_new(loop, built("gantry-run", path), &err);
    assert_non_null(processes);
    struct run_context context = {.loop = loop,
                                  .processes = processes,
                                  .home = &home,
                                  .self = built("gantry-worker", self),
                                  .run_as = "",
                                  .grace_ms = 10000,
                                  .log_bytes = 1 << 20};
    roster_init(&roster, &context, slots);
    config = (struct link_config){.endpoint = endpoint,
                                  .ident = home.ident,
                                  .hostname = "here",
                                  .ip_address = "127.0.0.1",
                                  .task_types = {types, 1},
                                  .executors = {names, 2}};
    farm_opens();
    session = link_new(loop, &config, &roster, on_over, NULL, &err);
    assert_non_null(session);
    UNTIL(has("HELLO"));
    welcome();
    return 0;
}

static inline int set_up(void **state)
{
    (void)state;
    return set_up_slots(1);
}

static inline int tear_down(void **state)
{
    (void)state;
    link_free(session);
    roster_abandon(&roster);
    processes_free(processes);
    roster_clear(&roster);
    home_close(&home);
    bus_server_free(farm);
    loop_free(loop);
    int left = marked_processes(mark);
    unit_remove(folder);
    return left;
}

static inline void confirm_log(uint64_t run, uint64_t attempt, uint64_t seq)
{
    struct msg_log_ack ack = {.run_id = run, .attempt = attempt, .seq = seq};
    say(&shape_msg_log_ack, &ack);
}

/* ---- outputs ---- */

static char final[PATH_MAX];

static inline void assign_output(uint64_t run, uint64_t attempt, const char *script, const struct rec_published *known)
{
    struct rec_assignment item = assignment(run, attempt, script);
    snprintf(final, sizeof(final), "%s/out.txt", folder);
    item.spec.output = str_of(final);
    SET_HAS(&item.spec, rec_task_spec, output);
    if (known) {
        item.published = *known;
        SET_HAS(&item, rec_assignment, published);
    }
    assign(item);
}

/* No descriptors are left, so the process that names a granted output cannot be started, and is tried again for a while. */
static inline struct rlimit starve(void)
{
    struct rlimit before, none;
    struct msg_publish_grant grant = {.run_id = 5, .attempt = 1};
    assign_output(5, 1, "printf content > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:5/1"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(STDIN_FILENO); /* all below it are in use */
    assert_true(lowest > 0);
    close(lowest);
    none = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    say(&shape_msg_publish_grant, &grant);
    UNTIL(roster.first->again);
    return before;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
