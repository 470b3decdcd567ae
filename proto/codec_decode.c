/* Decoding: one pass over the bytes. Text borrows from the frame; only lists take memory, from the arena, and only after
 * their count has been held against the field's bounds and the bytes that are there.
 */
#include <inttypes.h>

#include "proto/codec_parts.h"

static const char *token_name(enum token_kind kind)
{
    static const char *const names[] = {
        [TOKEN_NIL] = "nil",         [TOKEN_BOOL] = "a boolean",     [TOKEN_INT] = "a negative integer",
        [TOKEN_UINT] = "an integer", [TOKEN_REAL] = "a real number", [TOKEN_STR] = "text",
        [TOKEN_BIN] = "binary",      [TOKEN_ARRAY] = "an array",     [TOKEN_MAP] = "a map"};

    return names[kind];
}

static int malformed(const struct decoder *decoder, const struct place *here)
{
    return place_err(here, decoder->err, ERR_BAD_REQUEST, "malformed or cut");
}

static int mistyped(const struct decoder *decoder, const struct place *here, enum token_kind given, const char *expected)
{
    return place_err(here, decoder->err, ERR_INVALID, "%s given, %s expected", token_name(given), expected);
}

static int out_of_range(const struct decoder *decoder, const struct place *here, uint64_t given, const char *unit)
{
    return place_err(here, decoder->err, ERR_INVALID, "%" PRIu64 "%s given, %" PRId64 " to %" PRId64 " expected", given, unit,
                     here->field->low, here->field->high);
}

static int no_memory(const struct decoder *decoder, const struct place *here)
{
    return place_err(here, decoder->err, ERR_NO_MEMORY, "no memory for it, or over the limit of what may be decoded at once");
}

static int decode_int(const struct decoder *decoder, const struct token *token, int64_t *out, const struct place *here)
{
    const struct field *field = here->field;
    int64_t value = token->u.integer;

    if (token->kind == TOKEN_UINT) {
        if (token->u.natural > (uint64_t)INT64_MAX) {
            return out_of_range(decoder, here, token->u.natural, "");
        }
        value = (int64_t)token->u.natural;
    } else if (token->kind != TOKEN_INT) {
        return mistyped(decoder, here, token->kind, "an integer");
    }
    if (value < field->low || value > field->high) {
        return place_err(here, decoder->err, ERR_INVALID, "%" PRId64 " given, %" PRId64 " to %" PRId64 " expected", value,
                         field->low, field->high);
    }
    *out = value;
    return 0;
}

static int decode_uint(const struct decoder *decoder, const struct token *token, uint64_t *out, const struct place *here)
{
    if (token->kind != TOKEN_UINT) {
        return mistyped(decoder, here, token->kind, "an integer of 0 or more");
    }
    if (!size_in_range(here->field, token->u.natural)) {
        return out_of_range(decoder, here, token->u.natural, "");
    }
    *out = token->u.natural;
    return 0;
}

static int decode_real(const struct decoder *decoder, const struct token *token, double *out, const struct place *here)
{
    switch (token->kind) {
    case TOKEN_REAL:
        if (!isfinite(token->u.real)) {
            return place_err(here, decoder->err, ERR_INVALID, "%f given, a finite number expected", token->u.real);
        }
        *out = token->u.real;
        return 0;
    case TOKEN_UINT:
        *out = (double)token->u.natural;
        return 0;
    case TOKEN_INT:
        *out = (double)token->u.integer;
        return 0;
    default:
        return mistyped(decoder, here, token->kind, "a number");
    }
}

static int decode_text(const struct decoder *decoder, const struct token *token, struct str *out, const struct place *here)
{
    bool text = here->field->kind == CODEC_STR;

    if (token->kind != (text ? TOKEN_STR : TOKEN_BIN)) {
        return mistyped(decoder, here, token->kind, text ? "text" : "binary");
    }
    if (!size_in_range(here->field, token->u.text.len)) {
        return out_of_range(decoder, here, token->u.text.len, " bytes");
    }
    *out = token->u.text;
    return 0;
}

static int decode_map(struct decoder *decoder, struct str *out, const struct place *here)
{
    struct str map;

    if (reader_map(&decoder->reader, &map) != 0) {
        return place_err(here, decoder->err, ERR_INVALID, "not a map with distinct text keys, at most %d deep", CODEC_DEPTH);
    }
    if (!size_in_range(here->field, map.len)) {
        return out_of_range(decoder, here, map.len, " bytes");
    }
    *out = map;
    return 0;
}

static int decode_strings(struct decoder *decoder, struct str_list *list, uint32_t count, struct place *here)
{
    list->items = arena_alloc(decoder->arena, count * sizeof *list->items);
    if (list->items == NULL) {
        return no_memory(decoder, here);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct token token;
        here->item = i;
        if (reader_next(&decoder->reader, &token) != 0) {
            return malformed(decoder, here);
        }
        if (token.kind != TOKEN_STR) {
            return mistyped(decoder, here, token.kind, "text");
        }
        if (token.u.text.len > CODEC_STRING_MAX) {
            return place_err(here, decoder->err, ERR_INVALID, "%u bytes given, at most %u expected", token.u.text.len,
                             CODEC_STRING_MAX);
        }
        list->items[i] = token.u.text;
    }
    list->count = count;
    return 0;
}

static int decode_numbers(struct decoder *decoder, struct uint_list *list, uint32_t count, struct place *here)
{
    list->items = arena_alloc(decoder->arena, count * sizeof *list->items);
    if (list->items == NULL) {
        return no_memory(decoder, here);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct token token;
        here->item = i;
        if (reader_next(&decoder->reader, &token) != 0) {
            return malformed(decoder, here);
        }
        if (token.kind != TOKEN_UINT) {
            return mistyped(decoder, here, token.kind, "an integer of 0 or more");
        }
        list->items[i] = token.u.natural;
    }
    list->count = count;
    return 0;
}

static int decode_records(struct decoder *decoder, struct record_list *list, uint32_t count, struct place *here, int depth)
{
    const struct shape *record = here->field->record;

    list->items = arena_alloc(decoder->arena, count * record->size);
    if (list->items == NULL) {
        return no_memory(decoder, here);
    }
    for (uint32_t i = 0; i < count; i++) {
        here->item = i;
        if (decode_record(decoder, record, list->items + i * record->size, here, depth - 1) != 0) {
            return -1;
        }
    }
    list->count = count;
    return 0;
}

static int decode_list(struct decoder *decoder, void *member, struct place *here, int depth)
{
    struct token token;
    int rc;

    if (reader_next(&decoder->reader, &token) != 0) {
        return malformed(decoder, here);
    }
    if (token.kind != TOKEN_ARRAY) {
        return mistyped(decoder, here, token.kind, "an array");
    }
    uint32_t count = token.u.count;
    if (!size_in_range(here->field, count)) {
        return out_of_range(decoder, here, count, " items");
    }
    if (count == 0) {
        return 0;
    }
    if (here->field->kind == CODEC_STRS) {
        rc = decode_strings(decoder, member, count, here);
    } else if (here->field->kind == CODEC_UINTS) {
        rc = decode_numbers(decoder, member, count, here);
    } else {
        rc = decode_records(decoder, member, count, here, depth);
    }
    here->item = PLACE_NO_ITEM;
    return rc;
}

static int decode_value(struct decoder *decoder, void *member, struct place *here, int depth)
{
    struct token token;

    switch ((enum codec_kind)here->field->kind) {
    case CODEC_MAP:
        return decode_map(decoder, member, here);
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        return decode_list(decoder, member, here, depth);
    case CODEC_NEST:
        return decode_record(decoder, here->field->record, member, here, depth - 1);
    default:
        break;
    }
    if (reader_next(&decoder->reader, &token) != 0) {
        return malformed(decoder, here);
    }
    switch ((enum codec_kind)here->field->kind) {
    case CODEC_BOOL:
        if (token.kind != TOKEN_BOOL) {
            return mistyped(decoder, here, token.kind, "a boolean");
        }
        *(bool *)member = token.u.boolean;
        return 0;
    case CODEC_INT:
        return decode_int(decoder, &token, member, here);
    case CODEC_UINT:
        return decode_uint(decoder, &token, member, here);
    case CODEC_REAL:
        return decode_real(decoder, &token, member, here);
    default:
        return decode_text(decoder, &token, member, here);
    }
}

/* Tables are written in the order of their keys, nearly always without a gap. */
static const struct field *field_by_key(const struct shape *shape, uint64_t key)
{
    if (key >= 1 && key <= shape->count && shape->fields[key - 1].key == key) {
        return &shape->fields[key - 1];
    }
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->fields[i].key == key) {
            return &shape->fields[i];
        }
    }
    return NULL;
}

/* Keys seen in one record: a bit each for those that fields may have, a row for the others. */
struct seen {
    uint64_t bits;
    uint32_t count;
    uint64_t large[CODEC_KEYS_MAX];
};

/* False when the key has been seen before. */
static bool seen_add(struct seen *seen, uint64_t key)
{
    if (key < 64) {
        bool is_new = (seen->bits >> key & 1) == 0;
        seen->bits |= UINT64_C(1) << key;
        return is_new;
    }
    for (uint32_t i = 0; i < seen->count; i++) {
        if (seen->large[i] == key) {
            return false;
        }
    }
    seen->large[seen->count++] = key;
    return true;
}

static int missing_err(const struct decoder *decoder, const struct shape *shape, uint64_t has, struct place *here)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (field->presence == CODEC_REQ && (has >> field->key & 1) == 0) {
            here->field = field;
            return place_err(here, decoder->err, ERR_INVALID, "missing");
        }
    }
    return place_err(here, decoder->err, ERR_INTERNAL, "a field is missing that the table does not have");
}

/* One pair of a record's map. */
static int decode_pair(struct decoder *decoder, void *out, struct seen *seen, struct place *here, int depth)
{
    struct token token;

    here->field = NULL;
    if (reader_next(&decoder->reader, &token) != 0) {
        return malformed(decoder, here);
    }
    if (token.kind != TOKEN_UINT) {
        return place_err(here, decoder->err, ERR_INVALID, "%s given as a key, an integer of 0 or more expected",
                         token_name(token.kind));
    }
    uint64_t key = token.u.natural;
    here->field = field_by_key(here->shape, key);
    if (!seen_add(seen, key)) {
        return place_err(here, decoder->err, ERR_INVALID, "key %" PRIu64 " given twice", key);
    }
    if (here->field == NULL) {
        if (reader_skip(&decoder->reader, CODEC_DEPTH) != 0) {
            return place_err(here, decoder->err, ERR_BAD_REQUEST, "key %" PRIu64 ": malformed, cut, or too deep", key);
        }
        return 0;
    }
    *(uint64_t *)out |= UINT64_C(1) << key;
    return decode_value(decoder, (char *)out + here->field->offset, here, depth);
}

int decode_record(struct decoder *decoder, const struct shape *shape, void *out, const struct place *up, int depth)
{
    struct place here = {.up = up, .shape = shape, .item = PLACE_NO_ITEM};
    struct token token;
    struct seen seen;

    seen.bits = 0;
    seen.count = 0;
    if (depth <= 0) {
        return place_err(&here, decoder->err, ERR_INVALID, "nested too deep");
    }
    if (reader_next(&decoder->reader, &token) != 0) {
        return malformed(decoder, &here);
    }
    if (token.kind != TOKEN_MAP) {
        return mistyped(decoder, &here, token.kind, "a map");
    }
    if (token.u.count > CODEC_KEYS_MAX) {
        return place_err(&here, decoder->err, ERR_INVALID, "%u keys given, at most %d expected", token.u.count, CODEC_KEYS_MAX);
    }
    for (uint32_t left = token.u.count; left > 0; left--) {
        if (decode_pair(decoder, out, &seen, &here, depth) != 0) {
            return -1;
        }
    }
    uint64_t has = *(const uint64_t *)out;
    if ((has & shape->required) != shape->required) {
        return missing_err(decoder, shape, has, &here);
    }
    return 0;
}
