#include "worker/video/farm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void farm_clear(struct farm_line *line)
{
    buf_free(&line->out);
    buf_free(&line->in);
}

static int write_all(int fd, const char *data, size_t len, struct err *err)
{
    while (len) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "the worker is not there any more: %s", strerror(errno));
        data += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int read_all(int fd, char *data, size_t len, struct err *err)
{
    while (len) {
        ssize_t got = read(fd, data, len);
        if (got == 0 || (got < 0 && errno != EINTR))
            return err_set(err, ERR_IO, "the worker is not there any more");
        data += got > 0 ? got : 0;
        len -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int say(struct farm_line *line, enum channel_word word, struct str content, struct err *err)
{
    struct buf frame = {0};
    int rc = channel_pack(&frame, word, content) < 0 ? err_set(err, ERR_NO_MEMORY, "no memory to ask the farm")
                                                     : write_all(line->fd, frame.data, frame.len, err);
    buf_free(&frame);
    return rc;
}

int farm_say(struct farm_line *line, enum channel_word word, const char *text, struct err *err)
{
    return say(line, word, str_of(text), err);
}

static int tell(struct farm_line *line, enum channel_word word, const struct shape *shape, const void *value, struct err *err)
{
    buf_reset(&line->out);
    line->out.limit = CHANNEL_FRAME_MAX;
    if (codec_encode(&line->out, shape, value, 0, (struct str){0}, err) < 0)
        return -1;
    return say(line, word, buf_str(&line->out), err);
}

static int hear(struct farm_line *line, char *word, struct err *err)
{
    unsigned char head[CHANNEL_HEAD];
    if (read_all(line->fd, (char *)head, sizeof(head), err) < 0)
        return -1;
    size_t len = ((size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24) - 1;
    *word = (char)head[4];
    buf_reset(&line->in);
    line->in.limit = 2 * CHANNEL_FRAME_MAX;
    if (buf_reserve(&line->in, len + 1) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for the farm's answer");
    line->in.len = len;
    return read_all(line->fd, line->in.data, len, err);
}

int farm_ask(struct farm_line *line, struct arena *arena, const struct shape *shape, const void *value, struct msg *answer,
             struct err *err)
{
    char word;
    if (tell(line, CHANNEL_ASK, shape, value, err) < 0 || hear(line, &word, err) < 0)
        return -1;
    if (word != CHANNEL_ASK)
        return err_set(err, ERR_INVALID, "the farm refuses it: %.*s", (int)line->in.len, line->in.data);
    arena_reset(arena);
    return msg_decode(arena, buf_str(&line->in), answer, err);
}

int farm_hint(struct farm_line *line, const char *root, struct err *err)
{
    struct msg_library_hint hint = {.root = str_of(root)};
    return tell(line, CHANNEL_TELL, &shape_msg_library_hint, &hint, err);
}
