#include "worker/record/pieces.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "worker/publish.h"

static bool name_read(const char *name, struct piece *piece)
{
    int used = 0;
    return sscanf(name, "%" SCNu64 "-%" SCNu64 ".mp4%n", &piece->attempt, &piece->start_ms, &used) == 2 && used > 0 &&
           name[used] == '\0';
}

static int compare(const void *a, const void *b)
{
    const struct piece *left = a, *right = b;
    return left->attempt < right->attempt ? -1 : left->attempt > right->attempt;
}

/* Where there is no room the oldest goes. */
static void add(struct pieces *pieces, struct piece piece)
{
    if (pieces->count < PIECES_MAX)
        pieces->at[pieces->count++] = piece;
    else if (piece.attempt > pieces->at[0].attempt)
        pieces->at[0] = piece;
    qsort(pieces->at, pieces->count, sizeof(pieces->at[0]), compare);
}

/* NULL with errno; a link in its place is none. */
static DIR *folder_read(const struct pieces *pieces)
{
    int fd = open_straight(pieces->folder, O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

int pieces_find(const char *output, uint64_t run, struct pieces *pieces, struct err *err)
{
    const char *base = strrchr(output, '/') + 1;
    struct dirent *entry;
    struct piece piece;
    *pieces = (struct pieces){0};
    int len =
        snprintf(pieces->folder, sizeof(pieces->folder), "%.*s" PUBLISH_PREFIX "rec-%" PRIu64, (int)(base - output), output, run);
    if (len < 0 || len >= PATH_MAX - 64)
        return err_set(err, ERR_INVALID, "the output's path is too long");
    DIR *dir = folder_read(pieces);
    if (!dir)
        return errno == ENOENT ? 0 : err_set(err, ERR_IO, "%.150s cannot be read: %s", pieces->folder, strerror(errno));
    while ((entry = readdir(dir)))
        if (name_read(entry->d_name, &piece))
            add(pieces, piece);
    closedir(dir);
    return 0;
}

void pieces_path(const struct pieces *pieces, const struct piece *piece, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.*s/%" PRIu64 "-%" PRIu64 ".mp4", PATH_MAX - 64, pieces->folder, piece->attempt, piece->start_ms);
}

int pieces_folder(const struct pieces *pieces, struct err *err)
{
    char above[PATH_MAX];
    snprintf(above, sizeof(above), "%.*s", (int)(strrchr(pieces->folder, '/') - pieces->folder), pieces->folder);
    if (*above && mkdir(above, 0777) < 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "the folder %.150s cannot be made: %s", above, strerror(errno));
    if (mkdir(pieces->folder, 0755) < 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "the folder %.150s cannot be made: %s", pieces->folder, strerror(errno));
    return 0;
}

void pieces_remove(const struct pieces *pieces)
{
    struct dirent *entry;
    struct piece piece;
    DIR *dir = folder_read(pieces);
    while (dir && (entry = readdir(dir)))
        if (name_read(entry->d_name, &piece))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(pieces->folder);
}
