#include "scheduler/farms/transcode/saved.h"

#include "proto/stats.h"

static void total_put(struct transcode *farm, struct core *core)
{
    farm->total.id = 1;
    journal_put(core->journal, TYPE_TRANSCODE_TOTAL, 1, &farm->total);
}

void saved_accept(struct transcode *farm, struct core *core, struct video *video, uint64_t before, uint64_t after, bool replaced)
{
    int64_t saved = (int64_t)(before - after);
    if (video && !replaced)
        saved_undo(farm, core, &video->record);
    if (video)
        video->record.saved = saved;
    farm->total.saved += saved;
    farm->total.results++;
    total_put(farm, core);
}

void saved_undo(struct transcode *farm, struct core *core, struct rec_video *record)
{
    if (!record->saved)
        return;
    farm->total.saved -= record->saved;
    farm->total.results -= farm->total.results > 0;
    record->saved = 0;
    total_put(farm, core);
}

void transcode_stats(const void *self, struct stats *stats)
{
    const struct transcode *farm = self;
    stats_count(stats, "transcode_saved_bytes", farm->total.saved > 0 ? (uint64_t)farm->total.saved : 0);
    stats_count(stats, "transcode_results", farm->total.results);
}
