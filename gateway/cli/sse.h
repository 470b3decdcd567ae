/* Server-sent events, as they arrive: bytes in, whole events out. */
#ifndef GANTRY_CLI_SSE_H
#define GANTRY_CLI_SSE_H

#include "proto/buf.h"

#define SSE_LINE_MAX ((size_t)4 << 20) /* bytes of a line, and of an event's data */

struct sse_event { /* borrowed for the call */
    struct str id; /* empty: it has none */
    struct str type;
    struct str data; /* several lines are one text, with line feeds */
};

struct sse { /* zeroed but for fn and arg */
    void (*fn)(void *arg, const struct sse_event *event);
    void *arg;
    struct buf line, id, type, data;
    bool has_data;
};

/* Takes what has arrived, cut anywhere, and calls fn with each event that is whole. -1: a line or an event's data is longer than
 * SSE_LINE_MAX, or memory is short. */
int sse_take(struct sse *sse, const char *bytes, size_t len);
/* The connection is another one: what was not whole is forgotten. */
void sse_begin(struct sse *sse);
void sse_free(struct sse *sse);

#endif
