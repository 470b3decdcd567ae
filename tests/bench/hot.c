#include "tests/bench/hot.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"

void hot_check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "hot: %s\n", what);
        exit(1);
    }
}

void hot_path(const struct hot *hot) __attribute__((noinline));

void hot_path(const struct hot *hot)
{
    for (unsigned i = 0; i < HOT_COUNT; i++)
        hot->step(HOT_WARM + i);
}

int main(int argc, char **argv)
{
    const struct hot *hot = hot_table;

    while (argc == 2 && hot->name && strcmp(hot->name, argv[1]) != 0)
        hot++;
    if (argc != 2 || !hot->name) {
        for (hot = hot_table; hot->name; hot++)
            puts(hot->name);
        return argc == 1 ? 0 : 2;
    }
    json_object_seed(1); /* else hash tables differ from one time to the next */
    hot_check(sodium_init() >= 0, "libsodium");
    log_init("hot", LOG_ERROR);
    hot->prepare();
    for (unsigned i = 0; i < HOT_WARM; i++)
        hot->step(i);
    hot_path(hot);
    return 0;
}
