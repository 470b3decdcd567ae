/* The core's side of farms: calling their rows, and making the runs they add. */
#ifndef GANTRY_SCHEDULER_FARMS_FARM_HOST_H
#define GANTRY_SCHEDULER_FARMS_FARM_HOST_H

#include "scheduler/farms/farm.h"

#define FARM_RUNS_MAX 1000          /* one call of a row may add */
#define FARM_BYTES_MAX (4u << 20)   /* of their records */
#define FARM_SPEC_BYTES (64u << 10) /* of one run's spec, encoded */
#define FARM_DATA_BYTES (64u << 10) /* rec_run.farm_data */
#define FARM_ADD_OPS (FARM_RUNS_MAX * 2)

const struct farm *farm_find(const struct core *core, struct str name); /* NULL: none of that name */
/* Lets the task's farm make runs of it, as the trigger says; -1 with none of them made. On 0 they wait in core->farm_runs, behind those
 * that wait there already, for farm_commit. */
int farm_expand(struct core *core, const struct rec_task *task, const struct farm *farm, const struct rec_trigger *trigger,
                struct err *err);
/* Tells the farm that a run is final; what it adds waits for farm_commit. */
void farm_ended(struct core *core, const struct farm *farm, const struct rec_run *record);
/* The runs gathered join the core and the journal (room for FARM_BYTES_MAX and FARM_ADD_OPS is reserved). The first, or NULL. */
struct run *farm_commit(struct core *core);
void farm_discard(struct core *core);

/* Those that are built in: each is made with its memory, for one core; NULL when out of memory. */
#define FARMS_MAX 16
extern struct farm *(*const farm_makers[])(void);
extern const size_t farms_count; /* at most FARMS_MAX */

/* Rows of all farms, or of the run's own. */
int farm_load(struct core *core, enum record_type type, struct str value, struct err *err);
int farm_loaded(struct core *core, struct err *err);
const struct core_route *farm_route(const struct core *core, uint16_t id); /* NULL: none takes it */
uint64_t farm_tick(struct core *core);                                     /* UINT64_MAX: nothing is due */
void farm_renew(struct core *core);
void farm_forgot(struct core *core, uint64_t worker_id);
void farm_logged(struct core *core, const struct run *run, const struct rec_log_chunk *chunk);
bool farm_again(const struct core *core, const struct run *run);

#endif
