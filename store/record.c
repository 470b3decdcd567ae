#include "store/record.h"

const char *const record_tables[TABLE_ALL] = {
    [TABLE_META] = "meta", [TABLE_COUNT] = "count",       [TABLE_INDEX] = "index",
    [TABLE_LOG] = "log",   [TABLE_LOG_INFO] = "log_info", [TABLE_RECORDS] = "record",
#define RECORD(type, record, grows) [TABLE_RECORDS + (type)] = #record,
#include "store/records.def"
};

struct index_row {
    uint8_t type, number;
    const char *fields[3]; /* filter and sort, or the fields of the words */
    uint8_t flags;
};

static const struct index_row index_rows[] = {
#define COUNTED INDEX_COUNTED
#define SPARSE INDEX_SPARSE
#define INDEX(type, number, filter, sort, flags) {type, number, {filter, sort, ""}, (uint8_t)(flags)},
#define WORDS(type, number, a, b, c) {type, number, {a, b, c}, INDEX_WORDS | INDEX_COUNTED},
#include "store/records.def"
#undef COUNTED
#undef SPARSE
};

static const struct record_row {
    uint8_t type;
    const char *name, *grows;
    const struct shape *shape;
} record_rows[] = {
#define RECORD(type, record, grows) {type, #record, grows, &shape_rec_##record},
#include "store/records.def"
};

static const struct join_row {
    uint8_t type, other;
    const char *field;
} join_rows[] = {
#define JOIN(type, field, other) {type, other, field},
#include "store/records.def"
};

static struct record records[TYPE_MAX];

const struct record *record_of(uint64_t type)
{
    return type < TYPE_MAX && records[type].shape ? &records[type] : NULL;
}

int column_resolve(const struct shape *shape, struct str path, struct column *out)
{
    *out = (struct column){.path = path};
    while (out->depth < COLUMN_DEPTH) {
        uint32_t len = 0;
        while (len < path.len && path.ptr[len] != '.')
            len++;
        const struct field *field = shape_field(shape, (struct str){path.ptr, len});
        if (!field)
            return -1;
        out->keys[out->depth++] = field->key;
        if (len == path.len) {
            out->kind = field->kind;
            return field->kind == CODEC_NEST || field->kind == CODEC_LIST || field->kind == CODEC_MAP ? -1 : 0;
        }
        if (field->kind != CODEC_NEST)
            return -1;
        shape = field->record;
        path = (struct str){path.ptr + len + 1, path.len - len - 1};
    }
    return -1;
}

/* The place of a field among the record's columns, new or not; COLUMN_NONE for "" and for what cannot be one. */
static uint8_t column_add(struct record *record, const char *path)
{
    for (uint8_t i = 0; i < record->column_count; i++) {
        if (str_is(record->columns[i].path, path))
            return i;
    }
    if (*path == '\0' || record->column_count == RECORD_COLUMNS ||
        column_resolve(record->shape, str_of(path), &record->columns[record->column_count]) != 0)
        return COLUMN_NONE;
    return record->column_count++;
}

static int index_add(struct record *record, const struct index_row *row, struct err *err)
{
    if (record->index_count == RECORD_INDEXES || row->number == 0 || row->number > 31)
        return err_set(err, ERR_INTERNAL, "records.def: too many indexes of %s", record->name);
    struct index *index = &record->indexes[record->index_count++];
    *index = (struct index){.number = row->number, .flags = row->flags, .filter = COLUMN_NONE, .sort = COLUMN_NONE};
    for (int i = 0; i < 3; i++) {
        uint8_t column = column_add(record, row->fields[i]);
        if (*row->fields[i] && column == COLUMN_NONE)
            return err_set(err, ERR_INTERNAL, "records.def: %s has no field %s to index", record->name, row->fields[i]);
        if (row->flags & INDEX_WORDS)
            index->words |= column == COLUMN_NONE ? 0 : 1U << column;
        else if (i == 0)
            index->filter = column;
        else if (i == 1)
            index->sort = column;
    }
    return 0;
}

int record_init(struct err *err)
{
    memset(records, 0, sizeof records);
    for (size_t i = 0; i < sizeof record_rows / sizeof record_rows[0]; i++) {
        const struct record_row *row = &record_rows[i];
        struct record *record = &records[row->type];
        record->type = row->type;
        record->name = row->name;
        record->shape = row->shape;
        record->grows = column_add(record, row->grows);
        for (size_t j = 0; j < sizeof index_rows / sizeof index_rows[0]; j++) {
            if (index_rows[j].type == row->type && index_add(record, &index_rows[j], err) != 0)
                return -1;
        }
        for (size_t j = 0; j < sizeof join_rows / sizeof join_rows[0]; j++) {
            if (join_rows[j].type == row->type) {
                record->join_field = join_rows[j].field;
                record->join_type = join_rows[j].other;
            }
        }
    }
    return 0;
}

/* ---- reading ---- */

static int value_take(struct reader *reader, struct value *value)
{
    struct token token;
    if (reader_next(reader, &token) != 0)
        return -1;
    value->there = true;
    switch (token.kind) {
    case TOKEN_BOOL:
        value->number = token.u.boolean;
        break;
    case TOKEN_INT:
        value->number = (uint64_t)token.u.integer;
        break;
    case TOKEN_UINT:
        value->number = token.u.natural;
        break;
    case TOKEN_REAL:
        value->real = token.u.real;
        break;
    case TOKEN_STR:
    case TOKEN_BIN:
        value->text = token.u.text;
        break;
    case TOKEN_ARRAY:
        value->items = *reader;
        value->count = token.u.count;
        break;
    default:
        value->there = false;
    }
    return 0;
}

/* mask: the columns whose path has led here so far. */
static int record_walk(struct reader *reader, const struct column *columns, unsigned count, uint32_t mask, unsigned depth,
                       struct value *values)
{
    struct token token;
    if (depth >= COLUMN_DEPTH || reader_next(reader, &token) != 0 || token.kind != TOKEN_MAP)
        return -1;
    uint32_t left = mask;
    for (uint32_t pairs = token.u.count; pairs > 0 && left != 0; pairs--) {
        struct token key;
        if (reader_next(reader, &key) != 0)
            return -1;
        uint32_t leaf = 0, inner = 0;
        for (unsigned i = 0; key.kind == TOKEN_UINT && i < count; i++) {
            if ((left >> i & 1) && columns[i].keys[depth] == key.u.natural)
                *(columns[i].depth == depth + 1 ? &leaf : &inner) |= 1U << i;
        }
        struct reader value = *reader;
        if (reader_skip(reader, CODEC_DEPTH) != 0)
            return -1;
        for (unsigned i = 0; i < count && leaf != 0; i++) {
            struct reader again = value;
            if ((leaf >> i & 1) && value_take(&again, &values[i]) != 0)
                return -1;
        }
        if (inner != 0 && record_walk(&value, columns, count, inner, depth + 1, values) != 0)
            return -1;
        left &= ~(leaf | inner);
    }
    return 0;
}

int record_read(const struct column *columns, unsigned count, struct str bytes, struct value *values)
{
    memset(values, 0, count * sizeof *values);
    if (count == 0)
        return 0;
    struct reader reader = {bytes.ptr, bytes.ptr + bytes.len};
    return record_walk(&reader, columns, count, count == 32 ? UINT32_MAX : (1U << count) - 1, 0, values);
}
