#include "gateway/json.h"

#include <math.h>
#include <msgpack.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/writer.h"
#include "proto/messages.h"

/* What a character brings outside of quotes: an object has a hash table from the start, a list has room for eight. */
static const struct {
    uint16_t cost;
    int8_t depth;
} signs[256] = {['{'] = {256, 1}, ['['] = {160, 1}, [','] = {64, 0}, [':'] = {96, 0}, ['}'] = {0, -1}, [']'] = {0, -1}};

/* Where the text in quotes that begins at text.ptr[at] ends. */
static uint32_t quote_end(struct str text, uint32_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++) {
        if (text.ptr[at] == '\\')
            at++;
    }
    return at;
}

/* jansson allows 2048 levels, each a stack frame: the depth is looked at before it parses. False when it is over max levels; else
 * *cost is what the document takes. */
static bool depth_fits(struct str text, int max, size_t *cost)
{
    int depth = 0;

    *cost = text.len;
    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"') {
            i = quote_end(text, i);
            continue;
        }
        *cost += signs[c].cost;
        depth += signs[c].depth;
        if (depth > max)
            return false;
    }
    return true;
}

size_t json_cost(struct str text)
{
    size_t cost;

    return depth_fits(text, JSON_DEPTH, &cost) ? cost : 0;
}

/* jansson shows the bytes near an error as they are, and cuts them where its buffer ends: what is no UTF-8 is left out. */
static const char *error_words(json_error_t *error)
{
    char *near = strstr(error->text, " near '");

    if (near && !str_utf8(str_of(near)))
        *near = '\0';
    return str_utf8(str_of(error->text)) ? error->text : "malformed";
}

/* jansson tells a lack of memory as whatever it was about to find: a syntax error, or nothing at all. */
static bool starved;

static void *noted_malloc(size_t size)
{
    void *at = malloc(size);
    starved = starved || at == NULL;
    return at;
}

json_t *json_parse(struct str text, struct err *err)
{
    json_error_t error;
    size_t cost;

    json_set_alloc_funcs(noted_malloc, free);
    starved = false;
    if (!depth_fits(text, JSON_DEPTH, &cost)) {
        err_set(err, ERR_BAD_REQUEST, "nested over %d levels", JSON_DEPTH);
        return NULL;
    }
    json_t *value = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (value && starved) { /* its lexer goes on with what it has of a text: that is not what was sent */
        json_decref(value);
        value = NULL;
    }
    if (!value) {
        if (starved)
            err_set(err, ERR_NO_MEMORY, "out of memory");
        else
            err_set(err, ERR_BAD_REQUEST, "line %d, column %d: %s", error.line, error.column, error_words(&error));
    }
    return value;
}

bool json_starved(void)
{
    return starved;
}

static int write_packed(void *data, const char *bytes, size_t len)
{
    return buf_add(data, bytes, len);
}

static int pack(msgpack_packer *packer, const json_t *value, int depth);

static int pack_text(msgpack_packer *packer, const char *text, size_t len)
{
    if (msgpack_pack_str(packer, len) != 0)
        return -1;
    return len > 0 ? msgpack_pack_str_body(packer, text, len) : 0;
}

static int pack_object(msgpack_packer *packer, const json_t *value, int depth)
{
    if (msgpack_pack_map(packer, json_object_size(value)) != 0)
        return -1;
    /* jansson's iterators do not change the object, but take it without const. */
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        if (pack_text(packer, json_object_iter_key(it), json_object_iter_key_len(it)) != 0)
            return -1;
        if (pack(packer, json_object_iter_value(it), depth) != 0)
            return -1;
    }
    return 0;
}

static int pack(msgpack_packer *packer, const json_t *value, int depth)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return msgpack_pack_nil(packer);
    case JSON_TRUE:
        return msgpack_pack_true(packer);
    case JSON_FALSE:
        return msgpack_pack_false(packer);
    case JSON_INTEGER:
        return msgpack_pack_int64(packer, json_integer_value(value));
    case JSON_REAL:
        return msgpack_pack_double(packer, json_real_value(value));
    case JSON_STRING:
        return pack_text(packer, json_string_value(value), json_string_length(value));
    case JSON_OBJECT:
        return depth > 0 ? pack_object(packer, value, depth - 1) : -1;
    case JSON_ARRAY:
        break;
    }
    if (depth <= 0 || msgpack_pack_array(packer, json_array_size(value)) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (pack(packer, json_array_get(value, i), depth - 1) != 0)
            return -1;
    }
    return 0;
}

int json_pack_value(struct buf *out, const json_t *value, int depth)
{
    msgpack_packer packer;
    size_t before = out->len;

    msgpack_packer_init(&packer, out, write_packed);
    if (!out->failed && pack(&packer, value, depth) == 0)
        return 0;
    out->len = before;
    return -1;
}

bool json_integral(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value))
        return false;
    double real = json_real_value(value);
    if (!(real >= -9.2e18 && real <= 9.2e18) || trunc(real) < real || trunc(real) > real)
        return false;
    *out = (int64_t)real;
    return true;
}

struct brief { /* what json_dump_callback writes to: stops it when full */
    char text[512];
    size_t len, max;
};

static int write_brief(const char *bytes, size_t len, void *data)
{
    struct brief *brief = data;
    size_t room = brief->max - brief->len;
    size_t take = len < room ? len : room;

    memcpy(brief->text + brief->len, bytes, take);
    brief->len += take;
    return take < len ? -1 : 0;
}

void json_brief(struct buf *out, const json_t *value, size_t max)
{
    struct brief brief = {.len = 0, .max = max < sizeof brief.text ? max : sizeof brief.text};

    if (json_dump_callback(value, write_brief, &brief, JSON_COMPACT | JSON_ENCODE_ANY) == 0) {
        buf_add(out, brief.text, brief.len);
        return;
    }
    struct str text = {brief.text, (uint32_t)brief.len};
    if (json_is_string(value))
        text = (struct str){json_string_value(value), (uint32_t)json_string_length(value)};
    buf_text(out, "\"");
    writer_escape(out, str_cut(text, brief.len));
    buf_text(out, "…\"");
}
