#include "store/index.h"

#include <stdlib.h>

#include "store/key.h"
#include "store/words.h"

int writer_init(struct writer *writer)
{
    memset(writer, 0, sizeof *writer);
    writer->counts = counts_new();
    return writer->counts ? 0 : -1;
}

void entries_free(struct entries *entries)
{
    free(entries->items);
    buf_free(&entries->bytes);
}

void writer_free(struct writer *writer)
{
    counts_free(writer->counts);
    entries_free(&writer->before);
    entries_free(&writer->after);
    memset(writer, 0, sizeof *writer);
}

void writer_begin(struct writer *writer, struct kv_txn *txn, const struct state *state, bool purges)
{
    writer->txn = txn;
    writer->purges = purges;
    writer->oneshots = false;
    writer->state = *state;
    counts_clear(writer->counts);
}

enum kv_result writer_finish(struct writer *writer)
{
    enum kv_result result = counts_flush(writer->counts, writer->txn);
    return result == KV_OK ? state_save(writer->txn, &writer->state) : result;
}

/* ---- the entries a record asks for ---- */

static int entry_add(struct entries *entries, const struct key *key, uint32_t prefix)
{
    if (entries->count == ENTRIES_MAX)
        return 0;
    if (entries->count == entries->size) {
        uint32_t size = entries->size ? entries->size * 2 : 32;
        struct entry *items = realloc(entries->items, size * sizeof *items);
        if (!items)
            return -1;
        entries->items = items;
        entries->size = size;
    }
    uint32_t at = (uint32_t)entries->bytes.len;
    if (buf_add(&entries->bytes, key->bytes, key->len) != 0)
        return -1;
    entries->items[entries->count++] = (struct entry){at, (uint16_t)key->len, (uint16_t)prefix};
    return 0;
}

struct str entry_key(const struct entries *entries, uint32_t i)
{
    return (struct str){entries->bytes.data + entries->items[i].at, entries->items[i].len};
}

static int str_compare(struct str a, struct str b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int entry_compare(const void *a, const void *b, void *arg)
{
    const struct entry *x = a, *y = b;
    const char *bytes = arg;
    return str_compare((struct str){bytes + x->at, x->len}, (struct str){bytes + y->at, y->len});
}

/* In order and each once. Mostly they are already: an index after the other, a record in each once. */
static void entries_sort(struct entries *entries)
{
    bool sorted = true;
    for (uint32_t i = 1; i < entries->count && sorted; i++)
        sorted = str_compare(entry_key(entries, i - 1), entry_key(entries, i)) < 0;
    if (sorted)
        return;
    qsort_r(entries->items, entries->count, sizeof *entries->items, entry_compare, entries->bytes.data);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < entries->count; i++) {
        if (str_compare(entry_key(entries, kept - 1), entry_key(entries, i)) != 0)
            entries->items[kept++] = entries->items[i];
    }
    entries->count = kept;
}

static bool value_empty(const struct value *value)
{
    return value->number == 0 && value->text.len == 0;
}

/* One entry of an index, for one value of its filter field. */
static int entry_make(const struct record *record, const struct index *index, const struct value *filter,
                      const struct value *values, uint64_t id, struct entries *entries)
{
    if ((index->flags & INDEX_SPARSE) && value_empty(filter))
        return 0;
    struct key key;
    key_begin(&key, record->type, index->number);
    key_value(&key, &record->columns[index->filter], filter);
    uint32_t prefix = key.len;
    if (index->sort != COLUMN_NONE) {
        if (value_empty(&values[index->sort]))
            return 0;
        key_value(&key, &record->columns[index->sort], &values[index->sort]);
    }
    key_id(&key, id);
    return entry_add(entries, &key, index->flags & INDEX_COUNTED ? prefix : 0);
}

static int entries_of_words(const struct record *record, const struct index *index, struct str text, uint64_t id,
                            struct entries *entries)
{
    struct word word;
    while (words_next(&text, &word)) {
        struct key key;
        key_begin(&key, record->type, index->number);
        key_text(&key, (struct str){word.bytes, word.len});
        uint32_t prefix = key.len;
        key_id(&key, id);
        if (entry_add(entries, &key, prefix) != 0)
            return -1;
    }
    return 0;
}

/* A list field: an entry for each of its items. */
static int entries_of_list(const struct record *record, const struct index *index, const struct value *list,
                           const struct value *values, uint64_t id, struct entries *entries)
{
    struct reader items = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        struct token token;
        if (reader_next(&items, &token) != 0)
            return -1;
        struct value item = {.there = true};
        if (token.kind == TOKEN_STR)
            item.text = token.u.text;
        else
            item.number = token.u.natural;
        int rc = index->flags & INDEX_WORDS ? entries_of_words(record, index, item.text, id, entries)
                                            : entry_make(record, index, &item, values, id, entries);
        if (rc != 0)
            return -1;
    }
    return 0;
}

static int entries_of_index(const struct record *record, const struct index *index, const struct value *values, uint64_t id,
                            struct entries *entries)
{
    uint32_t columns = index->flags & INDEX_WORDS ? index->words : 1U << index->filter;
    for (uint8_t i = 0; i < record->column_count; i++) {
        if (!(columns >> i & 1))
            continue;
        int rc;
        if (record->columns[i].kind == CODEC_STRS || record->columns[i].kind == CODEC_UINTS)
            rc = entries_of_list(record, index, &values[i], values, id, entries);
        else if (index->flags & INDEX_WORDS)
            rc = entries_of_words(record, index, values[i].text, id, entries);
        else
            rc = entry_make(record, index, &values[i], values, id, entries);
        if (rc != 0)
            return -1;
    }
    return 0;
}

enum kv_result entries_of(const struct record *record, uint64_t id, struct str bytes, struct entries *entries)
{
    entries->count = 0;
    buf_reset(&entries->bytes);
    if (record->index_count == 0)
        return KV_OK;
    struct value values[RECORD_COLUMNS];
    if (record_read(record->columns, record->column_count, bytes, values) != 0)
        return KV_CORRUPT; /* it was validated when it came in */
    for (uint8_t i = 0; i < record->index_count; i++) {
        if (entries_of_index(record, &record->indexes[i], values, id, entries) != 0)
            return KV_MEMORY;
    }
    entries_sort(entries);
    return KV_OK;
}

/* ---- changing ---- */

static enum kv_result entry_write(struct writer *writer, const struct entries *entries, uint32_t i, bool add)
{
    struct str key = entry_key(entries, i);
    enum kv_result result;
    if (add)
        result = kv_put(writer->txn, TABLE_INDEX, key, (struct str){"", 0}, false);
    else
        result = kv_delete(writer->txn, TABLE_INDEX, key);
    if (result == KV_NONE)
        result = KV_CORRUPT; /* an entry that must be there */
    uint32_t prefix = entries->items[i].prefix;
    if (result == KV_OK && prefix && counts_add(writer->counts, (struct str){key.ptr, prefix}, add ? 1 : -1) != 0)
        result = KV_MEMORY;
    return result;
}

/* Makes the index agree: what is only before goes, what is only after comes. */
static enum kv_result entries_change(struct writer *writer)
{
    const struct entries *before = &writer->before, *after = &writer->after;
    enum kv_result result = KV_OK;
    uint32_t i = 0, j = 0;
    while (result == KV_OK && (i < before->count || j < after->count)) {
        int order = i == before->count ? 1 : j == after->count ? -1 : str_compare(entry_key(before, i), entry_key(after, j));
        if (order < 0)
            result = entry_write(writer, before, i++, false);
        else if (order > 0)
            result = entry_write(writer, after, j++, true);
        else
            i++, j++;
    }
    return result;
}

static enum kv_result total_change(struct writer *writer, const struct record *record, int64_t by)
{
    struct key key;
    key_begin(&key, record->type, 0);
    return counts_add(writer->counts, key_str(&key), by) == 0 ? KV_OK : KV_MEMORY;
}

enum kv_result index_put(struct writer *writer, const struct record *record, uint64_t id, struct str value)
{
    struct key key = key_of_id(id);
    unsigned table = TABLE_RECORDS + record->type;
    bool fresh = id >= writer->state.next[record->type];
    struct str old;
    enum kv_result result = fresh ? KV_NONE : kv_get(writer->txn, table, key_str(&key), &old);
    bool known = result == KV_OK;
    writer->again = !fresh && !known;
    writer->before.count = 0;
    if (known)
        result = entries_of(record, id, old, &writer->before);
    else if (result == KV_NONE)
        result = total_change(writer, record, 1);
    if (result == KV_OK)
        result = entries_of(record, id, value, &writer->after);
    if (result == KV_OK)
        result = entries_change(writer);
    if (result == KV_OK)
        result = kv_put(writer->txn, table, key_str(&key), value, fresh);
    if (fresh)
        writer->state.next[record->type] = id + 1;
    return result;
}

enum kv_result index_delete(struct writer *writer, const struct record *record, uint64_t id)
{
    struct key key = key_of_id(id);
    unsigned table = TABLE_RECORDS + record->type;
    enum kv_result result;
    writer->after.count = 0;
    if (record->index_count > 0) {
        struct str old;
        result = kv_get(writer->txn, table, key_str(&key), &old);
        if (result == KV_OK)
            result = entries_of(record, id, old, &writer->before);
        if (result == KV_OK)
            result = entries_change(writer);
        if (result != KV_OK)
            return result;
    }
    result = kv_delete(writer->txn, table, key_str(&key));
    return result == KV_OK ? total_change(writer, record, -1) : result;
}
