/* The file of API keys, and whether files of secrets are kept as such. */
#ifndef GANTRY_GATEWAY_AUTH_FILE_H
#define GANTRY_GATEWAY_AUTH_FILE_H

#include <limits.h>

#include "gateway/auth_keys.h"
#include "proto/settings.h"

/* Whether others than its owner may read the file; out: that in words, with its mode and what to do. One that is not there is not. */
bool auth_file_exposed(const char *path, char *out, size_t size);
/* The same of a file of keys for tokens: only of one that holds a secret, for public keys may be read by anybody. */
bool auth_file_tokens_exposed(const char *path, char *out, size_t size);

struct auth_paths {
    char keys[PATH_MAX];
    char used[PATH_MAX]; /* beside it: when each was used last */
    char lock[PATH_MAX]; /* held by who changes it */
    bool own;            /* in a folder of ours below the data folder */
};

/* Where they are by the settings. -1 with err. */
int auth_paths_of(const struct settings *settings, struct auth_paths *paths, struct err *err);

/* Reads the list; a file that is not there is an empty one. -1 with err, which names the file; keys is as it was. */
int auth_file_keys(const struct auth_paths *paths, struct auth_keys *keys, struct err *err);
/* Takes what is known of their last use from the file beside it. */
void auth_file_used(const struct auth_paths *paths, struct auth_keys *keys);

/* Reads the list, lets change work on it and writes it back, with every other writer kept away; makes folder and file. -1 with err: change
 * answered -1, or a file could not be read or written; nothing has changed then. data: the data folder, made with its own mode. */
int auth_file_change(const struct settings *settings, const struct auth_paths *paths,
                     int (*change)(struct auth_keys *keys, void *arg, struct err *err), void *arg, struct err *err);

#endif
