/* A call about many runs, on its way; see scheduler_bulk.c. */
#ifndef GANTRY_GATEWAY_SURFACES_SCHEDULER_BULK_H
#define GANTRY_GATEWAY_SURFACES_SCHEDULER_BULK_H

#include "gateway/surfaces/scheduler.h"

#define BULK_MOST 1000 /* runs of a call */

enum bulk_op { BULK_RESTART = 1, BULK_ABORT };

struct bulk { /* request->own */
    enum bulk_op op;
    struct rec_idem idem;
    struct str reason;
    bool found; /* ids are known */
    bool more;
    uint64_t *ids;
    uint32_t count, at, part; /* the part that is being done is ids[at..at + part] */
    uint32_t part_most;
    struct rec_bulk_result *results; /* of ids[..at] */
    struct str task, stat;           /* encoded, in room: those of ids[at], which goes alone */
    char *room;                      /* see records_keep */
    size_t room_size;
    bool alone; /* so does each run from the first on whose task was asked for: mostly they are alike */
};

/* Reads the body: bulk->ids, each once and in order, or the conditions of a query that finds them (at most four; its size is the limit).
 * -1 with problem. */
int bulk_read(struct request *request, struct bulk *bulk, struct msg_query *query, struct problem *problem);

#endif
