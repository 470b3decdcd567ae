#include "scheduler/farms/transcode/told.h"

#include <jansson.h>

static struct str json_text(const json_t *object, const char *key, size_t max)
{
    const json_t *value = json_object_get(object, key);
    struct str text = {json_string_value(value), (uint32_t)json_string_length(value)};
    return text.ptr ? str_cut(text, max) : (struct str){0};
}

void told_read(const struct rec_run *run, struct told *told)
{
    *told = (struct told){0};
    if (run->status != RUN_COMPLETED || !run->result.len)
        return;
    told->json = json_loadb(run->result.ptr, run->result.len, 0, NULL);
    if (!told->json)
        return; /* a sentence is as good */
    json_int_t size = json_integer_value(json_object_get(told->json, "size_after"));
    told->skipped = json_text(told->json, "skipped", 256);
    told->dest = json_text(told->json, "dest", 4095);
    told->preset = json_text(told->json, "preset", 32);
    told->size_after = size > 0 ? (uint64_t)size : 0;
    told->replaced = json_is_true(json_object_get(told->json, "replaced"));
    if (!json_is_true(json_object_get(told->json, "adopted")))
        told->seconds = json_number_value(json_object_get(told->json, "seconds"));
}

void told_clear(struct told *told)
{
    json_decref(told->json);
    *told = (struct told){0};
}

double told_attempt_seconds(const struct rec_run *run)
{
    const struct rec_attempt *last = run->attempts.count ? &run->attempts.items[run->attempts.count - 1] : NULL;
    return last && last->started_at && last->ended_at > last->started_at ? (double)(last->ended_at - last->started_at) / 1000 : 0;
}
