#include "worker/scene/sequence.h"

#include <ctype.h>
#include <stdio.h>

#define NUMBER "<frame>" /* of any number of digits: behind 9999 is 10000 */

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static bool is_digit(char c)
{
    return isdigit((unsigned char)c) != 0;
}

uint32_t sequence_pattern(enum sequence sequence, struct str path, char *out, size_t size)
{
    uint32_t name = path.len, ending = path.len;
    while (name && !is_slash(path.ptr[name - 1]))
        name--;
    while (ending > name && path.ptr[ending - 1] != '.')
        ending--;
    ending = ending > name ? ending - 1 : path.len;
    uint32_t end = ending;
    while (sequence == SEQUENCE_IMAGE && end > name && !is_digit(path.ptr[end - 1]))
        end--;
    uint32_t begin = end;
    while (begin > name && is_digit(path.ptr[begin - 1]))
        begin--;
    if (begin == end)
        return 0;
    int len = snprintf(out, size, "%.*s" NUMBER "%.*s", (int)begin, path.ptr, (int)(path.len - end), path.ptr + end);
    return len > 0 && (size_t)len < size ? (uint32_t)len : 0;
}
