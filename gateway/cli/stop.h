/* What ends a command that waits before it is done: Ctrl-C, SIGTERM, or a reader of stdout that has left. */
#ifndef GANTRY_CLI_STOP_H
#define GANTRY_CLI_STOP_H

#include <signal.h>

/* From here on these end the waiting instead of the process. */
void stop_catch(void);
/* From here on a signal ends the process at once again; what has stopped it stays known. */
void stop_release(void);

/* Nobody reads stdout any more: as if SIGPIPE had come. */
void stop_unread(void);

/* The signal that stopped it, 0 for none: waits look at it. */
extern volatile sig_atomic_t stop_signal;
/* The exit code that it comes to, as a shell tells it: 130, 143 or 141. */
int stop_code(void);

#endif
