#include "worker/hear.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/log.h"

#define ARENA_MAX ((size_t)16 << 20)

static void refuse(struct run *run, const char *why)
{
    log_warn("GTY-RUN-CHANNEL", "run=%" PRIu64 " attempt=%" PRIu64 " its program is killed: %s", run->id, run->attempt, why);
    run_note(run, LOG_ERROR, "its program is killed, as it said something odd to its worker: %s", why);
    run->channel.broken = true;
    if (run->process)
        process_kill(run->process);
}

/* An absolute name of a file, as a text of ours; NULL when it is none, or there is no memory. */
static char *name_copy(struct str text)
{
    bool well = text.len > 1 && text.len < PUBLISH_PATH && text.ptr[0] == '/' && text.ptr[text.len - 1] != '/' &&
                !memchr(text.ptr, '\0', text.len) && str_utf8(text);
    return well ? strndup(text.ptr, text.len) : NULL;
}

static int hear_name(struct run *run, char **name, struct str text, struct err *err)
{
    char *copy = run->places_output ? name_copy(text) : NULL;
    if (!copy)
        return err_set(err, ERR_INVALID, "not a name for an output");
    free(*name);
    *name = copy;
    return 0;
}

/* A folder of ours, by its name: it is removed with all that is in it. */
static int hear_remains(struct run *run, struct str text, struct err *err)
{
    if (hear_name(run, &run->remains, text, err) < 0)
        return -1;
    if (strncmp(strrchr(run->remains, '/') + 1, PUBLISH_PREFIX, strlen(PUBLISH_PREFIX)) == 0 &&
        !publish_parent_step(run->remains))
        return 0;
    free(run->remains);
    run->remains = NULL;
    return err_set(err, ERR_INVALID, "not a name for what is to remain");
}

static int hear_message(struct run *run, const struct channel_frame *frame, struct err *err)
{
    struct arena *arena = arena_new(ARENA_MAX);
    struct msg msg;
    int rc = arena ? msg_decode(arena, frame->content, &msg, err) : err_set(err, ERR_NO_MEMORY, "no memory");
    if (rc == 0)
        rc = channel_check(&msg, run->id, run->attempt, err);
    bool hint = frame->word == CHANNEL_TELL;
    struct buf *place = hint ? &run->channel.hint : &run->channel.ask;
    if (rc == 0 && !hint && run->channel.ask.len)
        rc = err_set(err, ERR_CONFLICT, "one question at a time");
    if (rc == 0 && hint != (msg.shape->id == MSG_LIBRARY_HINT))
        rc = err_set(err, ERR_INVALID, "that message is not sent so");
    if (rc == 0) {
        buf_reset(place);
        place->limit = CHANNEL_FRAME_MAX;
        if (buf_add(place, frame->content.ptr, frame->content.len) < 0)
            rc = err_set(err, ERR_NO_MEMORY, "no memory");
        run->channel.owed = run->channel.owed || (rc == 0 && !hint);
    }
    arena_free(arena);
    return rc;
}

static int hear_frame(struct run *run, const struct channel_frame *frame, struct err *err)
{
    switch (frame->word) {
    case CHANNEL_ASK:
    case CHANNEL_TELL:
        return hear_message(run, frame, err);
    case CHANNEL_TEMPORARY:
        if (hear_name(run, &run->temporary, frame->content, err) < 0)
            return -1;
        return home_output_begins(run->context->home, run->id, run->attempt, run->temporary, err);
    case CHANNEL_FINAL:
        return hear_name(run, &run->final, frame->content, err);
    case CHANNEL_REMAINS:
        return hear_remains(run, frame->content, err);
    default:
        return err_set(err, ERR_INVALID, "an unknown word");
    }
}

void hear_feed(struct run *run, const char *data, size_t len)
{
    struct channel_frame frame;
    struct err err = {0};
    size_t used;
    if (run->channel.broken)
        return;
    if (channel_feed(&run->channel, data, len) < 0) {
        refuse(run, "no memory for it");
        return;
    }
    while (channel_next(&run->channel, &frame, &used)) {
        if (hear_frame(run, &frame, &err) < 0) {
            refuse(run, err.text);
            return;
        }
        channel_drop(&run->channel, used);
    }
    if (run->channel.broken)
        refuse(run, "a frame of no length we know");
}

void hear_answer(struct run *run, const struct msg *answer, const char *why)
{
    struct buf message = {.limit = CHANNEL_FRAME_MAX}, frame = {.limit = 2 * CHANNEL_FRAME_MAX};
    struct err err = {0};
    bool well = run->channel.ask.len && run->process;
    buf_free(&run->channel.ask);
    run->channel.owed = false;
    if (!well)
        return;
    if (answer && codec_encode(&message, answer->shape, &answer->u, 0, (struct str){0}, &err) < 0)
        why = "the answer cannot be handed on";
    int rc = why ? channel_pack(&frame, CHANNEL_ERROR, str_of(why)) : channel_pack(&frame, CHANNEL_ASK, buf_str(&message));
    if (rc < 0 || process_answer(run->process, frame.data, frame.len) < 0)
        refuse(run, "an answer cannot be handed to it");
    buf_free(&message);
    buf_free(&frame);
}
