/* What a program writes to its worker on its channel, in pieces: frames are whole or not there, and what they hold is a message about that
 * run or refused with words. */
#include <stdlib.h>

#include "worker/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(struct arena *arena, const struct channel_frame *frame)
{
    struct msg msg;
    struct err err = {0};
    arena_reset(arena);
    if (msg_decode(arena, frame->content, &msg, &err) == 0 && channel_check(&msg, 7, 1, &err) == 0) {
        if (msg.shape->to != PARTY_SCHEDULER)
            abort();
    } else if (err.text[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;
    struct channel channel = {0};
    struct channel_frame frame;
    size_t used, piece = size ? data[0] % 97 + 1u : 1;
    if (!arena)
        arena = arena_new((size_t)1 << 24);
    for (size_t at = 1; arena && at < size; at += piece) {
        if (channel_feed(&channel, (const char *)data + at, at + piece < size ? piece : size - at) < 0)
            break;
        while (channel_next(&channel, &frame, &used)) {
            struct buf again = {.limit = 2 * CHANNEL_FRAME_MAX};
            look(arena, &frame);
            if (channel_pack(&again, frame.word, frame.content) == 0 &&
                (again.len != used || memcmp(again.data, channel.in.data, used) != 0))
                abort();
            buf_free(&again);
            channel_drop(&channel, used);
        }
    }
    channel_clear(&channel);
    return 0;
}
