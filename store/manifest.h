/* A backup is one file: the pages of a database, then what the backup says of itself (rec_backup), then 48 bytes:
 *
 *   "GANTRY BACKUP 1\n"   16 bytes
 *   length of the record   8, big-endian
 *   length of the pages    8, big-endian
 *   BLAKE2b of the record 16
 *
 * One file cannot be half there, or belong to another's record. Its pages can be read where they are (kv.h, KV_FILE).
 */
#ifndef GANTRY_STORE_MANIFEST_H
#define GANTRY_STORE_MANIFEST_H

#include "proto/messages.h"

/* Appends the record and the end to a file whose pages are written. -1 with err. */
int manifest_write(int fd, const struct rec_backup *backup, struct err *err);

/* Reads them from the end of a file. What it answers borrows from the arena. -1 with err: ERR_INVALID when it is no backup or a
 * damaged one, ERR_IO. The pages' own hash is not looked at. */
int manifest_read(const char *path, int fd, struct arena *arena, struct rec_backup *backup, struct err *err);

/* "when" as people read it, in UTC: 2026-11-23 05:51:46. out has MANIFEST_TIME bytes. */
#define MANIFEST_TIME 32
const char *manifest_time(uint64_t at_ms, char *out);

#endif
