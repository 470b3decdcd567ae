/* /api/webhooks */
#include "gateway/event_type.h"
#include "gateway/event_write.h"
#include "gateway/fields.h"
#include "gateway/gateway.h"
#include "gateway/hook_sign.h"
#include "gateway/hooks.h"
#include "gateway/surfaces/scheduler.h"
#include "proto/ident.h"
#include "proto/log.h"

static const struct page_sort sorts[] = {{"created_at", ""}, {"id", ""}, {NULL, NULL}};

/* ---- answers ---- */

static void events_write(struct writer *w, const struct str_list *events)
{
    const char *name;

    if (events->count > 0) {
        writer_texts(w, "events", events);
        return;
    }
    writer_open(w, "events", '[');
    for (unsigned i = 0; (name = event_type_name(i)); i++) {
        if (event_type_bit(str_of(name)) & event_types_default())
            writer_text(w, NULL, str_of(name));
    }
    writer_close(w, ']');
}

static void webhook_write(struct writer *w, const char *key, const struct rec_webhook *webhook, bool secret)
{
    writer_open(w, key, '{');
    writer_uint(w, "id", webhook->id);
    writer_text(w, "url", webhook->spec.url);
    events_write(w, &webhook->spec.events);
    writer_text(w, "description", webhook->spec.description);
    if (webhook->spec.task_id > 0)
        writer_uint(w, "task_id", webhook->spec.task_id);
    else
        writer_null(w, "task_id");
    writer_bool(w, "active", webhook->spec.active);
    if (secret)
        writer_text(w, "secret", webhook->spec.secret);
    writer_open(w, "statistics", '{');
    writer_uint(w, "delivered", webhook->delivered);
    writer_uint(w, "failed", webhook->failed);
    writer_uint(w, "pending", webhook->pending);
    writer_uint(w, "missed", webhook->missed);
    writer_close(w, '}');
    writer_time(w, "created_at", webhook->created_at);
    writer_time(w, "updated_at", webhook->updated_at);
    writer_close(w, '}');
}

static void delivery_write(struct writer *w, const char *key, const struct rec_delivery *delivery)
{
    writer_open(w, key, '{');
    writer_uint(w, "id", delivery->id);
    writer_uint(w, "webhook_id", delivery->webhook_id);
    writer_text(w, "event", delivery->event.type);
    writer_uint(w, "event_id", delivery->event.id);
    writer_text(w, "status", str_of(delivery_status_name(delivery->status)));
    writer_uint(w, "attempts", delivery->attempts);
    writer_time(w, "next_at", delivery->next_at);
    writer_time(w, "completed_at", delivery->ended_at);
    if (delivery->code > 0)
        writer_uint(w, "status_code", delivery->code);
    else
        writer_null(w, "status_code");
    writer_text_or_null(w, "error", delivery->error);
    writer_uint(w, "duration_ms", delivery->duration_ms);
    writer_open(w, "payload", '{');
    event_write_members(w, &delivery->event);
    writer_close(w, '}');
    writer_time(w, "created_at", delivery->created_at);
    writer_close(w, '}');
}

static void webhook_answer(struct request *request, const struct msg *msg, bool secret, unsigned status)
{
    struct writer w;

    hooks_changed(request->gateway->hooks);
    envelope_open(request, &w);
    webhook_write(&w, "data", &msg->u.webhook_answer.webhook, secret);
    envelope_close(request, &w, status);
}

static void on_created(struct request *request, const struct msg *msg)
{
    webhook_answer(request, msg, true, 201);
}

static void on_updated(struct request *request, const struct msg *msg)
{
    webhook_answer(request, msg, false, 200);
}

static void on_deleted(struct request *request, const struct msg *msg)
{
    struct writer w;

    hooks_changed(request->gateway->hooks);
    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_text(&w, "message", str_of(text_of(TEXT_WEBHOOK_DELETED, request->lang)));
    writer_uint(&w, "deleted_id", msg->u.done.id);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

static void on_delivery(struct request *request, const struct msg *msg)
{
    struct writer w;

    hooks_changed(request->gateway->hooks);
    envelope_open(request, &w);
    delivery_write(&w, "data", &msg->u.delivery_answer.delivery);
    envelope_close(request, &w, 201);
}

/* ---- what clients say ---- */

static int url_check(struct request *request, struct str url, struct problem *problem)
{
    switch (target_check(hooks_targets(request->gateway->hooks), url)) {
    case TARGET_FINE:
        return 0;
    case TARGET_USER:
        return problem_value(problem, PROBLEM_INVALID, "url", "format", url, "an address without a user's name and password");
    case TARGET_ADDRESS:
        return problem_value(problem, PROBLEM_INVALID, "url", "target", url, NULL);
    case TARGET_MALFORMED:
    case TARGET_SCHEME:
        break;
    }
    return problem_value(problem, PROBLEM_INVALID, "url", "format", url, "an address as https://example.com/hook");
}

static int spec_check(struct request *request, const struct rec_webhook_spec *spec, struct problem *problem)
{
    uint64_t types = 0;

    if (HAS(spec, rec_webhook_spec, url) && url_check(request, spec->url, problem) != 0)
        return -1;
    for (uint32_t i = 0; i < spec->events.count; i++) {
        if (!event_types_add(&types, spec->events.items[i]))
            return problem_value(problem, PROBLEM_INVALID, "events", "enum", spec->events.items[i], "%s", event_types_known());
    }
    if (spec->secret.len > 0 && !hook_secret_valid(spec->secret))
        return problem_value(problem, PROBLEM_INVALID, "secret", "format", (struct str){NULL, 0},
                             "whsec_ with a key of 16 to 64 bytes behind it, or any text without whsec_");
    return 0;
}

void webhooks_create(struct request *request)
{
    struct msg_webhook_create create = {0};
    struct problem problem;
    char ident[17], secret[HOOK_SECRET_SIZE];

    if (request_read_json(request, &problem) != 0 || fields_require(request->json, "url", "", &problem) != 0 ||
        fields_read(request, request->json, &shape_rec_webhook_spec, NULL, "", false, &create.spec, &problem) != 0 ||
        spec_check(request, &create.spec, &problem) != 0 || request_idem(request, &create.idem, &problem) != 0)
        goto error;
    ident_random(ident, 8);
    create.ident = str_of(ident);
    if (create.spec.secret.len == 0)
        create.spec.secret = str_of(hook_secret_make(secret));
    ask_send(request, ASK_SCHEDULER, &shape_msg_webhook_create, &create, on_created);
    return;
error:
    reply_problem(request, &problem);
}

void webhooks_update(struct request *request)
{
    struct msg_webhook_update update = {0};
    struct problem problem;

    if (request_id(request, 0, &update.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        fields_read(request, request->json, &shape_rec_webhook_spec, NULL, "", true, &update.spec, &problem) != 0 ||
        spec_check(request, &update.spec, &problem) != 0 || request_idem(request, &update.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_webhook_update, &update, on_updated);
    return;
error:
    reply_problem(request, &problem);
}

void webhooks_delete(struct request *request)
{
    struct msg_webhook_delete delete = {0};
    struct problem problem;

    if (request_id(request, 0, &delete.id, &problem) != 0 || request_idem(request, &delete.idem, &problem) != 0)
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_webhook_delete, &delete, on_deleted);
}

void webhooks_ping(struct request *request)
{
    struct msg_webhook_ping ping = {0};
    struct problem problem;

    if (request_id(request, 0, &ping.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        request_idem(request, &ping.idem, &problem) != 0)
        reply_problem(request, &problem);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_webhook_ping, &ping, on_delivery);
}

/* ---- reading ---- */

/* Decodes a row; false (logged) when it is damaged, or (the answer fails as a whole) when memory is short. */
static bool row_read(struct request *request, const struct rec_row *row, const struct shape *shape, void *out)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (arena && codec_decode_record(arena, shape, row->value, out, &err) == 0)
        return true;
    if (err.code == ERR_NO_MEMORY)
        request->out.failed = true;
    else
        log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)row->id, err.text);
    return false;
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_webhook webhook;
        if (row_read(request, &rows->rows.items[i], &shape_rec_webhook, &webhook))
            webhook_write(&w, NULL, &webhook, false);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

void webhooks_list(struct request *request)
{
    struct msg_query query = {.type = TYPE_WEBHOOK};
    struct problem problem;

    if (!page_new(request, sorts, &problem))
        reply_problem(request, &problem);
    else
        page_ask(request, &query, on_listed);
}

static void on_got(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct rec_webhook webhook;
    struct writer w;

    if (rows->rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
    } else if (!row_read(request, &rows->rows.items[0], &shape_rec_webhook, &webhook)) {
        row_refuse(request);
    } else {
        envelope_open(request, &w);
        webhook_write(&w, "data", &webhook, false);
        envelope_close(request, &w, 200);
    }
}

void webhooks_get(struct request *request)
{
    row_ask(request, TYPE_WEBHOOK, 0, on_got);
}

/* ---- deliveries ---- */

static void on_deliveries(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    page_open(request, &w);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_delivery delivery;
        if (row_read(request, &rows->rows.items[i], &shape_rec_delivery, &delivery))
            delivery_write(&w, NULL, &delivery);
    }
    page_close(request, &w, rows->total, rows->total_is_lower_bound);
}

/* Its webhook is there: else the list of one that never was would be empty. */
static void on_owner(struct request *request, const struct msg *msg)
{
    struct rec_filter filters[2];
    struct msg_query query = {.type = TYPE_DELIVERY, .filters = {filters, 1}};
    struct problem problem;
    uint64_t id = 0, status = 0;
    int fault = request_id(request, 0, &id, &problem);

    if (!fault && msg->u.query_rows.rows.count == 0) {
        reply_not_found(request, "id", request->match.args[0]);
        return;
    }
    filters[0] = page_filter("webhook_id", FILTER_EQ, id);
    if (!fault && page_word(request, "status", delivery_status_parse, "pending|delivered|failed", &status, &problem, &fault))
        filters[query.filters.count++] = page_filter("status", FILTER_EQ, status);
    if (fault)
        reply_problem(request, &problem);
    else
        page_ask(request, &query, on_deliveries);
}

void deliveries_list(struct request *request)
{
    struct problem problem;
    uint64_t status;
    int fault = page_new(request, sorts, &problem) ? 0 : -1;

    page_word(request, "status", delivery_status_parse, "pending|delivered|failed", &status, &problem, &fault);
    if (fault)
        reply_problem(request, &problem);
    else
        row_ask(request, TYPE_WEBHOOK, 0, on_owner);
}

static void on_known(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct msg_delivery_again again = {0};
    struct problem problem;
    uint64_t webhook = 0;

    if (request_id(request, 0, &webhook, &problem) != 0 || request_idem(request, &again.idem, &problem) != 0)
        reply_problem(request, &problem);
    else if (rows->rows.count == 0)
        reply_not_found(request, "id", request->match.args[1]);
    else if (!row_read(request, &rows->rows.items[0], &shape_rec_delivery, &again.known))
        row_refuse(request);
    else if (again.known.webhook_id != webhook)
        reply_not_found(request, "id", request->match.args[1]);
    else
        ask_send(request, ASK_SCHEDULER, &shape_msg_delivery_again, &again, on_delivery);
}

void deliveries_again(struct request *request)
{
    struct msg_get get = {.type = TYPE_DELIVERY};
    struct problem problem;
    uint64_t id = 0;

    if (request_id(request, 1, &id, &problem) != 0 || request_read_json(request, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    get.ids = (struct uint_list){&id, 1};
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_known);
}
