/* The scheduler's end of the connection to the store: the epoch claimed at the start and again after each reconnect, batches out,
 * acknowledgements in. */
#ifndef GANTRY_SCHEDULER_LINK_H
#define GANTRY_SCHEDULER_LINK_H

#include "scheduler/journal.h"
#include "scheduler/recover.h"

struct link_port {
    void *self;
    void (*stale)(void *self, uint64_t epoch);         /* another scheduler holds a higher epoch: exit */
    void (*broken)(void *self, const struct err *err); /* the store cannot take what we write: exit, the next start rebuilds */
};

struct link;

/* Connects in the background; link_recover is called by the host at once, link_attach when that has finished. NULL with err. */
struct link *link_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve, const struct link_port *port,
                      struct err *err);
void link_free(struct link *link); /* takes NULL */

int link_recover(struct link *link, const struct recover_port *port, struct err *err);

/* From now on the journal hears what the store says of this epoch; journal_begin was called. Borrows the journal. */
void link_attach(struct link *link, struct journal *journal, uint64_t epoch);
/* A journal_port's send_batch. */
int link_send(struct link *link, struct str frame);
/* Lines of logs for the store (a ship_port's ask): false while it is not there. */
bool link_ask_lines(struct link *link, const struct msg_log_lines *lines, bus_reply *reply, void *arg);

#endif
