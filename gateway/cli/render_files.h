/* What a scene needs on the farm: itself and the files that it names and that are here. */
#ifndef GANTRY_CLI_RENDER_FILES_H
#define GANTRY_CLI_RENDER_FILES_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define RENDER_MD5 33 /* in hexadecimal, with its NUL */

struct render_file {
    char *file;       /* where it is here */
    char *name;       /* what it is called on the farm */
    const char *type; /* scene, texture, …; borrowed from what was said of the scene */
    uint64_t size;    /* bytes */
    char md5[RENDER_MD5];
    bool there; /* the farm has it */
};

struct render_files {
    struct render_file *items; /* the scene is the first */
    size_t count, room;
    uint64_t bytes; /* of all */
    size_t folders; /* that it names: they are left out */
};

/* scene: what gantry-scene says of it, borrowed as long as the list; file: where it is, absolute. -1 with err. */
int render_files_list(struct render_files *files, const json_t *scene, const char *file, const char *unionid, struct err *err);
void render_files_free(struct render_files *files);

/* Reads all for their MD5. told: how many bytes have been read, now and then; stop: ends it. -1 with err. */
int render_files_hash(struct render_files *files, void (*told)(void *arg, uint64_t bytes), void *arg,
                      const volatile sig_atomic_t *stop, struct err *err);

#endif
