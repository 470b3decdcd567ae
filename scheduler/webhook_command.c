/* Commands about webhooks and their deliveries. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "scheduler/webhook.h"

static int not_found(struct fault *fault, uint64_t id)
{
    char value[32];
    snprintf(value, sizeof value, "%llu", (unsigned long long)id);
    return fault_set(fault, ERR_NOT_FOUND, "id", "not_found", str_of(value), NULL, "there is no webhook %s", value);
}

static void spec_whole(struct rec_webhook_spec *spec)
{
    for (size_t i = 0; i < shape_rec_webhook_spec.count; i++)
        spec->has |= UINT64_C(1) << shape_rec_webhook_spec.fields[i].key;
}

static struct text *spec_text(const struct rec_webhook_spec *spec)
{
    struct buf bytes = {0};
    struct text *text = rec_encode_webhook_spec(&bytes, spec, NULL) ? NULL : text_new(buf_str(&bytes));
    buf_free(&bytes);
    return text;
}

/* The webhook as it is now: put, and the answer to the command. */
static void put_answer(struct core *core, const struct core_call *call, const struct rec_webhook *record)
{
    struct msg_webhook_answer answer = {.webhook = *record};
    journal_put(core->journal, TYPE_WEBHOOK, record->id, record);
    core_answer(core, call, &shape_msg_webhook_answer, &answer);
}

static int create_check(const struct core *core, const struct rec_webhook_spec *spec, struct fault *fault)
{
    uint64_t most = core->config.webhooks_max < WEBHOOKS_MOST ? core->config.webhooks_max : WEBHOOKS_MOST;
    char value[32];
    snprintf(value, sizeof value, "%llu", (unsigned long long)most);
    if (!spec->url.len || !spec->secret.len)
        return fault_set(fault, ERR_INVALID, spec->url.len ? "secret" : "url", "required", (struct str){0}, NULL,
                         "a webhook has a url and a secret");
    if (core->webhooks->count >= most)
        return fault_set(fault, ERR_LIMIT, "webhooks", "limit", str_of(value), NULL, "there are %s webhooks already", value);
    return 0;
}

void webhook_on_create(struct core *core, const struct core_call *call)
{
    const struct msg_webhook_create *create = &call->msg->u.webhook_create;
    struct rec_webhook_spec spec = create->spec;
    struct webhook *webhook = NULL;
    struct rec_webhook record;
    struct fault fault;
    if (!HAS(&spec, rec_webhook_spec, active))
        spec.active = true;
    spec_whole(&spec);
    if (create_check(core, &spec, &fault))
        goto error;
    fault_memory(&fault);
    webhook = calloc(1, sizeof *webhook);
    if (!webhook || !(webhook->spec = spec_text(&spec)) || webhook_record(core, webhook, &record))
        goto error;
    if (core_reserve(core, webhook_bytes(webhook), webhook_bytes(webhook), 2, &fault))
        goto error;
    webhook->id = core_new_id(core, TYPE_WEBHOOK);
    webhook->created_at = webhook->updated_at = core->wall_ms;
    webhook->cursor = events_last(core->events);
    webhook->active = spec.active;
    str_copy(webhook->ident, sizeof webhook->ident, create->ident);
    webhook_join(core, webhook);
    webhook_record(core, webhook, &record);
    put_answer(core, call, &record);
    return;
error:
    webhook_free(webhook);
    core_refuse(core, call, &fault);
}

static void spec_merge(struct rec_webhook_spec *spec, const struct rec_webhook_spec *patch)
{
    if (HAS(patch, rec_webhook_spec, url))
        spec->url = patch->url;
    if (HAS(patch, rec_webhook_spec, events))
        spec->events = patch->events;
    if (patch->secret.len)
        spec->secret = patch->secret;
    if (HAS(patch, rec_webhook_spec, description))
        spec->description = patch->description;
    if (HAS(patch, rec_webhook_spec, task_id))
        spec->task_id = patch->task_id;
    if (HAS(patch, rec_webhook_spec, active))
        spec->active = patch->active;
}

void webhook_on_update(struct core *core, const struct core_call *call)
{
    const struct msg_webhook_update *update = &call->msg->u.webhook_update;
    struct webhook *webhook = webhook_find(core, update->id);
    struct text *spec = NULL;
    struct rec_webhook record;
    struct fault fault;
    if (!webhook) {
        not_found(&fault, update->id);
        goto error;
    }
    fault_memory(&fault);
    if (webhook_record(core, webhook, &record))
        goto error;
    spec_merge(&record.spec, &update->spec);
    spec = spec_text(&record.spec);
    if (!spec || core_reserve(core, spec->str.len + 256, spec->str.len + 256, 2, &fault))
        goto error;
    struct text *before = webhook->spec; /* what the merged spec borrows from */
    webhook->spec = spec;
    if (record.spec.active && !webhook->active)
        webhook->cursor = record.cursor = events_last(core->events);
    webhook->active = record.spec.active;
    webhook->updated_at = record.updated_at = core->wall_ms;
    core->webhooks->version++;
    put_answer(core, call, &record);
    text_drop(before);
    return;
error:
    text_drop(spec);
    core_refuse(core, call, &fault);
}

void webhook_on_delete(struct core *core, const struct core_call *call)
{
    uint64_t id = call->msg->u.webhook_delete.id;
    struct webhook *webhook = webhook_find(core, id);
    struct msg_done done = {.id = id};
    struct fault fault;
    if (!webhook) {
        not_found(&fault, id);
        goto error;
    }
    if (webhook_reserve_orphans(core, webhook)) {
        fault_memory(&fault);
        goto error;
    }
    if (core_reserve(core, 64, 64, 2, &fault))
        goto error;
    journal_delete(core->journal, TYPE_WEBHOOK, id);
    webhook_leave(core, webhook);
    core_answer(core, call, &shape_msg_done, &done);
    return;
error:
    core_refuse(core, call, &fault);
}

/* A delivery that is due now: put, and the answer to the command. */
static void begin_delivery(struct core *core, const struct core_call *call, struct webhook *webhook,
                           struct rec_delivery *delivery)
{
    struct msg_delivery_answer answer;
    delivery->status = DELIVERY_PENDING;
    delivery->tries = 0;
    delivery->next_at = core->wall_ms;
    delivery->ended_at = 0;
    journal_put(core->journal, TYPE_DELIVERY, delivery->id, delivery);
    webhook_place(core, webhook, delivery);
    core->webhooks->version++; /* whoever delivers looks at it now */
    answer = (struct msg_delivery_answer){.delivery = *delivery};
    core_answer(core, call, &shape_msg_delivery_answer, &answer);
}

void webhook_on_ping(struct core *core, const struct core_call *call)
{
    uint64_t id = call->msg->u.webhook_ping.id;
    struct webhook *webhook = webhook_find(core, id);
    struct fault fault;
    if (!webhook) {
        not_found(&fault, id);
        goto error;
    }
    if (webhook_reserve(webhook, 1)) {
        fault_memory(&fault);
        goto error;
    }
    if (core_reserve(core, EVENT_BYTES + DELIVERY_BYTES, DELIVERY_BYTES, EVENT_OPS + 3, &fault))
        goto error;
    struct rec_event event = {.type = STR_LIT(DELIVERY_PING), .status = STR_LIT("ping")};
    event.id = core_event(core, &event);
    struct rec_delivery delivery = {
        .id = core_new_id(core, TYPE_DELIVERY), .webhook_id = id, .event = event, .created_at = core->wall_ms};
    begin_delivery(core, call, webhook, &delivery);
    return;
error:
    core_refuse(core, call, &fault);
}

void webhook_on_again(struct core *core, const struct core_call *call)
{
    struct rec_delivery delivery = call->msg->u.delivery_again.known;
    struct webhook *webhook = webhook_find(core, delivery.webhook_id);
    struct fault fault;
    if (!webhook) {
        not_found(&fault, delivery.webhook_id);
        goto error;
    }
    if (webhook_reserve(webhook, 1)) {
        fault_memory(&fault);
        goto error;
    }
    size_t bytes = DELIVERY_BYTES + delivery.event.detail.len;
    if (core_reserve(core, bytes, bytes, 3, &fault))
        goto error;
    if (!webhook_is_pending(webhook, delivery.id) && !webhook_unplace(webhook, delivery.id)) {
        char value[32];
        snprintf(value, sizeof value, "%llu", (unsigned long long)delivery.id);
        fault_set(&fault, ERR_NOT_FOUND, "id", "not_found", str_of(value), NULL, "there is no delivery %s", value);
        goto error;
    }
    begin_delivery(core, call, webhook, &delivery);
    return;
error:
    core_refuse(core, call, &fault);
}

/* ---- the farm's health ---- */

void webhook_on_health(struct core *core, const struct core_call *call)
{
    const struct msg_health_changed *changed = &call->msg->u.health_changed;
    struct webhooks *webhooks = core->webhooks;
    struct msg_done done = {0};
    struct fault fault;
    if (str_is(changed->status, webhooks->health)) { /* another gateway has told it, or the message came twice */
        journal_send_now(core->journal, &call->from, &shape_msg_done, &done);
        return;
    }
    if (core_reserve(core, EVENT_BYTES, 0, EVENT_OPS + 1, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    struct rec_event event = {.type = STR_LIT("system.health_check"), .status = changed->status, .detail = changed->trouble};
    core_event(core, &event);
    str_copy(webhooks->health, sizeof webhooks->health, changed->status);
    core_answer(core, call, &shape_msg_done, &done);
}
