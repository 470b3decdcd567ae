/* What the disk and the bare database do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/clock.h"
#include "store/kv.h"
#include "tests/bench/bench.h"

int sync_measure(struct bench *bench)
{
    char path[4200];
    char page[4096];
    struct samples samples = {0};
    struct window window;
    uint64_t count = 0;

    snprintf(path, sizeof path, "%s/bench.sync", settings_text(bench->settings, SET_DATA));
    memset(page, 7, sizeof page);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return bench_fail(path, strerror(errno));
    window_open(&window, bench);
    while (window_tick(&window) != PHASE_OVER) {
        uint64_t began = clock_mono_us();
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) {
            close(fd);
            unlink(path);
            return bench_fail(path, strerror(errno));
        }
        if (window.phase == PHASE_COUNT) {
            samples_add(&samples, clock_mono_us() - began);
            count++;
        }
    }
    close(fd);
    unlink(path);
    int rc = window_report(&window, count);
    rc = rc == 0 ? samples_report(&samples, bench, "") : rc;
    samples_free(&samples);
    return rc;
}

/* What one life of a run leaves in a database: the run as it waits, as it is given away and as it ended, its idempotency key, two
 * events and the statistics of its task. Sizes as the farm's records have them; every table's keys grow, and there are no indexes. */
static const struct {
    unsigned table, bytes;
    bool again; /* the record is written over */
} life_puts[] = {{0, 290, false}, {1, 430, false}, {2, 60, false}, {3, 90, true}, {0, 340, true}, {2, 60, false}, {0, 360, true}};

#define LIFE_PUTS (sizeof life_puts / sizeof life_puts[0])

static enum kv_result life_put(struct kv_txn *txn, uint64_t number)
{
    static const char value[512] = {7};
    enum kv_result result = KV_OK;

    for (size_t i = 0; i < LIFE_PUTS && result == KV_OK; i++) {
        unsigned char key[8];
        uint64_t id = life_puts[i].table == 3 ? 1 : life_puts[i].table == 2 ? number * 2 + (i > 2) : number;
        for (int byte = 0; byte < 8; byte++)
            key[byte] = (unsigned char)(id >> (56 - 8 * byte));
        struct str bytes = {value, life_puts[i].bytes};
        result = kv_put(txn, life_puts[i].table, (struct str){(const char *)key, sizeof key}, bytes, !life_puts[i].again);
    }
    return result;
}

static int commit_run(struct bench *bench, struct kv *kv)
{
    struct samples samples = {0};
    struct window window;
    struct err err = {0};
    uint64_t count = 0;
    uint64_t number = 0;

    window_open(&window, bench);
    while (window_tick(&window) != PHASE_OVER) {
        uint64_t began = clock_mono_us();
        struct kv_txn *txn = kv_batch(kv, &err);
        enum kv_result result = txn ? KV_OK : KV_IO;
        for (unsigned i = 0; i < bench->batch && result == KV_OK; i++)
            result = life_put(txn, ++number);
        if (result != KV_OK)
            kv_end(txn);
        if (result != KV_OK || kv_commit(txn, &err) != KV_OK)
            return bench_fail("the database", err.code ? err.text : kv_result_text(result));
        if (window.phase == PHASE_COUNT) {
            samples_add(&samples, clock_mono_us() - began);
            count += bench->batch;
        }
    }
    int rc = window_report(&window, count);
    rc = rc == 0 ? samples_report(&samples, bench, "") : rc;
    samples_free(&samples);
    return rc;
}

int commit_measure(struct bench *bench)
{
    static const char *const tables[] = {"runs", "keys", "events", "stats"};
    char folder[4200];
    struct err err = {0};

    snprintf(folder, sizeof folder, "%s/bench.db", settings_text(bench->settings, SET_DATA));
    struct kv_options options = {.folder = folder, .tables = tables, .table_count = 4, .map_bytes = UINT64_C(16) << 30};
    struct kv *kv = kv_open(&options, &err);
    if (!kv || kv_prepare(kv, &err) != 0) {
        kv_close(kv);
        return bench_fail("the database", err.text);
    }
    int rc = commit_run(bench, kv);
    kv_close(kv);
    return rc;
}
