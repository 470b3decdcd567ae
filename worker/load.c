#include "worker/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void read_average(struct load *load)
{
    FILE *file = fopen("/proc/loadavg", "re");
    double average;
    if (file && fscanf(file, "%lf", &average) == 1)
        load->average = average;
    if (file)
        fclose(file);
}

static void read_memory(struct load *load)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t total = 0, available = 0, value;
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "MemTotal: %" SCNu64, &value) == 1)
            total = value;
        else if (sscanf(line, "MemAvailable: %" SCNu64, &value) == 1)
            available = value;
    }
    if (file)
        fclose(file);
    if (total > available)
        load->memory_mb = (total - available) / 1024;
}

static void read_cpu(struct load *load)
{
    FILE *file = fopen("/proc/stat", "re");
    uint64_t t[8] = {0}, total = 0; /* user nice system idle iowait irq softirq steal */
    int got =
        file ? fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                      &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7])
             : 0;
    if (file)
        fclose(file);
    if (got < 5)
        return;
    for (int i = 0; i < 8; i++)
        total += t[i];
    uint64_t busy = total - t[3] - t[4];
    if (load->total && total > load->total && busy >= load->busy)
        load->cpu_percent = 100.0 * (double)(busy - load->busy) / (double)(total - load->total);
    load->busy = busy;
    load->total = total;
}

void load_read(struct load *load)
{
    read_average(load);
    read_memory(load);
    read_cpu(load);
}
