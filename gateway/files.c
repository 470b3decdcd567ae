#include "gateway/files.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"

#define LOOK_MS 1000 /* between two looks at what waits */

struct files {
    struct loop *loop;
    pthread_t thread;
    bool started;
    int timer;
    int bell;              /* eventfd: jobs are done */
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct file_job *first, *last; /* to be done */
    struct file_job *ended;        /* to be told; the newest first */
    bool stopping;
};

static struct file_job *job_take(struct files *files)
{
    struct file_job *job;

    pthread_mutex_lock(&files->mutex);
    while (!files->first && !files->stopping)
        pthread_cond_wait(&files->wake, &files->mutex);
    job = files->first;
    if (job)
        files->first = job->next;
    if (!files->first)
        files->last = NULL;
    pthread_mutex_unlock(&files->mutex);
    return job;
}

static void *thread_run(void *arg)
{
    struct files *files = arg;
    const uint64_t one = 1;
    struct file_job *job;

    while ((job = job_take(files)) != NULL) {
        job->work(job);
        pthread_mutex_lock(&files->mutex);
        job->next = files->ended;
        files->ended = job;
        pthread_mutex_unlock(&files->mutex);
        if (write(files->bell, &one, sizeof one) < 0)
            continue; /* it is full: the loop will look anyway */
    }
    return NULL;
}

static void on_bell(void *arg)
{
    struct files *files = arg;
    uint64_t count;

    if (read(files->bell, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&files->mutex);
    struct file_job *job = files->ended;
    files->ended = NULL;
    pthread_mutex_unlock(&files->mutex);
    while (job) {
        struct file_job *next = job->next;
        job->done(job);
        job = next;
    }
}

/* Takes out of the line whose time is over; the oldest first. */
static struct file_job *late_take(struct files *files, uint64_t now_ms)
{
    struct file_job *late = NULL, **end = &late, **at = &files->first;
    pthread_mutex_lock(&files->mutex);
    files->last = NULL;
    while (*at) {
        struct file_job *job = *at;
        if (job->late && now_ms >= job->until_ms) {
            *at = job->next;
            job->next = NULL;
            *end = job;
            end = &job->next;
        } else {
            files->last = job;
            at = &job->next;
        }
    }
    pthread_mutex_unlock(&files->mutex);
    return late;
}

static void on_look(void *arg)
{
    struct file_job *job = late_take(arg, clock_mono_ms());
    while (job) {
        struct file_job *next = job->next;
        job->late(job);
        job = next;
    }
}

static int thread_start(struct files *files)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int rc = pthread_create(&files->thread, NULL, thread_run, files);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    files->started = rc == 0;
    return rc;
}

struct files *files_new(struct loop *loop, struct err *err)
{
    struct files *files = calloc(1, sizeof *files);

    if (!files) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    files->loop = loop;
    pthread_mutex_init(&files->mutex, NULL);
    pthread_cond_init(&files->wake, NULL);
    files->timer = loop_every(loop, LOOK_MS, on_look, files);
    files->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (files->bell < 0 || files->timer < 0 || loop_add_fd(loop, files->bell, false, on_bell, files) != 0 ||
        thread_start(files) != 0) {
        err_set(err, ERR_NO_MEMORY, "the helper thread for files does not start");
        files_free(files);
        return NULL;
    }
    return files;
}

void files_free(struct files *files)
{
    if (!files)
        return;
    pthread_mutex_lock(&files->mutex);
    files->stopping = true;
    pthread_cond_signal(&files->wake);
    pthread_mutex_unlock(&files->mutex);
    loop_cancel(files->loop, files->timer);
    if (files->started)
        pthread_join(files->thread, NULL);
    if (files->bell >= 0) {
        on_bell(files);
        for (struct file_job *job; (job = files->first) != NULL; job->done(job)) { /* that those have brought */
            files->first = job->next;
            files->last = files->first ? files->last : NULL;
            job->work(job);
        }
        loop_remove_fd(files->loop, files->bell);
        close(files->bell);
    }
    pthread_cond_destroy(&files->wake);
    pthread_mutex_destroy(&files->mutex);
    free(files);
}

void files_do(struct files *files, struct file_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&files->mutex);
    if (files->last)
        files->last->next = job;
    else
        files->first = job;
    files->last = job;
    pthread_cond_signal(&files->wake);
    pthread_mutex_unlock(&files->mutex);
}
