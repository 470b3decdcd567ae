#include "gateway/pulse.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/health.h"
#include "proto/clock.h"

#define EVERY_MS 2000
#define DEADLINE_MS 5000
#define UNTOLD_MAX 8

struct change {
    enum health_state state;
    char trouble[320];
};

struct pulse {
    struct gateway *gateway;
    int timer;
    bool begun; /* it was healthy once: before that the farm is starting */
    enum health_state state;
    struct change untold[UNTOLD_MAX]; /* oldest first; when there are more the oldest go */
    unsigned count;
    bool asking;
    uint64_t corr;
};

static void tell(struct pulse *pulse);

static void on_told(void *arg, const struct msg *msg, const struct err *err)
{
    struct pulse *pulse = arg;
    (void)err;

    pulse->asking = false;
    if (!msg || msg->shape->id != MSG_DONE || pulse->count == 0)
        return; /* the next measurement tries again */
    memmove(pulse->untold, pulse->untold + 1, --pulse->count * sizeof pulse->untold[0]);
    tell(pulse);
}

static void tell(struct pulse *pulse)
{
    struct bus_client *scheduler = ask_client(pulse->gateway->ask, ASK_SCHEDULER);
    const struct change *change = &pulse->untold[0];

    if (pulse->count == 0 || pulse->asking || !bus_client_is_up(scheduler))
        return;
    struct msg_health_changed message = {.status = str_of(health_state_word(change->state)), .trouble = str_of(change->trouble)};
    pulse->asking = true;
    uint64_t corr = bus_ask(scheduler, &shape_msg_health_changed, &message, (struct str){NULL, 0}, DEADLINE_MS, on_told, pulse);
    if (pulse->asking)
        pulse->corr = corr;
}

static void trouble_of(const struct health_view *view, char *out, size_t size)
{
    static const char *const names[] = {[ASK_SCHEDULER] = "scheduler", [ASK_STORE] = "database"};
    char at[CLOCK_ISO_SIZE];

    out[0] = '\0';
    if (view->state == HEALTH_HEALTHY)
        return;
    for (unsigned i = 0; i < 2; i++) {
        const struct health_part *part = &view->parts[i];
        if (part->ready && !part->trouble[0])
            continue;
        snprintf(out, size, "since %s: %s: %s", clock_iso(view->wall_ms, 0, at), names[i],
                 part->trouble[0] ? part->trouble
                 : part->answers  ? "not ready"
                                  : "does not answer");
        out[str_cut(str_of(out), size - 1).len] = '\0';
        return;
    }
}

static void on_measured(void *self, const struct health_view *view)
{
    struct pulse *pulse = self;

    pulse->begun |= view->state == HEALTH_HEALTHY;
    if (pulse->begun && view->state != pulse->state) {
        if (pulse->count == UNTOLD_MAX && !pulse->asking)
            memmove(pulse->untold, pulse->untold + 1, --pulse->count * sizeof pulse->untold[0]);
        if (pulse->count < UNTOLD_MAX) {
            struct change *change = &pulse->untold[pulse->count++];
            change->state = pulse->state = view->state;
            trouble_of(view, change->trouble, sizeof change->trouble);
        }
    }
    tell(pulse);
}

static void on_timer(void *arg)
{
    struct pulse *pulse = arg;
    health_measure(pulse->gateway->health);
}

struct pulse *pulse_new(struct gateway *gateway, struct err *err)
{
    struct pulse *pulse = calloc(1, sizeof *pulse);

    if (!pulse || (pulse->timer = loop_every(gateway->loop, EVERY_MS, on_timer, pulse)) < 0) {
        free(pulse);
        err_set(err, ERR_NO_MEMORY, "no memory for the health check");
        return NULL;
    }
    pulse->gateway = gateway;
    health_watch(gateway->health, on_measured, pulse);
    return pulse;
}

void pulse_free(struct pulse *pulse)
{
    if (!pulse)
        return;
    health_watch(pulse->gateway->health, NULL, NULL);
    if (pulse->asking)
        bus_forget(ask_client(pulse->gateway->ask, ASK_SCHEDULER), pulse->corr);
    loop_cancel(pulse->gateway->loop, pulse->timer);
    free(pulse);
}
