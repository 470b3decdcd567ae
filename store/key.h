/* Keys of the database, made so that comparing their bytes compares what they say.
 *
 * Numbers: a byte that says how many follow, then those, big-endian, none of them a leading zero. Text: its bytes, a NUL in
 * it as 00 FF, then 00 01, so that no text's key begins with another's; text over KEY_TEXT bytes is its beginning and a hash. Ids: 8 bytes, big-endian, at the end.
 */
#ifndef GANTRY_STORE_KEY_H
#define GANTRY_STORE_KEY_H

#include "store/kv.h"
#include "store/record.h"

#define KEY_TEXT 200
#define KEY_ID 8

struct key {
    uint32_t len;
    unsigned char bytes[KV_KEY_MAX + 1];
};

static inline struct str key_str(const struct key *key)
{
    return (struct str){(const char *)key->bytes, key->len};
}

void key_begin(struct key *key, uint64_t type, unsigned number); /* of an index; number 0: all records of the type */
void key_number(struct key *key, uint64_t number);
void key_text(struct key *key, struct str text);
void key_value(struct key *key, const struct column *column, const struct value *value);
void key_id(struct key *key, uint64_t id);

static inline struct key key_of_id(uint64_t id)
{
    struct key key;
    key.len = 0;
    key_id(&key, id);
    return key;
}

uint64_t key_id_at_end(struct str key);
/* How much of an entry's key is its group: type, number and the value of the filter field (a text or a number). 0: it is no such
 * key. */
uint32_t key_group(struct str key, bool text);
/* 8 bytes, big-endian. */
void key_write_u64(unsigned char out[8], uint64_t number);
uint64_t key_read_u64(const void *bytes);
/* Turns a key that is a prefix into the first key behind all that begin with it; false when there is none. */
bool key_step_over(struct key *key);

static inline bool key_starts(struct str key, struct str prefix)
{
    return key.len >= prefix.len && memcmp(key.ptr, prefix.ptr, prefix.len) == 0;
}

#endif
