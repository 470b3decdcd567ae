/* One process that `gantry up` looks after: started, its lines prefixed, its end told. */
#ifndef GANTRY_CLI_CHILD_H
#define GANTRY_CLI_CHILD_H

#include <sys/types.h>

#include "proto/loop.h"

struct child;

struct child_end {
    int exit_code; /* -1 when a signal ended it */
    int signal;    /* 0 when it exited */
    uint64_t lived_ms;
    const char *last_words; /* its last line that was no log line: why it could not start. "" if there is none */
};

/* label: what stands before its lines. path: the executable, argv: NULL-terminated; all borrowed for the child's life.
 * on_end is called when the process ended; it may start it again. NULL when out of memory. */
struct child *child_new(struct loop *loop, const char *label, const char *path, char *const *argv,
                        void (*on_end)(void *self, struct child *child, const struct child_end *end), void *self);
/* Kills it if it runs. Takes NULL. */
void child_free(struct child *child);

/* Starts the process. It dies with this one, however that ends. -1 with err. */
int child_start(struct child *child, struct err *err);
/* From now on its lines are shown at once; before that, the newest one that is no log line is held back as its last words. */
void child_settled(struct child *child);
bool child_runs(const struct child *child);
pid_t child_pid(const struct child *child);         /* 0 when it does not run */
void child_signal(struct child *child, int signal); /* nothing when it does not run */

/* Where an executable lies that was installed beside this one. -1 with err when it is not there or cannot be run. */
int child_sibling(const char *program, char *path, size_t size, struct err *err);

/* One line of gantry up's own, or of a child, with its prefix; in colour when stderr is a terminal. */
void child_line(const char *label, const char *text, size_t len);

#endif
