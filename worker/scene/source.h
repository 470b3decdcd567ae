/* A scene's file as a stream of unpacked bytes, read once: plain, gzip or zstd, by what it begins with. The MD5 of the file itself is
 * made on the way. Memory does not grow with the file; a file that unpacks to over SOURCE_RATIO times its size is given up.
 */
#ifndef GANTRY_WORKER_SCENE_SOURCE_H
#define GANTRY_WORKER_SCENE_SOURCE_H

#include <stdint.h>

#include "proto/str.h"

#define SOURCE_RATIO 250                 /* unpacked bytes for one of the file's, … */
#define SOURCE_FREE ((uint64_t)64 << 20) /* … once there are more than these */
#define SOURCE_WINDOW_LOG 27             /* zstd: memory for what a frame refers back to, at most */

struct source;

/* fd: a regular file opened for reading, borrowed. NULL with err. */
struct source *source_new(int fd, struct err *err);
/* The same of bytes in memory, which are borrowed: for tests. */
struct source *source_of(const void *data, size_t len, struct err *err);
void source_free(struct source *source); /* takes NULL */

const char *source_compression(const struct source *source); /* none, gzip, zstd */

/* The next unpacked bytes, borrowed until the next call. 1; 0: the end; -1 with err: cut short, damaged, unreadable. */
int source_next(struct source *source, const char **data, size_t *len, struct err *err);

/* ---- the same for readers that want so many bytes ---- */

/* Copies the next len bytes. 0; -1 with err, also when the end comes first. */
int source_take(struct source *source, void *out, size_t len, struct err *err);
int source_skip(struct source *source, uint64_t len, struct err *err);
uint64_t source_at(const struct source *source); /* unpacked bytes taken and skipped */
/* What source_next gave and was not wanted: the last len bytes of it come again. */
void source_back(struct source *source, size_t len);

/* Reads what is left of the file without unpacking it. md5: hex. -1 with err. */
int source_end(struct source *source, char md5[33], uint64_t *size, struct err *err);

#endif
