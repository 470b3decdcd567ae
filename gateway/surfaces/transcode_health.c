/* /api/v1/videos/{id}/health and /api/v1/videos/health: whether videos decode. */
#include "gateway/surfaces/transcode.h"

/* ---- one video ---- */

static void on_checking(struct request *request, const struct msg *msg)
{
    struct writer w;

    api_open(request, &w, 201, TEXT_API_CHECKING);
    writer_open(&w, "data", '{');
    writer_uint(&w, "run_id", msg->u.video_checking.run_id);
    writer_close(&w, '}');
    api_close(request, &w, 201);
}

void api_health_one(struct request *request)
{
    struct msg_video_check asked = {0};
    struct problem problem;

    if (api_path_id(request, "id", "video_missing", &asked.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_video_check, &asked, on_checking);
}

/* ---- all of them ---- */

static void state_answer(struct request *request, const struct msg *msg, unsigned status, enum text_id message)
{
    const struct msg_health_state *state = &msg->u.health_state;
    const struct rec_health_sweep *sweep = &state->sweep;
    const char *word = !HAS(state, msg_health_state, sweep) ? "none"
                       : !sweep->ended_at                   ? "running"
                       : sweep->stopped                     ? "stopped"
                                                            : "ended";
    struct writer w;

    api_open(request, &w, status, message);
    writer_open(&w, "data", '{');
    writer_text(&w, "state", str_of(word));
    writer_time(&w, "begun_at", sweep->begun_at);
    writer_time(&w, "ended_at", sweep->ended_at);
    writer_bool(&w, "unchecked", sweep->unchecked);
    writer_uint(&w, "healthy", sweep->healthy);
    writer_uint(&w, "damaged", sweep->damaged);
    writer_uint(&w, "failed", sweep->failed);
    writer_uint(&w, "running", state->running);
    writer_uint(&w, "left", state->left);
    writer_close(&w, '}');
    api_close(request, &w, status);
}

static void on_begun(struct request *request, const struct msg *msg)
{
    state_answer(request, msg, 201, TEXT_API_SWEEPING);
}

static void on_state(struct request *request, const struct msg *msg)
{
    state_answer(request, msg, 200, TEXT_API_OK);
}

static void on_stopped(struct request *request, const struct msg *msg)
{
    state_answer(request, msg, 200, TEXT_API_SWEPT);
}

void api_health_begin(struct request *request)
{
    struct msg_health_sweep asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 || api_bool(request, "unchecked", &asked.unchecked, &problem) < 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_health_sweep, &asked, on_begun);
}

void api_health_get(struct request *request)
{
    const struct msg_health_ask asked = {0};

    ask_send(request, ASK_SCHEDULER, &shape_msg_health_ask, &asked, on_state);
}

void api_health_stop(struct request *request)
{
    struct msg_health_sweep asked = {.stop = true};
    struct problem problem;

    if (request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_health_sweep, &asked, on_stopped);
}
