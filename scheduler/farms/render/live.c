/* What is true of tasks this second. */
#include "scheduler/farms/render/render.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define REASON_BYTES 256

/* Frames' worth of what its running frames have done. */
static double partial_of(const struct core *core, const struct render_task *task)
{
    double sum = 0;
    for (const struct render_busy *busy = task->busy; busy; busy = busy->next) {
        const struct run *run = run_find(core, busy->run_id);
        double progress = run && run->lease ? run->lease->progress : 0;
        sum += progress > 0 ? (progress < 100 ? progress : 100) / 100 : 0;
    }
    return sum;
}

void render_on_live(struct core *core, const struct core_call *call)
{
    const struct uint_list *ids = &call->msg->u.render_live.ids;
    const struct render *farm = render_of(core);
    struct rec_render_live *rows = arena_alloc(core->arena, ids->count * sizeof *rows);
    struct msg_render_live_rows live = {.tasks = {rows, 0}};
    struct fault fault;
    for (uint32_t i = 0; rows && i < ids->count; i++) {
        const struct render_task *task = render_find(farm, ids->items[i]);
        char reason[REASON_BYTES];
        if (!task || render_status_final(task->record.status))
            continue;
        struct rec_render_rest *resting = task->hosts ? arena_alloc(core->arena, RENDER_HOSTS * sizeof *resting) : NULL;
        render_reason(farm, core, task, reason, sizeof reason);
        rows[live.tasks.count++] =
            (struct rec_render_live){.id = task->id,
                                     .partial = partial_of(core, task),
                                     .reason = arena_str(core->arena, str_of(reason)),
                                     .resting = {resting, resting ? render_resting(task, core, resting) : 0}};
    }
    if (!rows) {
        fault_memory(&fault);
        core_refuse(core, call, &fault);
        return;
    }
    journal_send_now(core->journal, &call->from, &shape_msg_render_live_rows, &live);
}

static bool somebody_has(const struct core *core, uint64_t ram, uint64_t gpus)
{
    for (const struct worker *worker = core->first_worker; worker; worker = worker->next) {
        struct render_offer offer;
        if (!render_serves(worker))
            continue;
        render_offer(worker, &offer);
        if (offer.ram >= ram && offer.gpus >= gpus)
            return true;
    }
    return false;
}

void render_on_fits(struct core *core, const struct core_call *call)
{
    const struct msg_render_fits *asked = &call->msg->u.render_fits;
    uint64_t fits[64];
    struct msg_render_fitting answer = {.fits = {fits, 0}};
    for (uint32_t i = 0; i < asked->rams.count && i < asked->gpus.count; i++)
        fits[answer.fits.count++] = somebody_has(core, asked->rams.items[i], asked->gpus.items[i]);
    journal_send_now(core->journal, &call->from, &shape_msg_render_fitting, &answer);
}
