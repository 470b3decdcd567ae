/* Printing for logs and trace: bounded, one line, nothing secret. */
#include <inttypes.h>

#include "proto/codec_parts.h"

#define PRINT_TEXT 120 /* bytes of a text shown */
#define PRINT_BLOB 16
#define PRINT_ITEMS 8
#define PRINT_DEPTH 4

static void print_record(struct buf *out, const struct shape *shape, const void *value, int depth);

/* Bytes shown of a text, not splitting a character. */
static uint32_t shown_len(struct str text)
{
    if (text.len <= PRINT_TEXT) {
        return text.len;
    }
    uint32_t len = PRINT_TEXT;
    while (len > PRINT_TEXT - 4 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* Control characters of ASCII and of Latin-1 (c2 80 to c2 9f) as \xNN; all of what is not ASCII if it is not UTF-8. */
static void print_plain(struct buf *out, struct str text)
{
    struct str shown = {text.ptr, shown_len(text)};
    bool utf8 = str_utf8(shown);

    for (uint32_t i = 0; i < shown.len; i++) {
        unsigned char c = (unsigned char)shown.ptr[i];
        bool latin = c == 0xc2 && utf8 && (unsigned char)shown.ptr[i + 1] < 0xa0;
        if (latin) {
            buf_printf(out, "\\x%02x", (unsigned char)shown.ptr[++i]);
        } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) {
            buf_printf(out, "\\x%02x", c);
        } else {
            if (c == '"' || c == '\\') {
                buf_add(out, "\\", 1);
            }
            buf_add(out, &shown.ptr[i], 1);
        }
    }
}

static void print_text(struct buf *out, struct str text)
{
    buf_text(out, "\"");
    print_plain(out, text);
    buf_text(out, "\"");
    if (shown_len(text) < text.len) {
        buf_printf(out, "…(%u bytes)", text.len);
    }
}

static void print_blob(struct buf *out, struct str blob)
{
    for (uint32_t i = 0; i < blob.len && i < PRINT_BLOB; i++) {
        buf_printf(out, "%02x", (unsigned char)blob.ptr[i]);
    }
    if (blob.len > PRINT_BLOB) {
        buf_printf(out, "…(%u bytes)", blob.len);
    }
}

/* The keys only: what is behind them may be anybody's password. */
static void print_map(struct buf *out, struct str map)
{
    struct reader reader = {map.ptr, map.len > 0 ? map.ptr + map.len : map.ptr};
    struct token token;
    uint32_t count = reader_next(&reader, &token) == 0 && token.kind == TOKEN_MAP ? token.u.count : 0;

    buf_text(out, "{");
    for (uint32_t i = 0; i < count; i++) {
        if (i == PRINT_ITEMS) {
            buf_printf(out, " …(%u keys)", count);
            break;
        }
        if (reader_next(&reader, &token) != 0 || token.kind != TOKEN_STR) {
            break;
        }
        buf_text(out, i > 0 ? " " : "");
        print_text(out, token.u.text);
        if (reader_skip(&reader, CODEC_DEPTH) != 0) {
            break;
        }
    }
    buf_text(out, "}");
}

static void print_list(struct buf *out, const struct field *field, const void *member, int depth)
{
    const struct record_list *list = member;

    buf_text(out, "[");
    for (uint32_t i = 0; i < list->count; i++) {
        if (i == PRINT_ITEMS) {
            buf_printf(out, " …(%u items)", list->count);
            break;
        }
        buf_text(out, i > 0 ? " " : "");
        if (field->kind == CODEC_STRS) {
            print_text(out, ((const struct str_list *)member)->items[i]);
        } else if (field->kind == CODEC_UINTS) {
            buf_printf(out, "%" PRIu64, ((const struct uint_list *)member)->items[i]);
        } else {
            print_record(out, field->record, list->items + i * field->record->size, depth - 1);
        }
    }
    buf_text(out, "]");
}

static void print_value(struct buf *out, const struct field *field, const void *member, int depth)
{
    if (field->presence == CODEC_SEC) {
        buf_text(out, "***");
        return;
    }
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        buf_text(out, *(const bool *)member ? "true" : "false");
        break;
    case CODEC_INT:
        buf_printf(out, "%" PRId64, *(const int64_t *)member);
        break;
    case CODEC_UINT:
        buf_printf(out, "%" PRIu64, *(const uint64_t *)member);
        break;
    case CODEC_REAL:
        buf_printf(out, "%g", *(const double *)member);
        break;
    case CODEC_STR:
        print_text(out, *(const struct str *)member);
        break;
    case CODEC_BLOB:
        print_blob(out, *(const struct str *)member);
        break;
    case CODEC_MAP:
        print_map(out, *(const struct str *)member);
        break;
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        print_list(out, field, member, depth);
        break;
    case CODEC_NEST:
        print_record(out, field->record, member, depth - 1);
        break;
    }
}

static void print_record(struct buf *out, const struct shape *shape, const void *value, int depth)
{
    bool first = true;

    if (depth <= 0) {
        buf_text(out, "{…}");
        return;
    }
    buf_text(out, "{");
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (field_present(field, value)) {
            buf_printf(out, "%s%s=", first ? "" : " ", field->name);
            print_value(out, field, member_of(value, field), depth);
            first = false;
        }
    }
    buf_text(out, "}");
}

void codec_print(struct buf *out, const struct shape *shape, const void *value)
{
    buf_text(out, shape->name);
    print_record(out, shape, value, PRINT_DEPTH);
}
