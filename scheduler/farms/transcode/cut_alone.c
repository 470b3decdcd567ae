/* Whether anybody is there who can go on with a video in segments: what a worker has in common with others changes with its ffmpeg, its settings
 * and the mark in its folder, and such a video would wait for ever. */
#include <stdio.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

#define LOOK_MS 10000      /* between two looks: all kinds of workers are gone through */
#define PATIENCE_MS 300000 /* a worker that is started anew, with its machine, is back by then */
#define CLEAR_MS UINT64_C(604800000)

static struct str folder_word(struct str joins)
{
    const char *end = joins.len ? memchr(joins.ptr, ' ', joins.len) : NULL;
    return end ? (struct str){joins.ptr, (uint32_t)(end - joins.ptr)} : joins;
}

bool cut_reaches(const struct transcode_cut *cut, struct str labels)
{
    struct str joins, folder = folder_word(cut->record.joins);
    return folder.len && map_text(labels, STR_LIT(CUT_JOINS), &joins) && str_eq(folder_word(joins), folder);
}

static bool takes_work(const struct kind *kind)
{
    return kind->places[PLACE_BUSY] + kind->places[PLACE_RESTS] + kind->places[PLACE_ROOM] > 0;
}

/* No worker with a session goes with this cut, though some transcode; of one that is over: none has its folder. Whoever rests by its hours, or
 * drains, still goes with it. */
static bool is_alone(const struct core *core, const struct transcode_cut *cut)
{
    bool others = cut->record.over;
    struct str encoders;
    for (size_t i = 0; i < core->kinds.size; i++) {
        const struct kind *kind = core->kinds.slots[i];
        if (!kind || kind->asks || (!takes_work(kind) && !kind->places[PLACE_NONE]))
            continue;
        if (cut->record.over ? cut_reaches(cut, kind->labels) : cut_shares(cut, kind->labels))
            return false;
        others = others || (takes_work(kind) && map_text(kind->labels, STR_LIT("transcode.encoders"), &encoders) && encoders.len);
    }
    return others;
}

static bool is_held(const struct core *core, uint64_t run_id)
{
    const struct run *run = run_id ? run_find(core, run_id) : NULL;
    return run && run->lease;
}

static bool is_active(const struct core *core, const struct transcode_cut *cut)
{
    bool active = is_held(core, cut->id) || is_held(core, cut->record.clear);
    for (uint32_t i = 0; !active && i < cut_count(cut); i++)
        active = is_held(core, cut->runs[i]);
    return active;
}

/* The run that removes its files has nobody to take it. False: it does not end now. */
static bool clear_end(struct core *core, const struct transcode_cut *cut)
{
    struct fault fault;
    struct run *run = run_find(core, cut->record.clear);
    struct ending ending = {
        .outcome = OUTCOME_FAILED, .error = STR_LIT("no worker that has their folder came for 7 days"), .final = true};
    if (!run || core->wall_ms < run->created_at + CLEAR_MS)
        return true;
    return retry_end(core, run, &ending, &fault) == 0;
}

bool cut_watch(struct core *core, struct transcode_cut *cut)
{
    if (core->mono_ms < cut->watch_due)
        return true;
    cut->watch_due = core->mono_ms + LOOK_MS;
    if (is_active(core, cut) || !is_alone(core, cut)) {
        cut->alone_since = 0;
        return true;
    }
    if (!cut->alone_since)
        cut->alone_since = core->mono_ms;
    if (core->mono_ms - cut->alone_since < PATIENCE_MS)
        return true;
    if (cut->record.over)
        return clear_end(core, cut);
    if (!cut->record.error.len) {
        snprintf(cut->error, sizeof cut->error, "no worker that could join its segments is there any more");
        cut->record.error = str_of(cut->error);
        log_warn("GTY-TRANSCODE-CUT-ALONE", "task=%llu: no worker has the label " CUT_JOINS "=%.*s of its segments any more",
                 (unsigned long long)cut->id, (int)cut->record.joins.len, cut->record.joins.len ? cut->record.joins.ptr : "");
    }
    return true;
}

void cuts_renew(struct transcode *farm)
{
    for (struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next)
        cut->alone_since = 0;
}

uint64_t cuts_watch_wait(const struct transcode *farm)
{
    return farm->first_cut ? LOOK_MS : UINT64_MAX;
}
