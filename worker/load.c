#include "worker/load.h"

#include <stdio.h>

static void read_average(struct load *load)
{
    FILE *file = fopen("/proc/loadavg", "re");
    double average;
    if (file && fscanf(file, "%lf", &average) == 1)
        load->average = average;
    if (file)
        fclose(file);
}

static void read_cpu(struct load *load)
{
    struct cpu_sample sample;
    if (!machine_cpu(&sample))
        return;
    machine_cpu_percent(&load->cpu, &sample, &load->cpu_percent);
    load->cpu = sample;
}

void load_read(struct load *load)
{
    read_average(load);
    machine_memory(&load->memory_mb);
    read_cpu(load);
}
