/* The ledger: what each stream's recordings of a day came to. A recording counts on the local day on which its slot, or its cycle, began. */
#include <stdlib.h>
#include <time.h>

#include "scheduler/farms/record/record.h"

#define DAYS_KEPT 2 /* of a stream: behind midnight a recording of the day before may end */

uint64_t recorder_day_of(uint64_t wall_ms)
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm;
    localtime_r(&at, &tm);
    return (uint64_t)(tm.tm_year + 1900) * 10000 + (uint64_t)(tm.tm_mon + 1) * 100 + (uint64_t)tm.tm_mday;
}

int recorder_day_reserve(struct recorder *farm, size_t more)
{
    size_t size = farm->day_count + DAYS_KEPT * more;
    if (size <= farm->day_size)
        return 0;
    struct day *days = realloc(farm->days, size * sizeof *days);
    if (!days)
        return -1;
    farm->days = days;
    farm->day_size = size;
    return 0;
}

/* The place of this stream's day: that which has it, else a free one, or that of the oldest where there are as many as are kept. */
static struct day *day_place(struct recorder *farm, uint64_t stream, uint64_t day)
{
    struct day *oldest = NULL;
    unsigned there = 0;
    for (size_t i = 0; i < farm->day_count; i++) {
        struct day *one = &farm->days[i];
        if (one->record.stream != stream)
            continue;
        if (one->record.day == day)
            return one;
        there++;
        if (!oldest || one->record.day < oldest->record.day)
            oldest = one;
    }
    if (there >= DAYS_KEPT || farm->day_count == farm->day_size)
        return oldest;
    struct day *fresh = &farm->days[farm->day_count++];
    *fresh = (struct day){0};
    return fresh;
}

static void day_set(struct day *day, const struct rec_recorder_day *record)
{
    day->record = *record;
    str_copy(day->output, sizeof day->output, record->output);
    day->record.output = (struct str){0}; /* see day_put: the array moves */
}

int recorder_day_load(struct recorder *farm, const struct rec_recorder_day *record, struct err *err)
{
    if (recorder_day_reserve(farm, 1))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    day_set(day_place(farm, record->stream, record->day), record);
    return 0;
}

static void day_put(struct core *core, const struct day *day)
{
    struct rec_recorder_day record = day->record;
    record.output = str_of(day->output);
    journal_put(core->journal, TYPE_RECORDER_DAY, record.id, &record);
}

void recorder_day_count(struct recorder *farm, struct core *core, const struct rec_recording *recording)
{
    uint64_t at = recorder_day_of(recording->started_at ? recording->started_at : farm->cycle.started_at);
    struct day *day = day_place(farm, recording->stream, at);
    if (!day)
        return; /* room has been reserved */
    struct rec_recorder_day *record = &day->record;
    if (record->stream != recording->stream || record->day != at)
        *record = (struct rec_recorder_day){.id = core_new_id(core, TYPE_RECORDER_DAY), .stream = recording->stream, .day = at};
    str_copy(day->output, sizeof day->output, recording->output);
    const struct recorder_sums sums = recorder_sum(recording);
    record->due_seconds += recording->wanted_seconds;
    record->recorded_ms += sums.recorded;
    if (recording->wanted_seconds > recording->seconds)
        record->unplanned_seconds += recording->wanted_seconds - recording->seconds;
    record->completed += recording->status == RECORDING_COMPLETED;
    record->cancelled += recording->status == RECORDING_CANCELLED;
    record->failed += recording->status != RECORDING_COMPLETED && recording->status != RECORDING_CANCELLED;
    record->gaps += recording->gaps.count;
    record->gap_ms += sums.gaps;
    record->lost_ms += sums.lost;
    record->extra_ms += sums.extra;
    day_put(core, day);
    recorder_gaps_put(farm, core, recording, &sums, at);
}
