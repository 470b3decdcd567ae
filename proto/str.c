#include "proto/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    int kept = errno;

    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->code = code;
    }
    errno = kept;
    return -1;
}

/* Bytes of the UTF-8 sequence at p, of which left are there; 0 when it is not well-formed. */
static size_t sequence_len(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf; /* of the second byte: keeps out overlong forms, surrogates, over U+10FFFF */
    size_t len;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        low = p[0] == 0xe0 ? 0xa0 : low;
        high = p[0] == 0xed ? 0x9f : high;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        low = p[0] == 0xf0 ? 0x90 : low;
        high = p[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* How many bytes of text, from its beginning, are well-formed. */
static uint32_t utf8_span(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t left = text.len;

    while (left > 0) {
        uint64_t word;
        /* Most text is ASCII: eight bytes at a time. */
        while (left >= sizeof word) {
            memcpy(&word, p, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            p += sizeof word;
            left -= sizeof word;
        }
        while (left > 0 && *p < 0x80) {
            p++;
            left--;
        }
        if (left == 0) {
            break;
        }
        size_t len = sequence_len(p, left);
        if (len == 0) {
            break;
        }
        p += len;
        left -= len;
    }
    return text.len - (uint32_t)left;
}

uint32_t str_characters(struct str text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

bool str_utf8(struct str text)
{
    return utf8_span(text) == text.len;
}

struct str str_cut(struct str text, size_t max)
{
    text.len = text.len < max ? text.len : (uint32_t)max;
    text.len = utf8_span(text);
    return text;
}

size_t str_clean(char *out, size_t size, struct str text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t used = 0;

    for (size_t i = 0; i < text.len;) {
        size_t step = text.ptr[i] == '\0' ? 0 : sequence_len((const unsigned char *)text.ptr + i, text.len - i);
        size_t need = step > 0 ? step : sizeof replacement - 1;
        if (need > size - used)
            break;
        memcpy(out + used, step > 0 ? text.ptr + i : replacement, need);
        used += need;
        i += step > 0 ? step : 1;
    }
    return used;
}

bool str_copy(char *out, size_t size, struct str text)
{
    if (size == 0) {
        return false;
    }
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.ptr, len);
    }
    out[len] = '\0';
    return len == text.len;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

struct str str_trim(struct str text, const char *blanks)
{
    for (; text.len > 0 && is_one_of(text.ptr[0], blanks); text.len--)
        text.ptr++;
    while (text.len > 0 && is_one_of(text.ptr[text.len - 1], blanks))
        text.len--;
    return text;
}

bool str_append(char *out, size_t size, const char *separator, const char *text)
{
    size_t len = strlen(out), gap = len > 0 ? strlen(separator) : 0, more = strlen(text);
    if (more >= size || gap >= size - more || len >= size - more - gap)
        return false;
    memcpy(out + len, separator, gap);
    memcpy(out + len + gap, text, more + 1);
    return true;
}

bool str_item(struct str *list, struct str *item)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        struct str part = {list->ptr, comma ? (uint32_t)(comma - list->ptr) : list->len};
        uint32_t taken = part.len + (comma ? 1 : 0);
        *list = (struct str){list->ptr + taken, list->len - taken};
        *item = str_trim(part, " \t");
        if (item->len > 0)
            return true;
    }
    return false;
}
