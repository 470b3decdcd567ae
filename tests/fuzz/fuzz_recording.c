/* What a recording reads of others (the first byte says what the rest is): a run's parameters, of which no secret gets into words; the boxes of an MP4
 * that was cut short; a stream's times, which become a timeline that grows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/record/config.h"
#include "worker/record/piece_whole.h"
#include "worker/record/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void parameters(const uint8_t *data, size_t size)
{
    static struct record_config config;
    static char text[2 * RECORD_URL_MAX + 32], words[2 * RECORD_URL_MAX + 32];
    struct err err = {0};
    if (record_config_read((struct str){(const char *)data, (uint32_t)size}, &config, &err) < 0) {
        check(err.code && err.text[0]);
        return;
    }
    check(config.output[0] == '/' && config.duration_s >= 1 && config.duration_s <= RECORD_DURATION_MAX);
    int64_t due = record_due_us(&config, 1000);
    check(due >= 0 && due <= config.duration_s * INT64_C(1000000));
    snprintf(text, sizeof(text), "%s and %s", config.url, config.url);
    record_mask(config.url, text, words, sizeof(words));
    char *user = strstr(config.url, "://") + 3, *at = memrchr(user, '@', strcspn(user, "/?# \t\n'\""));
    if (!at || at - user < 3 || memchr(user, '*', (size_t)(at - user)))
        return; /* none, or one that its mask may look like */
    *at = '\0';
    check(!strstr(words, user));
}

struct bytes {
    const uint8_t *data;
    int64_t size;
};

static int64_t bytes_read(void *self, int64_t at, unsigned char *out, int64_t len)
{
    const struct bytes *bytes = self;
    check(at >= 0 && at < bytes->size && len > 0);
    int64_t got = len < bytes->size - at ? len : bytes->size - at;
    memcpy(out, bytes->data + at, (size_t)got);
    return got;
}

static void boxes(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data, (int64_t)size};
    int64_t whole = piece_whole(bytes_read, &bytes, bytes.size);
    check(whole >= 0 && whole <= bytes.size);
    struct piece_span span;
    piece_span(bytes_read, &bytes, bytes.size, size & 3, &span);
    check(span.whole == whole && span.head >= 0 && span.head <= span.from && span.from <= whole);
    bytes.size = whole; /* what is whole is so by itself */
    check(whole == 0 || piece_whole(bytes_read, &bytes, whole) == whole);
}

static void times(const uint8_t *data, size_t size)
{
    struct timeline timeline = {0};
    int64_t arrival = 0, last[TIMELINE_TRACKS] = {INT64_MIN, INT64_MIN};
    for (; size >= 20; data += 20, size -= 20) {
        int64_t dts, pts, gap;
        uint32_t lead;
        memcpy(&lead, data, 4);
        memcpy(&dts, data + 4, 8);
        memcpy(&pts, data + 12, 8);
        unsigned track = lead & 1;
        arrival += lead >> 8;
        if (lead & 2)
            timeline_connect(&timeline);
        if (!timeline_put(&timeline, track, arrival, &dts, &pts, &gap))
            continue;
        check(dts >= 0 && dts > last[track] && pts >= dts && gap >= 0 && timeline_end(&timeline, track) > dts);
        last[track] = dts;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'p')
        parameters(data + 1, size - 1);
    else if (data[0] == 'b')
        boxes(data + 1, size - 1);
    else
        times(data + 1, size - 1);
    return 0;
}
