/* The queue: runs that may start, in classes of those that the same workers can take, each a heap by rank.
 *
 * rank = ready time - priority * lift: strict by priority, first come first served within one, and waiting lifts (no starvation).
 *
 * Nobody asks twice for what nobody can take: a class without a worker that has room is set aside until one has, and runs that their farm
 * wants for none of the workers with room are passed over until another has (or the same one has more). Rounds of a farm's runs
 * may take many wake-ups; a run that comes meanwhile is offered alone. A class of a full pool waits there (pool.h), runs beyond their
 * task's rate in its gate (gate.h).
 */
#ifndef GANTRY_SCHEDULER_QUEUE_H
#define GANTRY_SCHEDULER_QUEUE_H

#include "scheduler/core_state.h"

enum class_place { CLASS_EMPTY, CLASS_READY, CLASS_ASIDE, CLASS_BLOCKED };

struct queue_class {
    struct str key;                    /* type, executor, farm, pool and labels in one: what the index knows it by */
    struct text *text;                 /* its bytes */
    struct str type, executor, labels; /* inside text; labels as a map */
    const struct farm *farm;           /* NULL: none */
    struct pool *pool;                 /* NULL: none */
    struct heap queue;                 /* of runs */
    struct heap passed;                /* of runs that their farm wanted for nobody: only where a farm chooses */
    struct heap_node node;             /* in core->ready, or its pool's blocked, by the head's rank */
    enum class_place place;
    bool aside;                     /* something of it waits for a worker to have room: it counts in kind->aside */
    bool again;                     /* one has had since: what was passed over is offered once more, behind the rest */
    struct queue_class *next_tired; /* while a wake-up plans */
    uint32_t refs;                  /* tasks and runs */
    uint32_t runs;                  /* that may have to be queued here at once: what room is kept for */
    struct match *matches;          /* kinds of workers that can take what it holds */
};

/* The class of what this spec asks of a worker, made if need be; takes a reference for the caller. NULL when out of memory. */
struct queue_class *queue_class_get(struct core *core, const struct rec_task_spec *spec, const struct farm *farm);
void queue_class_keep(struct queue_class *class);
void queue_class_drop(struct core *core, struct queue_class *class); /* takes NULL */

/* A farm says which of its runs goes to which worker. */
bool queue_chooses(const struct queue_class *class);
/* Room for so many more runs in this class; -1 when out of memory. */
int queue_reserve(struct queue_class *class, uint32_t runs);
void queue_add(struct core *core, struct run *run); /* room has been reserved */
void queue_remove(struct core *core, struct run *run);
/* Dispatch: planned for a worker; back from a plan; given to it. In between nothing else happens to the run. */
void queue_plan(struct core *core, struct run *run);
void queue_unplan(struct core *core, struct run *run);
void queue_given(struct core *core, struct run *run);
/* For gates: into its class's heaps, out of them. */
void queue_enter(struct core *core, struct run *run);
void queue_leave(struct core *core, struct run *run);
/* The pool of this class is full: out of the way until it has a place. */
void queue_block(struct core *core, struct queue_class *class);
void queue_admit(struct core *core, struct pool *pool); /* the best of its classes, if it has a place */
void queue_wake(struct core *core);                     /* classes that kinds were woken for are looked at again */
/* Nobody can take what this class holds. */
void queue_set_aside(struct core *core, struct queue_class *class);
/* Their farm wants the first `count` runs of the heap (at most QUEUE_LOOK) for nobody. */
void queue_pass(struct core *core, struct queue_class *class, uint32_t count);
#define QUEUE_LOOK 64                 /* runs of a farm offered together: the better ones among them go first */
void queue_rerank(struct core *core); /* after the lift changed */

#endif
