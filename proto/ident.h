/* Names of things: random ids, hashes of keys, the farm's short runtime folder. */
#ifndef GANTRY_PROTO_IDENT_H
#define GANTRY_PROTO_IDENT_H

#include <stddef.h>

#include "proto/str.h"

/* 2*bytes hex digits and a NUL into out; bytes at most 32. From libsodium's generator. */
void ident_random(char *out, size_t bytes);

#define IDENT_HASH 16
/* BLAKE2b-128 over the parts, each preceded by its length, so that parts cannot be shifted into each other. */
void ident_hash(unsigned char out[IDENT_HASH], const struct str *parts, size_t count);

/* True for 1..64 characters out of [A-Za-z0-9._:-]: what a request id or a worker's ident may be. */
bool ident_valid(struct str text);

/* The folder of a farm's sockets, made from its data folder's real path: short enough for ipc (107 bytes with the
 * socket's name), 0700, made if missing. -1 with err when it cannot be or belongs to somebody else. */
int ident_runtime_dir(const char *data_dir, char *out, size_t size, struct err *err);

/* The same name, when the data folder is there, and nothing is made or looked at. -1 with err. */
int ident_runtime_path(const char *data_dir, char *out, size_t size, struct err *err);

/* Mode of a data folder. Other users see nothing in it, but one that a run becomes (worker.run_as) passes through it to the run's own
 * folder; what else is in it has a mode of its own. */
#define IDENT_DATA_MODE 0711

/* Makes a folder and its parents (mode for new ones). */
int ident_make_dirs(const char *path, unsigned mode, struct err *err);

#endif
