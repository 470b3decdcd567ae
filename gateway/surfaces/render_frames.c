/* Frames: one, and a page of them. What a frame is stands in its task's record; one that was given out has a record of its own beside. */
#include "gateway/gateway.h"
#include "gateway/surfaces/render.h"
#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

#define PAGE_DEFAULT 20
#define PAGE_MAX 1000
#define ANY_STATUS 9

struct frames { /* request->own */
    const struct rec_render_task *task;
    uint64_t *ids; /* of the frames to be shown */
    uint32_t count;
    uint64_t page, size, total, status;
    bool one;
};

static bool is_test(const struct rec_render_task *task, uint64_t number)
{
    struct str list = task->test_frames, item;
    uint64_t test;

    while (str_item(&list, &item)) {
        if (uri_number(item, &test) && test == number)
            return true;
    }
    return false;
}

static uint64_t place_of(uint64_t id)
{
    return id & ((UINT64_C(1) << RENDER_FRAME_BITS) - 1);
}

/* frame: NULL: it was never given out. A result that is to be made anew is not shown. */
static void frame_write(struct writer *w, const char *key, const struct rec_render_task *task, uint64_t id,
                        const struct rec_render_frame *frame)
{
    static const struct rec_render_frame none;
    uint8_t state = render_frame_state(task, place_of(id));
    unsigned status = state & 7u;
    bool done = status == FRAME_COMPLETED, over = status >= FRAME_COMPLETED && status <= FRAME_CANCELLED;

    frame = frame ? frame : &none;
    writer_open(w, key, '{');
    writer_uint(w, "id", id);
    writer_uint(w, "task_id", task->id);
    writer_uint(w, "frame_number", task->start_frame + place_of(id));
    writer_text(w, "status", str_of(render_frame_name(status)));
    writer_bool(w, "is_test_frame", is_test(task, task->start_frame + place_of(id)));
    writer_text_or_null(w, "output_path", done ? frame->output_path : (struct str){NULL, 0});
    if (done)
        writer_uint(w, "output_size", frame->output_size);
    else
        writer_null(w, "output_size");
    writer_text_or_null(w, "output_hash", done ? frame->output_hash : (struct str){NULL, 0});
    writer_text_or_null(w, "node_id", frame->node);
    if (done)
        writer_rounded(w, "render_time", (double)frame->render_ms / 1000, 3);
    else
        writer_null(w, "render_time");
    writer_uint(w, "retry_count", state >> 3);
    writer_time(w, "created_at", task->created_at);
    writer_time(w, "started_at", frame->started_at);
    writer_time(w, "completed_at", over ? frame->completed_at : 0);
    writer_text_or_null(w, "error_message", done ? (struct str){NULL, 0} : frame->error);
    if (frame->run_id)
        writer_uint(w, "run_id", frame->run_id);
    else
        writer_null(w, "run_id");
    writer_bool(w, "is_black", done && frame->black);
    writer_bool(w, "is_small", done && frame->small);
    writer_text_or_null(w, "thumbnail_path", done ? frame->thumbnail : (struct str){NULL, 0});
    writer_close(w, '}');
}

/* ---- their own records ---- */

const struct rec_render_frame *render_frame_row(struct request *request, const struct rec_row_list *rows, uint64_t id)
{
    struct rec_render_frame *frame;
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->items[i].id != id)
            continue;
        frame = request_alloc(request, sizeof *frame);
        if (frame && rec_decode_render_frame(request_arena(request), rows->items[i].value, frame, &err) == 0)
            return frame;
        if (err.code == ERR_NO_MEMORY)
            request->out.failed = true;
        else
            log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)id, err.text);
    }
    return NULL;
}

static void frames_write(struct request *request, const struct rec_row_list *rows)
{
    const struct frames *frames = request->own;
    struct writer w;

    render_open(request, &w, 200, TEXT_API_OK);
    if (frames->one) {
        frame_write(&w, "data", frames->task, frames->ids[0], render_frame_row(request, rows, frames->ids[0]));
        render_close(request, &w, 200);
        return;
    }
    writer_open(&w, "data", '{');
    writer_open(&w, "items", '[');
    for (uint32_t i = 0; i < frames->count; i++)
        frame_write(&w, NULL, frames->task, frames->ids[i], render_frame_row(request, rows, frames->ids[i]));
    writer_close(&w, ']');
    writer_uint(&w, "total", frames->total);
    writer_uint(&w, "page", frames->page);
    writer_uint(&w, "page_size", frames->size);
    writer_uint(&w, "total_pages", (frames->total + frames->size - 1) / frames->size);
    writer_close(&w, '}');
    render_close(request, &w, 200);
}

static void on_frames(struct request *request, const struct msg *msg)
{
    frames_write(request, &msg->u.query_rows.rows);
}

/* ---- which ---- */

/* Those of the page, of the status that is asked for. */
static void page_fill(struct frames *frames)
{
    const struct rec_render_task *task = frames->task;
    uint64_t first = (frames->page - 1) * frames->size;
    const unsigned char *run = (const unsigned char *)task->frames.ptr;
    uint64_t place = 0;

    for (uint32_t at = 0; at + 3 <= task->frames.len; at += 3) {
        uint64_t many = (uint64_t)run[at] << 8 | run[at + 1];
        unsigned status = run[at + 2] & 7u;
        bool wanted = frames->status == ANY_STATUS || (status == FRAME_STARVED ? FRAME_PENDING : status) == frames->status;
        for (uint64_t i = 0; wanted && i < many; i++, frames->total++) {
            if (frames->total >= first && frames->count < frames->size)
                frames->ids[frames->count++] = task->id << RENDER_FRAME_BITS | (place + i);
        }
        place += many;
    }
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows, none = {NULL, 0};
    struct frames *frames = request->own;
    struct problem problem;
    uint64_t number;

    if (rows->count == 0) {
        problem_value(&problem, PROBLEM_NOT_FOUND, "id", "render_task", request->match.args[0], NULL);
        reply_problem(request, &problem);
        return;
    }
    frames->task = render_row(request, &rows->items[0]);
    if (!frames->task || !render_may(request, frames->task->unionid))
        return;
    if (!frames->one) {
        page_fill(frames);
    } else if (render_number(request->match.args[1], &number) && number >= frames->task->start_frame &&
               number - frames->task->start_frame < frames->task->total_frames) {
        frames->ids[0] = frames->task->id << RENDER_FRAME_BITS | (number - frames->task->start_frame);
        frames->count = 1;
    } else {
        problem_value(&problem, PROBLEM_NOT_FOUND, "frame_number", "render_frame", request->match.args[1], NULL);
        reply_problem(request, &problem);
        return;
    }
    struct msg_get get = {.type = TYPE_RENDER_FRAME, .ids = {frames->ids, frames->count}};
    if (frames->count)
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_frames);
    else
        frames_write(request, &none);
}

/* ---- handlers ---- */

static int status_read(const struct request *request, struct frames *frames, struct problem *problem)
{
    struct str word;
    int fault = 0;

    frames->status = ANY_STATUS;
    if (!request_param(request, "status", &word, problem, &fault) || fault)
        return fault;
    for (uint64_t status = FRAME_PENDING; status <= FRAME_CANCELLED; status++) {
        if (str_is(word, render_frame_name(status))) {
            frames->status = status;
            return 0;
        }
    }
    return problem_value(problem, PROBLEM_BAD_REQUEST, "status", "enum", word, "pending|rendering|completed|failed|cancelled");
}

static void frames_ask(struct request *request, bool one)
{
    struct frames *frames = request->own = request_alloc(request, sizeof *frames);
    struct problem problem;
    uint64_t id;
    struct msg_get get = {.type = TYPE_RENDER_TASK, .ids = {&id, 1}};
    int fault = 0;

    if (!frames) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *frames = (struct frames){.one = one, .page = 1, .size = PAGE_DEFAULT, .status = ANY_STATUS};
    if (!one) {
        api_param_uint(request, "page", 1, INT64_MAX / PAGE_MAX, &frames->page, &problem, &fault);
        api_param_uint(request, "page_size", 1, INT64_MAX, &frames->size, &problem, &fault);
        frames->size = frames->size > PAGE_MAX ? PAGE_MAX : frames->size;
    }
    frames->ids = request_alloc(request, frames->size * sizeof *frames->ids);
    if (!fault && !frames->ids)
        fault = problem_set(&problem, PROBLEM_OVERLOADED, NULL, NULL);
    if (fault || (!one && status_read(request, frames, &problem) != 0) || !render_id(request, &id, &problem))
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}

void render_frames(struct request *request)
{
    frames_ask(request, false);
}

void render_frame(struct request *request)
{
    frames_ask(request, true);
}
