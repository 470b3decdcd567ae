#include "store/state.h"

#include "store/key.h"

static const struct str state_key = {"state", 5};

enum kv_result state_load(struct kv_txn *txn, struct state *state)
{
    memset(state, 0, sizeof *state);
    struct str value;
    enum kv_result result = kv_get(txn, TABLE_META, state_key, &value);
    if (result != KV_OK && result != KV_NONE)
        return result;
    uint32_t words = result == KV_OK ? value.len / 8 : 0;
    if (words >= 2) {
        state->epoch = key_read_u64(value.ptr);
        state->applied = key_read_u64(value.ptr + 8);
    }
    for (uint32_t i = 0; i < TYPE_MAX; i++)
        state->next[i] = i + 2 < words ? key_read_u64(value.ptr + 8 * (i + 2)) : 1;
    return KV_OK;
}

enum kv_result state_save(struct kv_txn *batch, const struct state *state)
{
    unsigned char bytes[8 * (2 + TYPE_MAX)];
    key_write_u64(bytes, state->epoch);
    key_write_u64(bytes + 8, state->applied);
    for (size_t i = 0; i < TYPE_MAX; i++)
        key_write_u64(bytes + 8 * (i + 2), state->next[i]);
    return kv_put(batch, TABLE_META, state_key, (struct str){(char *)bytes, sizeof bytes}, false);
}

/* "purge", the kind, the id */
static struct key purge_key(enum purge_kind kind, uint64_t id)
{
    struct key key = {.len = 6, .bytes = "purge"};
    key.bytes[5] = (unsigned char)kind;
    key_id(&key, id);
    return key;
}

enum kv_result purge_note(struct kv_txn *batch, enum purge_kind kind, uint64_t id)
{
    return purge_note_with(batch, kind, id, (struct str){"", 0});
}

enum kv_result purge_note_with(struct kv_txn *batch, enum purge_kind kind, uint64_t id, struct str value)
{
    struct key key = purge_key(kind, id);
    return kv_put(batch, TABLE_META, key_str(&key), value, false);
}

enum kv_result purge_read(struct kv_txn *txn, enum purge_kind kind, uint64_t id, struct str *value)
{
    struct key key = purge_key(kind, id);
    return kv_get(txn, TABLE_META, key_str(&key), value);
}

uint64_t purge_free_id(struct kv_txn *txn, enum purge_kind kind)
{
    uint64_t id = 0;
    while (purge_next(txn, kind, id, &id)) {}
    return id + 1;
}

enum kv_result purge_forget(struct kv_txn *batch, enum purge_kind kind, uint64_t id)
{
    struct key key = purge_key(kind, id);
    enum kv_result result = kv_delete(batch, TABLE_META, key_str(&key));
    return result == KV_NONE ? KV_OK : result;
}

bool purge_under_way(struct kv_txn *txn, enum purge_kind kind, uint64_t id)
{
    struct key key = purge_key(kind, id);
    struct str value;
    return kv_get(txn, TABLE_META, key_str(&key), &value) == KV_OK;
}

bool purge_next(struct kv_txn *txn, enum purge_kind kind, uint64_t after, uint64_t *id)
{
    struct key key = purge_key(kind, after + 1);
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_META);
    if (!cursor)
        return false;
    struct kv_pair pair;
    bool found =
        kv_seek(cursor, key_str(&key), &pair) == KV_OK && pair.key.len == key.len && memcmp(pair.key.ptr, key.bytes, 6) == 0;
    if (found)
        *id = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return found;
}
