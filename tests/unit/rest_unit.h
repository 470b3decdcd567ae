/* Short forms of what a worker over REST says, for tests of the core. */
#ifndef GANTRY_TESTS_REST_UNIT_H
#define GANTRY_TESTS_REST_UNIT_H

#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static inline struct msg_worker_register registration(struct fixture *fixture, const char *name, const char *boot)
{
    static struct str types[] = {STR_LIT("shell"), STR_LIT("sql")};
    return (struct msg_worker_register){.idem = fixture_key(fixture),
                                        .name = str_of(name),
                                        .boot = str_of(boot),
                                        .hostname = STR_LIT("host"),
                                        .ip_address = STR_LIT("10.0.0.1"),
                                        .port = 80,
                                        .task_types = {types, 2},
                                        .max_concurrent_tasks = 2};
}

static inline const struct msg *register_as(struct fixture *fixture, const char *name, const char *boot)
{
    struct msg_worker_register asked = registration(fixture, name, boot);
    return fixture_ask(fixture, &shape_msg_worker_register, &asked);
}

/* Asks for runs; the number its answer will have. */
static inline uint64_t poll_as(struct fixture *fixture, const char *id, uint64_t max, uint64_t wait_ms, struct rec_idem idem)
{
    struct msg_worker_lease lease = {.idem = idem, .id = str_of(id), .max = max, .wait_ms = wait_ms};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, &shape_msg_worker_lease, &lease);
    fixture_settle(fixture);
    return corr;
}

static inline const struct msg *polled(struct fixture *fixture, const char *id, uint64_t max)
{
    const struct msg *answer = fixture_answer(fixture, poll_as(fixture, id, max, 0, fixture_key(fixture)));
    assert_non_null(answer);
    core_check(fixture->core);
    return answer;
}

static inline struct rec_lease given(const struct msg *answer, uint32_t index)
{
    assert_int_equal(answer->shape->id, MSG_WORKER_LEASED);
    if (index >= answer->u.worker_leased.runs.count)
        return (struct rec_lease){0};
    const struct rec_assignment *row = &answer->u.worker_leased.runs.items[index];
    return (struct rec_lease){.run_id = row->run_id, .attempt = row->attempt};
}

static inline const struct msg *report_idem(struct fixture *fixture, struct rec_lease lease, uint64_t status,
                                            struct rec_idem idem)
{
    struct msg_run_report report = {.idem = idem, .run_id = lease.run_id, .attempt = lease.attempt, .status = status};
    if (status == RUN_COMPLETED) {
        report.result = STR_LIT("done");
        SET_HAS(&report, msg_run_report, result);
    }
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_report, &report);
    core_check(fixture->core);
    return answer;
}

static inline const struct msg *report_as(struct fixture *fixture, struct rec_lease lease, uint64_t status)
{
    return report_idem(fixture, lease, status, fixture_key(fixture));
}

static inline const struct msg *beat_as(struct fixture *fixture, const char *id, const uint64_t *runs, uint32_t count)
{
    struct msg_worker_beat beat = {.id = str_of(id),
                                   .load_average = 0.25,
                                   .memory_usage = 64,
                                   .cpu_usage = 12.5,
                                   .runs = {(uint64_t *)(uintptr_t)runs, count}};
    if (runs)
        SET_HAS(&beat, msg_worker_beat, runs);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_worker_beat, &beat);
    core_check(fixture->core);
    return answer;
}

static inline void expect_error(const struct msg *answer, int code, const char *rule)
{
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, code);
    assert_true(str_is(answer->u.error.rule, rule));
}

static inline uint64_t status_of(struct fixture *fixture, uint64_t run_id)
{
    struct rec_run run;
    assert_true(fixture_run(fixture, run_id, &run));
    return run.status;
}

/* Ready, with one worker over REST and so many waiting runs of one task. */
static inline struct fixture *with_runs(unsigned runs)
{
    struct fixture *fixture = fixture_ready();
    assert_int_equal(register_as(fixture, "one", "b1")->shape->id, MSG_WORKER_ANSWER);
    uint64_t task = fixture_task(fixture, "t", "shell");
    for (unsigned i = 0; i < runs; i++)
        fixture_trigger(fixture, task);
    return fixture;
}

#endif
