/* The beginning of a cycle: its folder's name, its recordings with their names and slots; and what is read back of it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/log.h"
#include "scheduler/farms/record/plan.h"
#include "scheduler/farms/record/record.h"

#define CYCLE_ARENA ((size_t)64 << 10)

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
    ident_hash(kept->folder, &cycle->folder, 1);
    kept->reported = cycle->ended_at && !cycle->unreported;
    farm->kept_recordings += cycle->count;
}

static size_t begin_bytes(const struct recorder *farm)
{
    size_t bytes = CYCLE_BYTES + farm->config.folder.len;
    for (uint32_t i = 0; i < farm->count; i++) /* and its day, should it not fit */
        bytes += farm->recordings[i].record.rtsp_url.len + 2 * (size_t)farm->recordings[i].record.output.len + 1024;
    return bytes;
}

int recorder_cycle_begin(struct recorder *farm, struct core *core)
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
            recorder_cycle_count(&farm->cycle, record->status);
        }
        journal_put(core->journal, TYPE_RECORDING, record->id, record);
    }
    kept_add(farm, &farm->cycle);
    journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
    recorder_state_put(farm, core);
    return 0;
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
