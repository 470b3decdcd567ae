/* The recorder's records: each recording ends once, and what the ledger says of a stream and day is what its recordings come to, to the
 * millisecond, behind each batch: due + extra = recorded + gaps + lost + unplanned. */
#include <stdlib.h>

#include "scheduler/farms/record/record.h"
#include "tests/sim/sim.h"

#define ROWS 4096

struct sums {
    uint64_t due, recorded, gaps, lost, extra, unplanned, count;
};

struct row { /* of a stream and day */
    uint64_t stream, day;
    struct sums recordings, told; /* by its recordings, and by the ledger */
};

struct entry { /* a day's record, as it is on disk */
    uint32_t row;
    struct sums sums;
};

static struct row rows[ROWS];
static struct entry *entries; /* by the record's id */
static uint8_t *status;       /* of recordings, by id; 0: not final, or not there */
static uint64_t entry_size, status_size;
static uint32_t row_count;
static uint64_t touched[ROWS]; /* recordings that have ended in this batch */
static uint32_t touched_count;
static uint64_t open_recordings;
static bool state_running, state_cycle;

void ledger_reset(void)
{
    free(entries);
    free(status);
    entries = NULL;
    status = NULL;
    entry_size = status_size = open_recordings = 0;
    row_count = touched_count = 0;
    state_running = state_cycle = false;
    memset(rows, 0, sizeof rows);
}

static uint32_t row_of(uint64_t stream, uint64_t day)
{
    for (uint32_t i = 0; i < row_count; i++)
        if (rows[i].stream == stream && rows[i].day == day)
            return i;
    if (row_count == ROWS)
        broken(0, "more streams and days than any night has");
    rows[row_count] = (struct row){.stream = stream, .day = day};
    return row_count++;
}

static uint64_t ms(double seconds)
{
    return seconds > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

static void add(struct sums *to, const struct sums *more, int sign)
{
    uint64_t one = (uint64_t)(int64_t)sign; /* -1 takes away: numbers go round */
    to->due += one * more->due;
    to->recorded += one * more->recorded;
    to->gaps += one * more->gaps;
    to->lost += one * more->lost;
    to->extra += one * more->extra;
    to->unplanned += one * more->unplanned;
    to->count += one * more->count;
}

static struct sums sums_of(const struct rec_recording *recording)
{
    struct sums sums = {.due = recording->wanted_seconds * 1000,
                        .recorded = ms(recording->recorded_seconds),
                        .unplanned = (recording->wanted_seconds - recording->seconds) * 1000,
                        .count = 1};
    for (uint32_t i = 0; i < recording->gaps.count; i++)
        sums.gaps += ms(recording->gaps.items[i].seconds);
    uint64_t planned = recording->seconds * 1000, there = sums.recorded + sums.gaps;
    sums.lost = planned > there ? planned - there : 0;
    sums.extra = planned < there ? there - planned : 0;
    return sums;
}

/* ---- what is written ---- */

static void recording_count(const struct rec_recording *now)
{
    struct rec_recorder_cycle cycle;
    if (now->seconds > now->wanted_seconds)
        broken(now->run_id, "recording %lu has a slot longer than was asked for", (unsigned long)now->id);
    if (!disk_read(TYPE_RECORDER_CYCLE, now->cycle, &cycle))
        broken(now->run_id, "recording %lu has no cycle", (unsigned long)now->id);
    uint64_t at = now->started_at ? now->started_at : cycle.started_at;
    const struct sums sums = sums_of(now);
    add(&rows[row_of(now->stream, recorder_day_of(at))].recordings, &sums, 1);
    sim.recordings++;
    sim.recorded_ms += sums.recorded;
    sim.missing_ms += sums.gaps + sums.lost;
}

void ledger_recording(uint64_t id, struct str value)
{
    struct rec_recording now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_recording(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "recording %lu cannot be decoded: %s", (unsigned long)id, err.text);
    if (id >= status_size) {
        uint64_t more = id * 2 + 64;
        status = realloc(status, more);
        memset(status + status_size, UINT8_MAX, more - status_size);
        status_size = more;
    }
    bool fresh = status[id] == UINT8_MAX, final = now.status >= RECORDING_COMPLETED;
    if (!fresh && status[id] >= RECORDING_COMPLETED)
        broken(now.run_id, "recording %lu had ended, and is written again", (unsigned long)id);
    open_recordings += fresh;
    open_recordings -= final;
    status[id] = (uint8_t)now.status;
    if (!final)
        return;
    if (touched_count == ROWS)
        broken(0, "more recordings end in a batch than there are");
    touched[touched_count++] = id; /* its cycle may come behind it in the batch */
}

void ledger_day(uint64_t id, struct str value)
{
    struct rec_recorder_day now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_recorder_day(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "day %lu of the ledger cannot be decoded: %s", (unsigned long)id, err.text);
    if (id >= entry_size) {
        uint64_t more = id * 2 + 64;
        entries = realloc(entries, more * sizeof *entries);
        memset(entries + entry_size, 0, (more - entry_size) * sizeof *entries);
        entry_size = more;
    }
    const struct sums sums = {.due = now.due_seconds * 1000,
                              .recorded = now.recorded_ms,
                              .gaps = now.gap_ms,
                              .lost = now.lost_ms,
                              .extra = now.extra_ms,
                              .unplanned = now.unplanned_seconds * 1000,
                              .count = now.completed + now.failed + now.cancelled};
    if (sums.due + sums.extra != sums.recorded + sums.gaps + sums.lost + sums.unplanned)
        broken(0, "day %lu of stream %lu does not add up: due %lu, extra %lu; recorded %lu, gaps %lu, lost %lu, unplanned %lu",
               (unsigned long)now.day, (unsigned long)now.stream, (unsigned long)sums.due, (unsigned long)sums.extra,
               (unsigned long)sums.recorded, (unsigned long)sums.gaps, (unsigned long)sums.lost, (unsigned long)sums.unplanned);
    struct entry *entry = &entries[id];
    if (entry->sums.count)
        add(&rows[entry->row].told, &entry->sums, -1);
    entry->row = row_of(now.stream, now.day);
    entry->sums = sums;
    add(&rows[entry->row].told, &sums, 1);
}

void ledger_cycle(uint64_t id, struct str value)
{
    struct rec_recorder_cycle now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_recorder_cycle(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "cycle %lu cannot be decoded: %s", (unsigned long)id, err.text);
    if (now.most > now.lanes)
        broken(0, "cycle %lu had %lu recordings at once, and %lu are allowed", (unsigned long)id, (unsigned long)now.most,
               (unsigned long)now.lanes);
    if (now.ended_at && now.completed + now.failed + now.cancelled != now.count)
        broken(0, "cycle %lu is over, and %lu of its %lu recordings are", (unsigned long)id,
               (unsigned long)(now.completed + now.failed + now.cancelled), (unsigned long)now.count);
    sim.cycles = id > sim.cycles ? id : sim.cycles;
}

void ledger_state(struct str value)
{
    struct rec_recorder_state now;
    struct err err = {0};
    arena_reset(sim.arena);
    if (rec_decode_recorder_state(sim.arena, value, &now, &err))
        broken(0, "the recorder's state cannot be decoded: %s", err.text);
    state_running = now.running;
    state_cycle = now.cycle != 0;
}

void ledger_gone(uint64_t type, uint64_t id)
{
    if (type == TYPE_RECORDER_DAY)
        broken(0, "day %lu of the ledger is deleted", (unsigned long)id);
    if (type == TYPE_RECORDING && (id >= status_size || status[id] < RECORDING_COMPLETED || status[id] == UINT8_MAX))
        broken(0, "recording %lu is deleted, and had not ended", (unsigned long)id);
}

/* ---- what must hold behind a batch ---- */

/* A recording that has ended, against what was recorded, and what is said to be missing of it. */
static void check_ended(uint64_t id)
{
    struct rec_recording now;
    struct rec_recorder_gaps gaps;
    uint64_t listed = 0;
    arena_reset(sim.arena);
    if (!disk_read(TYPE_RECORDING, id, &now))
        broken(0, "recording %lu ends, and is deleted in the same batch", (unsigned long)id);
    recording_count(&now);
    const struct sums sums = sums_of(&now);
    if (now.run_id && run_of(now.run_id)->status == RUN_COMPLETED)
        camera_check(now.run_id, run_of(now.run_id)->attempt, sums.recorded, sums.gaps);
    if (disk_read(TYPE_RECORDER_GAPS, id, &gaps))
        for (uint32_t i = 0; i < gaps.gaps.count; i++)
            listed += ms(gaps.gaps.items[i].seconds);
    if (listed != sums.gaps + (sums.lost < 1000 ? 0 : sums.lost))
        broken(now.run_id, "recording %lu lacks %lu ms within and %lu at its end, and %lu are listed", (unsigned long)id,
               (unsigned long)sums.gaps, (unsigned long)sums.lost, (unsigned long)listed);
}

void ledger_batch(void)
{
    if (!touched_count)
        return;
    for (uint32_t i = 0; i < touched_count; i++)
        check_ended(touched[i]);
    touched_count = 0;
    for (uint32_t i = 0; i < row_count; i++)
        if (memcmp(&rows[i].recordings, &rows[i].told, sizeof rows[i].told) != 0)
            broken(0,
                   "the ledger says of stream %lu on day %lu: %lu recordings, %lu ms due, %lu recorded, %lu lost; its recordings "
                   "say %lu, %lu, %lu, %lu",
                   (unsigned long)rows[i].stream, (unsigned long)rows[i].day, (unsigned long)rows[i].told.count,
                   (unsigned long)rows[i].told.due, (unsigned long)rows[i].told.recorded, (unsigned long)rows[i].told.lost,
                   (unsigned long)rows[i].recordings.count, (unsigned long)rows[i].recordings.due,
                   (unsigned long)rows[i].recordings.recorded, (unsigned long)rows[i].recordings.lost);
}

bool ledger_settled(void)
{
    return !open_recordings && !state_running && !state_cycle;
}

void ledger_check(void)
{
    if (!ledger_settled())
        broken(0, "%lu recordings never ended, and the recorder %s", (unsigned long)open_recordings,
               state_running ? "runs"
               : state_cycle ? "is in a cycle"
                             : "is stopped");
}

/* ---- memory against records ---- */

void check_recorder(const struct core *core, const char *whose)
{
    const struct recorder *farm = recorder_of(core);
    if (disk_get(TYPE_RECORDER_CONFIG, RECORD_ONE))
        check_same(TYPE_RECORDER_CONFIG, RECORD_ONE, &shape_rec_recorder_config, &farm->config, whose);
    if (disk_get(TYPE_RECORDER_STATE, RECORD_ONE))
        check_same(TYPE_RECORDER_STATE, RECORD_ONE, &shape_rec_recorder_state, &farm->state, whose);
    if (farm->cycle.id)
        check_same(TYPE_RECORDER_CYCLE, farm->cycle.id, &shape_rec_recorder_cycle, &farm->cycle, whose);
    for (uint32_t i = 0; i < farm->count; i++) {
        const struct rec_recording *record = &farm->recordings[i].record;
        struct rec_recording stored;
        arena_reset(sim.arena);
        if (!disk_read(TYPE_RECORDING, record->id, &stored) || stored.status != record->status ||
            stored.run_id != record->run_id || stored.seconds != record->seconds)
            broken(record->run_id, "%s and the disk disagree about recording %lu", whose, (unsigned long)record->id);
    }
    for (size_t i = 0; i < farm->day_count; i++) {
        struct rec_recorder_day day = farm->days[i].record;
        day.output = str_of(farm->days[i].output);
        check_same(TYPE_RECORDER_DAY, day.id, &shape_rec_recorder_day, &day, whose);
    }
}
