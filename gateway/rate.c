#include "gateway/rate.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 16384  /* of the index: a power of two above RATE_BUCKETS */
#define TOKEN 60000u /* a request, in the unit a limit of one a minute adds each millisecond */
#define NONE UINT32_MAX

struct bucket {
    uint8_t key[RATE_KEY];
    uint64_t level; /* what is left, in parts of a request */
    uint64_t at_ms; /* when that was so */
    uint32_t newer, older;
    uint32_t chain; /* the next with the same slot */
};

struct rate {
    struct bucket buckets[RATE_BUCKETS];
    uint32_t slots[SLOTS];
    uint32_t newest, oldest;
    uint32_t count;
};

struct rate *rate_new(void)
{
    struct rate *rate = calloc(1, sizeof *rate); /* zero pages: memory comes with callers */

    if (!rate)
        return NULL;
    memset(rate->slots, 0xff, sizeof rate->slots);
    rate->newest = rate->oldest = NONE;
    return rate;
}

void rate_free(struct rate *rate)
{
    free(rate);
}

/* Keys are hashes already. */
static uint32_t *slot_of(struct rate *rate, const uint8_t key[RATE_KEY])
{
    return &rate->slots[(key[0] | (uint32_t)key[1] << 8) & (SLOTS - 1)];
}

static void order_leave(struct rate *rate, const struct bucket *bucket)
{
    *(bucket->newer == NONE ? &rate->newest : &rate->buckets[bucket->newer].older) = bucket->older;
    *(bucket->older == NONE ? &rate->oldest : &rate->buckets[bucket->older].newer) = bucket->newer;
}

static void order_lead(struct rate *rate, struct bucket *bucket)
{
    uint32_t index = (uint32_t)(bucket - rate->buckets);

    bucket->newer = NONE;
    bucket->older = rate->newest;
    *(rate->newest == NONE ? &rate->oldest : &rate->buckets[rate->newest].newer) = index;
    rate->newest = index;
}

static struct bucket *bucket_find(struct rate *rate, const uint8_t key[RATE_KEY])
{
    for (uint32_t at = *slot_of(rate, key); at != NONE; at = rate->buckets[at].chain) {
        if (memcmp(rate->buckets[at].key, key, RATE_KEY) == 0)
            return &rate->buckets[at];
    }
    return NULL;
}

static void slot_leave(struct rate *rate, const struct bucket *bucket)
{
    uint32_t *at = slot_of(rate, bucket->key);

    while (*at != (uint32_t)(bucket - rate->buckets))
        at = &rate->buckets[*at].chain;
    *at = bucket->chain;
}

static struct bucket *bucket_new(struct rate *rate, const uint8_t key[RATE_KEY])
{
    struct bucket *bucket;

    if (rate->count < RATE_BUCKETS) {
        bucket = &rate->buckets[rate->count++];
    } else {
        bucket = &rate->buckets[rate->oldest];
        order_leave(rate, bucket);
        slot_leave(rate, bucket);
    }
    memcpy(bucket->key, key, RATE_KEY);
    uint32_t *slot = slot_of(rate, key);
    bucket->chain = *slot;
    *slot = (uint32_t)(bucket - rate->buckets);
    return bucket;
}

static uint32_t seconds(uint64_t parts, uint32_t per_minute)
{
    uint64_t ms = (parts + per_minute - 1) / per_minute;
    return (uint32_t)((ms + 999) / 1000);
}

static uint64_t full_of(struct rate_limit limit)
{
    return (uint64_t)(limit.burst ? limit.burst : limit.per_minute) * TOKEN;
}

/* The bucket of a key, with what has come into it since. */
static struct bucket *bucket_fill(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms)
{
    uint64_t full = full_of(limit);
    struct bucket *bucket = bucket_find(rate, key);

    if (!bucket) {
        bucket = bucket_new(rate, key);
        bucket->level = full;
    } else {
        uint64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
        order_leave(rate, bucket);
        /* Beyond what fills it the product could run over; and a limit that was lowered cuts what had been saved. */
        bool filled = bucket->level >= full || passed >= (full - bucket->level) / limit.per_minute + 1;
        bucket->level = filled ? full : bucket->level + passed * limit.per_minute;
    }
    order_lead(rate, bucket);
    bucket->at_ms = now_ms;
    return bucket;
}

static bool rate_ask(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms, uint64_t takes,
                     struct rate_state *state)
{
    *state = (struct rate_state){.limit = limit.per_minute};
    if (limit.per_minute == 0)
        return true;
    struct bucket *bucket = bucket_fill(rate, key, limit, now_ms);
    bool there = bucket->level >= TOKEN;
    if (there)
        bucket->level -= takes;
    else
        state->wait_s = seconds(TOKEN - bucket->level, limit.per_minute);
    state->remaining = (uint32_t)(bucket->level / TOKEN);
    state->full_s = seconds(full_of(limit) - bucket->level, limit.per_minute);
    return there;
}

bool rate_has(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms, struct rate_state *state)
{
    return rate_ask(rate, key, limit, now_ms, 0, state);
}

bool rate_take(struct rate *rate, const uint8_t key[RATE_KEY], struct rate_limit limit, uint64_t now_ms, struct rate_state *state)
{
    return rate_ask(rate, key, limit, now_ms, TOKEN, state);
}
