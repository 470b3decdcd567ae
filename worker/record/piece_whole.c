#include "worker/record/piece_whole.h"

#include <string.h>

#define HEAD 8
#define HEAD_LONG 16

static uint64_t big_endian(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

int64_t piece_whole(piece_read_at *read_at, void *self, int64_t size)
{
    int64_t at = 0, whole = 0;
    unsigned char head[HEAD_LONG];
    while (size - at >= HEAD) {
        int64_t got = read_at(self, at, head, size - at < HEAD_LONG ? HEAD : HEAD_LONG);
        if (got < HEAD)
            break;
        uint64_t len = big_endian(head, 4), least = HEAD;
        if (len == 1) {
            if (got < HEAD_LONG)
                break;
            len = big_endian(head + HEAD, 8);
            least = HEAD_LONG;
        }
        if (len < least || len > (uint64_t)(size - at))
            break;
        at += (int64_t)len;
        if (memcmp(head + 4, "mdat", 4) == 0)
            whole = at;
    }
    return whole;
}
