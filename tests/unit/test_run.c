/* The table of a run's life, legal and illegal; then each way through it, with the scheduler rebuilt at every step. */
#include "tests/unit/unit.h"

#include "scheduler/run.h"
#include "tests/unit/core_fixture.h"

/* Rows: none blocked held delayed queued assigned accepted publishing final. One letter a change, in the order of enum run_change:
 * place assign accept grant return lose retry complete fail abort forget. w waits, a assigned, y accepted, p publishing, f final. */
static const char *const life[] = {
    "w..........", "w.......fff", "w.......fff", "w.......fff", "wa......fff",
    "..y.ww..fff", "...pwwwffff", "...pwwwff.f", "...........",
};

static enum run_state state_of(char letter)
{
    switch (letter) {
    case 'w':
        return STATE_WAITING;
    case 'a':
        return STATE_ASSIGNED;
    case 'y':
        return STATE_ACCEPTED;
    case 'p':
        return STATE_PUBLISHING;
    case 'f':
        return STATE_FINAL;
    default:
        return STATE_NONE;
    }
}

static void test_table(void **unused)
{
    (void)unused;
    assert_int_equal(sizeof life / sizeof *life, STATE_COUNT);
    for (unsigned state = 0; state < STATE_COUNT; state++) {
        assert_int_equal(strlen(life[state]), CHANGE_COUNT);
        for (unsigned change = 0; change < CHANGE_COUNT; change++)
            if (run_next((enum run_state)state, (enum run_change)change) != state_of(life[state][change]))
                fail_msg("%s x %s", run_state_name(state), run_change_name(change));
    }
    assert_int_equal(run_next((enum run_state)99, CHANGE_PLACE), STATE_NONE);
    assert_int_equal(run_next(STATE_QUEUED, (enum run_change)99), STATE_NONE);
}

static void assert_status(struct fixture *fixture, uint64_t id, uint64_t status)
{
    struct rec_run run;
    assert_true(fixture_run(fixture, id, &run));
    assert_string_equal(run_status_name(run.status), run_status_name(status));
}

static void test_life(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_run run;
    struct rec_task_stat stat;
    uint64_t task = fixture_task(fixture, "one", "shell"), id = fixture_trigger(fixture, task);
    assert_status(fixture, id, RUN_PENDING);
    assert_string_equal(fixture_reason(fixture, id), "no worker serves type shell");
    assert_int_equal(fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0)->shape->id, MSG_WELCOME);
    assert_status(fixture, id, RUN_RUNNING);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, id);
    assert_int_equal(lease.attempt, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_status(fixture, id, RUN_COMPLETED);
    assert_true(fixture_run(fixture, id, &run));
    assert_int_equal(run.attempts.count, 1);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_COMPLETED);
    assert_true(run.progress == 100.0);
    assert_true(str_is(run.worker_name, "worker-001"));
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, task, &stat));
    assert_int_equal(stat.total, 1);
    assert_int_equal(stat.completed, 1);
    assert_int_equal(stat.last_final_id, id);
    assert_int_equal(fixture_count_events(fixture, "task.completed"), 1);
    /* A repeat is acknowledged again; another word about the same attempt is refused. */
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_result(fixture, 1, lease, OUTCOME_FAILED);
    assert_true(fixture_refused(fixture, 1, lease));
    assert_status(fixture, id, RUN_COMPLETED);
    fixture_free(fixture);
}

/* The scheduler dies after every step; the worker says HELLO again each time and goes on. */
static void test_life_rebuilt(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_rebuild(fixture);
    uint64_t id = fixture_trigger(fixture, task);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    struct rec_lease lease = fixture_assigned(fixture, 1);
    assert_int_equal(lease.run_id, id);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 2, "w1", "b1", "shell", 1, &lease, 1);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_accept(fixture, 2, lease);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 3, "w1", "b1", "shell", 1, &lease, 1);
    fixture_wait(fixture, 20000);
    assert_status(fixture, id, RUN_RUNNING);
    fixture_result(fixture, 3, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 3, lease));
    fixture_rebuild(fixture);
    /* The acknowledgement was lost with the scheduler: the result comes again and is known. */
    const struct msg *welcome = fixture_hello(fixture, 4, "w1", "b1", "shell", 1, &lease, 1);
    assert_int_equal(welcome->u.welcome.drop.count, 0);
    fixture_result(fixture, 4, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 4, lease));
    assert_status(fixture, id, RUN_COMPLETED);
    struct rec_run run;
    fixture_run(fixture, id, &run);
    assert_int_equal(run.attempt, 1);
    fixture_free(fixture);
}

/* Assigned, and the scheduler dies before the assignment left: the worker does not list it, so it goes back unharmed. */
static void test_assignment_never_left(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    fixture_hold(fixture, HOLD_ACKS);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    fixture_send(fixture, DOOR_COMMANDS, 9, 77, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    assert_null(fixture_answer(fixture, 77));
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_rebuild(fixture);
    assert_null(fixture_answer(fixture, 77));
    fixture_hello(fixture, 2, "w1", "b1", "shell", 1, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 2);
    assert_int_equal(lease.attempt, 2);
    struct rec_run run;
    fixture_run(fixture, lease.run_id, &run);
    assert_int_equal(run.losses, 0);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    /* The command comes again with its key: the first answer, and no second run. */
    fixture_send(fixture, DOOR_COMMANDS, 9, 78, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, 78)->u.run_answer.run.id, lease.run_id);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_free(fixture);
}

static void publish(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *hash)
{
    struct msg_publish ask = {.run_id = lease.run_id,
                              .output = {.attempt = lease.attempt,
                                         .path = STR_LIT("/out/a.mp4"),
                                         .temporary = STR_LIT("/out/.gantry-1-1.a.mp4"),
                                         .size = 7,
                                         .hash = str_of(hash)}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_publish, &ask);
    fixture_settle(fixture);
}

static void test_publish(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct rec_run run;
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("one", "shell")};
    create.spec.output = STR_LIT("/out");
    SET_HAS(&create.spec, rec_task_spec, output);
    uint64_t id = fixture_trigger(fixture, fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id);
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_hold(fixture, HOLD_BATCHES);
    publish(fixture, 1, lease, "0123456789abcdef");
    assert_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT)); /* not before it is on disk */
    fixture_hold(fixture, HOLD_NOTHING);
    assert_non_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    fixture_run(fixture, id, &run);
    assert_true(HAS(&run, rec_run, published));
    publish(fixture, 1, lease, "0123456789abcdef");
    assert_non_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    publish(fixture, 1, lease, "fedcba9876543210"); /* something else under the same attempt */
    assert_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    assert_true(fixture_refused(fixture, 1, lease));
    /* Its output may have its name at any moment: no abort now. */
    assert_int_equal(fixture_abort(fixture, id), ERR_CONFLICT);
    /* The worker dies: the next attempt is told what may stand already. */
    fixture_hello(fixture, 2, "w1", "b2", "shell", 1, NULL, 0);
    const struct msg *assign = fixture_take(fixture, 2, MSG_ASSIGN);
    assert_non_null(assign);
    assert_true(HAS(&assign->u.assign.runs.items[0], rec_assignment, published));
    assert_int_equal(assign->u.assign.runs.items[0].published.attempt, 1);
    publish(fixture, 1, lease, "0123456789abcdef"); /* from the dead one's session */
    assert_true(fixture_refused(fixture, 1, lease));
    fixture_free(fixture);
}

static void test_abort(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell"), waiting = fixture_trigger(fixture, task);
    assert_int_equal(fixture_abort(fixture, waiting), 0);
    assert_status(fixture, waiting, RUN_ABORTED);
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    uint64_t running = fixture_trigger(fixture, task), next = fixture_trigger(fixture, task);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(fixture_abort(fixture, running), 0);
    assert_status(fixture, running, RUN_ABORTED);
    const struct msg *cancel = fixture_take(fixture, 1, MSG_CANCEL);
    assert_non_null(cancel);
    assert_int_equal(cancel->u.cancel.leases.items[0].run_id, running);
    /* It still takes the worker's one slot until the worker has said so. */
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_heartbeat(fixture, 1, &lease, 1);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
    assert_true(fixture_acked(fixture, 1, lease));
    assert_int_equal(fixture_assigned(fixture, 1).run_id, next);
    /* A run that has ended is no longer known here; with its record the answer is that it is final. */
    struct msg_run_abort again = {.idem = fixture_key(fixture), .id = running};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_abort, &again);
    assert_true(str_is(answer->u.error.rule, "fetch"));
    assert_true(fixture_run(fixture, running, &again.known));
    SET_HAS(&again, msg_run_abort, known);
    answer = fixture_ask(fixture, &shape_msg_run_abort, &again);
    assert_int_equal(answer->u.error.code, ERR_CONFLICT);
    assert_true(str_is(answer->u.error.rule, "final"));
    again = (struct msg_run_abort){.idem = fixture_key(fixture), .id = 999};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_abort, &again)->u.error.rule, "not_found"));
    fixture_free(fixture);
}

/* A worker that finished just before it heard of the abort: its result is refused, the run stays aborted. */
static void test_abort_races_result(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    uint64_t id = fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(fixture_abort(fixture, id), 0);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_refused(fixture, 1, lease));
    assert_status(fixture, id, RUN_ABORTED);
    fixture_free(fixture);
}

static void test_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_submit, &submit);
    uint64_t id = answer->u.run_answer.run.id, task = answer->u.run_answer.run.task_id;
    struct rec_task record;
    fixture_hello(fixture, 1, "w1", "b1", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    assert_status(fixture, id, RUN_COMPLETED);
    assert_true(fixture_stored(fixture, TYPE_TASK, task, &record));
    assert_int_equal(record.status, TASK_COMPLETED);
    struct msg_run_restart restart = {.idem = fixture_key(fixture), .id = id};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_restart, &restart)->u.error.rule, "fetch"));
    assert_true(fixture_run(fixture, id, &restart.known));
    SET_HAS(&restart, msg_run_restart, known);
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_restart, &restart)->u.error.rule, "fetch"));
    restart.known_task = record;
    SET_HAS(&restart, msg_run_restart, known_task);
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, task, &restart.known_stat));
    SET_HAS(&restart, msg_run_restart, known_stat);
    answer = fixture_ask(fixture, &shape_msg_run_restart, &restart);
    assert_int_equal(answer->shape->id, MSG_RUN_ANSWER);
    assert_int_equal(answer->u.run_answer.run.restart_of, id);
    assert_int_equal(answer->u.run_answer.run.task_id, task);
    uint64_t second = answer->u.run_answer.run.id;
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    assert_status(fixture, second, RUN_COMPLETED);
    struct rec_task_stat stat;
    fixture_stored(fixture, TYPE_TASK_STAT, task, &stat);
    assert_int_equal(stat.total, 2);
    assert_int_equal(stat.completed, 2);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_life_rebuilt),
        cmocka_unit_test(test_assignment_never_left),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_races_result),
        cmocka_unit_test(test_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
