/* Commands under gantry-run, and what they write.
 *
 * The pool is also where a dead gantry-run's orphans arrive: the worker is a child subreaper, and kills them.
 */
#ifndef GANTRY_WORKER_PROCESS_H
#define GANTRY_WORKER_PROCESS_H

#include <sys/types.h>

#include "proto/loop.h"
#include "proto/messages.h"
#include "worker/job.h"

struct processes;
struct process;

struct process_end {
    bool started;   /* else failure says why not */
    bool unable;    /* not started for want of what this machine lacks just now: it may go another time */
    bool timed_out; /* the job's timeout_ms */
    bool overdue;   /* and gantry-run did not see to it, being stopped or stuck: it was killed with the run */
    bool vanished;  /* gantry-run itself was killed */
    int exit_code;  /* -1 when a signal ended the program */
    int signal;
    uint64_t user_ms, system_ms, maxrss_kb;
    unsigned left; /* processes that had outlived the program and were killed */
    char failure[512];
};

struct process_events { /* any but ended may be NULL */
    void (*started)(void *self, pid_t pid);
    void (*output)(void *self, enum log_stream stream, const char *data, size_t len);
    void (*progress)(void *self, const char *data, size_t len);
    void (*channel)(void *self, const char *data, size_t len); /* of a job with a channel: what its program wrote there */
    /* Once, last: no process of it is left. The process is gone when this returns. */
    void (*ended)(void *self, const struct process_end *end);
};

/* Makes the calling process a child subreaper and blocks SIGCHLD. supervisor: path of gantry-run, copied. NULL with err. */
struct processes *processes_new(struct loop *loop, const char *supervisor, struct err *err);
/* Kills what still runs and waits for its end. Takes NULL. */
void processes_free(struct processes *pool);
size_t processes_count(const struct processes *pool);

/* events and self are borrowed until ended. NULL with err: nothing was started, nothing is called. */
struct process *process_start(struct processes *pool, const struct job *job, const struct process_events *events, void *self,
                              struct err *err);
/* Writes to its channel, now or as it can be written. -1: it has none (any more), or there is no memory. */
int process_answer(struct process *process, const void *data, size_t len);
void process_term(struct process *process); /* TERM to the tree, KILL after the job's grace */
void process_kill(struct process *process);
/* Kills it and calls nothing any more; the pool sees to its end. Takes NULL. */
void process_forget(struct process *process);

#endif
