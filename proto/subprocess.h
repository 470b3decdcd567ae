/* Starts a program with three descriptors and none of ours beside them. */
#ifndef GANTRY_PROTO_SUBPROCESS_H
#define GANTRY_PROTO_SUBPROCESS_H

#include <sys/types.h>

#define SUBPROCESS_NULL (-1) /* /dev/null */

struct subprocess {
    char *const *argv;  /* argv[0] without a slash is looked for in PATH */
    char *const *env;   /* NULL: our own */
    const char *folder; /* it works in; NULL: ours */
    int in, out, err;   /* become its 0, 1, 2 */
};

/* It blocks no signals, and all of them do what they usually do. 0 with pid, else an errno: nothing was started. */
int subprocess_start(const struct subprocess *wish, pid_t *pid);

#endif
