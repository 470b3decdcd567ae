/* The keys that are let in: the folder of their certificates, as a list that follows its changes.
 *
 * ZeroMQ asks for a key once, when a connection begins. A key that is taken away must end what it began earlier, too: bus_server.c
 * looks every message's key up here.
 */
#ifndef GANTRY_PROTO_CURVE_KEYS_H
#define GANTRY_PROTO_CURVE_KEYS_H

#include <stdbool.h>

#include "proto/str.h"

#define CURVE_KEY 40 /* characters of a public key, Z85 */

struct curve_keys;

/* folder is copied, and need not be there. NULL when out of memory. */
struct curve_keys *curve_keys_new(const char *folder);
void curve_keys_free(struct curve_keys *keys); /* takes NULL */
/* Reads the folder when it has changed. True: the list was read again. The second looks at most every WATCH_MS. */
bool curve_keys_look(struct curve_keys *keys);
bool curve_keys_refresh(struct curve_keys *keys, uint64_t mono_ms);
bool curve_keys_has(const struct curve_keys *keys, struct str key);

/* ---- for commands ---- */

bool curve_name_valid(const char *name); /* of a certificate: a plain file name */
bool curve_key_valid(const char *key);   /* CURVE_KEY characters of Z85 */
/* Lets a key in under a name. ERR_CONFLICT: the name is taken by another key. -1 with err. */
int curve_keys_add(const char *folder, const char *name, const char *key, struct err *err);
/* The same in the place of another key, if there is one. The folder is never seen without it; nothing is written that stands there. */
int curve_keys_put(const char *folder, const char *name, const char *key, struct err *err);
/* ERR_NOT_FOUND: there is none of that name. */
int curve_keys_remove(const char *folder, const char *name, struct err *err);
/* Makes a pair: FOLDER/client.key and, for its owner alone, FOLDER/client.key_secret. key: the public half. */
int curve_keys_make(const char *folder, char key[CURVE_KEY + 1], struct err *err);
/* Calls fn with each, by name (key "": the file holds none); -1 with err when the folder cannot be read (one that is not there is empty). */
int curve_keys_each(const char *folder, void (*fn)(void *arg, const char *name, const char *key), void *arg, struct err *err);

#endif
