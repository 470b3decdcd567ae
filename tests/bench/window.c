
#include "proto/clock.h"
#include "tests/bench/bench.h"

static double cpu_of(clockid_t clock)
{
    struct timespec time = {0};

    clock_gettime(clock, &time); /* a process that has ended leaves zero */
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void cpu_read(const struct bench *bench, double *out)
{
    for (int i = 0; i < bench->watch_count; i++)
        out[i] = cpu_of(bench->watches[i].clock);
    out[bench->watch_count] = cpu_of(CLOCK_PROCESS_CPUTIME_ID);
    out[bench->watch_count + 1] = cpu_of(CLOCK_THREAD_CPUTIME_ID);
}

void window_open(struct window *window, struct bench *bench)
{
    uint64_t now = clock_mono_us();
    *window = (struct window){.bench = bench, .opened_us = now, .looked_us = now};
}

void window_queue(struct window *window, uint64_t open)
{
    window->open = open;
    window->full = window->full || open >= OPEN_MOST;
}

/* A queue that still fills takes what it is given without the work that comes with it. */
static bool steady(struct window *window, uint64_t now)
{
    if (window->full)
        return now >= window->opened_us + WARM_MS * 1000;
    if (now < window->looked_us + WARM_MS * 1000)
        return false;
    bool grew = window->open > window->open_before + OPEN_MOST / 100;
    window->open_before = window->open;
    window->looked_us = now;
    return !grew;
}

static void count_begin(struct window *window)
{
    cpu_read(window->bench, window->cpu_began);
    window->began_us = clock_mono_us();
    window->phase = PHASE_COUNT;
}

static void count_end(struct window *window)
{
    window->ended_us = clock_mono_us();
    cpu_read(window->bench, window->cpu);
    window->phase = PHASE_OVER;
}

enum phase window_tick(struct window *window)
{
    uint64_t now = clock_mono_us();

    if (window->phase == PHASE_WARM && steady(window, now))
        count_begin(window);
    else if (window->phase == PHASE_COUNT && now >= window->began_us + (uint64_t)(window->bench->seconds * 1e6))
        count_end(window);
    return window->phase;
}

void window_whole(struct window *window)
{
    if (window->phase == PHASE_WARM)
        count_begin(window);
    else
        count_end(window);
}

int window_report(const struct window *window, uint64_t count)
{
    struct bench *bench = window->bench;
    double seconds = (double)(window->ended_us - window->began_us) / 1e6;
    json_t *cpu = json_object();

    for (int i = 0; i <= bench->watch_count; i++) {
        const char *name = i < bench->watch_count ? bench->watches[i].name : "generator";
        double used = (window->cpu[i] - window->cpu_began[i]) * 1e6;
        json_object_set_new(cpu, name, json_real(count > 0 ? used / (double)count : 0));
    }
    json_object_set_new(bench->result, "cpu_us", cpu);
    bench_put(bench, "count", (double)count);
    bench_put(bench, "seconds", seconds);
    bench_put(bench, "rate", (double)count / seconds);
    bench_put(bench, "busy", (window->cpu[bench->watch_count + 1] - window->cpu_began[bench->watch_count + 1]) / seconds);
    return count > 0 ? 0 : bench_fail("the window", "nothing was done in it");
}
