/* Measures of a farm that runs. Every rate is counted over a window in the middle of steady work, and every run that was submitted
 * is waited for and counted once: a rate of lost work is none. */
#ifndef GANTRY_BENCH_BENCH_H
#define GANTRY_BENCH_BENCH_H

#include <jansson.h>
#include <stdint.h>

#include "proto/settings.h"

/* ---- latencies, in microseconds ---- */

struct samples {
    uint32_t *values;
    size_t count, size;
};

void samples_add(struct samples *samples, uint64_t us); /* what finds no memory is left out */
void samples_free(struct samples *samples);
/* The value below which `percent` of them lie; 0 when there are none. Sorts. */
double samples_at(struct samples *samples, double percent);

/* ---- results ---- */

/* A row of the table and of the JSON: name, a rate, and latencies of one step (p50 and p99 in µs, 0 for none). */
void report(json_t *results, const char *name, const char *unit, double rate, struct samples *samples, const char *note);

/* ---- measures; each answers 0, or -1 when it said on stderr what went wrong ---- */

struct bench {
    const struct settings *settings;
    double seconds; /* of each measure */
    uint64_t task_id;
    json_t *results;
};

/* fdatasync, durable puts of the database, a round trip of ZeroMQ: what no farm here can be faster than. */
int limits_measure(struct bench *bench);

/* Makes the task whose runs are measured. */
int lifecycles_prepare(struct bench *bench);
/* Submit, assignment, result: whole lives of runs, with submitters and workers in this process. batch: runs a message, 1 or more. */
int lifecycles_measure(struct bench *bench, const char *name, int submitters, int workers, unsigned batch);
/* Works off what waits, and says how fast that went. */
int lifecycles_drain(struct bench *bench, uint64_t runs, int workers);

/* POST /tasks/{id}/trigger over keep-alive connections, one request at a time on each. *runs grows by how many were accepted. */
int submits_measure(struct bench *bench, int connections, uint64_t *runs);

#endif
