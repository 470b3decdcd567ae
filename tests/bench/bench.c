/* gantry-bench [--seconds N] [--json FILE] [settings of the farm]: measures a farm that runs without workers.
 *
 * tests/bench/bench.sh starts one in a folder of its own and calls this. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "tests/bench/bench.h"

#define SECONDS_MOST 15 /* a measure stays shorter than a lease */

static int usage(const char *text)
{
    fprintf(stderr, "gantry-bench: %s\nusage: gantry-bench [--seconds N] [--json FILE] --data DIR --url http://ADDRESS:PORT\n",
            text);
    return 2;
}

static int measure_all(struct bench *bench)
{
    uint64_t runs = 0;

    printf("%-46s %10s %-13s %9s %9s\n", "measure", "rate", "", "p50 us", "p99 us");
    if (limits_measure(bench) != 0 || lifecycles_prepare(bench) != 0 || lifecycles_measure(bench, "bus, 4+4", 4, 4, 1) != 0 ||
        lifecycles_measure(bench, "bus, 60+16", 60, 16, 1) != 0 ||
        lifecycles_measure(bench, "bus, 4+4, batches of 100", 4, 4, 100) != 0) {
        return -1;
    }
    if (submits_measure(bench, 4, &runs) != 0 || submits_measure(bench, 64, &runs) != 0) {
        return -1;
    }
    return lifecycles_drain(bench, runs, 4);
}

int main(int argc, char **argv)
{
    struct bench bench = {.seconds = 3, .results = json_array()};
    const char *path = NULL;
    char **flags = calloc((size_t)argc + 1, sizeof *flags);
    int count = 1;
    struct err err = {0};

    if (flags == NULL || bench.results == NULL || sodium_init() < 0) {
        return usage("out of memory");
    }
    flags[0] = argv[0];
    for (int i = 1; i < argc; i++) {
        int span = settings_flag_span(argv[i]);
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            bench.seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            path = argv[++i];
        } else if (span > 0 && i + span <= argc) {
            flags[count++] = argv[i];
            if (span == 2) {
                flags[count++] = argv[++i];
            }
        } else {
            free(flags);
            return usage(argv[i]);
        }
    }
    if (!(bench.seconds > 0 && bench.seconds <= SECONDS_MOST)) {
        free(flags);
        return usage("--seconds is more than 0, at most 15");
    }
    struct settings *settings = settings_load(count, flags, NULL, &err);
    free(flags);
    if (settings == NULL) {
        return usage(err.text);
    }
    bench.settings = settings;
    log_init("bench", LOG_WARN);
    int rc = measure_all(&bench);
    if (path != NULL && json_dump_file(bench.results, path, JSON_INDENT(2)) != 0) {
        fprintf(stderr, "gantry-bench: cannot write %s\n", path);
        rc = -1;
    }
    json_decref(bench.results);
    settings_free(settings);
    return rc == 0 ? 0 : 1;
}
