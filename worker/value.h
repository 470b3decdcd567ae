/* Free-form maps (msgpack) as programs want them: JSON, and plain text. */
#ifndef GANTRY_WORKER_VALUE_H
#define GANTRY_WORKER_VALUE_H

#include "proto/codec.h"

/* Walks the pairs of a map's bytes. Empty bytes are an empty map. */
struct pairs {
    struct reader reader;
    uint32_t left;
};
/* False when bytes are no map. */
bool pairs_begin(struct pairs *pairs, struct str map);
/* key: its text; value: its bytes. False at the end. */
bool pairs_next(struct pairs *pairs, struct str *key, struct str *value);

/* The bytes of a key's value; false if absent. */
bool value_find(struct str map, struct str key, struct str *value);

/* Appends one value as JSON; an empty one as {}. -1 when malformed or out of memory. Binary values become null. */
int value_json(struct buf *out, struct str value);
/* Appends text as a JSON string. */
int value_json_text(struct buf *out, struct str text);
/* Appends a text as it is, null as nothing, anything else as JSON. */
int value_text(struct buf *out, struct str value);

/* Appends a map of texts as msgpack: names and values in turn, count pairs. */
int value_pack_texts(struct buf *out, const struct str *names_and_values, uint32_t count);

#endif
