#include "gateway/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"

void writer_escape(struct buf *out, struct str text)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t from = 0;

    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        if (i > from)
            buf_add(out, text.ptr + from, i - from);
        from = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *brief = NULL;
        switch (c) {
        case '"':
            brief = "\\\"";
            break;
        case '\\':
            brief = "\\\\";
            break;
        case '\n':
            brief = "\\n";
            break;
        case '\r':
            brief = "\\r";
            break;
        case '\t':
            brief = "\\t";
            break;
        default:
            break;
        }
        if (brief)
            buf_add(out, brief, 2);
        else
            buf_add(out, escape, sizeof escape);
    }
    if (text.len > from)
        buf_add(out, text.ptr + from, text.len - from);
}

static void lead(struct writer *w, const char *key)
{
    if (w->comma)
        buf_add(w->out, ",", 1);
    w->comma = true;
    if (key) {
        buf_add(w->out, "\"", 1);
        buf_text(w->out, key);
        buf_add(w->out, "\":", 2);
    }
}

void writer_open(struct writer *w, const char *key, char bracket)
{
    lead(w, key);
    buf_add(w->out, &bracket, 1);
    w->comma = false;
}

void writer_close(struct writer *w, char bracket)
{
    buf_add(w->out, &bracket, 1);
    w->comma = true;
}

void writer_json(struct writer *w, const char *key, struct str json)
{
    lead(w, key);
    buf_add(w->out, json.ptr, json.len);
}

void writer_null(struct writer *w, const char *key)
{
    writer_json(w, key, STR_LIT("null"));
}

void writer_bool(struct writer *w, const char *key, bool value)
{
    writer_json(w, key, value ? STR_LIT("true") : STR_LIT("false"));
}

void writer_uint(struct writer *w, const char *key, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    writer_json(w, key, (struct str){digits + at, (uint32_t)(sizeof digits - at)});
}

void writer_int(struct writer *w, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    writer_json(w, key, (struct str){text, (uint32_t)len});
}

void writer_real(struct writer *w, const char *key, double value)
{
    char text[40];

    if (!isfinite(value)) {
        writer_null(w, key);
        return;
    }
    int len = snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) < value || strtod(text, NULL) > value)
        len = snprintf(text, sizeof text, "%.17g", value);
    /* A real stays one for readers that tell 30 from 30.0. */
    if (!strpbrk(text, ".e"))
        len += snprintf(text + len, sizeof text - (size_t)len, ".0");
    writer_json(w, key, (struct str){text, (uint32_t)len});
}

void writer_rounded(struct writer *w, const char *key, double value, int decimals)
{
    double scale = pow(10, decimals);
    writer_real(w, key, round(value * scale) / scale);
}

void writer_text(struct writer *w, const char *key, struct str text)
{
    lead(w, key);
    buf_add(w->out, "\"", 1);
    writer_escape(w->out, text);
    buf_add(w->out, "\"", 1);
}

void writer_text_or_null(struct writer *w, const char *key, struct str text)
{
    if (text.len > 0)
        writer_text(w, key, text);
    else
        writer_null(w, key);
}

void writer_time(struct writer *w, const char *key, uint64_t wall_ms)
{
    char iso[CLOCK_ISO_SIZE];

    if (wall_ms == 0)
        writer_null(w, key);
    else
        writer_text(w, key, str_of(clock_iso(wall_ms, 0, iso)));
}

void writer_texts(struct writer *w, const char *key, const struct str_list *list)
{
    writer_open(w, key, '[');
    for (uint32_t i = 0; i < list->count; i++)
        writer_text(w, NULL, list->items[i]);
    writer_close(w, ']');
}

/* One value from reader; -1 on malformed bytes, at which the caller stops. */
static int map_value(struct writer *w, struct reader *reader, int depth)
{
    struct token token;

    if (reader_next(reader, &token) != 0)
        return -1;
    switch (token.kind) {
    case TOKEN_NIL:
        writer_null(w, NULL);
        return 0;
    case TOKEN_BOOL:
        writer_bool(w, NULL, token.u.boolean);
        return 0;
    case TOKEN_INT:
        writer_int(w, NULL, token.u.integer);
        return 0;
    case TOKEN_UINT:
        writer_uint(w, NULL, token.u.natural);
        return 0;
    case TOKEN_REAL:
        writer_real(w, NULL, token.u.real);
        return 0;
    case TOKEN_STR:
        writer_text(w, NULL, token.u.text);
        return 0;
    case TOKEN_BIN:
        writer_null(w, NULL);
        return 0; /* JSON has no bytes */
    case TOKEN_ARRAY:
    case TOKEN_MAP:
        break;
    }
    if (depth <= 0)
        return -1;
    bool map = token.kind == TOKEN_MAP;
    writer_open(w, NULL, map ? '{' : '[');
    for (uint32_t i = 0; i < token.u.count; i++) {
        if (map) {
            struct token name;
            if (reader_next(reader, &name) != 0 || name.kind != TOKEN_STR)
                return -1;
            writer_text(w, NULL, name.u.text);
            buf_add(w->out, ":", 1);
            w->comma = false;
        }
        if (map_value(w, reader, depth - 1) != 0)
            return -1;
    }
    writer_close(w, map ? '}' : ']');
    return 0;
}

void writer_map(struct writer *w, const char *key, struct str map)
{
    lead(w, key);
    w->comma = false;
    /* The codec has checked it; the check here keeps a damaged record from producing half a document. */
    struct reader reader = {map.ptr, map.len ? map.ptr + map.len : map.ptr};
    if (map.len == 0 || !map_valid(map) || map_value(w, &reader, CODEC_DEPTH) != 0) {
        if (map.len == 0 || !w->comma)
            buf_text(w->out, "{}");
    }
    w->comma = true;
}
