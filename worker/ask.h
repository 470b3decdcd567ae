/* Questions of runs' programs to the farm (channel.h), asked in the worker's session. */
#ifndef GANTRY_WORKER_ASK_H
#define GANTRY_WORKER_ASK_H

#include "proto/bus.h"
#include "worker/roster.h"

struct asks { /* zeroed before its first use, but for roster */
    struct roster *roster;
    struct bus_client *client;
    struct ask *first; /* under way */
    struct arena *arena;
    void (*message)(void *self, const struct msg *msg); /* what comes back that is no answer to the program: REFUSED */
    void *self;
};

/* Sends what is owed. */
void asks_send(struct asks *asks);
/* The session is over: what is under way is owed again. */
void asks_again(struct asks *asks);
void asks_clear(struct asks *asks);

#endif
