/* What is true of the recorder this second. */
#include <jansson.h>
#include <math.h>

#include "proto/url.h"
#include "scheduler/farms/record/record.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"

struct str recorder_mask(struct core *core, struct str url)
{
    struct buf masked = {0};
    url_mask(&masked, url);
    struct str text = masked.failed ? (struct str){0} : arena_str(core->arena, buf_str(&masked));
    buf_free(&masked);
    return text;
}

/* What its worker says of it, in the note of its progress. */
static void live(const struct run *run, struct rec_recording *row)
{
    json_t *told = run->lease->note ? json_loads(run->lease->note, 0, NULL) : NULL;
    json_int_t status = json_integer_value(json_object_get(told, "status"));
    double seconds = json_number_value(json_object_get(told, "seconds"));
    json_int_t bytes = json_integer_value(json_object_get(told, "bytes")),
               frames = json_integer_value(json_object_get(told, "frames"));
    row->status = status >= RECORDING_CONNECTING && status <= RECORDING_RECORDING ? (uint64_t)status : RECORDING_CONNECTING;
    row->recorded_seconds = seconds > 0 && isfinite(seconds) ? seconds : 0;
    row->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    row->frames = frames > 0 ? (uint64_t)frames : 0;
    json_decref(told);
}

static void row_of(const struct recorder *farm, struct core *core, const struct recording *recording, struct rec_recording *row)
{
    const char *barred = recorder_barred(farm, farm->cycle.folder);
    const struct run *run = recording->record.run_id ? run_find(core, recording->record.run_id) : NULL;
    *row = recording->record;
    row->rtsp_url = recorder_mask(core, row->rtsp_url);
    if (row->status < RECORDING_COMPLETED && run && run->lease)
        live(run, row);
    if (barred && row->status == RECORDING_IDLE && !row->run_id && recorder_elapsed_ms(farm, core) >= row->start * 1000)
        row->error = str_of(barred); /* it waits for its disk */
}

void recorder_view(const struct recorder *farm, struct core *core, struct msg_recorder_view *view, bool rows)
{
    *view = (struct msg_recorder_view){.state = farm->state, .loaded = farm->config.id != 0, .folder = farm->config.folder};
    view->state.id = RECORD_ONE;
    view->past = recorder_past(farm);
    if (farm->disk.id) {
        view->disk = farm->disk;
        SET_HAS(view, msg_recorder_view, disk);
    }
    if (!farm->cycle.id)
        return;
    view->cycle = farm->cycle;
    SET_HAS(view, msg_recorder_view, cycle);
    view->elapsed_seconds = recorder_elapsed_ms(farm, core) / 1000;
    if (!rows)
        return;
    view->recordings.items = arena_alloc(core->arena, farm->count * sizeof *view->recordings.items);
    view->recordings.count = view->recordings.items ? farm->count : 0;
    for (uint32_t i = 0; i < view->recordings.count; i++)
        row_of(farm, core, &farm->recordings[i], &view->recordings.items[i]);
}

void recorder_on_ask(struct core *core, const struct core_call *call)
{
    struct msg_recorder_view view;
    recorder_view(recorder_of(core), core, &view, !call->msg->u.recorder_ask.brief);
    journal_send_now(core->journal, &call->from, &shape_msg_recorder_view, &view);
}
