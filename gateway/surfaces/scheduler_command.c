/* Commands to the scheduler, which forgets what is over: then they go out again with the record that the store remembers. */
#include "gateway/surfaces/scheduler.h"
#include "proto/log.h"

struct known { /* request->own, once the scheduler has said that it needs it */
    bool fetched;
    struct str run, task, stat; /* encoded */
};

static int attach(struct request *request, const struct shape *shape, char *value, const char *name, struct str bytes)
{
    const struct field *field = shape_field(shape, str_of(name));
    struct arena *arena = request_arena(request);
    struct err err;
    uint64_t has;

    if (!field || bytes.len == 0)
        return 0;
    if (!arena || codec_decode_record(arena, field->record, bytes, value + field->offset, &err) != 0)
        return -1;
    memcpy(&has, value, sizeof has);
    has |= UINT64_C(1) << field->key;
    memcpy(value, &has, sizeof has);
    return 0;
}

static int attach_all(struct request *request, const struct known *known, const struct shape *shape, char *value)
{
    bool run = request->subject_type == TYPE_RUN;

    if (attach(request, shape, value, "known", run ? known->run : known->task) != 0)
        return -1;
    if (run && attach(request, shape, value, "known_task", known->task) != 0)
        return -1;
    return attach(request, shape, value, "known_stat", known->stat);
}

static int keep(struct request *request, struct str bytes, struct str *out)
{
    struct arena *arena = request_arena(request);

    *out = arena && bytes.len ? arena_str(arena, bytes) : (struct str){NULL, 0};
    return bytes.len == 0 || out->ptr ? 0 : -1;
}

static void again(struct request *request)
{
    struct known *known = request->own;

    known->fetched = true;
    request_handle(request);
}

static void on_task(struct request *request, const struct msg *msg)
{
    struct known *known = request->own;
    const struct msg_query_rows *rows = &msg->u.query_rows;

    if (rows->rows.count == 0 && request->subject_type == TYPE_TASK) {
        reply_not_found(request, "id", request->match.args[0]);
        return;
    }
    if (rows->rows.count > 0 && (keep(request, rows->rows.items[0].value, &known->task) != 0 ||
                                 keep(request, rows->rows.items[0].also, &known->stat) != 0)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    again(request);
}

static void fetch_task(struct request *request, uint64_t id)
{
    struct msg_get get = {.type = TYPE_TASK, .ids = {&id, 1}, .also = TYPE_TASK_STAT};
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
}

static void on_run(struct request *request, const struct msg *msg)
{
    struct known *known = request->own;
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct rec_run run;

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
        return;
    }
    if (keep(request, rows->rows.items[0].value, &known->run) != 0) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (!row_run(request, &rows->rows.items[0], &run)) {
        reply_problem_kind(request, PROBLEM_INTERNAL);
        return;
    }
    if (run.task_id > 0)
        fetch_task(request, run.task_id);
    else
        again(request);
}

static bool on_error(struct request *request, const struct msg_error *error)
{
    struct known *known = request->own;

    if (!str_is(error->rule, "fetch") || (known && known->fetched))
        return false;
    request->own = request_alloc(request, sizeof *known);
    if (!request->own) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return true;
    }
    log_debug("GTY-HTTP-FETCH", "type=%u id=%llu", request->subject_type, (unsigned long long)request->subject);
    if (request->subject_type == TYPE_RUN) {
        struct msg_get get = {.type = TYPE_RUN, .ids = {&request->subject, 1}};
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_run);
    } else {
        fetch_task(request, request->subject);
    }
    return true;
}

void command_send(struct request *request, enum record_type type, uint64_t id, const struct shape *shape, void *value,
                  void (*on_answer)(struct request *request, const struct msg *msg))
{
    const struct known *known = request->own;

    request->subject_type = type;
    request->subject = id;
    if (known && attach_all(request, known, shape, value) != 0) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    request->on_error = on_error;
    ask_send(request, ASK_SCHEDULER, shape, value, on_answer);
}
