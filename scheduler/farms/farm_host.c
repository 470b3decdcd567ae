/* The core's side of farms.
 *
 * While a farm's row is called, the runs it adds are made but known to nobody; when the row has succeeded they join together, in the
 * same batch. So a farm that fails half way has made nothing.
 */
#include "scheduler/farms/farm_host.h"

#include <stdlib.h>

#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

const struct farm *farm_find(const struct core *core, struct str name)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (str_is(name, core->farms[i]->name))
            return core->farms[i];
    return NULL;
}

static int farm_room(struct core *core)
{
    if (core->farm_count < core->farm_max)
        return 0;
    uint32_t max = core->farm_max ? core->farm_max * 2 : 16;
    struct run **runs = realloc(core->farm_runs, max * sizeof(struct run *));
    if (!runs)
        return -1;
    core->farm_runs = runs;
    core->farm_max = max;
    return 0;
}

/* The run of a plan and of a spec that it carries; the plan's name and class are not set. NULL with err. */
static struct run *make(struct core *core, const struct farm *farm, struct run_plan *plan, const struct rec_task_spec *spec,
                        struct err *err)
{
    struct buf bytes = {.limit = FARM_SPEC_BYTES};
    struct run *run = NULL;
    if (plan->farm_data.len > FARM_DATA_BYTES) {
        err_set(err, ERR_LIMIT, "a run carries at most %u bytes for its farm", FARM_DATA_BYTES);
        goto error;
    }
    if (rec_encode_task_spec(&bytes, spec, err))
        goto error;
    plan->spec = buf_str(&bytes);
    plan->class = queue_class_get(core, spec, farm);
    plan->name = text_new(spec->name);
    run = plan->class && plan->name ? run_new(core, plan) : NULL;
    if (!run)
        err_set(err, ERR_NO_MEMORY, "out of memory");
error:
    queue_class_drop(core, plan->class);
    text_drop(plan->name);
    buf_free(&bytes);
    return run;
}

static struct run_plan plan_of(const struct rec_task_spec *spec)
{
    return (struct run_plan){.priority = (uint8_t)spec->priority,
                             .retry_count = (uint8_t)spec->retry_count,
                             .timeout_seconds = (uint32_t)spec->timeout_seconds};
}

uint64_t farm_add_run(struct core *core, const struct farm *farm, uint64_t task_id, const struct rec_task_spec *spec,
                      struct str farm_data, struct err *err)
{
    struct run_plan plan = plan_of(spec);
    const struct rec_trigger *trigger = core->farm_trigger;
    plan.farm_data = farm_data;
    if (trigger)
        run_plan_trigger(core, &plan, trigger);
    plan.task = task_id ? task_find(core, task_id) : NULL;
    if (task_id && !plan.task) {
        err_set(err, ERR_NOT_FOUND, "there is no task %llu", (unsigned long long)task_id);
        return 0;
    }
    struct run *run = make(core, farm, &plan, spec, err);
    if (!run)
        return 0;
    size_t size = run_create_bytes(plan.task, text_str(run->more->spec)) + plan.parameters.len + farm_data.len + spec->name.len;
    if (core->farm_count >= FARM_RUNS_MAX || core->farm_bytes + size > FARM_BYTES_MAX) {
        err_set(err, ERR_LIMIT, "a farm adds at most %u runs of %u bytes at once", FARM_RUNS_MAX, FARM_BYTES_MAX);
        goto error;
    }
    if (farm_room(core)) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    run->node.id = core_new_id(core, TYPE_RUN);
    core->farm_runs[core->farm_count++] = run;
    core->farm_bytes += size;
    return run->node.id;
error:
    run_free(core, run);
    return 0;
}

struct run *farm_make(struct core *core, const struct farm *farm, const struct rec_task_spec *spec, struct str parameters,
                      struct err *err)
{
    struct run_plan plan = plan_of(spec);
    plan.parameters = parameters;
    return make(core, farm, &plan, spec, err);
}

size_t farm_run_bytes(const struct run *run)
{
    return run_create_bytes(NULL, text_str(run->parameters)) + run_bytes(run);
}

uint64_t farm_submit(struct core *core, struct run *run)
{
    struct rec_task_spec *spec;
    run_join(core, run);
    if (run_own_spec(core, run, &spec) == 0)
        run_announce(core, run, spec);
    return run->node.id;
}

/* ---- rows that all farms have ---- */

int farm_load(struct core *core, enum record_type type, struct str value, struct err *err)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++) {
        const struct farm *farm = core->farms[i];
        for (const struct farm_scan *scan = farm->scans; scan && scan->type; scan++)
            if (scan->type == type)
                return farm->load(farm->self, core, type, value, err);
    }
    return err_set(err, ERR_INVALID, "records of type %d are not the scheduler's", (int)type);
}

int farm_loaded(struct core *core, struct err *err)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (core->farms[i]->loaded && core->farms[i]->loaded(core->farms[i]->self, core, err))
            return -1;
    return 0;
}

const struct core_route *farm_route(const struct core *core, uint16_t id)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        for (const struct core_route *route = core->farms[i]->routes; route && route->id; route++)
            if (route->id == id)
                return route;
    return NULL;
}

uint64_t farm_tick(struct core *core)
{
    uint64_t wait = UINT64_MAX;
    for (size_t i = 0; core->farms && core->farms[i]; i++) {
        uint64_t its = core->farms[i]->tick ? core->farms[i]->tick(core->farms[i]->self, core) : wait;
        wait = its < wait ? its : wait;
    }
    return wait;
}

void farm_renew(struct core *core)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (core->farms[i]->renew)
            core->farms[i]->renew(core->farms[i]->self, core);
}

void farm_forgot(struct core *core, uint64_t worker_id)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (core->farms[i]->forgot)
            core->farms[i]->forgot(core->farms[i]->self, core, worker_id);
}

void farm_logged(struct core *core, const struct run *run, const struct rec_log_chunk *chunk)
{
    const struct farm *farm = run->class->farm;
    if (farm && farm->logged)
        farm->logged(farm->self, core, run, chunk);
}

bool farm_again(const struct core *core, const struct run *run)
{
    const struct farm *farm = run->class->farm;
    return !farm || !farm->again || farm->again(farm->self, core, run);
}

/* Those behind the first `count` are not made after all; nobody has heard of their numbers, which are the newest. */
static void farm_cut(struct core *core, uint32_t count, size_t bytes)
{
    while (core->farm_count > count) {
        struct run *run = core->farm_runs[--core->farm_count];
        core->next_id[TYPE_RUN] = run->node.id;
        run_free(core, run);
    }
    core->farm_bytes = bytes;
}

void farm_discard(struct core *core)
{
    farm_cut(core, 0, 0);
}

int farm_expand(struct core *core, const struct rec_task *task, const struct farm *farm, const struct rec_trigger *trigger,
                struct err *err)
{
    uint32_t count = core->farm_count;
    size_t bytes = core->farm_bytes;
    core->farm_trigger = trigger;
    int result = farm->expand(farm->self, core, task, trigger, err);
    core->farm_trigger = NULL;
    if (result == 0 && core->farm_count > count)
        return 0;
    if (result == 0)
        err_set(err, ERR_INVALID, "the farm %s made no runs of the task", farm->name);
    farm_cut(core, count, bytes);
    return -1;
}

void farm_ended(struct core *core, const struct farm *farm, const struct rec_run *record)
{
    struct farm_run view = {record};
    farm->ended(farm->self, core, &view);
}

struct run *farm_commit(struct core *core)
{
    struct run *first = core->farm_count ? core->farm_runs[0] : NULL;
    for (uint32_t i = 0; i < core->farm_count; i++) {
        struct run *run = core->farm_runs[i];
        struct rec_task_spec *spec;
        run_join(core, run);
        if (run_own_spec(core, run, &spec) == 0)
            run_announce(core, run, spec);
    }
    core->farm_count = 0;
    core->farm_bytes = 0;
    return first;
}
