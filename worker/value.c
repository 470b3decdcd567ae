#include "worker/value.h"

#include <inttypes.h>
#include <math.h>
#include <msgpack.h>

bool pairs_begin(struct pairs *pairs, struct str map)
{
    struct token token;
    pairs->left = 0;
    if (map.len == 0)
        return true;
    pairs->reader = (struct reader){.at = map.ptr, .end = map.ptr + map.len};
    if (reader_next(&pairs->reader, &token) < 0 || token.kind != TOKEN_MAP)
        return false;
    pairs->left = token.u.count;
    return true;
}

bool pairs_next(struct pairs *pairs, struct str *key, struct str *value)
{
    struct token token;
    if (pairs->left == 0 || reader_next(&pairs->reader, &token) < 0 || token.kind != TOKEN_STR)
        return false;
    *key = token.u.text;
    const char *begin = pairs->reader.at;
    if (reader_skip(&pairs->reader, CODEC_DEPTH) < 0)
        return false;
    *value = (struct str){begin, (uint32_t)(pairs->reader.at - begin)};
    pairs->left--;
    return true;
}

bool value_find(struct str map, struct str key, struct str *value)
{
    struct pairs pairs;
    struct str name;
    if (!pairs_begin(&pairs, map))
        return false;
    while (pairs_next(&pairs, &name, value))
        if (str_eq(name, key))
            return true;
    return false;
}

int value_json_text(struct buf *out, struct str text)
{
    buf_text(out, "\"");
    for (uint32_t i = 0, from = 0; i <= text.len; i++) {
        unsigned char c = i < text.len ? (unsigned char)text.ptr[i] : 0;
        if (i < text.len && c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(out, text.ptr + from, i - from);
        from = i + 1;
        if (i == text.len)
            break;
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_text(out, "\\n");
        else
            buf_printf(out, "\\u%04x", c);
    }
    return buf_text(out, "\"");
}

static void json_real(struct buf *out, double real)
{
    if (!isfinite(real)) {
        buf_text(out, "null");
        return;
    }
    char text[40];
    int digits = 15; /* the shortest of these that reads back as the same number */
    do
        snprintf(text, sizeof(text), "%.*g", digits, real);
    while (strtod(text, NULL) != real && digits++ < 17);
    buf_text(out, text);
}

static int json_value(struct buf *out, struct reader *reader, int depth)
{
    struct token token;
    if (depth < 0 || reader_next(reader, &token) < 0)
        return -1;
    switch (token.kind) {
    case TOKEN_NIL:
    case TOKEN_BIN:
        return buf_text(out, "null");
    case TOKEN_BOOL:
        return buf_text(out, token.u.boolean ? "true" : "false");
    case TOKEN_INT:
        return buf_printf(out, "%" PRId64, token.u.integer);
    case TOKEN_UINT:
        return buf_printf(out, "%" PRIu64, token.u.natural);
    case TOKEN_REAL:
        json_real(out, token.u.real);
        return out->failed ? -1 : 0;
    case TOKEN_STR:
        return value_json_text(out, token.u.text);
    case TOKEN_ARRAY:
    case TOKEN_MAP:
        break;
    }
    bool map = token.kind == TOKEN_MAP;
    buf_text(out, map ? "{" : "[");
    for (uint32_t i = 0; i < token.u.count; i++) {
        struct token key;
        if (i)
            buf_text(out, ",");
        if (map) {
            if (reader_next(reader, &key) < 0 || key.kind != TOKEN_STR)
                return -1;
            value_json_text(out, key.u.text);
            buf_text(out, ":");
        }
        if (json_value(out, reader, depth - 1) < 0)
            return -1;
    }
    return buf_text(out, map ? "}" : "]");
}

int value_json(struct buf *out, struct str value)
{
    if (value.len == 0)
        return buf_text(out, "{}");
    struct reader reader = {.at = value.ptr, .end = value.ptr + value.len};
    return json_value(out, &reader, CODEC_DEPTH);
}

int value_text(struct buf *out, struct str value)
{
    struct reader reader = {.at = value.ptr, .end = value.ptr + value.len};
    struct token token;
    if (reader_next(&reader, &token) < 0)
        return -1;
    if (token.kind == TOKEN_STR)
        return buf_add(out, token.u.text.ptr, token.u.text.len);
    return token.kind == TOKEN_NIL ? 0 : value_json(out, value);
}

static int pack_write(void *data, const char *bytes, size_t len)
{
    return buf_add(data, bytes, len);
}

int value_pack_texts(struct buf *out, const struct str *names_and_values, uint32_t count)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, pack_write);
    int rc = msgpack_pack_map(&packer, count);
    for (uint32_t i = 0; rc == 0 && i < count * 2; i++) {
        rc = msgpack_pack_str(&packer, names_and_values[i].len);
        if (rc == 0)
            rc = msgpack_pack_str_body(&packer, names_and_values[i].ptr, names_and_values[i].len);
    }
    return rc;
}
