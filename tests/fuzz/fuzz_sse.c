/* Server-sent events, as a farm or who stands in its place sends them: within their bounds, and the same wherever the bytes are cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t count;
    uint64_t hash;
};

static void mix(struct seen *seen, struct str text)
{
    for (uint32_t i = 0; i < text.len; i++)
        seen->hash = (seen->hash ^ (uint8_t)text.ptr[i]) * 0x100000001b3;
    seen->hash = (seen->hash ^ 0x100) * 0x100000001b3;
}

static void on_event(void *arg, const struct sse_event *event)
{
    struct seen *seen = arg;

    seen->count++;
    mix(seen, event->id);
    mix(seen, event->type);
    mix(seen, event->data);
    if (event->data.len > SSE_LINE_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {0}, parts = {0};
    struct sse one = {.fn = on_event, .arg = &whole}, many = {.fn = on_event, .arg = &parts};
    size_t step = size > 0 ? 1 + data[0] % 7 : 1;

    if (sse_take(&one, (const char *)data, size) != 0)
        abort(); /* an input is smaller than any bound */
    for (size_t at = 0; at < size; at += step) {
        if (sse_take(&many, (const char *)data + at, size - at < step ? size - at : step) != 0)
            abort();
    }
    if (whole.count != parts.count || whole.hash != parts.hash)
        abort();
    sse_free(&one);
    sse_free(&many);
    return 0;
}
