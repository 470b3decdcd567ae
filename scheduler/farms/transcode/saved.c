#include "scheduler/farms/transcode/saved.h"

#include "proto/stats.h"

static void total_put(struct transcode *farm, struct core *core)
{
    farm->total.id = 1;
    journal_put(core->journal, TYPE_TRANSCODE_TOTAL, 1, &farm->total);
}

static bool take_back(struct transcode *farm, int64_t *part)
{
    if (!*part)
        return false;
    farm->total.saved -= *part;
    farm->total.results -= farm->total.results > 0;
    *part = 0;
    return true;
}

void saved_accept(struct transcode *farm, struct core *core, struct video *video, uint64_t before, uint64_t after, bool replaced)
{
    int64_t saved = (int64_t)(before - after);
    if (video && !replaced)
        take_back(farm, &video->record.saved);
    if (video)
        *(replaced ? &video->record.saved_in_place : &video->record.saved) = saved;
    farm->total.saved += saved;
    farm->total.results++;
    total_put(farm, core);
}

void saved_undo(struct transcode *farm, struct core *core, struct rec_video *record, bool in_place, bool first)
{
    bool well = take_back(farm, in_place ? &record->saved_in_place : &record->saved);
    if (!well && in_place && first) /* an earlier version of this program knew one part only */
        well = take_back(farm, &record->saved);
    if (well)
        total_put(farm, core);
}

void transcode_stats(const void *self, struct stats *stats)
{
    const struct transcode *farm = self;
    stats_count(stats, "transcode_saved_bytes", farm->total.saved > 0 ? (uint64_t)farm->total.saved : 0);
    stats_count(stats, "transcode_results", farm->total.results);
}
