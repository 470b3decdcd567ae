/* What a million waiting runs, and the keys that they were asked for with, cost: time to load them from records, and memory beside
 * their payload.
 *
 *   core_pending [RUNS] [TASKS] [KEYS]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock.h"
#include "scheduler/core.h"

static uint64_t wall(void *self)
{
    (void)self;
    return clock_wall_ms();
}

static uint64_t mono(void *self)
{
    (void)self;
    return clock_mono_ms();
}

static uint64_t dice(void *self)
{
    (void)self;
    return 4;
}

static int no_batch(void *self, struct str frame)
{
    (void)self, (void)frame;
    return 0;
}

static void no_deliver(void *self, const struct address *to, struct str frame)
{
    (void)self, (void)to, (void)frame;
}

static void no_committed(void *self, uint64_t event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)event, (void)runs, (void)count;
}

static int load(struct core *core, enum record_type type, struct buf *bytes)
{
    struct err err = {0};
    int result = core_load(core, type, buf_str(bytes), &err);
    if (result)
        fprintf(stderr, "core_pending: %s\n", err.text);
    buf_reset(bytes);
    return result;
}

static int load_tasks(struct core *core, uint64_t tasks, struct buf *bytes)
{
    struct err err;
    for (uint64_t id = 1; id <= tasks; id++) {
        char name[32];
        snprintf(name, sizeof name, "task-%llu", (unsigned long long)id);
        struct rec_task task = {.id = id,
                                .spec = {.name = str_of(name),
                                         .task_type = STR_LIT("shell"),
                                         .executor = STR_LIT("shell"),
                                         .command = STR_LIT("true"),
                                         .timeout_seconds = 60},
                                .created_at = 1,
                                .updated_at = 1};
        for (size_t i = 0; i < shape_rec_task_spec.count; i++)
            task.spec.has |= UINT64_C(1) << shape_rec_task_spec.fields[i].key;
        if (rec_encode_task(bytes, &task, &err) || load(core, TYPE_TASK, bytes))
            return -1;
    }
    return 0;
}

static int load_runs(struct core *core, uint64_t runs, uint64_t tasks, struct buf *bytes)
{
    struct err err;
    for (uint64_t id = 1; id <= runs; id++) {
        char name[32];
        snprintf(name, sizeof name, "task-%llu", (unsigned long long)(1 + id % tasks));
        struct rec_run run = {.id = id,
                              .task_id = 1 + id % tasks,
                              .task_name = str_of(name),
                              .priority = id % 4,
                              .created_at = UINT64_C(1700000000000) + id,
                              .retry_count = 3,
                              .timeout_seconds = 60};
        if (rec_encode_run(bytes, &run, &err) || load(core, TYPE_RUN, bytes))
            return -1;
    }
    return 0;
}

/* Each as a trigger's answer makes it. */
static int load_keys(struct core *core, uint64_t keys, uint64_t tasks, struct buf *bytes)
{
    struct buf answer = {0};
    struct err err;
    for (uint64_t id = 1; id <= keys; id++) {
        char name[32], scope[16] = "";
        uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);
        snprintf(name, sizeof name, "task-%llu", (unsigned long long)(1 + id % tasks));
        memcpy(scope, &mixed, sizeof mixed);
        struct msg_run_answer told = {.run = {.id = id,
                                              .task_id = 1 + id % tasks,
                                              .task_name = str_of(name),
                                              .priority = id % 4,
                                              .created_at = UINT64_C(1700000000000) + id,
                                              .retry_count = 3,
                                              .timeout_seconds = 60}};
        buf_reset(&answer);
        if (msg_encode_run_answer(&answer, &told, 0, (struct str){0}, &err))
            return -1;
        struct rec_key key = {.id = id,
                              .scope = {scope, 16},
                              .body = {scope, 16},
                              .answer = buf_str(&answer),
                              .created_at = UINT64_C(1700000000000) + id};
        if (rec_encode_key(bytes, &key, &err) || load(core, TYPE_KEY, bytes))
            return -1;
    }
    buf_free(&answer);
    return 0;
}

static size_t memory_used(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

int main(int argc, char **argv)
{
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, tasks = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    uint64_t keys = argc > 3 ? strtoull(argv[3], NULL, 10) : runs;
    const struct journal_port port = {NULL, no_batch, no_deliver, no_committed};
    const struct core_clock time = {NULL, wall, mono, dice};
    const struct core_config config = {.lease_ms = 30000,
                                       .accept_ms = 10000,
                                       .heartbeat_ms = 5000,
                                       .lift_ms = 600000,
                                       .max_losses = 3,
                                       .queue_max = 2000000,
                                       .queue_bytes = (uint64_t)1 << 40,
                                       .tasks_max = 1000000,
                                       .workers_max = 100000,
                                       .workers_ms = UINT64_C(604800000),
                                       .keys_max = 10000000,
                                       .keys_ms = 1000,
                                       .events_max = 1000};
    uint64_t next[TYPE_MAX] = {0};
    struct err err = {0};
    struct buf bytes = {0};
    struct journal *journal = journal_new(&port);
    struct core *core = core_new(&config, &time, journal, NULL);
    if (!core || load_tasks(core, tasks, &bytes))
        return 1;
    size_t before = memory_used();
    uint64_t start = clock_mono_us();
    if (load_runs(core, runs, tasks, &bytes))
        return 1;
    uint64_t middle = clock_mono_us();
    size_t with_runs = memory_used();
    next[TYPE_RUN] = runs + 1;
    next[TYPE_KEY] = keys + 1;
    if (load_keys(core, keys, tasks, &bytes) || core_loaded(core, next, TYPE_MAX, &err))
        return 1;
    uint64_t end = clock_mono_us();
    printf("%llu runs of %llu tasks: %.2f s with encoding, %.1f bytes a run\n", (unsigned long long)runs,
           (unsigned long long)tasks, (double)(middle - start) / 1e6, (double)(with_runs - before) / (double)runs);
    if (keys)
        printf("%llu keys: %.2f s with encoding, %.1f bytes a key\n", (unsigned long long)keys, (double)(end - middle) / 1e6,
               (double)(memory_used() - with_runs) / (double)keys);
    core_free(core);
    journal_free(journal);
    buf_free(&bytes);
    return 0;
}
