/* /api/runs/restart, /api/runs/abort: many runs in one call; and DELETE /api/runs.
 *
 * Runs are named by their ids, or found by a filter, oldest first. They go to the scheduler in parts (scheduler/bulk.c): to restart one its
 * stored record is read first, and where the scheduler no longer keeps its task, that run goes again, alone, with its task's record.
 */
#include <stdio.h>

#include "gateway/surfaces/scheduler_bulk.h"
#include "proto/ident.h"

#define BULK_PART 64 /* runs of a part; fewer when their records are large */

static void part_begin(struct request *request);

/* ---- the answer ---- */

static const char *code_name(uint64_t code)
{
    switch (code) {
    case ERR_NOT_FOUND:
        return "RESOURCE_NOT_FOUND";
    case ERR_CONFLICT:
        return "RESOURCE_CONFLICT";
    case ERR_UNAVAILABLE:
        return "DATABASE_ERROR";
    case ERR_INVALID:
    case ERR_KEY_REUSED:
        return "VALIDATION_ERROR";
    default:
        return "SYSTEM_ERROR";
    }
}

static enum problem_kind problem_of(uint64_t code)
{
    switch (code) {
    case ERR_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case ERR_CONFLICT:
        return PROBLEM_CONFLICT;
    case ERR_UNAVAILABLE:
        return PROBLEM_STORE_AWAY;
    case ERR_LIMIT:
        return PROBLEM_LIMIT;
    case ERR_NO_MEMORY:
        return PROBLEM_OVERLOADED;
    case ERR_INVALID:
    case ERR_KEY_REUSED:
        return PROBLEM_INVALID;
    default:
        return PROBLEM_INTERNAL;
    }
}

static void error_write(struct request *request, struct writer *w, const struct rec_bulk_result *result)
{
    struct buf sentence = {.limit = 4096};
    struct problem problem;
    char id[24];

    if (result->code == 0) {
        writer_null(w, "error");
        return;
    }
    snprintf(id, sizeof id, "%llu", (unsigned long long)result->id);
    problem_value(&problem, problem_of(result->code), "id", "", str_of(id), NULL);
    problem.rule = result->rule;
    problem_sentence(&sentence, &problem, request->lang);
    writer_open(w, "error", '{');
    writer_text(w, "code", str_of(code_name(result->code)));
    writer_text(w, "message", buf_str(&sentence));
    writer_close(w, '}');
    request->out.failed = request->out.failed || sentence.failed;
    buf_free(&sentence);
}

static void bulk_write(struct request *request, const struct rec_bulk_result *results, uint32_t count, bool more)
{
    const struct bulk *bulk = request->own;
    uint64_t done = 0, last = 0;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_open(&w, "results", '[');
    for (uint32_t i = 0; i < count; i++) {
        const struct rec_bulk_result *result = &results[i];
        done += result->code == 0;
        last = result->id > last ? result->id : last;
        writer_open(&w, NULL, '{');
        writer_uint(&w, "id", result->id);
        writer_bool(&w, "done", result->code == 0);
        if (bulk->op == BULK_RESTART && result->new_run_id)
            writer_uint(&w, "new_run_id", result->new_run_id);
        else if (bulk->op == BULK_RESTART)
            writer_null(&w, "new_run_id");
        if (result->code == 0)
            writer_text(&w, "status", str_of(run_status_name(result->status)));
        else
            writer_null(&w, "status");
        error_write(request, &w, result);
        writer_close(&w, '}');
    }
    writer_close(&w, ']');
    writer_uint(&w, "total", count);
    writer_uint(&w, "done", done);
    writer_bool(&w, "more", more);
    writer_uint(&w, "last_id", last);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* ---- parts ---- */

/* Its rules are few and literal; of one that is not known here only the code is told. */
static struct str rule_keep(struct request *request, struct str rule)
{
    struct arena *arena = request_arena(request);
    struct str kept = rule.len && arena ? arena_str(arena, rule) : (struct str){NULL, 0};

    return kept.ptr ? kept : STR_LIT("");
}

static void part_refuse(struct bulk *bulk, uint64_t code, const char *rule)
{
    for (uint32_t i = 0; i < bulk->part; i++)
        bulk->results[bulk->at + i] = (struct rec_bulk_result){.id = bulk->ids[bulk->at + i], .code = code, .rule = str_of(rule)};
}

/* What was done stays: it is told, and the same key goes on with the rest. */
static void break_off(struct request *request, uint64_t code)
{
    struct bulk *bulk = request->own;

    bulk->part = bulk->count - bulk->at;
    part_refuse(bulk, code, "");
    bulk_write(request, bulk->results, bulk->count, bulk->more);
}

static void out_of_memory(struct request *request)
{
    const struct bulk *bulk = request->own;

    request->out.failed = false; /* of what was prepared; the answer has room of its own */
    if (bulk->at == 0)
        reply_problem_kind(request, PROBLEM_OVERLOADED);
    else
        break_off(request, ERR_NO_MEMORY);
}

static bool on_part_error(struct request *request, const struct msg_error *error)
{
    const struct bulk *bulk = request->own;

    if (bulk->at == 0 || error->soon)
        return false;
    break_off(request, error->code);
    return true;
}

/* A row that cannot be read: out of memory, or damaged. */
static void row_unread(struct request *request)
{
    if (request->out.failed)
        out_of_memory(request);
    else
        row_refuse(request);
}

static void on_part(struct request *request, const struct msg *msg)
{
    const struct msg_run_bulk_answer *answer = &msg->u.run_bulk_answer;
    struct bulk *bulk = request->own;

    request->retry_until_ms = 0; /* the next part has time of its own */
    if (answer->end) {           /* also when this call's key has been answered before */
        bulk_write(request, answer->results.items, answer->results.count, answer->more);
        return;
    }
    for (uint32_t i = 0, at = bulk->at, last = bulk->at + bulk->part; at < last; at++) {
        struct rec_bulk_result *result = &bulk->results[at];
        if (result->code != 0)
            continue; /* the store had no such run, so it was not in the part */
        if (i == answer->results.count || answer->results.items[i].id != bulk->ids[at]) {
            reply_problem_kind(request, PROBLEM_INTERNAL);
            return;
        }
        *result = answer->results.items[i++];
        result->rule = rule_keep(request, result->rule);
        if (str_is(result->rule, "fetch") && !bulk->alone) { /* up to here they are done; this one goes again with its task */
            bulk->at = at;
            bulk->alone = true;
            part_begin(request);
            return;
        }
    }
    bulk->at += bulk->part;
    part_begin(request);
}

static void idem_fill(struct request *request, const struct bulk *bulk, uint64_t id, struct rec_idem *idem)
{
    unsigned char *hash = request_alloc(request, IDENT_HASH);
    const struct str parts[] = {bulk->idem.scope, STR_LIT("bulk"), {(const char *)&id, sizeof id}};

    if (!hash) {
        request->out.failed = true;
        return;
    }
    ident_hash(hash, parts, 3);
    *idem = (struct rec_idem){.scope = {(const char *)hash, IDENT_HASH}, .body = {(const char *)hash, IDENT_HASH}};
}

/* Sends the part: of restarts, the runs that the store has. The last part is one without items: what it brings is the whole. */
static void part_send(struct request *request, const struct rec_run *runs, uint32_t count)
{
    struct bulk *bulk = request->own;
    struct msg_run_bulk part = {
        .idem = bulk->idem, .op = bulk->op, .reason = bulk->reason, .more = bulk->more, .last = bulk->at == bulk->count};
    struct rec_bulk_item items[BULK_PART] = {0};
    struct rec_task task;
    struct rec_task_stat stat;
    struct err err;

    part.items = (struct rec_bulk_item_list){items, 0};
    for (uint32_t i = 0; i < bulk->part; i++) {
        uint64_t id = bulk->ids[bulk->at + i];
        if (bulk->results[bulk->at + i].code != 0)
            continue;
        items[part.items.count].id = id;
        idem_fill(request, bulk, id, &items[part.items.count++].idem);
    }
    part.runs = (struct rec_run_list){(struct rec_run *)(uintptr_t)runs, count}; /* only read */
    if (part.last)
        part.before = (struct rec_bulk_result_list){bulk->results, bulk->count};
    if (bulk->alone && bulk->part > 0 && bulk->task.len &&
        rec_decode_task(request_arena(request), bulk->task, &task, &err) == 0) {
        part.task = task;
        SET_HAS(&part, msg_run_bulk, task);
    }
    if (bulk->alone && bulk->part > 0 && bulk->stat.len &&
        rec_decode_task_stat(request_arena(request), bulk->stat, &stat, &err) == 0) {
        part.stat = stat;
        SET_HAS(&part, msg_run_bulk, stat);
    }
    if (request->out.failed) {
        out_of_memory(request);
        return;
    }
    request->on_error = on_part_error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_run_bulk, &part, on_part);
}

/* What a restart takes of a run's record. */
static struct rec_run run_brief(const struct rec_run *run)
{
    struct rec_run brief = {.id = run->id,
                            .task_id = run->task_id,
                            .task_name = run->task_name,
                            .status = run->status,
                            .priority = run->priority,
                            .created_at = run->created_at,
                            .retry_count = run->retry_count,
                            .timeout_seconds = run->timeout_seconds,
                            .parameters = run->parameters};
    if (HAS(run, rec_run, spec)) {
        brief.spec = run->spec;
        SET_HAS(&brief, rec_run, spec);
    }
    return brief;
}

/* The records of the part, in its order; those that are missing were deleted. */
static void on_runs(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct bulk *bulk = request->own;
    struct rec_run runs[BULK_PART], run;
    uint32_t count = 0;

    for (uint32_t i = 0; i < bulk->part; i++) {
        uint64_t id = bulk->ids[bulk->at + i];
        struct rec_bulk_result *result = &bulk->results[bulk->at + i];
        const struct rec_row *row = count < rows->count && rows->items[count].id == id ? &rows->items[count] : NULL;
        *result = (struct rec_bulk_result){.id = id};
        if (row && !row_run(request, row, &run)) {
            row_unread(request);
            return;
        }
        if (row) {
            runs[count++] = run_brief(&run);
        } else {
            result->code = ERR_NOT_FOUND;
            result->rule = STR_LIT("not_found");
        }
    }
    part_send(request, runs, count);
}

/* The part's records are too large for one answer: a smaller part. */
static bool on_runs_error(struct request *request, const struct msg_error *error)
{
    struct bulk *bulk = request->own;

    if (error->code != ERR_LIMIT || bulk->part < 2)
        return false;
    bulk->part_most = bulk->part / 2;
    part_begin(request);
    return true;
}

static void ask_runs(struct request *request)
{
    struct bulk *bulk = request->own;
    struct msg_get get = {.type = TYPE_RUN, .ids = {bulk->ids + bulk->at, bulk->part}};

    request->on_error = on_runs_error;
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_runs);
}

/* ---- a run whose task the scheduler does not keep ---- */

/* Copies two records to where those of the run before were: the request's memory must last for a thousand. -1 when it does not. */
static int records_keep(struct request *request, struct str task, struct str stat)
{
    struct bulk *bulk = request->own;
    size_t need = (size_t)task.len + stat.len;

    if (need > bulk->room_size) {
        char *room = request_alloc(request, need * 2);
        if (!room)
            return -1;
        bulk->room = room;
        bulk->room_size = need * 2;
    }
    if (task.len)
        memcpy(bulk->room, task.ptr, task.len);
    if (stat.len)
        memcpy(bulk->room + task.len, stat.ptr, stat.len);
    bulk->task = (struct str){bulk->room, task.len};
    bulk->stat = (struct str){bulk->room + task.len, stat.len};
    return 0;
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;

    if (rows->count > 0 && records_keep(request, rows->items[0].value, rows->items[0].also) != 0)
        out_of_memory(request);
    else
        ask_runs(request);
}

static void on_lone_run(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct rec_run run;

    if (rows->count == 0) {
        on_runs(request, msg);
    } else if (!row_run(request, &rows->items[0], &run)) {
        row_unread(request);
    } else {
        struct msg_get get = {.type = TYPE_TASK, .ids = {&run.task_id, 1}, .also = TYPE_TASK_STAT};
        request->on_error = NULL;
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
    }
}

static void part_begin(struct request *request)
{
    struct bulk *bulk = request->own;
    uint32_t left = bulk->count - bulk->at;

    bulk->part = left < bulk->part_most ? left : bulk->part_most;
    bulk->task = bulk->stat = (struct str){NULL, 0};
    if (bulk->alone && bulk->part > 0) {
        struct msg_get get = {.type = TYPE_RUN, .ids = {bulk->ids + bulk->at, 1}};
        bulk->part = 1;
        request->on_error = NULL;
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_lone_run);
    } else if (bulk->part > 0 && bulk->op == BULK_RESTART) {
        ask_runs(request);
    } else {
        for (uint32_t i = 0; i < bulk->part; i++)
            bulk->results[bulk->at + i] = (struct rec_bulk_result){.id = bulk->ids[bulk->at + i]};
        part_send(request, NULL, 0);
    }
}

/* ---- the call ---- */

static void on_found(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct bulk *bulk = request->own;

    for (uint32_t i = 0; i < rows->rows.count && i < BULK_MOST; i++)
        bulk->ids[bulk->count++] = rows->rows.items[i].id;
    bulk->found = true;
    bulk->more = rows->total > rows->rows.count || rows->total_is_lower_bound;
    part_begin(request);
}

static struct bulk *bulk_new(struct request *request, enum bulk_op op)
{
    struct bulk *bulk = request_alloc(request, sizeof *bulk);

    if (!bulk)
        return NULL;
    *bulk = (struct bulk){.op = op, .part_most = BULK_PART};
    bulk->ids = request_alloc(request, BULK_MOST * sizeof *bulk->ids);
    bulk->results = request_alloc(request, BULK_MOST * sizeof *bulk->results);
    return bulk->ids && bulk->results ? bulk : NULL;
}

static void bulk_handle(struct request *request, enum bulk_op op)
{
    struct rec_filter filters[4];
    struct msg_query query = {.type = TYPE_RUN, .filters = {filters, 0}, .page = 1, .ids_only = true};
    struct problem problem;
    struct bulk *bulk = request->own;

    if (bulk) { /* the scheduler said to come back */
        part_begin(request);
        return;
    }
    bulk = bulk_new(request, op);
    if (!bulk) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    if (request_read_json(request, &problem) != 0 || bulk_read(request, bulk, &query, &problem) != 0 ||
        request_idem(request, &bulk->idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    request->own = bulk;
    if (bulk->found)
        part_begin(request);
    else
        ask_send(request, ASK_STORE, &shape_msg_query, &query, on_found);
}

void runs_restart_many(struct request *request)
{
    bulk_handle(request, BULK_RESTART);
}

void runs_abort_many(struct request *request)
{
    bulk_handle(request, BULK_ABORT);
}
