#include "gateway/feed.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/event_type.h"
#include "gateway/event_write.h"
#include "gateway/events.h"
#include "proto/clock.h"
#include "proto/log.h"

#define RING_EVENTS 8192u
#define RING_BYTES ((size_t)16 << 20)
#define READ_EVENTS 1000 /* at once, at the head */
#define BACK_EVENTS 200  /* for one who is behind */
#define BACK_MAX 2       /* of those at a time */
#define BACK_A_MS 10     /* events read for them in a millisecond, over time */
#define BACK_MOST 10000
#define PASS_MS 50 /* between readings while events keep coming, and half a millisecond for each reader */
#define PASS_MOST_MS 1000
#define TICK_MS 500 /* a look when no bell came */
#define READ_MS 5000
#define BEAT_MS 1000
#define BEAT_WORKERS 1000
#define SPEND_MS (4u << 10) /* bytes a millisecond that streams may be given together */
#define SPEND_MOST ((size_t)4 << 20)
#define EVENT_COST 256 /* of one in the ring, beside its texts */

struct feed {
    struct gateway *gateway;
    struct bus_client *store;
    struct listener listener;
    int timer, beat_timer;
    struct feed_reader *first, *last;
    uint32_t readers, beaters;
    struct feed_reader *waiting, *last_waiting; /* to be read for from the store */
    struct back {
        struct feed *feed;
        struct feed_reader *reader; /* NULL: idle, or he has left */
        uint64_t corr;
        bool asking;
    } backs[BACK_MAX];
    struct feed_event *ring[RING_EVENTS]; /* by id % RING_EVENTS */
    uint64_t first_id, head;              /* ids first_id..head are in the ring; head: the newest that was read */
    size_t bytes;
    bool known; /* head is */
    bool asking, again;
    bool listens;
    uint64_t corr, beat_corr;
    bool beating;
    uint64_t beat_seen; /* heartbeats up to this time have been told */
    uint64_t passed_ms;
    size_t spend;
    struct feed_reader *refused; /* the first in this pass for whom there was nothing left to spend */
    uint64_t back_ms;            /* until then it is reckoned how much may be read for those behind */
    uint64_t back_left;          /* events */
    struct arena *arena;
};

static void look(struct feed *feed);

/* ---- events in memory ---- */

void feed_event_free(struct feed_event *event)
{
    if (event)
        free(event->json);
    free(event);
}

static size_t event_size(const struct feed_event *event)
{
    const struct rec_event *record = &event->record;
    return EVENT_COST + record->type.len + record->task_name.len + record->worker_name.len + record->status.len +
           (size_t)7 * record->detail.len; /* escaped it may be six times as long */
}

static char *text_copy(char *at, struct str *text)
{
    if (text->len > 0)
        memcpy(at, text->ptr, text->len);
    text->ptr = at;
    return at + text->len;
}

/* In one block: itself, what it notifies, its texts. */
struct feed_event *feed_event_new(const struct rec_event *record)
{
    size_t texts =
        (size_t)record->type.len + record->task_name.len + record->worker_name.len + record->status.len + record->detail.len;
    size_t notify = record->notify.count * sizeof *record->notify.items;
    struct feed_event *event = malloc(sizeof *event + notify + texts);

    if (!event)
        return NULL;
    *event = (struct feed_event){.id = record->id,
                                 .task_id = record->task_id,
                                 .run_id = record->run_id,
                                 .type = event_type_bit(record->type),
                                 .record = *record};
    char *at = (char *)(event + 1);
    if (notify > 0)
        memcpy(at, record->notify.items, notify);
    event->record.notify.items = (uint64_t *)(void *)at;
    at += notify;
    at = text_copy(at, &event->record.type);
    at = text_copy(at, &event->record.task_name);
    at = text_copy(at, &event->record.worker_name);
    at = text_copy(at, &event->record.status);
    text_copy(at, &event->record.detail);
    return event;
}

struct str feed_json(struct feed_event *event)
{
    struct buf out = {0};
    struct writer w = {.out = &out};

    if (!event->json) {
        event_write(&w, &event->record);
        if (out.failed) {
            buf_free(&out);
            return (struct str){NULL, 0};
        }
        event->json = out.data;
        event->json_len = (uint32_t)out.len;
    }
    return (struct str){event->json, event->json_len};
}

static struct feed_event **slot(struct feed *feed, uint64_t id)
{
    return &feed->ring[id % RING_EVENTS];
}

static void ring_shift(struct feed *feed)
{
    struct feed_event **oldest = slot(feed, feed->first_id++);

    if (*oldest)
        feed->bytes -= event_size(*oldest);
    feed_event_free(*oldest);
    *oldest = NULL;
}

static void ring_clear(struct feed *feed)
{
    while (feed->first_id <= feed->head)
        ring_shift(feed);
}

/* The next event, behind the head: ids that are missing in between were dropped, or never were. */
static bool ring_add(struct feed *feed, const struct rec_event *record)
{
    struct feed_event *event = feed_event_new(record);

    if (!event)
        return false;
    if (record->id - feed->head > RING_EVENTS) {
        ring_clear(feed);
        feed->first_id = record->id;
        feed->head = record->id - 1;
    }
    for (uint64_t id = feed->head + 1; id <= record->id; id++) {
        if (id - feed->first_id >= RING_EVENTS)
            ring_shift(feed);
    }
    feed->head = record->id;
    *slot(feed, record->id) = event;
    feed->bytes += event_size(event);
    while (feed->bytes > RING_BYTES && feed->first_id < feed->head)
        ring_shift(feed);
    return true;
}

enum feed_next feed_next(const struct feed *feed, uint64_t position, struct feed_event **event)
{
    if (!feed->known || position >= feed->head)
        return FEED_END;
    if (position + 1 < feed->first_id)
        return FEED_BEHIND;
    for (uint64_t id = position + 1; id <= feed->head; id++) {
        *event = feed->ring[id % RING_EVENTS];
        if (*event)
            return FEED_EVENT;
    }
    return FEED_END;
}

/* ---- readers who are behind ---- */

static void back_serve(struct feed *feed);

/* Decodes rows for the time of a callback; those that are damaged are left out. Answers how many. */
static uint32_t rows_read(struct feed *feed, const struct rec_row_list *rows, struct feed_event **events)
{
    uint32_t count = 0;

    arena_reset(feed->arena);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct rec_event record;
        struct err err = {0};
        if (rec_decode_event(feed->arena, rows->items[i].value, &record, &err) != 0) {
            log_error("GTY-ROW-DAMAGED", "event=%llu %s", (unsigned long long)rows->items[i].id, err.text);
            if (err.code == ERR_NO_MEMORY)
                break; /* it comes again */
            continue;
        }
        events[count] = feed_event_new(&record);
        if (!events[count])
            break;
        count++;
    }
    return count;
}

static void on_back(void *arg, const struct msg *msg, const struct err *err)
{
    struct back *back = arg;
    struct feed *feed = back->feed;
    struct feed_reader *reader = back->reader;
    struct feed_event *events[BACK_EVENTS];
    const struct msg_event_rows *rows = msg && msg->shape->id == MSG_EVENT_ROWS ? &msg->u.event_rows : NULL;
    (void)err;

    back->asking = false;
    back->reader = NULL;
    if (reader) {
        uint32_t count = rows && rows->rows.count <= BACK_EVENTS ? rows_read(feed, &rows->rows, events) : 0;
        reader->reading = false;
        reader->events(reader->self, events, count, rows ? rows->oldest : 0, !rows);
        for (uint32_t i = 0; i < count; i++)
            feed_event_free(events[i]);
    }
    back_serve(feed);
}

/* Whether another reading for those behind is within what these may cost. */
static bool back_may(struct feed *feed)
{
    uint64_t now = clock_mono_ms();

    feed->back_left += (now - feed->back_ms) * BACK_A_MS;
    feed->back_ms = now;
    if (feed->back_left > BACK_MOST)
        feed->back_left = BACK_MOST;
    return feed->back_left >= BACK_EVENTS;
}

static void back_serve(struct feed *feed)
{
    for (unsigned i = 0; i < BACK_MAX && feed->waiting && back_may(feed); i++) {
        struct back *back = &feed->backs[i];
        if (back->asking)
            continue;
        feed->back_left -= BACK_EVENTS;
        struct feed_reader *reader = feed->waiting;
        struct msg_event_read read = {.after = reader->position, .limit = BACK_EVENTS};
        feed->waiting = reader->next_waiting;
        if (!feed->waiting)
            feed->last_waiting = NULL;
        reader->waits = false;
        reader->reading = true;
        back->reader = reader;
        back->asking = true;
        uint64_t corr = bus_ask(feed->store, &shape_msg_event_read, &read, (struct str){NULL, 0}, READ_MS, on_back, back);
        if (back->asking)
            back->corr = corr;
    }
}

void feed_read(struct feed *feed, struct feed_reader *reader)
{
    if (reader->waits || reader->reading)
        return;
    reader->waits = true;
    reader->next_waiting = NULL;
    if (feed->last_waiting)
        feed->last_waiting->next_waiting = reader;
    else
        feed->waiting = reader;
    feed->last_waiting = reader;
    back_serve(feed);
}

static void waiting_remove(struct feed *feed, struct feed_reader *reader)
{
    struct feed_reader **at = &feed->waiting, *before = NULL;

    for (unsigned i = 0; i < BACK_MAX; i++) {
        if (feed->backs[i].reader == reader)
            feed->backs[i].reader = NULL; /* its answer is for nobody */
    }
    if (!reader->waits)
        return;
    while (*at != reader) {
        before = *at;
        at = &(*at)->next_waiting;
    }
    *at = reader->next_waiting;
    if (feed->last_waiting == reader)
        feed->last_waiting = before;
    reader->waits = false;
}

/* ---- the head ---- */

bool feed_spend(struct feed *feed, struct feed_reader *reader, size_t bytes)
{
    if (feed->spend < bytes) {
        if (!feed->refused)
            feed->refused = reader;
        return false;
    }
    feed->spend -= bytes;
    return true;
}

/* Those before whom there was nothing left to send for come after him the next time. */
static void rotate(struct feed *feed)
{
    struct feed_reader *front = feed->refused;

    feed->refused = NULL;
    if (!front || !front->prev)
        return;
    feed->last->next = feed->first;
    feed->first->prev = feed->last;
    feed->last = front->prev;
    feed->last->next = NULL;
    front->prev = NULL;
    feed->first = front;
}

static uint64_t pass_ms(const struct feed *feed)
{
    uint64_t wait = PASS_MS + feed->readers / 2;
    return wait < PASS_MOST_MS ? wait : PASS_MOST_MS;
}

/* Everybody is told. */
static void pass(struct feed *feed)
{
    uint64_t now = clock_mono_ms(), gone = now - feed->passed_ms;
    struct feed_reader *end = feed->last, *next;

    feed->passed_ms = now;
    feed->spend += (gone < PASS_MOST_MS ? gone : PASS_MOST_MS) * SPEND_MS;
    if (feed->spend > SPEND_MOST)
        feed->spend = SPEND_MOST;
    for (struct feed_reader *at = feed->first; at; at = next) {
        next = at == end ? NULL : at->next;
        at->news(at->self);
    }
    rotate(feed);
    back_serve(feed);
}

/* Bells are for a quiet farm: each of them would wake the whole process. */
static void listen(struct feed *feed, bool listens)
{
    if (listens == feed->listens)
        return;
    feed->listens = listens;
    if (listens)
        events_listen(feed->gateway->events, &feed->listener);
    else
        events_unlisten(feed->gateway->events, &feed->listener);
}

static void head_begin(struct feed *feed, const struct msg_event_rows *rows)
{
    ring_clear(feed);
    feed->head = rows->newest;
    feed->first_id = rows->newest + 1;
    feed->known = true;
}

static void head_go(struct feed *feed, const struct msg_event_rows *rows)
{
    if (rows->oldest > feed->head + 1) { /* some were dropped before they were read: whoever wanted them is behind, and is told */
        ring_clear(feed);
        feed->first_id = rows->oldest;
        feed->head = rows->oldest - 1;
    }
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_event record;
        struct err err = {0};
        arena_reset(feed->arena);
        if (rec_decode_event(feed->arena, rows->rows.items[i].value, &record, &err) != 0) {
            log_error("GTY-ROW-DAMAGED", "event=%llu %s", (unsigned long long)rows->rows.items[i].id, err.text);
            if (err.code == ERR_NO_MEMORY)
                return;
        } else if (record.id > feed->head && !ring_add(feed, &record)) {
            return;
        }
    }
}

static void on_rows(void *arg, const struct msg *msg, const struct err *err)
{
    struct feed *feed = arg;
    (void)err;

    feed->asking = false;
    if (!feed->first)
        return;
    if (!msg || msg->shape->id != MSG_EVENT_ROWS) { /* the store is away: the tick tries again */
        listen(feed, true);
        return;
    }
    const struct msg_event_rows *rows = &msg->u.event_rows;
    if (!feed->known || rows->newest < feed->head) /* or another database */
        head_begin(feed, rows);
    else
        head_go(feed, rows);
    bool more = rows->rows.count > 0;
    pass(feed);
    if (!feed->first)
        return;
    listen(feed, !more && !feed->again);
    if (more || feed->again) {
        bool full = feed->head < rows->newest;
        loop_set(feed->gateway->loop, feed->timer, full ? 1 : pass_ms(feed), TICK_MS);
    }
    feed->again = false;
}

/* Somebody has had all that is in the ring, and can take more. */
static bool head_wanted(const struct feed *feed)
{
    for (const struct feed_reader *at = feed->first; at; at = at->next) {
        if (!at->sated && at->position >= feed->head)
            return true;
    }
    return false;
}

static void look(struct feed *feed)
{
    struct msg_event_read read = {.after = feed->head, .limit = feed->known ? READ_EVENTS : 0};

    if (feed->asking || !feed->first) {
        feed->again = feed->asking;
        return;
    }
    if (feed->known && !head_wanted(feed)) { /* what is there is enough for now */
        listen(feed, false);
        pass(feed);
        if (feed->first)
            loop_set(feed->gateway->loop, feed->timer, pass_ms(feed), TICK_MS);
        return;
    }
    feed->asking = true;
    uint64_t corr = bus_ask(feed->store, &shape_msg_event_read, &read, (struct str){NULL, 0}, READ_MS, on_rows, feed);
    if (feed->asking)
        feed->corr = corr;
}

static void on_timer(void *arg)
{
    look(arg);
}

static void on_bell(void *self, uint64_t event)
{
    struct feed *feed = self;

    if (event > feed->head || event == 0)
        look(feed);
}

/* ---- heartbeats: soft, asked for while somebody wants them ---- */

static void beat_tell(struct feed *feed, const struct rec_worker *worker)
{
    struct buf out = {0};
    struct writer w = {.out = &out};

    event_write_beat(&w, worker);
    for (struct feed_reader *at = feed->first; at && !out.failed; at = at->next) {
        if (at->beats)
            at->beat(at->self, worker, buf_str(&out));
    }
    buf_free(&out);
}

static void on_workers(void *arg, const struct msg *msg, const struct err *err)
{
    struct feed *feed = arg;
    uint64_t seen = feed->beat_seen;
    (void)err;

    feed->beating = false;
    if (!msg || msg->shape->id != MSG_WORKER_ROWS)
        return;
    const struct rec_worker_list *workers = &msg->u.worker_rows.workers;
    for (uint32_t i = 0; i < workers->count; i++) {
        const struct rec_worker *worker = &workers->items[i];
        if (worker->status == WORKER_OFFLINE || worker->last_heartbeat <= seen)
            continue;
        if (worker->last_heartbeat > feed->beat_seen)
            feed->beat_seen = worker->last_heartbeat;
        if (seen > 0)
            beat_tell(feed, worker);
    }
    if (feed->beat_seen == 0)
        feed->beat_seen = 1; /* from now on all count */
}

static void on_beat_timer(void *arg)
{
    struct feed *feed = arg;
    struct bus_client *scheduler = ask_client(feed->gateway->ask, ASK_SCHEDULER);
    struct msg_worker_list list = {.sort = STR_LIT("last_heartbeat"), .descending = true, .page = 1, .size = BEAT_WORKERS};

    if (feed->beaters == 0) {
        loop_unset(feed->gateway->loop, feed->beat_timer);
        feed->beat_seen = 0;
        return;
    }
    if (feed->beating || !bus_client_is_up(scheduler))
        return;
    feed->beating = true;
    uint64_t corr = bus_ask(scheduler, &shape_msg_worker_list, &list, (struct str){NULL, 0}, BEAT_MS, on_workers, feed);
    if (feed->beating)
        feed->beat_corr = corr;
}

/* ---- readers ---- */

void feed_add(struct feed *feed, struct feed_reader *reader)
{
    reader->next = NULL;
    reader->prev = feed->last;
    if (feed->last)
        feed->last->next = reader;
    else
        feed->first = reader;
    feed->last = reader;
    feed->readers++;
    reader->waits = reader->reading = false;
    if (feed->readers == 1) {
        listen(feed, true);
        loop_set(feed->gateway->loop, feed->timer, TICK_MS, TICK_MS);
    }
    look(feed); /* or once more, behind the question under way */
    if (reader->beats && feed->beaters++ == 0)
        loop_set(feed->gateway->loop, feed->beat_timer, 0, BEAT_MS);
}

void feed_remove(struct feed *feed, struct feed_reader *reader)
{
    waiting_remove(feed, reader);
    if (feed->refused == reader)
        feed->refused = reader->next;
    if (reader->prev)
        reader->prev->next = reader->next;
    else
        feed->first = reader->next;
    if (reader->next)
        reader->next->prev = reader->prev;
    else
        feed->last = reader->prev;
    feed->readers--;
    if (reader->beats)
        feed->beaters--;
    if (feed->readers > 0)
        return;
    listen(feed, false);
    loop_unset(feed->gateway->loop, feed->timer);
    ring_clear(feed);
    feed->known = false; /* what happens now nobody reads */
}

struct feed *feed_new(struct gateway *gateway, struct err *err)
{
    struct feed *feed = calloc(1, sizeof *feed);

    if (feed) {
        feed->gateway = gateway;
        feed->timer = loop_timer(gateway->loop, on_timer, feed);
        feed->beat_timer = loop_timer(gateway->loop, on_beat_timer, feed);
        feed->arena = arena_new((size_t)8 << 20);
        feed->first_id = 1;
    }
    if (!feed || feed->timer < 0 || feed->beat_timer < 0 || !feed->arena) {
        feed_free(feed);
        err_set(err, ERR_NO_MEMORY, "no memory for events");
        return NULL;
    }
    feed->store = ask_client(gateway->ask, ASK_STORE);
    feed->listener = (struct listener){.rang = on_bell, .self = feed};
    for (unsigned i = 0; i < BACK_MAX; i++)
        feed->backs[i].feed = feed;
    return feed;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    if (feed->asking)
        bus_forget(feed->store, feed->corr);
    if (feed->beating)
        bus_forget(ask_client(feed->gateway->ask, ASK_SCHEDULER), feed->beat_corr);
    for (unsigned i = 0; i < BACK_MAX; i++) {
        if (feed->backs[i].asking)
            bus_forget(feed->store, feed->backs[i].corr);
    }
    if (feed->listens)
        events_unlisten(feed->gateway->events, &feed->listener);
    loop_cancel(feed->gateway->loop, feed->timer);
    loop_cancel(feed->gateway->loop, feed->beat_timer);
    ring_clear(feed);
    arena_free(feed->arena);
    free(feed);
}
