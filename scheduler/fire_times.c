#include "scheduler/fire_times.h"

#include "scheduler/cron.h"
#include "scheduler/schedule.h"
#include "scheduler/zone.h"

/* Schedule and zone are part of an address: a wrong one is a bad request, not a body that breaks a rule. */
static struct cron *cron_of(const struct msg_fire_times *ask, struct fault *fault)
{
    struct err err = {0};
    struct zone *zone = zone_get(ask->timezone, &err);
    struct cron *cron = NULL;
    if (zone)
        cron = cron_parse(ask->schedule, ask->timezone, ask->spread ? ask->spread : cron_spread(ask->name), &err);
    if (!zone && err.code != ERR_NO_MEMORY)
        fault_set(fault, ERR_BAD_REQUEST, "timezone", "format", ask->timezone, "an IANA name like Europe/Berlin", "%.200s",
                  err.text);
    else if (!cron)
        schedule_refuse(fault, ERR_BAD_REQUEST, ask->schedule, &err);
    zone_put(zone);
    return cron;
}

void fire_times_on_ask(struct core *core, const struct core_call *call)
{
    const struct msg_fire_times *ask = &call->msg->u.fire_times;
    struct msg_fire_times_rows answer = {0};
    struct fault fault;
    struct cron *cron = cron_of(ask, &fault);
    struct rec_fire_time *rows = arena_alloc(core->arena, ask->count * sizeof *rows);
    uint64_t anchor = ask->anchor ? ask->anchor : core->wall_ms, at = ask->after ? ask->after : core->wall_ms;
    if (!cron)
        goto error;
    if (!rows) {
        fault_memory(&fault);
        goto error;
    }
    answer.times.items = rows;
    while (answer.times.count < ask->count && (at = cron_next(cron, at, anchor)) != 0)
        rows[answer.times.count++] = (struct rec_fire_time){.at = at, .offset = cron_offset(cron, at)};
    answer.end = at == 0 || cron_next(cron, at, anchor) == 0;
    cron_free(cron);
    journal_send_now(core->journal, &call->from, &shape_msg_fire_times_rows, &answer);
    return;
error:
    cron_free(cron);
    core_refuse(core, call, &fault);
}
