/* A bounded reader of msgpack: what it answers never points or counts beyond the bytes that are there.
 *
 * msgpack-c's own unpacker reserves gigabytes for the five bytes `df 0f ff ff ff` and lets duplicate keys, invalid UTF-8 and
 * trailing bytes pass; this one allocates nothing for tokens, and for a map's keys no more than its bytes could hold.
 */
#include <math.h>
#include <stdlib.h>

#include "proto/codec.h"

static uint64_t big_endian(const unsigned char *p, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

static void token_signed(struct token *token, int64_t value)
{
    if (value < 0) {
        token->kind = TOKEN_INT;
        token->u.integer = value;
    } else {
        token->kind = TOKEN_UINT;
        token->u.natural = (uint64_t)value;
    }
}

/* Takes size bytes of text or binary behind the head. */
static int take_text(struct reader *reader, const char *at, struct token *token, enum token_kind kind, uint64_t size)
{
    if (size > (size_t)(reader->end - at)) {
        return -1;
    }
    token->kind = kind;
    token->u.text = (struct str){at, (uint32_t)size};
    if (kind == TOKEN_STR && !str_utf8(token->u.text)) {
        return -1;
    }
    reader->at = at + size;
    return 0;
}

/* Every item takes a byte at the least, every pair two. */
static int take_count(struct reader *reader, const char *at, struct token *token, enum token_kind kind, uint64_t count)
{
    size_t left = (size_t)(reader->end - at);

    if (count > (kind == TOKEN_MAP ? left / 2 : left)) {
        return -1;
    }
    token->kind = kind;
    token->u.count = (uint32_t)count;
    reader->at = at;
    return 0;
}

static int take_number(struct token *token, unsigned char head, uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float single;

    switch (head) {
    case 0xca:
        memcpy(&single, &narrow, sizeof single);
        token->kind = TOKEN_REAL;
        token->u.real = (double)single;
        return 0;
    case 0xcb:
        token->kind = TOKEN_REAL;
        memcpy(&token->u.real, &bits, sizeof bits);
        return 0;
    case 0xd0:
        token_signed(token, (int8_t)bits);
        return 0;
    case 0xd1:
        token_signed(token, (int16_t)bits);
        return 0;
    case 0xd2:
        token_signed(token, (int32_t)bits);
        return 0;
    case 0xd3:
        token_signed(token, (int64_t)bits);
        return 0;
    default:
        token->kind = TOKEN_UINT;
        token->u.natural = bits;
        return 0;
    }
}

/* Heads 0xc0 to 0xdf: the number behind the head is a value, a length or a count. */
static int next_wide(struct reader *reader, struct token *token, unsigned char head)
{
    /* Bytes of that number; 9 marks what is refused: the unused head and ext types. */
    static const unsigned char widths[32] = {0, 9, 0, 0, 1, 2, 4, 9, 9, 9, 4, 8, 1, 2, 4, 8,
                                             1, 2, 4, 8, 9, 9, 9, 9, 9, 1, 2, 4, 2, 4, 2, 4};
    size_t width = widths[head - 0xc0];
    const char *at = reader->at + 1;

    if (width == 9 || width > (size_t)(reader->end - at)) {
        return -1;
    }
    uint64_t number = big_endian((const unsigned char *)at, width);
    at += width;
    switch (head) {
    case 0xc0:
        token->kind = TOKEN_NIL;
        break;
    case 0xc2:
    case 0xc3:
        token->kind = TOKEN_BOOL;
        token->u.boolean = head == 0xc3;
        break;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_text(reader, at, token, TOKEN_BIN, number);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_text(reader, at, token, TOKEN_STR, number);
    case 0xdc:
    case 0xdd:
        return take_count(reader, at, token, TOKEN_ARRAY, number);
    case 0xde:
    case 0xdf:
        return take_count(reader, at, token, TOKEN_MAP, number);
    default:
        take_number(token, head, number);
        break;
    }
    reader->at = at;
    return 0;
}

int reader_next(struct reader *reader, struct token *token)
{
    if (reader->at >= reader->end) {
        return -1;
    }
    unsigned char head = (unsigned char)*reader->at;
    if (head < 0x80) {
        token->kind = TOKEN_UINT;
        token->u.natural = head;
    } else if (head >= 0xe0) {
        token->kind = TOKEN_INT;
        token->u.integer = (int64_t)head - 256;
    } else if (head < 0x90) {
        return take_count(reader, reader->at + 1, token, TOKEN_MAP, head & 0x0fU);
    } else if (head < 0xa0) {
        return take_count(reader, reader->at + 1, token, TOKEN_ARRAY, head & 0x0fU);
    } else if (head < 0xc0) {
        return take_text(reader, reader->at + 1, token, TOKEN_STR, head & 0x1fU);
    } else {
        return next_wide(reader, token, head);
    }
    reader->at++;
    return 0;
}

int reader_skip(struct reader *reader, int depth)
{
    struct token token;

    if (reader_next(reader, &token) != 0) {
        return -1;
    }
    if (token.kind != TOKEN_ARRAY && token.kind != TOKEN_MAP) {
        return 0;
    }
    if (depth <= 0) {
        return -1;
    }
    uint64_t values = token.kind == TOKEN_MAP ? (uint64_t)token.u.count * 2 : token.u.count;
    for (uint64_t i = 0; i < values; i++) {
        if (reader_skip(reader, depth - 1) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- free-form maps ---- */

#define KEYS_NEAR 16 /* keys compared one by one; more are sorted */
#define KEYS_MOST                                                                                                                \
    (CODEC_MAP_MAX / 3 + 1) /* of all the maps that are open at once: a pair takes three bytes but for one with an empty key */

/* The keys of the maps being read, outer ones first: telling them apart needs no memory that might not be there. */
static _Thread_local struct str keys_open[KEYS_MOST];
static _Thread_local uint32_t keys_used;

static int key_compare(const void *left, const void *right)
{
    const struct str *a = left, *b = right;
    uint32_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter > 0 ? memcmp(a->ptr, b->ptr, shorter) : 0;

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static bool keys_distinct(struct str *keys, uint32_t count)
{
    if (count <= KEYS_NEAR) {
        for (uint32_t i = 1; i < count; i++) {
            for (uint32_t k = 0; k < i; k++) {
                if (str_eq(keys[i], keys[k])) {
                    return false;
                }
            }
        }
        return true;
    }
    qsort(keys, count, sizeof *keys, key_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (str_eq(keys[i - 1], keys[i])) {
            return false;
        }
    }
    return true;
}

static int value_check(struct reader *reader, int depth);

static int pairs_check(struct reader *reader, struct str *keys, uint32_t count, int depth)
{
    for (uint32_t i = 0; i < count; i++) {
        struct token key;
        if (reader_next(reader, &key) != 0 || key.kind != TOKEN_STR || value_check(reader, depth) != 0) {
            return -1;
        }
        keys[i] = key.u.text;
    }
    return keys_distinct(keys, count) ? 0 : -1;
}

/* The pairs of a map whose head has been read. */
static int map_check(struct reader *reader, uint32_t count, int depth)
{
    if (count > KEYS_MOST - keys_used) {
        return -1; /* larger than any field takes */
    }
    struct str *keys = keys_open + keys_used;
    keys_used += count;
    int rc = pairs_check(reader, keys, count, depth);
    keys_used -= count;
    return rc;
}

/* One value, containers in it at most depth deep. */
static int value_check(struct reader *reader, int depth)
{
    struct token token;

    if (reader_next(reader, &token) != 0 || (token.kind == TOKEN_REAL && !isfinite(token.u.real))) {
        return -1;
    }
    if (token.kind != TOKEN_ARRAY && token.kind != TOKEN_MAP) {
        return 0;
    }
    if (depth <= 0) {
        return -1;
    }
    if (token.kind == TOKEN_MAP) {
        return map_check(reader, token.u.count, depth - 1);
    }
    for (uint32_t i = 0; i < token.u.count; i++) {
        if (value_check(reader, depth - 1) != 0) {
            return -1;
        }
    }
    return 0;
}

int reader_map(struct reader *reader, struct str *out)
{
    struct reader walk = *reader;
    struct token token;

    if (reader_next(&walk, &token) != 0 || token.kind != TOKEN_MAP || map_check(&walk, token.u.count, CODEC_DEPTH - 1) != 0) {
        return -1;
    }
    *out = (struct str){reader->at, (uint32_t)(walk.at - reader->at)};
    *reader = walk;
    return 0;
}

bool map_valid(struct str bytes)
{
    struct reader reader = {bytes.ptr, bytes.len > 0 ? bytes.ptr + bytes.len : bytes.ptr};
    struct str map;

    return bytes.len == 0 || (reader_map(&reader, &map) == 0 && reader.at == reader.end);
}

static bool map_seek(struct str map, struct str key, struct token *out)
{
    struct reader reader = {map.ptr, map.len > 0 ? map.ptr + map.len : map.ptr};
    struct token token;

    if (reader_next(&reader, &token) != 0 || token.kind != TOKEN_MAP) {
        return false;
    }
    for (uint32_t left = token.u.count; left > 0; left--) {
        if (reader_next(&reader, &token) != 0 || token.kind != TOKEN_STR) {
            return false;
        }
        if (str_eq(token.u.text, key)) {
            return reader_next(&reader, out) == 0;
        }
        if (reader_skip(&reader, CODEC_DEPTH) != 0) {
            return false;
        }
    }
    return false;
}

bool map_find(struct str map, const char *key, struct token *out)
{
    return map_seek(map, str_of(key), out);
}

bool map_text(struct str map, struct str key, struct str *out)
{
    struct token token;

    if (!map_seek(map, key, &token) || token.kind != TOKEN_STR) {
        return false;
    }
    *out = token.u.text;
    return true;
}

uint64_t map_number(struct str map, const char *key)
{
    struct token token;

    return map_find(map, key, &token) && token.kind == TOKEN_UINT ? token.u.natural : 0;
}
