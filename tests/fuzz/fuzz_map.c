/* Free-form maps: a map is valid or not; what is valid can be skipped whole, has each of its keys once, and says so to map_find. */
#include <stdlib.h>

#include "proto/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_keys(struct str map)
{
    struct reader reader = {map.ptr, map.ptr + map.len};
    struct token token, value, found;

    check(reader_next(&reader, &token) == 0 && token.kind == TOKEN_MAP);
    for (uint32_t left = token.u.count; left > 0; left--) {
        char name[64];
        struct str text;
        struct reader at;
        check(reader_next(&reader, &token) == 0 && token.kind == TOKEN_STR);
        at = reader;
        check(reader_next(&at, &value) == 0 && reader_skip(&reader, CODEC_DEPTH) == 0);
        check(map_text(map, token.u.text, &text) == (value.kind == TOKEN_STR));
        check(value.kind != TOKEN_STR || text.ptr == value.u.text.ptr); /* its own, not that of a key like it */
        if (str_copy(name, sizeof name, token.u.text) && strlen(name) == token.u.text.len) {
            check(map_find(map, name, &found) && found.kind == value.kind);
        }
    }
    check(reader.at == reader.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str map = {(const char *)data, (uint32_t)size};
    struct token token;

    if (size > CODEC_FRAME_MAX) {
        return 0;
    }
    struct reader whole = {map.ptr, map.ptr + map.len};
    bool skipped = reader_skip(&whole, CODEC_DEPTH) == 0;
    check(whole.at <= whole.end);
    map_find(map, "k", &token);
    if (map_valid(map) && map.len > 0) {
        check(skipped && whole.at == whole.end);
        check_keys(map);
    }
    return 0;
}
