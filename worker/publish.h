/* Outputs, published once (rule 6): a run writes to a temporary name beside the final one, and only a complete, verified file gets
 * the final name, by a rename that never replaces.
 *
 * These calls read whole files and wait for disks, so the worker has them done by a process under gantry-run (publish_main).
 */
#ifndef GANTRY_WORKER_PUBLISH_H
#define GANTRY_WORKER_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define PUBLISH_HASH 16 /* XXH3 128, big-endian */
#define PUBLISH_PATH 4096
#define PUBLISH_PREFIX ".gantry-" /* of the temporary names of outputs */

struct stat;

struct publish_file {
    uint64_t size;
    unsigned char hash[PUBLISH_HASH];
};

/* Whether `..` is one of its steps. */
bool publish_parent_step(const char *path);

/* Makes the absolute final and temporary names of an output. cwd: absolute or empty. -1 with err: relative without a cwd, `..` in
 * it, no file name, too long. */
int publish_names(struct str output, struct str cwd, uint64_t run, uint64_t attempt, char final[PUBLISH_PATH],
                  char temporary[PUBLISH_PATH], struct err *err);

/* Flushes the file to disk, then reads it. -1 with err when it is missing, no regular file, or cannot be read. */
int publish_verify(const char *path, struct publish_file *out, struct err *err);

/* The temporary name beside a final one; a long file name is in it by its end only. -1: the path is too long. */
int publish_beside(const char *final, uint64_t run, uint64_t attempt, char temporary[PUBLISH_PATH]);

enum publish_state {
    PUBLISH_FREE,   /* nothing stands at the final name: go on and make it */
    PUBLISH_STANDS, /* what an earlier attempt was granted stands there, complete */
    PUBLISH_ADOPT,  /* it is complete, and still has its temporary name */
};
/* Looks at the final name before an attempt begins, and removes temporary files of earlier attempts (not the one to be adopted).
 * known: what an earlier attempt was granted, with its temporary name, which counts only if it is one; NULL if none was. -1 with err when
 * something else stands there. */
int publish_check(const char *final, uint64_t run, uint64_t attempt, const struct publish_file *known, const char *temporary,
                  enum publish_state *state, struct err *err);

/* Gives the file its final name and flushes the folder. -1 with err when something stands there; the temporary file is then removed. */
int publish_name(const char *temporary, const char *final, struct err *err);

/* The same in the place of a file of ours that stands there, which goes; standing: what was seen of it. Another one that came to be there
 * meanwhile stays. */
int publish_supplant(const char *temporary, const char *final, const struct stat *standing, struct err *err);

/* The process behind `gantry-worker --publish check FINAL RUN ATTEMPT [TEMPORARY SIZE HASH] | verify FILE | name FILE FINAL`. One line on
 * stdout: `free`, `stands`, `adopt`, `verified SIZE HASH`, `named`, or `error TEXT` with exit code 1. */
int publish_main(int argc, char **argv);

/* 32 hex digits and a NUL, and back; false for anything else. */
void publish_hex(const unsigned char hash[PUBLISH_HASH], char out[2 * PUBLISH_HASH + 1]);
bool publish_unhex(const char *text, unsigned char hash[PUBLISH_HASH]);

#endif
