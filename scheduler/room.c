/* Whether there is room for more (rule 10). */
#include "scheduler/room.h"

#include <stdio.h>

int room_none(struct fault *fault, const char *field, uint64_t limit, const char *what)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    return fault_set(fault, ERR_LIMIT, field, ROOM_RULE, str_of(text), NULL, "there are %s %s already: come back later", text,
                     what);
}

int room_bytes(const struct core *core, size_t bytes, struct fault *fault)
{
    if (core->carried + bytes <= core->config.queue_bytes)
        return 0;
    return room_none(fault, "queue.mb", core->config.queue_bytes >> 20, "MiB of parameters and specs");
}

int room_runs(const struct core *core, size_t runs, size_t bytes, struct fault *fault)
{
    uint64_t waiting = core->priorities[0] + core->priorities[1] + core->priorities[2] + core->priorities[3];
    if (waiting + runs > core->config.queue_max)
        return room_none(fault, "queue", core->config.queue_max, "runs that wait");
    return room_bytes(core, bytes, fault);
}

int room_task(const struct core *core, size_t bytes, struct fault *fault)
{
    if (core->standing >= core->config.tasks_max)
        return room_none(fault, "tasks", core->config.tasks_max, "tasks");
    return room_bytes(core, bytes, fault);
}
