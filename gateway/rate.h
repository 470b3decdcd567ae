/* How many requests whoever asks may make: a token bucket each, in bounded memory. Pure: the caller has the clock.
 *
 * The least recently seen bucket makes room for a new one. What it was short of is forgotten with it, so a limit holds as long as fewer
 * than RATE_BUCKETS callers take turns.
 */
#ifndef GANTRY_GATEWAY_RATE_H
#define GANTRY_GATEWAY_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_BUCKETS 10000
#define RATE_KEY 16

struct rate;

struct rate_limit {
    uint32_t per_minute; /* 0: none */
    uint32_t burst;      /* at once; 0: as many as a minute has */
};

struct rate_state { /* of a bucket, after a request */
    uint32_t limit; /* a minute; 0: there is no limit */
    uint32_t remaining;
    uint32_t full_s; /* seconds until it is full again */
    uint32_t wait_s; /* seconds until there is one again; 0: there is one now */
};

struct rate *rate_new(void);       /* NULL when out of memory */
void rate_free(struct rate *rate); /* takes NULL */

/* Whether there is one to take; takes none. */
bool rate_has(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms, struct rate_state *state);
/* Takes one request out of key's bucket at now_ms (monotonic); false when there is none left. */
bool rate_take(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms,
               struct rate_state *state);

#endif
