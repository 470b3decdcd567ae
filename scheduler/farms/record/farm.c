/* The recorder as the core sees it, and its life. */
#include <stdlib.h>

#include "proto/settings.h"
#include "scheduler/farms/record/record.h"

static int load(void *self, struct core *core, enum record_type type, struct str value, struct err *err)
{
    struct recorder *farm = self;
    struct rec_recorder_config config;
    struct rec_recorder_cycle cycle;
    struct rec_recording recording;
    struct rec_recorder_day day;
    struct rec_recorder_disk disk;
    switch (type) {
    case TYPE_RECORDER_DISK:
        return rec_decode_recorder_disk(core->arena, value, &disk, err) ? -1 : recorder_disk_load(farm, &disk, err);
    case TYPE_RECORDER_CONFIG:
        return rec_decode_recorder_config(core->arena, value, &config, err) ? -1 : recorder_config_load(farm, &config, err);
    case TYPE_RECORDER_STATE:
        return rec_decode_recorder_state(core->arena, value, &farm->state, err);
    case TYPE_RECORDER_CYCLE:
        return rec_decode_recorder_cycle(core->arena, value, &cycle, err) ? -1 : recorder_cycle_load(farm, &cycle, err);
    case TYPE_RECORDING:
        return rec_decode_recording(core->arena, value, &recording, err) ? -1 : recorder_recording_load(farm, &recording, err);
    default:
        return rec_decode_recorder_day(core->arena, value, &day, err) ? -1 : recorder_day_load(farm, &day, err);
    }
}

static int loaded(void *self, struct core *core, struct err *err)
{
    return recorder_loaded(self, core, err);
}

static void configure(void *self, const struct settings *settings)
{
    struct recorder *farm = self;
    farm->cycles_max = (uint64_t)settings_count_of(settings, SET_RECORDER_CYCLES_MAX);
    farm->recordings_max = (uint64_t)settings_count_of(settings, SET_RECORDER_RECORDINGS_MAX);
    farm->min_free = (uint64_t)settings_count_of(settings, SET_RECORDER_MIN_FREE_MB) * 1000000;
}

static void recorder_close(void *self)
{
    struct recorder *farm = self;
    recorder_recordings_free(farm);
    arena_free(farm->config_arena);
    arena_free(farm->cycle_arena);
    arena_free(farm->disk_arena);
    free(farm->kept);
    free(farm->days);
    free(farm);
}

static const struct farm_scan scans[] = {{TYPE_RECORDER_CONFIG, false},
                                         {TYPE_RECORDER_STATE, false},
                                         {TYPE_RECORDER_CYCLE, false},
                                         {TYPE_RECORDING, false},
                                         {TYPE_RECORDER_DAY, false},
                                         {TYPE_RECORDER_DISK, false},
                                         {0, false}};

static const struct core_route routes[] = {
    {MSG_RECORDER_CONFIGURE, DOOR_COMMANDS, recorder_on_configure, "changes the recorder's configuration"},
    {MSG_RECORDER_RUN, DOOR_COMMANDS, recorder_on_run, "starts the recorder, or stops it"},
    {MSG_RECORDER_ASK, DOOR_COMMANDS, recorder_on_ask, "how far the recorder is"},
    {MSG_RECORDER_DISK, DOOR_COMMANDS, recorder_on_disk, "the output folder has been looked at"},
    {MSG_RECORDER_REPORTED, DOOR_COMMANDS, recorder_on_reported, "a cycle's reports are written"},
    {0, DOOR_COMMANDS, NULL, NULL},
};

static const struct farm rows = {.name = "record",
                                 .ended = recorder_ended,
                                 .ended_bytes = RECORDING_BYTES,
                                 .ended_ops = RECORDING_OPS,
                                 .configure = configure,
                                 .scans = scans,
                                 .load = load,
                                 .loaded = loaded,
                                 .routes = routes,
                                 .tick = recorder_tick,
                                 .close = recorder_close};

struct farm *record_farm(void)
{
    struct recorder *farm = calloc(1, sizeof *farm);
    if (!farm)
        return NULL;
    farm->farm = rows;
    farm->farm.self = farm;
    farm->cycles_max = 10000;
    farm->recordings_max = 100000;
    return &farm->farm;
}

struct recorder *recorder_of(const struct core *core)
{
    for (size_t i = 0; core->farms && core->farms[i]; i++)
        if (strcmp(core->farms[i]->name, rows.name) == 0)
            return core->farms[i]->self;
    return NULL;
}
