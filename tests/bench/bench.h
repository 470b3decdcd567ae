/* gantry-bench: one measure a call, one JSON object on stdout. tests/bench/bench.py starts what is measured, calls this again and
 * again, and sets the figures side by side.
 *
 * Every rate is counted over a window in the middle of steady work. Load is made by one thread on cores that what is measured needs
 * too; `busy` in the result is the share of the window that this thread was on a core, so that a generator at its own limit is seen.
 */
#ifndef GANTRY_BENCH_BENCH_H
#define GANTRY_BENCH_BENCH_H

#include <jansson.h>
#include <stdint.h>
#include <time.h>

#include "proto/settings.h"

#define PAYLOAD_BYTES 200 /* of a job, everywhere */
#define WARM_MS 500
/* Jobs that were put and are not done, of whatever has a queue: those who put wait while there are so many, so that putting does not run
 * away from working and is not paid for by it. */
#define OPEN_MOST 2000
#define WARM_MOST_MS (WARM_MS * 100) /* a queue that grows more slowly than a hundredth of OPEN_MOST in WARM_MS is steady */
#define WATCHES_MAX 8

struct watch { /* a process whose CPU is counted */
    char name[32];
    clockid_t clock;
};

struct bench {
    const struct settings *settings; /* of the farm that is measured */
    double seconds;                  /* of the window */
    int clients, workers;
    unsigned batch;   /* jobs a message, 1 or more */
    uint64_t slots;   /* of a worker; 0: as the batch asks for */
    uint64_t credit;  /* runs that it holds at most; 0: as its slots */
    uint64_t rows;    /* of what is filled in */
    uint64_t keys;    /* and idempotency keys beside them */
    uint64_t tasks;   /* ended ones with words to be found by */
    bool pending;     /* they wait */
    uint64_t pace_ms; /* between two questions of a worker; 0: none */
    const char *at;   /* HOST:PORT of what is not a farm */
    const char *path; /* of a request */
    const char *body; /* NULL: GET, otherwise POST */
    int status;       /* that it is to be answered with */
    struct watch watches[WATCHES_MAX];
    int watch_count;
    json_t *result;
};

/* Each answers 0, or -1 when it has said on stderr what went wrong. */
typedef int bench_measure(struct bench *bench);

bench_measure sync_measure, commit_measure;         /* limit_disk.c */
bench_measure trip_measure, router_measure;         /* limit_bus.c */
bench_measure constant_serve;                       /* constant.c */
bench_measure lives_measure, dispatch_measure;      /* lives.c */
bench_measure heartbeats_measure, progress_measure; /* reports.c */
bench_measure requests_measure;                     /* requests.c */
bench_measure beanstalk_measure;                    /* beanstalk.c */
bench_measure redis_measure;                        /* redis.c */
bench_measure fill_measure;                         /* fill.c */
bench_measure schedules_measure;                    /* schedules.c */
bench_measure videos_measure;                       /* videos.c */
bench_measure pulls_measure;                        /* pulls.c */

/* Says why on stderr; -1. */
int bench_fail(const char *what, const char *why);
/* Adds a number to the result. */
void bench_put(struct bench *bench, const char *name, double value);

/* ---- latencies, in microseconds (samples.c) ---- */

struct samples {
    uint32_t *values;
    size_t count, size;
};

void samples_add(struct samples *samples, uint64_t us); /* what finds no memory is left out */
void samples_free(struct samples *samples);
/* The value below which `percent` of them lie. Sorts. There must be one. */
double samples_at(struct samples *samples, double percent);
/* <name>_p50_us, _p99_us and _max_us in the result; name may be "". -1 when there are none: no time was measured, which is not zero. */
int samples_report(struct samples *samples, struct bench *bench, const char *name);

/* ---- the part that counts (window.c) ---- */

enum phase { PHASE_WARM, PHASE_COUNT, PHASE_OVER };

struct window {
    struct bench *bench;
    enum phase phase;
    uint64_t opened_us, began_us, ended_us;
    uint64_t open, open_before, looked_us; /* jobs in the queue, and when its growth was last looked at */
    bool full;
    double cpu_began[WATCHES_MAX + 2], cpu[WATCHES_MAX + 2]; /* seconds: of the watched, of this process, of this thread */
};

void window_open(struct window *window, struct bench *bench);
/* So many jobs are open: counting begins once they have come to OPEN_MOST, or grow no more. */
void window_queue(struct window *window, uint64_t open);
enum phase window_tick(struct window *window); /* often: phases change only here, or there: */
void window_whole(struct window *window);      /* once to begin counting, once to end it */
/* rate (count a second), seconds, busy, and cpu_us: CPU of each process for each that was counted. -1 when none was. */
int window_report(const struct window *window, uint64_t count);

/* ---- a payload (payload.c) ---- */

/* PAYLOAD_BYTES of text that begin with a number of 20 digits. */
void payload_write(char out[PAYLOAD_BYTES], uint64_t number);
/* A msgpack map of one text in PAYLOAD_BYTES in all. */
void payload_map(char out[PAYLOAD_BYTES], uint64_t number);

#endif
