/* The reactor: one a process, on zmq_poll. Callbacks run one at a time on the thread that runs the loop.
 *
 * Not czmq's zloop: a wake-up here handles what arrived before what became due (a process that was frozen must read its
 * mail before it judges anybody late), tells when it has settled (so that everything a wake-up brought shares one batch),
 * and answers a lack of memory instead of aborting.
 */
#ifndef GANTRY_PROTO_LOOP_H
#define GANTRY_PROTO_LOOP_H

#include <stdint.h>

#include "proto/str.h"

struct loop;
typedef void loop_fn(void *arg);

/* The first thing in main of a process that will have a loop: SIGTERM, SIGINT and SIGHUP wait for it, so that whoever asks such a process to
 * end while it starts has it end in order. */
void loop_hold_signals(void);

/* Blocks SIGTERM, SIGINT and SIGHUP and takes them over: the first two stop the loop, the third calls on_reload.
 * NULL when memory or descriptors are short. */
struct loop *loop_new(void);
void loop_free(struct loop *loop); /* takes NULL */

/* Calls fn whenever the ZeroMQ socket can be read; fn reads until it would block or its fair share is done. */
int loop_add_socket(struct loop *loop, void *zmq_socket, loop_fn *fn, void *arg);
void loop_remove_socket(struct loop *loop, void *zmq_socket);

/* Calls fn whenever the descriptor can be read (or, with writable, written). One entry a descriptor. */
int loop_add_fd(struct loop *loop, int fd, bool writable, loop_fn *fn, void *arg);
void loop_remove_fd(struct loop *loop, int fd);

/* Calls fn every interval_ms, or once; answers an id for loop_cancel, -1 on no memory. A callback may cancel its own. */
int loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *fn, void *arg);
int loop_after(struct loop *loop, uint64_t delay_ms, loop_fn *fn, void *arg);
void loop_cancel(struct loop *loop, int timer); /* takes -1 */

/* A timer made ahead, which waits to be set: for what must not be forgotten when memory is short (a deadline, a next try).
 * Answers its id, -1 on no memory. Setting it anew replaces what it was set to; interval_ms 0: once. */
int loop_timer(struct loop *loop, loop_fn *fn, void *arg);
void loop_set(struct loop *loop, int timer, uint64_t delay_ms, uint64_t interval_ms);
void loop_unset(struct loop *loop, int timer); /* takes -1 */

/* fn runs once before the loop sleeps again, behind the callbacks of this wake-up: to send what they gathered. One a loop. */
void loop_on_settle(struct loop *loop, loop_fn *fn, void *arg);
void loop_on_reload(struct loop *loop, loop_fn *fn, void *arg);
/* Called at each SIGTERM or SIGINT before anything else is done about it. */
void loop_on_signal(struct loop *loop, loop_fn *fn, void *arg);
/* Called at the first SIGTERM or SIGINT instead of stopping the loop; who sets it calls loop_stop. */
void loop_on_terminate(struct loop *loop, loop_fn *fn, void *arg);

/* Runs until loop_stop or a terminating signal; may be called again. A stop that came before it runs counts. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
