/* Cycles: begun when they are due, gone through slot by slot, over when all recordings are. */
#include "scheduler/farms/record/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/log.h"
#include "scheduler/farms/record/plan.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

#define CYCLE_ARENA ((size_t)64 << 10)
#define CYCLE_BYTES 9216 /* of a cycle's record, encoded, and the state's */
#define AGAIN_MS 100     /* for what has no room in the journal now */
#define EMPTY_MS 1000    /* without streams, and between cycles at least: their folders are named by the second */
#define SALVAGE_MS                                                                                                               \
    60000 /* behind its slot a recording that lost its worker waits so long for another, which saves what there is */
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

static void state_put(const struct recorder *farm, struct core *core)
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
    farm->state.stopping = false;
    farm->state.next_at = core->wall_ms + (uint64_t)global->cycle_interval_seconds * 1000;
    if (farm->state.running && global->poll_cycles >= 0 && farm->state.cycles >= (uint64_t)global->poll_cycles) {
        farm->state.running = false;
        farm->state.ended_at = core->wall_ms;
    }
    log_info("GTY-RECORD-CYCLE-END", "cycle=%llu completed=%llu failed=%llu cancelled=%llu", (unsigned long long)cycle->id,
             (unsigned long long)cycle->completed, (unsigned long long)cycle->failed, (unsigned long long)cycle->cancelled);
}

static void cycle_count(struct rec_recorder_cycle *cycle, uint64_t status)
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
    cycle_count(&farm->cycle, record->status);
    if (all_over(farm) && farm->state.cycle) {
        cycle_close(farm, core);
        state_put(farm, core);
    }
    journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
}

/* One that never had a run. -1: not now. */
static int cancel_waiting(struct recorder *farm, struct core *core, struct recording *recording, const char *why)
{
    struct rec_recording record = recording->record;
    struct fault fault;
    if (recorder_day_reserve(farm, 1) || core_reserve(core, RECORDING_BYTES, 0, RECORDING_OPS, &fault))
        return -1;
    record.status = RECORDING_CANCELLED;
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

/* ---- the beginning of a cycle ---- */

static bool name_kept(const struct recorder *farm, const char *name)
{
    for (size_t i = farm->kept_count; i-- > 0;)
        if (strcmp(farm->kept[i].name, name) == 0)
            return true;
    return false;
}

/* A folder's name that no cycle had: where local time repeats an hour, a later second. */
static void cycle_name(const struct recorder *farm, uint64_t wall_ms, char out[24])
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm;
    do {
        localtime_r(&at, &tm);
        strftime(out, 24, "%Y%m%d_%H%M%S", &tm);
        at++;
    } while (name_kept(farm, out));
}

static bool name_used(const struct recorder *farm, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_is(farm->recordings[i].record.output, name))
            return true;
    const struct rec_recorder_stream_list *streams = &farm->config.streams;
    for (uint32_t i = count + 1; i < streams->count; i++)
        if (str_is(streams->items[i].output_filename, name))
            return true;
    return false;
}

/* The name of the count-th recording: that of its stream, or with a number where another has that. */
static void output_name(const struct recorder *farm, uint32_t count, char out[256])
{
    struct str name = farm->config.streams.items[count].output_filename;
    struct str stem = {name.ptr, name.len - 4}; /* .mp4 */
    bool first = true;
    for (uint32_t i = 0; i < count && first; i++)
        first = !str_eq(farm->recordings[i].record.output, name);
    snprintf(out, 256, "%.*s", (int)name.len, name.ptr);
    for (unsigned number = 2; !first && name_used(farm, count, out); number++)
        snprintf(out, 256, "%.*s_%u.mp4", (int)stem.len, stem.ptr, number);
}

static int recording_texts(struct recording *recording, struct str url, struct str output)
{
    recording->fixed = malloc((size_t)url.len + output.len + 2);
    if (!recording->fixed)
        return -1;
    char *at = recording->fixed;
    str_copy(at, (size_t)url.len + 1, url);
    recording->record.rtsp_url = (struct str){at, url.len};
    at += url.len + 1;
    str_copy(at, (size_t)output.len + 1, output);
    recording->record.output = (struct str){at, output.len};
    return 0;
}

/* The recordings of the new cycle, planned. -1 when out of memory. */
static int recordings_make(struct recorder *farm, struct core *core)
{
    const struct rec_recorder_stream_list *streams = &farm->config.streams;
    struct plan_wish wishes[PLAN_STREAMS];
    struct plan_slot slots[PLAN_STREAMS];
    char name[256];
    recorder_recordings_free(farm);
    farm->recordings = calloc(streams->count, sizeof *farm->recordings);
    if (!farm->recordings)
        return -1;
    for (uint32_t i = 0; i < streams->count; i++)
        wishes[i] = (struct plan_wish){(uint32_t)streams->items[i].duration_seconds, streams->items[i].weight};
    plan_make(wishes, streams->count, (uint32_t)farm->config.global.max_concurrent_streams,
              (uint32_t)farm->config.global.total_poll_duration_seconds, slots);
    for (uint32_t i = 0; i < streams->count; i++) {
        const struct rec_recorder_stream *stream = &streams->items[i];
        output_name(farm, i, name);
        farm->recordings[i].record = (struct rec_recording){.cycle = core->next_id[TYPE_RECORDER_CYCLE],
                                                            .number = i,
                                                            .stream = stream->id,
                                                            .index = i,
                                                            .wanted_seconds = wishes[i].seconds,
                                                            .weight = stream->weight,
                                                            .start = slots[i].start,
                                                            .seconds = slots[i].seconds};
        farm->count = i + 1;
        if (recording_texts(&farm->recordings[i], stream->rtsp_url, str_of(name)))
            return -1;
    }
    return 0;
}

/* What the cycle keeps of the configuration, in memory of its own. */
static int cycle_copy(struct recorder *farm, const struct rec_recorder_cycle *cycle)
{
    struct arena *arena = arena_new(CYCLE_ARENA);
    struct rec_recorder_cycle copy = *cycle;
    struct str *texts[] = {&copy.name, &copy.folder, &copy.directory, &copy.report_filename};
    for (size_t i = 0; arena && i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = arena_str(arena, *texts[i]);
        if (!texts[i]->ptr) {
            arena_free(arena);
            arena = NULL;
        }
    }
    if (!arena)
        return -1;
    arena_free(farm->cycle_arena);
    farm->cycle_arena = arena;
    farm->cycle = copy;
    return 0;
}

static int kept_reserve(struct recorder *farm)
{
    if (farm->kept_count < farm->kept_size)
        return 0;
    size_t size = farm->kept_size ? farm->kept_size * 2 : 64;
    struct kept_cycle *kept = realloc(farm->kept, size * sizeof *kept);
    if (!kept)
        return -1;
    farm->kept = kept;
    farm->kept_size = size;
    return 0;
}

static void kept_add(struct recorder *farm, const struct rec_recorder_cycle *cycle)
{
    struct kept_cycle *kept = &farm->kept[farm->kept_count++];
    *kept = (struct kept_cycle){.id = cycle->id, .first = cycle->first, .count = cycle->count};
    str_copy(kept->name, sizeof kept->name, cycle->name);
    farm->kept_recordings += cycle->count;
}

static size_t begin_bytes(const struct recorder *farm)
{
    size_t bytes = CYCLE_BYTES + farm->config.folder.len;
    for (uint32_t i = 0; i < farm->count; i++) /* and its day, should it not fit */
        bytes += farm->recordings[i].record.rtsp_url.len + 2 * (size_t)farm->recordings[i].record.output.len + 1024;
    return bytes;
}

/* -1: not now; what was known of the cycle before may be gone, which is over. */
static int cycle_begin(struct recorder *farm, struct core *core)
{
    const struct rec_recorder_config *config = &farm->config;
    const struct rec_recorder_global *global = &config->global;
    char name[24];
    struct fault fault;
    cycle_name(farm, core->wall_ms, name);
    struct rec_recorder_cycle cycle = {.name = str_of(name),
                                       .folder = config->folder,
                                       .directory = global->output_directory,
                                       .report_filename = global->report_filename,
                                       .started_at = core->wall_ms,
                                       .total_seconds = (uint64_t)global->total_poll_duration_seconds,
                                       .lanes = (uint64_t)global->max_concurrent_streams,
                                       .number = farm->state.cycles + 1,
                                       .count = config->streams.count,
                                       .connect_seconds = (uint64_t)global->connection_timeout_seconds,
                                       .read_seconds = (uint64_t)global->read_timeout_seconds};
    if (kept_reserve(farm) || recorder_day_reserve(farm, config->streams.count) || recordings_make(farm, core) ||
        core_reserve(core, begin_bytes(farm), 0, 2 + 2 * farm->count, &fault) || cycle_copy(farm, &cycle)) {
        recorder_recordings_free(farm); /* of the newest cycle nothing is shown until the next */
        return -1;
    }
    farm->cycle.id = core_new_id(core, TYPE_RECORDER_CYCLE);
    farm->cycle.first = core->next_id[TYPE_RECORDING];
    farm->state.cycle = farm->cycle.id;
    farm->state.cycles++;
    farm->begun = core->mono_ms;
    log_info("GTY-RECORD-CYCLE", "cycle=%llu name=%s streams=%u", (unsigned long long)farm->cycle.id, name, farm->count);
    for (uint32_t i = 0; i < farm->count; i++) {
        struct rec_recording *record = &farm->recordings[i].record;
        record->id = core_new_id(core, TYPE_RECORDING);
        if (!record->seconds) {
            record->status = RECORDING_CANCELLED;
            record->ended_at = core->wall_ms;
            record->error = STR_LIT("it does not fit into the cycle");
            recorder_day_count(farm, core, record);
            cycle_count(&farm->cycle, record->status);
        }
        journal_put(core->journal, TYPE_RECORDING, record->id, record);
    }
    kept_add(farm, &farm->cycle);
    journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
    state_put(farm, core);
    return 0;
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

/* One that has a run: it goes, unless nobody has taken it. */
static void watch(const struct recorder *farm, struct core *core, const struct recording *recording, uint64_t now, uint64_t *wait)
{
    const struct run *run = run_find(core, recording->record.run_id);
    if (!run || run->lease)
        return;
    uint64_t until = slot_end(farm, recording) + (run->attempt ? SALVAGE_MS : 0);
    struct str why = run->attempt ? STR_LIT("read: its worker was lost, and no other has taken it")
                                  : STR_LIT("unavailable: no worker has taken it within its slot");
    if (now < until)
        sooner(wait, until, now);
    else if (run_end(core, recording, OUTCOME_FAILED, why))
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
    if (!left) {
        if (cancel_waiting(farm, core, recording, "the cycle's time is over"))
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
            struct str why = STR_LIT("the recorder was stopped");
            if (recording->record.run_id ? run_end(core, recording, OUTCOME_ABORTED, why)
                                         : cancel_waiting(farm, core, recording, why.ptr))
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
    state_put(farm, core);
    return true;
}

/* The oldest cycle goes when there are too many, or too many recordings in all; its days stay. False: that is not so. */
static bool prune(struct recorder *farm, struct core *core)
{
    struct fault fault;
    struct kept_cycle *oldest = farm->kept;
    if (farm->kept_count < 2 || (farm->kept_count <= farm->cycles_max && farm->kept_recordings <= farm->recordings_max))
        return false;
    if (core_reserve(core, 64, 0, (uint32_t)oldest->count + 1, &fault))
        return false;
    for (uint64_t i = 0; i < oldest->count; i++)
        journal_delete(core->journal, TYPE_RECORDING, oldest->first + i);
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
    return cycle_begin(farm, core) ? AGAIN_MS : 0;
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
    core_answer(core, call, &shape_msg_recorder_view, &view);
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
    if ((!stop && start_check(farm, &fault)) || core_reserve(core, 256, CYCLE_BYTES + farm->cycle.folder.len, 3, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    struct rec_recorder_state *state = &farm->state;
    if (stop && state->running) {
        state->running = false;
        state->ended_at = core->wall_ms;
        state->stopping = state->cycle != 0;
        state_put(farm, core);
    } else if (!stop) { /* what was being cancelled is so to its end, and then the first cycle begins */
        *state = (struct rec_recorder_state){.id = RECORD_ONE,
                                             .running = true,
                                             .started_at = core->wall_ms,
                                             .cycle = state->cycle,
                                             .stopping = state->stopping,
                                             .next_at = core->wall_ms};
        state_put(farm, core);
    }
    run_answer(farm, core, call);
}

static bool cycle_kept(const struct recorder *farm, uint64_t id)
{
    for (size_t i = farm->kept_count; i-- > 0;)
        if (farm->kept[i].id == id)
            return true;
    return false;
}

/* Told twice it is the same. */
void recorder_on_reported(struct core *core, const struct core_call *call)
{
    struct rec_recorder_cycle known = call->msg->u.recorder_reported.known;
    struct recorder *farm = recorder_of(core);
    const struct msg_done done = {0};
    struct fault fault;
    if (core_reserve(core, CYCLE_BYTES + known.folder.len, 64, 2, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    known.unreported = 0;
    if (known.id == farm->cycle.id && farm->cycle.ended_at) {
        farm->cycle.unreported = 0;
        journal_put(core->journal, TYPE_RECORDER_CYCLE, known.id, &farm->cycle);
    } else if (known.id != farm->cycle.id && known.ended_at && cycle_kept(farm, known.id)) {
        journal_put(core->journal, TYPE_RECORDER_CYCLE, known.id, &known);
    }
    core_answer(core, call, &shape_msg_done, &done);
}

/* ---- rebuilding ---- */

int recorder_cycle_load(struct recorder *farm, const struct rec_recorder_cycle *cycle, struct err *err)
{
    if (kept_reserve(farm) || (cycle->id > farm->cycle.id && cycle_copy(farm, cycle)))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    kept_add(farm, cycle);
    return 0;
}

int recorder_recording_load(struct recorder *farm, const struct rec_recording *record, struct err *err)
{
    if (record->cycle != farm->cycle.id || record->number != farm->count || farm->count >= farm->cycle.count)
        return 0;
    if (!farm->recordings)
        farm->recordings = calloc(farm->cycle.count, sizeof *farm->recordings);
    if (!farm->recordings)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    struct recording *recording = &farm->recordings[farm->count++];
    recording->record = *record;
    recording->record.gaps = (struct rec_recording_gap_list){0};
    struct str *told[] = {&recording->record.error, &recording->record.video, &recording->record.audio};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        *told[i] = (struct str){0};
    return recording_texts(recording, record->rtsp_url, record->output) || recording_tell(recording, record)
               ? err_set(err, ERR_NO_MEMORY, "out of memory")
               : 0;
}

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
