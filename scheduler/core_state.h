/* What the files of the core share: its state, time, ids, answers. Nobody outside the core includes this.
 *
 * The shape of every change: prepare what can fail (memory, journal_reserve), then change memory and append records together.
 * So a refusal comes before anything changed (rule 4), and nothing is half done when memory or the store's queue is short.
 */
#ifndef GANTRY_SCHEDULER_CORE_STATE_H
#define GANTRY_SCHEDULER_CORE_STATE_H

#include "scheduler/core.h"
#include "scheduler/event.h"
#include "scheduler/heap.h"
#include "scheduler/index.h"
#include "scheduler/key.h"
#include "scheduler/measure.h"
#include "scheduler/text.h"

struct task;
struct run;
struct lease;
struct worker;
struct queue_class;
struct kind;
struct webhooks;
struct pool;
struct gate;

struct lease_list { /* by time of renewal: the first is the oldest */
    struct lease *first, *last;
};

#define RECENT_MAX 65536 /* results accepted lately that a worker may repeat */

struct recent { /* of a run that is final: the attempt that ended it, and how */
    uint64_t key;
    uint8_t outcome;
};

#define GONE_MAX 64 /* sessions remembered after they were replaced */

#define GONE_TASKS 4096 /* tasks that left memory lately: records read from the store may be older than that */

struct gone_task {
    uint64_t id;
    uint64_t updated_at; /* UINT64_MAX: it was deleted */
};

struct core {
    struct core_config config;
    struct core_clock clock;
    struct journal *journal;
    const struct farm *const *farms;
    struct keys *keys;
    uint64_t keys_due; /* mono: when old ones are let go next */
    struct events *events;
    struct webhooks *webhooks;
    struct arena *arena;       /* scratch of the call being handled */
    uint64_t wall_ms, mono_ms; /* of this call */
    uint64_t wall_high;        /* the latest wall time seen, or stored: the clock was set back when it is behind that */
    int64_t steady_ms;         /* from mono_ms to a wall clock that nobody sets: the age of keys, without the time between two
                                * schedulers, whose length only the wall clock knows */
    uint64_t next_id[TYPE_MAX];
    uint64_t oldest_event;         /* while loading */
    const struct rec_idem *idem;   /* of the command being handled */
    const struct rec_audit_by *by; /* who asks for it, for the audit log; NULL: it has no line there */

    struct index tasks, task_names;
    struct task *first_task, *last_task;
    uint64_t visits;                     /* walks over tasks so far: see edge.h */
    bool linked;                         /* while loading: task_loaded has been called */
    size_t standing;                     /* tasks that were not made for one run */
    size_t carried;                      /* bytes of parameters and specs, of runs and tasks */
    struct task *recheck, *last_recheck; /* whose dependencies changed, first come first: depend_work looks at them */
    struct gone_task *gone_tasks;        /* a ring of GONE_TASKS */
    uint32_t gone_task_at;

    struct index runs;
    size_t run_total;       /* with those made and not yet in the table */
    uint64_t states[8];     /* runs by enum run_state */
    uint64_t priorities[4]; /* runs that wait, by priority */
    struct heap delays;     /* of runs, by wall time */
    struct heap schedules;  /* of tasks, by wall time */
    uint8_t hindered;       /* enum fire_reason: what keeps due times waiting; 0: nothing */

    struct index pools; /* by name */
    size_t pool_count;  /* with a record */
    struct heap gates;  /* that runs wait in, by monotonic time */
    size_t gate_total;

    struct index classes;
    struct heap ready; /* classes with queued runs that may find a worker; the others with such are set aside */
    struct index kinds;
    struct kind *woken; /* whose workers have room for what was set aside */

    struct index leases;
    size_t lease_total;
    struct lease_list leaving, assigned, accepted;
    uint64_t old_term_ms, old_term_until; /* a lease's, while workers may not know yet that it has become shorter (mono) */
    struct heap backstops;                /* of leases, by monotonic time */
    struct recent *recent;                /* a ring of RECENT_MAX */
    struct index recent_index;
    uint32_t recent_at;

    struct index workers, worker_idents, worker_names, worker_peers;
    struct worker *first_worker, *last_worker; /* all, in the order of their ids */
    struct worker *quiet, *lively;             /* with a session, by when they were last heard: quiet is the oldest */
    struct bus_peer gone[GONE_MAX];            /* sessions that a newer boot replaced */
    uint32_t gone_at;
    struct heap offline;    /* workers, by when they were heard last */
    struct heap polls;      /* workers over REST that wait for runs, by when they stop (mono) */
    uint64_t turns;         /* grows with every assignment: fair spread */
    uint64_t rest_until;    /* when the next resting worker may be used again (mono); 0: none rests */
    struct index executors; /* of struct text: what some worker has announced */
    bool away;              /* the journal could not write at the last tick */
    struct measure measure;
    core_lines *lines; /* NULL: lines of workers' logs go nowhere */
    void *lines_self;

    struct run **farm_runs;                 /* gathered by farm_add_run while a farm's row is called */
    const struct rec_trigger *farm_trigger; /* that they are made for; NULL: none */
    uint32_t farm_count, farm_max;
    size_t farm_bytes;
};

static inline uint64_t core_steady(const struct core *core)
{
    return (uint64_t)((int64_t)core->mono_ms + core->steady_ms);
}

static inline uint64_t core_new_id(struct core *core, enum record_type type)
{
    return core->next_id[type]++;
}

/* ---- answers ---- */

struct fault {        /* why a command is refused; becomes an ERROR message */
    int code;         /* enum error_code */
    bool soon;        /* it may be over in a moment; see msg_error */
    const char *rule; /* a word of the catalogue, literal */
    char field[128];
    char value[256];
    char expected[512];
    char text[384];
};

int fault_memory(struct fault *fault); /* out of memory; answers -1 */

#define FAULT_FETCH "fetch" /* the rule of "not kept in memory: ask again with the stored record" */

/* Fills fault and answers -1. value and expected may be NULL. */
int fault_set(struct fault *fault, int code, const char *field, const char *rule, struct str value, const char *expected,
              const char *format, ...) __attribute__((format(printf, 7, 8)));

/* Room in the journal for `bytes` of records and an answer of at most `answer` bytes (kept with the key too). */
int core_reserve(struct core *core, size_t bytes, size_t answer, uint32_t ops, struct fault *fault);
/* Answers the call, and keeps the answer with the command's key. Room has been reserved. */
void core_answer(struct core *core, const struct core_call *call, const struct shape *shape, const void *value);
/* Answers with the fault; kept with the key unless it says "come back". Reserves for itself. */
void core_refuse(struct core *core, const struct core_call *call, const struct fault *fault);
/* Whether a command with this key is to be handled; core->idem is not set yet. If not it has been answered: with its first answer again,
 * which leaves behind the commit of its effect as the journal keeps order, or with a refusal. */
bool core_key_admits(struct core *core, const struct core_call *call, const struct rec_idem *idem);
void core_key_reused(struct core *core, const struct core_call *call); /* refuses it: its key is that of another */
/* Appends an event that happened now, and answers its id, which only grows. Room has been reserved. */
uint64_t core_event(struct core *core, struct rec_event *event);

#endif
