/* The render farm's memory: tasks, and of each frame one byte that says what it is.
 *
 * A task is many frames, made lazily: one that waits is no run, and becomes one when a worker that fits wants it. So 10,000 frames cost
 * 10,000 bytes until they are given out. The run is one attempt: when it has ended, in whatever way, its frame is finished, has failed, or
 * waits again (end.c).
 *
 * Everything here is rebuilt from the tasks' records (which hold their frames' bytes) and from the runs that have not ended.
 * Invariants: counts are those of the bytes; a task is in its list while and only while it has a frame to give; a frame is RENDERING while
 * and only while a run of it has not ended.
 */
#ifndef GANTRY_SCHEDULER_FARMS_RENDER_H
#define GANTRY_SCHEDULER_FARMS_RENDER_H

#include "scheduler/core_state.h"
#include "scheduler/farms/farm.h"
#include "scheduler/farms/kept.h"

#define RENDER_TYPE "render" /* task type and executor of its runs */
#define RENDER_LEVELS 11     /* priorities */
#define RENDER_TESTS 200     /* of a task */
#define RENDER_HOSTS 32      /* that are remembered to fail, of a task */
#define RENDER_RESTS 3       /* frames that a host fails in a row before it rests for the task */

struct render_busy { /* a frame with a run that has not ended */
    uint64_t run_id;
    uint32_t place; /* of the frame in its task */
    struct render_busy *next;
};

struct render_host {    /* how a host fares with a task: not kept over a restart, where all begin anew */
    uint64_t worker_id; /* 0: the row is free */
    uint32_t failed;    /* frames in a row */
    uint64_t until;     /* mono: it rests; 0: it does not */
};

struct render_task {
    uint64_t id;
    struct heap_node due;          /* when its time is over (wall), while it has not ended */
    struct rec_render_task record; /* its texts are in `text`, frames empty */
    char *text;
    uint8_t *frames; /* enum render_frame_status + 8 * retries */
    uint32_t counts[6];
    uint32_t next; /* none before this one is pending */
    uint16_t tests[RENDER_TESTS];
    uint32_t test_count;
    struct render_busy *busy;
    struct render_host *hosts;            /* RENDER_HOSTS; NULL: none has failed */
    struct render_task *prev, *next_open; /* in its list, by id */
    bool listed;
    bool ending;   /* what of it still runs is to be aborted */
    uint32_t gone; /* frames whose records have been deleted, of one that is to be forgotten */
};

struct render_list {
    struct render_task *first, *last;
};

struct render_config {
    uint64_t attempts, tasks_max, frame_ms, rest_ms;
};

struct render {
    struct farm farm;
    struct render_config config;
    struct index tasks;
    struct render_list lists[RENDER_LEVELS]; /* with something to give, by priority */
    struct heap dues;
    uint32_t ending;                     /* tasks */
    struct kept_ids kept;                /* tasks that have ended */
    uint64_t frames_done, frames_failed; /* since the start */
};

/* ---- tasks (task.c) ---- */

struct render_task *render_find(const struct render *farm, uint64_t id);
/* One of this record, in no table, with room in all; NULL when out of memory. Its frames are as the record says, or all pending. */
struct render_task *render_make(struct render *farm, const struct rec_render_task *record);
void render_join(struct render *farm, struct render_task *task, uint64_t id);
void render_free(struct render_task *task); /* takes NULL */
int render_load(struct render *farm, const struct rec_render_task *record, struct err *err);

static inline enum render_frame_status render_state(const struct render_task *task, uint32_t place)
{
    return (enum render_frame_status)(task->frames[place] & 7);
}

static inline uint32_t render_retries(const struct render_task *task, uint32_t place)
{
    return task->frames[place] >> 3;
}

static inline uint64_t render_frame_id(const struct render_task *task, uint32_t place)
{
    return task->id << RENDER_FRAME_BITS | place;
}

/* Changes a frame; again: one more retry. The task's counts follow, its status not. */
void render_set(struct render_task *task, uint32_t place, enum render_frame_status state, bool again);
/* What its status and the test frames' are, after its frames changed: it may have ended. Its place in the lists follows. */
void render_judge(struct render *farm, const struct core *core, struct render_task *task);
/* It ends as that, with what is pending cancelled; what runs of it is aborted by render_tick. */
void render_finish(struct render *farm, const struct core *core, struct render_task *task, enum render_status status,
                   const char *error);
/* It goes on, after it had ended or not: its time begins anew. */
void render_reopen(struct render *farm, const struct core *core, struct render_task *task);
bool render_gives(const struct render_task *task);

size_t render_bytes(const struct render_task *task); /* a bound on its record, encoded */
void render_put(struct core *core, struct render_task *task);
bool render_is_test(const struct render_task *task, uint32_t place);
/* Where the frame of this number stands; false: it has none. */
bool render_place(const struct render_task *task, uint64_t number, uint32_t *place);

/* What is due: times that are over, runs to be aborted, tasks to be forgotten. */
uint64_t render_tick(void *self, struct core *core);

/* ---- who fits (fit.c) ---- */

struct render_offer { /* what a host has */
    struct str engines, plugins;
    uint64_t ram, gpus;
};

bool render_serves(const struct worker *worker);
void render_offer(const struct worker *worker, struct render_offer *offer);
bool render_fits(const struct core *core, const struct render_task *task, const struct render_offer *offer);
/* Why none of its frames is given out, into out; empty: nothing speaks against it. */
void render_reason(const struct render *farm, const struct core *core, const struct render_task *task, char *out, size_t size);
/* Whether this host rests for the task: others that fit do not. */
bool render_rests(const struct render_task *task, const struct core *core, const struct worker *worker);
/* Those who rest for it while others are there, RENDER_HOSTS at most; names are borrowed. */
uint32_t render_resting(const struct render_task *task, const struct core *core, struct rec_render_rest out[RENDER_HOSTS]);
void render_host_failed(const struct render *farm, const struct core *core, struct render_task *task, uint64_t worker_id);
void render_host_well(struct render_task *task, uint64_t worker_id);
/* Whether a worker that is here has more than so many GB, and fits otherwise. */
bool render_more_ram(const struct core *core, const struct render_task *task, uint64_t ram);

/* ---- given out (give.c), ended (end.c), asked about (command.c, live.c) ---- */

bool render_offers(const void *self);
enum farm_pull render_pull(void *self, struct core *core, struct worker *worker);
int64_t render_choose(void *self, const struct rec_worker *worker, const struct farm_run *run);
bool render_again(void *self, const struct core *core, const struct run *run);
void render_ended(void *self, struct core *core, const struct farm_run *view);
/* All is loaded: which runs are of which frames. -1 with err. */
int render_loaded(void *self, struct core *core, struct err *err);

core_handler render_on_create, render_on_act, render_on_live, render_on_fits, render_on_look;

struct render *render_of(const struct core *core); /* NULL: the core has no such farm */

#endif
