#include "store_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "proto/clock.h"
#include "store/commit.h"
#include "store/count.h"
#include "store/key.h"

static int setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* What applying answers, if not KV_OK, and whether it goes on: this stands in for it (tests/store.cmake). */
static enum kv_result apply_result;
static _Atomic bool apply_held;
enum kv_result __real_apply_ops(struct apply *apply, struct writer *writer, const struct store_limits *limits,
                                const struct rec_op *ops, uint32_t count, uint32_t *removals);
enum kv_result __wrap_apply_ops(struct apply *apply, struct writer *writer, const struct store_limits *limits,
                                const struct rec_op *ops, uint32_t count, uint32_t *removals);

enum kv_result __wrap_apply_ops(struct apply *apply, struct writer *writer, const struct store_limits *limits,
                                const struct rec_op *ops, uint32_t count, uint32_t *removals)
{
    while (apply_held)
        usleep(1000);
    enum kv_result result = __real_apply_ops(apply, writer, limits, ops, count, removals);
    return apply_result != KV_OK ? apply_result : result;
}

/* ---- rule 3 ---- */

static struct job batch(struct fixture *fx, uint64_t epoch, uint64_t seq, uint64_t run_id)
{
    struct rec_run run = {.id = run_id, .created_at = 1};
    fixture_run(fx, &run);
    return (struct job){.kind = JOB_BATCH, .epoch = epoch, .seq = seq, .ops = &fx->ops[fx->op_count - 1], .op_count = 1};
}

/* Commits these jobs as one group. */
static void commit_group(struct fixture *fx, struct job **jobs, int count)
{
    for (int i = 0; i < count; i++)
        jobs[i]->next = i + 1 < count ? jobs[i + 1] : NULL;
    assert_int_equal(fixture_job(fx, jobs[0]), KV_OK);
}

static void expect(const struct job *job, enum job_outcome outcome, uint64_t epoch, uint64_t seq)
{
    if (job->outcome != outcome || job->answer_epoch != epoch || job->answer_seq != seq)
        fail_msg("outcome %d epoch %lu seq %lu, not %d %lu %lu", (int)job->outcome, (unsigned long)job->answer_epoch,
                 (unsigned long)job->answer_seq, (int)outcome, (unsigned long)epoch, (unsigned long)seq);
}

static bool run_there(struct fixture *fx, uint64_t id)
{
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    bool there = query_run_visible(txn, id);
    kv_end(txn);
    return there;
}

static void test_rules_of_epochs_and_sequences(void **state)
{
    struct fixture *fx = *state;
    uint64_t e = fx->epoch;
    assert_int_equal(e, 1);
    struct {
        struct job job;
        enum job_outcome outcome;
        uint64_t epoch, seq;
    } rows[] = {
        {batch(fx, e, 1, 1), JOB_ACK, e, 1},
        {batch(fx, e, 2, 2), JOB_ACK, e, 2},
        {batch(fx, e, 2, 2), JOB_ACK, e, 2},     /* again */
        {batch(fx, e, 1, 1), JOB_ACK, e, 2},     /* much later: covered */
        {batch(fx, e, 4, 99), JOB_RESUME, e, 3}, /* a gap */
        {batch(fx, e, 3, 3), JOB_ACK, e, 3},
        {{.kind = JOB_CLAIM, .epoch = e}, JOB_GRANT, e, 3}, /* it reconnects */
        {{.kind = JOB_CLAIM, .epoch = e + 5}, JOB_STALE, e, 0},
        {{.kind = JOB_CLAIM}, JOB_GRANT, e + 1, 0}, /* another scheduler */
        {batch(fx, e, 4, 98), JOB_STALE, e + 1, 0},
        {{.kind = JOB_CLAIM, .epoch = e}, JOB_STALE, e + 1, 0},
        {batch(fx, e + 1, 2, 97), JOB_RESUME, e + 1, 1},
        {batch(fx, e + 1, 1, 4), JOB_ACK, e + 1, 1},
        {batch(fx, e + 2, 1, 96), JOB_STALE, e + 1, 0},
    };
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++) {
        struct job *one = &rows[i].job;
        commit_group(fx, &one, 1);
        expect(one, rows[i].outcome, rows[i].epoch, rows[i].seq);
    }
    for (uint64_t id = 1; id <= 4; id++)
        assert_true(run_there(fx, id));
    for (uint64_t id = 96; id <= 99; id++)
        assert_false(run_there(fx, id));
    fixture_restart(fx);
    assert_int_equal(fx->epoch, e + 1);
    assert_int_equal(fx->seq, 1);
}

/* The same rules when everything arrives at once: a claim is granted behind the batches before it. */
static void test_one_group(void **state)
{
    struct fixture *fx = *state;
    struct job a = batch(fx, 1, 1, 1), b = batch(fx, 1, 2, 2), gap = batch(fx, 1, 4, 90), c = batch(fx, 1, 3, 3);
    struct job claim = {.kind = JOB_CLAIM}, late = batch(fx, 1, 4, 91), first = batch(fx, 2, 1, 4);
    struct job *jobs[] = {&a, &b, &gap, &c, &claim, &late, &first};
    commit_group(fx, jobs, 7);
    expect(&b, JOB_ACK, 1, 2);
    expect(&gap, JOB_RESUME, 1, 3);
    expect(&c, JOB_ACK, 1, 3);
    expect(&claim, JOB_GRANT, 2, 0);
    assert_int_equal(claim.next_ids[TYPE_RUN], 4);
    expect(&late, JOB_STALE, 2, 0);
    expect(&first, JOB_ACK, 2, 1);
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), 4);
}

static void test_ids_are_never_used_again(void **state)
{
    struct fixture *fx = *state;
    struct rec_run run = {.id = 41, .created_at = 1};
    fixture_run(fx, &run);
    fixture_commit(fx);
    fixture_delete(fx, TYPE_RUN, 41);
    fixture_commit(fx);
    fixture_restart(fx);
    struct job claim = {.kind = JOB_CLAIM};
    assert_int_equal(fixture_job(fx, &claim), KV_OK);
    assert_int_equal(claim.next_ids[TYPE_RUN], 42);
    assert_int_equal(claim.next_ids[TYPE_TASK], 1);
}

/* ---- batches are whole or nothing ---- */

static void test_malformed_batch_changes_nothing(void **state)
{
    struct fixture *fx = *state;
    struct rec_run run = {.id = 1, .created_at = 1};
    char junk[] = "\x81\x01\x81", own[] = "\x82\x01\x05\x06\x01"; /* cut short; id 5 put as 1 */
    const struct rec_op bad[] = {
        {.op = OP_PUT, .type = TYPE_RUN, .id = 1, .value = {junk, 3}},
        {.op = OP_PUT, .type = TYPE_RUN, .id = 1, .value = {own, 5}},
        {.op = OP_PUT, .type = TYPE_RUN, .id = 1, .value = {NULL, 0}},
        {.op = OP_PUT, .type = 62, .id = 1, .value = {own, 5}},
        {.op = OP_PUT, .type = 0, .id = 1, .value = {own, 5}},
        {.op = OP_DELETE, .type = 0, .id = 1},
        {.op = OP_DELETE, .type = TYPE_RUN, .id = 0},
        {.op = OP_LOG, .value = {junk, 3}},
        {.op = OP_PURGE_TASK, .id = 0},
        {.op = 9, .type = TYPE_RUN, .id = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fixture_run(fx, &run);
        struct rec_op ops[2] = {fx->ops[0], bad[i]};
        struct job job = {.kind = JOB_BATCH, .epoch = fx->epoch, .seq = 1, .ops = ops, .op_count = 2};
        assert_int_equal(fixture_job(fx, &job), KV_OK);
        expect(&job, JOB_ERROR, fx->epoch, 1);
        assert_int_equal(job.code, ERR_INVALID);
        assert_non_null(strstr(job.text, "operation 1"));
        assert_false(run_there(fx, 1));
        fixture_drop_ops(fx);
    }
    fixture_run(fx, &run); /* and the sequence is still free */
    fixture_commit(fx);
    assert_true(run_there(fx, 1));
}

static void test_full_map_refuses_and_recovers(void **state)
{
    struct fixture *fx = *state;
    fixture_stop(fx);
    fx->map_bytes = 8 << 20;
    fixture_start(fx);
    static char result[60000];
    memset(result, 'r', sizeof result);
    enum kv_result got = KV_OK;
    struct job job = {0};
    uint64_t id = 0;
    while (got == KV_OK && id < 1000) {
        struct rec_run run = {.id = ++id, .task_id = 1, .created_at = 1, .result = {result, sizeof result}};
        SET_HAS(&run, rec_run, result);
        fixture_run(fx, &run);
        job = fixture_try(fx, &got);
    }
    assert_int_equal(got, KV_FULL);
    assert_int_equal(job.outcome, JOB_REFUSED);
    assert_non_null(strstr(job.text, "map_gb"));
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), id - 1);
    for (uint64_t i = 1; i <= 5; i++)
        fixture_delete(fx, TYPE_RUN, i);
    fixture_commit(fx);
    struct rec_run run = {.id = id, .task_id = 1, .created_at = 1, .result = {result, sizeof result}};
    SET_HAS(&run, rec_run, result);
    fixture_run(fx, &run);
    fixture_commit(fx); /* the same batch again, with the same sequence */
    assert_int_equal(fixture_total(fx, TYPE_RUN, "task_id", 1, ""), id - 5);
}

/* Whatever applying answers, nothing is acknowledged that is not on disk: neither the job it was about nor those behind it. */
static void test_no_result_acknowledges(void **state)
{
    struct fixture *fx = *state;
    static const enum kv_result results[] = {KV_NONE, KV_FULL, KV_MEMORY, KV_INVALID};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        struct job a = batch(fx, 1, 1, 1), b = batch(fx, 1, 2, 2), claim = {.kind = JOB_CLAIM, .epoch = 1};
        a.next = &b;
        b.next = &claim;
        apply_result = results[i];
        assert_int_equal(fixture_job(fx, &a), results[i]);
        apply_result = KV_OK;
        expect(&a, JOB_REFUSED, 1, 1);
        expect(&b, JOB_REFUSED, 1, 2);
        assert_int_equal(claim.outcome, JOB_ERROR);
        assert_false(run_there(fx, 1));
        fixture_drop_ops(fx);
    }
    struct job a = batch(fx, 1, 1, 1);
    assert_int_equal(fixture_job(fx, &a), KV_OK);
    expect(&a, JOB_ACK, 1, 1);
}

/* A batch that was acknowledged from the log and does not follow what is there ends the process: nothing of the group is written. */
static void test_durable_must_apply(void **state)
{
    struct fixture *fx = *state;
    const struct job bad[] = {batch(fx, 1, 3, 1), batch(fx, 2, 1, 1), batch(fx, 0, 1, 1)};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct job first = batch(fx, 1, 1, 9), job = bad[i];
        job.durable = true;
        first.next = &job;
        assert_int_equal(fixture_job(fx, &first), KV_CORRUPT);
        assert_false(run_there(fx, 9));
    }
    struct job job = batch(fx, 1, 1, 9);
    job.durable = true;
    assert_int_equal(fixture_job(fx, &job), KV_OK);
    assert_int_equal(fixture_job(fx, &job), KV_OK); /* again */
    assert_true(run_there(fx, 9));
}

static void test_deleting_twice_is_no_error(void **state)
{
    struct fixture *fx = *state;
    fixture_delete(fx, TYPE_RUN, 5);
    fixture_delete(fx, TYPE_TASK, 5);
    fixture_delete(fx, TYPE_EVENT, 5);
    fixture_commit(fx);
    assert_int_equal(fixture_total(fx, TYPE_EVENT, NULL, 0, ""), 0);
}

/* ---- kill -9 at any moment leaves whole batches ---- */

#define PAIRS 20

/* Commits batches of PAIRS runs until it is killed, and tells of each that is on disk. */
static void child_commit(struct fixture *fx, int out)
{
    for (uint64_t n = 0;; n++) {
        for (uint64_t i = 0; i < PAIRS; i++) {
            struct rec_run run = {.id = n * PAIRS + i + 1, .task_id = n % 7, .status = i % 5, .created_at = n};
            fixture_run(fx, &run);
            if (n > 0) { /* the one before changes with it */
                run = (struct rec_run){.id = (n - 1) * PAIRS + i + 1, .task_id = (n - 1) % 7, .status = 2, .created_at = n - 1};
                fixture_run(fx, &run);
            }
        }
        enum kv_result result;
        struct job job = fixture_try(fx, &result);
        if (result != KV_OK || job.outcome != JOB_ACK || write(out, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

static void test_killed_in_the_middle(void **state)
{
    struct fixture *fx = *state;
    fixture_stop(fx);
    uint64_t before = 0;
    for (int round = 0; round < 12; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            fixture_start(fx);
            fixture_claim(fx);
            child_commit(fx, pipes[1]);
        }
        close(pipes[1]);
        uint64_t n = 0, told = 0;
        for (int i = 0; i < 3 + round * 5 && read(pipes[0], &n, sizeof n) == sizeof n; i++)
            told = n + 1;
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(pipes[0], &n, sizeof n) == sizeof n)
            told = n + 1;
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(pipes[0]);
        fixture_start(fx);
        assert_true(fx->seq == told || fx->seq == told + 1); /* what was told is there, and at most what was not yet told */
        assert_int_equal(fx->epoch, (uint64_t)round + 2);
        uint64_t total = fixture_total(fx, TYPE_RUN, NULL, 0, "");
        before = before > fx->seq ? before : fx->seq;
        assert_int_equal(total, before * PAIRS);
        uint64_t by_status = 0, by_task = 0;
        for (int i = 0; i < 5; i++)
            by_status += fixture_total(fx, TYPE_RUN, "status", i, "");
        for (int i = 0; i < 7; i++)
            by_task += fixture_total(fx, TYPE_RUN, "task_id", i, "");
        assert_int_equal(by_status, total);
        assert_int_equal(by_task, total);
        fixture_stop(fx);
    }
    fixture_start(fx);
}

/* ---- the thread ---- */

static struct job *job_of(uint64_t epoch, uint64_t seq, uint64_t run_id)
{
    struct rec_run run = {.id = run_id, .created_at = 1};
    struct buf value = {0}, frame = {0};
    struct err err = {0};
    if (seq)
        assert_int_equal(rec_encode_run(&value, &run, &err), 0);
    struct rec_op op = {.op = OP_PUT, .type = TYPE_RUN, .id = run_id, .value = buf_str(&value)};
    struct msg_batch message = {.epoch = epoch, .seq = seq, .ops = {&op, 1}};
    struct msg_epoch_claim claim = {0};
    if (seq)
        assert_int_equal(msg_encode_batch(&frame, &message, 7, STR_LIT("rid"), &err), 0);
    else
        assert_int_equal(msg_encode_epoch_claim(&frame, &claim, 7, STR_LIT("rid"), &err), 0);
    struct arena *arena = arena_new(1 << 20);
    struct msg msg;
    assert_int_equal(msg_decode(arena, buf_str(&frame), &msg, &err), 0);
    struct bus_call call = {.msg = &msg, .frame = buf_str(&frame), .peer = {.len = 5, .id = "peer"}};
    struct job *job = job_new(&call);
    assert_non_null(job);
    arena_free(arena);
    memset(frame.data, 0xff, frame.len); /* it must not look at this again */
    buf_free(&frame);
    buf_free(&value);
    return job;
}

static void test_committer(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    struct store_limits limits = fx->limits;
    struct committer *committer = committer_new(fx->kv, &limits, &err);
    assert_non_null(committer);
    assert_int_equal(committer_submit(committer, job_of(0, 0, 0)), 0);
    for (uint64_t i = 1; i <= 500; i++)
        assert_int_equal(committer_submit(committer, job_of(2, i, i)), 0);
    uint64_t seen = 0;
    while (seen < 501) {
        struct pollfd poll_fd = {.fd = committer_fd(committer), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 30000), 1);
        for (struct job *job = committer_done(committer), *next; job; job = next) {
            next = job->next;
            assert_int_equal(job->corr, 7);
            assert_string_equal(job->rid, "rid");
            if (seen == 0)
                expect(job, JOB_GRANT, 2, 0);
            else
                expect(job, JOB_ACK, 2, seen);
            seen++;
            job_free(job);
        }
    }
    struct commit_status status;
    committer_status(committer, &status);
    assert_int_equal(status.batches, 500);
    assert_int_equal(status.operations, 500);
    assert_int_equal(status.epoch, 2);
    assert_int_equal(status.queued, 0);
    assert_true(status.commits >= 1 && status.commits <= 501);
    assert_string_equal(status.trouble, "");
    assert_int_equal(committer_submit(committer, job_of(2, 501, 501)), 0); /* stopping commits what is queued */
    committer_stop(committer);
    struct job *last = committer_done(committer);
    assert_non_null(last);
    expect(last, JOB_ACK, 2, 501);
    job_free(last);
    committer_free(committer);
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), 501);
}

/* A long history goes while the thread has nothing else to do. */
static void test_committer_purges(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 1; i <= 9000; i++) {
        struct rec_run run = {.id = i, .task_id = 1 + i % 2, .created_at = i};
        fixture_run(fx, &run);
        if (fx->op_count == 3000)
            fixture_commit(fx);
    }
    fixture_op(fx, OP_PURGE_TASK, 0, 1, NULL, NULL);
    fixture_op(fx, OP_PURGE_TASK, 0, 2, NULL, NULL);
    fixture_commit(fx);
    assert_true(fx->group.purging);
    assert_int_equal(fixture_total(fx, TYPE_RUN, NULL, 0, ""), 0);
    struct err err = {0};
    struct committer *committer = committer_new(fx->kv, &fx->limits, &err);
    assert_non_null(committer);
    uint64_t until = clock_mono_ms() + 30000, left = 1;
    struct key all;
    key_begin(&all, TYPE_RUN, 0);
    while (left > 0 && clock_mono_ms() < until) {
        struct pollfd poll_fd = {.fd = committer_fd(committer), .events = POLLIN};
        poll(&poll_fd, 1, 1000);
        assert_null(committer_done(committer));
        struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
        left = count_get(txn, key_str(&all));
        kv_end(txn);
    }
    committer_free(committer);
    assert_int_equal(left, 0);
}

static void test_queue_has_a_limit(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    struct committer *committer = committer_new(fx->kv, &fx->limits, &err);
    assert_non_null(committer);
    struct job *job = job_of(1, 1, 1);
    job->bytes = COMMIT_QUEUE_BYTES;
    struct job *large[64];
    int refused = 0, submitted = 0;
    large[0] = job;
    apply_held = true;
    for (int i = 0; i < 64; i++) { /* the thread takes the first of them away at most: the others find the queue full */
        large[i] = i ? job_of(1, (uint64_t)i + 1, (uint64_t)i + 1) : job;
        large[i]->bytes = COMMIT_QUEUE_BYTES;
        if (committer_submit(committer, large[i]) == 0) {
            submitted++;
        } else {
            refused++;
            job_free(large[i]);
        }
    }
    assert_int_equal(submitted + refused, 64);
    assert_true(submitted > 0 && submitted <= 2 && refused > 0);
    apply_held = false;
    committer_stop(committer);
    for (struct job *done = committer_done(committer), *next; done; done = next) {
        next = done->next;
        job_free(done);
    }
    committer_free(committer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules_of_epochs_and_sequences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_are_never_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_batch_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_map_refuses_and_recovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_result_acknowledges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durable_must_apply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleting_twice_is_no_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_committer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_committer_purges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_has_a_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
