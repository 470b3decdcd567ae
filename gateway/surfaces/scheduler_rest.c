/* /api/workers: what workers over REST say of themselves, and what is said of any. */
#include "gateway/fields.h"
#include "gateway/json.h"
#include "gateway/surfaces/scheduler.h"

#define DEFAULT_SLOTS 5
#define NAMED_MAX 4096 /* runs that a heartbeat names: msg_worker_beat.runs */

/* ---- shared ---- */

int rest_id(struct request *request, struct str *id, struct problem *problem)
{
    *id = request->match.args[0];
    if (id->len >= 1 && id->len <= shape_field(&shape_msg_worker_list, STR_LIT("name"))->high)
        return 0;
    return problem_value(problem, PROBLEM_NOT_FOUND, "id", "not_found", *id, NULL);
}

void rest_write_cancel(struct writer *w, const struct uint_list *cancel)
{
    writer_open(w, "cancel", '[');
    for (uint32_t i = 0; i < cancel->count; i++)
        writer_uint(w, NULL, cancel->items[i]);
    writer_close(w, ']');
}

/* ---- register, change, remove ---- */

static void answer_worker(struct request *request, const struct msg *msg, unsigned status)
{
    const struct msg_worker_answer *answer = &msg->u.worker_answer;
    struct writer w;

    envelope_open(request, &w);
    worker_write_changed(&w, &answer->worker, answer->current);
    envelope_close(request, &w, status);
}

static void on_registered(struct request *request, const struct msg *msg)
{
    answer_worker(request, msg, 201);
}

static void on_updated(struct request *request, const struct msg *msg)
{
    answer_worker(request, msg, 200);
}

static void on_removed(struct request *request, const struct msg *msg)
{
    struct writer w;
    (void)msg;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "message", str_of(text_of(TEXT_WORKER_REMOVED, request->lang)));
    writer_text(&w, "worker_id", request->match.args[0]);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* A type is what a task names: none names an empty one. */
static int types_check(const struct str_list *types, struct problem *problem)
{
    for (uint32_t i = 0; i < types->count; i++) {
        if (types->items[i].len == 0)
            return problem_value(problem, PROBLEM_INVALID, "task_types", "length", types->items[i], "1..64");
    }
    return 0;
}

void workers_register(struct request *request)
{
    static const char *const skips[] = {"idem", "whose", NULL};
    static const char *const required[] = {"hostname", "ip_address", "port", "task_types"};
    struct msg_worker_register asked = {.max_concurrent_tasks = DEFAULT_SLOTS};
    struct problem problem;

    if (request_read_json(request, &problem) != 0)
        goto error;
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (fields_require(request->json, required[i], "", &problem) != 0)
            goto error;
    }
    if (fields_read(request, request->json, &shape_msg_worker_register, skips, "", false, &asked, &problem) != 0 ||
        types_check(&asked.task_types, &problem) != 0 || fields_texts_only(request->json, "labels", &problem) != 0 ||
        request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_register, &asked, on_registered);
    return;
error:
    reply_problem(request, &problem);
}

static int status_read(const json_t *object, struct msg_worker_update *asked, struct problem *problem)
{
    const json_t *status = json_object_get(object, "status");

    if (!status || json_is_null(status))
        return 0;
    if (!json_is_string(status))
        return problem_json(problem, "status", "type", status, "string");
    int word = worker_status_parse((struct str){json_string_value(status), (uint32_t)json_string_length(status)});
    if (word < 0)
        return problem_json(problem, "status", "enum", status, "active|draining|offline");
    asked->status = (uint64_t)word;
    SET_HAS(asked, msg_worker_update, status);
    return 0;
}

void workers_update(struct request *request)
{
    static const char *const skips[] = {"idem", "id", "status", "whose", NULL};
    struct msg_worker_update asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_worker_update, skips, "", true, &asked, &problem) != 0 ||
        types_check(&asked.task_types, &problem) != 0 || fields_texts_only(request->json, "labels", &problem) != 0 ||
        status_read(request->json, &asked, &problem) != 0 || rest_id(request, &asked.id, &problem) != 0 ||
        request_owner(request, &asked.whose, &problem) != 0 || request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_update, &asked, on_updated);
    return;
error:
    reply_problem(request, &problem);
}

void workers_remove(struct request *request)
{
    struct msg_worker_remove asked = {0};
    struct problem problem;
    int fault = 0;

    page_bool(request, "force", &asked.force, &problem, &fault);
    if (fault || rest_id(request, &asked.id, &problem) != 0 || request_owner(request, &asked.whose, &problem) != 0 ||
        request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_remove, &asked, on_removed);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- heartbeat ---- */

static void on_beat(struct request *request, const struct msg *msg)
{
    const struct msg_worker_beat_answer *answer = &msg->u.worker_beat_answer;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "worker_id", answer->id);
    writer_text(&w, "status", str_of(worker_status_name(answer->status)));
    writer_time(&w, "last_heartbeat", answer->last_heartbeat);
    writer_text(&w, "message", str_of(text_of(TEXT_HEARTBEAT, request->lang)));
    rest_write_cancel(&w, &answer->cancel);
    writer_real(&w, "heartbeat_seconds", (double)answer->heartbeat_ms / 1000.0);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

/* A run it holds: its id, or {run_id, attempt}. */
static int named_read(const json_t *item, uint64_t *run, uint64_t *attempt, struct problem *problem)
{
    const json_t *id = json_is_object(item) ? json_object_get(item, "run_id") : item;
    const json_t *number = json_is_object(item) ? json_object_get(item, "attempt") : NULL;
    int64_t value = 0;

    if (!json_integral(id, &value))
        return problem_json(problem, "current_tasks", "type", item, "integer");
    if (value < 1)
        return problem_json(problem, "current_tasks", "range", item, "at least 1");
    *run = (uint64_t)value;
    value = 0;
    if (number && (!json_integral(number, &value) || value < 1))
        return problem_json(problem, "current_tasks", "range", item, "at least 1");
    *attempt = (uint64_t)value;
    return 0;
}

static int tasks_read(struct request *request, struct msg_worker_beat *beat, struct problem *problem)
{
    const json_t *tasks = json_object_get(request->json, "current_tasks");
    size_t count = json_array_size(tasks);

    if (!tasks || json_is_null(tasks))
        return 0;
    if (!json_is_array(tasks))
        return problem_json(problem, "current_tasks", "type", tasks, "list of integers");
    if (count > NAMED_MAX)
        return problem_json(problem, "current_tasks", "items", tasks, "0..%d", NAMED_MAX);
    beat->runs.items = request_alloc(request, count * sizeof(uint64_t) + 1);
    beat->attempts.items = request_alloc(request, count * sizeof(uint64_t) + 1);
    if (!beat->runs.items || !beat->attempts.items)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        if (named_read(json_array_get(tasks, i), &beat->runs.items[i], &beat->attempts.items[i], problem) != 0)
            return -1;
    }
    beat->runs.count = beat->attempts.count = (uint32_t)count;
    SET_HAS(beat, msg_worker_beat, runs);
    return 0;
}

/* No heartbeat is worth a key of ours: asked again, it says what is true then. */
static int beat_key(struct request *request, struct msg_worker_beat *beat, struct problem *problem)
{
    if (request->headers.idempotency_key.len == 0)
        return 0;
    if (request_idem(request, &beat->idem, problem) != 0)
        return -1;
    CLEAR_HAS(&beat->idem, rec_idem, by); /* a sign of life, and nobody's act */
    SET_HAS(beat, msg_worker_beat, idem);
    return 0;
}

void workers_beat(struct request *request)
{
    static const char *const skips[] = {"id", "runs", "attempts", "whose", "idem", NULL};
    struct msg_worker_beat beat = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        fields_read(request, request->json, &shape_msg_worker_beat, skips, "", false, &beat, &problem) != 0 ||
        tasks_read(request, &beat, &problem) != 0 || rest_id(request, &beat.id, &problem) != 0 ||
        request_owner(request, &beat.whose, &problem) != 0 || beat_key(request, &beat, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_worker_beat, &beat, on_beat);
    return;
error:
    reply_problem(request, &problem);
}
