#include "gateway/recordings_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "gateway/recordings_pieces.h"
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
        all += (size_t)recordings->folders[i].count + recordings->folders[i].piece_count;
    struct candidate *candidates = calloc(all ? all : 1, sizeof *candidates);
    *count = 0;
    if (!candidates)
        return NULL;
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        for (uint32_t j = 0; j < folder->count && may_go(folder, before); j++)
            if (!folder->files[j].held)
                candidates[(*count)++] = (struct candidate){folder, &folder->files[j]};
        for (uint32_t j = 0; j < folder->piece_count && may_go(folder, before); j++)
            candidates[(*count)++] = (struct candidate){folder, &folder->pieces[j]};
    }
    if (*count > 1)
        qsort(candidates, *count, sizeof *candidates, older);
    return candidates;
}

/* One that may go, when so many bytes are there and so many have gone before it. */
static enum recordings_why why_of(const struct recordings_limits *limits, uint64_t changed_ms, uint64_t total, uint64_t gone)
{
    if (too_old(limits, changed_ms))
        return RECORDINGS_OLD;
    if (limits->keep_bytes && total - gone > limits->keep_bytes)
        return RECORDINGS_MUCH;
    return gone < limits->lacking ? RECORDINGS_ROOM : RECORDINGS_KEPT;
}

/* A folder that has nothing recorded any more, as all went now, or has had nothing for as long as any is kept. */
static void choose_folders(const struct recordings *recordings, const struct recordings_limits *limits, const uint32_t *went,
                           const struct recordings_taker *taker, struct recordings_gone *gone)
{
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        uint64_t changed_ms = (uint64_t)folder->changed.tv_sec * 1000;
        uint32_t count = folder->count + folder->piece_count;
        bool empty = count ? went[i] == count : too_old(limits, changed_ms);
        if (empty && may_go(folder, limits->before))
            gone->folders += taker->folder(taker->self, folder, count ? RECORDINGS_EMPTY : RECORDINGS_OLD);
    }
}

int recordings_choose(const struct recordings *recordings, const struct recordings_limits *limits,
                      const struct recordings_taker *taker, struct recordings_gone *gone)
{
    size_t count;
    uint64_t total = 0;
    struct candidate *candidates = candidates_of(recordings, limits->before, &count);
    uint32_t *went = calloc(recordings->count ? recordings->count : 1, sizeof *went); /* files, by folder */
    if (!candidates || !went) {
        free(candidates);
        free(went);
        return -1;
    }
    for (uint32_t i = 0; i < recordings->count; i++)
        total += recordings->folders[i].bytes + recordings->folders[i].piece_bytes;
    for (size_t i = 0; i < count; i++) {
        const struct candidate *one = &candidates[i];
        enum recordings_why why = why_of(limits, one->file->changed_ms, total, gone->bytes);
        gone->more = why && limits->most && gone->files >= limits->most;
        if (!why || gone->more)
            break;
        if (!taker->file(taker->self, one->folder, one->file, why))
            continue;
        gone->files++;
        gone->bytes += one->file->size;
        went[one->folder - recordings->folders]++;
    }
    choose_folders(recordings, limits, went, taker, gone);
    free(candidates);
    free(went);
    return 0;
}

/* ---- removing them ---- */

struct removing {
    const char *root, *report;
    struct recordings_gone *gone;
};

static bool remove_file(void *self, const struct recording_folder *folder, const struct recording_file *file,
                        enum recordings_why why)
{
    const struct removing *removing = self;
    struct str name = str_of(folder->name);
    (void)why;
    if ((file->name[0] == '.' ? recordings_pieces_remove(removing->root, name, file->name)
                              : recordings_remove(removing->root, name, str_of(file->name))) == 0) {
        log_info("GTY-RECORDER-EXPIRED", "%s/%s/%s", removing->root, folder->name, file->name);
        return true;
    }
    if (errno == ENOENT)
        return true; /* somebody else was first */
    removing->gone->cause = errno;
    return false;
}

static bool remove_folder(void *self, const struct recording_folder *folder, enum recordings_why why)
{
    const struct removing *removing = self;
    (void)why;
    if (recordings_clear(removing->root, str_of(folder->name), removing->report) == 0) {
        log_info("GTY-RECORDER-EXPIRED", "%s/%s", removing->root, folder->name);
        return true;
    }
    if (errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) /* what somebody else keeps there stays */
        removing->gone->cause = errno;
    return false;
}

int recordings_keep(const struct recordings *recordings, const struct recordings_limits *limits, struct recordings_gone *gone)
{
    struct removing removing = {recordings->root, limits->report ? limits->report : "", gone};
    const struct recordings_taker taker = {remove_file, remove_folder, &removing};
    *gone = (struct recordings_gone){0};
    return recordings_choose(recordings, limits, &taker, gone);
}

uint64_t recordings_lacking(const char *root, uint64_t free_bytes)
{
    struct statvfs disk;
    if (!free_bytes || statvfs(root, &disk) != 0)
        return 0;
    uint64_t there = (uint64_t)disk.f_bavail * disk.f_frsize;
    return there < free_bytes ? free_bytes - there : 0;
}

void recordings_room_begin(struct recordings_room *room, const char *root, uint64_t free_bytes, uint64_t mono_ms)
{
    room->lacking = mono_ms >= room->next_ms ? recordings_lacking(root, free_bytes) : 0;
}

void recordings_room_went(struct recordings_room *room, uint64_t bytes, uint64_t mono_ms)
{
    if (room->lacking && bytes)
        room->next_ms = mono_ms + RECORDINGS_LATE_MS;
    room->lacking -= bytes < room->lacking ? bytes : room->lacking;
}
