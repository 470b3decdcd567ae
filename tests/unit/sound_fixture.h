/* A small database with some of everything, as a farm leaves it: what the look at databases, backups and restores start from. */
#ifndef GANTRY_TESTS_SOUND_FIXTURE_H
#define GANTRY_TESTS_SOUND_FIXTURE_H

#include "store_fixture.h"

#include "store/check.h"

static inline void sound_task(struct fixture *fx, uint64_t id, const char *name, const char *tag, uint64_t runs,
                              uint64_t completed)
{
    struct str tags[] = {str_of(tag), STR_LIT("all")};
    struct rec_task task = {.id = id, .created_at = 1000 + id, .updated_at = 2000 + id};
    struct rec_task_stat stat = {.id = id, .total = runs, .completed = completed};
    task.spec.name = str_of(name);
    task.spec.task_type = STR_LIT("shell");
    task.spec.executor = STR_LIT("shell");
    task.spec.command = STR_LIT("true");
    task.spec.description = STR_LIT("Makes a picture, and another one");
    task.spec.tags = (struct str_list){tags, 2};
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&task.spec, rec_task_spec, task_type);
    SET_HAS(&task.spec, rec_task_spec, executor);
    SET_HAS(&task.spec, rec_task_spec, command);
    SET_HAS(&task.spec, rec_task_spec, description);
    SET_HAS(&task.spec, rec_task_spec, tags);
    fixture_task(fx, &task);
    fixture_op(fx, OP_PUT, TYPE_TASK_STAT, id, &shape_rec_task_stat, &stat);
}

static inline void sound_run(struct fixture *fx, uint64_t id, uint64_t task_id, uint64_t status)
{
    struct rec_attempt attempt = {.number = 1, .worker_id = 1, .worker_name = STR_LIT("worker-001"), .assigned_at = 3000};
    struct rec_run run = {.id = id,
                          .task_id = task_id,
                          .task_name = STR_LIT("a task"),
                          .status = status,
                          .created_at = 3000 + id,
                          .retry_count = 2};
    if (status != RUN_PENDING) {
        attempt.outcome = status == RUN_RUNNING ? OUTCOME_OPEN : OUTCOME_COMPLETED;
        run.attempts = (struct rec_attempt_list){&attempt, 1};
        run.attempt = 1;
        run.worker_id = 1;
        run.worker_name = attempt.worker_name;
        run.started_at = 3100 + id;
        run.completed_at = status == RUN_RUNNING ? 0 : 3200 + id;
    }
    fixture_run(fx, &run);
}

static inline void sound_log(struct fixture *fx, uint64_t run_id)
{
    struct rec_log_line lines[3];
    for (uint64_t i = 0; i < 3; i++)
        lines[i] = (struct rec_log_line){.seq = i + 1, .at = 3300, .text = STR_LIT("a line of a log")};
    struct rec_log_chunk chunk = {.run_id = run_id, .attempt = 1, .lines = {lines, 3}};
    fixture_op(fx, OP_LOG, TYPE_RUN, run_id, &shape_rec_log_chunk, &chunk);
}

#define SOUND_RUNS 300

/* Two tasks, SOUND_RUNS runs (every third waits, one runs, the others are completed), logs, keys, events, a worker. */
static inline void sound_fill(struct fixture *fx)
{
    struct rec_worker worker = {.id = 1, .name = STR_LIT("worker-001"), .ident = STR_LIT("abc"), .registered_at = 1};
    uint64_t completed = 0;
    fixture_op(fx, OP_PUT, TYPE_WORKER, 1, &shape_rec_worker, &worker);
    for (uint64_t id = 1; id <= SOUND_RUNS; id++) {
        uint64_t status = id % 3 == 0 ? RUN_PENDING : id == SOUND_RUNS - 1 ? RUN_RUNNING : RUN_COMPLETED;
        completed += status == RUN_COMPLETED;
        sound_run(fx, id, 1, status);
        if (id % 10 == 0)
            sound_log(fx, id);
        char name[64];
        snprintf(name, sizeof name, "task.%lu", (unsigned long)id);
        struct rec_event event = {.id = id, .type = str_of(name), .at = 1};
        fixture_op(fx, OP_PUT, TYPE_EVENT, id, &shape_rec_event, &event);
        struct rec_key key = {.id = id,
                              .scope = STR_LIT("0123456789abcdef"),
                              .body = STR_LIT("0123456789abcdef"),
                              .answer = str_of(name),
                              .created_at = 1};
        fixture_op(fx, OP_PUT, TYPE_KEY, id, &shape_rec_key, &key);
        if (id % 50 == 0)
            fixture_commit(fx);
    }
    sound_task(fx, 1, "a task", "red", SOUND_RUNS, completed);
    sound_task(fx, 2, "another", "blue", 0, 0);
    fixture_commit(fx);
}

/* What a look at it finds; the first of them in findings->first. */
static inline uint64_t sound_look(struct kv *kv, struct findings *findings, uint64_t *derived)
{
    struct check_counts counts;
    struct err err = {0};
    memset(findings, 0, sizeof *findings);
    if (check_all(kv, findings, derived, &counts, &err) != 0)
        fail_msg("%s", err.text);
    return findings->count;
}

static inline void sound_expect(struct kv *kv)
{
    struct findings findings;
    if (sound_look(kv, &findings, NULL) != 0)
        fail_msg("%lu findings: %s", (unsigned long)findings.count, findings.first);
}

#endif
