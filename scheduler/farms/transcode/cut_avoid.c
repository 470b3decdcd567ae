/* A segment that failed on a worker goes to another one: what failed it may be the worker's own, as a full disk or a card that is broken. */
#include <string.h>

#include "scheduler/farms/transcode/cut.h"
#include "scheduler/kind.h"
#include "scheduler/worker.h"

/* As long as that others are waited for. One that is busy now may be for hours, at a video that is encoded whole, and all that is done of
 * this one would wait for it, with a worker that has nothing to do; what had filled a disk is often over by then. */
#define PATIENCE_MS 600000

static uint64_t *avoided_of(const struct transcode_cut *cut, uint32_t segment)
{
    return cut->avoided + (size_t)segment * CUT_AVOIDED;
}

static bool has_failed(const struct transcode_cut *cut, uint32_t segment, uint64_t worker_id)
{
    const uint64_t *failed = avoided_of(cut, segment);
    for (unsigned i = 0; i < CUT_AVOIDED; i++)
        if (failed[i] == worker_id)
            return true;
    return false;
}

void cut_avoid(struct transcode_cut *cut, const struct core *core, uint32_t segment, uint64_t worker_id)
{
    uint64_t *failed = avoided_of(cut, segment);
    cut->failed_at[segment] = core->mono_ms;
    if (!worker_id || has_failed(cut, segment, worker_id))
        return;
    memmove(failed + 1, failed, (CUT_AVOIDED - 1) * sizeof *failed);
    failed[0] = worker_id;
}

/* It may have no room now: it gets the segment before any further video. */
static bool is_here(const struct transcode_cut *cut, const struct worker *worker)
{
    return worker->bound && worker->kind && worker->place != PLACE_NONE &&
           text_list_has(worker->types, worker->type_count, STR_LIT(TRANSCODE_TYPE)) && cut_takes(cut, worker->kind->labels);
}

bool cut_avoids(const struct transcode_cut *cut, const struct core *core, uint32_t segment, const struct worker *worker)
{
    if (!has_failed(cut, segment, worker->id) || core->mono_ms - cut->failed_at[segment] >= PATIENCE_MS)
        return false;
    for (const struct worker *other = core->first_worker; other; other = other->next)
        if (!has_failed(cut, segment, other->id) && is_here(cut, other))
            return true;
    return false;
}
