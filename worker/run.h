/* One attempt on this worker: from its assignment to the acknowledgement of its result.
 *
 * What happens to it is an event (slot.h); what follows is in the table there, and is done here. The link reads what a run owes the farm and
 * clears it once it is sent.
 */
#ifndef GANTRY_WORKER_RUN_H
#define GANTRY_WORKER_RUN_H

#include "worker/backlog.h"
#include "worker/capture.h"
#include "worker/channel.h"
#include "worker/home.h"
#include "worker/plan.h"
#include "worker/process.h"
#include "worker/progress.h"
#include "worker/publish.h"
#include "worker/slot.h"

struct settings;
struct keeper;
struct keepers;

#define RUN_ERROR_MAX 4096
#define RUN_RESULT_MAX ((size_t)65536)
#define RUN_PHASE_TEXT 1024

struct run_context { /* what all runs of a worker share; borrowed */
    struct loop *loop;
    struct processes *processes;
    struct home *home;
    const char *self;   /* path of gantry-worker */
    const char *run_as; /* users that runs may become, separated by commas */
    uint64_t grace_ms;
    size_t log_bytes; /* held of one run's log */
    /* Why this run is not taken, with so many of its executor held; NULL: it is. May be NULL itself. */
    const char *(*refusal)(void *refuser, const struct rec_assignment *assignment, uint32_t held);
    void *refuser;
    const struct settings *settings; /* of the worker, for executors; NULL in tests that need none */
    struct keepers *keepers;         /* of engines; NULL: none is kept */
};

enum run_phase { PHASE_CHECK, PHASE_PROGRAM, PHASE_VERIFY, PHASE_NAME };

struct run {
    struct run *next;
    const struct run_context *context;
    enum slot_state state;
    uint64_t id, attempt;
    struct rec_assignment assignment; /* its texts live in bytes and arena */
    struct buf bytes;
    struct arena *arena;

    struct process *process; /* NULL while none runs */
    struct keeper *keeper;   /* of its engine, while its program runs; NULL: it has none */
    uint64_t lacking_since;  /* monotonic: what follows the program could not be started for want of memory, descriptors … */
    bool again;              /* and is tried again at the next phase_again */
    enum run_phase phase;    /* of that process */
    char phase_text[RUN_PHASE_TEXT];
    size_t phase_len;
    bool has_folder, ffmpeg;
    struct capture *out, *err; /* NULL before its program starts */
    struct progress progress;
    struct backlog backlog;

    char *final, *temporary; /* of the output; NULL without one */
    char *remains;           /* folder of what a later attempt goes on from; NULL: there is none */
    bool places_output; /* its program says where its output goes, so both are NULL until it does. No later attempt follows it */
    bool own;           /* its program is Gantry's own: what it says last is the error, in words */
    char **naming;      /* what gives that output its name: arguments, NULL-terminated */
    struct channel channel;
    struct publish_file file;

    uint64_t waiting_since;        /* monotonic: accepted */
    uint64_t started_at, ended_at; /* wall clock */
    uint64_t started_mono, duration_ms;
    enum outcome outcome;
    bool has_exit;
    int exit_code, signal;
    struct buf last_line, last_error; /* of stdout, of stderr; not empty ones */
    bool has_result;
    struct buf result;
    char error[RUN_ERROR_MAX + 1];

    /* owed to the farm, and when it was last sent (monotonic; 0 is not in this session) */
    bool owes_accept, owes_reject;
    bool asked; /* PUBLISH was made: a later attempt may take the temporary file over */
    bool spent; /* none will: it is the end of it */
    uint64_t publish_sent, result_sent, log_sent;
    uint64_t acked_at; /* its result is acknowledged (monotonic; 0: not yet); it stays for log lines that are not */
    bool result_due;   /* is in the RESULT being made */
    const char *reject_reason;
};

/* A copy of the assignment, in state ASSIGNED. NULL with err. */
struct run *run_new(const struct run_context *context, const struct rec_assignment *assignment, struct err *err);
void run_free(struct run *run); /* takes NULL; kills a process that is still there */

void run_event(struct run *run, enum slot_event event);
/* A slot is free: looks for its output, or starts it. */
void run_begin(struct run *run);
/* A line of Gantry's own in the run's log. */
void run_note(struct run *run, enum log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fill records that borrow from the run. */
void run_lease(const struct run *run, struct rec_lease *lease);
void run_outcome(const struct run *run, struct rec_outcome *outcome);
void run_published(const struct run *run, struct rec_published *published);

/* ---- between run.c and phase.c ---- */

/* Starts the process of a phase; its end comes back as an event. Failure comes back as an event, too. */
void phase_check(struct run *run);
void phase_program(struct run *run);
void phase_verify(struct run *run);
void phase_name(struct run *run);
void naming_free(struct run *run);
/* Called now and then: tries again to start what could not be. */
void phase_again(struct run *run);
/* Notes why the attempt failed, for SLOT_EV_BAD. */
void run_fail(struct run *run, enum outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A process of it could not be started: before its program ran it goes back to the queue if only this worker lacks something for
 * now, and another worker, or this one later, may do it; behind the program phase_again tries again for a while. Else it failed. */
void run_not_started(struct run *run, const struct err *err);
/* Notes how the program ended: its result, or the error. True when it ended well. */
bool run_judge(struct run *run, const struct process_end *end);

#endif
