/* What the farm knows of a library's folder, while a scan compares it with what is there. */
#ifndef GANTRY_WORKER_VIDEO_KNOWN_H
#define GANTRY_WORKER_VIDEO_KNOWN_H

#include "proto/arena.h"
#include "worker/video/probe.h"

#define KNOWN_MAX 20000000u
#define KNOWN_HELD 20u /* so many known videos below a folder without any entry look like something that is not mounted */

struct known {
    uint64_t id, size, mtime_ns, rules;
    unsigned char hash[PROBE_HASH];
    const char *path;
    uint32_t next_path, next_hash; /* the next in its bucket, plus one */
    bool met, moved, held;
};

struct known_table { /* zeroed before its first use */
    struct known *items;
    uint32_t count, size;
    uint32_t *by_path, *by_hash; /* buckets */
    uint32_t buckets;
    struct arena *texts;
    const char **empty; /* folders */
    uint32_t empty_count, empty_size;
};

void known_clear(struct known_table *table);
int known_add(struct known_table *table, const struct known *known, struct str path); /* -1: no memory, or too many */
/* After all were added. -1: no memory. */
int known_index(struct known_table *table);
struct known *known_at(const struct known_table *table, const char *path); /* NULL: none */
/* One that the walk did not meet and that nothing has been found to be yet, of this content; NULL: none. */
struct known *known_missing(const struct known_table *table, uint64_t size, const unsigned char hash[PROBE_HASH]);

/* A folder that has no entry at all: what a mount point looks like while nothing is mounted there. */
int known_empty(struct known_table *table, const char *folder);
/* Marks what is missing below such folders, where it is much, as held. Answers how many that are. */
uint32_t known_hold(struct known_table *table);

#endif
