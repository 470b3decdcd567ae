#include "store/audit.h"

#include "store/key.h"

#define AUDIT_TRIM_MOST 256 /* at once: more than come meanwhile, so that a lower limit is reached in the end */

static bool line_at(struct str line, uint64_t *at)
{
    const struct record *record = record_of(TYPE_AUDIT);
    struct value value = {0};
    if (record_read(&record->columns[record->grows], 1, line, &value) != 0)
        return false;
    *at = value.number;
    return true;
}

/* The oldest line, if it is to go; id 0: it is not. */
static enum kv_result oldest_over(struct writer *writer, bool too_many, uint64_t before, uint64_t *id)
{
    struct kv_cursor *cursor = kv_cursor_new(writer->txn, TABLE_RECORDS + TYPE_AUDIT);
    struct kv_pair pair;
    uint64_t at = 0;
    *id = 0;
    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_first(cursor, &pair);
    if (result == KV_OK && !line_at(pair.value, &at))
        result = KV_CORRUPT;
    if (result == KV_OK && (too_many || at < before))
        *id = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_OK : result;
}

enum kv_result audit_trim(struct writer *writer, const struct store_limits *limits, uint64_t id, struct str line)
{
    struct key total;
    uint64_t now;
    if (id % AUDIT_TRIM_EVERY != 0 || (!limits->audits && !limits->audits_ms))
        return KV_OK;
    if (!line_at(line, &now))
        return KV_CORRUPT;
    key_begin(&total, TYPE_AUDIT, 0);
    uint64_t count = count_now(writer->counts, writer->txn, key_str(&total));
    uint64_t over = limits->audits && count > limits->audits ? count - limits->audits : 0;
    uint64_t before = limits->audits_ms && now > limits->audits_ms ? now - limits->audits_ms : 0;
    for (unsigned i = 0; i < AUDIT_TRIM_MOST; i++) {
        uint64_t oldest;
        enum kv_result result = oldest_over(writer, i < over, before, &oldest);
        if (result != KV_OK || oldest == 0 || oldest == id)
            return result;
        result = index_delete(writer, record_of(TYPE_AUDIT), oldest);
        if (result != KV_OK)
            return result == KV_NONE ? KV_CORRUPT : result;
    }
    return KV_OK;
}
