/* The sockets peers come in by: commands, workers (who may command too), and the doorbell that tells them to read on. */
#ifndef GANTRY_SCHEDULER_DOORS_H
#define GANTRY_SCHEDULER_DOORS_H

#include "proto/loop.h"
#include "proto/settings.h"
#include "scheduler/core.h"

struct doors;

struct doors_port {
    void *self;
    void (*call)(void *self, const struct core_call *call); /* a message the core has a row for */
    void (*fill_pong)(void *self, struct msg_pong *pong);   /* may come at any time */
    void (*fill_stats)(void *self, struct stats *stats);    /* likewise */
    /* Rows beside the core's own: each list ends in id 0, NULL ends them. May be NULL. */
    const struct core_route *const *more;
};

/* What can be known before they are opened: that their endpoints may be listened on, with certificates made where they need some. A store
 * that shares the folder lets this process in by them. -1 with err. */
int doors_prepare(const struct settings *settings, struct err *err);
/* Binds all three; loop and settings are borrowed, port is copied. NULL with err. */
struct doors *doors_open(struct loop *loop, const struct settings *settings, const struct doors_port *port, struct err *err);
void doors_free(struct doors *doors); /* takes NULL */

/* Handles what has arrived, without waiting for more. */
void doors_drain(struct doors *doors);
/* A journal_port's deliver and committed. */
void doors_send(struct doors *doors, const struct address *to, struct str frame);
void doors_ring(struct doors *doors, uint64_t last_event, const uint64_t *runs, uint32_t count);
/* The list of keys that the workers' door lets in was read again since the last call; whether a key is in it (self: the doors). */
bool doors_keys_changed(struct doors *doors);
bool doors_let_in(void *self, struct str key);
/* Messages whose receiver was gone or full. */
uint64_t doors_lost(const struct doors *doors);

#endif
