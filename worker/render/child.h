/* Runs a program to its end, reading what it writes, on stdout and stderr alike, line by line. */
#ifndef GANTRY_WORKER_RENDER_CHILD_H
#define GANTRY_WORKER_RENDER_CHILD_H

#include <stdint.h>

#include "proto/str.h"

#define CHILD_LINE 2048 /* bytes of a line; what is longer is cut there */

struct reading {                                /* bytes into lines; zeroed but for line and self */
    void (*line)(void *self, const char *text); /* may be NULL */
    void *self;
    size_t len;
    char text[CHILD_LINE];
};

void reading_take(struct reading *reading, const char *bytes, size_t len);
void reading_over(struct reading *reading); /* what has come is a line, too */

struct child_end {
    int exit_code; /* -1 when a signal ended it */
    int signal;
    bool late; /* it was killed as its time was over */
};

/* limit_ms: 0 is none. folder: it works in; NULL: this process's own. line may be NULL. -1 with err: it could not be started
 * (ERR_NOT_FOUND: there is no such program). */
int child_run(char *const *argv, const char *folder, uint64_t limit_ms, void (*line)(void *self, const char *text), void *self,
              struct child_end *end, struct err *err);

#endif
