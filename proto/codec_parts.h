/* What the engine's files share among themselves; everybody else includes codec.h. */
#ifndef GANTRY_PROTO_CODEC_PARTS_H
#define GANTRY_PROTO_CODEC_PARTS_H

#include <math.h>

#include "proto/codec.h"
#include "proto/messages.h"

/* Every generated list of records looks like this. */
struct record_list {
    char *items;
    uint32_t count;
};

#define PLACE_NO_ITEM UINT32_MAX

/* Where in a message the engine is: a chain up to the root, read only when something is wrong. */
struct place {
    const struct place *up;    /* NULL at the root */
    const struct shape *shape; /* of the record this field is in */
    const struct field *field; /* NULL before the first */
    uint32_t item;             /* of a list, or PLACE_NO_ITEM */
};

/* Fills err with `batch.ops[3].value: <sentence>` and returns -1. */
int place_err(const struct place *place, struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* msgpack-c's way to write: out is a struct buf, whose failed says in the end whether all of it fit. */
int pack_to(void *out, const char *bytes, size_t len);

/* Appends one record's map. On failure out may have grown: the caller cuts it back. */
int encode_record(struct buf *out, const struct shape *shape, const void *value, const struct place *up, struct err *err);

struct decoder {
    struct reader reader;
    struct arena *arena;
    struct err *err;
};

/* Reads one record's map into out, which is zeroed memory of shape->size. On failure out is half filled. */
int decode_record(struct decoder *decoder, const struct shape *shape, void *out, const struct place *up, int depth);

/* low..high as a natural number, a length or a count: low is not negative. */
static inline bool size_in_range(const struct field *field, uint64_t size)
{
    return size >= (uint64_t)field->low && size <= (uint64_t)field->high;
}

static inline const void *member_of(const void *value, const struct field *field)
{
    return (const char *)value + field->offset;
}

/* Of a struct rec_… or msg_…: its first member. */
static inline uint64_t has_of(const void *value)
{
    return *(const uint64_t *)value;
}

/* True when the field is to be sent, and so to be printed. */
static inline bool field_present(const struct field *field, const void *value)
{
    const void *member = member_of(value, field);
    double real;

    if (field->presence == CODEC_REQ) {
        return true;
    }
    if (field->presence == CODEC_NUL) {
        return (has_of(value) >> field->key & 1) != 0;
    }
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        return *(const bool *)member;
    case CODEC_INT:
    case CODEC_UINT:
        return *(const uint64_t *)member != 0;
    case CODEC_REAL:
        real = *(const double *)member;
        return isfinite(real) && (real < 0 || real > 0);
    case CODEC_STR:
    case CODEC_BLOB:
    case CODEC_MAP:
        return ((const struct str *)member)->len > 0;
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        return ((const struct record_list *)member)->count > 0;
    case CODEC_NEST:
        return true;
    }
    return false;
}

#endif
