/* Stills that were made, in memory: the ones used last, up to so many bytes. */
#ifndef GANTRY_GATEWAY_STILL_CACHE_H
#define GANTRY_GATEWAY_STILL_CACHE_H

#include "proto/str.h"

#define STILL_CACHE_BYTES ((size_t)8 << 20)
#define STILL_CACHE_ENTRIES 512

struct still_key { /* a file as it was then */
    uint64_t device, inode, size, changed_ns;
};

struct still_cache;

struct still_cache *still_cache_new(void);        /* NULL when out of memory */
void still_cache_free(struct still_cache *cache); /* takes NULL */
/* Borrowed until the next put; empty: it is not here. */
struct str still_cache_find(struct still_cache *cache, const struct still_key *key);
/* Keeps a copy, if there is memory for it and it is not larger than all of them may be. */
void still_cache_put(struct still_cache *cache, const struct still_key *key, struct str jpeg);

#endif
