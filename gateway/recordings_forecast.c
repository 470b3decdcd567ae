#include "gateway/recordings_forecast.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS UINT64_C(86400000)
#define LOOK_MS (7 * DAY_MS)
#define LEAST_MS HOUR_MS /* of recording, before anything is told of the future */
#define CENTURY_MS (36525 * DAY_MS)

/* From when on everything that was written is still there. */
static uint64_t since_of(const struct recordings *recordings, uint64_t now_ms)
{
    uint64_t oldest = now_ms, week = now_ms > LOOK_MS ? now_ms - LOOK_MS : 0;
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        for (uint32_t j = 0; j < folder->count && !folder->held; j++)
            if (!folder->files[j].held && folder->files[j].changed_ms < oldest)
                oldest = folder->files[j].changed_ms;
    }
    return oldest > week ? oldest : week;
}

/* Adds all up; answers the bytes that were written after that time. */
static uint64_t add_up(const struct recordings *recordings, uint64_t since, struct recordings_forecast *forecast)
{
    uint64_t fresh = 0;
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        forecast->count += folder->count;
        forecast->bytes += folder->bytes + folder->piece_bytes;
        forecast->held_bytes += folder->held ? folder->piece_bytes : 0;
        for (uint32_t j = 0; j < folder->count; j++) {
            const struct recording_file *file = &folder->files[j];
            forecast->held_bytes += folder->held || file->held ? file->size : 0;
            fresh += file->changed_ms > since ? file->size : 0;
        }
        for (uint32_t j = 0; j < folder->piece_count; j++)
            fresh += folder->pieces[j].changed_ms > since ? folder->pieces[j].size : 0;
    }
    return fresh;
}

/* Whether what retention lets grow finds room. */
static bool is_kept(const struct recordings_outlook *outlook, const struct recordings_forecast *forecast, double pace)
{
    const struct recordings_limits *limits = &outlook->limits;
    double room = (double)forecast->bytes + (double)outlook->free - (double)outlook->min_free;
    double removable = (double)(forecast->bytes - forecast->held_bytes);
    if (limits->keep_bytes && (double)limits->keep_bytes <= room)
        return true;
    if (limits->keep_ms && pace * (double)limits->keep_ms + (double)forecast->held_bytes <= room)
        return true;
    return outlook->keep_free && outlook->keep_free >= outlook->min_free &&
           removable + (double)outlook->free >= (double)outlook->keep_free;
}

void recordings_foresee(const struct recordings *recordings, const struct recordings_outlook *outlook,
                        struct recordings_forecast *forecast)
{
    uint64_t now_ms = outlook->limits.now_ms, since = since_of(recordings, now_ms);
    *forecast = (struct recordings_forecast){.observed_ms = now_ms - since};
    uint64_t fresh = add_up(recordings, since, forecast);
    double pace = forecast->observed_ms ? (double)fresh / (double)forecast->observed_ms : 0; /* bytes a ms */
    if (forecast->observed_ms >= LEAST_MS)
        forecast->bytes_per_day = (uint64_t)(pace * (double)DAY_MS + 0.5);
    double left = outlook->free > outlook->min_free ? (double)(outlook->free - outlook->min_free) : 0;
    if (outlook->free < outlook->min_free) {
        forecast->fate = FATE_FULL;
        forecast->full_at = now_ms;
    } else if (forecast->observed_ms < LEAST_MS) {
        forecast->fate = FATE_UNKNOWN;
    } else if (left > pace * (double)CENTURY_MS) {
        forecast->fate = FATE_IDLE;
    } else if (is_kept(outlook, forecast, pace)) {
        forecast->fate = FATE_KEPT;
    } else {
        forecast->fate = FATE_FILLS;
        forecast->full_at = now_ms + (pace > 0 ? (uint64_t)(left / pace + 0.5) : 0);
    }
}
