/* The worker's session with the scheduler (docs/worker-protocol.md). */
#ifndef GANTRY_WORKER_LINK_H
#define GANTRY_WORKER_LINK_H

#include "proto/bus.h"
#include "proto/ship.h"
#include "worker/roster.h"

struct link;

struct link_config { /* all borrowed */
    const char *endpoint;
    const struct bus_curve *curve;
    const char *ident, *hostname, *ip_address;
    struct str_list task_types;
    struct str_list executors;
    struct str labels;                                   /* a packed map */
    void (*welcomed)(void *self, struct str name);       /* the farm has taken this worker in; at each session. May be NULL */
    void (*finished)(void *self, const struct run *run); /* the farm has a run's result. May be NULL */
};

/* over: called once when the session has come to its end: the farm has heard all (ERR 0), or wants no such worker (err says why).
 * NULL with err. Takes over the loop's settle callback. */
struct link *link_new(struct loop *loop, const struct link_config *config, struct roster *roster,
                      void (*over)(void *self, const struct err *err), void *self, struct err *err);
void link_free(struct link *link); /* takes NULL */

/* Something changed in the library; soft: lost while there is no session. */
void link_hint(struct link *link, const struct msg_library_hint *hint);
/* What HELLO says (its labels) is another: says it anew in the session that stands. */
void link_again(struct link *link);
/* Finishes what it has, takes nothing new; over is called when all results are acknowledged. */
void link_drain(struct link *link);
/* Stops everything; what runs goes back to the queue. Processes get TERM, and KILL kill_ms later (which a repeat can bring forward).
 * over is called when no process is left and the farm knows, also of what had ended by itself; it waits for that only some seconds. */
void link_leave(struct link *link, uint64_t kill_ms);

/* The worker's own log lines leave in its sessions from now on. Borrowed. */
void link_ship(struct link *link, struct ship *ship);

/* One row a message that comes to a worker; ends in id 0. */
struct worker_route {
    uint16_t id;
    void (*handle)(struct link *link, const struct msg *msg);
    const char *doc;
};
extern const struct worker_route link_routes[];

#endif
