/* Webhooks in memory: their specs, how far each is, and which deliveries it has. */
#include "scheduler/webhook.h"

#include <stdlib.h>

#include "proto/log.h"

#define TICK_MS 1000
#define TICK_DELETES 256 /* deliveries that go in one tick */

struct webhooks *webhooks_new(uint64_t wall_ms)
{
    struct webhooks *webhooks = calloc(1, sizeof *webhooks);
    if (webhooks) {
        webhooks->version = wall_ms << 12 | 1;
        str_copy(webhooks->health, sizeof webhooks->health, STR_LIT("healthy"));
    }
    return webhooks;
}

void webhook_free(struct webhook *webhook)
{
    if (!webhook)
        return;
    text_drop(webhook->spec);
    free(webhook->pending);
    free(webhook->ended);
    free(webhook);
}

void webhooks_free(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    for (uint32_t i = 0; i < webhooks->count; i++)
        webhook_free(webhooks->items[i]);
    free(webhooks->orphans);
    free(webhooks);
}

uint64_t webhooks_count(const struct core *core)
{
    return core->webhooks->count;
}

uint64_t webhooks_pending(const struct core *core)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < core->webhooks->count; i++)
        count += core->webhooks->items[i]->pending_count;
    return count;
}

struct webhook *webhook_find(const struct core *core, uint64_t id)
{
    for (uint32_t i = 0; i < core->webhooks->count; i++)
        if (core->webhooks->items[i]->id == id)
            return core->webhooks->items[i];
    return NULL;
}

int webhook_record(struct core *core, const struct webhook *webhook, struct rec_webhook *record)
{
    *record = (struct rec_webhook){.id = webhook->id,
                                   .ident = str_of(webhook->ident),
                                   .created_at = webhook->created_at,
                                   .updated_at = webhook->updated_at,
                                   .cursor = webhook->cursor,
                                   .delivered = webhook->delivered,
                                   .failed = webhook->failed,
                                   .missed = webhook->missed,
                                   .pending = webhook->pending_count};
    return rec_decode_webhook_spec(core->arena, webhook->spec->str, &record->spec, NULL);
}

size_t webhook_bytes(const struct webhook *webhook)
{
    return webhook->spec->str.len + 256;
}

void webhook_join(struct core *core, struct webhook *webhook)
{
    core->webhooks->items[core->webhooks->count++] = webhook;
    core->webhooks->version++;
}

/* ---- deliveries ---- */

static int grow(void **items, size_t *size, size_t wanted, size_t item)
{
    size_t more = *size ? *size : 16;
    while (more < wanted)
        more *= 2;
    if (more == *size)
        return 0;
    void *grown = realloc(*items, more * item);
    if (!grown)
        return -1;
    *items = grown;
    *size = more;
    return 0;
}

int webhook_reserve(struct webhook *webhook, size_t more)
{
    void *pending = webhook->pending, *ended = webhook->ended;
    int result = grow(&pending, &webhook->pending_size, webhook->pending_count + more, sizeof *webhook->pending);
    webhook->pending = pending;
    if (result == 0)
        result = grow(&ended, &webhook->ended_size, webhook->ended_count + more, sizeof *webhook->ended);
    webhook->ended = ended;
    return result;
}

int webhook_reserve_orphans(struct core *core, const struct webhook *webhook)
{
    struct webhooks *webhooks = core->webhooks;
    void *orphans = webhooks->orphans;
    size_t wanted = webhooks->orphan_count + (webhook ? webhook->pending_count + webhook->ended_count : 1);
    int result = grow(&orphans, &webhooks->orphan_size, wanted, sizeof *webhooks->orphans);
    webhooks->orphans = orphans;
    return result;
}

void webhook_leave(struct core *core, struct webhook *webhook)
{
    struct webhooks *webhooks = core->webhooks;
    uint32_t at = 0;
    while (webhooks->items[at] != webhook)
        at++;
    memmove(webhooks->items + at, webhooks->items + at + 1, (webhooks->count - at - 1) * sizeof *webhooks->items);
    webhooks->count--;
    webhooks->version++;
    for (size_t i = 0; i < webhook->pending_count; i++)
        webhooks->orphans[webhooks->orphan_count++] = webhook->pending[i];
    for (size_t i = 0; i < webhook->ended_count; i++)
        webhooks->orphans[webhooks->orphan_count++] = webhook->ended[i].id;
    webhook_free(webhook);
}

/* Where the id is among those that are pending, or belongs. */
static size_t pending_place(const struct webhook *webhook, uint64_t id)
{
    size_t low = 0, high = webhook->pending_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (webhook->pending[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool webhook_is_pending(const struct webhook *webhook, uint64_t delivery_id)
{
    size_t at = pending_place(webhook, delivery_id);
    return at < webhook->pending_count && webhook->pending[at] == delivery_id;
}

bool webhook_unplace(struct webhook *webhook, uint64_t delivery_id)
{
    for (size_t i = 0; i < webhook->ended_count; i++) {
        if (webhook->ended[i].id != delivery_id)
            continue;
        memmove(webhook->ended + i, webhook->ended + i + 1, (--webhook->ended_count - i) * sizeof *webhook->ended);
        return true;
    }
    return false;
}

static uint64_t ended_shift(struct webhook *webhook)
{
    uint64_t id = webhook->ended[0].id;
    memmove(webhook->ended, webhook->ended + 1, --webhook->ended_count * sizeof *webhook->ended);
    return id;
}

void webhook_place(struct core *core, struct webhook *webhook, const struct rec_delivery *delivery)
{
    size_t at = pending_place(webhook, delivery->id);
    bool there = at < webhook->pending_count && webhook->pending[at] == delivery->id;
    uint64_t *place = webhook->pending + at;
    if (delivery->status == DELIVERY_PENDING) {
        if (there)
            return;
        memmove(place + 1, place, (webhook->pending_count++ - at) * sizeof *place);
        *place = delivery->id;
        return;
    }
    if (there)
        memmove(place, place + 1, (--webhook->pending_count - at) * sizeof *place);
    webhook->ended[webhook->ended_count++] = (struct delivery_end){delivery->id, delivery->ended_at};
    if (webhook->ended_count > core->config.webhooks_keep)
        journal_delete(core->journal, TYPE_DELIVERY, ended_shift(webhook));
}

uint64_t webhook_next_at(struct core *core, uint64_t tries)
{
    static const uint64_t steps[] = {1, 60, 360, 1440, 3600, 5760, 5760};
    if (tries == 0 || tries > sizeof steps / sizeof *steps)
        return 0;
    uint64_t step = steps[tries - 1] * core->config.webhooks_retry_ms;
    uint64_t tenth = step / 10;
    uint64_t jitter = core->clock.random(core->clock.self) % (2 * tenth + 1); /* those that failed together come apart */
    return core->wall_ms + step - tenth + jitter;
}

/* ---- rebuilding ---- */

int webhook_load(struct core *core, struct str value, struct err *err)
{
    struct rec_webhook record;
    struct buf spec = {0};
    if (rec_decode_webhook(core->arena, value, &record, err))
        return -1;
    if (core->webhooks->count == WEBHOOKS_MOST) {
        log_error("GTY-WEBHOOK-MANY", "webhook=%llu there are too many: it is left out", (unsigned long long)record.id);
        return 0;
    }
    struct webhook *webhook = calloc(1, sizeof *webhook);
    if (!webhook || rec_encode_webhook_spec(&spec, &record.spec, err) || !(webhook->spec = text_new(buf_str(&spec)))) {
        buf_free(&spec);
        webhook_free(webhook);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    buf_free(&spec);
    webhook->id = record.id;
    webhook->created_at = record.created_at;
    webhook->updated_at = record.updated_at;
    webhook->cursor = record.cursor;
    webhook->delivered = record.delivered;
    webhook->failed = record.failed;
    webhook->missed = record.missed;
    webhook->active = record.spec.active;
    str_copy(webhook->ident, sizeof webhook->ident, record.ident);
    webhook_join(core, webhook);
    return 0;
}

int webhook_load_delivery(struct core *core, struct str value, struct err *err)
{
    struct rec_delivery record;
    if (rec_decode_delivery(core->arena, value, &record, err))
        return -1;
    struct webhook *webhook = webhook_find(core, record.webhook_id);
    if (webhook ? webhook_reserve(webhook, 1) : webhook_reserve_orphans(core, NULL))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (!webhook)
        core->webhooks->orphans[core->webhooks->orphan_count++] = record.id;
    else if (record.status == DELIVERY_PENDING)
        webhook->pending[webhook->pending_count++] = record.id; /* they come in order */
    else
        webhook->ended[webhook->ended_count++] = (struct delivery_end){record.id, record.ended_at};
    return 0;
}

void webhook_loaded(struct core *core)
{
    for (uint32_t i = 0; i < core->webhooks->count && !core->oldest_event; i++)
        core->webhooks->items[i]->cursor = events_last(core->events);
}

/* ---- what goes by itself ---- */

static void orphans_go(struct core *core)
{
    struct webhooks *webhooks = core->webhooks;
    size_t count = webhooks->orphan_count < TICK_DELETES ? webhooks->orphan_count : TICK_DELETES;
    struct fault fault;
    if (count == 0 || core_reserve(core, count * 32, 0, (uint32_t)count, &fault))
        return;
    while (count-- > 0)
        journal_delete(core->journal, TYPE_DELIVERY, webhooks->orphans[--webhooks->orphan_count]);
}

/* At a start, or with a smaller webhooks.keep, there may be many too many. */
static void ended_go(struct core *core, struct webhook *webhook)
{
    struct fault fault;
    for (uint32_t i = 0; i < TICK_DELETES && webhook->ended_count; i++) {
        bool old = webhook->ended[0].at + core->config.webhooks_keep_ms < core->wall_ms;
        if ((!old && webhook->ended_count <= core->config.webhooks_keep) || core_reserve(core, 32, 0, 1, &fault))
            return;
        journal_delete(core->journal, TYPE_DELIVERY, ended_shift(webhook));
    }
}

void webhook_tick(struct core *core)
{
    struct webhooks *webhooks = core->webhooks;
    if (core->mono_ms < webhooks->tick_due)
        return;
    webhooks->tick_due = core->mono_ms + TICK_MS;
    orphans_go(core);
    for (uint32_t i = 0; i < webhooks->count; i++)
        ended_go(core, webhooks->items[i]);
}
