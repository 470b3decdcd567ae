#include "gateway/hook_lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/event_type.h"
#include "gateway/hook_sign.h"
#include "proto/clock.h"
#include "proto/log.h"

#define ASK_MS 5000
#define STALE_MS 60000 /* when nothing is due though something should be, it is looked at again after so long */

/* ---- jobs ---- */

static void job_free(struct job *job)
{
    if (!job)
        return;
    if (job->parcel) {
        courier_forget(job->lane->port->courier, job->parcel);
        job->lane->sending--;
    }
    feed_event_free(job->event);
    free(job);
}

static void jobs_free(struct job **list)
{
    while (*list) {
        struct job *job = *list;
        *list = job->next;
        job_free(job);
    }
}

/* Behind the others. NULL when out of memory. */
static struct job *job_add(struct lane *lane, struct job **list, const struct rec_event *event)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job || !(job->event = feed_event_new(event))) {
        free(job);
        return NULL;
    }
    job->lane = lane;
    while (*list)
        list = &(*list)->next;
    *list = job;
    return job;
}

static void on_done(void *arg, const struct receipt *receipt)
{
    struct job *job = arg;
    struct lane *lane = job->lane;

    job->parcel = NULL;
    lane->sending--;
    job->state = receipt->starved ? JOB_WAITS : JOB_DONE;
    job->arrived = receipt->arrived;
    job->code = receipt->code;
    job->ms = receipt->ms;
    size_t len = str_clean(job->error, sizeof job->error - 1, str_of(receipt->error));
    job->error[len] = '\0';
    if (receipt->starved)
        return; /* the next tick tries again */
    log_debug("GTY-WEBHOOK-SENT", "webhook=%llu event=%llu status=%u ms=%llu %s", (unsigned long long)lane->id,
              (unsigned long long)job->event->id, job->code, (unsigned long long)job->ms, job->error);
    lane_send(lane);
    lane->port->done(lane->port->self);
}

/* The caller owns what comes back; NULL when it cannot be sent now. */
static struct parcel *post(const struct lane *lane, const char *id, struct str body,
                           void (*done)(void *arg, const struct receipt *receipt), void *arg)
{
    uint64_t seconds = clock_wall_ms() / 1000;
    char signature[HOOK_SIGNATURE_SIZE];
    struct parcel_spec spec = {
        .url = lane->url,
        .id = id,
        .signature = hook_sign(str_of(lane->secret), id, seconds, body, signature),
        .seconds = seconds,
        .body = body,
        .timeout_ms = (uint64_t)settings_count_of(lane->port->gateway->settings, SET_WEBHOOKS_TIMEOUT_SECONDS) * 1000,
    };

    return courier_send(lane->port->courier, &spec, done, arg);
}

static bool job_send(struct job *job)
{
    struct str body = feed_json(job->event);
    char id[128];

    if (!body.ptr)
        return false;
    snprintf(id, sizeof id, "msg_%s_%llu", job->lane->ident, (unsigned long long)job->event->id);
    job->parcel = post(job->lane, id, body, on_done, job);
    if (!job->parcel)
        return false;
    job->state = JOB_SENT;
    job->lane->sending++;
    return true;
}

static bool has_room(const struct lane *lane)
{
    return lane->sending < (courier_load(lane->port->courier) < LANES_CALM ? LANE_SHARE : 1);
}

void lane_send(struct lane *lane)
{
    struct job *const lists[] = {lane->again, lane->fresh};

    if (!lane->active || !lane->port->may_send(lane->port->self))
        return;
    for (size_t i = 0; i < 2; i++) {
        for (struct job *job = lists[i]; job && has_room(lane); job = job->next) {
            if (job->state == JOB_WAITS && !job_send(job))
                return; /* the next tick tries again */
        }
    }
}

/* ---- new events ---- */

static bool wanted(const struct lane *lane, const struct rec_event *event, uint64_t type)
{
    for (uint32_t i = 0; i < event->notify.count; i++) {
        if (event->notify.items[i] == lane->id)
            return true;
    }
    return (type & lane->types) && (!lane->task_id || event->task_id == lane->task_id);
}

/* While too many wait to be tried again, what is new waits for them. */
static bool may_take(const struct lane *lane)
{
    uint64_t most = (uint64_t)settings_count_of(lane->port->gateway->settings, SET_WEBHOOKS_PENDING);
    return lane->fresh_count < LANE_WINDOW && lane->pending + lane->fresh_count < most;
}

/* False when it has to wait. */
static bool take(struct lane *lane, const struct feed_event *event)
{
    if (wanted(lane, &event->record, event->type)) {
        if (!may_take(lane) || !job_add(lane, &lane->fresh, &event->record))
            return false;
        lane->fresh_count++;
    }
    lane->reader.position = event->id;
    return true;
}

static void pump(struct lane *lane)
{
    struct feed *feed = lane->port->gateway->feed;
    struct feed_event *event;
    enum feed_next next = FEED_END;

    if (!lane->reads || lane->reader.reading)
        return;
    while (may_take(lane) && (next = feed_next(feed, lane->reader.position, &event)) == FEED_EVENT) {
        if (!take(lane, event))
            break;
    }
    lane->reader.sated = !may_take(lane);
    if (next == FEED_BEHIND && !lane->reader.sated)
        feed_read(feed, &lane->reader);
}

static void on_events(void *self, struct feed_event *const *events, uint32_t count, uint64_t oldest, bool failed)
{
    struct lane *lane = self;

    if (failed)
        return; /* the store is away: the next news tries again */
    if (oldest > lane->reader.position + 1) {
        lane->missed += oldest - 1 - lane->reader.position;
        lane->reader.position = oldest - 1;
        log_warn("GTY-WEBHOOK-MISSED", "webhook=%llu events=%llu were dropped before it could be told (events.max)",
                 (unsigned long long)lane->id, (unsigned long long)lane->missed);
    }
    bool waits = false;
    for (uint32_t i = 0; i < count && !waits; i++)
        waits = !take(lane, events[i]);
    lane_send(lane);
    if (!waits)
        pump(lane);
}

static void on_news(void *self)
{
    struct lane *lane = self;

    pump(lane);
    lane_send(lane);
}

/* ---- heartbeats: sent once or not at all ---- */

static void on_beat_done(void *arg, const struct receipt *receipt)
{
    struct job *job = arg;
    (void)receipt;

    job->parcel = NULL;
    job->lane->sending--;
    struct job **at = &job->lane->beating;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job_free(job);
}

static void on_beat(void *self, const struct rec_worker *worker, struct str json)
{
    struct lane *lane = self;
    char id[256];

    if (!lane->active || lane->task_id || !lane->port->may_send(lane->port->self) || !has_room(lane))
        return;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    job->lane = lane;
    snprintf(id, sizeof id, "msg_%s_beat_%llu_%llu", lane->ident, (unsigned long long)worker->id,
             (unsigned long long)worker->last_heartbeat);
    job->parcel = post(lane, id, json, on_beat_done, job);
    if (!job->parcel) {
        free(job);
        return;
    }
    lane->sending++;
    job->next = lane->beating;
    lane->beating = job;
}

/* ---- what is due again ---- */

static bool due_take(struct lane *lane, const struct rec_row *row, struct arena *arena, uint64_t now)
{
    struct rec_delivery delivery;
    struct err err = {0};

    if (rec_decode_delivery(arena, row->value, &delivery, &err) != 0) {
        log_error("GTY-ROW-DAMAGED", "delivery=%llu %s", (unsigned long long)row->id, err.text);
        return true;
    }
    if (delivery.next_at == 0)
        return false; /* those that are over come last */
    if (delivery.next_at > now) {
        lane->due_ms = delivery.next_at;
        return false;
    }
    struct job *job = job_add(lane, &lane->again, &delivery.event);
    if (!job) {
        lane->due_ms = now + 1000;
        return false;
    }
    delivery.event = job->event->record;
    delivery.error = (struct str){NULL, 0};
    job->delivery = delivery;
    lane->again_count++;
    return true;
}

static void on_due(void *arg, const struct msg *msg, const struct err *err)
{
    struct lane *lane = arg;
    uint64_t now = clock_wall_ms();
    struct arena *arena = arena_new((size_t)1 << 20);
    (void)err;

    lane->asking = false;
    lane->due_ms = now + (msg && msg->shape->id == MSG_QUERY_ROWS ? STALE_MS : 1000);
    for (uint32_t i = 0; arena && msg && msg->shape->id == MSG_QUERY_ROWS && i < msg->u.query_rows.rows.count; i++) {
        arena_reset(arena);
        if (!due_take(lane, &msg->u.query_rows.rows.items[i], arena, now))
            break;
    }
    arena_free(arena);
    lane_send(lane);
}

static void due_ask(struct lane *lane)
{
    struct bus_client *store = ask_client(lane->port->gateway->ask, ASK_STORE);
    struct rec_filter filter = {.field = STR_LIT("webhook_id"), .op = FILTER_EQ, .number = (int64_t)lane->id};
    struct msg_query query = {
        .type = TYPE_DELIVERY, .filters = {&filter, 1}, .sort = STR_LIT("next_at"), .page = 1, .size = LANE_AGAIN};

    lane->asking = true;
    uint64_t corr = bus_ask(store, &shape_msg_query, &query, (struct str){NULL, 0}, ASK_MS, on_due, lane);
    if (lane->asking)
        lane->corr = corr;
}

void lane_go(struct lane *lane)
{
    if (!lane->active)
        return;
    pump(lane);
    if (lane->pending > 0 && !lane->again && !lane->asking && !lane->in_report && clock_wall_ms() >= lane->due_ms &&
        lane->port->may_send(lane->port->self))
        due_ask(lane);
    lane_send(lane);
}

/* ---- reports ---- */

static struct rec_delivery_result result_of(const struct job *job)
{
    struct rec_delivery_result result = {
        .arrived = job->arrived, .code = job->code, .error = str_of(job->error), .duration_ms = job->ms};

    if (job->delivery.id > 0) {
        result.delivery = job->delivery;
        SET_HAS(&result, rec_delivery_result, delivery);
    } else {
        result.event = job->event->record;
        SET_HAS(&result, rec_delivery_result, event);
    }
    return result;
}

/* The first of the new ones in their order, and whichever is done of those tried again. */
static uint32_t results_fill(struct lane *lane, struct rec_delivery_result *results, uint32_t most)
{
    uint32_t count = 0;
    struct job *job = lane->fresh;

    for (; job && job->state == JOB_DONE && count < most; job = job->next) {
        results[count++] = result_of(job);
        job->reported = true;
    }
    lane->report_to = job ? job->event->id - 1 : lane->reader.position;
    if (lane->report_to < lane->cursor)
        lane->report_to = lane->cursor;
    for (job = lane->again; job && count < most; job = job->next) {
        if (job->state != JOB_DONE)
            continue;
        results[count++] = result_of(job);
        job->reported = true;
    }
    return count;
}

bool lane_report(struct lane *lane, struct arena *arena, uint32_t *most, struct rec_webhook_report *out)
{
    uint32_t room = lane->fresh_count + lane->again_count;
    uint64_t now = clock_mono_ms();
    struct rec_delivery_result *results = arena_alloc(arena, (room + 1) * sizeof *results);

    if (!results)
        return false;
    uint32_t count = results_fill(lane, results, room < *most ? room : *most);
    uint64_t step = lane->report_to - lane->cursor;
    if (count == 0 && lane->missed == 0 && (step == 0 || (step < LANE_IDLE_EVENTS && now - lane->reported_ms < LANE_IDLE_MS)))
        return false;
    *most -= count;
    lane->in_report = true;
    lane->reported_ms = now;
    lane->report_missed = lane->missed;
    *out = (struct rec_webhook_report){
        .webhook_id = lane->id, .from = lane->cursor, .to = lane->report_to, .missed = lane->missed, .results = {results, count}};
    return true;
}

static void reported_remove(struct job **list, unsigned *count)
{
    while (*list) {
        struct job *job = *list;
        if (!job->reported) {
            list = &job->next;
            continue;
        }
        *list = job->next;
        job_free(job);
        (*count)--;
    }
}

void lane_unreported(struct lane *lane)
{
    lane->in_report = false;
    for (struct job *job = lane->fresh; job; job = job->next)
        job->reported = false;
    for (struct job *job = lane->again; job; job = job->next)
        job->reported = false;
}

void lane_reported(struct lane *lane, uint64_t pending)
{
    lane->in_report = false;
    lane->cursor = lane->report_to;
    lane->missed -= lane->report_missed;
    reported_remove(&lane->fresh, &lane->fresh_count);
    reported_remove(&lane->again, &lane->again_count);
    lane->pending = pending;
    lane->due_ms = 0;
}

/* ---- life ---- */

bool lane_busy(const struct lane *lane)
{
    for (const struct job *job = lane->fresh; job; job = job->next) {
        if (job->state != JOB_WAITS)
            return true;
    }
    for (const struct job *job = lane->again; job; job = job->next) {
        if (job->state != JOB_WAITS)
            return true;
    }
    return lane->in_report;
}

static void reads(struct lane *lane, bool wants)
{
    struct feed *feed = lane->port->gateway->feed;

    if (lane->reads == wants && (!wants || lane->reader.beats == event_types_beat(lane->types)))
        return;
    if (lane->reads)
        feed_remove(feed, &lane->reader);
    lane->reads = wants;
    lane->reader.beats = event_types_beat(lane->types);
    if (wants)
        feed_add(feed, &lane->reader);
}

int lane_update(struct lane *lane, const struct rec_webhook *webhook)
{
    const struct rec_webhook_spec *spec = &webhook->spec;
    char *url = strndup(spec->url.ptr ? spec->url.ptr : "", spec->url.len);
    char *secret = strndup(spec->secret.ptr ? spec->secret.ptr : "", spec->secret.len);

    if (!url || !secret) {
        free(url);
        free(secret);
        return -1;
    }
    free(lane->url);
    free(lane->secret);
    lane->url = url;
    lane->secret = secret;
    lane->types = event_types_of(&spec->events);
    lane->task_id = spec->task_id;
    lane->active = spec->active;
    lane->pending = webhook->pending;
    lane->due_ms = 0;
    if (webhook->cursor != lane->cursor && !lane->in_report) { /* it was set on */
        jobs_free(&lane->fresh);
        lane->fresh_count = 0;
        lane->cursor = lane->reader.position = webhook->cursor;
        lane->missed = 0;
    }
    reads(lane, lane->active);
    return 0;
}

struct lane *lane_new(const struct lane_port *port, const struct rec_webhook *webhook)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return NULL;
    lane->port = port;
    lane->id = webhook->id;
    lane->cursor = webhook->cursor;
    lane->reported_ms = clock_mono_ms();
    str_copy(lane->ident, sizeof lane->ident, webhook->ident);
    lane->reader =
        (struct feed_reader){.position = webhook->cursor, .news = on_news, .events = on_events, .beat = on_beat, .self = lane};
    if (lane_update(lane, webhook) != 0) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    if (lane->reads)
        feed_remove(lane->port->gateway->feed, &lane->reader);
    if (lane->asking)
        bus_forget(ask_client(lane->port->gateway->ask, ASK_STORE), lane->corr);
    jobs_free(&lane->fresh);
    jobs_free(&lane->again);
    jobs_free(&lane->beating);
    free(lane->url);
    free(lane->secret);
    free(lane);
}
