/* A body: parsed or refused with words; what parses packs into a valid map, and that writes back as JSON that parses to the same. */
#include <stdlib.h>

#include "gateway/json.h"
#include "gateway/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const json_t *value)
{
    struct buf packed = {.limit = (size_t)1 << 20}, out = {.limit = (size_t)8 << 20}, brief = {0};
    struct writer w = {.out = &out};
    struct err err = {0};

    json_brief(&brief, value, 64);
    if (!str_utf8(buf_str(&brief)))
        abort();
    if (json_is_object(value) && json_pack_value(&packed, value, CODEC_DEPTH) == 0) {
        if (!map_valid(buf_str(&packed)))
            abort();
        writer_map(&w, NULL, buf_str(&packed));
        if (!out.failed) {
            json_t *back = json_parse(buf_str(&out), &err);
            if (!back || !json_equal(back, value))
                abort();
            json_decref(back);
        }
    }
    buf_free(&packed);
    buf_free(&out);
    buf_free(&brief);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size > UINT32_MAX)
        return 0;
    json_t *value = json_parse((struct str){(const char *)data, (uint32_t)size}, &err);
    if (value)
        round_trip(value);
    else if (!err.text[0] || !str_utf8(str_of(err.text)))
        abort();
    json_decref(value);
    return 0;
}
