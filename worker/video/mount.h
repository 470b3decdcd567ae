/* Where this worker has a folder of the library, which may be mounted elsewhere than the farm has it. */
#ifndef GANTRY_WORKER_VIDEO_MOUNT_H
#define GANTRY_WORKER_VIDEO_MOUNT_H

#include "proto/str.h"

/* The folder that the farm knows as root, as it is here. library: the farm's folders, prefix: this worker's in the same order, each
 * separated by colons. What has no counterpart is where the farm has it; where this worker does not know the farm's folders, its only one
 * stands for whichever is meant. Borrows from what it is given. */
struct str mount_of(struct str library, struct str prefix, struct str root);

#endif
