/* A render task as clients see it: its record, and what follows from it. */
#include <stdio.h>

#include "gateway/surfaces/render.h"
#include "proto/clock.h"
#include "proto/log.h"

static const char *const status_names[] = {"queued", "testing", "rendering", "paused", "completed", "failed", "cancelled"};
static const char *const frame_names[] = {"pending", "rendering", "completed", "failed", "cancelled", "pending"};

const char *render_status_name(uint64_t status)
{
    return status < sizeof status_names / sizeof *status_names ? status_names[status] : "?";
}

int render_status_parse(struct str word)
{
    for (size_t i = 0; i < sizeof status_names / sizeof *status_names; i++) {
        if (str_is(word, status_names[i]))
            return (int)i;
    }
    return -1;
}

const char *render_frame_name(uint64_t status)
{
    return status < sizeof frame_names / sizeof *frame_names ? frame_names[status] : "?";
}

uint8_t render_frame_state(const struct rec_render_task *task, uint64_t place)
{
    const unsigned char *run = (const unsigned char *)task->frames.ptr;

    for (uint32_t at = 0; at + 3 <= task->frames.len; at += 3, run += 3) {
        uint64_t many = (uint64_t)run[0] << 8 | run[1];
        if (place < many)
            return run[2];
        place -= many;
    }
    return FRAME_PENDING;
}

const struct rec_render_live *render_live_of(const struct msg *msg, uint64_t id)
{
    for (uint32_t i = 0; msg && i < msg->u.render_live_rows.tasks.count; i++) {
        if (msg->u.render_live_rows.tasks.items[i].id == id)
            return &msg->u.render_live_rows.tasks.items[i];
    }
    return NULL;
}

/* ---- what follows from a record ---- */

static double frame_ms(const struct rec_render_task *task)
{
    return task->rendered ? (double)task->render_ms / (double)task->rendered : (double)task->expect_ms;
}

static double cost(const struct rec_render_task *task, double ms)
{
    return task->price * ms / 3600000;
}

static double progress(const struct rec_render_task *task, const struct rec_render_live *live)
{
    double done = (double)task->completed_frames + (live ? live->partial : 0);
    double percent = 100 * done / (double)task->total_frames;

    return percent > 100 ? 100 : percent;
}

/* When it will be finished, by the workers that it has now; 0: it has none, or has ended. */
static uint64_t completion(const struct rec_render_task *task, const struct rec_render_live *live)
{
    uint64_t over = task->completed_frames + task->failed_frames + task->cancelled_frames;
    double left = (double)(task->total_frames - over) - (live ? live->partial : 0);

    if (render_status_final(task->status) || task->status == RENDER_PAUSED || !task->rendering_frames || left < 0)
        return 0;
    return clock_wall_ms() + (uint64_t)(left * frame_ms(task) / (double)task->rendering_frames);
}

/* ---- fields ---- */

const char render_field_names[] =
    "id,unionid,status,progress,reason,resting,scene_file,scene_file_hash,scene_file_size,render_engine,renderer,cg_version,"
    "plugins,"
    "is_compressed,allow_missing,task_info,priority,start_frame,test_frames,stop_after_test,test_frame_status,ram,gpu_count,"
    "hardware_config_id,hardware_config,frame_timeout,task_timeout,total_frames,completed_frames,failed_frames,rendering_frames,"
    "cancelled_frames,estimated_cost,actual_cost,celery_task_id,error_message,created_at,started_at,completed_at,"
    "estimated_completion,cleaned_at";

static bool list_has(struct str list, struct str name)
{
    struct str item;

    while (str_item(&list, &item)) {
        if (str_eq(item, name))
            return true;
    }
    return false;
}

bool render_field_unknown(struct str fields, struct str *name)
{
    while (str_item(&fields, name)) {
        if (!list_has(str_of(render_field_names), *name))
            return true;
    }
    return false;
}

struct view {
    struct writer *w;
    struct str fields;
    const struct rec_render_task *task;
    const struct rec_render_live *live;
};

/* Whether the field is to be shown. */
static bool shown(const struct view *view, const char *name)
{
    return view->fields.len == 0 || list_has(view->fields, str_of(name));
}

static void put_text(const struct view *view, const char *name, struct str text)
{
    if (shown(view, name))
        writer_text_or_null(view->w, name, text);
}

static void put_number(const struct view *view, const char *name, uint64_t number)
{
    if (shown(view, name))
        writer_uint(view->w, name, number);
}

static void put_bool(const struct view *view, const char *name, bool value)
{
    if (shown(view, name))
        writer_bool(view->w, name, value);
}

static void put_time(const struct view *view, const char *name, uint64_t ms)
{
    if (shown(view, name))
        writer_time(view->w, name, ms);
}

static void put_rounded(const struct view *view, const char *name, double value, int decimals)
{
    if (shown(view, name))
        writer_rounded(view->w, name, value, decimals);
}

/* A number that is null where it is 0. */
static void put_given(const struct view *view, const char *name, uint64_t number)
{
    if (number)
        put_number(view, name, number);
    else
        put_text(view, name, (struct str){NULL, 0});
}

static void write_scene(const struct view *view)
{
    const struct rec_render_task *task = view->task;
    struct writer *w = view->w;

    put_text(view, "scene_file", task->oss_file_path);
    put_text(view, "scene_file_hash", task->scene_md5);
    put_given(view, "scene_file_size", task->scene_size);
    put_text(view, "render_engine", task->render_engine);
    put_text(view, "renderer", task->renderer);
    put_text(view, "cg_version", task->cg_version);
    if (shown(view, "plugins"))
        writer_map(w, "plugins", task->plugins);
    put_bool(view, "is_compressed", task->is_compressed);
    put_bool(view, "allow_missing", !task->no_missing);
    if (!shown(view, "task_info"))
        return;
    writer_open(w, "task_info", '{');
    writer_text_or_null(w, "renderer", task->renderer);
    writer_text_or_null(w, "source_dir", task->source_dir);
    writer_text_or_null(w, "project_dir", task->project_dir);
    writer_text_or_null(w, "renders_dir", task->renders_dir);
    writer_text_or_null(w, "map", task->map);
    writer_text_or_null(w, "sequence", task->sequence);
    writer_text_or_null(w, "preset", task->preset);
    writer_text(w, "image_format", render_format(task));
    writer_uint(w, "start_frame", task->start_frame);
    writer_close(w, '}');
}

static void write_hardware(const struct view *view)
{
    const struct rec_render_task *task = view->task;
    struct writer *w = view->w;

    put_given(view, "ram", task->ram);
    put_number(view, "gpu_count", task->gpu_count);
    put_text(view, "hardware_config_id", task->config_id);
    if (!shown(view, "hardware_config"))
        return;
    if (!task->config_id.len) {
        writer_null(w, "hardware_config");
        return;
    }
    writer_open(w, "hardware_config", '{');
    writer_text(w, "id", task->config_id);
    writer_text(w, "name", task->config_name);
    writer_uint(w, "ram", task->config_ram);
    writer_uint(w, "gpu_count", task->config_gpus);
    writer_real(w, "price_per_hour", task->price);
    writer_close(w, '}');
}

static void write_frames(const struct view *view)
{
    const struct rec_render_task *task = view->task;
    const char *tests = task->test_status ? render_frame_name(task->test_status - 1) : NULL;

    put_number(view, "priority", task->priority);
    put_number(view, "start_frame", task->start_frame);
    put_text(view, "test_frames", task->test_frames);
    put_bool(view, "stop_after_test", task->stop_after_test);
    put_text(view, "test_frame_status", str_of(tests));
    put_number(view, "total_frames", task->total_frames);
    put_number(view, "completed_frames", task->completed_frames);
    put_number(view, "failed_frames", task->failed_frames);
    put_number(view, "rendering_frames", task->rendering_frames);
    put_number(view, "cancelled_frames", task->cancelled_frames);
}

/* Workers that are given none of its frames for a while. */
static void write_resting(const struct view *view)
{
    struct writer *w = view->w;

    if (!shown(view, "resting"))
        return;
    writer_open(w, "resting", '[');
    for (uint32_t i = 0; view->live && i < view->live->resting.count; i++) {
        const struct rec_render_rest *rest = &view->live->resting.items[i];
        writer_open(w, NULL, '{');
        writer_text(w, "node_id", rest->worker);
        writer_time(w, "until", rest->until);
        writer_uint(w, "failed_frames", rest->failed);
        writer_close(w, '}');
    }
    writer_close(w, ']');
}

void render_task_write(struct writer *w, const char *key, const struct rec_render_task *task, const struct rec_render_live *live,
                       struct str fields)
{
    const struct view view = {w, fields, task, live};

    writer_open(w, key, '{');
    put_number(&view, "id", task->id);
    put_text(&view, "unionid", task->unionid);
    put_text(&view, "status", str_of(render_status_name(task->status)));
    put_rounded(&view, "progress", progress(task, live), 1);
    put_text(&view, "reason", live ? live->reason : (struct str){NULL, 0});
    write_resting(&view);
    write_scene(&view);
    write_hardware(&view);
    put_number(&view, "frame_timeout", task->frame_timeout);
    put_number(&view, "task_timeout", task->task_timeout);
    write_frames(&view);
    put_rounded(&view, "estimated_cost", cost(task, (double)task->total_frames * frame_ms(task)), 4);
    put_rounded(&view, "actual_cost", cost(task, (double)task->render_ms), 4);
    put_text(&view, "celery_task_id", task->celery_task_id);
    put_text(&view, "error_message", task->error);
    put_time(&view, "created_at", task->created_at);
    put_time(&view, "started_at", task->started_at);
    put_time(&view, "completed_at", task->completed_at);
    put_time(&view, "estimated_completion", completion(task, live));
    put_time(&view, "cleaned_at", task->cleaned_at);
    writer_close(w, '}');
}
