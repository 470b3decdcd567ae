/* Workers: sessions, replaced starts, goodbyes, and the list of them. */
#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static struct rec_worker stored(struct fixture *fixture, uint64_t id)
{
    struct rec_worker worker;
    assert_true(fixture_stored(fixture, TYPE_WORKER, id, &worker));
    return worker;
}

static void test_registered(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    const struct msg *welcome = fixture_hello(fixture, 1, "ident", "b1", "shell", 3, NULL, 0);
    assert_int_equal(welcome->shape->id, MSG_WELCOME);
    assert_true(str_is(welcome->u.welcome.name, "worker-001"));
    assert_int_equal(welcome->u.welcome.protocol, 1);
    assert_int_equal(welcome->u.welcome.heartbeat_ms, 5000);
    assert_int_equal(welcome->u.welcome.lease_ms, 30000);
    struct rec_worker worker = stored(fixture, 1);
    assert_int_equal(worker.status, WORKER_ACTIVE);
    assert_int_equal(worker.slots, 3);
    assert_true(str_is(worker.task_types.items[0], "shell"));
    assert_int_equal(fixture_count_events(fixture, "worker.registered"), 1);
    fixture_rebuild(fixture);
    welcome = fixture_hello(fixture, 2, "ident", "b2", "python", 5, NULL, 0);
    assert_true(str_is(welcome->u.welcome.name, "worker-001")); /* the same one */
    worker = stored(fixture, 1);
    assert_int_equal(worker.slots, 5);
    assert_true(str_is(worker.task_types.items[0], "python"));
    welcome = fixture_hello(fixture, 3, "other", "b1", "shell", 1, NULL, 0);
    assert_true(str_is(welcome->u.welcome.name, "worker-002"));
    fixture_free(fixture);
}

static void test_nobody(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_heartbeat(fixture, 7, NULL, 0);
    const struct msg *error = fixture_take(fixture, 7, MSG_ERROR);
    assert_int_equal(error->u.error.code, ERR_PROTOCOL);
    assert_true(str_is(error->u.error.rule, "hello"));
    const struct msg *answer = fixture_hello(fixture, 7, "not a name", "b", "shell", 1, NULL, 0);
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.field, "ident"));
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_COMMANDS, 1, 5, &shape_msg_drain, &drain); /* the wrong door */
    assert_int_equal(fixture_answer(fixture, 5)->u.error.code, ERR_PROTOCOL);
    struct msg_done done = {0};
    fixture_send(fixture, DOOR_COMMANDS, 1, 6, &shape_msg_done, &done); /* not for the scheduler */
    assert_int_equal(fixture_answer(fixture, 6)->u.error.code, ERR_PROTOCOL);
    fixture_free(fixture);
}

/* A peer that names what is not its own costs an answer that is bounded, and no second session. */
static void test_bounded(void **unused)
{
    static struct rec_lease leases[5000];
    (void)unused;
    struct fixture *fixture = fixture_ready();
    for (unsigned i = 0; i < 5000; i++)
        leases[i] = (struct rec_lease){.run_id = i + 1, .attempt = 1};
    const struct msg *welcome = fixture_hello(fixture, 1, "ident", "b1", "shell", 1, leases, 5000);
    assert_int_equal(welcome->u.welcome.drop.count, 1024);
    fixture_heartbeat(fixture, 1, leases, 5000);
    assert_int_equal(fixture_take(fixture, 1, MSG_HEARTBEAT_ACK)->u.heartbeat_ack.drop.count, 1024);
    const struct msg *error = fixture_hello(fixture, 1, "another", "b1", "shell", 1, NULL, 0);
    assert_int_equal(error->u.error.code, ERR_CONFLICT);
    assert_true(str_is(error->u.error.rule, "session"));
    assert_int_equal(fixture_hello(fixture, 1, "ident", "b1", "shell", 1, NULL, 0)->shape->id, MSG_WELCOME);
    fixture_free(fixture);
}

/* What would not fit its record is refused before anything changes. */
static void test_names_too_long(void **unused)
{
    static char long_name[32768];
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct str names[40];
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("w"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("host"),
                              .task_types = {names, 40},
                              .executors = {names, 40},
                              .slots = 1,
                              .credit = 1};
    memset(long_name, 'a', sizeof long_name);
    for (int i = 0; i < 40; i++)
        names[i] = (struct str){long_name, sizeof long_name};
    fixture_send(fixture, DOOR_WORKERS, 1, 77, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, 77)->u.error.code, ERR_INVALID);
    assert_true(str_is(fixture_answer(fixture, 77)->u.error.rule, "length"));
    assert_int_equal(fixture->disk_count[TYPE_WORKER], 0);
    for (int i = 0; i < 40; i++)
        names[i].len = 64;
    fixture_send(fixture, DOOR_WORKERS, 1, 78, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, 78)->shape->id, MSG_WELCOME);
    assert_int_equal(stored(fixture, 1).task_types.count, 40);
    assert_false(journal_failed(fixture->journal));
    fixture_free(fixture);
}

static void send_lines(struct fixture *fixture, uint64_t corr, struct rec_lease lease, uint32_t count)
{
    static char text[16000];
    struct rec_log_line *lines = calloc(count, sizeof *lines);
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < count; i++)
        lines[i] = (struct rec_log_line){.seq = i + 1, .text = {text, sizeof text}};
    struct msg_log log = {.chunk = {.run_id = lease.run_id, .attempt = lease.attempt, .lines = {lines, count}}};
    fixture_send(fixture, DOOR_WORKERS, 1, corr, &shape_msg_log, &log);
    fixture_settle(fixture);
    free(lines);
}

static void test_log_too_long(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    send_lines(fixture, 77, lease, 100);
    assert_int_equal(fixture_answer(fixture, 77)->u.error.code, ERR_INVALID);
    assert_true(str_is(fixture_answer(fixture, 77)->u.error.rule, "size"));
    assert_int_equal(fixture->log_lines, 0);
    send_lines(fixture, 78, lease, 65);
    assert_int_equal(fixture_answer(fixture, 78)->u.log_ack.seq, 65);
    assert_int_equal(fixture->log_lines, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_false(journal_failed(fixture->journal));
    fixture_free(fixture);
}

/* Two live starts of one ident: the newest stands, the other is refused everything. */
static void test_replaced(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b1", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_hello(fixture, 2, "w", "b2", "shell", 1, NULL, 0);
    struct rec_lease second = fixture_begin(fixture, 2);
    assert_int_equal(second.attempt, 2);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_refused(fixture, 1, lease));
    fixture_heartbeat(fixture, 1, &lease, 1);
    assert_true(fixture_refused(fixture, 1, lease));
    const struct msg *answer = fixture_hello(fixture, 3, "w", "b1", "shell", 1, NULL, 0); /* it does not get back in */
    assert_int_equal(answer->u.error.code, ERR_CONFLICT);
    assert_true(str_is(answer->u.error.rule, "superseded"));
    fixture_result(fixture, 2, second, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 2, second));
    fixture_free(fixture);
}

static void test_reconnects(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b1", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1), stranger = {.run_id = 99, .attempt = 1};
    struct rec_lease both[2] = {lease, stranger};
    const struct msg *welcome = fixture_hello(fixture, 2, "w", "b1", "shell", 1, both, 2);
    assert_int_equal(welcome->u.welcome.drop.count, 1);
    assert_int_equal(welcome->u.welcome.drop.items[0].run_id, 99);
    fixture_result(fixture, 2, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 2, lease));
    fixture_free(fixture);
}

/* What another worker holds is nobody else's to speak of. */
static void test_not_its_own(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "a", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_hello(fixture, 2, "b", "b", "python", 1, &lease, 1);
    fixture_result(fixture, 2, lease, OUTCOME_COMPLETED);
    assert_true(fixture_refused(fixture, 2, lease));
    fixture_accept(fixture, 2, lease);
    assert_true(fixture_refused(fixture, 2, lease));
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_free(fixture);
}

/* A scheduler that starts anew knows many workers, none of which has a session: there is room for the sessions of all. */
static void test_all_come_back(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    char idents[40][8];
    for (int start = 0; start < 2; start++) {
        for (unsigned i = 0; i < 40; i++) {
            snprintf(idents[i], sizeof idents[i], "w%u", i);
            const struct msg *welcome = fixture_hello(fixture, 100 * (unsigned)start + i, idents[i], "b", "shell", 1, NULL, 0);
            assert_int_equal(welcome->shape->id, MSG_WELCOME);
            fixture_heartbeat(fixture, 1000 + i, NULL, 0); /* somebody without a session: looked for, and not found */
            assert_non_null(fixture_take(fixture, 1000 + i, MSG_ERROR));
        }
        fixture_rebuild(fixture);
        fixture_forget_letters(fixture);
    }
    fixture_free(fixture);
}

static void bye(struct fixture *fixture, unsigned peer)
{
    struct msg_bye bye = {0};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_bye, &bye);
    fixture_settle(fixture);
}

/* Workers that stay away are forgotten, unless something is still theirs. */
static void test_forgotten(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_worker worker;
    fixture_hello(fixture, 1, "gone", "b", "shell", 1, NULL, 0);
    fixture_hello(fixture, 2, "stays", "b", "shell", 1, NULL, 0);
    bye(fixture, 1);
    for (int hour = 0; hour < 24 * 7 - 1; hour++) {
        fixture_jump(fixture, 3600000 - 1000);
        core_renew_leases(fixture->core);
        fixture_heartbeat(fixture, 2, NULL, 0);
        fixture_wait(fixture, 1000);
    }
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    fixture_rebuild(fixture); /* one that the scheduler waits for is not away */
    fixture_jump(fixture, 3600000);
    core_renew_leases(fixture->core);
    fixture_wait(fixture, 1000);
    assert_false(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_true(fixture_stored(fixture, TYPE_WORKER, 2, &worker));
    core_check(fixture->core);
    fixture_rebuild(fixture);
    const struct msg *welcome = fixture_hello(fixture, 1, "gone", "b2", "shell", 1, NULL, 0);
    assert_true(str_is(welcome->u.welcome.name, "worker-003")); /* numbers do not come twice */
    fixture_free(fixture);
}

/* Its record is as old as its session. The scheduler was away while it was here, and starts anew before it: it is away from then on. */
static void test_not_forgotten_at_start(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_worker worker;
    fixture_hello(fixture, 1, "idle", "b", "shell", 1, NULL, 0);
    fixture_jump(fixture, UINT64_C(30) * 24 * 3600000);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 40000);
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.status, WORKER_OFFLINE);
    core_check(fixture->core);
    assert_int_equal(fixture_hello(fixture, 2, "idle", "b", "shell", 1, NULL, 0)->u.welcome.worker_id, 1);
    fixture_free(fixture);
}

/* At the limit a new worker takes the place of the one that has been away for longest, and of none that is here. */
static void test_registry_full(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    struct rec_worker worker;
    fixture->config.workers_max = 3;
    fixture_start(fixture);
    fixture_hello(fixture, 1, "a", "b", "shell", 1, NULL, 0);
    fixture_hello(fixture, 2, "b", "b", "shell", 1, NULL, 0);
    fixture_hello(fixture, 3, "c", "b", "shell", 1, NULL, 0);
    const struct msg *answer = fixture_hello(fixture, 4, "d", "b", "shell", 1, NULL, 0);
    assert_int_equal(answer->u.error.code, ERR_LIMIT);
    bye(fixture, 2);
    fixture_jump(fixture, 10);
    fixture_heartbeat(fixture, 1, NULL, 0);
    bye(fixture, 1);
    assert_int_equal(fixture_hello(fixture, 4, "d", "b", "shell", 1, NULL, 0)->shape->id, MSG_WELCOME);
    assert_false(fixture_stored(fixture, TYPE_WORKER, 2, &worker));
    assert_int_equal(stored(fixture, 1).status, WORKER_OFFLINE);
    core_check(fixture->core);
    assert_int_equal(fixture_hello(fixture, 5, "a", "b2", "shell", 1, NULL, 0)->u.welcome.worker_id,
                     1); /* known ones come back */
    assert_int_equal(fixture_hello(fixture, 6, "b", "b2", "shell", 1, NULL, 0)->u.error.code, ERR_LIMIT);
    fixture_free(fixture);
}

/* It says HELLO again while its ASSIGN waits for the disk: that one comes, and no second one of the same run. */
static void test_hello_before_assign(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_run run;
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w", "b1", "shell", 2, NULL, 0);
    fixture_hold(fixture, HOLD_ACKS);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    fixture_send(fixture, DOOR_COMMANDS, 1000, 900, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    fixture_hello(fixture, 1, "w", "b1", "shell", 2, NULL, 0);
    fixture_hold(fixture, HOLD_NOTHING);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.attempt, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_run(fixture, lease.run_id, &run);
    assert_int_equal(run.attempt, 1);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* On a new connection it cannot come: it was addressed to the old one. */
static void test_hello_elsewhere_before_assign(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w", "b1", "shell", 2, NULL, 0);
    fixture_hold(fixture, HOLD_ACKS);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    fixture_send(fixture, DOOR_COMMANDS, 1000, 900, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    fixture_hello(fixture, 2, "w", "b1", "shell", 2, NULL, 0);
    fixture_hold(fixture, HOLD_NOTHING);
    assert_int_equal(fixture_begin(fixture, 2).attempt, 2);
    fixture_free(fixture);
}

static void test_goodbye(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_run run;
    fixture_hello(fixture, 1, "w", "b1", "shell", 1, NULL, 0);
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    fixture_begin(fixture, 1);
    struct msg_bye bye = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_bye, &bye);
    fixture_settle(fixture);
    fixture_run(fixture, id, &run);
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(run.losses, 0);
    assert_int_equal(stored(fixture, 1).status, WORKER_OFFLINE);
    fixture_free(fixture);
}

static void test_list(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "a", "b", "shell", 1, NULL, 0);
    fixture_jump(fixture, 10);
    fixture_hello(fixture, 2, "b", "b", "python", 8, NULL, 0);
    fixture_jump(fixture, 10);
    fixture_hello(fixture, 3, "c", "b", "shell", 4, NULL, 0);
    struct msg_worker_list list = {.page = 1, .size = 10, .sort = STR_LIT("slots"), .descending = true};
    const struct msg *rows = fixture_ask(fixture, &shape_msg_worker_list, &list);
    assert_int_equal(rows->u.worker_rows.total, 3);
    assert_int_equal(rows->u.worker_rows.workers.items[0].slots, 8);
    assert_int_equal(rows->u.worker_rows.workers.items[2].slots, 1);
    list = (struct msg_worker_list){.page = 2, .size = 1, .task_type = STR_LIT("shell")};
    rows = fixture_ask(fixture, &shape_msg_worker_list, &list);
    assert_int_equal(rows->u.worker_rows.total, 2);
    assert_int_equal(rows->u.worker_rows.workers.count, 1);
    assert_true(str_is(rows->u.worker_rows.workers.items[0].name, "worker-003"));
    list = (struct msg_worker_list){.page = UINT64_MAX / 4, .size = 1000};
    rows = fixture_ask(fixture, &shape_msg_worker_list, &list);
    assert_int_equal(rows->u.worker_rows.workers.count, 0);
    list = (struct msg_worker_list){.page = 1, .size = 10, .sort = STR_LIT("colour")};
    rows = fixture_ask(fixture, &shape_msg_worker_list, &list);
    assert_int_equal(rows->u.error.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(rows->u.error.expected.ptr, "registered_at, created_at, id"));
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "python"));
    struct rec_lease lease = fixture_begin(fixture, 2);
    struct rec_progress item = {.run_id = id, .attempt = 1, .percent = 42.5, .note = STR_LIT("half")};
    SET_HAS(&item, rec_progress, percent);
    struct msg_progress progress = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 2, 0, &shape_msg_progress, &progress);
    list = (struct msg_worker_list){.page = 1, .size = 1, .name = STR_LIT("worker-002")};
    rows = fixture_ask(fixture, &shape_msg_worker_list, &list);
    assert_int_equal(rows->u.worker_rows.current.items[0], 1);
    assert_int_equal(rows->u.worker_rows.workers.items[0].running.items[0].run_id, lease.run_id);
    assert_true(rows->u.worker_rows.workers.items[0].running.items[0].progress == 42.5);
    fixture_free(fixture);
}

static void test_counts(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_count counts[32];
    struct msg_pong pong = {0};
    fixture_hello(fixture, 1, "a", "b", "python", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    core_status(fixture->core, &pong, counts, 32);
    uint64_t pending = 99, active = 99, tasks = 99;
    for (uint32_t i = 0; i < pong.counts.count; i++) {
        pending = str_is(counts[i].name, "pending_normal") ? counts[i].value : pending;
        active = str_is(counts[i].name, "workers_active") ? counts[i].value : active;
        tasks = str_is(counts[i].name, "tasks") ? counts[i].value : tasks;
    }
    assert_int_equal(pending, 1);
    assert_int_equal(active, 1);
    assert_int_equal(tasks, 1);
    assert_true(pong.ready);
    fixture_store_away(fixture, true);
    core_status(fixture->core, &pong, counts, 3);
    assert_int_equal(pong.counts.count, 3);
    assert_false(pong.ready);
    assert_true(pong.trouble.len > 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registered),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_reconnects),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_not_its_own),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_all_come_back),
        cmocka_unit_test(test_names_too_long),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_not_forgotten_at_start),
        cmocka_unit_test(test_hello_before_assign),
        cmocka_unit_test(test_hello_elsewhere_before_assign),
        cmocka_unit_test(test_registry_full),
        cmocka_unit_test(test_log_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
