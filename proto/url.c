#include "proto/url.h"

#include <string.h>

void url_mask(struct buf *out, struct str url)
{
    const char *scheme = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    uint32_t from = scheme ? (uint32_t)(scheme - url.ptr) + 3 : 0, at = from;

    for (uint32_t i = from; i < url.len && url.ptr[i] != '/'; i++) {
        if (url.ptr[i] == '@') {
            at = i;
        }
    }
    buf_add(out, url.ptr, from);
    if (at > from) {
        buf_add(out, "***", 3);
    }
    buf_add(out, url.ptr + at, url.len - at);
}
