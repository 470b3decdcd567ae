#include "store/intake.h"

#include <stdlib.h>

#include "proto/clock.h"

#define LOG_BYTES ((size_t)128 << 10) /* of one write to the log; where there is more, a commit of the database is as good */
#define LOG_FRAMES 1024u

struct intake {
    struct committer *committer;
    struct redo *redo;
    struct apply *apply; /* checks what goes into the log */
    struct job *first, **last;
    size_t jobs, bytes; /* gathered */
    size_t log_bytes;   /* of them, for the log: the first log_count jobs */
    uint32_t log_count;
    struct str frames[LOG_FRAMES];
    uint64_t epoch, due;      /* the sequence behind the last durable one */
    uint64_t logged, applied; /* sequences of this epoch: the last in the log, the last in the database */
    uint64_t blocks;
    struct histogram times;
    uint32_t claims; /* under way: until they are granted, no epoch is sure */
    bool refusing, tight;
};

struct intake *intake_new(struct committer *committer, struct redo *redo)
{
    struct intake *intake = calloc(1, sizeof *intake);
    struct commit_status status;
    if (!intake)
        return NULL;
    committer_status(committer, &status);
    *intake = (struct intake){.committer = committer,
                              .redo = redo,
                              .epoch = status.epoch,
                              .due = status.applied + 1,
                              .applied = status.applied,
                              .tight = status.tight};
    intake->last = &intake->first;
    intake->times = HISTOGRAM(histogram_latency);
    intake->apply = apply_new();
    if (!intake->apply) {
        intake_free(intake);
        return NULL;
    }
    return intake;
}

static void gathered_reset(struct intake *intake)
{
    intake->first = NULL;
    intake->last = &intake->first;
    intake->jobs = intake->bytes = intake->log_bytes = 0;
    intake->log_count = 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    for (struct job *job = intake->first, *next; job; job = next) {
        next = job->next;
        job_free(job);
    }
    apply_free(intake->apply);
    free(intake);
}

/* ---- what a log of before has ---- */

struct replay {
    struct intake *intake;
    struct arena *arena;
};

static int replay_frame(void *self, struct str frame, struct err *err)
{
    struct replay *replay = self;
    struct intake *intake = replay->intake;
    struct msg msg;
    arena_reset(replay->arena);
    if (msg_decode(replay->arena, frame, &msg, err) != 0)
        return -1;
    if (msg.shape->id != MSG_BATCH_APPLY)
        return err_set(err, ERR_INVALID, "the redo log holds a message that is no batch");
    struct bus_call call = {.msg = &msg, .frame = frame};
    struct job *job = job_new(&call);
    if (!job)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    job->durable = true;
    uint64_t seq = job->seq;
    if (committer_submit(intake->committer, job) != 0) {
        job_free(job);
        return err_set(err, ERR_UNAVAILABLE, "the redo log holds more than can wait to be committed");
    }
    intake->logged = seq;
    intake->due = seq + 1;
    return 0;
}

int intake_replay(struct intake *intake, struct redo *redo, struct arena *arena, struct err *err)
{
    struct replay replay = {intake, arena};
    return redo_replay(redo, intake->epoch, intake->applied, replay_frame, &replay, err);
}

/* ---- gathering ---- */

/* Whether the log takes it. */
static bool job_fits_log(struct intake *intake, const struct job *job)
{
    return intake->redo && !intake->refusing && !intake->tight && intake->claims == 0 && job->kind == JOB_BATCH &&
           job->epoch == intake->epoch && job->seq == intake->due && intake->log_count == intake->jobs &&
           intake->log_count < LOG_FRAMES && intake->log_bytes + job->frame.len <= LOG_BYTES &&
           apply_check(intake->apply, job->ops, job->op_count, NULL) == 0;
}

int intake_add(struct intake *intake, struct job *job)
{
    if (!committer_room(intake->committer, intake->jobs, intake->bytes))
        return -1;
    if (job_fits_log(intake, job)) {
        intake->frames[intake->log_count++] = job->frame;
        intake->log_bytes += job->frame.len;
        intake->due++;
    }
    intake->claims += job->kind == JOB_CLAIM;
    job->next = NULL;
    *intake->last = job;
    intake->last = &job->next;
    intake->jobs++;
    intake->bytes += job->bytes;
    return 0;
}

/* ---- the end of a wake-up ---- */

/* The first log_count jobs are durable. */
static void jobs_acked(struct intake *intake, void (*acked)(void *self, const struct job *job), void *self)
{
    struct job *job = intake->first;
    for (uint32_t i = 0; i < intake->log_count; i++, job = job->next) {
        job->durable = true;
        job->outcome = JOB_ACK;
        job->answer_epoch = job->epoch;
        job->answer_seq = job->seq;
    }
    job = intake->first;
    for (uint32_t i = 0; i < intake->log_count; i++, job = job->next)
        acked(self, job);
    intake->logged = intake->due - 1;
    intake->blocks++;
}

static int jobs_log(struct intake *intake, void (*acked)(void *self, const struct job *job), void *self, struct err *err)
{
    struct err why = {0};
    uint64_t first = intake->due - intake->log_count, began_us = clock_mono_us();
    if (redo_write(intake->redo, intake->epoch, first, intake->frames, intake->log_count, intake->applied, &why) == 0) {
        histogram_add(&intake->times, clock_mono_us() - began_us);
        jobs_acked(intake, acked, self);
        return 0;
    }
    intake->due = first > intake->applied ? first : intake->applied + 1;
    return why.code == ERR_IO ? err_set(err, ERR_IO, "%s", why.text) : 0;
}

int intake_flush(struct intake *intake, void (*acked)(void *self, const struct job *job), void *self, struct err *err)
{
    if (intake->log_count > 0 && jobs_log(intake, acked, self, err) != 0)
        return -1;
    int rc = 0;
    for (struct job *job = intake->first, *next; job; job = next) {
        next = job->next;
        if (committer_submit(intake->committer, job) != 0) { /* there was room for it */
            job_free(job);
            rc = err_set(err, ERR_INTERNAL, "a batch found no place in the committer's queue");
        }
    }
    gathered_reset(intake);
    return rc;
}

/* ---- what the committer did ---- */

void intake_done(struct intake *intake, const struct job *job)
{
    if (job->kind == JOB_CLAIM)
        intake->claims--;
    if (job->outcome == JOB_GRANT && job->answer_epoch != intake->epoch) {
        intake->epoch = job->answer_epoch;
        intake->due = 1;
        intake->logged = intake->applied = 0;
    }
    bool tells = job->outcome == JOB_ACK || job->outcome == JOB_GRANT;
    if (!tells || job->answer_epoch != intake->epoch)
        return;
    if (job->answer_seq > intake->applied)
        intake->applied = job->answer_seq;
    if (intake->applied >= intake->due && intake->log_count == 0)
        intake->due = intake->applied + 1;
}

void intake_room(struct intake *intake, const struct commit_status *status)
{
    intake->refusing = status->refusing;
    intake->tight = status->tight;
}

struct intake_mark intake_mark(const struct intake *intake)
{
    return (struct intake_mark){intake->epoch, intake->logged};
}

/* A later epoch was granted behind every batch of the one before. */
bool intake_shows(const struct intake *intake, struct intake_mark mark)
{
    return intake->refusing || mark.epoch != intake->epoch || mark.seq <= intake->applied;
}

uint64_t intake_logged(const struct intake *intake)
{
    return intake->blocks;
}

const struct histogram *intake_times(const struct intake *intake)
{
    return &intake->times;
}
