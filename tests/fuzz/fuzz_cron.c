/* Schedules as text. Input: `schedule` or `zone\nschedule`. What is accepted must be due at times that grow, whatever is asked. */
#include <stdint.h>
#include <stdlib.h>

#include "scheduler/cron.h"

static void check(const struct cron *cron, uint64_t after)
{
    for (int i = 0; i < 8; i++) {
        uint64_t next = cron_next(cron, after, 1000);
        if (next == 0) {
            return;
        }
        if (next <= after || next != cron_next(cron, next - 1, 1000)) {
            abort();
        }
        after = next;
    }
}

/* The last of forty days' due times, and how many there are, beside looking at each of a few. */
static void check_stretch(const struct cron *cron, uint64_t after)
{
    uint64_t first = cron_next(cron, after, 1000), until = first + UINT64_C(40) * 86400000;
    bool at_least = false;

    if (first == 0) {
        return;
    }
    uint64_t newest = cron_newest(cron, first, until, 1000), behind = cron_next(cron, newest, 1000);
    uint64_t count = cron_count(cron, first, newest, &at_least), seen = 1, at = first;
    if (newest < first || newest > until || (behind != 0 && behind <= until) || count == 0) {
        abort();
    }
    for (; seen < 2000 && at < newest; seen++) {
        at = cron_next(cron, at, 1000);
    }
    if (at == newest && !at_least && count != seen) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t times[] = {0, 951782400000, 1711846799999, 1729987200000, 4102444800000, 253402300799000, UINT64_MAX};
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    struct str zone = {text, line != NULL ? (uint32_t)(line - text) : 0};
    struct str schedule = {line != NULL ? line + 1 : text, (uint32_t)size - (line != NULL ? zone.len + 1 : 0)};
    struct err err = {0};

    struct cron *cron = cron_parse(schedule, zone, size, &err);
    if (cron == NULL) {
        if (err.code == 0 || err.text[0] == '\0' || !str_utf8(str_of(err.text))) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        check(cron, times[i]);
        check_stretch(cron, times[i]);
    }
    cron_free(cron);
    return 0;
}
