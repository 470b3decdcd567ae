/* JSON in: strict, bounded, and turned into what messages hold. */
#ifndef GANTRY_GATEWAY_JSON_H
#define GANTRY_GATEWAY_JSON_H

#include <jansson.h>

#include "proto/buf.h"

#define JSON_DEPTH 32 /* levels a document may have */

/* Parses a document whose top is an object or a list. Refuses duplicate keys, invalid UTF-8, NUL characters, numbers out of
 * 64 bits, and depth over JSON_DEPTH. NULL with err (ERR_BAD_REQUEST or ERR_NO_MEMORY): line, column and cause. */
json_t *json_parse(struct str text, struct err *err);
/* Whether jansson found no memory for something since the last json_parse: also where a library that uses it says that it was something else,
 * or takes what is left of a text for the whole. */
bool json_starved(void);

/* How much memory the document takes at most once it is parsed: up to JSON_COST times its length (a list of empty objects), and a
 * little. What is too deep to be parsed takes none. */
#define JSON_COST 129
size_t json_cost(struct str text);

/* Appends value as msgpack. -1: memory is short, or it is nested deeper than depth levels; out is then as before. */
int json_pack_value(struct buf *out, const json_t *value, int depth);

/* Reads an integer, or a real without a fraction; false when it is neither or does not fit. */
bool json_integral(const json_t *value, int64_t *out);

/* value as compact JSON, cut to at most max bytes of text (a cut value becomes a JSON string that ends in "…"). */
void json_brief(struct buf *out, const json_t *value, size_t max);

#endif
