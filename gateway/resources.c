#include "gateway/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct cpu_sample cpu_read(void)
{
    struct cpu_sample sample = {0};
    uint64_t t[8] = {0}; /* user nice system idle iowait irq softirq steal */
    FILE *file = fopen("/proc/stat", "re");
    int got =
        file ? fscanf(file, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                      &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7])
             : 0;

    if (file)
        fclose(file);
    if (got < 5)
        return sample;
    for (int i = 0; i < 8; i++)
        sample.total += t[i];
    sample.busy = sample.total - t[3] - t[4];
    return sample;
}

static uint64_t memory_read(void)
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
    return total > available ? (total - available) / 1024 : 0;
}

static void network_read(struct resources_now *now)
{
    FILE *file = fopen("/proc/net/dev", "re");
    char line[512], name[64];
    uint64_t in, out;

    while (file && fgets(line, sizeof line, file)) {
        int got = sscanf(line, " %63[^:]: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, name, &in, &out);
        if (got != 3 || strcmp(name, "lo") == 0)
            continue;
        now->bytes_in += in;
        now->bytes_out += out;
    }
    if (file)
        fclose(file);
}

void resources_sample(struct resources *resources)
{
    struct cpu_sample sample = cpu_read();

    resources->older = resources->newer.total > 0 ? resources->newer : sample;
    resources->newer = sample;
}

void resources_read(const struct resources *resources, struct resources_now *now)
{
    struct cpu_sample sample = cpu_read();
    const struct cpu_sample *since = &resources->older;

    *now = (struct resources_now){.memory_mb = memory_read()};
    if (sample.total > since->total && sample.busy >= since->busy)
        now->cpu_percent = 100.0 * (double)(sample.busy - since->busy) / (double)(sample.total - since->total);
    network_read(now);
}
