/* What the farm has made of a video before, as it tells its worker: SIZE-HASH,SIZE-HASH…, the hash XXH3 128 in hexadecimal. */
#ifndef GANTRY_WORKER_VIDEO_MADE_H
#define GANTRY_WORKER_VIDEO_MADE_H

#include <sys/stat.h>

#include "worker/publish.h"

/* Whether the regular file of that name is one of these; seen: what it was then. Reads all of it if its size is one of theirs. */
bool made_stands(const char *made, const char *path, struct stat *seen);

/* An output in this form, into out. */
#define MADE_WORD (24 + 2 * PUBLISH_HASH)
void made_word(uint64_t size, const unsigned char hash[PUBLISH_HASH], char out[MADE_WORD]);

#endif
