/* Writes JSON straight into a buffer: no tree, no allocation but the buffer's own.
 *
 * Commas are put by the writer. A key of NULL writes an item of a list. Running out of memory shows in out->failed.
 */
#ifndef GANTRY_GATEWAY_WRITER_H
#define GANTRY_GATEWAY_WRITER_H

#include "proto/buf.h"
#include "proto/codec.h"

struct writer {
    struct buf *out;
    bool comma; /* something stands before in this object or list */
};

void writer_open(struct writer *w, const char *key, char bracket); /* '{' or '[' */
void writer_close(struct writer *w, char bracket);                 /* '}' or ']' */

void writer_null(struct writer *w, const char *key);
void writer_bool(struct writer *w, const char *key, bool value);
void writer_uint(struct writer *w, const char *key, uint64_t value);
void writer_int(struct writer *w, const char *key, int64_t value);
void writer_real(struct writer *w, const char *key, double value); /* shortest form that reads back; null unless finite */
void writer_rounded(struct writer *w, const char *key, double value, int decimals); /* for measured values */
void writer_text(struct writer *w, const char *key, struct str text);               /* UTF-8; escaped */
void writer_text_or_null(struct writer *w, const char *key, struct str text);
void writer_time(struct writer *w, const char *key, uint64_t wall_ms); /* "2024-01-01T00:00:00Z"; null when 0 */
void writer_texts(struct writer *w, const char *key, const struct str_list *list);
/* A free-form msgpack map, as a decoded field holds it; {} when empty. */
void writer_map(struct writer *w, const char *key, struct str map);
void writer_json(struct writer *w, const char *key, struct str json); /* JSON as it is */

/* Appends text as the inside of a JSON string, without its quotes. */
void writer_escape(struct buf *out, struct str text);

#endif
