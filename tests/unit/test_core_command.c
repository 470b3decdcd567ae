/* Commands about runs, and the keys that make each of them happen once. */
#include "tests/unit/unit.h"

#include "tests/unit/core_fixture.h"

static void refused(const struct msg *answer, uint64_t code, const char *rule)
{
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, code);
    assert_true(str_is(answer->u.error.rule, rule));
}

static void test_trigger(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_name = STR_LIT("one")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.run_answer.run.task_id, task);
    assert_int_equal(answer->u.run_answer.run.status, RUN_PENDING);
    assert_int_equal(answer->u.run_answer.estimated_completion, 0);
    trigger.idem = fixture_key(fixture);
    trigger.task_name = STR_LIT("nobody");
    refused(fixture_ask(fixture, &shape_msg_run_trigger, &trigger), ERR_NOT_FOUND, "not_found");
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    trigger = (struct msg_run_trigger){.idem = fixture_key(fixture), .task_id = task};
    answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.run_answer.estimated_completion, fixture->wall + 100);
    assert_int_equal(fixture_count_events(fixture, "task.triggered"), 2);
    fixture_free(fixture);
}

static void test_delay(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_trigger trigger = {
        .idem = fixture_key(fixture), .task_id = fixture_task(fixture, "one", "shell"), .trigger = {.delay_ms = 90000}};
    SET_HAS(&trigger.trigger, rec_trigger, delay_ms);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    uint64_t run = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    assert_string_equal(fixture_reason(fixture, run), "delayed until 2023-11-14T22:14:50.000Z");
    for (int i = 0; i < 8; i++) {
        fixture_wait(fixture, 10000);
        fixture_heartbeat(fixture, 1, NULL, 0);
    }
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_wait(fixture, 9999);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_wait(fixture, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, run);
    trigger = (struct msg_run_trigger){.idem = fixture_key(fixture), .task_id = 1, .trigger = {.delay_ms = INT64_MAX}};
    SET_HAS(&trigger.trigger, rec_trigger, delay_ms);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->shape->id, MSG_RUN_ANSWER);
    fixture_free(fixture);
}

static void test_keys(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    struct msg_run_trigger trigger = {.idem = fixture_key_of(1, 1), .task_id = task};
    uint64_t run = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id, run);
    trigger.idem = fixture_key_of(1, 2);
    refused(fixture_ask(fixture, &shape_msg_run_trigger, &trigger), ERR_KEY_REUSED, "key_reused");
    fixture_rebuild(fixture);
    trigger.idem = fixture_key_of(1, 1);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id, run);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    /* A refusal is remembered too: it stays what it was. */
    struct msg_run_trigger named = {.idem = fixture_key_of(2, 1), .task_name = STR_LIT("later")};
    refused(fixture_ask(fixture, &shape_msg_run_trigger, &named), ERR_NOT_FOUND, "not_found");
    fixture_task(fixture, "later", "shell");
    refused(fixture_ask(fixture, &shape_msg_run_trigger, &named), ERR_NOT_FOUND, "not_found");
    fixture_free(fixture);
}

/* A repeat while the first is on its way to the disk: both leave behind the commit, with one answer. */
static void test_key_in_flight(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_trigger trigger = {.idem = fixture_key_of(1, 1), .task_id = fixture_task(fixture, "one", "shell")};
    fixture_hold(fixture, HOLD_BATCHES);
    fixture_send(fixture, DOOR_COMMANDS, 1, 71, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    fixture_send(fixture, DOOR_COMMANDS, 1, 72, &shape_msg_run_trigger, &trigger);
    fixture_settle(fixture);
    assert_null(fixture_answer(fixture, 71));
    assert_null(fixture_answer(fixture, 72));
    fixture_hold(fixture, HOLD_NOTHING);
    assert_int_equal(fixture_answer(fixture, 71)->u.run_answer.run.id, fixture_answer(fixture, 72)->u.run_answer.run.id);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_free(fixture);
}

static void test_store_away(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_trigger trigger = {.idem = fixture_key_of(1, 1), .task_id = fixture_task(fixture, "one", "shell")};
    fixture_store_away(fixture, true);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger); /* at once */
    assert_int_equal(answer->u.error.code, ERR_UNAVAILABLE);
    struct msg_worker_list list = {.page = 1, .size = 1};
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_list, &list)->shape->id, MSG_WORKER_ROWS);
    fixture_store_away(fixture, false);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->shape->id, MSG_RUN_ANSWER);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture_free(fixture);
}

static void test_submit(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_submit, &submit);
    assert_true(str_is(answer->u.run_answer.run.task_name, "run-1"));
    struct rec_task task;
    assert_true(fixture_stored(fixture, TYPE_TASK, 1, &task));
    assert_true(task.oneshot);
    fixture_task(fixture, "run-3", "shell"); /* somebody else has the name that would be made up */
    submit.idem = fixture_key(fixture);
    answer = fixture_ask(fixture, &shape_msg_run_submit, &submit);
    assert_true(str_is(answer->u.run_answer.run.task_name, "run-3-2"));
    submit = (struct msg_run_submit){.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    submit.spec.schedule = STR_LIT("@hourly");
    SET_HAS(&submit.spec, rec_task_spec, schedule);
    refused(fixture_ask(fixture, &shape_msg_run_submit, &submit), ERR_INVALID, "schedule");
    submit = (struct msg_run_submit){.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    submit.spec.executor = STR_LIT("magic");
    refused(fixture_ask(fixture, &shape_msg_run_submit, &submit), ERR_INVALID, "unknown_executor");
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    assert_int_equal(fixture->disk_count[TYPE_TASK], 3);
    fixture_free(fixture);
}

/* A batch that only repeats what was asked before leaves an ended one-shot task ended. */
static void test_batch_repeated(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    struct rec_trigger item = {.idem = fixture_key_of(5, 5)};
    struct msg_run_trigger_batch batch = {.task_id = 1, .items = {&item, 1}};
    uint64_t run = 0;
    SET_HAS(&item, rec_trigger, idem);
    SET_HAS(&batch, msg_run_trigger_batch, known);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_stored(fixture, TYPE_TASK, 1, &batch.known));
        batch.idem = fixture_key(fixture);
        const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch);
        assert_int_equal(answer->shape->id, MSG_RUN_BATCH_ANSWER);
        if (i == 0) {
            run = answer->u.run_batch_answer.run_ids.items[0];
            fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
        } else {
            assert_int_equal(answer->u.run_batch_answer.run_ids.items[0], run);
        }
    }
    assert_true(fixture_stored(fixture, TYPE_TASK, 1, &batch.known));
    assert_int_equal(batch.known.status, TASK_COMPLETED);
    fixture_free(fixture);
}

static void refused_record(struct fixture *fixture, const struct shape *shape, const void *command, const char *field)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, 7, corr, shape, command);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    assert_non_null(answer);
    refused(answer, ERR_FORBIDDEN, "known");
    assert_true(str_is(answer->u.error.field, field));
}

static void send_publish(struct fixture *fixture, struct rec_lease lease, const char *path, const char *temporary)
{
    struct msg_publish publish = {
        .run_id = lease.run_id,
        .output = {
            .attempt = lease.attempt, .path = str_of(path), .temporary = str_of(temporary), .hash = STR_LIT("0123456789abcdef")}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_publish, &publish);
    fixture_settle(fixture);
}

/* Only a run that has an output is granted one, under names that a rename can join. */
static void test_publish(void **unused)
{
    (void)unused;
    static const char *const bad[][2] = {{"/a/out", "out"},   {"out", "tmp"},       {"/a/out", "/b/tmp"},  {"/a/out", "/a/b/tmp"},
                                         {"/a/out", "/aa"},   {"/a/out", "/a/out"}, {"/a/", "/a/tmp"},     {"/a/out", "/a/"},
                                         {"/a/..", "/a/tmp"}, {"/a/.", "/a/tmp"},   {"/a/../b", "/b/tmp"}, {"a/out", "a/tmp"}};
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "without", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    send_publish(fixture, lease, "/a/out", "/a/tmp");
    assert_true(fixture_refused(fixture, 1, lease));
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));

    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("with", "shell")};
    create.spec.output = STR_LIT("/a/{{name}}");
    SET_HAS(&create.spec, rec_task_spec, output);
    uint64_t task = fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
    fixture_trigger(fixture, task);
    lease = fixture_begin(fixture, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        send_publish(fixture, lease, bad[i][0], bad[i][1]);
        if (!fixture_refused(fixture, 1, lease) || fixture_take(fixture, 1, MSG_PUBLISH_GRANT))
            fail_msg("%s from %s was granted", bad[i][0], bad[i][1]);
    }
    /* What the attempt was assigned with counts, not what its task has become since. */
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task};
    SET_HAS(&update.spec, rec_task_spec, output);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
    send_publish(fixture, lease, "/a/out", "/a/tmp");
    assert_non_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    /* A grant stays one over a restart of the scheduler: the output may have its name, so no abort, and no other output. */
    fixture_rebuild(fixture);
    assert_int_equal(fixture_abort(fixture, lease.run_id), ERR_CONFLICT);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, &lease, 1);
    assert_int_equal(fixture_abort(fixture, lease.run_id), ERR_CONFLICT);
    send_publish(fixture, lease, "/a/other", "/a/tmp");
    assert_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    send_publish(fixture, lease, "/a/out", "/a/tmp");
    assert_non_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    fixture_free(fixture);
}

/* A worker that comes back with a lease it has lost hears whether its output is still of use: only one that was granted is. */
static void test_publish_spent(void **unused)
{
    (void)unused;
    for (int granted = 0; granted < 2; granted++) {
        struct fixture *fixture = fixture_ready();
        struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("with", "shell")};
        create.spec.output = STR_LIT("/a/out");
        SET_HAS(&create.spec, rec_task_spec, output);
        fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
        fixture_trigger(fixture, fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id);
        struct rec_lease lease = fixture_begin(fixture, 1);
        if (granted)
            send_publish(fixture, lease, "/a/out", "/a/tmp");
        fixture_hello(fixture, 2, "w", "b2", "shell", 1, NULL, 0); /* started anew: what the one before held is lost */
        fixture_hello(fixture, 3, "w", "b3", "shell", 1, &lease, 1);
        const struct msg *welcome = fixture_take(fixture, 3, MSG_WELCOME);
        assert_non_null(welcome);
        assert_int_equal(welcome->u.welcome.drop.count, 1);
        assert_int_equal(welcome->u.welcome.drop.items[0].attempt, lease.attempt);
        assert_int_equal(welcome->u.welcome.drop.items[0].spent, !granted);
        fixture_free(fixture);
    }
}

/* A client on the workers' socket cannot make up what is stored; nor does it need to: without a record it is told to ask elsewhere. */
static void test_records_of_strangers(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_ask(fixture, &shape_msg_run_submit, &submit);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    struct msg_run_restart restart = {.idem = fixture_key(fixture), .id = 1};
    fixture_send(fixture, DOOR_WORKERS, 7, ++fixture->corr, &shape_msg_run_restart, &restart);
    fixture_settle(fixture);
    refused(fixture_answer(fixture, fixture->corr), ERR_NOT_FOUND, "fetch");
    restart.idem = fixture_key(fixture);
    assert_true(fixture_stored(fixture, TYPE_RUN, 1, &restart.known));
    SET_HAS(&restart, msg_run_restart, known);
    refused_record(fixture, &shape_msg_run_restart, &restart, "known");
    struct msg_run_restart of_task = {.idem = fixture_key(fixture), .id = 1};
    assert_true(fixture_stored(fixture, TYPE_TASK, 1, &of_task.known_task));
    SET_HAS(&of_task, msg_run_restart, known_task);
    refused_record(fixture, &shape_msg_run_restart, &of_task, "known_task");
    struct msg_run_abort abort = {.idem = fixture_key(fixture), .id = 1, .known = restart.known};
    SET_HAS(&abort, msg_run_abort, known);
    refused_record(fixture, &shape_msg_run_abort, &abort, "known");
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = 1, .known = of_task.known_task};
    SET_HAS(&update, msg_task_update, known);
    refused_record(fixture, &shape_msg_task_update, &update, "known");
    struct msg_task_pause pause = {.idem = fixture_key(fixture), .id = 1, .known_stat = {.id = 1, .completed = 99}};
    SET_HAS(&pause, msg_task_pause, known_stat);
    refused_record(fixture, &shape_msg_task_pause, &pause, "known_stat");
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = 1, .known = of_task.known_task};
    SET_HAS(&trigger, msg_run_trigger, known);
    refused_record(fixture, &shape_msg_run_trigger, &trigger, "known");
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_restart, &restart)->shape->id, MSG_ERROR); /* the task is not known */
    SET_HAS(&restart, msg_run_restart, known_task);
    restart.known_task = of_task.known_task;
    restart.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_restart, &restart)->shape->id, MSG_RUN_ANSWER);
    fixture_free(fixture);
}

static void test_batch(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell");
    struct rec_trigger items[4] = {{0}};
    items[1].idem = fixture_key_of(5, 5);
    SET_HAS(&items[1], rec_trigger, idem);
    items[3].idem = fixture_key_of(5, 5); /* the same as item 1 */
    SET_HAS(&items[3], rec_trigger, idem);
    struct msg_run_trigger_batch batch = {.idem = fixture_key(fixture), .task_id = task, .items = {items, 4}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch);
    const struct uint_list *ids = &answer->u.run_batch_answer.run_ids;
    assert_int_equal(ids->count, 4);
    assert_int_equal(ids->items[1], ids->items[3]);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3);
    uint64_t keyed = ids->items[1];
    fixture_rebuild(fixture);
    batch.idem = fixture_key(fixture); /* another batch with the same item */
    answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch);
    assert_int_equal(answer->u.run_batch_answer.run_ids.items[1], keyed);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 5);
    items[2].idem = fixture_key_of(5, 6); /* the key with another body: none of it happens */
    SET_HAS(&items[2], rec_trigger, idem);
    batch.idem = fixture_key(fixture);
    refused(fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch), ERR_KEY_REUSED, "key_reused");
    assert_int_equal(fixture->disk_count[TYPE_RUN], 5);
    batch.idem = fixture_key(fixture);
    batch.items = (struct rec_trigger_list){&items[2], 1}; /* also when the key is from an earlier batch */
    refused(fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch), ERR_KEY_REUSED, "key_reused");
    struct rec_task_stat stat;
    fixture_stored(fixture, TYPE_TASK_STAT, task, &stat);
    assert_int_equal(stat.total, 5);
    fixture_free(fixture);
}

static void test_live(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t task = fixture_task(fixture, "one", "shell"), ids[3];
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    ids[0] = fixture_trigger(fixture, task);
    ids[1] = fixture_trigger(fixture, task);
    ids[2] = 4711;
    struct rec_lease lease = fixture_begin(fixture, 1);
    struct rec_progress item = {.run_id = ids[0], .attempt = 1, .percent = 12.5, .note = STR_LIT("frame 7")};
    struct msg_progress progress = {.items = {&item, 1}};
    struct msg_run_live live = {.ids = {ids, 3}};
    const struct rec_live_run_list *rows = &fixture_ask(fixture, &shape_msg_run_live, &live)->u.run_live_rows.runs;
    assert_false(HAS(&rows->items[0], rec_live_run, progress)); /* nobody told one */
    SET_HAS(&item, rec_progress, percent);
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    rows = &fixture_ask(fixture, &shape_msg_run_live, &live)->u.run_live_rows.runs;
    assert_int_equal(rows->count, 2);
    assert_int_equal(rows->items[0].status, RUN_RUNNING);
    assert_true(HAS(&rows->items[0], rec_live_run, progress) && rows->items[0].progress == 12.5);
    assert_true(str_is(rows->items[0].note, "frame 7"));
    assert_true(str_is(rows->items[0].worker_name, "worker-001"));
    assert_true(str_is(rows->items[1].reason, "all workers of type shell are busy"));
    item.percent = 500; /* nonsense is nothing */
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    rows = &fixture_ask(fixture, &shape_msg_run_live, &live)->u.run_live_rows.runs;
    assert_false(HAS(&rows->items[0], rec_live_run, progress));
    lease.attempt = 9;
    item.attempt = 9;
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    fixture_settle(fixture);
    assert_true(fixture_refused(fixture, 1, lease));
    fixture_free(fixture);
}

static void send_log(struct fixture *fixture, struct rec_lease lease, uint64_t seq)
{
    struct rec_log_line line = {.seq = seq, .at = fixture->wall, .stream = STREAM_STDOUT, .text = STR_LIT("hello")};
    struct msg_log log = {.chunk = {.run_id = lease.run_id, .attempt = lease.attempt, .lines = {&line, 1}}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_log, &log);
    fixture_settle(fixture);
}

static void test_logs(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1), stranger = {.run_id = 88, .attempt = 1};
    fixture_hold(fixture, HOLD_BATCHES);
    send_log(fixture, lease, 1);
    assert_null(fixture_take(fixture, 1, MSG_LOG_ACK));
    fixture_hold(fixture, HOLD_NOTHING);
    assert_int_equal(fixture_take(fixture, 1, MSG_LOG_ACK)->u.log_ack.seq, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    send_log(fixture, lease, 2); /* behind its result */
    assert_int_equal(fixture_take(fixture, 1, MSG_LOG_ACK)->u.log_ack.seq, 2);
    assert_int_equal(fixture->log_lines, 2);
    send_log(fixture, stranger, 1);
    assert_true(fixture_refused(fixture, 1, stranger));
    assert_int_equal(fixture->log_lines, 2);
    fixture_free(fixture);
}

/* Lines that came while the store was away come again before any later ones, and before the result, are taken. */
static void test_log_gap(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    send_log(fixture, lease, 1);
    assert_non_null(fixture_take(fixture, 1, MSG_LOG_ACK));
    fixture_store_away(fixture, true);
    send_log(fixture, lease, 2);
    fixture_store_away(fixture, false);
    send_log(fixture, lease, 3);
    assert_null(fixture_take(fixture, 1, MSG_LOG_ACK));
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_false(fixture_acked(fixture, 1, lease));
    send_log(fixture, lease, 2);
    send_log(fixture, lease, 3);
    assert_int_equal(fixture_take(fixture, 1, MSG_LOG_ACK)->u.log_ack.seq, 2);
    assert_int_equal(fixture_take(fixture, 1, MSG_LOG_ACK)->u.log_ack.seq, 3);
    assert_int_equal(fixture->log_lines, 3);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_free(fixture);
}

/* A worker that never sends them again does not hold up its result for ever. */
static void test_log_gap_given_up(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, fixture_task(fixture, "one", "shell"));
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_store_away(fixture, true);
    send_log(fixture, lease, 1);
    fixture_store_away(fixture, false);
    fixture_wait(fixture, 15000);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_true(fixture_acked(fixture, 1, lease));
    fixture_free(fixture);
}

/* A key keeps what its answer needs, not what the run carries: it lives for a day, and a start reads all of them. */
static void test_answers_are_brief(void **unused)
{
    static char map[65541] = "\x81\xa1k\xda\xff\xff";
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = fixture_task(fixture, "one", "shell")};
    struct rec_run run;
    struct rec_key key;
    memset(map + 6, 'x', 65535);
    trigger.trigger.parameters = (struct str){map, sizeof map};
    SET_HAS(&trigger.trigger, rec_trigger, parameters);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    uint64_t id = answer->u.run_answer.run.id;
    assert_int_equal(answer->u.run_answer.run.parameters.len, 0);
    assert_int_equal(answer->u.run_answer.run.timeout_seconds, 3600);
    assert_true(fixture_run(fixture, id, &run));
    assert_int_equal(run.parameters.len, sizeof map);
    assert_true(fixture_stored(fixture, TYPE_KEY, 2, &key)); /* the task's is the first */
    assert_true(key.answer.len < 100);
    fixture_rebuild(fixture);
    answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.run_answer.run.id, id);
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    fixture_begin(fixture, 1);
    struct msg_run_abort abort = {.idem = fixture_key(fixture), .id = id};
    answer = fixture_ask(fixture, &shape_msg_run_abort, &abort);
    assert_int_equal(answer->u.run_answer.run.status, RUN_ABORTED);
    assert_int_equal(answer->u.run_answer.run.completed_at, fixture->wall);
    assert_int_equal(answer->u.run_answer.run.attempts.count, 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trigger),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_key_in_flight),
        cmocka_unit_test(test_store_away),
        cmocka_unit_test(test_submit),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_repeated),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_log_gap),
        cmocka_unit_test(test_log_gap_given_up),
        cmocka_unit_test(test_records_of_strangers),
        cmocka_unit_test(test_answers_are_brief),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_publish_spent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
