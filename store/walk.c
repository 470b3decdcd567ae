#include "store/walk.h"

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

void walk_end(struct walk *walk)
{
    kv_cursor_free(walk->cursor);
    walk->cursor = NULL;
}

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
    enum kv_result result = walk->down ? kv_prev(walk->cursor, &pair) : kv_next(walk->cursor, &pair);
    return walk_take(walk, result, &pair);
}
