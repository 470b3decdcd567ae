/* The database's files beside the database: lock, names and reserve. */
#ifndef GANTRY_STORE_KV_FILE_H
#define GANTRY_STORE_KV_FILE_H

#include "proto/str.h"

/* Locks <folder>/lock for as long as the descriptor is open; -1 with err (ERR_CONFLICT: another process has it). */
int kv_file_lock(const char *folder, struct err *err);

/* Makes the names in a folder as durable as the files. -1 with err. */
int kv_file_folder_sync(const char *folder, struct err *err);

/* The reserve. All answer 0 when it is as wanted. */
int kv_file_ballast_make(const char *path, uint64_t bytes); /* -1 when the disk has not several times as much free */
int kv_file_ballast_drop(const char *path);                 /* -1 when there was none */

#endif
