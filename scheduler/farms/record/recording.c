/* A recording's run: what a worker is told, and what its end says. */
#include <jansson.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/record/record.h"
#include "scheduler/retry.h"
#include "scheduler/room.h"
#include "scheduler/run.h"

/* Beside recording, connecting and reading, and as long as it recorded: to make its file ready, which is read and written several times. */
#define SLACK_SECONDS 120
#define GAP_CAUSE 128

/* ---- its beginning ---- */

static void pack_recording(const struct recorder *farm, const struct core *core, const struct rec_recording *record,
                           struct str output, struct buf *out)
{
    const struct rec_recorder_cycle *cycle = &farm->cycle;
    msgpack_packer packer;
    parameters_begin(&packer, out, 11);
    parameters_text(&packer, "url", record->rtsp_url);
    parameters_text(&packer, "output", output);
    parameters_uint(&packer, "duration_s", record->seconds);
    parameters_uint(&packer, "connect_s", cycle->connect_seconds);
    parameters_uint(&packer, "read_s", cycle->read_seconds);
    parameters_uint(&packer, "stream", record->stream);
    parameters_uint(&packer, "cycle", cycle->id);
    parameters_uint(&packer, "until_ms", core->wall_ms + record->seconds * 1000);
    parameters_text(&packer, "root", cycle->folder);
    parameters_uint(&packer, "marked", recorder_is_marked(farm, cycle->folder));
    parameters_uint(&packer, "min_free", farm->min_free);
}

static struct rec_task_spec spec_of(const struct recorder *farm, const struct rec_recording *record, struct str name,
                                    struct str output)
{
    const struct rec_recorder_cycle *cycle = &farm->cycle;
    struct rec_task_spec spec =
        parameters_spec(name, STR_LIT(RECORD_TYPE), record->output,
                        2 * record->seconds + cycle->connect_seconds + cycle->read_seconds + SLACK_SECONDS);
    spec.priority = PRIORITY_HIGH; /* its time does not come again */
    spec.output = output;
    SET_HAS(&spec, rec_task_spec, output);
    return spec;
}

static struct run *run_make(struct recorder *farm, struct core *core, const struct rec_recording *record)
{
    const struct rec_recorder_cycle *cycle = &farm->cycle;
    struct buf path = {0}, name = {0}, map = {0};
    struct str file = str_cut(record->output, 120);
    struct err err = {0};
    struct run *run = NULL;
    buf_printf(&path, "%.*s/%.*s/%.*s", (int)cycle->folder.len, cycle->folder.ptr, (int)cycle->name.len, cycle->name.ptr,
               (int)record->output.len, record->output.ptr);
    buf_printf(&name, "record %.*s of %.*s", (int)file.len, file.ptr, (int)cycle->name.len, cycle->name.ptr);
    if (!path.failed && !name.failed)
        pack_recording(farm, core, record, buf_str(&path), &map);
    if (!path.failed && !name.failed && !map.failed) {
        const struct rec_task_spec spec = spec_of(farm, record, buf_str(&name), buf_str(&path));
        run = farm_make(core, &farm->farm, &spec, buf_str(&map), &err);
    }
    buf_free(&path);
    buf_free(&name);
    buf_free(&map);
    return run;
}

int recording_begin(struct recorder *farm, struct core *core, struct recording *recording, uint64_t active)
{
    struct rec_recording *record = &recording->record;
    struct fault fault;
    if (room_runs(core, 1, (size_t)record->rtsp_url.len + 2 * (size_t)farm->cycle.folder.len, &fault))
        return -1;
    struct run *run = run_make(farm, core, record);
    if (!run || core_reserve(core, farm_run_bytes(run) + RECORDING_BYTES, 0, FARM_RUN_OPS + 2, &fault)) {
        run_free(core, run);
        return -1;
    }
    record->run_id = farm_submit(core, run);
    record->started_at = core->wall_ms > farm->cycle.started_at ? core->wall_ms : farm->cycle.started_at;
    journal_put(core->journal, TYPE_RECORDING, record->id, record);
    if (active > farm->cycle.most) {
        farm->cycle.most = active;
        journal_put(core->journal, TYPE_RECORDER_CYCLE, farm->cycle.id, &farm->cycle);
    }
    log_info("GTY-RECORD-BEGIN", "recording=%llu run=%llu stream=%llu", (unsigned long long)record->id,
             (unsigned long long)record->run_id, (unsigned long long)record->stream);
    return 0;
}

/* ---- its end ---- */

/* The first word of an error says what kind it is. */
static enum recording_status status_of_error(struct str error)
{
    static const struct {
        const char *word;
        enum recording_status status;
    } words[] = {{"connect", RECORDING_CONNECT_ERROR},
                 {"auth", RECORDING_CONNECT_ERROR},
                 {"timeout", RECORDING_TIMEOUT},
                 {"notfound", RECORDING_UNAVAILABLE},
                 {"unavailable", RECORDING_UNAVAILABLE}};
    uint32_t len = 0;
    while (len < error.len && ((error.ptr[len] >= 'a' && error.ptr[len] <= 'z')))
        len++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is((struct str){error.ptr, len}, words[i].word))
            return words[i].status;
    return RECORDING_READ_ERROR;
}

static enum recording_status status_of_run(const struct rec_run *run)
{
    const struct rec_attempt *last = run->attempts.count ? &run->attempts.items[run->attempts.count - 1] : NULL;
    if (run->status == RUN_COMPLETED)
        return RECORDING_COMPLETED;
    if (run->status == RUN_ABORTED)
        return RECORDING_CANCELLED;
    if (last && last->outcome == OUTCOME_TIMEOUT)
        return RECORDING_TIMEOUT;
    return status_of_error(run->error_message);
}

static uint64_t told_uint(const json_t *told, const char *key)
{
    double value = json_number_value(json_object_get(told, key));
    return value > 0 && value < 9e18 ? (uint64_t)value : 0;
}

static double told_real(const json_t *told, const char *key)
{
    double value = json_number_value(json_object_get(told, key));
    return value > 0 && isfinite(value) ? value : 0;
}

static struct str told_text(const json_t *told, const char *key, size_t max)
{
    const json_t *value = json_object_get(told, key);
    struct str text = {json_string_value(value), (uint32_t)json_string_length(value)};
    return text.ptr ? str_cut(text, max) : (struct str){0};
}

static void read_gaps(const json_t *told, struct rec_recording_gap *gaps, struct rec_recording *record)
{
    const json_t *list = json_object_get(told, "gaps");
    size_t count = json_array_size(list);
    record->gaps = (struct rec_recording_gap_list){gaps, 0};
    for (size_t i = 0; i < count; i++) {
        const json_t *gap = json_array_get(list, i);
        double seconds = told_real(gap, "seconds");
        if (i >= RECORDING_GAPS)
            gaps[RECORDING_GAPS - 1].seconds += seconds;
        else
            gaps[record->gaps.count++] = (struct rec_recording_gap){
                .at = told_real(gap, "at"), .seconds = seconds, .cause = told_text(gap, "cause", GAP_CAUSE)};
    }
}

/* What a result says, as far as it is understood. */
static void read_result(const json_t *told, struct rec_recording_gap *gaps, struct rec_recording *record)
{
    uint64_t status = told_uint(told, "status");
    record->recorded_seconds = told_real(told, "seconds");
    record->bytes = told_uint(told, "bytes");
    record->frames = told_uint(told, "frames");
    record->audio_frames = told_uint(told, "audio_frames");
    record->reconnects = told_uint(told, "reconnects");
    record->lost_packets = told_uint(told, "lost_packets");
    record->jitter_ms = told_real(told, "jitter_ms");
    record->first_frame_ms = told_real(told, "first_frame_ms");
    record->width = told_uint(told, "width");
    record->height = told_uint(told, "height");
    record->video = told_text(told, "video", 32);
    record->audio = told_text(told, "audio", 32);
    if (status >= RECORDING_COMPLETED && status <= RECORDING_UNAVAILABLE)
        record->status = status;
    if (!record->error.len)
        record->error = told_text(told, "error", 512);
    read_gaps(told, gaps, record);
}

int recording_tell(struct recording *recording, const struct rec_recording *record)
{
    const struct str from[] = {record->error, record->video, record->audio};
    struct str *to[] = {&recording->record.error, &recording->record.video, &recording->record.audio};
    char *text = malloc((size_t)from[0].len + from[1].len + from[2].len + 3), *at = text;
    if (!text)
        return -1;
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        str_copy(at, (size_t)from[i].len + 1, from[i]);
        *to[i] = (struct str){at, from[i].len};
        at += from[i].len + 1;
    }
    free(recording->told);
    recording->told = text;
    return 0;
}

void recorder_ended(void *self, struct core *core, const struct farm_run *view)
{
    struct recorder *farm = self;
    const struct rec_run *run = view->run;
    struct recording *recording = recorder_recording_of(farm, run->id);
    if (!recording || recording->record.status >= RECORDING_COMPLETED)
        return; /* of a cycle that is over: the database was mended by hand */
    struct rec_recording_gap gaps[RECORDING_GAPS];
    struct rec_recording record = recording->record, kept;
    json_t *told = run->result.len ? json_loadb(run->result.ptr, run->result.len, 0, NULL) : NULL;
    record.status = status_of_run(run);
    record.ended_at = core->wall_ms > record.started_at ? core->wall_ms : record.started_at;
    record.error = run->status == RUN_COMPLETED ? (struct str){0} : str_cut(run->error_message, 512);
    read_result(told, gaps, &record);
    recorder_recording_over(farm, core, recording, &record);
    kept = recording->record; /* its texts are the result's, which goes */
    recording->record.error = recording->record.video = recording->record.audio = (struct str){0};
    if (recording_tell(recording, &kept))
        log_warn("GTY-RECORD-MEMORY", "recording=%llu what its end says is in the store only", (unsigned long long)kept.id);
    json_decref(told);
}
