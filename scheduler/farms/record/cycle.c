/* Cycles: gone through slot by slot, over when all recordings are, and the next begun when it is due. */
#include "scheduler/farms/record/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

#define AGAIN_MS 100  /* for what has no room in the journal now */
#define EMPTY_MS 1000 /* without streams, and between cycles at least: their folders are named by the second */
#define SALVAGE_MS                                                                                                               \
    60000 /* behind its slot and its loss a recording waits so long for another worker, which saves what there is */
#define PRUNE_OPS 1000

uint64_t recorder_elapsed_ms(const struct recorder *farm, const struct core *core)
{
    return farm->state.cycle ? core->mono_ms - farm->begun : farm->cycle.ended_at - farm->cycle.started_at;
}

void recorder_recordings_free(struct recorder *farm)
{
    for (uint32_t i = 0; i < farm->count; i++) {
        free(farm->recordings[i].fixed);
        free(farm->recordings[i].told);
    }
    free(farm->recordings);
    farm->recordings = NULL;
    farm->count = 0;
}

struct recording *recorder_recording_of(const struct recorder *farm, uint64_t run_id)
{
    for (uint32_t i = 0; i < farm->count; i++)
        if (farm->recordings[i].record.run_id == run_id)
            return &farm->recordings[i];
    return NULL;
}

static bool over(const struct recording *recording)
{
    return recording->record.status >= RECORDING_COMPLETED;
}

void recorder_state_put(const struct recorder *farm, struct core *core)
{
    journal_put(core->journal, TYPE_RECORDER_STATE, RECORD_ONE, &farm->state);
}

/* ---- the end of a recording, and of the cycle ---- */

static void cycle_close(struct recorder *farm, struct core *core)
{
    struct rec_recorder_cycle *cycle = &farm->cycle;
    const struct rec_recorder_global *global = &farm->config.global;
    cycle->ended_at = core->wall_ms > cycle->started_at ? core->wall_ms : cycle->started_at;
    cycle->unreported = 1;
    farm->state.cycle = 0;
    if (!farm->state.running || !farm->state.stopping) /* else it was started while this one was being cancelled: at once */
        farm->state.next_at = core->wall_ms + (uint64_t)global->cycle_interval_seconds * 1000;
    farm->state.stopping = false;
    if (farm->state.running && global->poll_cycles >= 0 && farm->state.cycles >= (uint64_t)global->poll_cycles) {
        farm->state.running = false;
        farm->state.ended_at = core->wall_ms;
    }
    log_info("GTY-RECORD-CYCLE-END", "cycle=%llu completed=%llu failed=%llu cancelled=%llu", (unsigned long long)cycle->id,
             (unsigned long long)cycle->completed, (unsigned long long)cycle->failed, (unsigned long long)cycle->cancelled);
}

void recorder_cycle_count(struct rec_recorder_cycle *cycle, uint64_t status)
{
    if (status == RECORDING_COMPLETED)
        cycle->completed++;
    else if (status == RECORDING_CANCELLED)
        cycle->cancelled++;
    else
        cycle->failed++;
}

static bool all_over(const struct recorder *farm)
{
    const struct rec_recorder_cycle *cycle = &farm->cycle;
    return cycle->completed + cycle->failed + cycle->cancelled >= cycle->count;
}

void recorder_recording_over(struct recorder *farm, struct core *core, struct recording *recording,
                             const struct rec_recording *record)
{
    recording->record = *record;
    recording->record.gaps = (struct rec_recording_gap_list){0};
    journal_put(core->journal, TYPE_RECORDING, record->id, record);
    recorder_day_count(farm, core, record);
    recorder_cycle_count(&farm->cycle, record->status);
    if (all_over(farm) && farm->state.cycle) {
        cycle_close(farm, core);
        recorder_state_put(farm, core);
    }
    journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
}

/* One that never had a run is over. -1: not now. */
static int end_waiting(struct recorder *farm, struct core *core, struct recording *recording, enum recording_status status,
                       const char *why)
{
    struct rec_recording record = recording->record;
    struct fault fault;
    if (recorder_day_reserve(farm, 1) || core_reserve(core, RECORDING_BYTES, 0, RECORDING_OPS, &fault))
        return -1;
    record.status = status;
    record.ended_at = core->wall_ms;
    record.error = str_of(why); /* a literal */
    recorder_recording_over(farm, core, recording, &record);
    return 0;
}

/* Its run ends now, and it with it (recorder_ended). -1: not now, or by itself in a moment. */
static int run_end(struct core *core, const struct recording *recording, enum outcome outcome, struct str why)
{
    struct run *run = run_find(core, recording->record.run_id);
    struct ending ending = {.outcome = outcome, .error = why, .cancel = run && run->lease, .final = true};
    struct fault fault;
    return run ? retry_end(core, run, &ending, &fault) : -1;
}

/* ---- going through it ---- */

static void sooner(uint64_t *wait, uint64_t at, uint64_t now)
{
    uint64_t left = at > now ? at - now : 0;
    if (left < *wait)
        *wait = left;
}

/* How long into the cycle its slot lasts, in ms. */
static uint64_t slot_end(const struct recorder *farm, const struct recording *recording)
{
    const struct rec_recording *record = &recording->record;
    uint64_t since = farm->cycle.started_at;
    return (record->started_at > since ? record->started_at - since : 0) + record->seconds * 1000;
}

/* Until when one that has lost its worker waits. The time in which no scheduler was there does not count: nobody could be given it. */
static uint64_t salvage_end(const struct recorder *farm, struct recording *recording, const struct run *run, uint64_t now)
{
    uint64_t slot = slot_end(farm, recording);
    if (recording->lost_attempt != run->attempt) {
        recording->lost_attempt = run->attempt;
        recording->lost_at = now;
    }
    return (recording->lost_at > slot ? recording->lost_at : slot) + SALVAGE_MS;
}

/* One that has a run: it goes, unless nobody has taken it. */
static void watch(const struct recorder *farm, struct core *core, struct recording *recording, uint64_t now, uint64_t *wait)
{
    const struct run *run = run_find(core, recording->record.run_id);
    if (!run)
        return;
    if (run->lease) {
        recording->lost_attempt = 0;
        return;
    }
    uint64_t until = run->attempt ? salvage_end(farm, recording, run, now) : slot_end(farm, recording);
    struct str why = run->attempt ? STR_LIT("read: its worker was lost, and no other has taken it")
                                  : STR_LIT("unavailable: no worker has taken it within its slot");
    if (now < until)
        sooner(wait, until, now);
    else if (run_end(core, recording, OUTCOME_FAILED, why))
        *wait = AGAIN_MS;
}

/* One that has no disk to go to: it waits for that as long as its slot lasts. */
static void wait_barred(struct recorder *farm, struct core *core, struct recording *recording, uint64_t now, const char *why,
                        uint64_t *wait)
{
    const struct rec_recording *record = &recording->record;
    uint64_t until = record->start + record->seconds, total = farm->cycle.total_seconds;
    until = 1000 * (until < total ? until : total);
    if (now < until)
        sooner(wait, until, now);
    else if (end_waiting(farm, core, recording, RECORDING_READ_ERROR, why))
        *wait = AGAIN_MS;
}

static void start_or_wait(struct recorder *farm, struct core *core, struct recording *recording, uint32_t *active, uint64_t now,
                          uint64_t *wait)
{
    struct rec_recording *record = &recording->record;
    uint64_t total = farm->cycle.total_seconds * 1000, left = total > now ? (total - now + 999) / 1000 : 0;
    if (now < record->start * 1000) {
        sooner(wait, record->start * 1000, now);
        return;
    }
    const char *barred = recorder_barred(farm, farm->cycle.folder);
    if (barred) {
        wait_barred(farm, core, recording, now, barred, wait);
        return;
    }
    if (!left) {
        if (end_waiting(farm, core, recording, RECORDING_CANCELLED, "late: the cycle's time is over"))
            *wait = AGAIN_MS;
        return;
    }
    if (*active >= farm->cycle.lanes) { /* what goes before it is late */
        sooner(wait, now + AGAIN_MS, now);
        return;
    }
    uint64_t planned = record->seconds;
    record->seconds = planned < left ? planned : left;
    if (recording_begin(farm, core, recording, *active + 1)) {
        record->seconds = planned;
        *wait = AGAIN_MS;
        return;
    }
    *active += 1;
}

static uint64_t cycle_go_on(struct recorder *farm, struct core *core)
{
    uint64_t now = recorder_elapsed_ms(farm, core), wait = UINT64_MAX, id = farm->state.cycle;
    uint32_t active = 0;
    for (uint32_t i = 0; i < farm->count; i++)
        active += farm->recordings[i].record.run_id && !over(&farm->recordings[i]);
    for (uint32_t i = 0; i < farm->count && farm->state.cycle == id; i++) {
        struct recording *recording = &farm->recordings[i];
        if (over(recording))
            continue;
        if (farm->state.stopping) {
            struct str why = STR_LIT("stopped: the recorder was stopped");
            if (recording->record.run_id ? run_end(core, recording, OUTCOME_ABORTED, why)
                                         : end_waiting(farm, core, recording, RECORDING_CANCELLED, why.ptr))
                wait = AGAIN_MS;
        } else if (recording->record.run_id) {
            watch(farm, core, recording, now, &wait);
        } else {
            start_or_wait(farm, core, recording, &active, now, &wait);
        }
    }
    return farm->state.cycle == id ? wait : 0;
}

/* One of whose recordings none was ever begun. */
static bool cycle_empty(struct recorder *farm, struct core *core)
{
    struct fault fault;
    if (!all_over(farm))
        return false;
    if (core_reserve(core, CYCLE_BYTES + farm->cycle.folder.len, 0, 2, &fault))
        return false;
    cycle_close(farm, core);
    journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
    recorder_state_put(farm, core);
    return true;
}

/* The oldest cycle goes when there are too many, or too many recordings in all; its days stay. False: that is not so. */
static bool prune(struct recorder *farm, struct core *core)
{
    struct fault fault;
    struct kept_cycle *oldest = farm->kept;
    if (farm->kept_count < 2 || (farm->kept_count <= farm->cycles_max && farm->kept_recordings <= farm->recordings_max))
        return false;
    if (core_reserve(core, 64, 0, 2 * (uint32_t)oldest->count + 1, &fault))
        return false;
    for (uint64_t i = 0; i < oldest->count; i++) {
        journal_delete(core->journal, TYPE_RECORDING, oldest->first + i);
        journal_delete(core->journal, TYPE_RECORDER_GAPS, oldest->first + i);
    }
    journal_delete(core->journal, TYPE_RECORDER_CYCLE, oldest->id);
    farm->kept_recordings -= oldest->count;
    memmove(farm->kept, farm->kept + 1, --farm->kept_count * sizeof *farm->kept);
    return true;
}

static uint64_t between(struct recorder *farm, struct core *core)
{
    uint64_t due = farm->state.next_at, pause = farm->cycle.id ? farm->cycle.started_at + EMPTY_MS : 0;
    if (due < pause && pause - due <= EMPTY_MS)
        due = pause;
    if (!farm->config.streams.count)
        return EMPTY_MS;
    if (core->wall_ms < due) {
        uint64_t wait = UINT64_MAX;
        sooner(&wait, due, core->wall_ms);
        return wait;
    }
    return recorder_cycle_begin(farm, core) ? AGAIN_MS : 0;
}

uint64_t recorder_tick(void *self, struct core *core)
{
    struct recorder *farm = self;
    if (!farm->config.id || !journal_writable(core->journal))
        return UINT64_MAX;
    if (prune(farm, core))
        return 0;
    if (farm->state.cycle)
        return cycle_empty(farm, core) ? 0 : cycle_go_on(farm, core);
    return farm->state.running ? between(farm, core) : UINT64_MAX;
}

/* ---- start, stop, reports ---- */

static void run_answer(struct recorder *farm, struct core *core, const struct core_call *call)
{
    struct msg_recorder_view view;
    recorder_view(farm, core, &view, false);
    view.disk.marked.count = 0; /* the answer is kept with the key */
    view.past = (struct str){0};
    core_answer(core, call, &shape_msg_recorder_view, &view);
}

static size_t answer_bytes(const struct recorder *farm)
{
    return CYCLE_BYTES + farm->cycle.folder.len + farm->config.folder.len + farm->disk.folder.len + 64;
}

static int start_check(const struct recorder *farm, struct fault *fault)
{
    if (!farm->config.id)
        return fault_set(fault, ERR_NOT_FOUND, NULL, "recorder_unloaded", (struct str){0}, NULL,
                         "the configuration is not loaded yet");
    if (farm->state.running)
        return fault_set(fault, ERR_CONFLICT, NULL, "recorder_running", (struct str){0}, NULL, "the recorder is running already");
    if (!farm->config.streams.count)
        return fault_set(fault, ERR_INVALID, "streams", "recorder_empty", (struct str){0}, NULL, "there is no stream to record");
    return 0;
}

void recorder_on_run(struct core *core, const struct core_call *call)
{
    struct recorder *farm = recorder_of(core);
    bool stop = call->msg->u.recorder_run.stop;
    struct fault fault;
    if ((!stop && start_check(farm, &fault)) || core_reserve(core, 256, answer_bytes(farm), 3, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    struct rec_recorder_state *state = &farm->state;
    if (stop && state->running) {
        state->running = false;
        state->ended_at = core->wall_ms;
        state->stopping = state->cycle != 0;
        recorder_state_put(farm, core);
    } else if (!stop) { /* what was being cancelled is so to its end, and then the first cycle begins */
        *state = (struct rec_recorder_state){.id = RECORD_ONE,
                                             .running = true,
                                             .started_at = core->wall_ms,
                                             .cycle = state->cycle,
                                             .stopping = state->stopping,
                                             .next_at = core->wall_ms};
        recorder_state_put(farm, core);
    }
    run_answer(farm, core, call);
}

static struct kept_cycle *cycle_kept(const struct recorder *farm, uint64_t id)
{
    for (size_t i = farm->kept_count; i-- > 0;)
        if (farm->kept[i].id == id)
            return &farm->kept[i];
    return NULL;
}

/* Told twice it is the same. */
void recorder_on_reported(struct core *core, const struct core_call *call)
{
    struct rec_recorder_cycle known = call->msg->u.recorder_reported.known;
    struct recorder *farm = recorder_of(core);
    struct kept_cycle *kept = known.ended_at ? cycle_kept(farm, known.id) : NULL;
    const struct msg_done done = {0};
    struct fault fault;
    if (core_reserve(core, CYCLE_BYTES + known.folder.len, 64, 2, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    known.unreported = 0;
    if (kept)
        kept->reported = true;
    if (known.id == farm->cycle.id && farm->cycle.ended_at) {
        farm->cycle.unreported = 0;
        journal_put(core->journal, TYPE_RECORDER_CYCLE, known.id, &farm->cycle);
    } else if (known.id != farm->cycle.id && kept) {
        journal_put(core->journal, TYPE_RECORDER_CYCLE, known.id, &known);
    }
    core_answer(core, call, &shape_msg_done, &done);
}

/* ---- rebuilding ---- */

int recorder_loaded(struct recorder *farm, struct core *core, struct err *err)
{
    uint64_t since = core->wall_ms > farm->cycle.started_at ? core->wall_ms - farm->cycle.started_at : 0;
    farm->begun = core->mono_ms - since;
    for (uint32_t i = 0; i < farm->count; i++) {
        struct rec_recording *record = &farm->recordings[i].record;
        if (record->run_id && !over(&farm->recordings[i]) && !run_find(core, record->run_id))
            record->run_id = 0; /* the database was mended by hand: it begins again */
    }
    return recorder_day_reserve(farm, farm->count) ? err_set(err, ERR_NO_MEMORY, "out of memory") : 0;
}
