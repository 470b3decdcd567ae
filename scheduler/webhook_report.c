/* The gateway that delivers: its claim, and what it reports. */
#include <stdio.h>

#include "scheduler/webhook.h"

static bool held_by(const struct core *core, struct str boot)
{
    const struct webhooks *webhooks = core->webhooks;
    return core->mono_ms < webhooks->holder_until && str_is(boot, webhooks->holder);
}

/* All webhooks, in the core's arena; -1 when out of memory. */
static int work_fill(struct core *core, struct msg_webhook_work *work, size_t *bytes)
{
    struct webhooks *webhooks = core->webhooks;
    work->webhooks.items = arena_alloc(core->arena, (webhooks->count + 1) * sizeof *work->webhooks.items);
    if (!work->webhooks.items)
        return -1;
    for (uint32_t i = 0; i < webhooks->count; i++) {
        if (webhook_record(core, webhooks->items[i], &work->webhooks.items[i]))
            return -1;
        *bytes += webhook_bytes(webhooks->items[i]);
    }
    work->webhooks.count = webhooks->count;
    return 0;
}

void webhook_on_claim(struct core *core, const struct core_call *call)
{
    const struct msg_webhook_claim *claim = &call->msg->u.webhook_claim;
    struct webhooks *webhooks = core->webhooks;
    struct msg_webhook_work work = {0};
    size_t bytes = 256;
    struct fault fault;
    bool free_now = core->mono_ms >= webhooks->holder_until;
    bool own = str_is(claim->boot, webhooks->holder);
    work.granted = !claim->release && (free_now || own);
    work.version = webhooks->version;
    if (work.granted && work.version != claim->version && work_fill(core, &work, &bytes)) {
        fault_memory(&fault);
        goto error;
    }
    /* Behind what is not on disk yet: a webhook must not be told of anything before it is one. */
    if (core_reserve(core, bytes, 0, 1, &fault))
        goto error;
    if (work.granted) {
        str_copy(webhooks->holder, sizeof webhooks->holder, claim->boot);
        webhooks->holder_until = core->mono_ms + WEBHOOK_CLAIM_MS;
    } else if (claim->release && own) {
        webhooks->holder_until = 0;
    }
    journal_send(core->journal, &call->from, &shape_msg_webhook_work, &work);
    return;
error:
    core_refuse(core, call, &fault);
}

/* ---- reports ---- */

static const struct rec_event *event_of(const struct rec_delivery_result *result)
{
    return HAS(result, rec_delivery_result, delivery) ? &result->delivery.event : &result->event;
}

struct row {                 /* of a report */
    struct webhook *webhook; /* NULL: deleted meanwhile */
    struct rec_webhook record;
};

struct prepared {
    struct row *rows;
    uint64_t *pending;
};

/* One webhook's part of a report: what it comes to in the journal. -1 with fault when it cannot be taken. */
static int row_prepare(struct core *core, const struct rec_webhook_report *report, struct row *row, size_t *bytes, uint32_t *ops,
                       struct fault *fault)
{
    row->webhook = webhook_find(core, report->webhook_id);
    if (!row->webhook)
        return 0;
    if (report->from != row->webhook->cursor || report->to < report->from)
        return fault_set(fault, ERR_CONFLICT, "from", "claim", (struct str){0}, NULL, "the cursor is elsewhere");
    for (uint32_t i = 0; i < report->results.count; i++)
        *bytes += DELIVERY_BYTES + event_of(&report->results.items[i])->detail.len;
    *bytes += webhook_bytes(row->webhook);
    *ops += 2 * report->results.count + 1;
    if (webhook_reserve(row->webhook, report->results.count) || webhook_record(core, row->webhook, &row->record))
        return fault_memory(fault);
    return 0;
}

/* Everything that can fail. -1 with fault. */
static int report_prepare(struct core *core, const struct msg_webhook_report *report, struct prepared *out, struct fault *fault)
{
    size_t bytes = 256 + (size_t)9 * report->reports.count, results = 0;
    uint32_t ops = 2;
    out->rows = arena_alloc(core->arena, report->reports.count * sizeof *out->rows);
    out->pending = arena_alloc(core->arena, report->reports.count * sizeof *out->pending);
    if (!out->rows || !out->pending)
        return fault_memory(fault);
    if (!held_by(core, report->boot))
        return fault_set(fault, ERR_CONFLICT, "boot", "claim", (struct str){0}, NULL, "another gateway delivers");
    for (uint32_t i = 0; i < report->reports.count; i++) {
        results += report->reports.items[i].results.count;
        if (results > WEBHOOK_RESULTS)
            return fault_set(fault, ERR_INVALID, "results", "items", (struct str){0}, "at most 256", "too many results");
        if (row_prepare(core, &report->reports.items[i], &out->rows[i], &bytes, &ops, fault))
            return -1;
    }
    return core_reserve(core, bytes, 0, ops, fault);
}

static void result_take(struct core *core, struct webhook *webhook, const struct rec_delivery_result *result)
{
    bool again = HAS(result, rec_delivery_result, delivery);
    struct rec_delivery delivery = result->delivery;
    if (again && (delivery.webhook_id != webhook->id || !webhook_is_pending(webhook, delivery.id)))
        return; /* over already */
    if (!again)
        delivery = (struct rec_delivery){.id = core_new_id(core, TYPE_DELIVERY),
                                         .webhook_id = webhook->id,
                                         .event = result->event,
                                         .created_at = core->wall_ms};
    delivery.attempts++;
    delivery.tries++;
    delivery.code = result->code;
    delivery.error = result->error;
    delivery.duration_ms = result->duration_ms;
    delivery.next_at = result->arrived ? 0 : webhook_next_at(core, delivery.tries);
    delivery.status = result->arrived ? DELIVERY_DELIVERED : delivery.next_at ? DELIVERY_PENDING : DELIVERY_FAILED;
    delivery.ended_at = delivery.status == DELIVERY_PENDING ? 0 : core->wall_ms;
    webhook->delivered += delivery.status == DELIVERY_DELIVERED;
    webhook->failed += delivery.status == DELIVERY_FAILED;
    journal_put(core->journal, TYPE_DELIVERY, delivery.id, &delivery);
    webhook_place(core, webhook, &delivery);
}

void webhook_on_report(struct core *core, const struct core_call *call)
{
    const struct msg_webhook_report *report = &call->msg->u.webhook_report;
    struct msg_webhook_reported reported = {0};
    struct fault fault;
    struct prepared prepared;
    if (report_prepare(core, report, &prepared, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    for (uint32_t i = 0; i < report->reports.count; i++) {
        const struct rec_webhook_report *part = &report->reports.items[i];
        struct webhook *webhook = prepared.rows[i].webhook;
        struct rec_webhook *record = &prepared.rows[i].record;
        if (!webhook)
            continue;
        for (uint32_t k = 0; k < part->results.count; k++)
            result_take(core, webhook, &part->results.items[k]);
        webhook->cursor = record->cursor = part->to;
        webhook->missed = record->missed = webhook->missed + part->missed;
        record->delivered = webhook->delivered;
        record->failed = webhook->failed;
        record->pending = webhook->pending_count;
        prepared.pending[i] = webhook->pending_count;
        journal_put(core->journal, TYPE_WEBHOOK, record->id, record);
    }
    reported.pending = (struct uint_list){prepared.pending, report->reports.count};
    core_answer(core, call, &shape_msg_webhook_reported, &reported);
}
