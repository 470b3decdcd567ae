/* The core's host: sockets, clocks and the journal's port around a library that has none of them (rule 11).
 *
 * It rebuilds the core from the store, and only then opens the doors; see host.c for what happens in each wake-up.
 */
#ifndef GANTRY_SCHEDULER_HOST_H
#define GANTRY_SCHEDULER_HOST_H

#include "proto/loop.h"
#include "proto/settings.h"
#include "scheduler/core.h"

struct host;

#define HOST_SUPERSEDED 3 /* exit code: another scheduler holds a higher epoch */

/* Begins to rebuild. loop and settings are borrowed. NULL with err. */
struct host *host_new(struct loop *loop, const struct settings *settings, struct err *err);
void host_free(struct host *host); /* takes NULL */

/* Where lines of workers' logs go from now on (core.h), and the way of lines to the store (a ship_port's ask). */
void host_on_lines(struct host *host, core_lines *lines, void *self);
bool host_ask_lines(struct host *host, const struct msg_log_lines *lines, bus_reply *reply, void *arg);

/* fn is called once all is rebuilt and the doors are open. */
void host_on_open(struct host *host, loop_fn *fn, void *arg);
/* Settings that can be reloaded have changed. */
void host_reload(struct host *host);
/* Writes what is decided and stops the loop when it is on disk, or after two seconds. */
void host_end(struct host *host);
/* Exit code, and why if it is not 0: err->code 0 when the log has said it. */
int host_code(const struct host *host, struct err *err);

#endif
