#include "proto/pattern.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGIT "[0-9]"
#define DIGITS_MAX 12

/* What stands for numbers, longest of a kind first; fits: as fnmatch has it. */
static const struct {
    const char *mark, *fits;
} marks[] = {
    {"<udim>", DIGIT DIGIT DIGIT DIGIT}, {"<uvtile>", "u*_v*"}, {"<tile>", "*"}, {"<frame>", "*" DIGIT}, {"<f>", "*" DIGIT}};

/* The length of a mark at the beginning of text; 0: there is none. fits (64 bytes): what it stands for. */
static size_t mark_at(const char *text, char fits[64])
{
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t len = strlen(marks[i].mark);
        if (strncasecmp(text, marks[i].mark, len) == 0) {
            snprintf(fits, 64, "%s", marks[i].fits);
            return len;
        }
    }
    size_t hashes = strspn(text, "#"), digits = hashes >= 2 && hashes <= DIGITS_MAX ? hashes : 0, len = digits;
    if (text[0] == '%' && text[1] == '0' && text[2] >= '1' && text[2] <= '9' && text[3] == 'd') {
        digits = (size_t)(text[2] - '0');
        len = 4;
    }
    for (size_t i = 0; i < digits; i++)
        memcpy(fits + i * (sizeof(DIGIT) - 1), DIGIT, sizeof(DIGIT));
    return digits ? len : 0;
}

bool pattern_is(const char *name)
{
    char fits[64];
    for (; *name; name++)
        if (mark_at(name, fits))
            return true;
    return false;
}

/* The name as fnmatch has it; what means something to that and is no mark of ours is itself. False: it is too long. */
static bool fits_of(const char *name, char *out, size_t size)
{
    size_t at = 0;
    char fits[64];
    while (*name) {
        size_t len = mark_at(name, fits), more;
        if (len == 0) {
            bool special = strchr("*?[]\\", *name) != NULL;
            snprintf(fits, sizeof(fits), "%s%c", special ? "\\" : "", *name);
            len = 1;
        }
        more = strlen(fits);
        if (at + more >= size)
            return false;
        memcpy(out + at, fits, more);
        at += more;
        name += len;
    }
    out[at] = '\0';
    return true;
}

bool pattern_fits(const char *pattern, const char *name)
{
    char fits[4096];

    return fits_of(pattern, fits, sizeof(fits)) && fnmatch(fits, name, FNM_PERIOD) == 0;
}

uint32_t pattern_count(int fd, const char *name, unsigned most, uint64_t *size)
{
    char fits[4096];
    struct stat stat;
    uint32_t count = 0;
    DIR *folder = fdopendir(fd);
    *size = 0;
    if (!folder) {
        close(fd);
        return 0;
    }
    const struct dirent *entry = fits_of(name, fits, sizeof(fits)) ? readdir(folder) : NULL;
    for (; entry && most > 0; entry = readdir(folder), most--) {
        if (fnmatch(fits, entry->d_name, FNM_PERIOD) != 0 || fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(stat.st_mode))
            continue;
        count++;
        *size += (uint64_t)stat.st_size;
    }
    closedir(folder);
    return count;
}
