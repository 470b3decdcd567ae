#include "store/hold.h"

#include <stdlib.h>

#include "proto/clock.h"

struct held {
    struct held *next;
    struct intake_mark mark; /* of its arrival */
    struct bus_peer peer;
    uint32_t len;
    char frame[];
};

int hold_add(struct hold *hold, const struct bus_call *call, struct intake_mark mark)
{
    size_t bytes = sizeof(struct held) + call->frame.len;
    bool room = hold->count < HOLD_MAX && hold->bytes + bytes <= HOLD_BYTES;
    struct held *held = room ? malloc(bytes) : NULL;
    if (!held)
        return -1;
    *held = (struct held){.mark = mark, .peer = call->peer, .len = call->frame.len};
    memcpy(held->frame, call->frame.ptr, call->frame.len);
    if (!hold->first)
        hold->last = &hold->first;
    *hold->last = held;
    hold->last = &held->next;
    hold->count++;
    hold->bytes += bytes;
    return 0;
}

static struct held *hold_take(struct hold *hold)
{
    struct held *held = hold->first;
    hold->first = held->next;
    hold->count--;
    hold->bytes -= sizeof *held + held->len;
    return held;
}

static bool hold_due(const struct hold *hold, const struct intake *intake)
{
    return hold->first && intake_shows(intake, hold->first->mark);
}

bool hold_release(struct hold *hold, const struct intake *intake, struct bus_server *server)
{
    uint64_t until = hold->first ? clock_mono_ms() + HOLD_SHARE_MS : 0;
    hold->releasing = true;
    for (int i = 0; i < HOLD_SHARE && hold_due(hold, intake) && (i == 0 || clock_mono_ms() < until); i++) {
        struct held *held = hold_take(hold);
        bus_server_handle(server, &held->peer, (struct str){held->frame, held->len});
        free(held);
    }
    hold->releasing = false;
    return hold_due(hold, intake);
}

void hold_free(struct hold *hold)
{
    while (hold->first)
        free(hold_take(hold));
}
