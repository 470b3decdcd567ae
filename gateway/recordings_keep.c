#include "gateway/recordings_keep.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/log.h"

struct candidate {
    const struct recording_folder *folder;
    const struct recording_file *file;
};

static int older(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    uint64_t at = one->file->changed_ms, than = other->file->changed_ms;
    if (at != than)
        return at < than ? -1 : 1;
    int by_folder = strcmp(one->folder->name, other->folder->name);
    return by_folder ? by_folder : strcmp(one->file->name, other->file->name);
}

static bool may_go(const struct recording_folder *folder, struct str before)
{
    struct str name = str_of(folder->name);
    return !folder->held && before.len == name.len && memcmp(name.ptr, before.ptr, name.len) < 0;
}

static bool too_old(const struct recordings_limits *limits, uint64_t changed_ms)
{
    return limits->keep_ms && limits->now_ms > changed_ms && limits->now_ms - changed_ms > limits->keep_ms;
}

/* All that may go, the oldest first; NULL when out of memory. */
static struct candidate *candidates_of(const struct recordings *recordings, struct str before, size_t *count)
{
    size_t all = 0;
    for (uint32_t i = 0; i < recordings->count; i++)
        all += recordings->folders[i].count;
    struct candidate *candidates = calloc(all ? all : 1, sizeof *candidates);
    *count = 0;
    if (!candidates)
        return NULL;
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        for (uint32_t j = 0; j < folder->count && may_go(folder, before); j++)
            if (!folder->files[j].held)
                candidates[(*count)++] = (struct candidate){folder, &folder->files[j]};
    }
    if (*count > 1)
        qsort(candidates, *count, sizeof *candidates, older);
    return candidates;
}

/* Whether it is gone. */
static bool remove_one(const struct recordings *recordings, const char *folder, const char *file, struct recordings_gone *gone)
{
    if (recordings_remove(recordings->root, str_of(folder), str_of(file)) == 0) {
        log_info("GTY-RECORDER-EXPIRED", "%s/%s/%s", recordings->root, folder, file);
        return true;
    }
    if (errno == ENOENT)
        return true; /* somebody else was first */
    gone->cause = errno;
    return false;
}

/* A folder that has no video any more, as all went now, or has had none for as long as any is kept. */
static void remove_folders(const struct recordings *recordings, const struct recordings_limits *limits, const uint32_t *went,
                           struct recordings_gone *gone)
{
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        uint64_t changed_ms = (uint64_t)folder->changed.tv_sec * 1000;
        bool empty = folder->count ? went[i] == folder->count : too_old(limits, changed_ms);
        if (!empty || !may_go(folder, limits->before))
            continue;
        if (recordings_clear(recordings->root, str_of(folder->name), limits->report ? limits->report : "") == 0) {
            log_info("GTY-RECORDER-EXPIRED", "%s/%s", recordings->root, folder->name);
            gone->folders++;
        } else if (errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) { /* what somebody else keeps there stays */
            gone->cause = errno;
        }
    }
}

int recordings_keep(const struct recordings *recordings, const struct recordings_limits *limits, struct recordings_gone *gone)
{
    size_t count;
    uint64_t total = 0;
    struct candidate *candidates = candidates_of(recordings, limits->before, &count);
    uint32_t *went = calloc(recordings->count ? recordings->count : 1, sizeof *went); /* files, by folder */
    *gone = (struct recordings_gone){0};
    if (!candidates || !went) {
        free(candidates);
        free(went);
        return -1;
    }
    for (uint32_t i = 0; i < recordings->count; i++)
        total += recordings->folders[i].bytes;
    for (size_t i = 0; i < count; i++) {
        const struct candidate *one = &candidates[i];
        if (!too_old(limits, one->file->changed_ms) && (!limits->keep_bytes || total - gone->bytes <= limits->keep_bytes) &&
            gone->bytes >= limits->lacking)
            break;
        if (!remove_one(recordings, one->folder->name, one->file->name, gone))
            continue;
        gone->files++;
        gone->bytes += one->file->size;
        went[one->folder - recordings->folders]++;
    }
    remove_folders(recordings, limits, went, gone);
    free(candidates);
    free(went);
    return 0;
}
