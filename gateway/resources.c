#include "gateway/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    struct cpu_sample sample = {0};

    machine_cpu(&sample);
    resources->older = resources->newer.total > 0 ? resources->newer : sample;
    resources->newer = sample;
}

void resources_read(const struct resources *resources, struct resources_now *now)
{
    struct cpu_sample sample = {0};

    *now = (struct resources_now){0};
    machine_memory(&now->memory_mb);
    machine_cpu(&sample);
    machine_cpu_percent(&resources->older, &sample, &now->cpu_percent);
    network_read(now);
}
