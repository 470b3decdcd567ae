/* Encoding: one pass over the descriptors, bounds checked on the way, so that a process sends nothing a peer refuses. */
#include <inttypes.h>
#include <msgpack.h>

#include "proto/codec_parts.h"

/* A frame is mostly single bytes: keys, small numbers, heads of short texts. They go in without a call where there is room. */
static inline void pack_byte(struct buf *out, unsigned char byte)
{
    if (out->len < out->size && !out->failed) {
        out->data[out->len++] = (char)byte;
    } else {
        buf_add(out, &byte, 1);
    }
}

int pack_to(void *out, const char *bytes, size_t len)
{
    if (len == 1) {
        pack_byte(out, (unsigned char)*bytes);
        return 0; /* a failure stays in the buffer */
    }
    return buf_add(out, bytes, len);
}

static inline void pack_natural(msgpack_packer *packer, uint64_t natural)
{
    if (natural < 0x80) {
        pack_byte(packer->data, (unsigned char)natural);
    } else {
        msgpack_pack_uint64(packer, natural);
    }
}

static void pack_text(msgpack_packer *packer, struct str text)
{
    if (text.len < 0x20) {
        pack_byte(packer->data, (unsigned char)(0xa0 | text.len));
    } else {
        msgpack_pack_str(packer, text.len);
    }
    buf_add(packer->data, text.ptr, text.len);
}

static int range_err(const struct place *place, struct err *err, uint64_t given, const char *unit)
{
    return place_err(place, err, ERR_INVALID, "%" PRIu64 " %s given, %" PRId64 " to %" PRId64 " expected", given, unit,
                     place->field->low, place->field->high);
}

static int encode_number(msgpack_packer *packer, const struct field *field, const void *member, const struct place *here,
                         struct err *err)
{
    if (field->kind == CODEC_INT) {
        int64_t integer = *(const int64_t *)member;
        if (integer < field->low || integer > field->high) {
            return place_err(here, err, ERR_INVALID, "%" PRId64 " given, %" PRId64 " to %" PRId64 " expected", integer,
                             field->low, field->high);
        }
        msgpack_pack_int64(packer, integer);
        return 0;
    }
    if (field->kind == CODEC_UINT) {
        uint64_t natural = *(const uint64_t *)member;
        if (!size_in_range(field, natural)) {
            return place_err(here, err, ERR_INVALID, "%" PRIu64 " given, %" PRId64 " to %" PRId64 " expected", natural,
                             field->low, field->high);
        }
        pack_natural(packer, natural);
        return 0;
    }
    double real = *(const double *)member;
    if (!isfinite(real)) {
        return place_err(here, err, ERR_INVALID, "%f given, a finite number expected", real);
    }
    msgpack_pack_double(packer, real);
    return 0;
}

static int encode_text(msgpack_packer *packer, const struct field *field, struct str text, const struct place *here,
                       struct err *err)
{
    if (!size_in_range(field, text.len)) {
        return range_err(here, err, text.len, "bytes");
    }
    switch (field->kind) {
    case CODEC_STR:
        if (!str_utf8(text)) {
            return place_err(here, err, ERR_INVALID, "not UTF-8");
        }
        pack_text(packer, text);
        return 0;
    case CODEC_BLOB:
        msgpack_pack_bin(packer, text.len);
        msgpack_pack_bin_body(packer, text.ptr, text.len);
        return 0;
    default:
        if (!map_valid(text)) {
            return place_err(here, err, ERR_INVALID, "not a map with distinct text keys, at most %d deep", CODEC_DEPTH);
        }
        if (text.len == 0) {
            msgpack_pack_map(packer, 0);
        } else {
            pack_to(packer->data, text.ptr, text.len);
        }
        return 0;
    }
}

static int encode_strings(msgpack_packer *packer, const struct str_list *list, struct place *here, struct err *err)
{
    msgpack_pack_array(packer, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        struct str text = list->items[i];
        here->item = i;
        if (text.len > CODEC_STRING_MAX) {
            return place_err(here, err, ERR_INVALID, "%u bytes given, at most %u expected", text.len, CODEC_STRING_MAX);
        }
        if (!str_utf8(text)) {
            return place_err(here, err, ERR_INVALID, "not UTF-8");
        }
        pack_text(packer, text);
    }
    return 0;
}

static int encode_list(msgpack_packer *packer, const struct field *field, const void *member, struct place *here, struct err *err)
{
    const struct record_list *list = member;
    int rc = 0;

    if (!size_in_range(field, list->count)) {
        return range_err(here, err, list->count, "items");
    }
    if (field->kind == CODEC_STRS) {
        rc = encode_strings(packer, member, here, err);
        here->item = PLACE_NO_ITEM;
        return rc;
    }
    msgpack_pack_array(packer, list->count);
    if (field->kind == CODEC_UINTS) {
        const struct uint_list *numbers = member;
        for (uint32_t i = 0; i < numbers->count; i++) {
            pack_natural(packer, numbers->items[i]);
        }
        return 0;
    }
    for (uint32_t i = 0; i < list->count && rc == 0; i++) {
        here->item = i;
        rc = encode_record(packer->data, field->record, list->items + i * field->record->size, here, err);
    }
    here->item = PLACE_NO_ITEM;
    return rc;
}

static int encode_value(msgpack_packer *packer, const struct field *field, const void *member, struct place *here,
                        struct err *err)
{
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        if (*(const bool *)member) {
            msgpack_pack_true(packer);
        } else {
            msgpack_pack_false(packer);
        }
        return 0;
    case CODEC_INT:
    case CODEC_UINT:
    case CODEC_REAL:
        return encode_number(packer, field, member, here, err);
    case CODEC_STR:
    case CODEC_BLOB:
    case CODEC_MAP:
        return encode_text(packer, field, *(const struct str *)member, here, err);
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        return encode_list(packer, field, member, here, err);
    case CODEC_NEST:
        return encode_record(packer->data, field->record, member, here, err);
    }
    return place_err(here, err, ERR_INTERNAL, "a kind of field that is not known");
}

/* Writes the head of a map of count pairs where a head of one byte was left room for. */
static void head_patch(struct buf *out, size_t at, uint32_t count)
{
    static const char room[2] = {0};

    if (out->failed) {
        return;
    }
    if (count <= 15) {
        out->data[at] = (char)(0x80 | count);
    } else if (buf_add(out, room, sizeof room) == 0) {
        char *head = out->data + at;
        memmove(head + 3, head + 1, out->len - at - 3);
        head[0] = (char)0xde;
        head[1] = (char)(count >> 8);
        head[2] = (char)count;
    }
}

int encode_record(struct buf *out, const struct shape *shape, const void *value, const struct place *up, struct err *err)
{
    struct place here = {.up = up, .shape = shape, .item = PLACE_NO_ITEM};
    msgpack_packer packer;
    size_t at = out->len;
    uint32_t count = 0;

    msgpack_packer_init(&packer, out, pack_to);
    pack_byte(out, 0x80);
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (!field_present(field, value)) {
            continue;
        }
        here.field = field;
        pack_natural(&packer, field->key);
        if (encode_value(&packer, field, member_of(value, field), &here, err) != 0) {
            return -1;
        }
        count++;
    }
    head_patch(out, at, count);
    return 0;
}
