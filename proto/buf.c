#include "proto/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST ((size_t)256)

void buf_free(struct buf *buf)
{
    if (buf != NULL) {
        free(buf->data);
        *buf = (struct buf){.limit = buf->limit};
    }
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = buf->starved = false;
}

/* Once failed, nothing fits: what follows a hole would be read as something else. */
int buf_reserve(struct buf *buf, size_t more)
{
    size_t limit = buf->limit != 0 ? buf->limit : BUF_LIMIT;

    if (buf->failed || more > limit || buf->len > limit - more) {
        buf->failed = true;
        return -1;
    }
    if (buf->size - buf->len >= more) {
        return 0;
    }
    size_t size = buf->size != 0 ? buf->size : BUF_FIRST;
    while (size - buf->len < more) {
        size = size <= limit / 2 ? size * 2 : limit;
    }
    size = size < limit ? size : limit;
    char *data = realloc(buf->data, size);
    if (data == NULL) {
        buf->failed = buf->starved = true;
        return -1;
    }
    buf->data = data;
    buf->size = size;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t len)
{
    if ((buf->failed || buf->size - buf->len < len) && buf_reserve(buf, len) != 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }
    return 0;
}

int buf_text(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    char small[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return -1;
    }
    if ((size_t)len < sizeof small) {
        return buf_add(buf, small, (size_t)len);
    }
    size_t size = (size_t)len + 1;
    char *large = malloc(size);
    if (large == NULL) {
        buf->failed = buf->starved = true;
        return -1;
    }
    va_start(args, format);
    vsnprintf(large, size, format, args);
    va_end(args);
    int rc = buf_add(buf, large, (size_t)len);
    free(large);
    return rc;
}
