/* Whether a peer says more of one kind than anybody needs to.
 *
 * A list of leases takes longer to be gone through than to be sent. From a peer that sends such lists without pause ever more would wait
 * here in memory, and ZeroMQ offers no bound on bytes: what is too much is thrown away before it is decoded, which is faster than it comes.
 */
#ifndef GANTRY_PROTO_FLOOD_H
#define GANTRY_PROTO_FLOOD_H

#include "proto/bus.h"

#define FLOOD_PEERS 256 /* remembered; peers that share a row begin anew in turn, so many together may say more */

struct flood {
    struct {
        struct bus_peer peer;
        uint64_t since_ms, bytes;
    } rows[FLOOD_PEERS];
};

/* Counts these bytes of a peer's; true: in this second they are over most. */
bool flood_over(struct flood *flood, const struct bus_peer *peer, uint64_t now_ms, uint32_t bytes, uint32_t most);

#endif
