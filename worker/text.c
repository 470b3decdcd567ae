#include "worker/text.h"

#include <stdbool.h>
#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Bytes of the well-formed character at in, 0 when there is none (RFC 3629). */
static size_t char_len(const unsigned char *in, size_t len)
{
    unsigned char c = in[0];
    if (c < 0x80)
        return c != 0;
    if (c >= 0xC2 && c <= 0xDF)
        return len >= 2 && is_tail(in[1]) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if (len < 3 || !is_tail(in[1]) || !is_tail(in[2]))
            return 0;
        return (c == 0xE0 && in[1] < 0xA0) || (c == 0xED && in[1] > 0x9F) ? 0 : 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (len < 4 || !is_tail(in[1]) || !is_tail(in[2]) || !is_tail(in[3]))
            return 0;
        return (c == 0xF0 && in[1] < 0x90) || (c == 0xF4 && in[1] > 0x8F) ? 0 : 4;
    }
    return 0;
}

size_t text_clean(char *out, size_t size, const char *in, size_t len)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        size_t step = char_len((const unsigned char *)in + i, len - i);
        size_t need = step ? step : 3;
        if (used + need > size)
            break;
        memcpy(out + used, step ? in + i : replacement, need);
        used += need;
        i += step ? step : 1;
    }
    return used;
}

size_t text_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && is_tail((unsigned char)text[max]))
        max--;
    return max;
}
