#include "store/logs.h"

#include <stdlib.h>

#include "store/key.h"

struct log_info {          /* of a run; in the table log_info */
    uint64_t lines, bytes; /* kept; bytes as stored */
    uint64_t cut;          /* lines no longer kept, or dropped by the worker */
    uint64_t last;         /* position of the newest line ever */
};

static struct key line_key(uint64_t run_id, uint64_t position)
{
    struct key key = key_of_id(run_id);
    key_id(&key, position);
    return key;
}

static uint64_t position_of(uint64_t attempt, uint64_t seq)
{
    return attempt << 32 | (seq < UINT32_MAX ? seq : UINT32_MAX);
}

static void info_load(struct kv_txn *txn, uint64_t run_id, struct log_info *info)
{
    struct key key = key_of_id(run_id);
    struct str value;
    memset(info, 0, sizeof *info);
    if (kv_get(txn, TABLE_LOG_INFO, key_str(&key), &value) != KV_OK || value.len < 32)
        return;
    info->lines = key_read_u64(value.ptr);
    info->bytes = key_read_u64(value.ptr + 8);
    info->cut = key_read_u64(value.ptr + 16);
    info->last = key_read_u64(value.ptr + 24);
}

static enum kv_result info_save(struct kv_txn *batch, uint64_t run_id, const struct log_info *info)
{
    struct key key = key_of_id(run_id);
    unsigned char bytes[32];
    key_write_u64(bytes, info->lines);
    key_write_u64(bytes + 8, info->bytes);
    key_write_u64(bytes + 16, info->cut);
    key_write_u64(bytes + 24, info->last);
    return kv_put(batch, TABLE_LOG_INFO, key_str(&key), (struct str){(char *)bytes, sizeof bytes}, false);
}

/* The position of the newest line kept of an attempt, or what comes just before its first. */
static uint64_t attempt_last(struct kv_txn *txn, uint64_t run_id, uint64_t attempt, const struct log_info *info)
{
    if (info->last >> 32 == attempt)
        return info->last;
    uint64_t last = position_of(attempt, 0);
    if (info->last < last)
        return last;
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_LOG);
    if (!cursor)
        return UINT64_MAX;
    struct key key = line_key(run_id, position_of(attempt + 1, 0));
    struct kv_pair pair;
    if (kv_seek_before(cursor, key_str(&key), &pair) == KV_OK && key_read_u64(pair.key.ptr) == run_id &&
        key_id_at_end(pair.key) > last)
        last = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return last;
}

/* Drops the oldest lines while there are too many. */
static enum kv_result logs_trim(struct writer *writer, const struct store_limits *limits, uint64_t run_id, struct log_info *info)
{
    if (info->lines <= limits->log_lines && info->bytes <= limits->log_bytes)
        return KV_OK;
    struct kv_cursor *cursor = kv_cursor_new(writer->txn, TABLE_LOG);
    if (!cursor)
        return KV_MEMORY;
    struct key key = line_key(run_id, 0);
    struct kv_pair pair;
    enum kv_result result = kv_seek(cursor, key_str(&key), &pair);
    while (result == KV_OK && info->lines > 1 && (info->lines > limits->log_lines || info->bytes > limits->log_bytes)) {
        info->bytes -= pair.value.len;
        info->lines--;
        info->cut++;
        result = kv_cursor_delete(cursor);
        if (result == KV_OK)
            result = kv_next(cursor, &pair);
    }
    kv_cursor_free(cursor);
    return result == KV_NONE ? KV_CORRUPT : result;
}

/* Writes the lines behind position `last`; encoded into a buffer that the caller owns. */
static enum kv_result lines_write(struct writer *writer, const struct rec_log_chunk *chunk, uint64_t last, struct log_info *info,
                                  struct buf *buf)
{
    enum kv_result result = KV_OK;
    for (uint32_t i = 0; result == KV_OK && i < chunk->lines.count; i++) {
        struct rec_log_line line = chunk->lines.items[i];
        uint64_t position = position_of(chunk->attempt, line.seq);
        if (position <= last)
            continue;
        line.attempt = 0; /* the key says it */
        buf_reset(buf);
        if (rec_encode_log_line(buf, &line, NULL) != 0)
            return KV_MEMORY;
        struct key key = line_key(chunk->run_id, position);
        result = kv_put(writer->txn, TABLE_LOG, key_str(&key), buf_str(buf), false);
        last = position;
        info->lines++;
        info->bytes += buf->len;
        if (position > info->last)
            info->last = position;
    }
    return result;
}

enum kv_result logs_append(struct writer *writer, const struct store_limits *limits, const struct rec_log_chunk *chunk)
{
    struct key run = key_of_id(chunk->run_id);
    struct str value;
    enum kv_result result = kv_get(writer->txn, TABLE_RECORDS + TYPE_RUN, key_str(&run), &value);
    if (result != KV_OK) /* the run was deleted: its late lines go with it */
        return result == KV_NONE ? KV_OK : result;
    struct log_info info;
    info_load(writer->txn, chunk->run_id, &info);
    uint64_t last = attempt_last(writer->txn, chunk->run_id, chunk->attempt, &info);
    if (last == UINT64_MAX)
        return KV_MEMORY;
    bool fresh = chunk->lines.count == 0 || position_of(chunk->attempt, chunk->lines.items[0].seq) > last;
    struct buf buf = {0};
    result = lines_write(writer, chunk, last, &info, &buf);
    buf_free(&buf);
    if (fresh)
        info.cut += chunk->dropped;
    if (result == KV_OK)
        result = logs_trim(writer, limits, chunk->run_id, &info);
    return result == KV_OK ? info_save(writer->txn, chunk->run_id, &info) : result;
}

enum kv_result logs_delete(struct writer *writer, uint64_t run_id, uint32_t *budget, bool *more)
{
    *more = false;
    struct kv_cursor *cursor = kv_cursor_new(writer->txn, TABLE_LOG);
    if (!cursor)
        return KV_MEMORY;
    struct key key = line_key(run_id, 0);
    struct kv_pair pair;
    enum kv_result result = kv_seek(cursor, key_str(&key), &pair);
    while (result == KV_OK && key_read_u64(pair.key.ptr) == run_id) {
        if (*budget == 0) {
            *more = true;
            break;
        }
        --*budget;
        result = kv_cursor_delete(cursor);
        if (result == KV_OK)
            result = kv_next(cursor, &pair);
    }
    kv_cursor_free(cursor);
    if ((result == KV_OK || result == KV_NONE) && !*more) {
        struct key info = key_of_id(run_id);
        result = kv_delete(writer->txn, TABLE_LOG_INFO, key_str(&info));
    }
    return result == KV_NONE ? KV_OK : result;
}

/* ---- reading ---- */

static int line_take(struct arena *arena, const struct kv_pair *pair, struct rec_log_line *line, struct err *err)
{
    if (rec_decode_log_line(arena, pair->value, line, err) != 0)
        return -1;
    line->attempt = key_id_at_end(pair->key) >> 32;
    return 0;
}

/* Puts the cursor on the first line to answer; KV_NONE when there is none. */
static enum kv_result logs_start(struct kv_cursor *cursor, const struct msg_log_read *read, struct kv_pair *pair)
{
    struct key key = line_key(read->run_id, read->newest || read->after == UINT64_MAX ? UINT64_MAX : read->after + 1);
    if (!read->newest)
        return kv_seek(cursor, key_str(&key), pair);
    enum kv_result result = kv_seek_before(cursor, key_str(&key), pair);
    for (uint64_t i = 1; result == KV_OK && i < read->limit; i++) {
        if (key_read_u64(pair->key.ptr) != read->run_id)
            break;
        result = kv_prev(cursor, pair);
    }
    if (result == KV_NONE) /* fewer than limit, and nothing of another run before them */
        return kv_first(cursor, pair);
    if (result == KV_OK && key_read_u64(pair->key.ptr) != read->run_id)
        return kv_next(cursor, pair);
    return result;
}

int logs_read(struct kv_txn *txn, struct arena *arena, const struct msg_log_read *read, struct msg_log_rows *rows,
              struct err *err)
{
    memset(rows, 0, sizeof *rows);
    struct log_info info;
    info_load(txn, read->run_id, &info);
    rows->cut = info.cut;
    rows->total = info.lines;
    rows->next = read->after;
    rows->lines.items = arena_alloc(arena, read->limit * sizeof *rows->lines.items);
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_LOG);
    if (!rows->lines.items || !cursor) {
        kv_cursor_free(cursor);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    struct kv_pair pair;
    int rc = 0;
    enum kv_result result = logs_start(cursor, read, &pair);
    while (rc == 0 && result == KV_OK && key_read_u64(pair.key.ptr) == read->run_id && rows->lines.count < read->limit) {
        rc = line_take(arena, &pair, &rows->lines.items[rows->lines.count++], err);
        rows->next = key_id_at_end(pair.key);
        result = kv_next(cursor, &pair);
    }
    rows->end = result != KV_OK || key_read_u64(pair.key.ptr) != read->run_id;
    kv_cursor_free(cursor);
    return rc;
}
