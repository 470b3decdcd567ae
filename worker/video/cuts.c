#include "worker/video/cuts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "worker/video/probe.h"

uint64_t cuts_length(uint64_t duration_ms, uint64_t most_ms)
{
    uint64_t count = most_ms ? (duration_ms + most_ms - 1) / most_ms : 1;
    count = count < 1 ? 1 : count > CUTS_MAX ? CUTS_MAX : count;
    return duration_ms / count + 1;
}

uint32_t cuts_plan(const struct cut_places *places, int64_t length, uint64_t starts[CUTS_MAX])
{
    bool well = length > 0 && length <= INT64_MAX / CUTS_MAX;
    uint32_t count = 1;
    starts[0] = 0;
    for (uint32_t i = 1; well && i < places->count && count < CUTS_MAX; i++) {
        int64_t at = places->keys[i] - places->keys[0];
        int64_t aim = (int64_t)count * length; /* from the start: what one is too long the next is shorter */
        if (at < aim || at - (int64_t)starts[count - 1] < length / 2 || places->length - at < length / 2 || at >= places->length)
            continue;
        starts[count++] = (uint64_t)at;
    }
    return count;
}

/* ---- as a line ---- */

int cuts_write(const struct cut_places *places, struct buf *out)
{
    json_t *keys = json_array(), *object = NULL;
    bool well = keys != NULL;
    for (uint32_t i = 0; well && i < places->count; i++)
        well = json_array_append_new(keys, json_integer(places->keys[i])) == 0;
    if (well && places->error[0])
        object = json_pack("{s:s}", "error", places->error);
    else if (well)
        object = json_pack("{s:I, s:I, s:I, s:I, s:O}", "base_num", (json_int_t)places->base_num, "base_den",
                           (json_int_t)places->base_den, "offset_us", (json_int_t)places->offset_us, "length",
                           (json_int_t)places->length, "keys", keys);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int rc = text && strlen(text) < PROBE_LINE ? buf_text(out, text) : -1;
    free(text);
    json_decref(object);
    json_decref(keys);
    return rc;
}

/* They grow, and the distance between any two is a number. */
static bool keys_read(const json_t *keys, struct cut_places *places)
{
    const int64_t most = INT64_MAX / 4;
    size_t count = json_array_size(keys);
    if (count < 1 || count > CUTS_KEYS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *key = json_array_get(keys, i);
        int64_t at = json_integer_value(key);
        if (!json_is_integer(key) || at < -most || at > most || (i && at <= places->keys[i - 1]))
            return false;
        places->keys[i] = at;
    }
    places->count = (uint32_t)count;
    return true;
}

int cuts_parse(struct str line, struct cut_places *places, struct err *err)
{
    json_error_t error;
    json_t *object = json_loadb(line.ptr ? line.ptr : "", line.len, JSON_REJECT_DUPLICATES, &error);
    const char *why = json_string_value(json_object_get(object, "error"));
    *places = (struct cut_places){.base_num = json_integer_value(json_object_get(object, "base_num")),
                                  .base_den = json_integer_value(json_object_get(object, "base_den")),
                                  .offset_us = json_integer_value(json_object_get(object, "offset_us")),
                                  .length = json_integer_value(json_object_get(object, "length"))};
    bool well = !why && keys_read(json_object_get(object, "keys"), places) && places->base_num > 0 &&
                places->base_num <= INT32_MAX && places->base_den > 0 && places->base_den <= INT32_MAX && places->length > 0 &&
                places->length < INT64_MAX / 4;
    int rc = well  ? 0
             : why ? err_set(err, ERR_INVALID, "%.200s", why)
                   : err_set(err, ERR_PROTOCOL, "gantry-probe says no places to cut at");
    json_decref(object);
    return rc;
}
