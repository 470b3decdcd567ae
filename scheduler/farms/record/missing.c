/* What is missing of a recording that is over, and why. Of its slot each millisecond is recorded, in a gap within the recording, or lost; what
 * was recorded beyond the slot is extra. So of any sum of recordings: planned + extra = recorded + gaps + lost. */
#include <stdio.h>

#include "scheduler/farms/record/record.h"

#define LISTED_MS 1000 /* what is less at the end of a slot is how streams end, and no gap */
#define CAUSE 32

#define SECONDS_MAX (14 * 86400.0) /* of one recording: more is no time, whoever says so, and sums stay what a record can hold */

static uint64_t in_ms(double seconds)
{
    return seconds > 0 && seconds <= SECONDS_MAX ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

struct recorder_sums recorder_sum(const struct rec_recording *recording)
{
    struct recorder_sums sums = {.planned = recording->seconds * 1000, .recorded = in_ms(recording->recorded_seconds)};
    for (uint32_t i = 0; i < recording->gaps.count; i++)
        sums.gaps += in_ms(recording->gaps.items[i].seconds);
    uint64_t there = sums.recorded + sums.gaps;
    sums.lost = sums.planned > there ? sums.planned - there : 0;
    sums.extra = there > sums.planned ? there - sums.planned : 0;
    return sums;
}

/* Why it ended before its slot: the first word of its error, where that is one with a colon. */
static struct str cause_of(const struct rec_recording *recording)
{
    uint32_t len = 0;
    while (len < recording->error.len &&
           ((recording->error.ptr[len] >= 'a' && recording->error.ptr[len] <= 'z') || recording->error.ptr[len] == '_'))
        len++;
    if (len > 0 && len < recording->error.len && len <= CAUSE && recording->error.ptr[len] == ':')
        return (struct str){recording->error.ptr, len};
    switch (recording->status) {
    case RECORDING_COMPLETED:
        return STR_LIT("short");
    case RECORDING_CONNECT_ERROR:
        return STR_LIT("connect");
    case RECORDING_TIMEOUT:
        return STR_LIT("timeout");
    case RECORDING_CANCELLED:
        return STR_LIT("cancelled");
    case RECORDING_UNAVAILABLE:
        return STR_LIT("unavailable");
    default:
        return STR_LIT("read");
    }
}

void recorder_gaps_put(const struct recorder *farm, struct core *core, const struct rec_recording *recording,
                       const struct recorder_sums *sums, uint64_t day)
{
    struct rec_recording_gap items[RECORDING_GAPS + 1];
    struct rec_recorder_gaps gaps = {.id = recording->id,
                                     .stream = recording->stream,
                                     .day = day,
                                     .cycle = farm->cycle.name,
                                     .output = recording->output,
                                     .started_at = recording->started_at ? recording->started_at
                                                                         : farm->cycle.started_at + recording->start * 1000,
                                     .seconds = recording->seconds,
                                     .status = recording->status,
                                     .gaps = {items, 0}};
    for (uint32_t i = 0; i < recording->gaps.count && i < RECORDING_GAPS; i++)
        items[gaps.gaps.count++] = recording->gaps.items[i];
    if (sums->lost >= LISTED_MS)
        items[gaps.gaps.count++] = (struct rec_recording_gap){.at = (double)(sums->recorded + sums->gaps) / 1000,
                                                              .seconds = (double)sums->lost / 1000,
                                                              .cause = cause_of(recording)};
    if (gaps.gaps.count)
        journal_put(core->journal, TYPE_RECORDER_GAPS, gaps.id, &gaps);
}
