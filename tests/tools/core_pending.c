/* What a million waiting runs cost: time to load them from records, and memory beside their payload.
 *
 *   core_pending [RUNS] [TASKS]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, tasks = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
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
                                       .keys_max = 1000,
                                       .keys_ms = 1000,
                                       .events_max = 1000};
    uint64_t next[TYPE_MAX] = {0};
    struct err err = {0};
    struct buf bytes = {0};
    struct journal *journal = journal_new(&port);
    struct core *core = core_new(&config, &time, journal, NULL);
    if (!core || load_tasks(core, tasks, &bytes))
        return 1;
    struct mallinfo2 before = mallinfo2();
    uint64_t start = clock_mono_us();
    next[TYPE_RUN] = runs + 1;
    if (load_runs(core, runs, tasks, &bytes) || core_loaded(core, next, TYPE_MAX, &err))
        return 1;
    uint64_t took = clock_mono_us() - start;
    struct mallinfo2 after = mallinfo2();
    size_t used = (after.uordblks + after.hblkhd) - (before.uordblks + before.hblkhd);
    printf("%llu runs of %llu tasks: %.2f s with encoding, %.1f bytes a run\n", (unsigned long long)runs,
           (unsigned long long)tasks, (double)took / 1e6, (double)used / (double)runs);
    core_free(core);
    journal_free(journal);
    buf_free(&bytes);
    return 0;
}
