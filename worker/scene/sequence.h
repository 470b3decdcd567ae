/* A path of Blender's that stands for a sequence of files. */
#ifndef GANTRY_WORKER_SCENE_SEQUENCE_H
#define GANTRY_WORKER_SCENE_SEQUENCE_H

#include "proto/str.h"

enum sequence {
    SEQUENCE_IMAGE, /* another number in the place of the last digits before the ending */
    SEQUENCE_FRAME, /* the same where they stand right before it: volumes, caches */
};

/* The path as a pattern of all of its files, into out: //sea_0001.png is //sea_<frame>.png. Length; 0: there is no number in its place, or no room. */
uint32_t sequence_pattern(enum sequence sequence, struct str path, char *out, size_t size);

#endif
