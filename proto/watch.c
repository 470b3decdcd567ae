#include "proto/watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SETTLED_NS 1000000000 /* a change is seen for certain when the newest time is older than this */
#define FILES_MS 500          /* between looks at the files of a folder that seems unchanged, */
#define FILES_EACH_US 250     /* and longer for each of them: looking takes time */
#define HASH_FIRST 0xcbf29ce484222325

static bool time_after(struct timespec left, struct timespec right)
{
    return left.tv_sec != right.tv_sec ? left.tv_sec > right.tv_sec : left.tv_nsec > right.tv_nsec;
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
    return hash;
}

static void state_add(struct watch_state *state, const char *name, const struct stat *info)
{
    uint64_t hash = hash_bytes(HASH_FIRST, name, strlen(name));

    hash = hash_bytes(hash, &info->st_ino, sizeof info->st_ino);
    hash = hash_bytes(hash, &info->st_size, sizeof info->st_size);
    state->files += hash_bytes(hash, &info->st_ctim, sizeof info->st_ctim); /* the order is the file system's */
    if (time_after(info->st_ctim, state->newest))
        state->newest = info->st_ctim;
}

bool watch_counts(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);

    return name[0] != '.' && len > tail && strcmp(name + len - tail, suffix) == 0;
}

/* Files are looked at too: one whose content is written anew leaves the folder's time as it was. */
static size_t folder_read(const struct watch *watch, struct watch_state *state)
{
    const struct dirent *entry;
    struct stat info;
    size_t count = 0;
    DIR *files = opendir(watch->path);

    if (!files)
        return 0;
    if (fstat(dirfd(files), &info) == 0)
        state->newest = info.st_ctim;
    while ((entry = readdir(files)) != NULL) {
        if (watch_counts(entry->d_name, watch->suffix) && fstatat(dirfd(files), entry->d_name, &info, 0) == 0) {
            state_add(state, entry->d_name, &info);
            count++;
        }
    }
    closedir(files);
    return count;
}

static void state_read(struct watch *watch, struct watch_state *state)
{
    struct stat info;

    *state = (struct watch_state){0};
    if (watch->suffix)
        watch->count = folder_read(watch, state);
    else if (stat(watch->path, &info) == 0)
        state_add(state, "", &info);
}

/* A folder's own time tells of files that came or went. */
static bool seems_unchanged(const struct watch *watch, uint64_t mono_ms)
{
    struct stat info = {0};

    if (!watch->suffix || !watch->settled || mono_ms - watch->files_ms >= FILES_MS + watch->count * FILES_EACH_US / 1000)
        return false;
    (void)stat(watch->path, &info);
    return !time_after(info.st_ctim, watch->state.newest);
}

bool watch_look(struct watch *watch, uint64_t mono_ms)
{
    struct watch_state state;
    struct timespec now;

    if (seems_unchanged(watch, mono_ms))
        return false;
    watch->files_ms = mono_ms;
    state_read(watch, &state);
    bool same = watch->known && state.files == watch->state.files && state.newest.tv_sec == watch->state.newest.tv_sec &&
                state.newest.tv_nsec == watch->state.newest.tv_nsec;
    if (same && watch->settled)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (int64_t)(now.tv_sec - state.newest.tv_sec) * 1000000000 + (now.tv_nsec - state.newest.tv_nsec);
    watch->known = true;
    watch->state = state;
    watch->settled = age > SETTLED_NS;
    return true;
}

bool watch_changed(struct watch *watch, uint64_t mono_ms)
{
    if (watch->known && mono_ms - watch->looked_ms < WATCH_MS)
        return false;
    watch->looked_ms = mono_ms;
    return watch_look(watch, mono_ms);
}

void watch_again(struct watch *watch)
{
    watch->settled = false;
}
