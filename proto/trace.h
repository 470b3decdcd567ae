/* Watching the bus: every message a process sends or receives can be seen live by `gantry trace`.
 *
 * Each process offers a socket trace-<service>-<pid>.ipc in the farm's runtime folder; while nobody listens this costs nothing.
 */
#ifndef GANTRY_PROTO_TRACE_H
#define GANTRY_PROTO_TRACE_H

#include "proto/loop.h"
#include "proto/messages.h"

/* Opens the process's socket and watches (on the loop) whether somebody listens. */
int trace_init(struct loop *loop, const char *runtime_dir, const char *service, struct err *err);
void trace_close(void);
/* True while somebody listens. */
bool trace_on(void);
/* direction '<' received, '>' sent; link: "workers", "store", …; peer: hex of the routing id or empty. */
void trace_frame(char direction, const char *link, struct str peer, struct str frame);

/* A traced message on the wire: two frames, this header and the message. The printing side is in gateway/cli.
 * Who begins to watch is told by a header with this direction and an empty message that all messages from now on will come. */
#define TRACE_JOINED '='
struct trace_header {
    uint64_t wall_ms;
    char direction; /* '<', '>' or TRACE_JOINED */
    char service[16];
    char link[16];
    char peer[32]; /* hex; of TRACE_JOINED the process's pid in decimal */
};

#endif
