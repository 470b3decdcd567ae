#include "worker/record/piece_whole.h"

#include <stdbool.h>
#include <string.h>

#define HEAD 8
#define HEAD_LONG 16

struct box {
    int64_t len;
    unsigned char type[4];
};

static uint64_t big_endian(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* The box there; false: none that is whole. */
static bool box_read(piece_read_at *read_at, void *self, int64_t at, int64_t size, struct box *box)
{
    unsigned char head[HEAD_LONG];
    if (size - at < HEAD)
        return false;
    int64_t got = read_at(self, at, head, size - at < HEAD_LONG ? HEAD : HEAD_LONG);
    if (got < HEAD)
        return false;
    uint64_t len = big_endian(head, 4), least = HEAD;
    if (len == 1) {
        if (got < HEAD_LONG)
            return false;
        len = big_endian(head + HEAD, 8);
        least = HEAD_LONG;
    }
    if (len < least || len > (uint64_t)(size - at))
        return false;
    box->len = (int64_t)len;
    memcpy(box->type, head + 4, sizeof(box->type));
    return true;
}

static bool is(const struct box *box, const char *type)
{
    return memcmp(box->type, type, sizeof(box->type)) == 0;
}

int64_t piece_whole(piece_read_at *read_at, void *self, int64_t size)
{
    int64_t at = 0, whole = 0;
    for (struct box box; box_read(read_at, self, at, size, &box);) {
        at += box.len;
        if (is(&box, "mdat"))
            whole = at;
    }
    return whole;
}

void piece_span(piece_read_at *read_at, void *self, int64_t size, uint64_t number, struct piece_span *span)
{
    int64_t at = 0, begun = -1; /* of the fragment whose mdat has not come yet */
    *span = (struct piece_span){.head = -1, .from = -1};
    for (struct box box; box_read(read_at, self, at, size, &box); at += box.len) {
        if (is(&box, "moof")) {
            begun = at;
            span->head = span->head < 0 ? at : span->head;
        }
        if (!is(&box, "mdat"))
            continue;
        span->whole = at + box.len;
        if (begun >= 0 && span->count++ == number)
            span->from = begun;
        begun = -1;
    }
    if (span->head < 0 || span->head > span->whole)
        span->head = span->whole;
    if (span->from < 0)
        span->from = span->whole;
}
