/* What the farm knows this second of a run: how far one is that waits for its segments, and how long any of them will take. */
#include <stdio.h>

#include "scheduler/farms/parameters.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/pace.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

/* As workers say it themselves. */
static void note_eta(struct core *core, struct rec_live_run *row, double seconds)
{
    char text[32];
    if (!(seconds >= 0 && seconds < 1e12))
        return;
    snprintf(text, sizeof text, "eta=%.0f", seconds);
    row->note = arena_str(core->arena, str_of(text));
}

static void live_cut(const struct transcode *farm, struct core *core, const struct transcode_cut *cut, struct rec_live_run *row)
{
    char text[128];
    uint32_t busy = 0;
    double share = cut_share(cut, core, true), unit = (double)cut->record.base_num / (double)cut->record.base_den;
    struct pace_film film = {.encoder = str_of(encoder_name((unsigned)cut->record.encoder)),
                             .preset = cut->record.preset,
                             .codec = cut->record.source_codec,
                             .pixels = cut->record.pixels,
                             .fps = cut->record.fps,
                             .seconds = (1 - share) * (double)cut->record.length * unit};
    for (uint32_t i = 0; i < cut_count(cut); i++) {
        const struct run *run = cut->runs[i] ? run_find(core, cut->runs[i]) : NULL;
        busy += run && run->lease;
        if (run && run->lease)
            film.worker_id = run->lease->worker->id;
    }
    snprintf(text, sizeof text, "waits for its segments: %u of %u are encoded, %u are being", cut_made(cut), cut_count(cut),
             busy);
    row->reason = arena_str(core->arena, str_of(text));
    row->progress = CUT_PERCENT * share;
    SET_HAS(row, rec_live_run, progress);
    double seconds = pace_estimate(farm, &film);
    if (seconds > 0)
        note_eta(core, row, seconds / (double)(busy ? busy : 1));
}

/* Its worker has said nothing yet. Those of the API say themselves what they think, or nothing. */
static void live_begun(const struct transcode *farm, struct core *core, const struct run *run, struct rec_live_run *row)
{
    struct str parameters = text_str(run->parameters);
    struct pace_film film = {.worker_id = run->lease->worker->id,
                             .pixels = map_number(parameters, "width") * map_number(parameters, "height"),
                             .fps = parameters_number_real(parameters, "fps"),
                             .seconds = (double)map_number(parameters, "duration_ms") / 1000};
    if (!map_text(parameters, STR_LIT("codec"), &film.codec))
        film.codec = (struct str){0};
    if (!map_text(parameters, STR_LIT("encoder"), &film.encoder))
        film.encoder = (struct str){0};
    double seconds = pace_estimate(farm, &film), since = run->more && run->more->started_at ? (double)run->more->started_at : 0;
    double gone = since > 0 && (double)core->wall_ms > since ? ((double)core->wall_ms - since) / 1000 : 0;
    if (seconds > 0)
        note_eta(core, row, seconds > gone ? seconds - gone : 0);
}

void transcode_live(void *self, struct core *core, const struct run *run, struct rec_live_run *row)
{
    const struct transcode *farm = self;
    const struct transcode_cut *cut = cut_find(farm, run->node.id);
    if (cut && !run->lease)
        live_cut(farm, core, cut, row);
    else if (!cut && run->lease && !run->lease->worker->asks && !row->note.len && !(run->lease->progress > 0) &&
             str_is(run->class->executor, TRANSCODE_TYPE))
        live_begun(farm, core, run, row);
}
