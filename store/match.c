#include "store/match.h"

#include "store/count.h"
#include "store/walk.h"
#include "store/words.h"

/* ---- adding ---- */

static int match_wrong(struct msg_error *error, struct str field, const char *text, struct str expected)
{
    error->code = ERR_BAD_REQUEST;
    error->field = field;
    error->rule = STR_LIT("filter");
    error->text = str_of(text);
    error->expected = expected;
    return -1;
}

/* The fields that are found by an index, for people. */
static struct str fields_known(const struct record *record, struct arena *arena)
{
    struct buf buf = {.limit = 1000};
    buf_text(&buf, "id");
    if (record->grows != COLUMN_NONE)
        buf_printf(&buf, ", %s", record->columns[record->grows].path.ptr);
    for (unsigned i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        if (index->filter != COLUMN_NONE && index->sort == COLUMN_NONE)
            buf_printf(&buf, ", %s", record->columns[index->filter].path.ptr);
    }
    struct str known = arena_str(arena, buf_str(&buf));
    buf_free(&buf);
    return known.ptr ? known : STR_LIT("");
}

/* Whether an index has a group for this condition, and how large that is. */
static void condition_group(struct match *match, struct condition *condition)
{
    const struct record *record = match->record;
    const struct column *column = &match->columns[condition->column];
    for (unsigned i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        if (index->filter == COLUMN_NONE || index->sort != COLUMN_NONE ||
            !str_eq(record->columns[index->filter].path, column->path))
            continue;
        if ((index->flags & INDEX_SPARSE) && condition->number == 0 && condition->text.len == 0)
            return;
        struct value value = {.number = (uint64_t)condition->number, .text = condition->text};
        key_begin(&condition->group, record->type, index->number);
        key_value(&condition->group, column, &value);
        condition->grouped = true;
        condition->counted = (index->flags & INDEX_COUNTED) != 0;
        condition->count = condition->counted ? count_get(match->txn, key_str(&condition->group)) : 1;
        return;
    }
}

struct key match_group(const struct match *match, const struct condition *condition, uint64_t number)
{
    struct key key;
    struct value value = {.number = number};
    key_begin(&key, match->record->type, condition->index);
    key_value(&key, &match->columns[condition->column], &value);
    return key;
}

/* One of some numbers: the groups of all of them together. */
static void condition_groups(struct match *match, struct condition *condition)
{
    const struct record *record = match->record;
    for (unsigned i = 0; i < record->index_count; i++) {
        const struct index *index = &record->indexes[i];
        if (index->filter == COLUMN_NONE || index->sort != COLUMN_NONE || (index->flags & INDEX_SPARSE) ||
            !(index->flags & INDEX_COUNTED) ||
            !str_eq(record->columns[index->filter].path, match->columns[condition->column].path))
            continue;
        condition->index = index->number;
        condition->grouped = condition->counted = true;
        for (uint64_t number = 0; number < WALK_PARTS; number++) {
            struct key group = match_group(match, condition, number);
            condition->count += condition->number >> number & 1 ? count_get(match->txn, key_str(&group)) : 0;
        }
        return;
    }
}

int match_filter(struct match *match, struct arena *arena, const struct rec_filter *filter, struct msg_error *error)
{
    struct condition *condition = &match->conditions[match->count];
    struct column *column = &match->columns[match->column_count];
    if (column_resolve(match->record->shape, filter->field, column) != 0)
        return match_wrong(error, filter->field, "no such field to filter by", fields_known(match->record, arena));
    bool list = column->kind == CODEC_STRS || column->kind == CODEC_UINTS;
    if (list != (filter->op == FILTER_HAS))
        return match_wrong(error, filter->field,
                           list ? "a list can only be asked what it has" : "only a list can be asked what it has", STR_LIT(""));
    if (filter->op == FILTER_IN && (column->kind != CODEC_UINT || filter->number <= 0 || filter->number >= 1 << WALK_PARTS))
        return match_wrong(error, filter->field, "only small numbers can be asked for together", STR_LIT(""));
    if (filter->op == FILTER_ANY && column->kind != CODEC_STR)
        return match_wrong(error, filter->field, "only texts can be asked for so", STR_LIT(""));
    *condition = (struct condition){.kind = CONDITION_FIELD,
                                    .column = (uint8_t)match->column_count,
                                    .op = (uint8_t)filter->op,
                                    .number = filter->number,
                                    .text = filter->text,
                                    .texts = filter->texts};
    if (filter->op == FILTER_EQ || filter->op == FILTER_HAS)
        condition_group(match, condition);
    if (filter->op == FILTER_IN)
        condition_groups(match, condition);
    match->count++;
    match->column_count++;
    return 0;
}

int match_search(struct match *match, struct str search, bool *none, struct msg_error *error)
{
    const struct index *words = NULL;
    for (unsigned i = 0; i < match->record->index_count; i++) {
        if (match->record->indexes[i].flags & INDEX_WORDS)
            words = &match->record->indexes[i];
    }
    if (!words)
        return match_wrong(error, STR_LIT("search"), "these records cannot be searched", STR_LIT(""));
    struct word word;
    *none = true;
    for (unsigned i = 0; i < MATCH_WORDS && match->count < MATCH_MAX - 1 && words_next(&search, &word); i++) {
        struct condition *condition = &match->conditions[match->count++];
        *condition = (struct condition){.kind = CONDITION_WORD, .grouped = true, .counted = true};
        key_begin(&condition->group, match->record->type, words->number);
        key_text(&condition->group, (struct str){word.bytes, word.len});
        condition->count = count_get(match->txn, key_str(&condition->group));
        *none = false;
    }
    return 0;
}

void match_visible(struct match *match)
{
    struct column *column = &match->columns[match->column_count];
    if (column_resolve(match->record->shape, STR_LIT("task_id"), column) != 0)
        return;
    match->conditions[match->count++] = (struct condition){.kind = CONDITION_VISIBLE, .column = (uint8_t)match->column_count++};
}

/* ---- matching ---- */

static bool list_has(const struct value *list, const struct condition *condition)
{
    struct reader items = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        struct token token;
        if (reader_next(&items, &token) != 0)
            return false;
        if (token.kind == TOKEN_STR ? str_eq(token.u.text, condition->text)
                                    : token.kind == TOKEN_UINT && token.u.natural == (uint64_t)condition->number)
            return true;
    }
    return false;
}

static int text_compare(struct str a, struct str b)
{
    uint32_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool texts_have(const struct str_list *texts, struct str text)
{
    for (uint32_t i = 0; i < texts->count; i++)
        if (str_eq(texts->items[i], text))
            return true;
    return false;
}

static bool field_meets(const struct column *column, const struct value *value, const struct condition *condition)
{
    int order;
    if (condition->op == FILTER_HAS)
        return list_has(value, condition);
    if (condition->op == FILTER_IN)
        return value->number < WALK_PARTS && condition->number >> value->number & 1;
    if (condition->op == FILTER_ANY)
        return texts_have(&condition->texts, value->text);
    if (column->kind == CODEC_STR || column->kind == CODEC_BLOB) {
        order = text_compare(value->text, condition->text);
    } else if (column->kind == CODEC_REAL) {
        order = (value->real > (double)condition->number) - (value->real < (double)condition->number);
    } else { /* numbers are below 2^63 */
        order = ((int64_t)value->number > condition->number) - ((int64_t)value->number < condition->number);
    }
    switch (condition->op) {
    case FILTER_EQ:
        return order == 0;
    case FILTER_GE:
        return order >= 0;
    case FILTER_LT:
        return order < 0;
    default:
        return order > 0;
    }
}

/* By a cursor that stays: ids are asked for in their order mostly, and the next one is near. */
static bool word_meets(struct match *match, uint64_t id, struct condition *condition)
{
    struct key key = condition->group;
    struct kv_pair pair;
    key_id(&key, id);
    if (!condition->cursor)
        condition->cursor = kv_cursor_new(match->txn, TABLE_INDEX);
    if (!condition->cursor) {
        struct str nothing;
        return kv_get(match->txn, TABLE_INDEX, key_str(&key), &nothing) == KV_OK;
    }
    return kv_seek(condition->cursor, key_str(&key), &pair) == KV_OK && str_eq(pair.key, key_str(&key));
}

void match_end(struct match *match)
{
    for (unsigned i = 0; i < match->count; i++)
        kv_cursor_free(match->conditions[i].cursor);
}

/* Words are looked for in the index alone, so before the record is; *found: that it has one says that it is there. */
static bool words_meet(struct match *match, uint64_t id, int except, bool *found)
{
    *found = false;
    for (unsigned i = 0; i < match->count; i++) {
        if ((int)i == except || match->conditions[i].kind != CONDITION_WORD)
            continue;
        *found = word_meets(match, id, &match->conditions[i]);
        if (!*found)
            return false;
    }
    return true;
}

bool match_record(struct match *match, uint64_t id, struct str value, int except)
{
    bool found;
    if (!words_meet(match, id, except, &found))
        return false;
    if (found && match->column_count == 0)
        return true;
    if (!value.ptr) {
        struct key key = key_of_id(id);
        if (kv_get(match->txn, TABLE_RECORDS + match->record->type, key_str(&key), &value) != KV_OK)
            return false;
    }
    struct value values[MATCH_MAX];
    if (record_read(match->columns, match->column_count, value, values) != 0)
        return false;
    for (unsigned i = 0; i < match->count; i++) {
        const struct condition *condition = &match->conditions[i];
        bool meets = true;
        if ((int)i == except || condition->kind == CONDITION_WORD)
            continue;
        if (condition->kind == CONDITION_FIELD)
            meets = field_meets(&match->columns[condition->column], &values[condition->column], condition);
        else
            meets = !purge_under_way(match->txn, PURGE_TASK, values[condition->column].number);
        if (!meets)
            return false;
    }
    return true;
}
