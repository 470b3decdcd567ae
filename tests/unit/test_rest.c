/* Workers over REST: registered, silent, started anew, changed, removed; what they serve. */
#include "tests/unit/rest_unit.h"

#include "scheduler/worker.h"

/* ---- registered ---- */

static void test_registered(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    const struct msg *answer = register_as(fixture, "one", "");
    struct rec_worker worker;
    assert_int_equal(answer->shape->id, MSG_WORKER_ANSWER);
    assert_true(str_is(answer->u.worker_answer.worker.name, "worker-001"));
    assert_true(answer->u.worker_answer.worker.asks);
    assert_int_equal(answer->u.worker_answer.worker.status, WORKER_ACTIVE);
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.slots, 2);
    assert_int_equal(worker.port, 80);
    assert_int_equal(fixture_count_events(fixture, "worker.registered"), 1);
    answer = register_as(fixture, "one", "");
    assert_true(str_is(answer->u.worker_answer.worker.name, "worker-001")); /* the same one */
    assert_int_equal(fixture_count_events(fixture, "worker.registered"), 1);
    assert_true(str_is(register_as(fixture, "", "")->u.worker_answer.worker.name, "worker-002"));
    assert_true(str_is(register_as(fixture, "", "")->u.worker_answer.worker.name, "worker-003")); /* nameless: a new one each */
    fixture_rebuild(fixture);
    core_check(fixture->core);
    assert_true(str_is(register_as(fixture, "one", "")->u.worker_answer.worker.name, "worker-001"));
    expect_error(register_as(fixture, "not a name", ""), ERR_INVALID, "ident");
    expect_error(register_as(fixture, "x", "not a boot"), ERR_INVALID, "ident");
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A name belongs to one way of working. */
static void test_two_links(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    register_as(fixture, "rest", "");
    expect_error(fixture_hello(fixture, 1, "rest", "b1", "shell", 1, NULL, 0), ERR_CONFLICT, "link");
    fixture_hello(fixture, 2, "session", "b1", "shell", 1, NULL, 0);
    expect_error(register_as(fixture, "session", ""), ERR_CONFLICT, "link");
    expect_error(beat_as(fixture, "worker-002", NULL, 0), ERR_CONFLICT, "link");
    expect_error(polled(fixture, "worker-002", 1), ERR_CONFLICT, "link");
    expect_error(polled(fixture, "worker-009", 1), ERR_NOT_FOUND, "not_found");
    fixture_free(fixture);
}

static void test_limit(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.workers_max = 2;
    fixture_start(fixture);
    register_as(fixture, "a", "");
    register_as(fixture, "b", "");
    expect_error(register_as(fixture, "c", ""), ERR_LIMIT, "limit");
    fixture_wait(fixture, 31000); /* both fall silent */
    assert_true(str_is(register_as(fixture, "c", "")->u.worker_answer.worker.name, "worker-003"));
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_owner(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_worker_register asked = registration(fixture, "one", "b1");
    asked.whose = STR_LIT("aaaaaaaaaaaaaaaa");
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_register, &asked)->shape->id, MSG_WORKER_ANSWER);
    fixture_rebuild(fixture);
    uint64_t run = fixture_trigger(fixture, fixture_task(fixture, "t", "shell"));
    struct msg_worker_lease lease = {
        .idem = fixture_key(fixture), .id = STR_LIT("worker-001"), .max = 1, .whose = STR_LIT("bbbbbbbbbbbbbbbb")};
    expect_error(fixture_ask(fixture, &shape_msg_worker_lease, &lease), ERR_FORBIDDEN, "owner");
    lease.idem = fixture_key(fixture);
    lease.whose = asked.whose;
    struct rec_lease got = given(fixture_ask(fixture, &shape_msg_worker_lease, &lease), 0);
    assert_int_equal(got.run_id, run);
    struct msg_run_report report = {
        .idem = fixture_key(fixture), .run_id = run, .attempt = 1, .status = RUN_COMPLETED, .whose = STR_LIT("bbbbbbbbbbbbbbbb")};
    expect_error(fixture_ask(fixture, &shape_msg_run_report, &report), ERR_FORBIDDEN, "owner");
    assert_int_equal(status_of(fixture, run), RUN_RUNNING);
    struct msg_worker_remove remove = {
        .idem = fixture_key(fixture), .id = STR_LIT("worker-001"), .whose = STR_LIT("bbbbbbbbbbbbbbbb")};
    expect_error(fixture_ask(fixture, &shape_msg_worker_remove, &remove), ERR_FORBIDDEN, "owner");
    asked.idem = fixture_key(fixture);
    asked.whose = STR_LIT("bbbbbbbbbbbbbbbb");
    expect_error(fixture_ask(fixture, &shape_msg_worker_register, &asked), ERR_FORBIDDEN, "owner");
    fixture_wait(fixture, 31000); /* away: whoever has its name may be it again */
    asked.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_register, &asked)->shape->id, MSG_WORKER_ANSWER);
    fixture_hello(fixture, 1, "session", "b1", "shell", 1, NULL, 0);
    struct msg_worker_update update = {.idem = fixture_key(fixture),
                                       .id = STR_LIT("worker-002"),
                                       .status = WORKER_DRAINING,
                                       .whose = STR_LIT("bbbbbbbbbbbbbbbb")};
    SET_HAS(&update, msg_worker_update, status);
    expect_error(fixture_ask(fixture, &shape_msg_worker_update, &update), ERR_FORBIDDEN, "owner");
    fixture_free(fixture);
}

/* ---- silence and restarts ---- */

static void test_silent(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_RUNNING);
    fixture_wait(fixture, 31000);
    struct rec_worker worker;
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.status, WORKER_OFFLINE);
    assert_int_equal(fixture_count_events(fixture, "worker.unregistered"), 1);
    assert_int_equal(status_of(fixture, 1), RUN_PENDING);
    expect_error(report_as(fixture, lease, RUN_COMPLETED), ERR_CONFLICT, "stale");
    assert_int_equal(status_of(fixture, 1), RUN_PENDING);
    const struct msg *answer = beat_as(fixture, "worker-001", &lease.run_id, 1); /* it is back, and told to stop */
    assert_int_equal(answer->u.worker_beat_answer.status, WORKER_ACTIVE);
    assert_int_equal(answer->u.worker_beat_answer.cancel.items[0], 1);
    assert_int_equal(fixture_count_events(fixture, "worker.registered"), 2);
    lease = given(polled(fixture, "worker-001", 1), 0);
    assert_int_equal(lease.attempt, 2);
    report_as(fixture, lease, RUN_COMPLETED);
    struct rec_run run;
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.losses, 1);
    fixture_free(fixture);
}

/* A restart of the scheduler costs it nothing: a full term, whatever was left of it before. */
static void test_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(2);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_RUNNING);
    fixture_wait(fixture, 25000);
    fixture_rebuild(fixture);
    core_check(fixture->core);
    fixture_wait(fixture, 25000);
    assert_int_equal(report_as(fixture, lease, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED);
    struct rec_run run;
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.attempt, 1);
    assert_int_equal(run.losses, 0);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 2); /* it need not register again */
    fixture_free(fixture);
}

/* Registering again without the boot of before is a new start: what it held is lost at once. */
static void test_started_anew(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_run run;
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_RUNNING);
    register_as(fixture, "one", "b1"); /* the same start */
    assert_int_equal(status_of(fixture, 1), RUN_RUNNING);
    uint64_t corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    register_as(fixture, "one", "b2");
    core_check(fixture->core);
    assert_int_equal(fixture_answer(fixture, corr)->u.worker_leased.runs.count, 0); /* its former life's question */
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.losses, 1);
    lease = given(polled(fixture, "worker-001", 1), 0);
    register_as(fixture, "one", "b3"); /* not heard of yet: it may never have arrived */
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.losses, 1);
    fixture_free(fixture);
}

/* ---- changed and removed ---- */

static struct msg_worker_update update_of(struct fixture *fixture, const char *id)
{
    return (struct msg_worker_update){.idem = fixture_key(fixture), .id = str_of(id)};
}

static const struct msg *order(struct fixture *fixture, const char *id, uint64_t status)
{
    struct msg_worker_update update = update_of(fixture, id);
    update.status = status;
    SET_HAS(&update, msg_worker_update, status);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_worker_update, &update);
    core_check(fixture->core);
    return answer;
}

static void test_update(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(4);
    struct str type = STR_LIT("python");
    struct msg_worker_update update = update_of(fixture, "worker-001");
    update.max_concurrent_tasks = 3;
    SET_HAS(&update, msg_worker_update, max_concurrent_tasks);
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_update, &update)->u.worker_answer.worker.slots, 3);
    assert_int_equal(polled(fixture, "worker-001", 9)->u.worker_leased.runs.count, 3);
    update = update_of(fixture, "worker-001");
    update.task_types = (struct str_list){&type, 1};
    SET_HAS(&update, msg_worker_update, task_types);
    update.max_concurrent_tasks = 9;
    SET_HAS(&update, msg_worker_update, max_concurrent_tasks);
    fixture_ask(fixture, &shape_msg_worker_update, &update);
    core_check(fixture->core);
    assert_int_equal(polled(fixture, "worker-001", 9)->u.worker_leased.runs.count, 0); /* it serves that no more */
    fixture_rebuild(fixture);
    struct msg_worker_list list = {.page = 1, .size = 1, .name = STR_LIT("worker-001")};
    const struct rec_worker *worker = &fixture_ask(fixture, &shape_msg_worker_list, &list)->u.worker_rows.workers.items[0];
    assert_int_equal(worker->slots, 9);
    assert_true(str_is(worker->task_types.items[0], "python"));
    expect_error(order(fixture, "worker-007", WORKER_ACTIVE), ERR_NOT_FOUND, "not_found");
    fixture_free(fixture);
}

static void test_draining(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(2);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    assert_int_equal(order(fixture, "worker-001", WORKER_DRAINING)->u.worker_answer.worker.status, WORKER_DRAINING);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 0);
    assert_int_equal(report_as(fixture, lease, RUN_COMPLETED)->shape->id, MSG_RUN_REPORTED); /* it finishes */
    fixture_rebuild(fixture);
    assert_int_equal(register_as(fixture, "one", "b2")->u.worker_answer.worker.status, WORKER_DRAINING); /* until set active */
    uint64_t corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    assert_null(fixture_answer(fixture, corr));
    order(fixture, "worker-001", WORKER_ACTIVE);
    fixture_settle(fixture);
    assert_int_equal(given(fixture_answer(fixture, corr), 0).run_id, 2);
    fixture_free(fixture);
}

static void test_offline(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_run run;
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_RUNNING);
    assert_int_equal(order(fixture, "worker-001", WORKER_OFFLINE)->u.worker_answer.worker.status, WORKER_OFFLINE);
    assert_int_equal(fixture_count_events(fixture, "worker.unregistered"), 1);
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.losses, 0);
    const struct msg *answer = beat_as(fixture, "worker-001", &lease.run_id, 1);
    assert_int_equal(answer->u.worker_beat_answer.status, WORKER_OFFLINE); /* it stays so */
    assert_int_equal(answer->u.worker_beat_answer.cancel.count, 1);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 0);
    fixture_rebuild(fixture);
    assert_int_equal(beat_as(fixture, "worker-001", NULL, 0)->u.worker_beat_answer.status, WORKER_OFFLINE);
    assert_int_equal(order(fixture, "worker-001", WORKER_ACTIVE)->u.worker_answer.worker.status, WORKER_ACTIVE);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 1);
    order(fixture, "worker-001", WORKER_OFFLINE);
    assert_int_equal(register_as(fixture, "one", "b9")->u.worker_answer.worker.status, WORKER_ACTIVE); /* it is there */
    fixture_wait(fixture, 31000);
    assert_int_equal(order(fixture, "worker-001", WORKER_OFFLINE)->u.worker_answer.worker.status, WORKER_OFFLINE);
    fixture_free(fixture);
}

/* What a worker with a session says of itself stands; that it is to take nothing new may be ordered. */
static void test_update_of_a_session(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "session", "b1", "shell", 2, NULL, 0);
    uint64_t task = fixture_task(fixture, "t", "shell");
    assert_int_equal(order(fixture, "worker-001", WORKER_DRAINING)->u.worker_answer.worker.status, WORKER_DRAINING);
    fixture_trigger(fixture, task);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 1, "session", "b2", "shell", 2, NULL, 0); /* its HELLO does not change that */
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    order(fixture, "worker-001", WORKER_ACTIVE);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 1);
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_drain, &drain);
    fixture_settle(fixture);
    assert_int_equal(order(fixture, "worker-001", WORKER_ACTIVE)->u.worker_answer.worker.status, WORKER_DRAINING); /* its word */
    struct msg_worker_update update = update_of(fixture, "worker-001");
    update.max_concurrent_tasks = 9;
    SET_HAS(&update, msg_worker_update, max_concurrent_tasks);
    expect_error(fixture_ask(fixture, &shape_msg_worker_update, &update), ERR_CONFLICT, "link");
    expect_error(order(fixture, "worker-001", WORKER_OFFLINE), ERR_CONFLICT, "link");
    fixture_free(fixture);
}

static void test_removed(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_run run;
    struct rec_worker worker;
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    report_as(fixture, lease, RUN_RUNNING);
    uint64_t corr = poll_as(fixture, "worker-001", 1, 20000, fixture_key(fixture));
    struct msg_worker_remove remove = {.idem = fixture_key(fixture), .id = STR_LIT("worker-001")};
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_remove, &remove)->shape->id, MSG_DONE);
    core_check(fixture->core);
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_remove, &remove)->shape->id, MSG_DONE); /* the same key */
    assert_int_equal(fixture_answer(fixture, corr)->u.worker_leased.runs.count, 0);
    assert_false(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(fixture_count_events(fixture, "worker.unregistered"), 1);
    assert_true(fixture_run(fixture, 1, &run));
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.losses, 0);
    expect_error(beat_as(fixture, "worker-001", NULL, 0), ERR_NOT_FOUND, "not_found");
    expect_error(report_as(fixture, lease, RUN_COMPLETED), ERR_CONFLICT, "stale");
    assert_true(str_is(register_as(fixture, "one", "b1")->u.worker_answer.worker.name, "worker-002")); /* another one */
    fixture_hello(fixture, 1, "session", "b1", "shell", 1, NULL, 0);
    fixture_begin(fixture, 1);
    remove = (struct msg_worker_remove){.idem = fixture_key(fixture), .id = STR_LIT("worker-003")};
    expect_error(fixture_ask(fixture, &shape_msg_worker_remove, &remove), ERR_CONFLICT, "connected");
    remove.idem = fixture_key(fixture);
    remove.force = true;
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_remove, &remove)->shape->id, MSG_DONE);
    assert_int_equal(status_of(fixture, 1), RUN_PENDING);
    fixture_heartbeat(fixture, 1, NULL, 0);
    assert_true(str_is(fixture_take(fixture, 1, MSG_ERROR)->u.error.rule, "hello"));
    core_check(fixture->core);
    fixture_free(fixture);
}

/* ---- what they serve ---- */

static uint64_t create_error(struct fixture *fixture, const char *name, const char *type, const char *executor)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, type)};
    create.spec.executor = str_of(executor);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    return answer->shape->id == MSG_ERROR ? answer->u.error.code : 0;
}

static uint64_t newest_run(struct fixture *fixture, const char *task)
{
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_name = str_of(task)};
    return fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
}

static void test_executors(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    assert_int_equal(create_error(fixture, "early", "sql", "psql"), ERR_INVALID); /* nobody serves it */
    register_as(fixture, "one", "");
    assert_int_equal(create_error(fixture, "own", "sql", "sql"), 0);
    assert_int_equal(create_error(fixture, "free", "sql", "psql"),
                     0); /* what it means is for those that serve the type to know */
    assert_int_equal(create_error(fixture, "foreign", "sql", "http"), 0);
    assert_int_equal(create_error(fixture, "other", "cobol", "cobol"), ERR_INVALID);
    uint64_t own = newest_run(fixture, "own"), other = newest_run(fixture, "free"), foreign = newest_run(fixture, "foreign");
    const struct msg *answer = polled(fixture, "worker-001", 9);
    assert_int_equal(answer->u.worker_leased.runs.count, 2);
    assert_int_equal(given(answer, 0).run_id, own);
    assert_int_equal(given(answer, 1).run_id, other);
    assert_string_equal(fixture_reason(fixture, foreign), "no worker of type sql has executor http");
    fixture_hello(fixture, 1, "session", "b1", "sql", 1, NULL, 0);
    assert_int_equal(create_error(fixture, "shared", "sql", "mysql"), ERR_INVALID); /* not only REST workers any more */
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_labels(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    const char *const gpu[] = {"gpu", "yes", NULL};
    struct msg_worker_register asked = registration(fixture, "plain", "");
    fixture_ask(fixture, &shape_msg_worker_register, &asked);
    asked = registration(fixture, "gpu", "");
    asked.labels = fixture_map(gpu);
    fixture_ask(fixture, &shape_msg_worker_register, &asked);
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("t", "shell")};
    create.spec.labels = fixture_map(gpu);
    SET_HAS(&create.spec, rec_task_spec, labels);
    fixture_ask(fixture, &shape_msg_task_create, &create);
    uint64_t run = fixture_trigger(fixture, 1);
    assert_int_equal(given(polled(fixture, "worker-001", 1), 0).run_id, 0);
    assert_int_equal(given(polled(fixture, "worker-002", 1), 0).run_id, run);
    fixture_free(fixture);
}

/* What it shows of itself is true this second; its metadata is kept. */
static void test_heartbeat(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_worker worker;
    uint64_t batches = fixture->applied;
    const struct msg *answer = beat_as(fixture, "worker-001", NULL, 0);
    assert_int_equal(fixture->applied, batches); /* no write */
    assert_true(str_is(answer->u.worker_beat_answer.id, "worker-001"));
    assert_int_equal(answer->u.worker_beat_answer.heartbeat_ms, 5000);
    assert_int_equal(answer->u.worker_beat_answer.last_heartbeat, fixture->wall);
    struct msg_worker_list list = {.page = 1, .size = 1};
    const struct rec_worker *row = &fixture_ask(fixture, &shape_msg_worker_list, &list)->u.worker_rows.workers.items[0];
    assert_true(row->load_average == 0.25 && row->cpu_percent == 12.5);
    assert_int_equal(row->memory_mb, 64);
    const char *const pairs[] = {"zone", "b", NULL};
    struct msg_worker_beat beat = {.id = STR_LIT("worker-001"), .metadata = fixture_map(pairs)};
    SET_HAS(&beat, msg_worker_beat, metadata);
    fixture_ask(fixture, &shape_msg_worker_beat, &beat);
    batches = fixture->applied;
    fixture_ask(fixture, &shape_msg_worker_beat, &beat); /* as it was */
    assert_int_equal(fixture->applied, batches);
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    assert_int_equal(worker.metadata.len, beat.metadata.len);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    const uint64_t twice[] = {lease.run_id, lease.run_id}, wrong[] = {9, lease.attempt};
    beat = (struct msg_worker_beat){
        .id = STR_LIT("worker-001"), .runs = {(uint64_t *)(uintptr_t)twice, 2}, .attempts = {(uint64_t *)(uintptr_t)wrong, 2}};
    SET_HAS(&beat, msg_worker_beat, runs);
    answer = fixture_ask(fixture, &shape_msg_worker_beat, &beat); /* an attempt that is not its, and the one that is */
    assert_int_equal(answer->u.worker_beat_answer.cancel.count, 1);
    fixture_wait(fixture, 15000);
    assert_int_equal(status_of(fixture, lease.run_id), RUN_RUNNING);
    fixture_free(fixture);
}

static const struct msg *keyed_beat(struct fixture *fixture, unsigned key, unsigned body, double load, struct str metadata)
{
    struct msg_worker_beat beat = {
        .idem = fixture_key_of(key, body), .id = STR_LIT("worker-001"), .load_average = load, .metadata = metadata};
    SET_HAS(&beat, msg_worker_beat, idem);
    if (metadata.len)
        SET_HAS(&beat, msg_worker_beat, metadata);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_worker_beat, &beat);
    core_check(fixture->core);
    return answer;
}

static double load_shown(struct fixture *fixture)
{
    struct msg_worker_list list = {.page = 1, .size = 1};
    return fixture_ask(fixture, &shape_msg_worker_list, &list)->u.worker_rows.workers.items[0].load_average;
}

/* The key of a heartbeat is remembered where what it says is: in memory, or on disk. */
static void test_heartbeat_key(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    const struct str none = {0}, zone = fixture_map((const char *[]){"zone", "b", NULL});
    uint64_t batches = fixture->applied, at = fixture->wall;
    keyed_beat(fixture, 1, 1, 1.0, none);
    fixture_wait(fixture, 3000);
    keyed_beat(fixture, 2, 1, 2.0, none);
    const struct msg *answer = keyed_beat(fixture, 1, 1, 1.0, none);
    assert_int_equal(answer->u.worker_beat_answer.last_heartbeat, at);
    assert_true(load_shown(fixture) == 2.0); /* nothing was said anew */
    expect_error(keyed_beat(fixture, 1, 2, 3.0, none), ERR_KEY_REUSED, "key_reused");
    assert_int_equal(fixture->applied, batches);
    assert_int_equal(fixture->disk_count[TYPE_KEY], 3); /* of the registration, the task and the run */
    for (unsigned key = 3; key < 3 + WORKER_BEATS; key++)
        keyed_beat(fixture, key, 1, key, none);
    keyed_beat(fixture, 1, 2, 9.0, none); /* over: so many newer ones are remembered */
    assert_true(load_shown(fixture) == 9.0);
    /* What is written has its key written. */
    keyed_beat(fixture, 20, 1, 1.0, zone);
    size_t keys = fixture->disk_count[TYPE_KEY];
    at = fixture->wall;
    fixture_wait(fixture, 1000);
    keyed_beat(fixture, 21, 1, 2.0, fixture_map((const char *[]){"zone", "c", NULL}));
    assert_int_equal(fixture->disk_count[TYPE_KEY], keys + 1);
    fixture_rebuild(fixture);
    assert_int_equal(keyed_beat(fixture, 20, 1, 1.0, zone)->u.worker_beat_answer.last_heartbeat, at);
    assert_true(load_shown(fixture) == 0.0);
    struct rec_worker worker;
    assert_true(fixture_stored(fixture, TYPE_WORKER, 1, &worker));
    struct str word;
    assert_true(map_text(worker.metadata, STR_LIT("zone"), &word) && str_is(word, "c"));
    expect_error(keyed_beat(fixture, 20, 2, 1.0, zone), ERR_KEY_REUSED, "key_reused");
    fixture_free(fixture);
}

/* A run that it is told to stop, and a refusal, are told again under the same key. */
static void test_heartbeat_key_of_what_is_told(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(1);
    struct rec_lease lease = given(polled(fixture, "worker-001", 1), 0);
    struct msg_worker_beat beat = {.idem = fixture_key_of(1, 1), .id = STR_LIT("worker-001"), .runs = {&lease.run_id, 1}};
    SET_HAS(&beat, msg_worker_beat, idem);
    SET_HAS(&beat, msg_worker_beat, runs);
    assert_int_equal(fixture_ask(fixture, &shape_msg_worker_beat, &beat)->u.worker_beat_answer.cancel.count, 0);
    assert_int_equal(fixture_abort(fixture, lease.run_id), 0);
    beat.idem = fixture_key_of(2, 1);
    for (int i = 0; i < 2; i++) {
        const struct msg *answer = fixture_ask(fixture, &shape_msg_worker_beat, &beat);
        assert_int_equal(answer->u.worker_beat_answer.cancel.count, 1);
        assert_int_equal(answer->u.worker_beat_answer.cancel.items[0], lease.run_id);
        fixture_rebuild(fixture);
    }
    beat.idem = fixture_key_of(3, 1);
    beat.id = STR_LIT("worker-002");
    expect_error(fixture_ask(fixture, &shape_msg_worker_beat, &beat), ERR_NOT_FOUND, "not_found");
    assert_int_equal(register_as(fixture, "two", "b1")->shape->id, MSG_WORKER_ANSWER);
    expect_error(fixture_ask(fixture, &shape_msg_worker_beat, &beat), ERR_NOT_FOUND, "not_found");
    fixture_free(fixture);
}

/* What an aborted run's worker never speaks of, as the answer with its lease was lost, keeps no slot for longer than a term. */
static void test_cancelled_and_never_named(void **unused)
{
    (void)unused;
    struct fixture *fixture = with_runs(3);
    struct rec_lease first = given(polled(fixture, "worker-001", 1), 0), second = given(polled(fixture, "worker-001", 1), 0);
    assert_int_equal(fixture_abort(fixture, first.run_id), 0);
    assert_int_equal(fixture_abort(fixture, second.run_id), 0);
    assert_int_equal(polled(fixture, "worker-001", 2)->u.worker_leased.runs.count, 0); /* it may be stopping them */
    for (int seconds = 0; seconds < 60; seconds += 5) {
        fixture_wait(fixture, 5000);
        beat_as(fixture, "worker-001", NULL, 0); /* which says nothing of what it holds */
    }
    assert_int_not_equal(given(polled(fixture, "worker-001", 2), 0).run_id, 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registered),
        cmocka_unit_test(test_two_links),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_heartbeat_key),
        cmocka_unit_test(test_heartbeat_key_of_what_is_told),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_started_anew),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_offline),
        cmocka_unit_test(test_update_of_a_session),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_executors),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_cancelled_and_never_named),
        cmocka_unit_test(test_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
