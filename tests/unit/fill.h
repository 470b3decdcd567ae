/* Messages and records filled from their descriptors, for tests that run over the whole table.
 *
 * Values are made from the names of fields, so that two fields which swap their keys are seen to have done so.
 */
#ifndef GANTRY_TESTS_FILL_H
#define GANTRY_TESTS_FILL_H

#include "unit.h"

#include "proto/messages.h"

#define FILL_ARENA ((size_t)256 << 20)
#define FILL_STRUCT_MAX 4096 /* bytes of the largest struct in the table; test_codec.c proves it */

struct fill_list { /* as every generated list */
    char *items;
    uint32_t count;
};

static inline uint64_t fill_hash(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    }
    return hash;
}

static inline void *fill_alloc(struct arena *arena, size_t size)
{
    void *at = arena_alloc(arena, size);

    assert_non_null(at);
    return at;
}

/* len bytes that begin with the name and go on with letters: UTF-8, and as binary as good as any. */
static inline struct str fill_text(struct arena *arena, const char *name, size_t len)
{
    char *text = fill_alloc(arena, len + 1);
    size_t named = strlen(name) < len ? strlen(name) : len;

    memset(text, 'x', len);
    memcpy(text, name, named);
    return (struct str){text, (uint32_t)len};
}

/* A map of exactly len bytes: none for 0, {} for 1, otherwise {"k": "…"} (8 bytes and more). */
static inline struct str fill_map(struct arena *arena, const char *name, size_t len)
{
    if (len < 8) {
        return len == 0 ? (struct str){NULL, 0} : STR_LIT("\x80");
    }
    unsigned char *map = fill_alloc(arena, len);
    size_t left = len - 8;
    const unsigned char head[8] = {0x81,
                                   0xa1,
                                   'k',
                                   0xdb,
                                   (unsigned char)(left >> 24),
                                   (unsigned char)(left >> 16),
                                   (unsigned char)(left >> 8),
                                   (unsigned char)left};
    memcpy(map, head, sizeof head);
    if (left > 0) {
        memcpy(map + 8, fill_text(arena, name, left).ptr, left);
    }
    return (struct str){(const char *)map, (uint32_t)len};
}

static inline void fill_record(struct arena *arena, const struct shape *shape, void *value, bool all);

/* A list of count items, records filled with `all` or only with what is required. */
static inline void fill_items(struct arena *arena, const struct field *field, void *member, uint32_t count, bool all)
{
    struct fill_list *list = member;

    list->count = count;
    if (field->kind == CODEC_STRS) {
        struct str *items = fill_alloc(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = fill_text(arena, field->name, 3 + i % 7);
        }
        list->items = (char *)items;
    } else if (field->kind == CODEC_UINTS) {
        uint64_t *items = fill_alloc(arena, count * sizeof *items);
        for (uint32_t i = 0; i < count; i++) {
            items[i] = fill_hash(field->name) >> (i * 7 % 64);
        }
        list->items = (char *)items;
    } else {
        list->items = fill_alloc(arena, count * field->record->size);
        for (uint32_t i = 0; i < count; i++) {
            fill_record(arena, field->record, list->items + i * field->record->size, all);
        }
    }
}

/* Sets a field to a size: the value of INT and UINT; bytes of STR, BLOB, MAP; items of STRS, UINTS, LIST. */
static inline void fill_size(struct arena *arena, const struct field *field, void *value, uint64_t size, bool all)
{
    void *member = (char *)value + field->offset;

    *(uint64_t *)value |= UINT64_C(1) << field->key;
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        *(bool *)member = size != 0;
        break;
    case CODEC_INT:
    case CODEC_UINT:
        *(uint64_t *)member = size;
        break;
    case CODEC_REAL:
        *(double *)member = (double)size / 8;
        break;
    case CODEC_STR:
    case CODEC_BLOB:
        *(struct str *)member = fill_text(arena, field->name, size);
        break;
    case CODEC_MAP:
        *(struct str *)member = fill_map(arena, field->name, size);
        break;
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        fill_items(arena, field, member, (uint32_t)size, all);
        break;
    case CODEC_NEST:
        fill_record(arena, field->record, member, all);
        break;
    }
}

/* A size within the bounds, not zero, made from the name. */
static inline uint64_t fill_usual(const struct field *field)
{
    uint64_t hash = fill_hash(field->name) >> 8;
    uint64_t low = field->low > 0 ? (uint64_t)field->low : 1;
    uint64_t high = field->high > 0 ? (uint64_t)field->high : low;

    switch ((enum codec_kind)field->kind) {
    case CODEC_INT:
    case CODEC_UINT:
        return low + hash % (high - low + 1);
    case CODEC_BOOL:
        return 1;
    case CODEC_REAL:
        return 1 + hash % 800;
    case CODEC_MAP:
        return high < 24 ? high : 24;
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        high = high < 2 ? high : 2;
        return low > high ? low : high;
    default:
        high = high < strlen(field->name) + 4 ? high : strlen(field->name) + 4;
        return low > high ? low : high;
    }
}

/* Fills zeroed memory: every field, or only the required ones. */
static inline void fill_record(struct arena *arena, const struct shape *shape, void *value, bool all)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (all || field->presence == CODEC_REQ) {
            fill_size(arena, field, value, fill_usual(field), all);
        }
    }
}

static inline bool fill_equal(const struct shape *shape, const void *left, const void *right);

static inline bool fill_field_equal(const struct field *field, const void *left, const void *right)
{
    const struct str *text = left;
    const struct fill_list *list = left, *other = right;

    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        return *(const bool *)left == *(const bool *)right;
    case CODEC_INT:
    case CODEC_UINT:
        return *(const uint64_t *)left == *(const uint64_t *)right;
    case CODEC_REAL:
        return memcmp(left, right, sizeof(double)) == 0;
    case CODEC_STR:
    case CODEC_BLOB:
    case CODEC_MAP:
        return str_eq(*text, *(const struct str *)right);
    case CODEC_NEST:
        return fill_equal(field->record, left, right);
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        break;
    }
    if (list->count != other->count) {
        return false;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        bool same;
        if (field->kind == CODEC_STRS) {
            same = str_eq(((const struct str_list *)left)->items[i], ((const struct str_list *)right)->items[i]);
        } else if (field->kind == CODEC_UINTS) {
            same = ((const struct uint_list *)left)->items[i] == ((const struct uint_list *)right)->items[i];
        } else {
            size_t at = i * field->record->size;
            same = fill_equal(field->record, list->items + at, other->items + at);
        }
        if (!same) {
            return false;
        }
    }
    return true;
}

/* True when both hold the same values, and the same fields are there. */
static inline bool fill_equal(const struct shape *shape, const void *left, const void *right)
{
    if (*(const uint64_t *)left != *(const uint64_t *)right) { /* has */
        return false;
    }
    for (size_t i = 0; i < shape->count; i++) {
        size_t at = shape->fields[i].offset;
        if (!fill_field_equal(&shape->fields[i], (const char *)left + at, (const char *)right + at)) {
            return false;
        }
    }
    return true;
}

/* A new value of a shape, in the arena. */
static inline void *fill_new(struct arena *arena, const struct shape *shape, bool all)
{
    void *value = fill_alloc(arena, shape->size);

    fill_record(arena, shape, value, all);
    return value;
}

/* Shapes are counted through: messages first, then records. */
static inline size_t shapes_count(void)
{
    return messages_count + records_count;
}

static inline const struct shape *shape_at(size_t i)
{
    return i < messages_count ? messages_all[i] : records_all[i - messages_count];
}

/* The shape with one field changed: how a peer that keeps to no table would encode. */
struct loose {
    struct shape shape;
    struct field fields[CODEC_KEYS_MAX];
};

static inline struct field *loosen(struct loose *loose, const struct shape *shape, size_t i)
{
    loose->shape = *shape;
    loose->shape.fields = loose->fields;
    memcpy(loose->fields, shape->fields, shape->count * sizeof *shape->fields);
    return &loose->fields[i];
}

#define PAIR(s) ((struct str){(s), sizeof(s) - 1})

#endif
