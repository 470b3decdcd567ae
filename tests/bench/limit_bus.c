/* What bare ZeroMQ does between two processes over ipc. The other one is a child of ours. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/clock.h"
#include "tests/bench/bench.h"

struct shared { /* with the child */
    uint64_t received;
};

struct other {
    pid_t pid;
    char endpoint[108];
    struct shared *shared;
};

static void *router_open(const struct other *other)
{
    void *router = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    int mark = 100000;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!router || zmq_setsockopt(router, ZMQ_RCVHWM, &mark, sizeof mark) != 0 || zmq_bind(router, other->endpoint) != 0)
        _exit(1);
    return router;
}

static void echo_run(const struct other *other)
{
    void *router = router_open(other);
    char id[256];
    char frame[4096];

    for (;;) {
        int id_len = zmq_recv(router, id, sizeof id, 0);
        int len = zmq_recv(router, frame, sizeof frame, 0);
        if (id_len < 0 || len < 0)
            _exit(1);
        zmq_send(router, id, (size_t)id_len, ZMQ_SNDMORE);
        zmq_send(router, frame, (size_t)len, 0);
    }
}

static void sink_run(const struct other *other)
{
    void *router = router_open(other);
    zmq_msg_t part;

    zmq_msg_init(&part);
    for (;;) {
        if (zmq_msg_recv(&part, router, 0) < 0)
            _exit(1);
        if (!zmq_msg_more(&part))
            __atomic_fetch_add(&other->shared->received, 1, __ATOMIC_RELAXED);
    }
}

static int other_start(struct other *other, void (*run)(const struct other *other))
{
    snprintf(other->endpoint, sizeof other->endpoint, "ipc:///tmp/gantry-bench-%ld.sock", (long)getpid());
    other->shared = mmap(NULL, sizeof *other->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (other->shared == MAP_FAILED)
        return bench_fail("memory", strerror(errno));
    other->pid = fork();
    if (other->pid == 0)
        run(other);
    return other->pid > 0 ? 0 : bench_fail("fork", strerror(errno));
}

static void other_end(struct other *other)
{
    kill(other->pid, SIGKILL);
    waitpid(other->pid, NULL, 0);
    unlink(other->endpoint + strlen("ipc://"));
    munmap(other->shared, sizeof *other->shared);
}

static void *dealer_open(void *context, const struct other *other)
{
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    int mark = 100000;
    int limit = 60000;
    int none = 0;

    if (!dealer)
        return NULL;
    zmq_setsockopt(dealer, ZMQ_SNDHWM, &mark, sizeof mark);
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &limit, sizeof limit);
    zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof none);
    zmq_connect(dealer, other->endpoint);
    return dealer;
}

int trip_measure(struct bench *bench)
{
    struct other other;
    struct samples samples = {0};
    struct window window;
    char frame[PAYLOAD_BYTES] = {0};
    uint64_t count = 0;

    if (other_start(&other, echo_run) != 0)
        return -1;
    void *context = zmq_ctx_new();
    void *dealer = dealer_open(context, &other);
    int got = 1;
    window_open(&window, bench);
    while (got > 0 && window_tick(&window) != PHASE_OVER) {
        uint64_t began = clock_mono_us();
        zmq_send(dealer, frame, sizeof frame, 0);
        got = zmq_recv(dealer, frame, sizeof frame, 0);
        if (window.phase == PHASE_COUNT) {
            samples_add(&samples, clock_mono_us() - began);
            count++;
        }
    }
    zmq_close(dealer);
    zmq_ctx_term(context);
    other_end(&other);
    if (got <= 0)
        return bench_fail("ZeroMQ", "no answer");
    int rc = window_report(&window, count);
    rc = rc == 0 ? samples_report(&samples, bench, "") : rc;
    samples_free(&samples);
    return rc;
}

/* Frames of a heartbeat's size, as many as the ROUTER takes. */
int router_measure(struct bench *bench)
{
    struct other other;
    struct window window;
    void *dealers[4] = {0};
    char frame[64] = {0};
    uint64_t before = 0;

    if (other_start(&other, sink_run) != 0)
        return -1;
    if (bench->watch_count < WATCHES_MAX) {
        struct watch *watch = &bench->watches[bench->watch_count++];
        snprintf(watch->name, sizeof watch->name, "router");
        clock_getcpuclockid(other.pid, &watch->clock);
    }
    void *context = zmq_ctx_new();
    for (int i = 0; i < 4; i++)
        dealers[i] = dealer_open(context, &other);
    window_open(&window, bench);
    for (enum phase phase = PHASE_WARM, now; phase != PHASE_OVER; phase = now) {
        bool full = true;
        for (int i = 0; i < 4; i++) {
            for (int burst = 0; burst < 64; burst++) {
                if (zmq_send(dealers[i], frame, sizeof frame, ZMQ_DONTWAIT) < 0)
                    break;
                full = false;
            }
        }
        if (full) {
            zmq_pollitem_t item = {.socket = dealers[0], .events = ZMQ_POLLOUT};
            zmq_poll(&item, 1, 1);
        }
        now = window_tick(&window);
        if (now == PHASE_COUNT && phase == PHASE_WARM)
            before = __atomic_load_n(&other.shared->received, __ATOMIC_RELAXED);
    }
    uint64_t count = __atomic_load_n(&other.shared->received, __ATOMIC_RELAXED) - before;
    for (int i = 0; i < 4; i++)
        zmq_close(dealers[i]);
    zmq_ctx_term(context);
    other_end(&other);
    return window_report(&window, count);
}
