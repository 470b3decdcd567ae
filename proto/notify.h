/* What a service manager is told of this process (sd_notify(3)): one datagram a word to the socket that NOTIFY_SOCKET names.
 *
 * Without one nothing is told, and nothing here does anything. All of it is of this process, as its log is.
 */
#ifndef GANTRY_PROTO_NOTIFY_H
#define GANTRY_PROTO_NOTIFY_H

#include <stdint.h>

#include "proto/loop.h"

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC and takes them out of the environment: what runs below this process is none of the manager's. */
void notify_open(void);
void notify_close(void);

/* How often notify_alive is due, in ms: half of what the manager waits for it. 0: it does not wait. */
uint64_t notify_alive_ms(void);

void notify_ready(const char *status); /* the process can do its work; status: one line for people */
void notify_status(const char *status);
void notify_reloading(void); /* from here to notify_reloaded it reads its settings again */
void notify_reloaded(void);
void notify_stopping(void); /* it is on its way to its end */
void notify_alive(void);    /* its loop goes round */

/* Tells of all that a loop does: that it goes round, that a signal ends it, and that SIGHUP has the settings read again, which reload does.
 * One loop a process. -1: no memory. */
int notify_from_loop(struct loop *loop, loop_fn *reload, void *arg);

#endif
