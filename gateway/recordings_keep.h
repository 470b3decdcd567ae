/* How much is kept of the recordings: by age, by what they come to, and by what is to stay free on their disk.
 *
 * The oldest go first, by the time that they were written. Folders of cycles whose last video went go whole, with their reports. What is
 * held stays, and counts: where only so much is kept, others go for it.
 * Used in the helper thread for files only.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_KEEP_H
#define GANTRY_GATEWAY_RECORDINGS_KEEP_H

#include "gateway/recordings.h"

struct recordings_limits {
    uint64_t now_ms;     /* wall */
    uint64_t keep_ms;    /* older ones go; 0: however old they are */
    uint64_t keep_bytes; /* of all videos; 0: however many they are */
    uint64_t lacking;    /* bytes that are to go in any case */
    const char *report;  /* name of a cycle's report in JSON; NULL: it has none */
    struct str before;   /* only in folders of an earlier name: the others may be recorded into */
};

struct recordings_gone {
    uint64_t files, folders;
    uint64_t bytes;
    int cause; /* errno of the last that could not be removed; 0: all could */
};

/* Removes from what recordings_look has found what is too much, and says what that was; a further look finds the rest. -1: out of memory,
 * and nothing is removed. */
int recordings_keep(const struct recordings *recordings, const struct recordings_limits *limits, struct recordings_gone *gone);

#endif
