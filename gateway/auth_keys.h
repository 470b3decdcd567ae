/* API keys: what one is, and the list of them as it stands in the keys file.
 *
 * A key is `gantry_<id>_<secret>`: the id is public and finds the row, the secret is 256 random bits. The file holds BLAKE2b of the whole,
 * which is enough for a secret nobody can guess, and is no use to who reads it.
 */
#ifndef GANTRY_GATEWAY_AUTH_KEYS_H
#define GANTRY_GATEWAY_AUTH_KEYS_H

#include "gateway/role.h"
#include "proto/buf.h"

#define AUTH_KEY_ID 12   /* hex digits */
#define AUTH_KEY_TEXT 84 /* characters of a key */
#define AUTH_KEY_NAME 64
#define AUTH_KEY_HASH 32
#define AUTH_KEYS_MAX 1000
#define AUTH_RATE_MAX 1000000 /* requests a minute */

struct auth_key {
    char id[AUTH_KEY_ID + 1];
    char name[AUTH_KEY_NAME + 1];
    uint8_t hash[AUTH_KEY_HASH];
    enum role role;
    uint32_t rate; /* requests a minute; 0: as everybody */
    uint64_t created_ms;
    uint64_t expires_ms; /* 0: never */
    uint64_t used_ms;    /* 0: never, as far as is known; not in this file */
};

struct auth_keys { /* zeroed: an empty list */
    struct auth_key *rows;
    size_t count, size;
};

void auth_keys_free(struct auth_keys *keys); /* takes NULL; leaves it empty */

/* Fills id and hash; text receives the key itself, which is kept nowhere. */
void auth_key_make(struct auth_key *key, char text[AUTH_KEY_TEXT + 1]);

/* Adds a copy. -1 with err: the name is taken or none, there are too many, or no memory. */
int auth_keys_add(struct auth_keys *keys, const struct auth_key *key, struct err *err);
/* -1 with err (ERR_NOT_FOUND) when there is none of that name. */
int auth_keys_remove(struct auth_keys *keys, struct str name, struct err *err);

/* The row of this id; NULL if there is none. */
struct auth_key *auth_keys_of_id(const struct auth_keys *keys, struct str id);
/* The row that text is the key of, also one that has expired; NULL if it is nobody's. The secret is compared in constant time. */
struct auth_key *auth_keys_match(const struct auth_keys *keys, struct str text);
/* Whether text looks like a key of ours, so that it need not be tried as anything else. */
bool auth_key_shaped(struct str text);

/* The file's text. Reading takes it whole or not at all: -1 with err, which names the line. out is empty or to be replaced. */
int auth_keys_parse(struct str text, struct auth_keys *out, struct err *err);
int auth_keys_write(const struct auth_keys *keys, struct buf *out);

/* When each was used last, as text of its own: who checks keys writes it, and never the file they stand in. Lines that make no sense are
 * passed over, for nothing hangs on them. */
void auth_used_parse(struct str text, struct auth_keys *keys);
int auth_used_write(const struct auth_keys *keys, struct buf *out);

#endif
