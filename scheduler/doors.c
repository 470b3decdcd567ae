/* Two ROUTERs whose messages go to the core by its own table, and the PUB. */
#include "scheduler/doors.h"

#include <stdlib.h>

#include "proto/endpoint.h"
#include "proto/log.h"

#define DOORS 2
#define DRAIN_ROUNDS 1000        /* wake-ups' worth of messages handled at once */
#define BELL_RUNS 4096u          /* msg_doorbell.runs */
#define LISTS_BYTES_S (8u << 20) /* a list of 65,536 leases has 2 MiB at most, and comes once a heartbeat */

struct doors {
    struct loop *loop;
    const struct settings *settings;
    struct doors_port port;
    struct bus_server *servers[DOORS];
    struct bus_route *routes[DOORS];
    struct bus_bell *bell;
    uint64_t lost;
    struct stats stats; /* being answered */
};

static void on_call(void *self, const struct bus_call *call)
{
    struct doors *doors = self;
    struct core_call core_call = {.msg = call->msg, .frame = call->frame, .key = call->key};
    struct address *from = &core_call.from;

    from->door = call->server == doors->servers[DOOR_WORKERS] ? DOOR_WORKERS : DOOR_COMMANDS;
    from->peer = call->peer;
    from->corr = call->msg->corr;
    str_copy(from->rid, sizeof from->rid, call->msg->rid);
    doors->port.call(doors->port.self, &core_call);
}

static void on_ping(void *self, struct msg_pong *pong)
{
    struct doors *doors = self;

    doors->port.fill_pong(doors->port.self, pong);
}

static void on_stats(void *self, const struct bus_call *call)
{
    struct doors *doors = self;

    doors->stats = (struct stats){0};
    doors->port.fill_stats(doors->port.self, &doors->stats);
    stats_count(&doors->stats, "messages_lost", doors->lost);
    struct msg_stats_answer answer = stats_answer(&doors->stats);
    bus_answer(call, &shape_msg_stats_answer, &answer);
}

static const struct bus_route stats_route = {MSG_STATS, on_stats, "all it counts, and how long things take"};

static size_t route_count(const struct core_route *routes)
{
    size_t count = 0;

    while (routes[count].id != 0) {
        count++;
    }
    return count;
}

/* Puts those that fit behind out; answers where it ended. */
static struct bus_route *routes_put(struct bus_route *out, const struct core_route *routes, enum door door)
{
    for (; routes->id != 0; routes++) {
        if (core_route_takes(routes, door)) {
            *out++ = (struct bus_route){routes->id, on_call, routes->doc};
        }
    }
    return out;
}

static int routes_make(struct doors *doors, enum door door)
{
    const struct core_route *const *more = doors->port.more;
    size_t count = route_count(core_routes);

    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        count += route_count(more[i]);
    }
    struct bus_route *routes = calloc(count + 2, sizeof *routes);
    if (routes == NULL) {
        return -1;
    }
    doors->routes[door] = routes;
    routes = routes_put(routes, core_routes, door);
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        routes = routes_put(routes, more[i], door);
    }
    if (door == DOOR_COMMANDS) {
        *routes = stats_route;
    }
    return 0;
}

static int door_endpoint(const struct settings *settings, enum door door, struct endpoint *out, struct err *err)
{
    return door == DOOR_WORKERS ? endpoint_of(settings, SET_BUS_WORKERS, "workers", true, out, err)
                                : endpoint_of(settings, SET_BUS_SCHEDULER, "scheduler", true, out, err);
}

static int bell_endpoint(const struct settings *settings, struct endpoint *out, struct err *err)
{
    return endpoint_of(settings, SET_BUS_DOORBELL, "doorbell", true, out, err);
}

int doors_prepare(const struct settings *settings, struct err *err)
{
    struct endpoint at;

    return bell_endpoint(settings, &at, err) != 0 || door_endpoint(settings, DOOR_COMMANDS, &at, err) != 0 ||
                   door_endpoint(settings, DOOR_WORKERS, &at, err) != 0
               ? -1
               : 0;
}

/* Going through them takes longer than sending them. */
static const uint16_t lists[] = {MSG_HELLO, MSG_HEARTBEAT, MSG_ACCEPT, MSG_REJECT};

static int door_open(struct doors *doors, enum door door, struct err *err)
{
    struct endpoint at;

    if (door_endpoint(doors->settings, door, &at, err) != 0) {
        return -1;
    }
    if (routes_make(doors, door) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    doors->servers[door] = bus_server_new(doors->loop, at.text, &at.curve, doors->routes[door], doors, err);
    if (doors->servers[door] == NULL) {
        return -1;
    }
    bus_server_on_ping(doors->servers[door], on_ping);
    if (door == DOOR_WORKERS) {
        for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
            bus_server_limit(doors->servers[door], lists[i], LISTS_BYTES_S);
        }
    }
    return 0;
}

static int bell_open(struct doors *doors, struct err *err)
{
    struct endpoint at;

    if (bell_endpoint(doors->settings, &at, err) != 0) {
        return -1;
    }
    doors->bell = bus_bell_new(at.text, &at.curve, err);
    return doors->bell != NULL ? 0 : -1;
}

struct doors *doors_open(struct loop *loop, const struct settings *settings, const struct doors_port *port, struct err *err)
{
    struct doors *doors = calloc(1, sizeof *doors);

    if (doors == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    *doors = (struct doors){.loop = loop, .settings = settings, .port = *port};
    if (bell_open(doors, err) != 0 || door_open(doors, DOOR_COMMANDS, err) != 0 || door_open(doors, DOOR_WORKERS, err) != 0) {
        doors_free(doors);
        return NULL;
    }
    return doors;
}

void doors_free(struct doors *doors)
{
    if (doors == NULL) {
        return;
    }
    for (int door = 0; door < DOORS; door++) {
        bus_server_free(doors->servers[door]);
        free(doors->routes[door]);
    }
    bus_bell_free(doors->bell);
    free(doors);
}

void doors_drain(struct doors *doors)
{
    int handled = 1;

    for (int round = 0; round < DRAIN_ROUNDS && handled > 0; round++) {
        handled = bus_server_drain(doors->servers[DOOR_WORKERS]) + bus_server_drain(doors->servers[DOOR_COMMANDS]);
    }
}

void doors_send(struct doors *doors, const struct address *to, struct str frame)
{
    struct err err = {0};

    if (bus_send_bytes(doors->servers[to->door], &to->peer, frame, &err) == 0) {
        return;
    }
    doors->lost++;
    if (err.code != ERR_NOT_FOUND) {
        log_warn("GTY-SEND-LOST", "req=%s %s", to->rid, err.text);
    }
}

void doors_ring(struct doors *doors, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    for (uint32_t at = 0; at < count || (at == 0 && last_event != 0); at += BELL_RUNS) {
        uint32_t some = count - at < BELL_RUNS ? count - at : BELL_RUNS;
        /* The list is only read. */
        struct msg_doorbell doorbell = {.event = last_event, .runs = {(uint64_t *)(uintptr_t)(runs + at), some}};
        bus_bell_ring(doors->bell, &doorbell);
    }
}

bool doors_keys_changed(struct doors *doors)
{
    return bus_server_keys_changed(doors->servers[DOOR_WORKERS]);
}

bool doors_let_in(void *self, struct str key)
{
    const struct doors *doors = self;
    return bus_server_lets_in(doors->servers[DOOR_WORKERS], key);
}

uint64_t doors_lost(const struct doors *doors)
{
    return doors->lost;
}
