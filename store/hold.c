#include "store/hold.h"

#include <stdlib.h>

struct held {
    struct held *next;
    struct bus_peer peer;
    uint32_t len;
    char frame[];
};

int hold_add(struct hold *hold, const struct bus_call *call)
{
    struct held *held = hold->count < HOLD_MAX ? malloc(sizeof *held + call->frame.len) : NULL;
    if (!held)
        return -1;
    *held = (struct held){.peer = call->peer, .len = call->frame.len};
    memcpy(held->frame, call->frame.ptr, call->frame.len);
    if (!hold->first)
        hold->last = &hold->first;
    *hold->last = held;
    hold->last = &held->next;
    hold->count++;
    return 0;
}

static struct held *hold_take(struct hold *hold)
{
    struct held *first = hold->first;
    *hold = (struct hold){0};
    return first;
}

void hold_release(struct hold *hold, struct bus_server *server)
{
    for (struct held *held = hold_take(hold), *next; held; held = next) {
        next = held->next;
        bus_server_handle(server, &held->peer, (struct str){held->frame, held->len});
        free(held);
    }
}

void hold_free(struct hold *hold)
{
    for (struct held *held = hold_take(hold), *next; held; held = next) {
        next = held->next;
        free(held);
    }
}
