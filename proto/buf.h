/* A growing byte buffer with a ceiling, for frames and bodies being written. */
#ifndef GANTRY_PROTO_BUF_H
#define GANTRY_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/str.h"

struct buf {
    char *data;
    size_t len;
    size_t size;  /* allocated */
    size_t limit; /* bytes it may hold; 0 means BUF_LIMIT */
    bool failed;  /* an append did not fit or found no memory; stays set until buf_reset */
    bool starved; /* it was memory */
};

#define BUF_LIMIT ((size_t)64 << 20)

/* A zeroed struct buf is ready for use. */
void buf_free(struct buf *buf);  /* takes NULL; leaves it zeroed but for its limit */
void buf_reset(struct buf *buf); /* empties, keeps the memory */

/* Each answers 0, or -1 with failed set and nothing appended. */
int buf_add(struct buf *buf, const void *data, size_t len);
/* Makes room, so that appends of `more` bytes in all cannot fail. */
int buf_reserve(struct buf *buf, size_t more);
int buf_text(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->data, (uint32_t)buf->len};
}

#endif
