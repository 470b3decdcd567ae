/* Videos that are encoded in segments: in memory, as records. */
#include "scheduler/farms/transcode/cut.h"

#include <stdlib.h>

#include "scheduler/lease.h"
#include "scheduler/run.h"

struct transcode_cut *cut_find(const struct transcode *farm, uint64_t task_id)
{
    return index_id(&farm->cuts, task_id);
}

void cut_free(struct transcode_cut *cut)
{
    if (!cut)
        return;
    free(cut->text);
    free(cut->numbers);
    free(cut);
}

/* What a list has of the first `count` numbers; the others are 0. */
static void numbers_copy(uint64_t *out, struct uint_list *list, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < list->count; i++)
        out[i] = list->items[i];
    *list = (struct uint_list){out, count};
}

struct transcode_cut *cut_make(struct transcode *farm, const struct rec_transcode_cut *record)
{
    struct transcode_cut *cut = calloc(1, sizeof *cut);
    struct rec_transcode_cut copy = *record;
    uint32_t count = record->starts.count;
    struct str *const strs[] = {&copy.codec, &copy.preset, &copy.joins, &copy.root, &copy.path, &copy.source_codec};
    if (!cut || !(cut->numbers = calloc((size_t)count * (5 + CUT_AVOIDED), sizeof *cut->numbers)) ||
        texts_copy(&cut->text, strs, sizeof strs / sizeof *strs) || index_reserve(&farm->cuts, 1)) {
        cut_free(cut);
        return NULL;
    }
    numbers_copy(cut->numbers, &copy.starts, count);
    numbers_copy(cut->numbers + count, &copy.made, count);
    numbers_copy(cut->numbers + (size_t)2 * count, &copy.tries, count);
    cut->runs = cut->numbers + (size_t)3 * count;
    cut->failed_at = cut->numbers + (size_t)4 * count;
    cut->avoided = cut->numbers + (size_t)5 * count;
    str_copy(cut->error, sizeof cut->error, str_cut(copy.error, sizeof cut->error - 1));
    copy.error = str_of(cut->error);
    cut->record = copy;
    return cut;
}

void cut_join(struct transcode *farm, struct transcode_cut *cut)
{
    cut->id = cut->record.id;
    index_add(&farm->cuts, cut);
    cut->prev = farm->last_cut;
    if (cut->prev)
        cut->prev->next = cut;
    else
        farm->first_cut = cut;
    farm->last_cut = cut;
}

void cut_leave(struct transcode *farm, struct transcode_cut *cut)
{
    index_remove(&farm->cuts, cut);
    if (cut->prev)
        cut->prev->next = cut->next;
    else
        farm->first_cut = cut->next;
    if (cut->next)
        cut->next->prev = cut->prev;
    else
        farm->last_cut = cut->prev;
    cut_free(cut);
}

size_t cut_bytes(const struct transcode_cut *cut)
{
    const struct rec_transcode_cut *record = &cut->record;
    return 512 + (size_t)27 * cut_count(cut) + record->joins.len + record->root.len + record->path.len +
           record->source_codec.len + sizeof cut->error;
}

void cut_put(struct core *core, const struct transcode_cut *cut)
{
    journal_put(core->journal, TYPE_TRANSCODE_CUT, cut->id, &cut->record);
}

int cut_load(struct transcode *farm, const struct rec_transcode_cut *record, struct err *err)
{
    struct transcode_cut *cut = cut_make(farm, record);
    if (!cut)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    cut_join(farm, cut);
    return 0;
}

/* ---- how far it is ---- */

uint32_t cut_made(const struct transcode_cut *cut)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < cut_count(cut); i++)
        made += cut->record.made.items[i] != 0;
    return made;
}

bool cut_whole(const struct transcode_cut *cut)
{
    return !cut->record.over && !cut->record.error.len && cut_made(cut) == cut_count(cut);
}

/* In units of the film's clock. */
static uint64_t length_of(const struct transcode_cut *cut, uint32_t segment)
{
    const struct rec_transcode_cut *record = &cut->record;
    uint64_t end = segment + 1 < cut_count(cut) ? record->starts.items[segment + 1] : record->length;
    return end - record->starts.items[segment];
}

double cut_seconds(const struct transcode_cut *cut, uint32_t segment)
{
    return (double)length_of(cut, segment) * (double)cut->record.base_num / (double)cut->record.base_den;
}

double cut_share(const struct transcode_cut *cut, const struct core *core, bool running)
{
    double done = 0;
    for (uint32_t i = 0; i < cut_count(cut); i++) {
        const struct run *run = running && cut->runs[i] ? run_find(core, cut->runs[i]) : NULL;
        if (cut->record.made.items[i])
            done += (double)length_of(cut, i);
        else if (run && run->lease && run->lease->progress > 0)
            done += (double)length_of(cut, i) * run->lease->progress / 100;
    }
    return done / (double)cut->record.length;
}

/* ---- whose run it is: a few cuts are open at a time, as segments come before further videos ---- */

struct transcode_cut *cut_of_segment(const struct transcode *farm, uint64_t run_id, uint32_t *segment)
{
    for (struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next)
        for (uint32_t i = 0; i < cut_count(cut); i++)
            if (cut->runs[i] == run_id) {
                *segment = i;
                return cut;
            }
    return NULL;
}

struct transcode_cut *cut_of_clear(const struct transcode *farm, uint64_t run_id)
{
    for (struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next)
        if (cut->record.clear == run_id)
            return cut;
    return NULL;
}
