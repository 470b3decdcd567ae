#include "gateway/health.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "proto/clock.h"

#define FRESH_MS 1000
#define DEADLINE_MS 1000
#define WAITERS_MAX 1024

struct probe {
    struct health *health;
    enum ask_whom whom;
    uint64_t began_us, corr;
    bool asking;
};

struct health {
    struct gateway *gateway;
    struct health_view view;
    uint64_t measured_ms; /* monotonic; 0: never */
    struct probe probes[2];
    struct {
        struct request *request;
        void (*on_health)(struct request *request, const struct health_view *view);
    } waiters[WAITERS_MAX];
    uint32_t waiter_count;
    void (*watch)(void *self, const struct health_view *view);
    void *watcher;
};

const char *health_word(bool good)
{
    return good ? "healthy" : "unhealthy";
}

const char *health_state_word(enum health_state state)
{
    static const char *const words[] = {"healthy", "degraded", "unhealthy"};
    return words[state];
}

uint64_t health_count(const struct health_part *part, const char *name)
{
    for (uint32_t i = 0; i < part->count_count; i++) {
        if (strcmp(part->counts[i].name, name) == 0)
            return part->counts[i].value;
    }
    return 0;
}

static void measured(struct health *health)
{
    struct health_view *view = &health->view;
    const struct health_part *store = &view->parts[ASK_STORE], *scheduler = &view->parts[ASK_SCHEDULER];

    view->state = HEALTH_HEALTHY;
    if (store->trouble[0] || scheduler->trouble[0])
        view->state = HEALTH_DEGRADED;
    if (!store->ready || !scheduler->ready)
        view->state = HEALTH_UNHEALTHY;
    view->wall_ms = clock_wall_ms();
    health->measured_ms = clock_mono_ms();
    /* A waiter may ask something else, never health again; so the list can be walked while it is told. */
    uint32_t count = health->waiter_count;
    health->waiter_count = 0;
    for (uint32_t i = 0; i < count; i++)
        health->waiters[i].on_health(health->waiters[i].request, view);
    if (health->watch)
        health->watch(health->watcher, view);
}

static void part_fill(struct health_part *part, const struct msg_pong *pong)
{
    part->answers = true;
    part->ready = pong->ready;
    str_copy(part->trouble, sizeof part->trouble, str_cut(pong->trouble, sizeof part->trouble - 1));
    part->count_count = pong->counts.count < HEALTH_COUNTS ? pong->counts.count : HEALTH_COUNTS;
    for (uint32_t i = 0; i < part->count_count; i++) {
        str_copy(part->counts[i].name, sizeof part->counts[i].name, pong->counts.items[i].name);
        part->counts[i].value = pong->counts.items[i].value;
    }
}

/* A probe has ended; msg is NULL when nothing came. */
static void on_pong(void *arg, const struct msg *msg, const struct err *err)
{
    struct probe *probe = arg;
    struct health *health = probe->health;
    struct health_part *part = &health->view.parts[probe->whom];
    (void)err;

    probe->asking = false;
    *part = (struct health_part){.seconds = (double)(clock_mono_us() - probe->began_us) / 1e6};
    if (msg && msg->shape->id == MSG_PONG)
        part_fill(part, &msg->u.pong);
    if (!health->probes[0].asking && !health->probes[1].asking)
        measured(health);
}

static void probe_send(struct probe *probe)
{
    struct health *health = probe->health;
    struct bus_client *client = ask_client(health->gateway->ask, probe->whom);
    struct msg_ping ping = {0};

    if (!bus_client_is_up(client)) { /* no need to wait for what cannot come */
        on_pong(probe, NULL, NULL);
        return;
    }
    uint64_t corr = bus_ask(client, &shape_msg_ping, &ping, (struct str){NULL, 0}, DEADLINE_MS, on_pong, probe);
    if (probe->asking)
        probe->corr = corr;
}

static void probes_send(struct health *health)
{
    for (int i = 0; i < 2; i++) {
        health->probes[i].asking = true;
        health->probes[i].began_us = clock_mono_us();
    }
    probe_send(&health->probes[0]);
    probe_send(&health->probes[1]);
}

void health_ask(struct request *request, void (*on_health)(struct request *request, const struct health_view *view))
{
    struct health *health = request->gateway->health;
    bool under_way = health->probes[0].asking || health->probes[1].asking;

    if (!under_way && health->measured_ms > 0 && clock_mono_ms() - health->measured_ms < FRESH_MS) {
        on_health(request, &health->view);
        return;
    }
    if (health->waiter_count == WAITERS_MAX) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    health->waiters[health->waiter_count].request = request;
    health->waiters[health->waiter_count++].on_health = on_health;
    if (!under_way)
        probes_send(health);
}

void health_measure(struct health *health)
{
    bool under_way = health->probes[0].asking || health->probes[1].asking;

    if (!under_way && (health->measured_ms == 0 || clock_mono_ms() - health->measured_ms >= FRESH_MS))
        probes_send(health);
}

void health_watch(struct health *health, void (*watch)(void *self, const struct health_view *view), void *self)
{
    health->watch = watch;
    health->watcher = self;
}

struct health *health_new(struct gateway *gateway, struct err *err)
{
    struct health *health = calloc(1, sizeof *health);

    if (!health) {
        err_set(err, ERR_NO_MEMORY, "no memory for the health check");
        return NULL;
    }
    health->gateway = gateway;
    for (int i = 0; i < 2; i++)
        health->probes[i] = (struct probe){.health = health, .whom = (enum ask_whom)i};
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    for (int i = 0; i < 2; i++) {
        if (health->probes[i].asking)
            bus_forget(ask_client(health->gateway->ask, health->probes[i].whom), health->probes[i].corr);
    }
    free(health);
}
