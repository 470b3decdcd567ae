#include "proto/machine.h"

#include <inttypes.h>
#include <stdio.h>

#define TICKS 8 /* user nice system idle iowait irq softirq steal; older kernels have fewer */
#define TICKS_MIN 5
#define IDLE 3
#define IOWAIT 4

bool machine_cpu(struct cpu_sample *sample)
{
    uint64_t t[TICKS] = {0}, total = 0;
    FILE *file = fopen("/proc/stat", "re");
    int got =
        file ? fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                      &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7])
             : 0;
    if (file)
        fclose(file);
    if (got < TICKS_MIN)
        return false;
    for (int i = 0; i < TICKS; i++)
        total += t[i];
    *sample = (struct cpu_sample){.busy = total - t[IDLE] - t[IOWAIT], .total = total};
    return true;
}

bool machine_cpu_percent(const struct cpu_sample *older, const struct cpu_sample *newer, double *percent)
{
    if (!older->total || newer->total <= older->total || newer->busy < older->busy)
        return false;
    *percent = 100.0 * (double)(newer->busy - older->busy) / (double)(newer->total - older->total);
    return true;
}

bool machine_memory(uint64_t *mb)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t total = 0, available = 0, value;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemTotal: %" SCNu64, &value) == 1)
            total = value;
        else if (sscanf(line, "MemAvailable: %" SCNu64, &value) == 1)
            available = value;
    }
    if (file)
        fclose(file);
    if (total <= available)
        return false;
    *mb = (total - available) / 1024;
    return true;
}
