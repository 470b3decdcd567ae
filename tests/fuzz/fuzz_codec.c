/* Frames from anybody: refused with a sentence, or decoded to what encodes, decodes and encodes to the same bytes again. */
#include <stdlib.h>

#include "proto/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_LIMIT ((size_t)8 << 20)

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;
    static struct msg first, second;
    static struct buf one, two, printed;
    struct codec_envelope envelope;
    struct err err = {0};

    if (arena == NULL) {
        arena = arena_new(ARENA_LIMIT);
    }
    if (arena == NULL || size > CODEC_FRAME_MAX) {
        return 0;
    }
    arena_reset(arena);
    buf_reset(&one);
    buf_reset(&two);
    buf_reset(&printed);
    struct str frame = {(const char *)data, (uint32_t)size};
    int opened = codec_open(frame, &envelope, NULL);
    if (msg_decode(arena, frame, &first, &err) != 0) {
        check(err.code != 0 && err.text[0] != '\0' && first.shape == NULL);
        return 0;
    }
    /* What decodes can be opened, and says the same. */
    check(opened == 0 && envelope.id == first.shape->id && envelope.corr == first.corr && str_eq(envelope.rid, first.rid));
    check(codec_encode(&one, first.shape, &first.u, first.corr, first.rid, &err) == 0);
    if (msg_decode(arena, buf_str(&one), &second, &err) != 0) {
        check(err.code == ERR_NO_MEMORY); /* both share one arena */
        return 0;
    }
    check(second.shape == first.shape && second.corr == first.corr);
    check(codec_encode(&two, second.shape, &second.u, second.corr, second.rid, &err) == 0);
    check(str_eq(buf_str(&one), buf_str(&two)));
    codec_print(&printed, second.shape, &second.u);
    check(!printed.failed && str_utf8(buf_str(&printed)) && memchr(printed.data, '\n', printed.len) == NULL);
    /* Addressing kept bytes is the same as encoding with the address. */
    buf_reset(&two);
    buf_reset(&printed);
    check(codec_encode(&two, first.shape, &first.u, 0, STR_LIT(""), &err) == 0);
    check(codec_address(&printed, buf_str(&two), first.corr, first.rid, &err) == 0);
    check(str_eq(buf_str(&one), buf_str(&printed)));
    return 0;
}
