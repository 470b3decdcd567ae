#include "proto/pattern.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/open_beneath.h"

#define DIGITS "0123456789"
#define DIGITS_MAX 12

/* What stands for numbers, longest of a kind first; form: `#` is a number of so many digits (0: any), the rest is itself. */
static const struct {
    const char *text, *form;
    size_t digits;
} marks[] = {{"<udim>", "#", 4}, {"<uvtile>", "u#_v#", 0}, {"<tile>", "_u#_v#", 0}, {"<frame>", "#", 0}, {"<f>", "#", 0}};

struct mark {
    size_t len;
    const char *form;
    size_t digits;
};

/* The one at the beginning of text. */
static bool mark_at(const char *text, struct mark *out)
{
    if (*text != '<' && *text != '#' && *text != '%') /* nearly all */
        return false;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t len = strlen(marks[i].text);
        if (strncasecmp(text, marks[i].text, len) == 0) {
            *out = (struct mark){len, marks[i].form, marks[i].digits};
            return true;
        }
    }
    size_t hashes = strspn(text, "#");
    if (hashes >= 2 && hashes <= DIGITS_MAX) {
        *out = (struct mark){hashes, "#", hashes};
        return true;
    }
    if (text[0] == '%' && text[1] == '0' && text[2] >= '1' && text[2] <= '9' && text[3] == 'd') {
        *out = (struct mark){4, "#", (size_t)(text[2] - '0')};
        return true;
    }
    return false;
}

bool pattern_is(const char *name)
{
    struct mark mark;
    for (; *name; name++)
        if (mark_at(name, &mark))
            return true;
    return false;
}

/* Goes over what the mark stands for; any number is all the digits that are there, so that nothing is tried twice. */
static bool mark_fits(const struct mark *mark, const char **name)
{
    for (const char *form = mark->form; *form; form++) {
        size_t there = strspn(*name, DIGITS);
        if (*form == '#' && (there == 0 || there < mark->digits))
            return false;
        if (*form != '#' && **name != *form)
            return false;
        *name += *form != '#' ? 1 : mark->digits ? mark->digits : there;
    }
    return true;
}

bool pattern_fits(const char *pattern, const char *name)
{
    struct mark mark;
    while (*pattern) {
        if (mark_at(pattern, &mark)) {
            if (!mark_fits(&mark, &name))
                return false;
            pattern += mark.len;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

/* ---- shapes ---- */

/* Numbers side by side are one: where they part is not to be seen in a name. */
static size_t shape_add(char *out, size_t len, char c)
{
    if (c != '#' || len == 0 || out[len - 1] != '#')
        out[len++] = c;
    return len;
}

bool pattern_shape(const char *name, bool pattern, char *out)
{
    size_t len = 0;
    while (*name) {
        struct mark mark = {0};
        size_t digits = strspn(name, DIGITS);
        bool is = !digits && pattern && mark_at(name, &mark);
        const char *form = is ? mark.form : digits ? "#" : (const char[]){*name, '\0'};
        for (; *form; form++)
            len = shape_add(out, len, *form);
        name += is ? mark.len : digits ? digits : 1;
    }
    out[len] = '\0';
    return memchr(out, '#', len) != NULL;
}

/* ---- folders ---- */

/* What a link leads to. */
static bool link_stat(const struct pattern_folder *folder, const char *name, struct stat *stat)
{
    char path[PATH_MAX];
    if (folder->root < 0)
        return fstatat(folder->fd, name, stat, 0) == 0;
    if (snprintf(path, sizeof(path), "%s/%s", folder->name, name) >= PATH_MAX)
        return false;
    int fd = open_beneath(folder->root, path, O_PATH, true);
    bool there = fd >= 0 && fstat(fd, stat) == 0;
    if (fd >= 0)
        close(fd);
    return there;
}

static bool is_file(const struct pattern_folder *folder, const char *name, uint64_t *size)
{
    struct stat stat;
    if (fstatat(folder->fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || (S_ISLNK(stat.st_mode) && !link_stat(folder, name, &stat)) ||
        !S_ISREG(stat.st_mode))
        return false;
    *size += (uint64_t)stat.st_size;
    return true;
}

uint32_t pattern_count(const struct pattern_folder *folder, const char *name, unsigned most, uint32_t enough, uint64_t *size)
{
    uint32_t count = 0;
    DIR *opened = fdopendir(folder->fd);
    *size = 0;
    if (!opened) {
        close(folder->fd);
        return 0;
    }
    for (const struct dirent *entry; count < enough && most > 0 && (entry = readdir(opened)); most--)
        count += pattern_fits(name, entry->d_name) && is_file(folder, entry->d_name, size);
    closedir(opened);
    return count;
}
