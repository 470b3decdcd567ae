#include "store/walk.h"

#include <stdlib.h>

int walk_records(struct walk *walk, struct kv_txn *txn, unsigned type)
{
    *walk = (struct walk){.records = true, .by_id = true, .high = UINT64_MAX - 1};
    walk->cursor = kv_cursor_new(txn, TABLE_RECORDS + type);
    return walk->cursor ? 0 : -1;
}

int walk_index(struct walk *walk, struct kv_txn *txn, const struct key *prefix, bool by_id)
{
    *walk = (struct walk){.by_id = by_id, .high = UINT64_MAX - 1, .prefix = *prefix};
    walk->cursor = kv_cursor_new(txn, TABLE_INDEX);
    return walk->cursor ? 0 : -1;
}

int walk_indexes(struct walk *walk, struct kv_txn *txn, const struct key *prefixes, unsigned count)
{
    *walk = (struct walk){.by_id = true, .high = UINT64_MAX - 1, .parts = calloc(count + 1, sizeof *walk->parts)};
    for (unsigned i = 0; walk->parts && i < count; i++) {
        walk->parts[i] = (struct walk_part){.cursor = kv_cursor_new(txn, TABLE_INDEX), .prefix = prefixes[i]};
        walk->part_count++;
        if (!walk->parts[i].cursor) {
            walk_end(walk);
            return -1;
        }
    }
    return walk->parts ? 0 : -1;
}

void walk_end(struct walk *walk)
{
    kv_cursor_free(walk->cursor);
    for (unsigned i = 0; i < walk->part_count; i++)
        kv_cursor_free(walk->parts[i].cursor);
    free(walk->parts);
    walk->cursor = NULL;
    walk->parts = NULL;
    walk->part_count = 0;
}

/* ---- some values together ---- */

/* What a part's cursor has come to. Anything but KV_OK and KV_NONE is an error. */
static enum kv_result part_take(const struct walk *walk, struct walk_part *part, enum kv_result result,
                                const struct kv_pair *pair)
{
    part->ended = result != KV_OK || !key_starts(pair->key, key_str(&part->prefix));
    part->id = part->ended ? 0 : key_id_at_end(pair->key);
    part->ended = part->ended || part->id < walk->low || part->id > walk->high;
    return result;
}

/* Stands in the part whose id comes first. */
static enum kv_result parts_choose(struct walk *walk)
{
    const struct walk_part *best = NULL;
    for (unsigned i = 0; i < walk->part_count; i++) {
        const struct walk_part *part = &walk->parts[i];
        if (part->ended || (best && (walk->down ? part->id < best->id : part->id > best->id)))
            continue;
        best = part;
        walk->part = i;
    }
    walk->id = best ? best->id : 0;
    return best ? KV_OK : KV_NONE;
}

static enum kv_result parts_first(struct walk *walk)
{
    for (unsigned i = 0; i < walk->part_count; i++) {
        struct walk_part *part = &walk->parts[i];
        struct key key = part->prefix;
        struct kv_pair pair;
        key_id(&key, walk->down ? walk->high + 1 : walk->low);
        enum kv_result result =
            walk->down ? kv_seek_before(part->cursor, key_str(&key), &pair) : kv_seek(part->cursor, key_str(&key), &pair);
        result = part_take(walk, part, result, &pair);
        if (result != KV_OK && result != KV_NONE)
            return result;
    }
    return parts_choose(walk);
}

static enum kv_result parts_next(struct walk *walk)
{
    struct walk_part *part = &walk->parts[walk->part];
    struct kv_pair pair;
    enum kv_result result = walk->down ? kv_prev(part->cursor, &pair) : kv_next(part->cursor, &pair);
    result = part_take(walk, part, result, &pair);
    return result == KV_OK || result == KV_NONE ? parts_choose(walk) : result;
}

/* ---- one ---- */

static enum kv_result walk_take(struct walk *walk, enum kv_result result, const struct kv_pair *pair)
{
    if (result != KV_OK)
        return result;
    if (!key_starts(pair->key, key_str(&walk->prefix)))
        return KV_NONE;
    walk->id = key_id_at_end(pair->key);
    walk->value = pair->value;
    if (walk->by_id && (walk->id < walk->low || walk->id > walk->high))
        return KV_NONE;
    return KV_OK;
}

enum kv_result walk_first(struct walk *walk)
{
    struct kv_pair pair;
    struct key key = walk->prefix;
    if (walk->parts)
        return parts_first(walk);
    if (walk->by_id) {
        key_id(&key, walk->down ? walk->high + 1 : walk->low);
    } else if (walk->down && !key_step_over(&key)) {
        return walk_take(walk, kv_last(walk->cursor, &pair), &pair);
    }
    enum kv_result result =
        walk->down ? kv_seek_before(walk->cursor, key_str(&key), &pair) : kv_seek(walk->cursor, key_str(&key), &pair);
    return walk_take(walk, result, &pair);
}

enum kv_result walk_next(struct walk *walk)
{
    struct kv_pair pair;
    if (walk->parts)
        return parts_next(walk);
    enum kv_result result = walk->down ? kv_prev(walk->cursor, &pair) : kv_next(walk->cursor, &pair);
    return walk_take(walk, result, &pair);
}
