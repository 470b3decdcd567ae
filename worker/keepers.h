/* The keepers of engines (render/keep.h): one for each slot that renders, started when it is first wanted.
 *
 * A run that may share its engine is given one that nobody else has, the one whose engine it most likely wants if that is free, and has it until its program
 * has ended. A keeper belongs to the user that its runs become.
 */
#ifndef GANTRY_WORKER_KEEPERS_H
#define GANTRY_WORKER_KEEPERS_H

#include <limits.h>
#include <sys/types.h>

#include "proto/messages.h"
#include "worker/home.h"
#include "worker/process.h"

struct keeper {
    struct keepers *all;
    struct process *process; /* NULL: it is not started, or has ended */
    uint32_t number;
    bool busy;
    uint64_t wanted; /* a hash of what its last run rendered */
    uint64_t used;   /* grows with each run that is given one */
    char user[65];   /* "": the worker's own */
    char folder[PATH_MAX];
    char line[256]; /* the last it said */
};

struct keepers { /* zeroed before its first use */
    struct processes *processes;
    struct home *home;
    const char *self;  /* path of gantry-worker */
    uint64_t total_mb; /* memory of the machine … */
    uint64_t most_mb;  /* … and what an engine may have of it and still be kept: half of its slot's part */
    uint64_t used;
    uint32_t count;
    struct keeper *items;
};

int keepers_open(struct keepers *keepers, struct processes *processes, struct home *home, const char *self, uint32_t slots,
                 struct err *err);
void keepers_stop(struct keepers *keepers);  /* before the processes go */
void keepers_close(struct keepers *keepers); /* behind that, when no run has one any more */

/* Whether the run's engine may be kept: its row says so, and the run has no limits of its own, which would be an engine's from its start. */
bool keepers_can(const struct rec_assignment *assignment);
/* user: NULL or "" is the worker's own. NULL with err: none can be started, or all are busy. */
struct keeper *keepers_take(struct keepers *keepers, const struct rec_assignment *assignment, const char *user, uid_t uid,
                            gid_t gid, struct err *err);
/* Behind its run. One that did not answer that (KEEP_HUNG) ends, and its slot's next frame has another. Takes NULL. */
void keepers_release(struct keeper *keeper);

/* Before a run begins: where its task asks for more memory than is free, engines that wait idle for frames of others end. */
void keepers_yield(struct keepers *keepers, const struct rec_assignment *assignment);

#endif
