#include "gateway/feed.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/events.h"
#include "gateway/feed_back.h"
#include "gateway/feed_beat.h"
#include "proto/clock.h"
#include "proto/log.h"

#define READ_EVENTS 1000 /* at once, at the head */
#define PASS_MS 50       /* between readings while events keep coming, and half a millisecond for each reader */
#define PASS_MOST_MS 1000
#define TICK_MS 500 /* a look when no bell came */
#define READ_MS 5000
#define SPEND_MS (4u << 10) /* bytes a millisecond that streams may be given together */
#define SPEND_MOST ((size_t)4 << 20)

struct feed {
    struct gateway *gateway;
    struct bus_client *store;
    struct listener listener;
    int timer;
    struct feed_reader *first, *last;
    uint32_t readers;
    struct feed_ring ring;
    struct feed_back back;
    struct feed_beat beat;
    bool known; /* the ring's head is */
    bool asking, again;
    bool listens;
    uint64_t corr;
    uint64_t passed_ms;
    size_t spend;
    struct feed_reader *refused; /* the first in this pass for whom there was nothing left to spend */
    struct arena *arena;
};

enum feed_next feed_next(const struct feed *feed, uint64_t position, struct feed_event **event)
{
    return feed->known ? feed_ring_next(&feed->ring, position, event) : FEED_END;
}

void feed_read(struct feed *feed, struct feed_reader *reader)
{
    feed_back_read(&feed->back, reader);
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
    feed_back_serve(&feed->back);
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

static void head_go(struct feed *feed, const struct msg_event_rows *rows)
{
    if (rows->oldest >
        feed->ring.head + 1) /* some were dropped before they were read: whoever wanted them is behind, and is told */
        feed_ring_begin(&feed->ring, rows->oldest - 1);
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_event record;
        struct err err = {0};
        arena_reset(feed->arena);
        if (rec_decode_event(feed->arena, rows->rows.items[i].value, &record, &err) != 0) {
            log_error("GTY-ROW-DAMAGED", "event=%llu %s", (unsigned long long)rows->rows.items[i].id, err.text);
            if (err.code == ERR_NO_MEMORY)
                return;
        } else if (record.id > feed->ring.head && !feed_ring_add(&feed->ring, &record)) {
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
    if (!feed->known || rows->newest < feed->ring.head) /* or another database */
        feed_ring_begin(&feed->ring, rows->newest);
    else
        head_go(feed, rows);
    feed->known = true;
    bool more = rows->rows.count > 0;
    pass(feed);
    if (!feed->first)
        return;
    listen(feed, !more && !feed->again);
    if (more || feed->again) {
        bool full = feed->ring.head < rows->newest;
        loop_set(feed->gateway->loop, feed->timer, full ? 1 : pass_ms(feed), TICK_MS);
    }
    feed->again = false;
}

/* Somebody has had all that is in the ring, and can take more. */
static bool head_wanted(const struct feed *feed)
{
    for (const struct feed_reader *at = feed->first; at; at = at->next) {
        if (!at->sated && at->position >= feed->ring.head)
            return true;
    }
    return false;
}

static void look(struct feed *feed)
{
    struct msg_event_read read = {.after = feed->ring.head, .limit = feed->known ? READ_EVENTS : 0};

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

    if (event > feed->ring.head || event == 0)
        look(feed);
}

static void on_beat(void *self, const struct rec_worker *worker, struct str json)
{
    struct feed *feed = self;

    for (struct feed_reader *at = feed->first; at; at = at->next) {
        if (at->beats)
            at->beat(at->self, worker, json);
    }
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
    if (reader->beats)
        feed_beat_add(&feed->beat);
}

void feed_remove(struct feed *feed, struct feed_reader *reader)
{
    feed_back_remove(&feed->back, reader);
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
        feed_beat_remove(&feed->beat);
    if (feed->readers > 0)
        return;
    listen(feed, false);
    loop_unset(feed->gateway->loop, feed->timer);
    feed_ring_begin(&feed->ring, feed->ring.head);
    feed->known = false; /* what happens now nobody reads */
}

struct feed *feed_new(struct gateway *gateway, struct err *err)
{
    struct feed *feed = calloc(1, sizeof *feed);
    bool whole = feed != NULL;

    if (feed) {
        feed->gateway = gateway;
        feed->timer = loop_timer(gateway->loop, on_timer, feed);
        feed->arena = arena_new((size_t)8 << 20);
        whole = feed_beat_init(&feed->beat, gateway, on_beat, feed) == 0 && feed->timer >= 0 && feed->arena;
    }
    if (!whole) {
        feed_free(feed);
        err_set(err, ERR_NO_MEMORY, "no memory for events");
        return NULL;
    }
    feed_ring_begin(&feed->ring, 0);
    feed->store = ask_client(gateway->ask, ASK_STORE);
    feed->listener = (struct listener){.rang = on_bell, .self = feed};
    feed_back_init(&feed->back, feed->store, feed->arena);
    return feed;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    if (feed->asking)
        bus_forget(feed->store, feed->corr);
    feed_back_close(&feed->back);
    feed_beat_close(&feed->beat);
    if (feed->listens)
        events_unlisten(feed->gateway->events, &feed->listener);
    loop_cancel(feed->gateway->loop, feed->timer);
    feed_ring_begin(&feed->ring, 0);
    arena_free(feed->arena);
    free(feed);
}
