/* Videos that were found, judged and gathered into batches for the farm. */
#ifndef GANTRY_WORKER_VIDEO_FOUND_H
#define GANTRY_WORKER_VIDEO_FOUND_H

#include "proto/arena.h"
#include "proto/messages.h"
#include "worker/video/rules.h"
#include "worker/video/vr.h"

#define FOUND_MAX 256

struct found {
    struct rec_video_found items[FOUND_MAX];
    uint32_t count;
    size_t bytes; /* about */
    uint64_t seq; /* of the batch before */
    uint64_t rules_id;
    const char *vr; /* borrowed */
    struct rules *rules;
    struct arena *arena; /* texts of the batch */
};

/* -1 with err: the rules cannot be read, or there is no memory. */
int found_begin(struct found *found, const char *rules, const char *vr, uint64_t rules_id, struct err *err);
void found_clear(struct found *found);
void found_reset(struct found *found); /* the batch is with the farm */
bool found_full(const struct found *found);
/* Adds what a file was found to be; row has its path, size, time and, if it is a known video, its id. row's texts are copied. */
int found_add(struct found *found, const struct rec_video_found *row, const struct probe *probe, struct err *err);

#endif
