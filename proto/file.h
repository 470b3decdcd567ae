/* Small files that commands and processes share: read whole, and replaced whole or not at all.
 *
 * Whose farm it is decides whose its files are, whoever runs the command: a process that could not read what root has written would go on
 * with what it had. So what is made here is given to the owner of the folder that it is in.
 */
#ifndef GANTRY_PROTO_FILE_H
#define GANTRY_PROTO_FILE_H

#include "proto/buf.h"

#define FILE_MAX ((size_t)1 << 20)

/* Appends the file to out. 1: there is none. -1 with err. */
int file_read(const char *path, struct buf *out, struct err *err);

/* Puts text in the place of the file, for its owner alone; durable: also after a power cut. -1 with err. */
int file_replace(const char *path, struct str text, bool durable, struct err *err);
/* The same for what somebody else has written to fresh, which is in the same folder and gone afterwards. */
int file_place(const char *fresh, const char *path, bool durable, struct err *err);

/* Gives fresh another name in the same folder (an open one, or AT_FDCWD), never over what has that name already: -1 with errno EEXIST. */
int file_name_new(int folder, const char *fresh, const char *name);
/* The same in the place of what stands there, which goes, if it is still what was seen of it: else -1 with errno EEXIST, and it stays. */
struct stat;
int file_supplant(int folder, const char *fresh, const char *name, const struct stat *seen);

/* Makes a folder, for its owner alone, with those above it that are not there. -1 with err. */
int file_folder(const char *path, struct err *err);
/* Gives what is open as fd, and belongs at path, to the owner of the folder that it is in. -1 with errno. */
int file_give(int fd, const char *path);

#endif
