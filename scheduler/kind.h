/* A kind of workers: those that serve the same types with the same executors and have the same labels.
 *
 * What may go where is a matter of kinds and classes (queue.h), however many workers and runs there are: a match says that the workers
 * of a kind can take the runs of a class. A farm has few kinds as long as its workers are alike; where each has a label of its own, a
 * kind is one worker.
 *
 * Invariants: every kind with a member or holder has a match with every class that it serves; `room` holds its workers in PLACE_ROOM.
 */
#ifndef GANTRY_SCHEDULER_KIND_H
#define GANTRY_SCHEDULER_KIND_H

#include "scheduler/core_state.h"

enum kind_place {              /* whether a worker can be given something now */
                  PLACE_NONE,  /* it is not here, or takes nothing new */
                  PLACE_BUSY,  /* it holds what it may, or does not ask for more */
                  PLACE_RESTS, /* it gave something back a moment ago */
                  PLACE_ROOM,
                  PLACE_COUNT
};

struct match {
    struct kind *kind;
    struct queue_class *class;
    struct match *next_kind, *prev_kind;   /* of the same class */
    struct match *next_class, *prev_class; /* of the same kind */
};

struct kind {
    struct str key;    /* all of it in one: what the index knows it by */
    struct text *text; /* its bytes */
    struct str *types, *executors, labels;
    uint32_t type_count, executor_count;
    bool asks; /* its workers work over REST */
    struct match *matches;
    struct heap room; /* of workers: the emptiest first, then who had its turn longest ago */
    uint32_t places[PLACE_COUNT];
    uint32_t refs;  /* members and holders */
    uint32_t aside; /* of its classes: aside, whole or in part */
    bool woken;     /* a worker has room for what was set aside: in core->woken */
    struct kind *next_woken;
};

/* The kind of a worker of this record, made if need be, with room for one more member; a reference for the caller. NULL when out of
 * memory. */
struct kind *kind_get(struct core *core, const struct rec_worker *record);
void kind_drop(struct core *core, struct kind *kind); /* takes NULL */
void kind_free(struct kind *kind);                    /* one that has no matches; takes NULL */

/* The worker is of this kind from now on; takes the reference. */
void kind_join(struct core *core, struct worker *worker, struct kind *kind);
void kind_leave(struct core *core, struct worker *worker);
/* After anything changed that says whether the worker has room. */
void kind_refresh(struct core *core, struct worker *worker);

bool kind_serves_type(const struct kind *kind, const struct queue_class *class);
/* One that names none has them all; over REST, its types and whatever is not one of the farm's own, which it alone knows the meaning of. */
bool kind_serves_executor(const struct kind *kind, const struct queue_class *class);

/* Matches a new class with all kinds; -1 when out of memory, with no match left. */
int kind_match_class(struct core *core, struct queue_class *class);
void kind_forget_class(struct queue_class *class);

#endif
