#include "proto/stats.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/log.h"

void stats_count(struct stats *stats, const char *name, uint64_t value)
{
    if (stats->count_count < STATS_COUNTS)
        stats->counts[stats->count_count++] =
            (struct rec_count){.name = str_of(name), .value = value < (uint64_t)INT64_MAX ? value : (uint64_t)INT64_MAX};
}

void stats_histogram(struct stats *stats, const char *name, const struct histogram *histogram)
{
    uint32_t count = histogram->scale->count;

    if (stats->histogram_count == STATS_HISTOGRAMS)
        return;
    /* The lists are only read. */
    stats->histograms[stats->histogram_count++] =
        (struct rec_histogram){.name = str_of(name),
                               .bounds = {(uint64_t *)(uintptr_t)histogram->scale->bounds, count},
                               .counts = {(uint64_t *)(uintptr_t)histogram->counts, count + 1},
                               .sum = histogram->sum_us};
}

/* Since when it runs, on the wall clock of now. */
static uint64_t started_ms(void)
{
    static uint64_t started;
    uint64_t ticks = 0, up_ms = clock_mono_ms();
    FILE *file = started == 0 ? fopen("/proc/self/stat", "re") : NULL;

    if (file) {
        /* The name in brackets may hold anything, but ours hold no bracket. */
        int got = fscanf(
            file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &ticks);
        fclose(file);
        uint64_t age_ms = got == 1 ? up_ms - ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK) : 0;
        started = clock_wall_ms() - age_ms;
    }
    return started;
}

static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t descriptors(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");

    if (!folder)
        return 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count > 0 ? count - 1 : 0; /* less the one it was read by */
}

void stats_process(struct stats *stats)
{
    const struct bus_traffic *bus = bus_traffic();
    struct log_counts log = log_counts();
    struct rusage usage;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        stats_count(stats, "process_cpu_us",
                    (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    stats_count(stats, "process_memory_bytes", resident_bytes());
    stats_count(stats, "process_fds", descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        stats_count(stats, "process_fds_max", limit.rlim_cur);
    stats_count(stats, "process_started_ms", started_ms());
    stats_count(stats, "bus_received", bus->received);
    stats_count(stats, "bus_sent", bus->sent);
    stats_count(stats, "bus_refused", bus->refused);
    stats_count(stats, "log_lines", log.lines);
    stats_count(stats, "log_unread", log.unread);
    stats_count(stats, "log_unsent", log.unsent);
}

struct msg_stats_answer stats_answer(struct stats *stats)
{
    return (struct msg_stats_answer){.counts = {stats->counts, stats->count_count},
                                     .histograms = {stats->histograms, stats->histogram_count}};
}
