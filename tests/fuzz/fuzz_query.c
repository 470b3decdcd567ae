/* A request target: taken apart or refused; what is taken apart is clean UTF-8 without tricks. */
#include <stdlib.h>

#include "gateway/guard.h"
#include "gateway/text.h"
#include "gateway/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct uri *uri)
{
    for (uint32_t i = 0; i < uri->segment_count; i++) {
        struct str segment = uri->segments[i];
        if (!str_utf8(segment) || str_is(segment, "..") || str_is(segment, "."))
            abort();
        if (segment.len && (memchr(segment.ptr, '/', segment.len) || memchr(segment.ptr, '\0', segment.len)))
            abort();
    }
    for (uint32_t i = 0; i < uri->param_count; i++) {
        if (!str_utf8(uri->params[i].name) || !str_utf8(uri->params[i].value))
            abort();
        if (uri->params[i].value.len && memchr(uri->params[i].value.ptr, '\0', uri->params[i].value.len))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct guard guard = {.bound = "127.0.0.1", .names = "farm.example", .origins = "https://app.example"};
    struct str text = {(const char *)data, (uint32_t)size};
    struct err err = {0};
    struct uri uri;
    uint64_t number;

    if (size > URI_MAX)
        return 0;
    char *scratch = malloc(size ? size : 1);
    if (!scratch)
        return 0;
    if (uri_parse(text, scratch, &uri, &err) == 0)
        check(&uri);
    else if (!err.text[0])
        abort();
    /* Headers hold as strange things. */
    uri_number(text, &number);
    text_language(text);
    if (guard_host(&guard, text, (struct str){NULL, 0}) && size > 64)
        abort();
    guard_origin(&guard, text, text);
    free(scratch);
    return 0;
}
