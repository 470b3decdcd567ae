#include <string.h>

#include "tests/bench/bench.h"

void payload_write(char out[PAYLOAD_BYTES], uint64_t number)
{
    memset(out, 'x', PAYLOAD_BYTES);
    for (int i = 19; i >= 0; i--, number /= 10)
        out[i] = (char)('0' + number % 10);
}

void payload_map(char out[PAYLOAD_BYTES], uint64_t number)
{
    static const unsigned char head[] = {0x81, 0xa7, 'p', 'a', 'y', 'l', 'o', 'a', 'd', 0xd9, PAYLOAD_BYTES - 11};
    char text[PAYLOAD_BYTES];

    payload_write(text, number);
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, text, PAYLOAD_BYTES - sizeof head);
}
