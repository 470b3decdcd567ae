#include "store/group.h"

#include <stdio.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "store/purge.h"

#define REMOVALS_AT_ONCE 4096 /* records and lines that deletes remove in a transaction; the rest goes in chunks */
#define PURGE_CHUNK 1000

int group_init(struct group *group, struct kv *kv, const struct store_limits *limits, struct err *err)
{
    memset(group, 0, sizeof *group);
    group->kv = kv;
    group->limits = *limits;
    group->apply = apply_new();
    group->syslog = syslog_new();
    if (!group->apply || !group->syslog || writer_init(&group->writer) != 0)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    struct kv_txn *txn = kv_snapshot(kv, err);
    if (!txn)
        return -1;
    enum kv_result result = state_load(txn, &group->state);
    group->purging = true; /* what is noted, and the sweep */
    kv_end(txn);
    if (result == KV_OK)
        log_debug("GTY-STORE-STATE", "epoch=%lu applied=%lu found", (unsigned long)group->state.epoch,
                  (unsigned long)group->state.applied);
    return result == KV_OK ? 0 : err_set(err, ERR_IO, "cannot read the database: %s", kv_result_text(result));
}

void group_free(struct group *group)
{
    apply_free(group->apply);
    syslog_free(group->syslog);
    writer_free(&group->writer);
    memset(group, 0, sizeof *group);
}

static void job_answer(struct job *job, enum job_outcome outcome, uint64_t epoch, uint64_t seq)
{
    job->outcome = outcome;
    job->answer_epoch = epoch;
    job->answer_seq = seq;
}

static void job_fail(struct job *job, enum job_outcome outcome, int code, const char *text)
{
    job_answer(job, outcome, job->epoch, job->seq);
    job->code = code;
    snprintf(job->text, sizeof job->text, "%s", text);
}

static void claim_apply(struct state *state, struct job *job, bool *changed)
{
    if (job->epoch != 0 && job->epoch != state->epoch) {
        job_answer(job, JOB_STALE, state->epoch, 0);
        return;
    }
    if (job->epoch == 0) {
        state->epoch++;
        state->applied = 0;
        *changed = true;
    }
    job_answer(job, JOB_GRANT, state->epoch, state->applied);
    memcpy(job->next_ids, state->next, sizeof job->next_ids);
}

static enum kv_result batch_apply(struct group *group, struct job *job, uint32_t *removals, bool *changed)
{
    struct writer *writer = &group->writer;
    struct state *state = &writer->state;
    struct err err = {0};
    if (job->epoch != state->epoch) {
        job_answer(job, JOB_STALE, state->epoch, 0);
        return KV_OK;
    }
    if (job->seq <= state->applied) {
        job_answer(job, JOB_ACK, state->epoch, state->applied);
        return KV_OK;
    }
    if (job->seq > state->applied + 1) {
        job_answer(job, JOB_RESUME, state->epoch, state->applied + 1);
        return KV_OK;
    }
    if (!job->durable && apply_check(group->apply, job->ops, job->op_count, &err) != 0) {
        if (err.code == ERR_NO_MEMORY)
            return KV_MEMORY;
        log_error("GTY-STORE-BATCH-INVALID", "epoch=%lu seq=%lu refused: %s", (unsigned long)job->epoch, (unsigned long)job->seq,
                  err.text);
        job_fail(job, JOB_ERROR, ERR_INVALID, err.text);
        return KV_OK;
    }
    enum kv_result result = apply_ops(group->apply, writer, &group->limits, job->ops, job->op_count, removals);
    if (result != KV_OK)
        return result;
    state->applied = job->seq;
    job->applied = true;
    *changed = true;
    job_answer(job, JOB_ACK, state->epoch, state->applied);
    return KV_OK;
}

/* It was acknowledged as the next of its epoch, and now is not: log and database do not belong together. */
static enum kv_result contradiction(const struct job *job, struct err *err)
{
    err_set(err, ERR_INVALID, "batch %lu of epoch %lu was acknowledged, and does not follow what the database has",
            (unsigned long)job->seq, (unsigned long)job->epoch);
    return KV_CORRUPT;
}

static bool result_fatal(enum kv_result result)
{
    return result == KV_IO || result == KV_CORRUPT;
}

/* A chunk of what is noted, then of what is kept no longer, then of what was left behind. */
static enum kv_result group_purge(struct group *group, struct oneshot_sweep *sweep, bool *changed)
{
    struct writer *writer = &group->writer;
    uint32_t budget = PURGE_CHUNK;
    bool left = false;
    group->sweeping = false;
    enum kv_result result = purge_chunk(writer, &budget, changed);
    if (result == KV_OK && !writer->purges)
        result = retain_limits(writer, &group->keep, clock_wall_ms(), &budget, changed, &left);
    if (result == KV_OK && !writer->purges && !left && !sweep->over) {
        uint32_t before = budget;
        result = oneshot_sweep(writer, sweep, &budget);
        *changed = *changed || budget != before;
        group->sweeping = left = !sweep->over;
    }
    writer->purges = writer->purges || left;
    return result;
}

/* Fills one transaction and commits it. */
static enum kv_result group_try(struct group *group, struct job *jobs, bool purge, struct err *err)
{
    struct kv_txn *txn = kv_batch(group->kv, err);
    if (!txn)
        return err->code == ERR_NO_MEMORY ? KV_MEMORY : err->code == ERR_UNAVAILABLE ? KV_FULL : KV_IO;
    struct writer *writer = &group->writer;
    writer_begin(writer, txn, &group->state, group->purging);
    uint32_t removals = REMOVALS_AT_ONCE;
    struct oneshot_sweep sweep = group->sweep;
    bool changed = false;
    enum kv_result result = KV_OK;
    for (struct job *job = jobs; result == KV_OK && job; job = job->next) {
        if (job->kind == JOB_CLAIM)
            claim_apply(&writer->state, job, &changed);
        else
            result = batch_apply(group, job, &removals, &changed);
    }
    for (const struct job *job = jobs; result == KV_OK && job; job = job->next) {
        if (job->durable && job->outcome != JOB_ACK)
            return kv_end(txn), contradiction(job, err);
    }
    if (result == KV_OK && purge)
        result = group_purge(group, &sweep, &changed);
    if (result == KV_OK && group->lines) {
        result = syslog_write(group->syslog, writer, &group->syslog_limits, group->lines, clock_wall_ms());
        changed = true;
    }
    if (result == KV_OK && changed)
        result = writer_finish(writer);
    if (result != KV_OK || !changed) {
        kv_end(txn);
        if (result != KV_OK)
            return err_set(err, ERR_IO, "%s", result == KV_FULL ? kv_trouble(group->kv) : kv_result_text(result)), result;
        group->purging = writer->purges;
        group->sweep = sweep;
        return KV_OK;
    }
    result = kv_commit(txn, err);
    if (result == KV_OK) {
        group->state = writer->state;
        group->purging = writer->purges;
        group->sweep = sweep;
        group->committed = true;
    }
    return result;
}

/* What a transaction freed can be used by the next but one: a small one between makes it so. */
static enum kv_result group_reclaim(struct group *group, struct err *err)
{
    struct kv_txn *txn = kv_batch(group->kv, err);
    if (!txn)
        return KV_FULL;
    enum kv_result result = state_save(txn, &group->state);
    if (result == KV_OK)
        return kv_commit(txn, err);
    kv_end(txn);
    return result;
}

enum kv_result group_commit(struct group *group, struct job *jobs, bool purge, struct err *err)
{
    enum kv_result result = group_try(group, jobs, purge, err);
    if (group->lines && result != KV_OK && !result_fatal(result)) { /* no batch is refused for their sake */
        group->lines = NULL;
        result = group_try(group, jobs, purge, err);
    }
    if (result == KV_FULL) {
        result = group_reclaim(group, err);
        if (result == KV_OK)
            result = group_try(group, jobs, purge, err);
    }
    if (result == KV_FULL && kv_ballast_release(group->kv)) {
        log_error("GTY-STORE-BALLAST", "the disk is full (%s): the reserve is given up; delete something or make room",
                  err->text);
        result = group_try(group, jobs, purge, err);
    }
    if (result != KV_OK && !result_fatal(result)) {
        for (struct job *job = jobs; job; job = job->next)
            if (!job->durable)
                job_fail(job, job->kind == JOB_BATCH ? JOB_REFUSED : JOB_ERROR, ERR_UNAVAILABLE, err->text);
    }
    return result;
}
