/* The worker's own folder, <data>/workers/<name>: who it is, and a folder for each attempt it works on. */
#ifndef GANTRY_WORKER_HOME_H
#define GANTRY_WORKER_HOME_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/loop.h"
#include "proto/str.h"
#include "worker/sweep.h"

struct home {
    struct loop *loop;
    int lock;               /* held while this worker lives */
    int sweeper;            /* timer, -1 while nothing is left to remove */
    struct sweep_pass pass; /* over the trash */
    bool thrown;            /* something came into the trash since that began */
    unsigned stuck;         /* entries of the trash that the last whole pass could not remove */
    char ident[65];         /* random, kept over restarts */
    char path[PATH_MAX];    /* absolute */
    char runs[PATH_MAX];    /* <path>/runs */
    char trash[PATH_MAX];   /* <path>/trash: folders on their way out */
    char keep[PATH_MAX];    /* <path>/keep: folders of what outlives a run, by number (worker/keepers.h) */
    char outputs[PATH_MAX]; /* <path>/outputs: for each attempt that makes an output a link to it, by its temporary name */
};

/* Makes or takes over the folder. -1 with err: another worker lives there, the name is unfit, it cannot be written.
 * Then kills processes that an earlier worker here left behind (gantry-run does that itself; this is for the case that it was killed as
 * well), and removes their folders, and the outputs they had begun: no attempt is sure to come after them that would. */
int home_open(struct home *home, struct loop *loop, const char *data, const char *name, struct err *err);
void home_close(struct home *home);

/* The folder of an attempt, made new: `work` in it is the default working folder. uid, gid: who is to own it; -1 for the worker's own. */
int home_make(struct home *home, uint64_t run, uint64_t attempt, uid_t uid, gid_t gid, char path[PATH_MAX], struct err *err);
/* Removes it, now or in a while. */
void home_remove(struct home *home, uint64_t run, uint64_t attempt);

/* The folder of a keeper, made new, for this user. What its number had before is removed in a while. */
int home_keep_make(struct home *home, uint32_t number, uid_t uid, gid_t gid, char path[PATH_MAX], struct err *err);
void home_keep_remove(struct home *home, uint32_t number);
void home_keep_clear(const struct home *home); /* all of them, at the worker's end: what takes too long goes at its next start */

/* From here on the file of that name is removed with what else a dead worker left behind, until it is over. -1 with err. */
int home_output_begins(struct home *home, uint64_t run, uint64_t attempt, const char *temporary, struct err *err);
void home_output_over(struct home *home, uint64_t run, uint64_t attempt);

/* Reads at most size bytes of a regular file that a run wrote; -1 when there is none. A link is not followed: it would be read with the
 * worker's rights. */
ssize_t home_read_file(const char *path, char *out, size_t size);

#endif
