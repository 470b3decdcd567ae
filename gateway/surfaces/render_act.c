/* What is done with tasks: pause, resume, cancel, clean up, and frames rendered again. */
#include "gateway/surfaces/render.h"

static void act(struct request *request, enum render_action action, uint64_t frame,
                void (*on_answer)(struct request *request, const struct msg *msg))
{
    struct msg_render_act asked = {.action = action, .frame = frame};
    struct problem problem;

    if (!render_id(request, &asked.id, &problem) || request_read_json(request, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    if (render_whose(request, &asked.whose))
        SET_HAS(&asked, msg_render_act, whose);
    request->subject_type = TYPE_RENDER_TASK;
    request->subject = asked.id;
    ask_send(request, ASK_SCHEDULER, &shape_msg_render_act, &asked, on_answer);
}

static void answer(struct request *request, const struct msg *msg, enum text_id message)
{
    struct writer w;

    render_open(request, &w, 200, message);
    render_task_write(&w, "data", &msg->u.render_answer.task, NULL, (struct str){NULL, 0});
    render_close(request, &w, 200);
}

static void on_paused(struct request *request, const struct msg *msg)
{
    answer(request, msg, TEXT_RENDER_PAUSED);
}

static void on_resumed(struct request *request, const struct msg *msg)
{
    answer(request, msg, TEXT_RENDER_RESUMED);
}

static void on_cancelled(struct request *request, const struct msg *msg)
{
    answer(request, msg, TEXT_RENDER_CANCELLED);
}

static void on_cleaned(struct request *request, const struct msg *msg)
{
    answer(request, msg, TEXT_RENDER_CLEANED);
}

static void on_retried(struct request *request, const struct msg *msg)
{
    const struct msg_render_answer *answer = &msg->u.render_answer;
    struct writer w;
    uint64_t number;

    render_open(request, &w, 200, TEXT_RENDER_RETRIED);
    writer_open(&w, "data", '{');
    writer_uint(&w, "task_id", answer->task.id);
    if (render_number(request->match.args[1], &number)) {
        writer_uint(&w, "id", answer->task.id << RENDER_FRAME_BITS | (number - answer->task.start_frame));
        writer_uint(&w, "frame_number", number);
        writer_text(&w, "status", STR_LIT("pending"));
    } else {
        writer_uint(&w, "retried", answer->count);
        writer_text(&w, "status", str_of(render_status_name(answer->task.status)));
    }
    writer_text(&w, "task_status", str_of(render_status_name(answer->task.status)));
    writer_close(&w, '}');
    render_close(request, &w, 200);
}

void render_pause(struct request *request)
{
    act(request, RENDER_PAUSE, 0, on_paused);
}

void render_resume(struct request *request)
{
    act(request, RENDER_RESUME, 0, on_resumed);
}

void render_cancel(struct request *request)
{
    act(request, RENDER_CANCEL, 0, on_cancelled);
}

void render_cleanup(struct request *request)
{
    act(request, RENDER_CLEANUP, 0, on_cleaned);
}

void render_retry_failed(struct request *request)
{
    act(request, RENDER_RETRY_FAILED, 0, on_retried);
}

void render_retry_frame(struct request *request)
{
    struct problem problem;
    uint64_t number = 0;

    if (render_number(request->match.args[1], &number)) {
        act(request, RENDER_RETRY_FRAME, number, on_retried);
        return;
    }
    problem_value(&problem, PROBLEM_NOT_FOUND, "frame_number", "render_frame", request->match.args[1], NULL);
    reply_problem(request, &problem);
}
