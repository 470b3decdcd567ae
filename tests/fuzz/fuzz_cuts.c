/* A line that gantry-probe --keys may have written: what is read of it can be written and read again, and planned with any length. */
#include <stdlib.h>
#include <string.h>

#include "worker/video/cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cut_places places, again;
    static uint64_t starts[CUTS_MAX];
    struct buf line = {0};
    struct err err = {0};
    if (cuts_parse((struct str){(const char *)data, (uint32_t)size}, &places, &err) < 0)
        return 0;
    if (cuts_write(&places, &line) == 0 &&
        (cuts_parse(buf_str(&line), &again, &err) < 0 || memcmp(&places, &again, sizeof(places)) != 0))
        abort();
    for (int64_t length = 1; length < places.length; length = length * 3 + 1) {
        uint32_t count = cuts_plan(&places, length, starts);
        if (count < 1 || count > CUTS_MAX || starts[0] != 0)
            abort();
        for (uint32_t i = 1; i < count; i++)
            if (starts[i] <= starts[i - 1] || (int64_t)starts[i] >= places.length)
                abort();
    }
    buf_free(&line);
    return 0;
}
