/* How a domain (transcode, render, recorder, …) joins the core. The core calls these rows and knows nothing else of a farm.
 *
 * A farm decides what its runs are; queue, leases, retries, timeouts and records stay the core's. It lives in a folder below this one
 * and has a line in farms.def; without both the scheduler builds and works as before. What it keeps of its own changes as all does
 * here: prepared first, then changed together with the records (core_state.h), in the batch of its cause.
 */
#ifndef GANTRY_SCHEDULER_FARMS_FARM_H
#define GANTRY_SCHEDULER_FARMS_FARM_H

#include "scheduler/core.h"

/* What a farm sees of a run; borrowed for the call. */
struct farm_run {
    const struct rec_run *run;
};

struct needs;
struct settings;
struct stats;
struct run;
struct worker;

enum farm_pull {
    FARM_GAVE,  /* it has been given a run */
    FARM_FULL,  /* nothing for this worker now; another of its kind may be asked */
    FARM_NONE,  /* nothing for any of its kind */
    FARM_LATER, /* nobody can be given anything now */
};

struct farm_scan { /* records to be loaded, in the order of their ids */
    enum record_type type;
    bool first; /* only the oldest: the others are not kept in memory */
};

struct farm {
    const char *name; /* rec_run.farm of its runs; at most 32 bytes */

    /* Makes runs of a task of the farm's: calls farm_add_run for each. What the trigger says of a run (parameters, priority, time,
     * timeout) is laid over each of them. -1 with err: nothing is made. May be NULL. */
    int (*expand)(void *self, struct core *core, const struct rec_task *task, const struct rec_trigger *trigger, struct err *err);

    /* Among waiting runs of this farm, whether this worker should get this one: negative refuses it, else the higher score first.
     * NULL: queue order. Some dozen runs are offered together, fewer to thousands of workers with room, and so on behind those that
     * nobody is wanted for, up to a bound in each wake-up. What all have been refused for is offered again when a worker has room anew.
     */
    int64_t (*choose)(void *self, const struct rec_worker *worker, const struct farm_run *run);

    /* A run has become final (its record says how); called once, in the batch that makes it final. May be NULL. */
    void (*ended)(void *self, struct core *core, const struct farm_run *run);

    void *self;

    /* What `ended` appends at most; 0: as much as a farm may (many runs, which is a lot of room to make for each end). */
    size_t ended_bytes;
    uint32_t ended_ops;

    /* What follows is for farms with records and messages of their own, and runs made for a worker that wants one. All may be NULL. */

    /* Its settings, at the start and at a reload. */
    void (*configure)(void *self, const struct settings *settings);

    /* Rebuilding: which stored records it wants (type 0 ends them), one of them as stored, and that all is there, leases included. -1 with
     * err: the start fails. */
    const struct farm_scan *scans;
    int (*load)(void *self, struct core *core, enum record_type type, struct str value, struct err *err);
    int (*loaded)(void *self, struct core *core, struct err *err);

    /* Its own messages; the last has id 0. */
    const struct core_route *routes;

    /* Due work of its own; answers the ms until it wants to be called again. renew: its terms begin anew (core_renew_leases). */
    uint64_t (*tick)(void *self, struct core *core);
    void (*renew)(void *self, struct core *core);

    /* This worker has a session and room, and no run that waits is for it: makes one for it and gives it out (farm_make, dispatch_made).
     * Asked for each worker with room in every wake-up in which `offers` says that there is something to give; both go together. */
    bool (*offers)(const void *self);
    enum farm_pull (*pull)(void *self, struct core *core, struct worker *worker);

    /* An attempt of this run was lost or came back: whether another follows, as is usual (NULL: always), or the run has failed. */
    bool (*again)(void *self, const struct core *core, const struct run *run);

    /* What it knows this second of a run of its own, over what the core has put into the row; texts are in the core's arena. */
    void (*live)(void *self, struct core *core, const struct run *run, struct rec_live_run *row);

    /* Its own counts, for STATS (proto/stats.h). */
    void (*stats)(const void *self, struct stats *stats);

    /* Lines of a run of the farm's are being kept; for each of them there is room for FARM_LOGGED_OPS of its own, and FARM_LOGGED_BYTES
     * beside its text. */
    void (*logged)(void *self, struct core *core, const struct run *run, const struct rec_log_chunk *chunk);

    /* Which files of the blob store it still needs (needs.h). */
    void (*needs)(const void *self, struct needs *needs);

    /* This worker is forgotten; room for one deletion. */
    void (*forgot)(void *self, struct core *core, uint64_t worker_id);

    void (*close)(void *self); /* with the core */
};

#define FARM_LOGGED_OPS 3
#define FARM_LOGGED_BYTES 160

/* Adds one run to the batch being formed, from within expand or ended. spec says what a worker is to do. Answers its id, 0 with err. */
uint64_t farm_add_run(struct core *core, const struct farm *farm, uint64_t task_id, const struct rec_task_spec *spec,
                      struct str farm_data, struct err *err);

/* Makes one run without a task, with its room in every table and known to nobody: for dispatch_made, or farm_submit. NULL with err. */
struct run *farm_make(struct core *core, const struct farm *farm, const struct rec_task_spec *spec, struct str parameters,
                      struct err *err);
/* Such a run joins the queue: its record and its event are appended. Room of farm_run_bytes and FARM_RUN_OPS has been reserved. */
uint64_t farm_submit(struct core *core, struct run *run);
size_t farm_run_bytes(const struct run *run);
#define FARM_RUN_OPS 12

#endif
