#include "gateway/recordings_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gateway/put_at.h"
#include "gateway/recordings.h"

#define MARKER_TEXT                                                                                                              \
    "Gantry records into this folder. While this file is not here nothing is recorded: its disk is taken to be away.\n"

/* What may be in a folder that is ours: cycles, and what is on any disk. */
static bool is_own(const char *name)
{
    return name[0] == '.' || strcmp(name, "lost+found") == 0 || recordings_folder_name(str_of(name));
}

/* Whether nothing else is in it; and no cycle's folder of that name or an earlier one (past; "": of no name). */
static bool all_own(int at, const char *past)
{
    int own = dup(at);
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    bool result = dir != NULL;
    if (dir)
        rewinddir(dir);
    for (const struct dirent *entry; result && (entry = readdir(dir)) != NULL;)
        result = is_own(entry->d_name) && !(recordings_folder_name(str_of(entry->d_name)) && strcmp(entry->d_name, past) <= 0);
    if (dir)
        closedir(dir);
    else if (own >= 0)
        close(own);
    return result;
}

static bool has_marker(int at)
{
    struct stat stat;
    return fstatat(at, RECORDER_MARKER, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode);
}

static void mark(int at, struct recordings_disk *disk)
{
    if (!all_own(at, ""))
        return;
    if (put_at(at, RECORDER_MARKER, STR_LIT(MARKER_TEXT)) == 0 && fsync(at) == 0)
        disk->marked = true;
    else
        disk->cause = errno;
}

static void measure(int at, struct recordings_disk *disk)
{
    struct statvfs room;
    if (fstatvfs(at, &room) != 0) {
        disk->cause = errno;
        return;
    }
    disk->total = (uint64_t)room.f_blocks * room.f_frsize;
    disk->used = disk->total - (uint64_t)room.f_bfree * room.f_frsize;
    disk->free = (uint64_t)room.f_bavail * room.f_frsize;
    uint64_t least = disk->was_full ? disk->min_free + disk->min_free / 10 : disk->min_free;
    if (disk->state == RECORDER_DISK_WELL && disk->free < least)
        disk->state = RECORDER_DISK_FULL;
}

void recordings_disk_look(const char *root, struct recordings_disk *disk)
{
    int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    disk->state = RECORDER_DISK_WELL;
    disk->there = at >= 0;
    disk->marked = false;
    disk->total = disk->used = disk->free = 0;
    disk->cause = at < 0 && errno != ENOENT ? errno : 0;
    if (at < 0) {
        disk->state = disk->known ? RECORDER_DISK_UNMOUNTED : RECORDER_DISK_WELL;
        return;
    }
    disk->marked = has_marker(at);
    if (!disk->marked && (disk->known || (disk->past[0] && all_own(at, disk->past))))
        disk->state = RECORDER_DISK_UNMOUNTED;
    else if (!disk->marked && disk->use)
        mark(at, disk);
    measure(at, disk);
    close(at);
}
