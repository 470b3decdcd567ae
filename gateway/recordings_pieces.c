#include "gateway/recordings_pieces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/recordings.h"
#include "proto/open_beneath.h"

#define READS (O_RDONLY | O_NONBLOCK | O_NOCTTY)
#define BOXES 4096 /* that are looked at until there is a fragment, which begins with the third */

/* To be read, of a descriptor that goes with it; -1 is one that could not be opened. NULL with errno. */
static DIR *dir_of(int fd)
{
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int cause = errno;
    if (!dir && fd >= 0)
        close(fd);
    errno = cause;
    return dir;
}

/* The attempt that a piece's name is of; 0: it is no piece. */
static uint64_t attempt_of(const char *name)
{
    uint64_t attempt = 0, start_ms;
    int used = 0;
    bool well = sscanf(name, "%" SCNu64 "-%" SCNu64 ".mp4%n", &attempt, &start_ms, &used) == 2 && used > 0 && name[used] == '\0';
    return well ? attempt : 0;
}

/* The name of the newest attempt's piece; false: there is none. */
static bool newest(DIR *dir, char out[256])
{
    uint64_t latest = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        uint64_t attempt = attempt_of(entry->d_name);
        if (attempt > latest) {
            latest = attempt;
            snprintf(out, 256, "%s", entry->d_name);
        }
    }
    return latest > 0;
}

int recordings_piece_open(const char *root, struct str folder, uint64_t run)
{
    char path[64], name[256];
    int at = recordings_folder(root, folder);
    if (at < 0)
        return -1;
    snprintf(path, sizeof path, RECORDINGS_PIECES "%" PRIu64, run);
    DIR *dir = dir_of(open_beneath(at, path, READS | O_DIRECTORY, false));
    int fd = -1, cause = errno;
    if (dir) {
        errno = ENOENT;
        fd = newest(dir, name) ? beneath_regular(dirfd(dir), name, false) : -1;
        cause = errno;
        closedir(dir);
    }
    close(at);
    errno = cause;
    return fd;
}

/* ---- behind their cycle ---- */

static uint64_t big_endian(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* The length of the box there, and its type; 0: none that is whole; -1: it cannot be read. */
static int64_t box_read(int fd, int64_t at, int64_t size, char type[4])
{
    unsigned char head[16];
    ssize_t got = pread(fd, head, sizeof head, at);
    if (got < 8)
        return got < 0 ? -1 : 0;
    uint64_t len = big_endian(head, 4), least = len == 1 ? 16 : 8;
    if (len == 1)
        len = got == sizeof head ? big_endian(head + 8, 8) : 0;
    memcpy(type, head + 4, 4);
    return len >= least && len <= (uint64_t)(size - at) ? (int64_t)len : 0;
}

/* Whether a fragment is there whole: a moof, and an mdat behind it. What cannot be read may be one. */
static bool has_fragment(int fd, int64_t size)
{
    bool begun = false;
    int64_t at = 0, len;
    char type[4];
    for (int i = 0; i < BOXES && (len = box_read(fd, at, size, type)) != 0; i++, at += len) {
        if (len < 0 || (begun && memcmp(type, "mdat", 4) == 0))
            return true;
        begun = begun || memcmp(type, "moof", 4) == 0;
    }
    return false;
}

/* Whether that piece may have a frame. */
static bool has_frames(int at, const char *name)
{
    struct stat stat;
    int fd = open_beneath(at, name, READS, false);
    if (fd < 0)
        return errno != ENOENT && errno != ELOOP;
    bool known = fstat(fd, &stat) == 0, result = !known || (S_ISREG(stat.st_mode) && has_fragment(fd, stat.st_size));
    close(fd);
    return result;
}

static bool is_wanted(DIR *dir)
{
    bool wanted = false;
    for (const struct dirent *entry; !wanted && (entry = readdir(dir)) != NULL;)
        wanted = attempt_of(entry->d_name) && has_frames(dirfd(dir), entry->d_name);
    rewinddir(dir);
    return wanted;
}

/* The run that a folder of pieces is of; false: it is none. */
static bool run_of(const char *name, uint64_t *run)
{
    const char *number = name + sizeof RECORDINGS_PIECES - 1;
    int used = 0;
    return strncmp(name, RECORDINGS_PIECES, sizeof RECORDINGS_PIECES - 1) == 0 && *number >= '0' && *number <= '9' &&
           sscanf(number, "%" SCNu64 "%n", run, &used) == 1 && number[used] == '\0';
}

static bool is_done(const struct recordings_done *done, const char *name)
{
    uint64_t run;
    if (!run_of(name, &run))
        return false;
    uint32_t from = 0, to = done->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (done->runs[middle] < run)
            from = middle + 1;
        else
            to = middle;
    }
    return from < done->count && done->runs[from] == run;
}

/* All of a run's, where it may go. A folder in it is none of ours, and stays. */
static int clear(int at, const char *name, bool done)
{
    DIR *dir = dir_of(open_beneath(at, name, READS | O_DIRECTORY, false));
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    if (!done && is_wanted(dir)) {
        closedir(dir);
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int recordings_pieces_clear(const char *root, struct str folder, const struct recordings_done *done)
{
    int result = 0, cause = 0;
    DIR *dir = dir_of(recordings_folder(root, folder));
    if (!dir)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, RECORDINGS_PIECES, sizeof RECORDINGS_PIECES - 1) == 0 &&
            clear(dirfd(dir), entry->d_name, is_done(done, entry->d_name)) != 0) {
            result = -1;
            cause = errno;
        }
    }
    closedir(dir);
    errno = cause;
    return result;
}

bool recordings_pieces_measure(int folder, const char *name, uint64_t *bytes, uint64_t *changed_ms)
{
    uint64_t run;
    DIR *dir = run_of(name, &run) ? dir_of(open_beneath(folder, name, READS | O_DIRECTORY, false)) : NULL;
    unsigned count = 0;
    *bytes = *changed_ms = 0;
    for (const struct dirent *entry; dir && count < RECORDINGS_FILES && (entry = readdir(dir)) != NULL;) {
        struct stat stat;
        if (!attempt_of(entry->d_name) || fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(stat.st_mode))
            continue;
        uint64_t changed = (uint64_t)stat.st_mtim.tv_sec * 1000 + (uint64_t)stat.st_mtim.tv_nsec / 1000000;
        *changed_ms = changed > *changed_ms ? changed : *changed_ms;
        *bytes += (uint64_t)stat.st_size;
        count++;
    }
    if (dir)
        closedir(dir);
    return count > 0;
}

int recordings_pieces_remove(const char *root, struct str folder, const char *name)
{
    int at = recordings_folder(root, folder), result = at >= 0 ? clear(at, name, true) : -1, cause = errno;
    if (at >= 0)
        close(at);
    errno = cause;
    return result;
}
