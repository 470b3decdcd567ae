/* What this machine can do, measured in the same minute as the farm: rates differ between machines, ratios hardly do. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "store/kv.h"
#include "tests/bench/bench.h"

static int complain(const char *what)
{
    fprintf(stderr, "gantry-bench: %s: %s\n", what, strerror(errno));
    return -1;
}

/* Appends of 4 KiB, each made durable. */
static int sync_measure(struct bench *bench)
{
    char path[4200];
    char page[4096];
    struct samples samples = {0};
    uint64_t began = clock_mono_us();
    uint64_t until = began + (uint64_t)(bench->seconds * 1e6);
    uint64_t now = began;
    uint64_t count = 0;

    snprintf(path, sizeof path, "%s/bench.sync", settings_text(bench->settings, SET_DATA));
    memset(page, 7, sizeof page);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return complain(path);
    }
    while (now < until) {
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) {
            close(fd);
            unlink(path);
            return complain(path);
        }
        uint64_t then = now;
        now = clock_mono_us();
        samples_add(&samples, now - then);
        count++;
    }
    close(fd);
    unlink(path);
    report(bench->results, "disk: append 4 KiB, fdatasync", "/s", (double)count * 1e6 / (double)(now - began), &samples,
           "one file, one writer");
    samples_free(&samples);
    return 0;
}

/* Puts of 200 bytes under growing keys, `batch` of them a durable commit. */
static int puts_measure(struct bench *bench, struct kv *kv, unsigned batch, uint64_t *next)
{
    char name[64];
    char value[200];
    struct samples samples = {0};
    struct err err = {0};
    uint64_t began = clock_mono_us();
    uint64_t until = began + (uint64_t)(bench->seconds * 1e6);
    uint64_t now = began;
    uint64_t count = 0;

    memset(value, 7, sizeof value);
    while (now < until) {
        struct kv_txn *txn = kv_batch(kv, &err);
        bool failed = txn == NULL;
        for (unsigned i = 0; i < batch && !failed; i++) {
            unsigned char key[8];
            uint64_t number = (*next)++;
            for (int byte = 0; byte < 8; byte++) {
                key[byte] = (unsigned char)(number >> (56 - 8 * byte));
            }
            failed =
                kv_put(txn, 0, (struct str){(const char *)key, sizeof key}, (struct str){value, sizeof value}, true) != KV_OK;
        }
        if (failed) {
            kv_end(txn);
        }
        if (failed || kv_commit(txn, &err) != KV_OK) {
            fprintf(stderr, "gantry-bench: the database: %s\n", err.text);
            samples_free(&samples);
            return -1;
        }
        uint64_t then = now;
        now = clock_mono_us();
        samples_add(&samples, now - then);
        count += batch;
    }
    snprintf(name, sizeof name, "database: durable puts, %u a commit", batch);
    report(bench->results, name, "puts/s", (double)count * 1e6 / (double)(now - began), &samples,
           "200 B, growing keys; time of a commit");
    samples_free(&samples);
    return 0;
}

static int database_measure(struct bench *bench)
{
    static const char *const tables[] = {"bench"};
    char folder[4200];

    struct err err = {0};
    uint64_t next = 1;

    snprintf(folder, sizeof folder, "%s/bench.db", settings_text(bench->settings, SET_DATA));
    struct kv_options options = {.folder = folder, .tables = tables, .table_count = 1, .map_bytes = UINT64_C(16) << 30};
    struct kv *kv = kv_open(&options, &err);
    if (kv == NULL || kv_prepare(kv, &err) != 0) {
        fprintf(stderr, "gantry-bench: the database: %s\n", err.text);
        kv_close(kv);
        return -1;
    }
    int rc = puts_measure(bench, kv, 1, &next) != 0 || puts_measure(bench, kv, 100, &next) != 0 ? -1 : 0;
    kv_close(kv);
    return rc;
}

struct echo {
    void *context;
    char endpoint[300];
};

static void *echo_run(void *arg)
{
    struct echo *echo = arg;
    void *router = zmq_socket(echo->context, ZMQ_ROUTER);
    char frame[256];
    bool over = router == NULL || zmq_bind(router, echo->endpoint) != 0;

    while (!over) {
        int id = zmq_recv(router, frame, sizeof frame, 0);
        if (id < 0) {
            break;
        }
        zmq_send(router, frame, (size_t)id, ZMQ_SNDMORE);
        int len = zmq_recv(router, frame, sizeof frame, 0);
        over = len <= 1;
        zmq_send(router, frame, len > 0 ? (size_t)len : 0, 0);
    }
    if (router != NULL) {
        zmq_close(router);
    }
    return NULL;
}

/* DEALER to ROUTER and back over ipc, one message under way. */
static int trip_measure(struct bench *bench)
{
    struct echo echo = {.context = zmq_ctx_new()};
    struct samples samples = {0};
    char folder[256];
    char frame[200] = {0};
    pthread_t thread;
    int limit = 5000;

    if (ident_runtime_dir(settings_text(bench->settings, SET_DATA), folder, sizeof folder, NULL) != 0 || echo.context == NULL) {
        return complain("ZeroMQ");
    }
    snprintf(echo.endpoint, sizeof echo.endpoint, "ipc://%s/bench.sock", folder);
    void *dealer = zmq_socket(echo.context, ZMQ_DEALER);
    if (dealer == NULL || pthread_create(&thread, NULL, echo_run, &echo) != 0) {
        return complain("ZeroMQ");
    }
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &limit, sizeof limit);
    zmq_connect(dealer, echo.endpoint);
    int got = zmq_send(dealer, frame, sizeof frame, 0) < 0 ? -1 : zmq_recv(dealer, frame, sizeof frame, 0); /* connected */
    uint64_t began = clock_mono_us();
    uint64_t until = began + (uint64_t)(bench->seconds * 1e6);
    uint64_t now = began;
    while (now < until && got > 0) {
        zmq_send(dealer, frame, sizeof frame, 0);
        got = zmq_recv(dealer, frame, sizeof frame, 0);
        uint64_t then = now;
        now = clock_mono_us();
        samples_add(&samples, now - then);
    }
    zmq_send(dealer, frame, 1, 0); /* the end of the echo */
    zmq_recv(dealer, frame, sizeof frame, 0);
    pthread_join(thread, NULL);
    zmq_close(dealer);
    zmq_ctx_term(echo.context);
    if (got > 0) {
        report(bench->results, "bus: ZeroMQ round trip, 200 B", "/s", (double)samples.count * 1e6 / (double)(now - began),
               &samples, "DEALER to ROUTER, ipc, one at a time");
    }
    samples_free(&samples);
    return got > 0 ? 0 : complain("ZeroMQ");
}

int limits_measure(struct bench *bench)
{
    return sync_measure(bench) != 0 || database_measure(bench) != 0 || trip_measure(bench) != 0 ? -1 : 0;
}
