/* Walks a folder of the library: its videos, and what looks as if it was not mounted. */
#ifndef GANTRY_WORKER_VIDEO_WALK_H
#define GANTRY_WORKER_VIDEO_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

#define WALK_DEPTH 64
#define WALK_PATH 4096

struct walk_file {
    const char *path; /* below the root; valid during the call */
    uint64_t size, mtime_ns;
};

struct walk_events {
    int (*folder)(void *self, const char *path, int fd);   /* being entered, the root first (""); may be NULL. -1 ends the walk */
    int (*file)(void *self, const struct walk_file *file); /* -1 ends the walk */
    int (*empty)(void *self, const char *folder);          /* a folder below the root without any entry; "" never */
    void (*unreadable)(void *self, const char *path, int error); /* it, and what is below it, was not looked at */
    void *self;
};

/* Whether a file of this name is a video, by its ending. */
bool walk_is_video(const char *extensions, const char *name);

/* extensions: of names that are videos, separated by commas, without regard to case. Symbolic links are not followed; names that begin
 * with .gantry- are passed over. -1 with err: the root cannot be opened, or a call ended it. */
int walk_root(const char *root, const char *extensions, const struct walk_events *events, struct err *err);

#endif
