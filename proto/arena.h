/* A bump allocator with a ceiling: lists of decoded messages live here, and go all at once.
 *
 * Allocation beyond the ceiling, or when the system has no memory, answers NULL.
 */
#ifndef GANTRY_PROTO_ARENA_H
#define GANTRY_PROTO_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/str.h"

struct arena;

/* limit: bytes it may hold in all. NULL when out of memory. */
struct arena *arena_new(size_t limit);
void arena_free(struct arena *arena); /* takes NULL */
void arena_reset(struct arena *arena);

/* size bytes, zeroed, aligned for any type; NULL at the limit. size 0 answers a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* True when the system had no memory since the last reset: what failed may work again. False when only the limit was in the way. */
bool arena_starved(const struct arena *arena);
/* A copy of text that lives in the arena, NUL-terminated behind its length; ptr is NULL at the limit. */
struct str arena_str(struct arena *arena, struct str text);

#endif
