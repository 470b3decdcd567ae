#include "store/commit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"

#define GROUP_BYTES ((size_t)16 << 20) /* of one transaction; what is beyond waits for the next */
#define GROUP_OPS 50000
#define LINGER_BYTES ((size_t)1 << 20) /* this much has gathered enough */
#define PURGE_EVERY_MS 250             /* how often a chunk is purged while there is no pause, or of what has time */
#define RETRY_MS 1000                  /* between attempts to purge, to apply what is kept, to take the reserve again */
#define KEEP_EVERY_MS 5000             /* how often it is looked whether something is kept no longer */
#define LINES_WAIT_MS 1000             /* until lines get a transaction of their own */
#define LINES_EVERY_MS 100             /* between two chunks of them */
#define LINES_AT_ONCE ((size_t)128 << 10)
#define MAP_ROOM ((uint64_t)32 << 20) /* of the map; with less left the redo log takes nothing */

struct queue {
    struct job *first, **last;
    size_t jobs, bytes;
};

struct lines {
    struct syslog_lines *first, **last;
    size_t bytes;
    uint64_t due_ms;
};

struct committer {
    struct kv *kv;
    struct group group; /* the thread's own */
    struct job *kept;   /* so is this: durable jobs that found no room */
    pthread_t thread;
    bool started;
    int fd;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct queue waiting, done;
    struct lines lines;
    struct histogram times;
    struct store_limits limits;
    struct syslog_limits syslog_limits;
    struct keep_limits keep;
    bool keep_changed;
    struct commit_status status;
    uint64_t linger_until_us; /* of the first that waits */
    bool hurried;             /* what waits is waited for */
    bool stopping;
};

/* ---- jobs ---- */

struct job *job_new(const struct bus_call *call)
{
    const struct msg_batch *batch = call->msg->shape->id == MSG_BATCH_APPLY ? &call->msg->u.batch : NULL;
    size_t ops = batch ? batch->ops.count * sizeof *batch->ops.items : 0;
    size_t bytes = batch ? call->frame.len : 0;
    struct job *job = malloc(sizeof *job + ops + bytes);
    if (!job)
        return NULL;
    memset(job, 0, sizeof *job);
    job->kind = batch ? JOB_BATCH : JOB_CLAIM;
    job->peer = call->peer;
    job->corr = call->msg->corr;
    str_copy(job->rid, sizeof job->rid, call->msg->rid);
    job->bytes = sizeof *job + ops + bytes;
    job->epoch = batch ? batch->epoch : call->msg->u.epoch_claim.epoch;
    if (!batch)
        return job;
    job->seq = batch->seq;
    job->ops = (struct rec_op *)(job + 1);
    job->op_count = batch->ops.count;
    char *copy = (char *)(job + 1) + ops;
    if (ops > 0)
        memcpy(job->ops, batch->ops.items, ops);
    memcpy(copy, call->frame.ptr, bytes);
    job->frame = (struct str){copy, call->frame.len};
    for (uint32_t i = 0; i < job->op_count; i++) { /* values point into the frame: now into the copy of it */
        struct str *value = &job->ops[i].value;
        if (value->len > 0)
            value->ptr = copy + (value->ptr - call->frame.ptr);
    }
    return job;
}

void job_free(struct job *job)
{
    free(job);
}

static void queue_add(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->jobs++;
    queue->bytes += job->bytes;
}

static struct job *queue_take(struct queue *queue, size_t bytes, uint64_t ops)
{
    struct job *first = queue->first, **end = &queue->first;
    size_t taken = 0;
    uint64_t taken_ops = 0;
    while (*end && (taken == 0 || (taken + (*end)->bytes <= bytes && taken_ops + (*end)->op_count <= ops))) {
        taken += (*end)->bytes;
        taken_ops += (*end)->op_count;
        queue->jobs--;
        end = &(*end)->next;
    }
    queue->bytes -= taken;
    queue->first = *end;
    *end = NULL;
    if (!queue->first)
        queue->last = &queue->first;
    return first == queue->first ? NULL : first;
}

static void queue_free(struct queue *queue)
{
    for (struct job *job = queue->first, *next; job; job = next) {
        next = job->next;
        job_free(job);
    }
    *queue = (struct queue){.last = &queue->first};
}

/* ---- lines ---- */

static void lines_free(struct syslog_lines *lines)
{
    for (struct syslog_lines *next; lines; lines = next) {
        next = lines->next;
        free(lines);
    }
}

static uint64_t lines_count(const struct syslog_lines *lines)
{
    uint64_t count = 0;
    for (; lines; lines = lines->next)
        count += lines->count;
    return count;
}

/* The oldest, about so many bytes of them. */
static struct syslog_lines *lines_take(struct lines *lines, size_t bytes)
{
    struct syslog_lines *first = lines->first, **end = &lines->first;
    size_t taken = 0;
    while (*end && taken < bytes) {
        taken += (*end)->len;
        end = &(*end)->next;
    }
    lines->first = *end;
    *end = NULL;
    if (!lines->first)
        lines->last = &lines->first;
    lines->bytes -= taken;
    return first;
}

/* With little room on disk none are written. */
static bool lines_may(const struct committer *self)
{
    return !self->status.refusing && !self->status.tight;
}

/* What goes along with the transaction that begins now: nothing, as long as it may still share a later one. */
static struct syslog_lines *thread_lines(struct committer *self)
{
    uint64_t now = clock_mono_ms();
    if (!self->lines.first || self->kept || !lines_may(self) || (now < self->lines.due_ms && !self->stopping))
        return NULL;
    self->lines.due_ms = now + LINES_EVERY_MS;
    return lines_take(&self->lines, LINES_AT_ONCE);
}

/* ---- the thread ---- */

/* When there is something to do, in microseconds; 0: now, UINT64_MAX: not before somebody says so. */
static uint64_t thread_due(const struct committer *self, uint64_t purge_at_ms, uint64_t look_at_ms)
{
    uint64_t due_ms = UINT64_MAX;
    if (self->stopping || self->keep_changed || (self->waiting.first && (self->hurried || self->waiting.bytes >= LINGER_BYTES)))
        return 0;
    if (self->waiting.first)
        return self->linger_until_us;
    if (self->group.purging || self->kept)
        due_ms = purge_at_ms;
    if ((self->keep.ms > 0 || self->keep.runs > 0) && look_at_ms < due_ms)
        due_ms = look_at_ms;
    if (self->lines.first && !self->kept && lines_may(self) && self->lines.due_ms < due_ms)
        due_ms = self->lines.due_ms;
    return due_ms == UINT64_MAX ? UINT64_MAX : due_ms * 1000;
}

/* Waits for jobs, at most until there is something to purge, or to look at, or what found no room is due, or lines are; NULL: that,
 * or end. */
static struct job *thread_wait(struct committer *self, uint64_t purge_at_ms, uint64_t *look_at_ms, struct syslog_lines **lines,
                               bool *stop)
{
    uint64_t due;
    pthread_mutex_lock(&self->mutex);
    while ((due = thread_due(self, purge_at_ms, *look_at_ms)) > 0) {
        if (due == UINT64_MAX) {
            pthread_cond_wait(&self->wake, &self->mutex);
            continue;
        }
        uint64_t now = clock_mono_us();
        if (now >= due)
            break;
        struct timespec until; /* of another clock than ours */
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + (due - now) * 1000;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        pthread_cond_timedwait(&self->wake, &self->mutex, &until);
    }
    struct job *jobs = queue_take(&self->waiting, GROUP_BYTES, GROUP_OPS);
    self->hurried = self->hurried && self->waiting.first != NULL;
    *lines = thread_lines(self);
    *stop = !jobs && !*lines && self->stopping;
    self->group.limits = self->limits;
    self->group.syslog_limits = self->syslog_limits;
    self->group.keep = self->keep;
    *look_at_ms = self->keep_changed ? 0 : *look_at_ms;
    self->keep_changed = false;
    pthread_mutex_unlock(&self->mutex);
    return jobs;
}

/* What health answers tell of the disk. */
static void trouble_fill(const struct kv_stat *stat, enum kv_result result, const struct err *err, char *out, size_t size)
{
    if (result != KV_OK)
        snprintf(out, size, "writes are refused: %s", err->text);
    else if (!stat->ballast)
        snprintf(out, size, "the disk is nearly full: it has no room for the reserve any more");
    else
        out[0] = '\0';
}

/* What is acknowledged now might find no room in the database. */
static bool stat_tight(const struct kv_stat *stat)
{
    return stat->low || !stat->ballast || stat->used_bytes + MAP_ROOM > stat->map_bytes;
}

static void thread_finish(struct committer *self, struct job *jobs, enum kv_result result, const struct err *err, uint64_t us)
{
    char trouble[sizeof self->status.trouble];
    struct kv_stat stat;
    kv_stat(self->kv, &stat);
    trouble_fill(&stat, result, err, trouble, sizeof trouble);
    bool failed = result == KV_IO || result == KV_CORRUPT;
    pthread_mutex_lock(&self->mutex);
    struct commit_status *status = &self->status;
    if (strcmp(trouble, status->trouble) != 0) {
        if (trouble[0])
            log_error("GTY-STORE-TROUBLE", "%s", trouble);
        else
            log_info("GTY-STORE-WELL", "writes go through again");
        memcpy(status->trouble, trouble, sizeof trouble);
    }
    status->failed = failed;
    status->refusing = result != KV_OK;
    status->tight = stat_tight(&stat);
    if (result == KV_OK) {
        if (self->group.committed) { /* a look that found nothing to remove is none */
            status->commits++;
            status->last_us = us;
            histogram_add(&self->times, us);
        }
        status->epoch = self->group.state.epoch;
        status->applied = self->group.state.applied;
    }
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next;
        status->queued--;
        if (result == KV_OK && job->kind == JOB_BATCH && job->outcome == JOB_ACK) {
            status->batches++;
            status->operations += job->op_count;
        }
        if (result == KV_OK && job->applied)
            log_debug("GTY-STORE-APPLIED", "epoch=%lu seq=%lu changes=%u", (unsigned long)job->epoch, (unsigned long)job->seq,
                      job->op_count);
        queue_add(&self->done, job);
    }
    if (failed) /* what was done is not known: nothing may be answered */
        queue_free(&self->done);
    pthread_mutex_unlock(&self->mutex);
    uint64_t one = 1;
    while (write(self->fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/* What was acknowledged and found no room stays, the rest goes on to be refused. */
static struct job *thread_keep(struct committer *self, struct job *jobs)
{
    struct job *others = NULL, **kept = &self->kept, **other = &others;
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next;
        struct job ***end = job->durable ? &kept : &other;
        job->next = NULL;
        **end = job;
        *end = &job->next;
    }
    return others;
}

/* What is kept comes ahead of the new ones. */
static struct job *thread_join(struct committer *self, struct job *jobs)
{
    struct job *first = self->kept, **last = &self->kept;
    if (!first)
        return jobs;
    while (*last)
        last = &(*last)->next;
    *last = jobs;
    self->kept = NULL;
    return first;
}

/* The transaction is over, with or without these lines. */
static void thread_written(struct committer *self, struct syslog_lines *lines)
{
    if (lines && !self->group.lines) {
        pthread_mutex_lock(&self->mutex);
        self->status.lines_dropped += lines_count(lines);
        pthread_mutex_unlock(&self->mutex);
    }
    self->group.lines = NULL;
    lines_free(lines);
}

static void *thread_run(void *arg)
{
    struct committer *self = arg;
    uint64_t purge_at = 0, restore_at = 0, look_at = 0;
    for (;;) {
        bool stop;
        struct syslog_lines *lines;
        struct job *jobs = thread_wait(self, purge_at, &look_at, &lines, &stop);
        if (stop)
            return NULL;
        uint64_t started = clock_mono_us(), now = started / 1000;
        if (now >= look_at) {
            look_at = now + KEEP_EVERY_MS;
            self->group.purging = self->group.purging || self->group.keep.ms > 0 || self->group.keep.runs > 0;
        }
        bool purge = self->group.purging && now >= purge_at;
        struct err err = {0};
        jobs = thread_join(self, jobs);
        self->group.lines = lines;
        self->group.committed = false;
        enum kv_result result = group_commit(&self->group, jobs, purge, &err);
        if (result != KV_OK && result != KV_IO && result != KV_CORRUPT)
            jobs = thread_keep(self, jobs);
        if (self->kept)
            purge_at = now + RETRY_MS;
        else if (purge)
            purge_at = result != KV_OK ? now + RETRY_MS : jobs || self->group.sweeping ? now + PURGE_EVERY_MS : 0;
        if (result == KV_OK && now >= restore_at) {
            kv_ballast_restore(self->kv);
            kv_reap(self->kv); /* else a backup that was killed would keep pages from being used again */
            restore_at = now + RETRY_MS;
        }
        thread_finish(self, jobs, result, &err, clock_mono_us() - started);
        thread_written(self, lines);
        if (result == KV_IO || result == KV_CORRUPT)
            return NULL;
    }
}

/* ---- the loop's side ---- */

static int thread_start(struct committer *self, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int rc = pthread_create(&self->thread, NULL, thread_run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(err, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
    self->started = true;
    return 0;
}

struct committer *committer_new(struct kv *kv, const struct store_limits *limits, struct err *err)
{
    struct committer *self = calloc(1, sizeof *self);
    if (!self) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    self->kv = kv;
    self->limits = *limits;
    self->waiting.last = &self->waiting.first;
    self->done.last = &self->done.first;
    self->lines.last = &self->lines.first;
    self->times = HISTOGRAM(histogram_latency);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self->wake, &attr);
    pthread_condattr_destroy(&attr);
    self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->fd < 0)
        err_set(err, ERR_IO, "no descriptor: %s", strerror(errno));
    if (self->fd < 0 || group_init(&self->group, kv, limits, err) != 0) {
        committer_free(self);
        return NULL;
    }
    self->status.epoch = self->group.state.epoch;
    self->status.applied = self->group.state.applied;
    struct kv_stat stat;
    kv_stat(kv, &stat);
    self->status.tight = stat_tight(&stat);
    if (thread_start(self, err) != 0) {
        committer_free(self);
        return NULL;
    }
    return self;
}

void committer_stop(struct committer *committer)
{
    if (!committer || !committer->started)
        return;
    pthread_mutex_lock(&committer->mutex);
    committer->stopping = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->mutex);
    pthread_join(committer->thread, NULL);
    committer->started = false;
}

void committer_free(struct committer *committer)
{
    if (!committer)
        return;
    committer_stop(committer);
    queue_free(&committer->waiting);
    queue_free(&committer->done);
    lines_free(committer->lines.first);
    queue_free(&(struct queue){.first = committer->kept});
    group_free(&committer->group);
    pthread_mutex_destroy(&committer->mutex);
    pthread_cond_destroy(&committer->wake);
    if (committer->fd >= 0)
        close(committer->fd);
    free(committer);
}

static bool queue_room(const struct queue *queue, size_t jobs, size_t bytes)
{
    return queue->jobs + jobs < COMMIT_QUEUE_JOBS && queue->bytes + bytes < COMMIT_QUEUE_BYTES;
}

bool committer_room(struct committer *committer, size_t jobs, size_t bytes)
{
    pthread_mutex_lock(&committer->mutex);
    bool room = queue_room(&committer->waiting, jobs, bytes);
    pthread_mutex_unlock(&committer->mutex);
    return room;
}

int committer_submit(struct committer *committer, struct job *job)
{
    pthread_mutex_lock(&committer->mutex);
    bool room = queue_room(&committer->waiting, 0, 0), first = committer->waiting.first == NULL;
    if (room) {
        if (first)
            committer->linger_until_us = clock_mono_us() + COMMIT_LINGER_MS * 1000;
        queue_add(&committer->waiting, job);
        committer->status.queued++;
        committer->hurried |= !job->durable;
        if (first || committer->hurried || committer->waiting.bytes >= LINGER_BYTES)
            pthread_cond_signal(&committer->wake);
    }
    pthread_mutex_unlock(&committer->mutex);
    return room ? 0 : -1;
}

void committer_hurry(struct committer *committer)
{
    pthread_mutex_lock(&committer->mutex);
    committer->hurried = committer->waiting.first != NULL;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->mutex);
}

int committer_lines(struct committer *committer, struct str frame, uint32_t count)
{
    struct syslog_lines *lines = syslog_lines_new(frame, count);
    pthread_mutex_lock(&committer->mutex);
    bool room = lines && lines_may(committer) && committer->lines.bytes + frame.len <= COMMIT_LINES_BYTES;
    if (room) {
        if (!committer->lines.first)
            committer->lines.due_ms = clock_mono_ms() + LINES_WAIT_MS;
        *committer->lines.last = lines;
        committer->lines.last = &lines->next;
        committer->lines.bytes += frame.len;
        pthread_cond_signal(&committer->wake); /* it sleeps until they are due */
    } else {
        committer->status.lines_dropped += count;
    }
    pthread_mutex_unlock(&committer->mutex);
    if (!room)
        free(lines);
    return room ? 0 : -1;
}

int committer_fd(const struct committer *committer)
{
    return committer->fd;
}

struct job *committer_done(struct committer *committer)
{
    uint64_t seen;
    while (read(committer->fd, &seen, sizeof seen) < 0 && errno == EINTR) {}
    pthread_mutex_lock(&committer->mutex);
    struct job *jobs = committer->done.first;
    committer->done = (struct queue){.last = &committer->done.first};
    pthread_mutex_unlock(&committer->mutex);
    return jobs;
}

void committer_times(struct committer *committer, struct histogram *times)
{
    pthread_mutex_lock(&committer->mutex);
    *times = committer->times;
    pthread_mutex_unlock(&committer->mutex);
}

void committer_limits(struct committer *committer, const struct store_limits *limits, const struct syslog_limits *syslog)
{
    pthread_mutex_lock(&committer->mutex);
    committer->limits = *limits;
    committer->syslog_limits = *syslog;
    pthread_mutex_unlock(&committer->mutex);
}

void committer_keep(struct committer *committer, const struct keep_limits *keep)
{
    pthread_mutex_lock(&committer->mutex);
    committer->keep = *keep;
    committer->keep_changed = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->mutex);
}

void committer_status(struct committer *committer, struct commit_status *status)
{
    pthread_mutex_lock(&committer->mutex);
    *status = committer->status;
    pthread_mutex_unlock(&committer->mutex);
}
