#include "gateway/recordings_held.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/put_at.h"
#include "gateway/recordings.h"

#define ALL "*"

/* ---- the file ---- */

/* The next line of text, without its end; false: there is none. */
static bool line_next(struct str *text, struct str *line)
{
    if (!text->len)
        return false;
    const char *end = memchr(text->ptr, '\n', text->len);
    uint32_t len = end ? (uint32_t)(end - text->ptr) : text->len, step = end ? len + 1 : len;
    *line = (struct str){text->ptr, len};
    *text = (struct str){text->ptr + step, text->len - step};
    return true;
}

/* All of it. 0, or 1: it is not what we write; -1 with errno. */
static int text_read(int fd, struct buf *text)
{
    char piece[4096];
    ssize_t got;
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return -1;
    if (!S_ISREG(stat.st_mode))
        return 1;
    while ((got = read(fd, piece, sizeof piece)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (text->len + (size_t)got > HELD_BYTES)
            return 1;
        if (buf_add(text, piece, (size_t)got) != 0) {
            errno = ENOMEM;
            return -1;
        }
    }
    return 0;
}

/* Whether somebody has put something there that is no file of ours, or took it from us: time alone does not mend that. */
static bool is_damage(int cause)
{
    return cause == ELOOP || cause == EISDIR || cause == EACCES || cause == EPERM || cause == ENXIO;
}

int held_read(int folder, struct held *held)
{
    *held = (struct held){0};
    int fd = openat(folder, HELD_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        held->damaged = held->all = is_damage(errno);
        return held->damaged || errno == ENOENT ? 0 : -1;
    }
    int result = text_read(fd, &held->text), cause = errno;
    close(fd);
    if (result < 0) {
        held_free(held);
        errno = cause;
        return -1;
    }
    held->damaged = held->all = result > 0;
    struct str rest = buf_str(&held->text), line;
    while (line_next(&rest, &line))
        held->all = held->all || str_is(line, ALL);
    return 0;
}

void held_each(const struct held *held, void (*each)(void *self, struct str name), void *self)
{
    struct str rest = buf_str(&held->text), line;
    while (!held->damaged && line_next(&rest, &line))
        if (recordings_video_name(line))
            each(self, line);
}

void held_free(struct held *held)
{
    if (held)
        buf_free(&held->text);
}

/* ---- a video, or a folder ---- */

/* Whether that video is in the folder: 0; -1 with errno. */
static int video_there(int folder, struct str file)
{
    char name[256];
    struct stat stat;
    if (!recordings_video_name(file) || memchr(file.ptr, '\n', file.len) || !str_copy(name, sizeof name, file)) {
        errno = ENOENT;
        return -1;
    }
    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (S_ISREG(stat.st_mode))
        return 0;
    errno = S_ISLNK(stat.st_mode) ? ELOOP : ENOENT;
    return -1;
}

/* Whether that says that no video is there any more, and not that nobody can say. */
static bool is_gone(int cause)
{
    return cause == ENOENT || cause == ENOTDIR || cause == ELOOP;
}

struct search {
    int folder;
    struct str file; /* empty: any that may be there */
    bool found;
};

static void compare(void *self, struct str name)
{
    struct search *search = self;
    if (search->file.len)
        search->found = search->found || str_eq(name, search->file);
    else
        search->found = search->found || video_there(search->folder, name) == 0 || !is_gone(errno);
}

/* The folder open, with what is held in it, once it is sure that the video is there. -1 with errno. */
static int held_open(const char *root, struct str folder, struct str file, struct held *held)
{
    int at = recordings_folder(root, folder);
    if (at < 0)
        return -1;
    if ((!file.len || video_there(at, file) == 0) && held_read(at, held) == 0)
        return at;
    int cause = errno;
    close(at);
    errno = cause;
    return -1;
}

int recordings_held(const char *root, struct str folder, struct str file)
{
    struct held held;
    int at = held_open(root, folder, file, &held);
    if (at < 0)
        return -1;
    struct search search = {.folder = at, .file = file};
    held_each(&held, compare, &search);
    int result = held.all ? HOLD_FOLDER : !search.found ? HOLD_NONE : file.len ? HOLD_FILE : HOLD_WITHIN;
    held_free(&held);
    close(at);
    return result;
}

struct rewriting {
    int folder;
    struct str but;
    struct buf text;
    int cause; /* errno: whether a video is there cannot be said */
};

/* What went without us, by somebody's rm, is held no longer. */
static void keep_line(void *self, struct str name)
{
    struct rewriting *rewriting = self;
    if (str_eq(name, rewriting->but) || rewriting->cause)
        return;
    if (video_there(rewriting->folder, name) == 0)
        buf_printf(&rewriting->text, "%.*s\n", (int)name.len, name.ptr);
    else
        rewriting->cause = is_gone(errno) ? 0 : errno;
}

static int write_held(int folder, const struct buf *text)
{
    int result = 0;
    if (text->failed || text->len > HELD_BYTES) {
        errno = text->failed ? ENOMEM : EFBIG;
        return -1;
    }
    if (text->len)
        result = put_at(folder, HELD_FILE, buf_str(text));
    else if (unlinkat(folder, HELD_FILE, 0) != 0 && errno != ENOENT)
        result = -1;
    return result == 0 ? fsync(folder) : -1;
}

int recordings_hold(const char *root, struct str folder, struct str file, bool hold)
{
    struct held held;
    int at = held_open(root, folder, file, &held);
    if (at < 0)
        return -1;
    struct rewriting rewriting = {.folder = at, .but = file};
    bool all = file.len ? held.all : hold;
    int result = -1, cause = EIO; /* what nobody can read nobody changes */
    if (!held.damaged) {
        if (all)
            buf_text(&rewriting.text, ALL "\n");
        held_each(&held, keep_line, &rewriting);
        if (file.len && hold)
            buf_printf(&rewriting.text, "%.*s\n", (int)file.len, file.ptr);
        result = rewriting.cause ? -1 : write_held(at, &rewriting.text);
        cause = rewriting.cause ? rewriting.cause : errno;
    }
    buf_free(&rewriting.text);
    held_free(&held);
    close(at);
    errno = cause;
    return result;
}
