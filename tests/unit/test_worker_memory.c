/* Memory runs out at every place of the worker in turn: a run is not taken, or goes back, or is done; it is never blamed for it, and
 * never left half started. */
#include "tests/unit/worker_unit.h"

#include "tests/unit/memory_fault.h"

#include "worker/owed.h"
#include "worker/plan.h"
#include "worker/roster.h"

static char folder[UNIT_FOLDER_SIZE], supervisor[PATH_MAX], self[PATH_MAX];
static struct loop *loop;
static struct home home;
static struct processes *processes;
static struct roster roster;
static struct rec_assignment assignment;
static struct str arguments[] = {{"-c", 2}, {"echo made >\"$GANTRY_OUTPUT\"; echo result", 39}};

static struct run_context context(void)
{
    return (struct run_context){.loop = loop,
                                .processes = processes,
                                .home = &home,
                                .self = self,
                                .run_as = "",
                                .grace_ms = 1000,
                                .log_bytes = (size_t)1 << 20};
}

static void on_stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void turn(void)
{
    uint64_t countdown = memory_countdown;
    memory_countdown = 0;
    assert_true(loop_after(loop, 2, on_stop, NULL) >= 0);
    memory_countdown = countdown;
    assert_int_equal(loop_run(loop), 0);
}

static uint64_t attempt;

/* A run's whole life, as far as this side goes; the grant comes at once. */
static void step_run(void)
{
    struct err err = {0};
    assignment.attempt = ++attempt;
    if (roster_assign(&roster, &assignment, &err) != 0) {
        assert_true(memory_short());
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_int_equal(roster.count, 0);
        return;
    }
    struct run *run = roster_find(&roster, assignment.run_id, attempt);
    run_event(run, SLOT_EV_ACCEPT);
    roster_fill(&roster, 1);
    while (run->state != SLOT_GONE && run->state != SLOT_ENDED) {
        turn();
        phase_again(run);
        if (run->state == SLOT_PUBLISHING)
            run_event(run, SLOT_EV_GRANT);
    }
    if (run->state == SLOT_GONE) { /* back to the queue, with the cause */
        assert_true(memory_short());
        assert_true(run->owes_reject);
        assert_non_null(run->reject_reason);
    } else {
        if (run->outcome != OUTCOME_COMPLETED)
            fail_msg("blamed: %s", run->error);
        assert_true(run->has_result || memory_short());
        assert_int_equal(unlink(run->final), 0);
        run_event(run, SLOT_EV_ACK);
    }
    memory_countdown = 0;
    roster_purge(&roster, NULL);
    assert_int_equal(roster.count, 0);
    while (processes_count(processes) > 0) /* one that could not be watched is ended */
        turn();
}

static void test_run(void **state)
{
    (void)state;
    assignment = (struct rec_assignment){.run_id = 7, .task_id = 1, .task_name = STR_LIT("t"), .timeout_seconds = 60};
    assignment.spec.executor = STR_LIT("exec");
    assignment.spec.command = STR_LIT("/bin/sh");
    assignment.spec.arguments = (struct str_list){arguments, 2};
    static char output[128];
    snprintf(output, sizeof output, "%s/output", folder);
    assignment.spec.output = str_of(output);
    arguments[1].len = (uint32_t)strlen(arguments[1].ptr);
    SET_HAS(&assignment.spec, rec_task_spec, executor);
    SET_HAS(&assignment.spec, rec_task_spec, command);
    SET_HAS(&assignment.spec, rec_task_spec, arguments);
    SET_HAS(&assignment.spec, rec_task_spec, output);
    memory_hard(step_run);
}

/* ---- what is owed ---- */

static void step_leases(void)
{
    struct owed owed = {0};
    struct rec_lease *leases = owed_leases(&owed, 5000);
    assert_true(leases || memory_short());
    owed_clear(&owed);
}

static void test_leases(void **state)
{
    (void)state;
    memory_hard(step_leases);
}

static void step_backlog(void)
{
    struct backlog backlog;
    struct rec_log_chunk chunk = {0};
    struct rec_log_line lines[64];
    uint64_t kept = 0;
    backlog_init(&backlog, 1 << 20);
    for (int i = 0; i < 20; i++)
        kept += backlog_add(&backlog, 1, LOG_INFO, STREAM_STDOUT, "line", 4);
    assert_int_equal(kept, memory_short() ? 19 : 20); /* what is lost is counted */
    assert_int_equal(backlog.dropped, memory_short() ? 1 : 0);
    assert_true(backlog_peek(&backlog, &chunk, lines, 64));
    backlog_clear(&backlog);
}

static void test_backlog(void **state)
{
    (void)state;
    memory_hard(step_backlog);
}

static void step_home(void)
{
    struct home other = {0};
    struct err err = {0};
    if (home_open(&other, loop, folder, "other", &err) != 0) {
        assert_true(memory_short());
        assert_true(err.text[0]);
        return;
    }
    home_close(&other);
}

static void test_home(void **state)
{
    (void)state;
    memory_hard(step_home);
}

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    unit_folder(folder);
    loop = loop_new();
    processes = processes_new(loop, built("gantry-run", supervisor), &err);
    built("gantry-worker", self);
    assert_non_null(processes);
    assert_int_equal(home_open(&home, loop, folder, "w", &err), 0);
    struct run_context about = context();
    roster_init(&roster, &about, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    roster_clear(&roster);
    processes_free(processes);
    home_close(&home);
    loop_free(loop);
    unit_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backlog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_home, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
