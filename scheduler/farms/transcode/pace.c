#include "scheduler/farms/transcode/pace.h"

#include <math.h>
#include <stdlib.h>

#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/video.h"

#define WEIGHT 8 /* an end counts as this part at least of what is known */

static unsigned size_of(uint64_t pixels)
{
    unsigned size = 0;
    while (pixels >>= 1)
        size++;
    return size;
}

/* Thousands of millions of pixels; 0: not known. */
static double work_of(const struct pace_film *film)
{
    double work = (double)film->pixels * film->fps * film->seconds / 1e9;
    return isfinite(work) && work > 0 ? work : 0;
}

static void pace_fill(struct transcode_pace *pace, const struct rec_transcode_pace *record)
{
    pace->record = *record;
    str_copy(pace->codec, sizeof pace->codec, str_cut(record->codec, sizeof pace->codec - 1));
    str_copy(pace->preset, sizeof pace->preset, str_cut(record->preset, sizeof pace->preset - 1));
    pace->record.codec = str_of(pace->codec);
    pace->record.preset = str_of(pace->preset);
}

/* All of them at once, as they refer to their own texts: they do not move. */
static int paces_reserve(struct transcode *farm)
{
    if (!farm->paces)
        farm->paces = calloc(PACES_MAX, sizeof *farm->paces);
    return farm->paces ? 0 : -1;
}

int pace_load(struct transcode *farm, const struct rec_transcode_pace *record, struct err *err)
{
    if (paces_reserve(farm))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (farm->pace_count < PACES_MAX)
        pace_fill(&farm->paces[farm->pace_count++], record);
    return 0;
}

/* ---- learned ---- */

static struct transcode_pace *pace_same(const struct transcode *farm, const struct rec_transcode_pace *like)
{
    for (uint32_t i = 0; i < farm->pace_count; i++) {
        const struct rec_transcode_pace *record = &farm->paces[i].record;
        if (record->worker_id == like->worker_id && record->encoder == like->encoder && record->pixels == like->pixels &&
            str_eq(record->codec, like->codec) && str_eq(record->preset, like->preset))
            return &farm->paces[i];
    }
    return NULL;
}

/* A place for a new one: the oldest's, when there are too many. */
static struct transcode_pace *pace_place(struct transcode *farm, struct core *core)
{
    if (farm->pace_count < PACES_MAX)
        return &farm->paces[farm->pace_count++];
    struct transcode_pace *oldest = farm->paces;
    for (uint32_t i = 1; i < farm->pace_count; i++)
        if (farm->paces[i].record.updated_at < oldest->record.updated_at)
            oldest = &farm->paces[i];
    journal_delete(core->journal, TYPE_TRANSCODE_PACE, oldest->record.id);
    return oldest;
}

void pace_learn(struct transcode *farm, struct core *core, const struct pace_film *film, uint64_t encoder, struct str preset,
                double took)
{
    double work = work_of(film);
    struct rec_transcode_pace like = {.worker_id = film->worker_id,
                                      .encoder = encoder,
                                      .codec = str_cut(film->codec, 64),
                                      .pixels = size_of(film->pixels),
                                      .preset = str_cut(preset, 32)};
    if (work <= 0 || !(took > 0) || !isfinite(took / work) || paces_reserve(farm))
        return;
    struct transcode_pace *pace = pace_same(farm, &like);
    if (!pace) {
        like.id = core_new_id(core, TYPE_TRANSCODE_PACE);
        pace = pace_place(farm, core);
        pace_fill(pace, &like);
    }
    struct rec_transcode_pace *record = &pace->record;
    record->count++;
    record->cost += (took / work - record->cost) / (double)(record->count < WEIGHT ? record->count : WEIGHT);
    record->updated_at = core->wall_ms;
    journal_put(core->journal, TYPE_TRANSCODE_PACE, record->id, record);
}

/* ---- told ---- */

/* How near this pace is to the film. A graphics card is ten times as fast as the processor beside it: the encoder says the most. */
static unsigned likeness(const struct rec_transcode_pace *record, const struct pace_film *film)
{
    return (str_is(film->encoder, encoder_name((unsigned)record->encoder)) ? 16u : 0) +
           (film->worker_id && record->worker_id == film->worker_id ? 8u : 0) + (str_eq(record->codec, film->codec) ? 4u : 0) +
           (film->preset.len && str_eq(record->preset, film->preset) ? 2u : 0) +
           (record->pixels == size_of(film->pixels) ? 1u : 0);
}

double pace_estimate(const struct transcode *farm, const struct pace_film *film)
{
    const struct rec_transcode_pace *best = NULL;
    unsigned most = 0;
    for (uint32_t i = 0; i < farm->pace_count; i++) {
        const struct rec_transcode_pace *record = &farm->paces[i].record;
        unsigned like = likeness(record, film);
        if (best && (like < most || (like == most && record->updated_at <= best->updated_at)))
            continue;
        best = record;
        most = like;
    }
    return best ? best->cost * work_of(film) : 0;
}

void transcode_on_estimate(struct core *core, const struct core_call *call)
{
    const struct uint_list *ids = &call->msg->u.transcode_estimate.video_ids;
    const struct transcode *farm = transcode_of(core);
    struct rec_transcode_estimate *rows = arena_alloc(core->arena, ids->count * sizeof *rows);
    struct msg_transcode_estimates answer = {.videos = {rows, 0}};
    struct fault fault;
    if (!rows) {
        fault_memory(&fault);
        core_refuse(core, call, &fault);
        return;
    }
    for (uint32_t i = 0; i < ids->count; i++) {
        const struct video *video = video_find(farm, ids->items[i]);
        if (!video)
            continue;
        const struct rec_video *record = &video->record;
        double seconds = pace_estimate(farm, &(struct pace_film){.codec = record->codec,
                                                                 .pixels = record->pixels,
                                                                 .fps = record->fps,
                                                                 .seconds = (double)record->duration_ms / 1000});
        if (seconds > 0 && seconds < 1e12)
            rows[answer.videos.count++] = (struct rec_transcode_estimate){.id = record->id, .seconds = (uint64_t)(seconds + 0.5)};
    }
    journal_send_now(core->journal, &call->from, &shape_msg_transcode_estimates, &answer);
}
