/* A run that is not final: its state, its record. What states there are and what may happen in each is the table in run.c. */
#ifndef GANTRY_SCHEDULER_RUN_H
#define GANTRY_SCHEDULER_RUN_H

#include "scheduler/core_state.h"

enum run_state {
    STATE_NONE,
    STATE_BLOCKED,    /* waits for other tasks */
    STATE_HELD,       /* its task is paused */
    STATE_DELAYED,    /* not due yet */
    STATE_QUEUED,     /* may start */
    STATE_ASSIGNED,   /* given to a worker that has not said yes */
    STATE_ACCEPTED,   /* the worker's */
    STATE_PUBLISHING, /* its output may be given its name at any moment */
    STATE_FINAL,      /* leaves memory */
    STATE_COUNT,
    STATE_WAITING = STATE_COUNT /* in the table: whichever of the first four is true */
};

enum run_change {
    CHANGE_PLACE, /* look again why it waits */
    CHANGE_ASSIGN,
    CHANGE_ACCEPT,
    CHANGE_GRANT,  /* publishing */
    CHANGE_RETURN, /* goes back unstarted, or its worker leaves in order */
    CHANGE_LOSE,   /* the lease is lost, another attempt follows */
    CHANGE_RETRY,  /* the attempt failed, another follows */
    CHANGE_COMPLETE,
    CHANGE_FAIL, /* for good */
    CHANGE_ABORT,
    CHANGE_FORGET, /* its task was deleted */
    CHANGE_COUNT
};

#define RUN_ATTEMPTS_MAX (1u << 20)
#define RUN_ID_MAX (UINT64_C(1) << 43) /* so that (run, attempt) fits in one number */
#define RUN_HISTORY_MAX 128

struct run_more { /* what only some runs have */
    struct text *farm_data;
    struct text *spec;              /* of a farm's run without a task: an encoded rec_task_spec */
    struct text *error;             /* of the newest attempt that failed */
    struct text *hostname;          /* of the newest attempt's worker */
    struct text *path, *temporary;  /* of what is published */
    struct rec_published published; /* attempt 0: none; borrows from these and hash */
    unsigned char hash[32];
    uint64_t restart_of, started_at;
    struct rec_attempt *attempts; /* their texts are owned: see run_attempt_clear */
    uint32_t attempt_count, attempt_size;
};

struct run {
    struct heap_node node;   /* id; in its class's queue by rank, or in core->delays by due time */
    struct task *task;       /* NULL: a farm's run without one */
    struct run *next, *prev; /* of the same task */
    struct queue_class *class;
    struct lease *lease;     /* the current one */
    struct text *name;       /* its task's, as at its creation */
    struct text *parameters; /* or NULL */
    struct run_more *more;
    uint64_t created_at, due_at;
    uint32_t timeout_seconds;
    uint32_t attempt, losses;
    uint8_t retries, retry_count;
    uint8_t priority;
    uint8_t state;
};

/* The table: what state follows; STATE_NONE when that cannot happen. */
enum run_state run_next(enum run_state state, enum run_change change);
const char *run_state_name(unsigned state);
const char *run_change_name(unsigned change);
static inline bool run_waits(const struct run *run)
{
    return run->state <= STATE_QUEUED;
}

struct run_plan {              /* a run to be made */
    struct task *task;         /* or NULL */
    struct queue_class *class; /* the run takes its own reference */
    struct text *name;         /* likewise */
    struct str parameters, farm_data, spec;
    uint64_t due_at, restart_of;
    uint32_t timeout_seconds;
    uint8_t priority, retry_count;
};

/* Lays over the plan what the trigger says. */
void run_plan_trigger(const struct core *core, struct run_plan *plan, const struct rec_trigger *trigger);
/* Makes a run with its room in every table, in state NONE and known to nobody; NULL when out of memory. */
struct run *run_new(struct core *core, const struct run_plan *plan);
void run_free(struct core *core, struct run *run); /* one that is in no table; takes NULL */
void run_link(struct core *core, struct run *run); /* into the tables, with the id it has, in state NONE */
/* Gives it an id (unless it has one), puts it into the tables and where it waits. Cannot fail. */
void run_join(struct core *core, struct run *run);
/* Into another class (room has been reserved), and if it waits, to where it waits now. */
void run_rehome(struct core *core, struct run *run, struct queue_class *class);
/* Out of every table, and freed. */
void run_leave(struct core *core, struct run *run);
struct run *run_find(const struct core *core, uint64_t id);

/* Moves it by the table: out of its queue, into the next. False, with nothing changed, when the table forbids it. */
bool run_move(struct core *core, struct run *run, enum run_change change);

/* The spec of a farm's run that has its own, decoded into the core's arena; *spec is NULL for others. -1 when out of memory. */
int run_own_spec(struct core *core, const struct run *run, struct rec_task_spec **spec);
/* Its record as it would be stored; borrows from the run and spec (see run_own_spec). */
void run_record(const struct run *run, const struct rec_task_spec *spec, struct rec_run *record);
/* What an answer to a command says of a run: without what it carries and its attempts, which are read from the store. A key keeps the
 * answer for a day, and a million of them must be read at a start. */
void run_brief(struct rec_run *record);
#define RUN_BRIEF_BYTES 1024             /* of a RUN_ANSWER about a run without an error, encoded */
size_t run_bytes(const struct run *run); /* a bound on its record, encoded */
void run_put(struct core *core, const struct rec_run *record);
/* The bytes a change of this run may append (record, task, statistics, events). */
size_t run_change_bytes(const struct run *run);
#define RUN_CHANGE_OPS 25
#define RUN_EVENT_BYTES 1024 /* of an event about a run, without its detail */

/* Room for one more attempt in its history; -1 when out of memory. */
int run_attempt_reserve(struct run *run, struct str worker_name);
struct rec_attempt *run_attempt_add(struct run *run); /* only worker_name is set; drops one when over RUN_HISTORY_MAX */
struct rec_attempt *run_attempt(const struct run *run, uint64_t number); /* NULL if not in its history */
int run_more_reserve(struct run *run);
/* Remembers the output a grant is for; -1 when out of memory, nothing changed. more has been reserved. */
int run_publish_set(struct run *run, const struct rec_published *published);

int run_load(struct core *core, const struct rec_run *record, struct err *err);

/* Makes a run, puts it into the tables and appends what that comes to. Room of run_create_bytes has been reserved. NULL when out
 * of memory, nothing changed. */
struct run *run_create(struct core *core, const struct run_plan *plan);
/* The second half of it, for a run made earlier. */
void run_announce(struct core *core, struct run *run, const struct rec_task_spec *spec);
size_t run_create_bytes(const struct task *task, struct str parameters);
#define RUN_CREATE_OPS 12

#endif
