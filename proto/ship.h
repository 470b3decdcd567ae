/* Log lines on their way to the store: kept in bounded memory, sent once a second or when SHIP_BYTES have gathered, one message at a
 * time and SHIP_PAUSE_MS apart at the least. Soft: a crash loses what waits, and where there is no more room lines are dropped: of
 * debug and info those that come, so that warnings and errors find room when there is a flood of the others, and then the oldest. What
 * is lost is counted, and told as a line of its own.
 *
 * ship_put may be called from any thread, in the middle of anything: it only copies. Nothing here writes log lines.
 */
#ifndef GANTRY_PROTO_SHIP_H
#define GANTRY_PROTO_SHIP_H

#include "proto/bus.h"
#include "proto/log.h"

#define SHIP_BYTES ((size_t)64 << 10)  /* of one message, about */
#define SHIP_HOLDS ((size_t)256 << 10) /* bytes that wait at the most */
#define SHIP_TEXT 1024                 /* bytes of one line's text; what is longer is cut */
#define SHIP_DEADLINE_MS 60000         /* for the answer; then the message counts as lost */
#define SHIP_PAUSE_MS 250

struct ship;

struct ship_port {
    void *self;
    /* Asks where the lines go, and answers true; reply is called once, with LOG_TAKEN, another answer, or NULL. false: it cannot be
     * asked now, and will be tried again. */
    bool (*ask)(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg);
};

/* Called by the thread that runs the loop. NULL when out of memory. */
struct ship *ship_new(struct loop *loop);
void ship_free(struct ship *ship); /* takes NULL; nobody puts or replies any more */

/* Lines leave by this port from now on (copied; NULL: they wait). Where LOG_LINES was not understood, it is tried anew. */
void ship_attach(struct ship *ship, const struct ship_port *port);

/* Texts are copied, and cut where they are too long. */
void ship_put(struct ship *ship, const struct rec_log_entry *entry);
/* For log_on_line; self is the ship. */
void ship_keep(void *self, const struct log_said *said);
/* Lines that others have dropped on their way here. */
void ship_missed(struct ship *ship, uint64_t lines);

/* Sends what there is, without waiting; nothing while a message is under way. */
void ship_flush(struct ship *ship);

/* The last words, before the port closes: sends what there is behind a message that is under way, too. Nothing leaves after that. */
void ship_end(struct ship *ship);

#endif
