#include "store/syslog.h"

#include <stdlib.h>

#include "store/key.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define SEQUENCE 20    /* bits of an id below the time */
#define AHEAD_MS 60000 /* a clock further ahead than that is wrong */
#define TRIM_MORE 200  /* lines let go at once, above those that come */

static const struct str bytes_key = {"log_bytes", 9};

struct syslog {
    struct arena *arena;
    struct msg msg;
    struct buf value;
    uint64_t sequence; /* tells lines of the same millisecond apart */
};

struct syslog *syslog_new(void)
{
    struct syslog *syslog = calloc(1, sizeof *syslog);

    if (syslog && !(syslog->arena = arena_new(ARENA_BYTES))) {
        free(syslog);
        return NULL;
    }
    return syslog;
}

void syslog_free(struct syslog *syslog)
{
    if (!syslog)
        return;
    arena_free(syslog->arena);
    buf_free(&syslog->value);
    free(syslog);
}

struct syslog_lines *syslog_lines_new(struct str frame, uint32_t count)
{
    struct syslog_lines *lines = malloc(sizeof *lines + frame.len);

    if (!lines)
        return NULL;
    *lines = (struct syslog_lines){.count = count, .len = frame.len};
    memcpy(lines->frame, frame.ptr, frame.len);
    return lines;
}

uint64_t syslog_bytes(struct kv_txn *txn)
{
    struct str value;

    if (kv_get(txn, TABLE_META, bytes_key, &value) != KV_OK || value.len != 8)
        return 0;
    return key_read_u64(value.ptr);
}

static enum kv_result bytes_save(struct kv_txn *txn, uint64_t kept)
{
    unsigned char bytes[8];

    key_write_u64(bytes, kept);
    return kv_put(txn, TABLE_META, bytes_key, (struct str){(char *)bytes, sizeof bytes}, false);
}

/* ---- writing ---- */

/* An id of that time that is free. A restart begins with another sequence only by chance, so it is looked for. */
static enum kv_result id_make(struct syslog *syslog, struct writer *writer, uint64_t at, uint64_t *id)
{
    enum kv_result result = KV_OK;
    struct str value;

    for (int tries = 0; result == KV_OK && tries < 1000; tries++) {
        *id = at << SEQUENCE | (syslog->sequence++ & ((1U << SEQUENCE) - 1));
        struct key key = key_of_id(*id);
        result = kv_get(writer->txn, TABLE_RECORDS + TYPE_LOG_ENTRY, key_str(&key), &value);
    }
    return result == KV_NONE ? KV_OK : result == KV_OK ? KV_INVALID : result;
}

static enum kv_result entry_write(struct syslog *syslog, struct writer *writer, const struct rec_log_entry *given,
                                  uint64_t wall_ms, uint64_t *kept)
{
    uint64_t levels[3] = {1, 2, 3};
    struct rec_log_entry entry = *given;

    if (entry.at == 0 || entry.at > wall_ms + AHEAD_MS)
        entry.at = wall_ms;
    enum kv_result result = id_make(syslog, writer, entry.at, &entry.id);
    if (result != KV_OK)
        return result == KV_INVALID ? KV_OK : result; /* thousands in a millisecond: this one is too many */
    entry.levels = (struct uint_list){levels, entry.level < 3 ? (uint32_t)entry.level : 3};
    buf_reset(&syslog->value);
    if (rec_encode_log_entry(&syslog->value, &entry, NULL) != 0)
        return KV_MEMORY;
    *kept += syslog->value.len;
    return index_put(writer, record_of(TYPE_LOG_ENTRY), entry.id, buf_str(&syslog->value));
}

/* The oldest line; KV_NONE when there is none. */
static enum kv_result oldest(struct kv_txn *txn, uint64_t *id, uint32_t *bytes)
{
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_RECORDS + TYPE_LOG_ENTRY);
    struct kv_pair pair;

    if (!cursor)
        return KV_MEMORY;
    enum kv_result result = kv_first(cursor, &pair);
    if (result == KV_OK) {
        *id = key_id_at_end(pair.key);
        *bytes = pair.value.len;
    }
    kv_cursor_free(cursor);
    return result;
}

static enum kv_result trim(struct writer *writer, const struct syslog_limits *limits, uint64_t wall_ms, uint32_t budget,
                           uint64_t *kept)
{
    uint64_t since = wall_ms > limits->age_ms ? wall_ms - limits->age_ms : 0;
    enum kv_result result = KV_OK;

    while (result == KV_OK && budget-- > 0) {
        uint64_t id;
        uint32_t bytes;
        result = oldest(writer->txn, &id, &bytes);
        if (result == KV_OK && *kept <= limits->bytes && id >> SEQUENCE >= since)
            break;
        if (result == KV_OK) {
            result = index_delete(writer, record_of(TYPE_LOG_ENTRY), id);
            *kept -= bytes < *kept ? bytes : *kept;
        }
    }
    return result == KV_NONE ? KV_OK : result;
}

enum kv_result syslog_write(struct syslog *syslog, struct writer *writer, const struct syslog_limits *limits,
                            const struct syslog_lines *lines, uint64_t wall_ms)
{
    uint64_t kept = syslog_bytes(writer->txn);
    enum kv_result result = KV_OK;
    uint32_t count = 0;

    for (; result == KV_OK && lines; lines = lines->next) {
        arena_reset(syslog->arena);
        if (msg_decode(syslog->arena, (struct str){lines->frame, lines->len}, &syslog->msg, NULL) != 0)
            return KV_MEMORY; /* it was read when it came in */
        const struct rec_log_entry_list *entries = &syslog->msg.u.log_lines.entries;
        for (uint32_t i = 0; result == KV_OK && limits->bytes > 0 && i < entries->count; i++)
            result = entry_write(syslog, writer, &entries->items[i], wall_ms, &kept);
        count += entries->count;
    }
    if (result == KV_OK)
        result = trim(writer, limits, wall_ms, count * 2 + TRIM_MORE, &kept);
    return result == KV_OK ? bytes_save(writer->txn, kept) : result;
}
