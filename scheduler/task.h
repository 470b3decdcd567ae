/* A task in memory: its stored spec as bytes, and what scheduling needs of it at hand. */
#ifndef GANTRY_SCHEDULER_TASK_H
#define GANTRY_SCHEDULER_TASK_H

#include "scheduler/edge.h"

struct cron;

enum { ON_FAILURE_FAIL, ON_FAILURE_WAIT, ON_FAILURE_IGNORE };
enum { CATCHUP_ONE, CATCHUP_ALL, CATCHUP_NONE };
enum { OVERLAP_ALLOW, OVERLAP_FORBID, OVERLAP_REPLACE };

#define TASK_SPEC_BYTES (384u << 10) /* of a stored spec, encoded */

struct task_rules {    /* what a spec comes to; made by task_check */
    struct text *spec; /* encoded rec_task_spec with every field present */
    struct text *name;
    struct queue_class *class;
    struct cron *cron;
    uint64_t spread;    /* of a schedule with ~; 0: it never had one */
    uint64_t *deps;     /* ids of the tasks it waits for, each once */
    uint64_t *whens;    /* enum edge_when of each, in the same block; NULL: all are as `when` */
    struct edge *edges; /* of each */
    uint32_t dep_count;
    uint32_t timeout_seconds;
    uint32_t rate; /* starts a minute; 0: any number */
    uint8_t priority, retry_count, on_failure, catchup, overlap;
    uint64_t keep_runs; /* ended ones that are kept, by metadata.keep_runs; 0: all */
    uint8_t when;       /* enum edge_when, not WHEN_DEFAULT */
    uint64_t *notify;   /* webhooks that are told of its failed runs, then those of its completed ones; NULL: none */
    uint8_t notify_failed, notify_completed;
    const struct farm *farm;
};

struct task {
    struct heap_node due; /* id; in core->schedules by stat.next_run_at */
    struct str key;       /* its name, for the index */
    struct task_rules rules;
    struct gate *gate; /* NULL: it never had a rate */
    struct rec_task_stat stat;
    uint64_t created_at, updated_at;
    uint8_t status;
    bool oneshot;
    struct dependent *dependents; /* edges of the tasks that wait for this one */
    uint32_t dependent_count, dependent_size;
    uint32_t edge_states[DEPEND_STATES]; /* its own edges, by enum depend_state */
    uint32_t ended;                      /* that many of them have ended as they must since event number … */
    uint64_t ended_since;
    uint8_t phase; /* what its dependents' edges have been told of it; see edge.c */
    struct visit visit;
    struct run *runs; /* not final ones, newest first */
    uint32_t live;    /* how many */
    uint32_t blocked, waiting;
    struct fire_skip *skipped; /* the newest of its ledger, while it can grow (fire.h); NULL: none, or not known */
    struct task *next, *prev;
    struct task *next_recheck, *prev_recheck;
    bool recheck;
};

static inline uint64_t task_id(const struct task *task)
{
    return task->due.id;
}

static inline struct uint_list task_deps(const struct task_rules *rules)
{
    return (struct uint_list){rules->deps, rules->dep_count};
}

static inline struct uint_list task_whens(const struct task_rules *rules)
{
    return (struct uint_list){rules->whens, rules->whens ? rules->dep_count : 0};
}

struct task *task_find(const struct core *core, uint64_t id);
struct task *task_find_name(const struct core *core, struct str name);

/* What rules hold of memory, as core->carried counts it. */
size_t task_rules_bytes(const struct task_rules *rules);
/* Makes a task that is in no table; takes the rules (emptied) on success. NULL when out of memory. */
struct task *task_new(struct core *core, struct task_rules *rules);
/* Into every table. id 0: a new one. */
void task_join(struct core *core, struct task *task, uint64_t id);
/* Out of every table and freed, with the runs it has. */
void task_leave(struct core *core, struct task *task);
void task_free(struct core *core, struct task *task); /* takes NULL */
void task_rules_clear(struct core *core, struct task_rules *rules);
/* Room for the task in the tables, and with the tasks that its dependencies name; -1 when out of memory. */
int task_join_reserve(struct core *core, const struct task_rules *rules);
/* Other rules for the same task; reserve first. Takes rules. */
void task_replace(struct core *core, struct task *task, struct task_rules *rules);
/* Room for its waiting runs in another class. */
int task_replace_reserve(struct core *core, struct task *task, const struct task_rules *rules);

/* Its record; the spec is decoded into the core's arena. -1 when out of memory. */
int task_record(struct core *core, const struct task *task, struct rec_task *record);
size_t task_bytes(const struct task *task); /* a bound on its record, encoded */
int task_load(struct core *core, const struct rec_task *record, struct err *err);
/* When tasks and statistics are loaded, and no run yet: how they wait for each other, and when they are due. -1 when out of memory. */
int task_loaded(struct core *core);

/* Statuses a final run leads to: what its task's status is then. */
uint8_t task_status_after(const struct task *task, const struct run *run, uint64_t run_status);
/* What a paused task is once it may go on; with its schedule's next due time in stat. */
uint8_t task_status_resumed(const struct task *task);
void task_stat_put(struct core *core, const struct task *task);
/* Of its ended runs the oldest go, beyond the number that it keeps. */
void task_keep_runs(struct core *core, const struct task *task);
#define TASK_KEEP_BYTES 64
#define TASK_STAT_BYTES 256
/* Sets when its schedule is due next, in statistics and timers. */
void task_arm(struct core *core, struct task *task);

/* ---- validation (task_check.c) ---- */

/* One of the executors that the farm's own workers bring. */
bool task_executor_known(struct str executor);

/* Lays the fields present in patch over spec. */
void task_spec_merge(struct rec_task_spec *spec, const struct rec_task_spec *patch);
/* Every field present: defaults for what is absent. */
void task_spec_defaults(struct rec_task_spec *spec);
/* Checks a whole spec and makes rules of it; self: the task being updated, or NULL. changed: `has` bits of what the client
 * gave (an old schedule that has passed stays acceptable). -1 with fault; rules is then empty. */
int task_check(struct core *core, const struct rec_task_spec *spec, const struct task *self, uint64_t changed,
               struct task_rules *rules, struct fault *fault);
/* The same of a stored record, without the checks that it has passed already. */
int task_rules_of(struct core *core, const struct rec_task *record, struct task_rules *rules, struct fault *fault);

/* ---- tasks that are no longer kept (oneshots that ended) ---- */

/* The task of a command, by id; brought back from `known` when it is not in memory. NULL with fault. */
struct task *task_get(struct core *core, uint64_t id, const struct rec_task *known, const struct rec_task_stat *known_stat,
                      struct fault *fault);
/* Forgets an ended oneshot that nothing refers to any more. */
void task_let_go(struct core *core, struct task *task);
/* It left memory with its last change at updated_at (UINT64_MAX: deleted): older records of it do not bring it back. */
void task_gone(struct core *core, uint64_t id, uint64_t updated_at);

core_handler task_on_create, task_on_update, task_on_delete, task_on_pause;

#endif
