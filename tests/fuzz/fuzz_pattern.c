/* A pattern and a name (the input: with a NUL between). Whatever fits has the pattern's shape, so that it is found by that. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pattern.h"

#define TEXT 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2 * TEXT], *shapes[2];
    if (size > TEXT)
        return 0;
    memset(text, 0, sizeof(text));
    if (size)
        memcpy(text, data, size);
    const char *pattern = text, *name = text + strlen(text) + 1;
    for (int i = 0; i < 2; i++) /* just as long as they may be */
        if (!(shapes[i] = malloc(strlen(i ? name : pattern) + 1)))
            return 0;
    bool marked = pattern_is(pattern), numbers = pattern_shape(pattern, true, shapes[0]);
    pattern_shape(name, false, shapes[1]);
    check(numbers || !marked);
    if (pattern_fits(pattern, name))
        check(strcmp(shapes[0], shapes[1]) == 0);
    if (!marked)
        check(pattern_fits(pattern, name) == (strcmp(pattern, name) == 0));
    free(shapes[0]);
    free(shapes[1]);
    return 0;
}
