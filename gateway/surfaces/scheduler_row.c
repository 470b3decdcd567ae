/* Rows of the store: asking for the one that a path names, and reading the records in them. */
#include "gateway/surfaces/scheduler.h"
#include "proto/log.h"

void row_ask(struct request *request, enum record_type type, enum record_type also,
             void (*on_answer)(struct request *request, const struct msg *msg))
{
    uint64_t id = 0;
    struct msg_get get = {.type = type, .ids = {&id, 1}, .also = also};
    struct problem problem;

    if (request_id(request, 0, &id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_answer);
}

/* For want of memory the answer as a whole fails, as one that could not be written does: a list must not lack a row in silence. A damaged
 * row is told, and left out. */
static bool row_unread(struct request *request, const struct rec_row *row, const struct err *err)
{
    if (err->code == ERR_NO_MEMORY)
        request->out.failed = true;
    else
        log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)row->id, err->text);
    return false;
}

void row_refuse(struct request *request)
{
    reply_problem_kind(request, request->out.failed ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
}

bool row_task(struct request *request, const struct rec_row *row, struct rec_task *task, struct rec_task_stat *stat,
              bool *has_stat)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (!arena || rec_decode_task(arena, row->value, task, &err) != 0)
        return row_unread(request, row, &err);
    *has_stat = row->also.len > 0 && rec_decode_task_stat(arena, row->also, stat, &err) == 0;
    return *has_stat || row->also.len == 0 || err.code != ERR_NO_MEMORY || row_unread(request, row, &err);
}

bool row_fire(struct request *request, const struct rec_row *row, struct rec_fire *fire)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (!arena || rec_decode_fire(arena, row->value, fire, &err) != 0)
        return row_unread(request, row, &err);
    return true;
}

bool row_run(struct request *request, const struct rec_row *row, struct rec_run *run)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (!arena || rec_decode_run(arena, row->value, run, &err) != 0)
        return row_unread(request, row, &err);
    return true;
}

bool row_log_entry(struct request *request, const struct rec_row *row, struct rec_log_entry *entry)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (!arena || rec_decode_log_entry(arena, row->value, entry, &err) != 0)
        return row_unread(request, row, &err);
    return true;
}

bool row_audit(struct request *request, const struct rec_row *row, struct rec_audit *line)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (!arena || rec_decode_audit(arena, row->value, line, &err) != 0)
        return row_unread(request, row, &err);
    return true;
}
