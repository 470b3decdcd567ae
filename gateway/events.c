#include "gateway/events.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "proto/bus.h"
#include "proto/endpoint.h"

#define TICK_MS 500
#define WAKE_TICKS 2  /* everybody is woken every second */
#define LIVE_MAX 1000 /* runs asked about at once */
#define LIVE_DEADLINE_MS 1000

struct events {
    struct gateway *gateway;
    struct bus_ear *ear;
    struct follower *first;
    struct listener *listeners;
    int timer;
    unsigned ticks;
    bool asking;
    uint64_t corr;
};

static bool named(const struct uint_list *runs, uint64_t id)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        if (runs->items[i] == id)
            return true;
    }
    return false;
}

static void wake(struct events *events, const struct uint_list *runs)
{
    struct follower *next;

    for (struct follower *at = events->first; at; at = next) {
        next = at->next;
        if (!runs || named(runs, at->run_id))
            at->changed(at->self);
    }
}

static void on_bell(void *self, const struct msg_doorbell *bell)
{
    struct events *events = self;
    struct listener *next;
    bool anything = bell->runs.count == 0 && bell->event == 0;

    wake(events, anything ? NULL : &bell->runs);
    for (struct listener *at = anything || bell->event > 0 ? events->listeners : NULL; at; at = next) {
        next = at->next;
        at->rang(at->self, bell->event);
    }
}

static void on_live(void *arg, const struct msg *msg, const struct err *err)
{
    struct events *events = arg;
    (void)err;

    events->asking = false;
    if (!msg || msg->shape->id != MSG_RUN_LIVE_ROWS)
        return;
    const struct rec_live_run_list *runs = &msg->u.run_live_rows.runs;
    struct follower *next;
    for (struct follower *at = events->first; at; at = next) {
        next = at->next;
        for (uint32_t i = 0; i < runs->count; i++) {
            if (runs->items[i].run_id == at->run_id) {
                at->live(at->self, &runs->items[i]);
                break;
            }
        }
    }
}

static void ask_live(struct events *events)
{
    static uint64_t ids[LIVE_MAX];
    struct msg_run_live live = {.ids = {ids, 0}};
    struct bus_client *scheduler = ask_client(events->gateway->ask, ASK_SCHEDULER);

    if (events->asking || !bus_client_is_up(scheduler))
        return;
    for (const struct follower *at = events->first; at && live.ids.count < LIVE_MAX; at = at->next) {
        if (!named(&live.ids, at->run_id))
            ids[live.ids.count++] = at->run_id;
    }
    events->asking = true;
    uint64_t corr = bus_ask(scheduler, &shape_msg_run_live, &live, (struct str){NULL, 0}, LIVE_DEADLINE_MS, on_live, events);
    if (events->asking)
        events->corr = corr;
}

static void on_tick(void *arg)
{
    struct events *events = arg;

    events->ticks++;
    if (!events->first)
        return;
    if (events->ticks % WAKE_TICKS == 0)
        wake(events, NULL);
    if (events->first)
        ask_live(events);
}

static int open_ear(struct events *events, struct err *err)
{
    struct endpoint at;

    if (endpoint_of(events->gateway->settings, SET_BUS_DOORBELL, "doorbell", false, &at, err) == 0)
        events->ear = bus_ear_new(events->gateway->loop, at.text, &at.curve, on_bell, events, err);
    return events->ear && bus_ear_listen(events->ear, false) == 0 ? 0 : -1;
}

struct events *events_new(struct gateway *gateway, struct err *err)
{
    struct events *events = calloc(1, sizeof *events);

    if (!events) {
        err_set(err, ERR_NO_MEMORY, "no memory for the doorbell");
        return NULL;
    }
    events->gateway = gateway;
    events->timer = loop_every(gateway->loop, TICK_MS, on_tick, events);
    if (events->timer < 0)
        err_set(err, ERR_NO_MEMORY, "no memory for the doorbell");
    if (events->timer < 0 || open_ear(events, err) != 0) {
        events_free(events);
        return NULL;
    }
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    if (events->asking)
        bus_forget(ask_client(events->gateway->ask, ASK_SCHEDULER), events->corr);
    loop_cancel(events->gateway->loop, events->timer);
    bus_ear_free(events->ear);
    free(events);
}

void events_follow(struct events *events, struct follower *follower)
{
    (void)bus_ear_listen(events->ear, true); /* else the timer wakes it */
    follower->prev = NULL;
    follower->next = events->first;
    if (events->first)
        events->first->prev = follower;
    events->first = follower;
}

void events_unfollow(struct events *events, struct follower *follower)
{
    if (follower->prev)
        follower->prev->next = follower->next;
    else
        events->first = follower->next;
    if (follower->next)
        follower->next->prev = follower->prev;
    follower->prev = follower->next = NULL;
    if (!events->first && !events->listeners)
        (void)bus_ear_listen(events->ear, false);
}

void events_listen(struct events *events, struct listener *listener)
{
    (void)bus_ear_listen(events->ear, true); /* else its own timer wakes it */
    listener->next = events->listeners;
    events->listeners = listener;
}

void events_unlisten(struct events *events, struct listener *listener)
{
    struct listener **at = &events->listeners;

    while (*at && *at != listener)
        at = &(*at)->next;
    if (*at)
        *at = listener->next;
    if (!events->first && !events->listeners)
        (void)bus_ear_listen(events->ear, false);
}
