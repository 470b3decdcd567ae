/* The worker's session against a farm whose every step is the test's. Runs are real processes. */
#include "tests/unit/worker_unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "proto/clock.h"
#include "worker/link.h"
#include "worker/value.h"

#define PATIENCE_MS 20000

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
    uint64_t hello_held, hello_credit, beat_credit, outcome, log_first, log_last, publish_size;
    char result[256], error[512], reason[256], log[4096], publish_temporary[PUBLISH_PATH];
    double percent;
    int over;
    struct err over_err;
    bool acks; /* confirm logs and results as they come */
} heard;

static void word(const struct bus_call *call, const char *format, ...)
{
    va_list args;
    heard.peer = call->peer;
    size_t have = strlen(heard.words);
    va_start(args, format);
    vsnprintf(heard.words + have, sizeof(heard.words) - have, format, args);
    va_end(args);
}

static void say(const struct shape *shape, const void *value)
{
    struct err err = {0};
    if (bus_send(farm, &heard.peer, shape, value, 0, (struct str){0}, &err) < 0)
        fail_msg("%s", err.text);
}

static void on_hello(void *self, const struct bus_call *call)
{
    (void)self;
    const struct msg_hello *hello = &call->msg->u.hello;
    heard.hello_held = hello->running.count;
    heard.hello_credit = hello->credit;
    word(call, "HELLO ");
}

static void on_heartbeat(void *self, const struct bus_call *call)
{
    (void)self;
    heard.beat_credit = call->msg->u.heartbeat.credit;
    word(call, "HEARTBEAT ");
}

static void on_leases(const struct bus_call *call, const char *name, const struct rec_lease_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        word(call, "%s:%lu/%lu ", name, list->items[i].run_id, list->items[i].attempt);
        str_copy(heard.reason, sizeof(heard.reason), list->items[i].reason);
    }
}

static void on_accept(void *self, const struct bus_call *call)
{
    (void)self;
    on_leases(call, "ACCEPT", &call->msg->u.accept.leases);
}

static void on_reject(void *self, const struct bus_call *call)
{
    (void)self;
    on_leases(call, "REJECT", &call->msg->u.reject.leases);
}

static void on_progress(void *self, const struct bus_call *call)
{
    (void)self;
    heard.percent = call->msg->u.progress.items.items[0].percent;
    word(call, "PROGRESS ");
}

static void on_log(void *self, const struct bus_call *call)
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

static void on_publish(void *self, const struct bus_call *call)
{
    (void)self;
    const struct msg_publish *publish = &call->msg->u.publish;
    heard.publish_size = publish->output.size;
    str_copy(heard.publish_temporary, sizeof(heard.publish_temporary), publish->output.temporary);
    word(call, "PUBLISH:%lu/%lu ", publish->run_id, publish->output.attempt);
}

static void on_result(void *self, const struct bus_call *call)
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

static void on_drain(void *self, const struct bus_call *call)
{
    (void)self;
    word(call, "DRAIN ");
}

static void on_bye(void *self, const struct bus_call *call)
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

static void on_over(void *self, const struct err *err)
{
    (void)self;
    heard.over++;
    heard.over_err = *err;
}

/* ---- helpers ---- */

static void poke(void *arg)
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

static bool has(const char *text)
{
    return strstr(heard.words, text) != NULL;
}

static void farm_opens(void)
{
    struct err err = {0};
    farm = bus_server_new(loop, endpoint, NULL, routes, NULL, &err);
    if (!farm)
        fail_msg("%s", err.text);
}

static void welcome_beating(uint64_t heartbeat_ms)
{
    struct msg_welcome message = {
        .worker_id = 1, .name = STR_LIT("worker-001"), .protocol = 1, .heartbeat_ms = heartbeat_ms, .lease_ms = 30000};
    say(&shape_msg_welcome, &message);
}

static void welcome(void)
{
    welcome_beating(60000);
}

static struct rec_assignment assignment(uint64_t run, uint64_t attempt, const char *script)
{
    struct rec_assignment item = {.run_id = run, .attempt = attempt, .task_name = STR_LIT("t")};
    item.spec.executor = STR_LIT("shell");
    item.spec.command = str_of(script);
    SET_HAS(&item.spec, rec_task_spec, executor);
    SET_HAS(&item.spec, rec_task_spec, command);
    return item;
}

static void assign(struct rec_assignment item)
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

static void lease_message(const struct shape *shape, uint64_t run, uint64_t attempt)
{
    struct rec_lease lease = {.run_id = run, .attempt = attempt};
    struct msg_refused message = {.leases = {&lease, 1}}; /* RESULT_ACK and CANCEL have the same members */
    say(shape, &message);
}

static int set_up_slots(uint32_t slots)
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

static int set_up(void **state)
{
    (void)state;
    return set_up_slots(1);
}

static int tear_down(void **state)
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

/* ---- tests ---- */

/* Every message that the table sends to workers has a row. */
static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        bool row = false;
        if (shape->to != PARTY_WORKER)
            continue;
        for (const struct worker_route *route = link_routes; route->id; route++)
            row = row || route->id == shape->id;
        if (!row)
            fail_msg("%s has no row", shape->name);
    }
}

static void test_plain(void **state)
{
    (void)state;
    char path[PATH_MAX + 8];
    assign(assignment(5, 1, "echo percent=20 >&3; echo one; echo two"));
    UNTIL(has("RESULT:5/1"));
    UNTIL(roster.count == 0);
    const char *log = strstr(heard.words, "LOG:5/1"), *accept = strstr(heard.words, "ACCEPT:5/1"),
               *result = strstr(heard.words, "RESULT:5/1");
    assert_true(accept && log && accept < log && log < result);
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_string_equal(heard.result, "two");
    snprintf(path, sizeof(path), "%s/5-1", home.runs);
    assert_int_equal(access(path, F_OK), -1); /* its folder goes with the acknowledgement */
}

static void test_progress(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo percent=20 >&3; echo percent=30 >&3; while [ ! -e $HOME/go ]; do sleep 0.02; done"));
    UNTIL(has("PROGRESS"));
    assert_true(heard.percent > 29 && heard.percent < 31);
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_ABORTED);
    lease_message(&shape_msg_cancel, 5, 1); /* may come again */
    UNTIL(roster.count == 0);
}

/* What was not confirmed is said again in the next session: lines first, then the result. */
static void test_new_session(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "echo line"));
    UNTIL(has("RESULT:5/1"));
    bus_server_free(farm);
    farm = NULL;
    heard.words[0] = '\0';
    farm_opens();
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 1);
    assert_false(has("RESULT"));
    heard.acks = true;
    welcome();
    UNTIL(has("RESULT:5/1"));
    assert_true(strstr(heard.words, "LOG:5/1") < strstr(heard.words, "RESULT:5/1"));
    assert_int_equal(heard.log_first, 1);
    UNTIL(roster.count == 0);
}

static void confirm_log(uint64_t run, uint64_t attempt, uint64_t seq)
{
    struct msg_log_ack ack = {.run_id = run, .attempt = attempt, .seq = seq};
    say(&shape_msg_log_ack, &ack);
}

/* One LOG of a run is under way at a time; the result follows when all are out; lines that no one confirmed outlive the result. */
static void test_log_in_order(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "i=0; while [ $i -lt 1500 ]; do echo $i; i=$((i+1)); done"));
    UNTIL(roster.first && roster.first->state == SLOT_ENDED && has("LOG:5/1"));
    assert_false(has("RESULT"));
    UNTIL(strstr(strstr(heard.words, "LOG:5/1") + 1, "LOG:5/1")); /* the same again */
    assert_int_equal(heard.log_first, 1);
    uint64_t rounds = 0;
    while (!has("RESULT")) {
        uint64_t last = heard.log_last;
        assert_true(++rounds < 1000);
        confirm_log(5, 1, last);
        UNTIL(has("RESULT") || heard.log_last > last);
    }
    assert_int_equal(heard.log_last, 1500);
    lease_message(&shape_msg_result_ack, 5, 1);
    heard.words[0] = '\0';
    UNTIL(has("LOG:5/1"));
    assert_int_equal(roster.count, 1);
    confirm_log(5, 1, 1500);
    UNTIL(roster.count == 0);
}

/* The scheduler forgot the session while the connection stood. */
static void test_hello_again(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_PROTOCOL, .rule = STR_LIT("hello"), .text = STR_LIT("who are you")};
    UNTIL(has("HELLO"));
    assign(assignment(5, 1, "sleep 600; true"));
    UNTIL(has("ACCEPT:5/1"));
    heard.words[0] = '\0';
    say(&shape_msg_error, &error);
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 1);
    struct rec_lease lease = {.run_id = 5, .attempt = 1};
    struct msg_welcome message = {.worker_id = 1,
                                  .name = STR_LIT("worker-001"),
                                  .protocol = 1,
                                  .heartbeat_ms = 60000,
                                  .lease_ms = 30000,
                                  .drop = {&lease, 1}};
    say(&shape_msg_welcome, &message);
    UNTIL(roster.count == 0);
    assert_false(has("RESULT"));
    wait_marked(mark, 0);
}

static void test_superseded(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_CONFLICT, .rule = STR_LIT("superseded"), .text = STR_LIT("a newer one stands")};
    say(&shape_msg_error, &error);
    UNTIL(heard.over);
    assert_non_null(strstr(heard.over_err.text, "a newer one stands"));
}

static void test_refused(void **state)
{
    (void)state;
    assign(assignment(5, 1, "trap '' TERM; echo up; setsid sleep 600 & sleep 600; sleep 600"));
    UNTIL(has("LOG:5/1"));
    heard.words[0] = '\0';
    lease_message(&shape_msg_refused, 5, 1);
    UNTIL(roster.count == 0);
    assert_int_equal(marked_processes(mark), 0);
    assert_false(has("5/1"));
}

/* A newer attempt ends the older one, and begins only when that is gone. */
static void test_newer_attempt(void **state)
{
    (void)state;
    assign(assignment(5, 1, "sleep 600; true"));
    UNTIL(roster_processes(&roster) == 1 && marked_processes(mark) > 0);
    assign(assignment(5, 2, "echo second"));
    UNTIL(has("RESULT:5/2"));
    assert_false(has("RESULT:5/1"));
    assert_string_equal(heard.result, "second");
    heard.words[0] = '\0';
    assign(assignment(6, 2, "sleep 600; true"));
    UNTIL(has("ACCEPT:6/2"));
    assign(assignment(6, 1, "echo older")); /* came late */
    UNTIL(has("REJECT:6/1"));
    lease_message(&shape_msg_cancel, 6, 2);
    UNTIL(has("RESULT:6/2"));
}

static void test_repeated_assign(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo once; sleep 0.2"));
    assign(assignment(5, 1, "echo once; sleep 0.2"));
    UNTIL(has("RESULT:5/1"));
    UNTIL(roster.count == 0);
    assert_null(strstr(strstr(heard.words, "RESULT:5/1") + 1, "RESULT:5/1"));
}

static void test_failures(void **state)
{
    (void)state;
    struct rec_assignment item = assignment(5, 1, "true");
    item.spec.executor = STR_LIT("cobol");
    assign(item);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "cobol"));
    assign(assignment(6, 1, "echo why >&2; exit 7"));
    UNTIL(has("RESULT:6/1"));
    assert_string_equal(heard.error, "exit code 7: why");
    item = assignment(7, 1, "true");
    item.spec.run_as = STR_LIT("daemon");
    SET_HAS(&item.spec, rec_task_spec, run_as);
    assign(item);
    UNTIL(has("RESULT:7/1"));
    assert_non_null(strstr(heard.error, "worker.run_as"));
    item = assignment(8, 1, "sleep 600; true");
    item.timeout_seconds = 1;
    assign(item);
    UNTIL(has("RESULT:8/1"));
    assert_int_equal(heard.outcome, OUTCOME_TIMEOUT);
    assert_string_equal(heard.error, "timeout: it ran for its limit of 1 s");
    assign(assignment(9, 1, "kill -9 $$"));
    UNTIL(has("RESULT:9/1"));
    assert_non_null(strstr(heard.error, "killed by signal 9"));
    item = assignment(10, 1, "while :; do :; done");
    item.spec.limits.cpu_seconds = 1;
    SET_HAS(&item.spec, rec_task_spec, limits);
    assign(item);
    UNTIL(has("RESULT:10/1"));
    assert_non_null(strstr(heard.error, "CPU limit"));
    item = assignment(11, 1, "true");
    item.spec.cwd = STR_LIT("/no/such");
    SET_HAS(&item.spec, rec_task_spec, cwd);
    assign(item);
    UNTIL(has("RESULT:11/1"));
    assert_non_null(strstr(heard.error, "working folder /no/such"));
}

/* ---- outputs ---- */

static char final[PATH_MAX];

static void assign_output(uint64_t run, uint64_t attempt, const char *script, const struct rec_published *known)
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

static void test_publish(void **state)
{
    (void)state;
    struct msg_publish_grant grant = {.run_id = 5, .attempt = 1};
    assign_output(5, 1, "printf content > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:5/1"));
    assert_int_equal(heard.publish_size, 7);
    assert_int_equal(access(final, F_OK), -1); /* not before the grant */
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_int_equal(access(final, F_OK), 0);
    assert_int_equal(access(heard.publish_temporary, F_OK), -1);
    say(&shape_msg_publish_grant, &grant); /* late repeats do nothing */
    /* another run's output of the same name */
    assign_output(6, 1, "printf x > $GANTRY_OUTPUT", NULL);
    UNTIL(has("RESULT:6/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "is there already"));
}

static void test_publish_failures(void **state)
{
    (void)state;
    assign_output(5, 1, "true", NULL);
    UNTIL(has("RESULT:5/1"));
    assert_non_null(strstr(heard.error, "did not write its output"));
    /* a failed run leaves no half of a file */
    assign_output(6, 1, "printf half > $GANTRY_OUTPUT; echo $GANTRY_OUTPUT; exit 1", NULL);
    UNTIL(has("RESULT:6/1"));
    char temporary[PATH_MAX + 32];
    snprintf(temporary, sizeof(temporary), "%s/.gantry-6-1.out.txt", folder);
    assert_int_equal(access(temporary, F_OK), -1);
    /* nor a folder, whatever is in it; what a link in it names stays */
    assign_output(8, 1,
                  "mkdir -p $GANTRY_OUTPUT/a/b && touch $GANTRY_OUTPUT/a/b/c && mkdir ${GANTRY_OUTPUT%/*}/kept && "
                  "ln -s ../kept $GANTRY_OUTPUT/link",
                  NULL);
    UNTIL(has("RESULT:8/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    snprintf(temporary, sizeof(temporary), "%s/.gantry-8-1.out.txt", folder);
    assert_int_equal(access(temporary, F_OK), -1);
    snprintf(temporary, sizeof(temporary), "%s/kept", folder);
    assert_int_equal(access(temporary, F_OK), 0);
    /* somebody else's file comes to be while the run goes on */
    assign_output(7, 1, "printf mine > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:7/1"));
    unit_write(final, "theirs");
    struct msg_publish_grant grant = {.run_id = 7, .attempt = 1};
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:7/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "not this run's"));
    assert_int_equal(access(heard.publish_temporary, F_OK), -1);
}

/* An attempt whose predecessor had a grant: with its temporary file complete, and then with the final one. */
static void test_publish_found(void **state)
{
    (void)state;
    struct err err = {0};
    struct publish_file file;
    char temporary[PATH_MAX];
    snprintf(final, sizeof(final), "%s/out.txt", folder);
    snprintf(temporary, sizeof(temporary), "%s/.gantry-5-1.out.txt", folder);
    unit_write(temporary, "complete");
    assert_int_equal(publish_verify(temporary, &file, &err), 0);
    struct rec_published known = {.attempt = 1,
                                  .path = str_of(final),
                                  .temporary = str_of(temporary),
                                  .size = file.size,
                                  .hash = {(char *)file.hash, PUBLISH_HASH}};
    assign_output(5, 2, "echo it ran; exit 1", &known);
    UNTIL(has("PUBLISH:5/2"));
    assert_string_equal(heard.publish_temporary, temporary);
    struct msg_publish_grant grant = {.run_id = 5, .attempt = 2};
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:5/2"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_int_equal(access(final, F_OK), 0);
    assign_output(5, 3, "echo it ran; exit 1", &known);
    UNTIL(has("RESULT:5/3"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_false(has("PUBLISH:5/3"));
}

/* No descriptors are left, so the process that names a granted output cannot be started, and is tried again for a while. */
static struct rlimit starve(void)
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

/* What is taken away between two of its processes holds its slot no longer: there is no end to wait for. */
static void test_dropped_between_processes(void **state)
{
    (void)state;
    struct rlimit before = starve();
    lease_message(&shape_msg_refused, 5, 1);
    UNTIL(roster.count == 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(has("RESULT"));
    assign(assignment(6, 1, "echo next"));
    UNTIL(has("RESULT:6/1"));
}

/* ---- leaving ---- */

static void test_drain(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo up; sleep 0.5; echo done"));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    link_drain(session);
    UNTIL(has("REJECT:6/1"));
    assert_true(has("DRAIN"));
    assign(assignment(7, 1, "echo never"));
    UNTIL(has("REJECT:7/1"));
    UNTIL(heard.over);
    assert_int_equal(heard.over_err.code, 0);
    assert_true(strstr(heard.words, "RESULT:5/1") < strstr(heard.words, "BYE"));
    assert_string_equal(heard.result, "done");
}

/* What goes back while there is no session is held until the farm has its REJECT: it costs the run nothing then. */
static void test_reject_unconnected(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    bus_server_free(farm);
    farm = NULL;
    heard.words[0] = '\0';
    link_drain(session);
    farm_opens();
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 2);
    assign(assignment(6, 1, "echo never"));
    welcome();
    UNTIL(has("REJECT:6/1"));
    assert_string_equal(heard.reason, "the worker is draining");
    assert_false(has("ACCEPT:6/1"));
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(heard.over);
    assert_true(strstr(heard.words, "REJECT:6/1") < strstr(heard.words, "BYE"));
}

/* Nor does it make a worker that has nothing left to do wait for a farm that is gone. */
static void test_drain_unconnected(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    bus_server_free(farm);
    farm = NULL;
    link_drain(session);
    run_event(roster.first, SLOT_EV_DROP);
    uint64_t before = clock_mono_ms();
    UNTIL(heard.over);
    assert_true(clock_mono_ms() - before < 10000);
}

/* A lease that is on its way back is not taken again. */
static void test_given_back(void **state)
{
    (void)state;
    struct err err = {0};
    struct rec_assignment item = assignment(5, 1, "echo never");
    assert_int_equal(roster_assign(&roster, &item, &err), 0);
    run_event(roster.first, SLOT_EV_LEAVE);
    assert_int_equal(roster_assign(&roster, &item, &err), -1);
    assert_string_equal(err.text, "it was given back");
    item.attempt = 2;
    assert_int_equal(roster_assign(&roster, &item, &err), 0);
}

/* DRAIN may fall between HELLO and WELCOME, or be refused: it is said again until the worker goes. */
static void test_drain_again(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_PROTOCOL, .rule = STR_LIT("hello"), .text = STR_LIT("who are you")};
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    UNTIL(has("LOG:5/1"));
    heard.words[0] = '\0';
    say(&shape_msg_error, &error);
    UNTIL(has("HELLO"));
    link_drain(session);
    assert_false(has("DRAIN"));
    welcome_beating(50);
    UNTIL(has("DRAIN"));
    heard.words[0] = '\0';
    UNTIL(has("HEARTBEAT") && has("DRAIN"));
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(heard.over);
}

static void test_leave(void **state)
{
    (void)state;
    assign(assignment(5, 1, "trap '' TERM; echo up; while :; do sleep 0.05; done"));
    UNTIL(has("LOG:5/1"));
    link_drain(session);
    link_leave(session, 500);
    UNTIL(heard.over);
    assert_true(has("BYE"));
    assert_false(has("RESULT"));
    assert_int_equal(marked_processes(mark), 0);
}

/* What has ended by itself is reported before the worker goes, however many lines stand before its result. */
static void test_leave_with_results(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "seq 1 5000; echo end"));
    UNTIL(roster.first && roster.first->state == SLOT_ENDED && has("LOG:5/1"));
    link_drain(session);
    link_leave(session, 0);
    uint64_t last = 0;
    while (!has("RESULT:5/1")) {
        UNTIL(has("RESULT:5/1") || heard.log_last > last);
        assert_false(has("BYE"));
        last = heard.log_last;
        confirm_log(5, 1, last);
    }
    lease_message(&shape_msg_result_ack, 5, 1);
    UNTIL(heard.over);
    assert_string_equal(heard.result, "end");
    assert_true(has("BYE"));
}

/* But not for ever, when nobody answers. */
static void test_leave_unheard(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "echo end"));
    UNTIL(has("RESULT:5/1"));
    uint64_t before = clock_mono_ms();
    link_leave(session, 0);
    UNTIL(heard.over);
    assert_true(clock_mono_ms() - before >= 1900 && clock_mono_ms() - before < 5000);
    assert_true(has("BYE"));
}

/* A name that cannot be given for want of descriptors is the next attempt's to give. */
static void test_leave_between_processes(void **state)
{
    (void)state;
    struct rlimit before = starve();
    uint64_t began = clock_mono_ms();
    link_leave(session, 0);
    UNTIL(heard.over);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(clock_mono_ms() - began < 5000);
    assert_false(has("RESULT"));
    assert_int_equal(access(heard.publish_temporary, F_OK), 0);
}

/* ---- credit ---- */

static void test_credit(void **state)
{
    (void)state;
    assert_int_equal(heard.hello_credit, 1);
    for (uint64_t run = 100; run < 110; run++) {
        char name[32];
        assign(assignment(run, 1, "true"));
        snprintf(name, sizeof(name), "RESULT:%lu/1", run);
        UNTIL(has(name));
    }
    UNTIL(heard.beat_credit > 1); /* short runs: more of them ahead */
    assign(assignment(200, 1, "sleep 600; true"));
    assign(assignment(201, 1, "true"));
    UNTIL(has("REJECT:201/1")); /* asked for ahead, and now in the way */
    UNTIL(heard.beat_credit == 1);
    assert_non_null(strstr(heard.reason, "longer runs"));
    lease_message(&shape_msg_cancel, 200, 1);
    UNTIL(has("RESULT:200/1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        TEST(test_plain),
        TEST(test_progress),
        TEST(test_new_session),
        TEST(test_log_in_order),
        TEST(test_hello_again),
        TEST(test_superseded),
        TEST(test_refused),
        TEST(test_newer_attempt),
        TEST(test_repeated_assign),
        TEST(test_failures),
        TEST(test_publish),
        TEST(test_publish_failures),
        TEST(test_publish_found),
        TEST(test_dropped_between_processes),
        TEST(test_drain),
        TEST(test_reject_unconnected),
        TEST(test_drain_unconnected),
        TEST(test_given_back),
        TEST(test_drain_again),
        TEST(test_leave),
        TEST(test_leave_with_results),
        TEST(test_leave_unheard),
        TEST(test_leave_between_processes),
        TEST(test_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
