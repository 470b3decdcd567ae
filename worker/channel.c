#include "worker/channel.h"

#include <inttypes.h>

void channel_reset(struct channel *channel)
{
    struct buf hint = channel->hint;
    channel->hint = (struct buf){0};
    channel_clear(channel);
    channel->hint = hint;
}

void channel_clear(struct channel *channel)
{
    buf_free(&channel->in);
    buf_free(&channel->ask);
    buf_free(&channel->hint);
    *channel = (struct channel){0};
}

int channel_feed(struct channel *channel, const char *data, size_t len)
{
    channel->in.limit = 2 * CHANNEL_FRAME_MAX;
    return channel->broken ? -1 : buf_add(&channel->in, data, len);
}

bool channel_next(struct channel *channel, struct channel_frame *frame, size_t *used)
{
    const unsigned char *at = (const unsigned char *)channel->in.data;
    if (channel->broken || channel->in.len < CHANNEL_HEAD)
        return false;
    size_t len = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    if (len < 1 || len > CHANNEL_FRAME_MAX) {
        channel->broken = true;
        return false;
    }
    if (channel->in.len < 4 + len)
        return false;
    frame->word = (enum channel_word)at[4];
    frame->content = (struct str){channel->in.data + CHANNEL_HEAD, (uint32_t)(len - 1)};
    *used = 4 + len;
    return true;
}

void channel_drop(struct channel *channel, size_t used)
{
    channel->in.len -= used;
    memmove(channel->in.data, channel->in.data + used, channel->in.len);
}

int channel_pack(struct buf *out, enum channel_word word, struct str content)
{
    size_t len = (size_t)content.len + 1;
    const unsigned char head[CHANNEL_HEAD] = {(unsigned char)len, (unsigned char)(len >> 8), (unsigned char)(len >> 16),
                                              (unsigned char)(len >> 24), (unsigned char)word};
    if (len > CHANNEL_FRAME_MAX || buf_reserve(out, CHANNEL_HEAD + len) < 0)
        return -1;
    buf_add(out, head, sizeof(head));
    return content.len ? buf_add(out, content.ptr, content.len) : 0;
}

int channel_check(const struct msg *msg, uint64_t run, uint64_t attempt, struct err *err)
{
    uint64_t its_run = 0, its_attempt = 0;
    switch (msg->shape->id) {
    case MSG_LIBRARY_KNOWN:
        its_run = msg->u.library_known.run_id;
        its_attempt = msg->u.library_known.attempt;
        break;
    case MSG_LIBRARY_FOUND:
        its_run = msg->u.library_found.run_id;
        its_attempt = msg->u.library_found.attempt;
        break;
    case MSG_TRANSCODE_CUT:
        its_run = msg->u.transcode_cut.run_id;
        its_attempt = msg->u.transcode_cut.attempt;
        break;
    case MSG_RENDER_LOOK:
        its_run = msg->u.render_look.run_id;
        its_attempt = msg->u.render_look.attempt;
        break;
    case MSG_SCENE_TELL:
        its_run = msg->u.scene_tell.run_id;
        its_attempt = msg->u.scene_tell.attempt;
        break;
    case MSG_LIBRARY_HINT:
        return 0;
    default:
        return err_set(err, ERR_FORBIDDEN, "a run does not send a %s", msg->shape->name);
    }
    if (its_run != run || its_attempt != attempt)
        return err_set(err, ERR_FORBIDDEN, "this is run %" PRIu64 ", not %" PRIu64, run, its_run);
    return 0;
}
