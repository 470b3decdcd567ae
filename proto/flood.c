#include "proto/flood.h"

#include <string.h>

static uint32_t row_of(const struct bus_peer *peer)
{
    uint32_t hash = 2166136261u; /* FNV-1a: ids are drawn by ZeroMQ, nobody chooses one */

    for (uint8_t i = 0; i < peer->len; i++) {
        hash = (hash ^ peer->id[i]) * 16777619u;
    }
    return hash % FLOOD_PEERS;
}

bool flood_over(struct flood *flood, const struct bus_peer *peer, uint64_t now_ms, uint32_t bytes, uint32_t most)
{
    uint32_t at = row_of(peer);
    bool same = memcmp(&flood->rows[at].peer, peer, sizeof *peer) == 0;

    if (!same || now_ms - flood->rows[at].since_ms >= 1000) {
        flood->rows[at].peer = *peer;
        flood->rows[at].since_ms = now_ms;
        flood->rows[at].bytes = 0;
    }
    flood->rows[at].bytes += bytes;
    return flood->rows[at].bytes > most;
}
