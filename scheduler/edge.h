/* Edges between tasks: who waits for whom, on which condition, and how that stands.
 *
 * Each task has an edge for every task it waits for, and each of those knows its dependents. An edge knows whether its condition is
 * met, and a task counts its edges by that, so that the end of a run costs a step for each dependent and a waiting run is judged at once,
 * however many tasks it waits for. Nothing here recurses; a walk of the graph marks the tasks it has seen.
 */
#ifndef GANTRY_SCHEDULER_EDGE_H
#define GANTRY_SCHEDULER_EDGE_H

#include "proto/depends.h"
#include "scheduler/core_state.h"

struct task_rules;

#define EDGES_MAX 1000 /* of one task: rec_task_spec.dependencies */

enum edge_when {               /* how the run of a dependency must end: depends_words from 1 on. Numbers are on disk */
                 WHEN_DEFAULT, /* as metadata.dependency_condition says */
                 WHEN_SUCCESS,
                 WHEN_FAILURE, /* without success: it has failed for good, or was aborted */
                 WHEN_ANY,
                 WHEN_COUNT
};

enum depend_state { DEPEND_MET, DEPEND_WAITS, DEPEND_FAILED, DEPEND_STATES };

struct edge {
    struct task *on; /* NULL: it was deleted, and holds nobody */
    uint32_t place;  /* in on->dependents */
    uint8_t state;   /* enum depend_state */
};

struct dependent {
    struct task *task;
    uint32_t edge; /* of its edges */
};

struct visit {       /* of a task in the newest walk that came by */
    uint64_t number; /* that walk's: core->visits */
    struct task *from, *next;
    uint32_t place;
};

/* ---- rules ---- */

/* Finds what a spec waits for: each task once, with its condition. One that was deleted may stay, by its id. -1 with fault: unknown, a
 * wrong condition, or a cycle, named by its path. rules->when and ->on_failure are set already. */
int edge_resolve(struct core *core, const struct rec_task_spec *spec, const struct task *self, struct task_rules *rules,
                 struct fault *fault);
/* In a spec as it is stored, the names of now (proto/depends.h). -1 when out of memory. */
int edge_show(struct core *core, const struct task_rules *rules, struct rec_task_spec *spec);
/* As stored. */
int edge_load(struct task_rules *rules, const struct uint_list *ids, const struct uint_list *whens, struct fault *fault);
void edge_clear(struct task_rules *rules);
/* Bytes of memory that they take, about. */
size_t edge_bytes(const struct task_rules *rules);
/* How the run of the index-th dependency must end; never WHEN_DEFAULT. */
enum edge_when edge_when(const struct task_rules *rules, uint32_t index);
/* How that edge stands by what is known of the task it leads to. Edges keep it. */
enum depend_state edge_judge(const struct task_rules *rules, uint32_t index);

/* ---- between tasks ---- */

/* Room with all that the rules wait for; -1 when out of memory. */
int edge_reserve(struct core *core, const struct task_rules *rules);
void edge_join(struct core *core, struct task *task); /* room has been reserved, unless nothing of it is found */
void edge_leave(struct task *task);                   /* it waits for nobody any more */
void edge_orphan(struct task *task);                  /* nobody waits for it any more */
/* Its newest run began, or ended: what its dependents' edges say of it. */
void edge_tell(struct task *task);

/* The first edge in this state; NULL if there is none. */
const struct edge *edge_first(const struct task *task, enum depend_state state);
/* Whether every dependency has ended as it must since the task's own newest run was made or started. */
bool edge_ended_all(struct task *task);

#endif
