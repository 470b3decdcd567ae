/* How much is kept of the recordings: by age, by what they come to, and by what is to stay free on their disk.
 *
 * The oldest go first, by the time that they were written: videos, and what pieces there are of recordings that became none, all of a run's
 * as one. Folders of cycles of which nothing recorded is left go whole, with their reports. What is
 * held stays, and counts: where only so much is kept, others go for it.
 * Used in the helper thread for files only.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_KEEP_H
#define GANTRY_GATEWAY_RECORDINGS_KEEP_H

#include "gateway/recordings.h"

struct recordings_limits {
    uint64_t now_ms;     /* wall */
    uint64_t keep_ms;    /* older ones go; 0: however old they are */
    uint64_t keep_bytes; /* of all videos and pieces; 0: however many they are */
    uint64_t lacking;    /* bytes that are to go in any case */
    const char *report;  /* name of a cycle's report in JSON; NULL: it has none */
    struct str before;   /* only in folders of an earlier name: the others may be recorded into */
    uint64_t most;       /* files that go at once, as others wait; 0: any number */
};

struct recordings_gone {
    uint64_t files, folders;
    uint64_t bytes;
    bool more; /* there are others, beyond `most` */
    int cause; /* errno of the last that could not be removed; 0: all could */
};

enum recordings_why {
    RECORDINGS_KEPT,
    RECORDINGS_OLD,   /* older than is kept */
    RECORDINGS_MUCH,  /* beyond the bytes that are kept */
    RECORDINGS_ROOM,  /* something has to go, and it is the oldest */
    RECORDINGS_EMPTY, /* a folder: nothing recorded is left in it */
};

/* Whom what is too much is told, one by one in the order in which it goes; each says whether it is gone. A file whose name begins with a
 * dot is a run's pieces. */
struct recordings_taker {
    bool (*file)(void *self, const struct recording_folder *folder, const struct recording_file *file, enum recordings_why why);
    bool (*folder)(void *self, const struct recording_folder *folder, enum recordings_why why);
    void *self;
};

/* Chooses from what recordings_look has found what is too much. gone: what the taker says is gone. -1: out of memory, and nothing was
 * told. */
int recordings_choose(const struct recordings *recordings, const struct recordings_limits *limits,
                      const struct recordings_taker *taker, struct recordings_gone *gone);

/* Removes it; a further look finds the rest. -1: out of memory, and nothing is removed. */
int recordings_keep(const struct recordings *recordings, const struct recordings_limits *limits, struct recordings_gone *gone);

/* How much has to go, so that so many bytes are free on the folder's disk; 0 where nobody knows. */
uint64_t recordings_lacking(const char *root, uint64_t free_bytes);

#define RECORDINGS_LATE_MS                                                                                                       \
    60000 /* until what went shows as free, as it may not at once: it is still read, or goes in the background */

/* How much has to go for room, sweep by sweep: measured once, as else what is freed late is removed again and again. */
struct recordings_room {
    uint64_t lacking; /* bytes that are still to go */
    uint64_t next_ms; /* mono: nothing is measured before */
};
/* Before the first of some sweeps. */
void recordings_room_begin(struct recordings_room *room, const char *root, uint64_t free_bytes, uint64_t mono_ms);
/* Behind each of them: so many bytes went. */
void recordings_room_went(struct recordings_room *room, uint64_t bytes, uint64_t mono_ms);

#endif
