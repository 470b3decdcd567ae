/* /api/runs/{id}/why */
#include "gateway/surfaces/scheduler.h"

struct why {    /* request->own */
    bool again; /* the scheduler knew nothing of a run that had not ended: it has meanwhile */
};

static void ask_run(struct request *request);

static void dependency_write(struct writer *w, const struct msg_run_why_rows *rows)
{
    if (!rows->on_task_id) {
        writer_null(w, "dependency");
        return;
    }
    writer_open(w, "dependency", '{');
    writer_uint(w, "task_id", rows->on_task_id);
    writer_text(w, "task_name", rows->on_task_name);
    if (rows->on_run_id)
        writer_uint(w, "run_id", rows->on_run_id);
    else
        writer_null(w, "run_id");
    writer_uint(w, "open", rows->dependencies);
    writer_close(w, '}');
}

static void queue_write(struct writer *w, const struct msg_run_why_rows *rows)
{
    if (!HAS(rows, msg_run_why_rows, ahead)) {
        writer_null(w, "queue");
        return;
    }
    writer_open(w, "queue", '{');
    writer_uint(w, "ahead", rows->ahead);
    if (rows->ahead_is_lower_bound)
        writer_bool(w, "ahead_is_lower_bound", true);
    writer_close(w, '}');
}

static void workers_write(struct writer *w, const struct msg_run_why_rows *rows)
{
    const struct rec_why_workers *workers = &rows->workers;

    if (!HAS(rows, msg_run_why_rows, workers)) {
        writer_null(w, "workers");
        return;
    }
    writer_open(w, "workers", '{');
    writer_uint(w, "serve_type", workers->serve_type);
    writer_uint(w, "serve_executor", workers->serve_executor);
    writer_uint(w, "can_take", workers->can_take);
    writer_uint(w, "with_room", workers->with_room);
    writer_uint(w, "busy", workers->busy);
    writer_uint(w, "resting", workers->resting);
    writer_uint(w, "draining", workers->draining);
    writer_open(w, "missing_labels", '[');
    for (uint32_t i = 0; i < workers->labels.count; i++) {
        const struct rec_why_label *label = &workers->labels.items[i];
        writer_open(w, NULL, '{');
        writer_text(w, "name", label->name);
        writer_text(w, "value", label->value);
        writer_uint(w, "workers", label->lacking);
        writer_close(w, '}');
    }
    writer_close(w, ']');
    writer_close(w, '}');
}

static void why_write(struct request *request, const struct msg_run_why_rows *rows)
{
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "run_id", rows->run_id);
    writer_text(&w, "status", str_of(run_status_name(rows->status)));
    writer_bool(&w, "waits", rows->waits);
    writer_text(&w, "code", rows->code);
    writer_text_or_null(&w, "reason", rows->reason);
    writer_uint(&w, "attempt", rows->attempt);
    writer_time(&w, "until", rows->until);
    writer_text_or_null(&w, "worker_id", rows->worker_name);
    writer_time(&w, "since", rows->since);
    dependency_write(&w, rows);
    queue_write(&w, rows);
    workers_write(&w, rows);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_why(struct request *request, const struct msg *msg)
{
    struct why *why = request->own;

    if (!str_is(msg->u.run_why_rows.code, "final")) {
        why_write(request, &msg->u.run_why_rows);
    } else if (why->again) {
        reply_problem_kind(request, PROBLEM_SCHEDULER_AWAY); /* it is neither there nor over: not loaded yet */
    } else {
        why->again = true;
        ask_run(request);
    }
}

static void on_run(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct rec_run run;

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
    } else if (!row_run(request, &rows->rows.items[0], &run)) {
        row_refuse(request);
    } else if (run_status_final(run.status)) {
        const struct msg_run_why_rows over = {.run_id = run.id,
                                              .code = STR_LIT("final"),
                                              .status = run.status,
                                              .reason = run.error_message,
                                              .attempt = run.attempt,
                                              .worker_name = run.worker_name,
                                              .since = run.started_at};
        why_write(request, &over);
    } else {
        struct msg_run_why ask = {.id = run.id};
        ask_send(request, ASK_SCHEDULER, &shape_msg_run_why, &ask, on_why);
    }
}

static void ask_run(struct request *request)
{
    row_ask(request, TYPE_RUN, 0, on_run);
}

void runs_why(struct request *request)
{
    request->own = request_alloc(request, sizeof(struct why));
    if (request->own)
        ask_run(request);
    else
        reply_problem_kind(request, PROBLEM_OVERLOADED);
}
