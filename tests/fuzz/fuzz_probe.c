/* A line that gantry-probe may have written: what is read of it can be written and read again. */
#include <stdlib.h>

#include "worker/video/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct probe probe, again;
    struct buf line = {0};
    struct err err = {0};
    uint64_t number, same;
    if (probe_parse((struct str){(const char *)data, (uint32_t)size}, &probe, &number, &err) < 0)
        return 0;
    if (probe_write(&probe, number, &line) == 0 && (probe_parse(buf_str(&line), &again, &same, &err) < 0 || same != number))
        abort();
    buf_free(&line);
    return 0;
}
