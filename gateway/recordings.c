#include "gateway/recordings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/recordings_held.h"
#include "gateway/recordings_pieces.h"
#include "proto/open_beneath.h"

#define SETTLE_MS 2000 /* a change may fall into the same tick of the file system's clock as the look before it */
#define GROWS_MS (25 * INT64_C(3600000)) /* a piece may: for a day, the longest slot, and some */
#define DEPTH 16                         /* of a folder that is removed */

/* ---- names ---- */

bool recordings_folder_name(struct str name)
{
    if (name.len != RECORDINGS_NAME - 1 || name.ptr[8] != '_')
        return false;
    for (uint32_t i = 0; i < name.len; i++)
        if (i != 8 && (name.ptr[i] < '0' || name.ptr[i] > '9'))
            return false;
    return true;
}

/* The media type that a name's ending stands for; NULL: none of a video. */
static const char *type_of(struct str name)
{
    static const struct {
        const char *ending, *type;
    } kinds[] = {{".mp4", "video/mp4"}, {".mkv", "video/x-matroska"}, {".mov", "video/quicktime"},
                 {".ts", "video/mp2t"}, {".flv", "video/x-flv"},      {".avi", "video/x-msvideo"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(kinds[i].ending);
        if (name.len > len && memcmp(name.ptr + name.len - len, kinds[i].ending, len) == 0)
            return kinds[i].type;
    }
    return NULL;
}

bool recordings_video_name(struct str name)
{
    if (!name.len || name.len > 255 || name.ptr[0] == '.' || memchr(name.ptr, '/', name.len) || memchr(name.ptr, '\0', name.len))
        return false;
    return type_of(name) != NULL;
}

const char *recordings_type(struct str name)
{
    const char *type = type_of(name);
    return type ? type : "application/octet-stream";
}

struct str recordings_index(struct str name)
{
    const char *dot = memrchr(name.ptr, '.', name.len);
    uint32_t end = dot ? (uint32_t)(dot - name.ptr) : name.len;
    while (end > 0 && (name.ptr[end - 1] < '0' || name.ptr[end - 1] > '9'))
        end--;
    uint32_t from = end;
    while (from > 0 && name.ptr[from - 1] >= '0' && name.ptr[from - 1] <= '9')
        from--;
    return (struct str){name.ptr + from, end - from};
}

/* ---- looking ---- */

struct recordings *recordings_new(void)
{
    return calloc(1, sizeof(struct recordings));
}

static void folder_clear(struct recording_folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++)
        free(folder->files[i].name);
    free(folder->files);
    folder->files = NULL;
    folder->count = 0;
    for (uint32_t i = 0; i < folder->piece_count; i++)
        free(folder->pieces[i].name);
    free(folder->pieces);
    folder->pieces = NULL;
    folder->piece_count = 0;
}

static void folders_free(struct recording_folder *folders, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        folder_clear(&folders[i]);
    free(folders);
}

void recordings_free(struct recordings *recordings)
{
    if (!recordings)
        return;
    folders_free(recordings->folders, recordings->count);
    free(recordings);
}

static int newer(const void *a, const void *b)
{
    return strcmp(((const struct recording_folder *)b)->name, ((const struct recording_folder *)a)->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct recording_file *)a)->name, ((const struct recording_file *)b)->name);
}

/* Makes room for one more item behind count; -1 with errno. */
static int grow(void **items, uint32_t *size, uint32_t count, size_t each)
{
    if (count < *size)
        return 0;
    uint32_t more = *size ? *size * 2 : 8;
    void *grown = realloc(*items, more * each);
    if (!grown)
        return -1;
    *items = grown;
    *size = more;
    return 0;
}

static int file_take(struct recording_folder *folder, uint32_t *size, int at, const char *name)
{
    struct stat stat;
    if (!recordings_video_name(str_of(name)) || !str_utf8(str_of(name)) || fstatat(at, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(stat.st_mode))
        return 0;
    if (folder->count >= RECORDINGS_FILES) {
        folder->left_out++;
        return 0;
    }
    char *copy = strdup(name);
    if (!copy || grow((void **)&folder->files, size, folder->count, sizeof *folder->files) != 0) {
        free(copy);
        return -1;
    }
    folder->files[folder->count++] =
        (struct recording_file){.name = copy,
                                .size = (uint64_t)stat.st_size,
                                .changed_ms = (uint64_t)stat.st_mtim.tv_sec * 1000 + (uint64_t)stat.st_mtim.tv_nsec / 1000000};
    folder->bytes += (uint64_t)stat.st_size;
    return 0;
}

static int piece_take(struct recording_folder *folder, uint32_t *size, int at, const char *name)
{
    struct recording_file piece = {0};
    if (folder->piece_count >= RECORDINGS_FILES || !recordings_pieces_measure(at, name, &piece.size, &piece.changed_ms))
        return 0;
    piece.name = strdup(name);
    if (!piece.name || grow((void **)&folder->pieces, size, folder->piece_count, sizeof piece) != 0) {
        free(piece.name);
        return -1;
    }
    folder->pieces[folder->piece_count++] = piece;
    folder->piece_bytes += piece.size;
    return 0;
}

static void held_mark(void *self, struct str name)
{
    struct recording_folder *folder = self;
    char copy[256];
    const struct recording_file key = {.name = copy};
    struct recording_file *file = NULL;
    if (folder->count && str_copy(copy, sizeof copy, name))
        file = bsearch(&key, folder->files, folder->count, sizeof key, by_name);
    if (file)
        file->held = true;
}

/* Which of them are held; as folder_read. While nobody can say, all are. */
static int held_take(struct recording_folder *folder, int at)
{
    struct held held;
    if (held_read(at, &held) != 0) {
        folder->held = true;
        return errno == ENOMEM ? -1 : 1;
    }
    folder->held = held.all;
    held_each(&held, held_mark, folder);
    held_free(&held);
    return 0;
}

/* Reads a folder anew. -1 with errno; one that goes meanwhile has nothing in it. 1: it cannot be read now, though it may be later. */
static int folder_read(int root, struct recording_folder *folder)
{
    int at = openat(root, folder->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = at >= 0 ? fdopendir(at) : NULL;
    uint32_t size = 0, pieces_size = 0;
    int result = 0;
    folder_clear(folder);
    folder->bytes = folder->piece_bytes = 0;
    folder->left_out = 0;
    folder->held = false;
    if (!dir) {
        if (at >= 0)
            close(at);
        return errno == ENOENT || errno == ENOTDIR ? 0 : errno == EACCES ? 1 : -1;
    }
    for (const struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;)
        result = entry->d_name[0] == '.' ? piece_take(folder, &pieces_size, at, entry->d_name)
                                         : file_take(folder, &size, at, entry->d_name);
    if (folder->count > 1)
        qsort(folder->files, folder->count, sizeof *folder->files, by_name);
    if (result == 0)
        result = held_take(folder, at);
    closedir(dir);
    return result;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool settled(struct timespec changed, int64_t since_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - changed.tv_sec) * 1000 + (now.tv_nsec - changed.tv_nsec) / 1000000 > since_ms;
}

/* Those of a recording under way grow without a change of the folder. */
static bool pieces_settled(const struct recording_folder *folder)
{
    bool result = true;
    for (uint32_t i = 0; i < folder->piece_count && result; i++)
        result = settled((struct timespec){.tv_sec = (time_t)(folder->pieces[i].changed_ms / 1000),
                                           .tv_nsec = (long)(folder->pieces[i].changed_ms % 1000) * 1000000},
                         GROWS_MS);
    return result;
}

/* What is known of it already, taken over, or read. */
static int folder_take(struct recordings *recordings, int root, const char *name, struct recording_folder *folder)
{
    struct stat stat;
    *folder = (struct recording_folder){0};
    str_copy(folder->name, sizeof folder->name, str_of(name));
    if (fstatat(root, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(stat.st_mode)) {
        folder->name[0] = '\0';
        return 0;
    }
    struct recording_folder *known =
        recordings->count ? bsearch(folder, recordings->folders, recordings->count, sizeof *recordings->folders, newer) : NULL;
    if (known && known->settled && same_time(known->changed, stat.st_mtim)) {
        *folder = *known;
        known->files = known->pieces = NULL;
        known->count = known->piece_count = 0;
        return 0;
    }
    folder->changed = stat.st_mtim;
    int result = folder_read(root, folder);
    folder->settled = result == 0 && settled(stat.st_mtim, SETTLE_MS) && pieces_settled(folder);
    return result < 0 ? -1 : 0;
}

static int look(struct recordings *recordings, DIR *dir, struct recording_folder **folders, uint32_t *count)
{
    uint32_t size = 0;
    recordings->left_out = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!recordings_folder_name(str_of(entry->d_name)))
            continue;
        if (*count >= RECORDINGS_FOLDERS) {
            recordings->left_out++;
            continue;
        }
        if (grow((void **)folders, &size, *count, sizeof **folders) != 0)
            return -1;
        struct recording_folder *folder = &(*folders)[*count];
        int result = folder_take(recordings, dirfd(dir), entry->d_name, folder);
        if (folder->name[0])
            *count += 1;
        if (result != 0)
            return -1;
    }
    return 0;
}

int recordings_look(struct recordings *recordings, const char *root)
{
    struct recording_folder *folders = NULL;
    uint32_t count = 0;
    if (strcmp(recordings->root, root) != 0) {
        folders_free(recordings->folders, recordings->count);
        recordings->folders = NULL;
        recordings->count = 0;
        str_copy(recordings->root, sizeof recordings->root, str_of(root));
    }
    DIR *dir = opendir(root);
    int result = dir ? look(recordings, dir, &folders, &count) : errno == ENOENT ? 0 : -1, cause = errno;
    if (dir)
        closedir(dir);
    if (count > 1)
        qsort(folders, count, sizeof *folders, newer);
    folders_free(recordings->folders, recordings->count);
    recordings->folders = folders;
    recordings->count = count;
    errno = cause;
    return result;
}

const struct recording_folder *recordings_find(const struct recordings *recordings, struct str name)
{
    struct recording_folder key = {0};
    if (!recordings->count || !recordings_folder_name(name))
        return NULL;
    str_copy(key.name, sizeof key.name, name);
    return bsearch(&key, recordings->folders, recordings->count, sizeof key, newer);
}

/* ---- one video, one folder ---- */

#define READS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

int recordings_folder(const char *root, struct str folder)
{
    char name[RECORDINGS_NAME];
    if (!recordings_folder_name(folder)) {
        errno = ENOENT;
        return -1;
    }
    str_copy(name, sizeof name, folder);
    int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -1;
    int fd = open_beneath(at, name, READS | O_DIRECTORY, false), cause = errno;
    close(at);
    errno = cause;
    return fd;
}

int recordings_open(const char *root, struct str folder, struct str file)
{
    char name[256];
    if (!recordings_video_name(file) || !str_copy(name, sizeof name, file)) {
        errno = ENOENT;
        return -1;
    }
    int at = recordings_folder(root, folder);
    if (at < 0)
        return -1;
    int fd = beneath_regular(at, name, false), cause = errno;
    close(at);
    errno = cause;
    return fd;
}

/* All that is in this folder, which is closed. -1 with errno. */
static int empty(int at, unsigned depth)
{
    DIR *dir = at >= 0 ? fdopendir(at) : NULL;
    int result = 0;
    if (!dir) {
        if (at >= 0)
            close(at);
        return -1;
    }
    for (const struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;) {
        struct stat stat;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(at, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* it went meanwhile */
        bool below = S_ISDIR(stat.st_mode);
        if (below && depth == 0)
            errno = ELOOP;
        if (below && (depth == 0 || empty(open_beneath(at, entry->d_name, READS | O_DIRECTORY, false), depth - 1) != 0))
            result = -1;
        else
            result = unlinkat(at, entry->d_name, below ? AT_REMOVEDIR : 0);
    }
    int cause = errno;
    closedir(dir);
    errno = cause;
    return result;
}

static int remove_folder(const char *root, struct str folder)
{
    char name[RECORDINGS_NAME];
    int fd = recordings_folder(root, folder);
    if (fd < 0 || empty(fd, DEPTH) != 0)
        return -1;
    str_copy(name, sizeof name, folder);
    int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = at >= 0 ? unlinkat(at, name, AT_REMOVEDIR) : -1, cause = errno;
    if (at >= 0)
        close(at);
    errno = cause;
    return result;
}

/* What a recorder leaves beside videos: reports, and what was to become one; pieces of recordings that nobody goes on with. */
static bool is_left(const char *name, const char *report)
{
    return strcmp(name, "report.txt") == 0 || strcmp(name, "streams.csv") == 0 || strcmp(name, report) == 0 || name[0] == '.';
}

static void clear_left(int at, const char *report)
{
    int own = dup(at);
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    if (!dir && own >= 0)
        close(own);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        bool pieces = strncmp(entry->d_name, RECORDINGS_PIECES, sizeof RECORDINGS_PIECES - 1) == 0;
        if (pieces && empty(open_beneath(at, entry->d_name, READS | O_DIRECTORY, false), 1) == 0)
            unlinkat(at, entry->d_name, AT_REMOVEDIR);
        else if (!pieces && is_left(entry->d_name, report))
            unlinkat(at, entry->d_name, 0); /* a folder stays */
    }
    if (dir)
        closedir(dir);
}

int recordings_clear(const char *root, struct str folder, const char *report)
{
    char name[RECORDINGS_NAME];
    int fd = recordings_folder(root, folder), at = fd >= 0 ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, result = -1;
    if (at >= 0) {
        clear_left(fd, report);
        str_copy(name, sizeof name, folder);
        result = unlinkat(at, name, AT_REMOVEDIR);
    }
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (at >= 0)
        close(at);
    errno = cause;
    return result;
}

static int remove_file(const char *root, struct str folder, struct str file)
{
    char name[256];
    struct stat stat;
    int at = recordings_folder(root, folder), result = -1, cause = errno;
    if (at < 0)
        return -1;
    if (!recordings_video_name(file) || !str_copy(name, sizeof name, file))
        cause = ENOENT;
    else if (fstatat(at, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        cause = errno;
    else if (!S_ISREG(stat.st_mode))
        cause = S_ISLNK(stat.st_mode) ? ELOOP : ENOENT;
    else if ((result = unlinkat(at, name, 0)) != 0)
        cause = errno;
    close(at);
    errno = cause;
    return result;
}

int recordings_remove(const char *root, struct str folder, struct str file)
{
    return file.len ? remove_file(root, folder, file) : remove_folder(root, folder);
}
