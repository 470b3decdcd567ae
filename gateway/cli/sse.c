#include "gateway/cli/sse.h"

static struct str after(struct str text, uint32_t count)
{
    return (struct str){text.ptr + count, text.len - count};
}

static int text_set(struct buf *out, struct str text)
{
    out->limit = SSE_LINE_MAX;
    buf_reset(out);
    return text.len > 0 ? buf_add(out, text.ptr, text.len) : 0;
}

static int data_add(struct sse *sse, struct str text)
{
    sse->data.limit = SSE_LINE_MAX;
    if (sse->has_data && buf_add(&sse->data, "\n", 1) != 0) {
        return -1;
    }
    sse->has_data = true;
    return text.len > 0 ? buf_add(&sse->data, text.ptr, text.len) : 0;
}

static void event_end(struct sse *sse)
{
    struct sse_event event = {buf_str(&sse->id), buf_str(&sse->type), buf_str(&sse->data)};

    if (sse->has_data) {
        sse->fn(sse->arg, &event);
    }
    buf_reset(&sse->id);
    buf_reset(&sse->type);
    buf_reset(&sse->data);
    sse->has_data = false;
}

/* "name: value"; a line that begins with a colon is a comment. */
static int line_end(struct sse *sse)
{
    struct str line = buf_str(&sse->line);

    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    if (line.len == 0) {
        event_end(sse);
        return 0;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    struct str name = {line.ptr, colon != NULL ? (uint32_t)(colon - line.ptr) : line.len};
    struct str value = after(line, colon != NULL ? name.len + 1 : line.len);
    if (value.len > 0 && value.ptr[0] == ' ') {
        value = after(value, 1);
    }
    if (str_is(name, "id")) {
        return text_set(&sse->id, value);
    }
    if (str_is(name, "event")) {
        return text_set(&sse->type, value);
    }
    return str_is(name, "data") ? data_add(sse, value) : 0;
}

int sse_take(struct sse *sse, const char *bytes, size_t len)
{
    sse->line.limit = SSE_LINE_MAX;
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t part = end != NULL ? (size_t)(end - bytes) : len;
        if (part > 0 && buf_add(&sse->line, bytes, part) != 0) {
            return -1;
        }
        if (end != NULL) {
            if (line_end(sse) != 0) {
                return -1;
            }
            buf_reset(&sse->line);
            part++;
        }
        bytes += part;
        len -= part;
    }
    return 0;
}

void sse_begin(struct sse *sse)
{
    buf_reset(&sse->line);
    buf_reset(&sse->id);
    buf_reset(&sse->type);
    buf_reset(&sse->data);
    sse->has_data = false;
}

void sse_free(struct sse *sse)
{
    buf_free(&sse->line);
    buf_free(&sse->id);
    buf_free(&sse->type);
    buf_free(&sse->data);
}
