/* Connections over TCP, driven by epoll from one thread: the clients of what does not speak ZeroMQ. */
#ifndef GANTRY_BENCH_SWARM_H
#define GANTRY_BENCH_SWARM_H

#include "tests/bench/bench.h"

struct swarm;

struct link {
    struct swarm *swarm;
    int number; /* its place */
    int fd;
    uint64_t asked_us; /* when its last request left */
    uint64_t state;    /* the caller's */
    char *in;          /* what was received and not taken yet, NUL-terminated */
    size_t in_len, in_size;
};

struct swarm {
    struct bench *bench;
    struct window window;
    struct link *links;
    int count, epoll;
    bool failed;
    uint64_t counted;
    struct samples samples;
    void *self;         /* the caller's */
    uint64_t open;      /* jobs */
    struct link **held; /* links that wait to put */
    int held_count;
    void (*put)(struct link *link);
    /* Takes whole answers from link->in; answers how many bytes it took. */
    size_t (*take)(struct link *link, const char *in, size_t len);
};

/* count connections to HOST:PORT. -1 after having said why. */
int swarm_open(struct swarm *swarm, struct bench *bench, const char *at, int count);
void swarm_close(struct swarm *swarm);
/* Sends, and notes the time. */
void swarm_send(struct link *link, const char *bytes, size_t len);
/* Counts, while that is to be done, n answers to what was asked last. */
void swarm_count(struct link *link, uint64_t n);
/* Calls put for the link, now or once there is room. */
void swarm_put(struct link *link);
void swarm_opened(struct swarm *swarm, uint64_t n);
void swarm_done(struct link *link, uint64_t n); /* and counts them */
void swarm_fail(struct swarm *swarm, const char *why);
/* Waits at most so long, and hands what came to take; answers how many connections had something. */
int swarm_turn(struct swarm *swarm, int wait_ms);
int swarm_turn_us(struct swarm *swarm, uint64_t wait_us);
/* Until the window is over; -1 when it failed. */
int swarm_run(struct swarm *swarm);

#endif
