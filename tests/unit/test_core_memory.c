/* Memory runs out at every place where the core asks for some, one after the other. It never dies of it: what cannot be done is
 * refused or waits, nothing is half done, the journal is never left with less than it was promised, and the next try succeeds. */
#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"
#include "tests/unit/memory_fault.h"

static void around(bool in)
{
    memory_watched = in;
}

static struct fixture *fixture;
static struct rec_lease lease;

static void (*at_work)(void);

static void checked(void)
{
    fixture_forget_letters(fixture);
    at_work();
    core_check(fixture->core);
    assert_false(journal_failed(fixture->journal));
}

static void hard(void (*step)(void))
{
    at_work = step;
    memory_hard(checked);
}

static const struct msg *ask(const struct shape *shape, const void *value)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, shape, value);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

/* With memory, the right answer; without, no other than "come back". */
static void expect(const struct msg *answer, uint16_t id)
{
    if (answer && answer->shape->id == MSG_ERROR && memory_short())
        assert_true(answer->u.error.code == ERR_NO_MEMORY || answer->u.error.code == ERR_UNAVAILABLE);
    else if (answer || !memory_short())
        assert_int_equal(answer->shape->id, id);
}

/* Of more names than are compared one by one: to look for a name that is there twice takes memory. */
static struct str many_names(const char *first, const char *value)
{
    static char names[20][8];
    const char *pairs[2 * 21 + 1] = {first, value};
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        pairs[2 + 2 * i] = names[i];
        pairs[3 + 2 * i] = "v";
    }
    return fixture_map(pairs);
}

static void step_create(void)
{
    struct msg_task_create create = {.idem = fixture_key_of(1, 1), .spec = fixture_spec("one", "shell")};
    create.spec.schedule = STR_LIT("@every 1h");
    SET_HAS(&create.spec, rec_task_spec, schedule);
    create.spec.output = STR_LIT("/o");
    SET_HAS(&create.spec, rec_task_spec, output);
    create.spec.env = many_names("HOME", "/tmp");
    create.spec.metadata = many_names("catchup", "one");
    SET_HAS(&create.spec, rec_task_spec, env);
    SET_HAS(&create.spec, rec_task_spec, metadata);
    expect(ask(&shape_msg_task_create, &create), MSG_TASK_ANSWER);
}

static void step_create_dependent(void)
{
    struct str on = STR_LIT("one");
    struct msg_task_create create = {.idem = fixture_key_of(2, 1), .spec = fixture_spec("two", "shell")};
    create.spec.labels = many_names("gpu", "no");
    SET_HAS(&create.spec, rec_task_spec, labels);
    create.spec.dependencies = (struct str_list){&on, 1};
    SET_HAS(&create.spec, rec_task_spec, dependencies);
    expect(ask(&shape_msg_task_create, &create), MSG_TASK_ANSWER);
}

static void step_update(void)
{
    struct str on = STR_LIT("one");
    struct msg_task_update update = {
        .idem = fixture_key_of(3, 1), .id = 2, .spec = {.task_type = STR_LIT("python"), .dependencies = {&on, 1}}};
    SET_HAS(&update.spec, rec_task_spec, task_type);
    SET_HAS(&update.spec, rec_task_spec, dependencies);
    expect(ask(&shape_msg_task_update, &update), MSG_TASK_ANSWER);
}

static void step_pause(void)
{
    struct msg_task_pause pause = {.idem = fixture_key_of(4, 1), .id = 1, .paused = true};
    expect(ask(&shape_msg_task_pause, &pause), MSG_TASK_ANSWER);
    pause.idem = fixture_key_of(5, 1);
    pause.paused = false;
    expect(ask(&shape_msg_task_pause, &pause), MSG_TASK_ANSWER);
}

static void step_trigger(void)
{
    struct msg_run_trigger trigger = {
        .idem = fixture_key_of(6, 1), .task_id = 1, .trigger = {.parameters = many_names("a", "b")}};
    SET_HAS(&trigger.trigger, rec_trigger, parameters);
    expect(ask(&shape_msg_run_trigger, &trigger), MSG_RUN_ANSWER);
}

static void step_batch(void)
{
    struct rec_trigger items[20] = {{0}};
    items[1].idem = fixture_key_of(8, 1);
    SET_HAS(&items[1], rec_trigger, idem);
    struct msg_run_trigger_batch batch = {.idem = fixture_key_of(7, 1), .task_id = 1, .items = {items, 20}};
    expect(ask(&shape_msg_run_trigger_batch, &batch), MSG_RUN_BATCH_ANSWER);
}

static void step_submit(void)
{
    struct msg_run_submit submit = {.idem = fixture_key_of(9, 1), .spec = fixture_spec("mine", "shell")};
    expect(ask(&shape_msg_run_submit, &submit), MSG_RUN_ANSWER);
}

static void step_hello(void)
{
    expect(fixture_hello(fixture, 1, "w", "b", "shell", 1, &lease, lease.run_id ? 1 : 0), MSG_WELCOME);
    if (!lease.run_id)
        lease = fixture_assigned(fixture, 1);
}

static void step_wait(void)
{
    fixture_wait(fixture, 100);
    if (!lease.run_id)
        lease = fixture_assigned(fixture, 1);
}

static void step_reports(void)
{
    struct rec_progress item = {.run_id = lease.run_id, .attempt = lease.attempt, .percent = 1, .note = STR_LIT("note")};
    struct msg_progress progress = {.items = {&item, 1}};
    struct rec_log_line line = {.seq = 1, .text = STR_LIT("text")};
    struct msg_log log = {.chunk = {.run_id = lease.run_id, .attempt = lease.attempt, .lines = {&line, 1}}};
    struct msg_publish publish = {
        .run_id = lease.run_id,
        .output = {
            .attempt = lease.attempt, .path = STR_LIT("/o"), .temporary = STR_LIT("/t"), .hash = STR_LIT("0123456789abcdef")}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_log, &log);
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_publish, &publish);
    fixture_heartbeat(fixture, 1, &lease, 1);
}

static void step_fail(void)
{
    fixture_result(fixture, 1, lease, OUTCOME_FAILED);
}

static void step_complete(void)
{
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
}

static void step_abort(void)
{
    struct msg_run_abort abort = {.idem = fixture_key_of(10, 1), .id = 2};
    expect(ask(&shape_msg_run_abort, &abort), MSG_RUN_ANSWER);
}

static void step_lists(void)
{
    uint64_t ids[3] = {1, 3, 4};
    struct msg_run_live live = {.ids = {ids, 3}};
    struct msg_worker_list list = {.page = 1, .size = 10, .name = STR_LIT("worker-001")};
    expect(ask(&shape_msg_run_live, &live), MSG_RUN_LIVE_ROWS);
    expect(ask(&shape_msg_worker_list, &list), MSG_WORKER_ROWS);
    struct msg_fire_times times = {
        .schedule = STR_LIT("~ * * * *"), .timezone = STR_LIT("Europe/Berlin"), .name = STR_LIT("x"), .count = 10};
    expect(ask(&shape_msg_fire_times, &times), MSG_FIRE_TIMES_ROWS);
}

static void step_restart(void)
{
    struct msg_run_restart restart = {.idem = fixture_key_of(11, 1), .id = 2};
    memory_watched = false;
    assert_true(fixture_run(fixture, 2, &restart.known));
    SET_HAS(&restart, msg_run_restart, known);
    expect(ask(&shape_msg_run_restart, &restart), MSG_RUN_ANSWER);
}

static void step_delete(void)
{
    struct msg_task_delete delete = {.idem = fixture_key_of(12, 1), .id = 1, .force = true};
    expect(ask(&shape_msg_task_delete, &delete), MSG_DONE);
}

static void step_pool(void)
{
    struct msg_pool_put put = {.idem = fixture_key_of(30, 1), .name = STR_LIT("db"), .limit = 3, .description = STR_LIT("words")};
    SET_HAS(&put, msg_pool_put, limit);
    SET_HAS(&put, msg_pool_put, description);
    expect(ask(&shape_msg_pool_put, &put), MSG_POOL_ANSWER);
}

static void step_pooled(void)
{
    struct msg_task_create create = {.idem = fixture_key_of(31, 1), .spec = fixture_spec("pooled", "shell")};
    create.spec.pool = STR_LIT("db");
    create.spec.rate = 600;
    SET_HAS(&create.spec, rec_task_spec, pool);
    SET_HAS(&create.spec, rec_task_spec, rate);
    expect(ask(&shape_msg_task_create, &create), MSG_TASK_ANSWER);
}

static void step_pooled_batch(void)
{
    struct rec_trigger items[20] = {0};
    struct msg_run_trigger_batch batch = {.idem = fixture_key_of(32, 1), .task_id = 1, .items = {items, 20}};
    expect(ask(&shape_msg_run_trigger_batch, &batch), MSG_RUN_BATCH_ANSWER);
}

/* From no rate to one, and to one with more tokens. */
static void step_rates(void)
{
    static const uint64_t rates[] = {0, 6, 6000};
    for (unsigned i = 0; i < 3; i++) {
        struct msg_task_update update = {.idem = fixture_key_of(33 + i, 1), .id = 1, .spec = {.rate = rates[i]}};
        SET_HAS(&update.spec, rec_task_spec, rate);
        expect(ask(&shape_msg_task_update, &update), MSG_TASK_ANSWER);
    }
}

static void step_pool_list(void)
{
    struct msg_pool_list list = {.page = 1, .size = 10};
    expect(ask(&shape_msg_pool_list, &list), MSG_POOL_ROWS);
}

static void test_pools_and_rates(void **unused)
{
    (void)unused;
    fixture = fixture_ready();
    fixture->around = around;
    hard(step_pool);
    hard(step_pooled);
    hard(step_pooled_batch);
    hard(step_hello);
    hard(step_rates);
    hard(step_pool_list);
    fixture_free(fixture);
}

static void test_everything(void **unused)
{
    (void)unused;
    struct rec_run run;
    fixture = fixture_ready();
    fixture->around = around;
    hard(step_create);
    hard(step_create_dependent);
    hard(step_trigger);
    hard(step_update);
    hard(step_pause);
    hard(step_batch);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 21);
    hard(step_submit);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 22);
    hard(step_hello);
    hard(step_wait);
    assert_int_equal(lease.run_id, 1);
    hard(step_hello);
    hard(step_reports);
    hard(step_fail);
    hard(step_abort);
    hard(step_lists);
    hard(step_restart);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 23);
    for (int i = 0; i < 3; i++)
        fixture_heartbeat(fixture, 1, NULL, 0); /* it holds nothing: what was cancelled has stopped */
    fixture_wait(fixture, 16000);               /* what was assigned meanwhile and not accepted comes again */
    for (struct rec_lease next; (next = fixture_assigned(fixture, 1)).run_id;)
        lease = next;
    hard(step_complete);
    assert_true(fixture_run(fixture, lease.run_id, &run));
    assert_int_equal(run.status, RUN_COMPLETED);
    hard(step_delete);
    assert_int_equal(fixture->disk_count[TYPE_TASK], 2);
    fixture_jump(fixture, 60000);
    hard(step_wait);
    print_message("%llu allocations refused\n", (unsigned long long)memory_refused);
    fixture_free(fixture);
}

/* ---- a worker over REST ---- */

static void step_register(void)
{
    struct str types[1] = {STR_LIT("shell")};
    struct msg_worker_register asked = {.idem = fixture_key_of(30, 1),
                                        .name = STR_LIT("rest"),
                                        .boot = STR_LIT("b"),
                                        .hostname = STR_LIT("h"),
                                        .ip_address = STR_LIT("i"),
                                        .task_types = {types, 1},
                                        .max_concurrent_tasks = 2,
                                        .labels = many_names("a", "b"),
                                        .metadata = many_names("c", "d")};
    expect(ask(&shape_msg_worker_register, &asked), MSG_WORKER_ANSWER);
    asked.idem = fixture_key_of(31, 1);
    expect(ask(&shape_msg_worker_register, &asked), MSG_WORKER_ANSWER);
}

static void step_lease(void)
{
    struct msg_worker_lease asked = {.idem = fixture_key_of(32, 1), .id = STR_LIT("worker-001"), .max = 2, .wait_ms = 1};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, &shape_msg_worker_lease, &asked);
    fixture_settle(fixture);
    fixture_wait(fixture, 10);
    const struct msg *answer = fixture_answer(fixture, corr);
    expect(answer, MSG_WORKER_LEASED);
    if (answer && answer->shape->id == MSG_WORKER_LEASED && answer->u.worker_leased.runs.count)
        lease = (struct rec_lease){.run_id = answer->u.worker_leased.runs.items[0].run_id,
                                   .attempt = answer->u.worker_leased.runs.items[0].attempt};
}

static void step_beat(void)
{
    const uint64_t runs[] = {lease.run_id, 77};
    static char value[16];
    snprintf(value, sizeof value, "%llu", (unsigned long long)fixture->corr); /* anew each time */
    struct msg_worker_beat beat = {
        .id = STR_LIT("worker-001"), .runs = {(uint64_t *)(uintptr_t)runs, 2}, .metadata = many_names("now", value)};
    beat.idem = fixture_key_of(100 + (unsigned)fixture->corr, 1);
    SET_HAS(&beat, msg_worker_beat, idem);
    SET_HAS(&beat, msg_worker_beat, runs);
    SET_HAS(&beat, msg_worker_beat, metadata);
    expect(ask(&shape_msg_worker_beat, &beat), MSG_WORKER_BEAT_ANSWER);
}

static void report(unsigned key, uint64_t status)
{
    struct rec_log_line line = {.seq = 1, .text = STR_LIT("text")};
    struct msg_run_report said = {.idem = fixture_key_of(key, 1),
                                  .run_id = lease.run_id,
                                  .attempt = lease.attempt,
                                  .status = status,
                                  .progress = 3,
                                  .error_message = STR_LIT("why"),
                                  .logs = {&line, 1}};
    SET_HAS(&said, msg_run_report, progress);
    expect(ask(&shape_msg_run_report, &said), MSG_RUN_REPORTED);
}

static void step_going_on(void)
{
    report(33, RUN_RUNNING);
}

static void step_publish(void)
{
    struct msg_run_publish asked = {.idem = fixture_key_of(38, 1),
                                    .run_id = lease.run_id,
                                    .output = {.attempt = lease.attempt,
                                               .path = STR_LIT("/out/o"),
                                               .temporary = STR_LIT("/out/t"),
                                               .hash = STR_LIT("0123456789abcdef")}};
    expect(ask(&shape_msg_run_publish, &asked), MSG_RUN_PUBLISHED);
}

static void step_failed(void)
{
    report(34, RUN_FAILED);
}

static void step_silent(void)
{
    fixture_wait(fixture, 31000);
    step_beat();
}

static void step_change(void)
{
    struct str types[2] = {STR_LIT("shell"), STR_LIT("sql")};
    struct msg_worker_update asked = {
        .idem = fixture_key_of(35, 1), .id = STR_LIT("worker-001"), .task_types = {types, 2}, .status = WORKER_OFFLINE};
    SET_HAS(&asked, msg_worker_update, task_types);
    SET_HAS(&asked, msg_worker_update, status);
    expect(ask(&shape_msg_worker_update, &asked), MSG_WORKER_ANSWER);
    asked.idem = fixture_key_of(36, 1);
    asked.status = WORKER_ACTIVE;
    expect(ask(&shape_msg_worker_update, &asked), MSG_WORKER_ANSWER);
}

static void step_remove(void)
{
    struct msg_worker_remove asked = {.idem = fixture_key_of(37, 1), .id = STR_LIT("worker-001")};
    expect(ask(&shape_msg_worker_remove, &asked), MSG_DONE);
}

static void test_rest(void **unused)
{
    (void)unused;
    struct rec_run run;
    lease = (struct rec_lease){0};
    fixture = fixture_ready();
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("t", "shell")};
    create.spec.output = STR_LIT("/out/o");
    SET_HAS(&create.spec, rec_task_spec, output);
    fixture_ask(fixture, &shape_msg_task_create, &create);
    fixture_trigger(fixture, 1);
    fixture_trigger(fixture, 1);
    fixture->around = around;
    hard(step_register);
    hard(step_lease);
    assert_int_not_equal(lease.run_id, 0);
    hard(step_beat);
    hard(step_going_on);
    hard(step_publish);
    hard(step_failed);
    assert_true(fixture_run(fixture, lease.run_id, &run));
    assert_int_equal(run.retries, 1);
    assert_int_equal(run.attempts.items[run.attempts.count - 1].lines, 1);
    hard(step_silent);
    hard(step_change);
    hard(step_remove);
    assert_int_equal(fixture->disk_count[TYPE_WORKER], 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything), cmocka_unit_test(test_rest),
                                       cmocka_unit_test(test_pools_and_rates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
