/* The network between a scheduler's doors and its peers. As ZeroMQ does it, messages of one connection arrive in the order they were
 * sent, and what was under way when a connection breaks is gone. Beyond what ZeroMQ does, in bad weather single ones are lost or come
 * twice in a row: whoever must live with repeats and with silence is made to. */
#include <stdlib.h>

#include "tests/sim/sim.h"

static struct connection *connections;
static uint32_t count, size;

void net_reset(void)
{
    free(connections);
    connections = NULL;
    count = size = 0;
}

struct packet *packet_new(uint32_t from, struct str bytes)
{
    struct packet *packet = malloc(sizeof *packet + bytes.len);
    *packet = (struct packet){.from = from, .len = bytes.len};
    memcpy(packet->bytes, bytes.ptr, bytes.len);
    return packet;
}

struct connection *net_of(uint32_t connection)
{
    return &connections[connection];
}

uint32_t net_connect(enum peer_kind kind, uint32_t who, enum door door)
{
    int place = sched_serving();
    if (place < 0)
        return 0;
    if (count + 1 >= size) {
        size = size ? size * 2 : 1024;
        connections = realloc(connections, size * sizeof *connections);
        count = count ? count : 1;
    }
    connections[count] = (struct connection){.kind = (uint8_t)kind,
                                             .sched = (uint8_t)place,
                                             .up = true,
                                             .door_workers = door == DOOR_WORKERS,
                                             .who = who,
                                             .epoch = scheds[place].start};
    return count++;
}

void net_break(uint32_t connection)
{
    if (connection && connections[connection].up) {
        connections[connection].up = false;
        if (connections[connection].kind == PEER_WORKER)
            worker_lost(connections[connection].who, connection);
        else if (connections[connection].kind == PEER_API)
            api_lost(connections[connection].who, connection);
        else
            client_lost(connections[connection].who, connection);
    }
}

void net_break_sched(uint32_t place)
{
    for (uint32_t i = 1; i < count; i++)
        if (connections[i].sched == place)
            net_break(i);
}

/* When a message arrives that leaves now, behind the one before it; 0: never. */
static uint64_t arrival(uint64_t *last)
{
    uint64_t at = sim.now + below(3);
    if (sim.weather.loss && below(100000) < sim.weather.loss) {
        sim.lost++;
        return 0;
    }
    if (sim.weather.delay_ms && one_in(8))
        at += about(sim.weather.delay_ms);
    at = (at + sim.world->tick_ms - 1) / sim.world->tick_ms * sim.world->tick_ms;
    *last = at > *last ? at : *last;
    return *last;
}

static bool twice(void)
{
    bool again = sim.weather.twice && below(100000) < sim.weather.twice;
    sim.doubled += again;
    return again;
}

void net_up(uint32_t connection, struct str bytes)
{
    struct connection *at = &connections[connection];
    if (!connection || !at->up)
        return;
    uint64_t due = arrival(&at->last_up);
    if (!due)
        return;
    wheel_add(due, EVENT_UP, at->sched, packet_new(connection, bytes), 0);
    if (twice())
        wheel_add(due, EVENT_UP, at->sched, packet_new(connection, bytes), 0);
}

int net_down(uint32_t connection, struct str bytes)
{
    struct connection *at = &connections[connection];
    if (!connection || connection >= count || !at->up)
        return -1;
    uint64_t due = arrival(&at->last_down);
    if (!due)
        return 0;
    wheel_add(due, EVENT_DOWN, at->who, packet_new(connection, bytes), 0);
    if (twice())
        wheel_add(due, EVENT_DOWN, at->who, packet_new(connection, bytes), 0);
    return 0;
}

/* Between scheduler and store nothing is lost but with the connection: both rely on that. */
void net_link(uint64_t *last, enum event_kind kind, uint32_t who, uint32_t link, struct str bytes, bool repeats)
{
    uint64_t due = sim.now + below(3) + (sim.weather.delay_ms && one_in(8) ? about(sim.weather.delay_ms) : 0);
    *last = due > *last ? due : *last;
    wheel_add(*last, kind, who, packet_new(link, bytes), 0);
    if (repeats && twice())
        wheel_add(*last, kind, who, packet_new(link, bytes), 0);
}
