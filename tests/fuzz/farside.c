#include "tests/fuzz/farside.h"

#include <stdlib.h>

#include "proto/arena.h"

#define CLIENTS 4
#define OPEN_MAX 4096

struct bus_client {
    bool used, up;
    struct bus_client_events events;
    void *self;
};

struct bus_ear {
    void (*hear)(void *self, const struct msg_doorbell *doorbell);
    void *self;
};

static struct {
    uint64_t corr; /* 0: forgotten */
    const struct bus_client *client;
    bus_reply *reply;
    void *arg;
} asked[OPEN_MAX];
static unsigned first, count; /* a ring */
static uint64_t next_corr;
static struct bus_client clients[CLIENTS];
static struct bus_ear ear;
static struct buf frame_out;

uint64_t farside_mono_ms = 1000000;

struct bus_client *__wrap_bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                         const struct bus_client_events *events, void *self, struct err *err);
void __wrap_bus_client_free(struct bus_client *client);
bool __wrap_bus_client_is_up(const struct bus_client *client);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg);
void __wrap_bus_forget(struct bus_client *client, uint64_t corr);
int __wrap_bus_tell(struct bus_client *client, const struct shape *shape, const void *value, struct err *err);
int __wrap_bus_tell_bytes(struct bus_client *client, struct str bytes, struct err *err);
struct bus_ear *__wrap_bus_ear_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                   void (*hear)(void *self, const struct msg_doorbell *doorbell), void *self, struct err *err);
int __wrap_bus_ear_listen(struct bus_ear *self, bool listens);
void __wrap_bus_ear_free(struct bus_ear *self);
uint64_t __wrap_clock_mono_ms(void);
uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_wall_ms(void);

void farside_check(bool holds)
{
    if (!holds)
        abort();
}

uint64_t __wrap_clock_mono_ms(void)
{
    return farside_mono_ms;
}

uint64_t __wrap_clock_mono_us(void)
{
    return farside_mono_ms * 1000;
}

uint64_t __wrap_clock_wall_ms(void)
{
    return UINT64_C(1700000000000) + farside_mono_ms;
}

struct bus_client *__wrap_bus_client_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                         const struct bus_client_events *events, void *self, struct err *err)
{
    (void)loop, (void)endpoint, (void)curve;
    for (int i = 0; i < CLIENTS; i++) {
        if (!clients[i].used) {
            clients[i] = (struct bus_client){.used = true, .events = *events, .self = self};
            return &clients[i];
        }
    }
    err_set(err, ERR_NO_MEMORY, "no client");
    return NULL;
}

void __wrap_bus_client_free(struct bus_client *client)
{
    if (!client)
        return;
    client->used = false;
    for (unsigned i = 0; i < count; i++) {
        if (asked[(first + i) % OPEN_MAX].client == client)
            asked[(first + i) % OPEN_MAX].corr = 0;
    }
}

bool __wrap_bus_client_is_up(const struct bus_client *client)
{
    return client->up;
}

/* What our side says keeps to the table, whatever was said to it. */
static void say(const struct shape *shape, const void *value, struct str rid)
{
    struct err err = {0};
    buf_reset(&frame_out);
    if (codec_encode(&frame_out, shape, value, 1, rid, &err) != 0)
        farside_check(err.code == ERR_NO_MEMORY);
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *reply, void *arg)
{
    struct err err = {.code = ERR_LIMIT};
    (void)deadline_ms;
    say(shape, value, rid);
    if (count == OPEN_MAX) {
        reply(arg, NULL, &err);
        return 0;
    }
    unsigned at = (first + count++) % OPEN_MAX;
    asked[at].corr = ++next_corr;
    asked[at].client = client;
    asked[at].reply = reply;
    asked[at].arg = arg;
    return next_corr;
}

void __wrap_bus_forget(struct bus_client *client, uint64_t corr)
{
    (void)client;
    for (unsigned i = 0; i < count; i++) {
        if (asked[(first + i) % OPEN_MAX].corr == corr)
            asked[(first + i) % OPEN_MAX].corr = 0;
    }
}

int __wrap_bus_tell(struct bus_client *client, const struct shape *shape, const void *value, struct err *err)
{
    if (!client->up)
        return err_set(err, ERR_UNAVAILABLE, "not connected");
    say(shape, value, (struct str){NULL, 0});
    return 0;
}

int __wrap_bus_tell_bytes(struct bus_client *client, struct str bytes, struct err *err)
{
    (void)bytes;
    return client->up ? 0 : err_set(err, ERR_UNAVAILABLE, "not connected");
}

struct bus_ear *__wrap_bus_ear_new(struct loop *loop, const char *endpoint, const struct bus_curve *curve,
                                   void (*hear)(void *self, const struct msg_doorbell *doorbell), void *self, struct err *err)
{
    (void)loop, (void)endpoint, (void)curve, (void)err;
    ear = (struct bus_ear){hear, self};
    return &ear;
}

int __wrap_bus_ear_listen(struct bus_ear *self, bool listens)
{
    (void)self, (void)listens;
    return 0;
}

void __wrap_bus_ear_free(struct bus_ear *self)
{
    (void)self;
}

void farside_up(bool up)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct bus_client *client = &clients[i];
        if (!client->used || client->up == up)
            continue;
        client->up = up;
        if (up && client->events.up)
            client->events.up(client->self);
        else if (!up && client->events.down)
            client->events.down(client->self);
    }
}

/* The oldest question that was not forgotten; false: there is none. */
static bool take(bus_reply **reply, void **arg)
{
    while (count > 0) {
        unsigned at = first;
        first = (first + 1) % OPEN_MAX;
        count--;
        if (asked[at].corr == 0)
            continue;
        *reply = asked[at].reply;
        *arg = asked[at].arg;
        return true;
    }
    return false;
}

/* Decodes from memory of the frame's own size, so that a sanitizer sees a byte too far. */
static bool decode(struct str frame, char **bytes, struct arena **arena, struct msg **msg)
{
    struct err err = {0};
    *bytes = malloc(frame.len ? frame.len : 1);
    *arena = arena_new((size_t)16 << 20);
    *msg = calloc(1, sizeof **msg);
    if (!*bytes || !*arena || !*msg)
        return false;
    if (frame.len)
        memcpy(*bytes, frame.ptr, frame.len);
    return msg_decode(*arena, (struct str){*bytes, frame.len}, *msg, &err) == 0;
}

bool farside_answer(struct str frame)
{
    struct err silent = {.code = ERR_UNKNOWN_OUTCOME};
    bus_reply *reply;
    void *arg;
    char *bytes;
    struct arena *arena;
    struct msg *msg;

    if (!take(&reply, &arg))
        return false;
    if (decode(frame, &bytes, &arena, &msg))
        reply(arg, msg, NULL);
    else
        reply(arg, NULL, &silent);
    free(msg);
    free(bytes);
    arena_free(arena);
    return true;
}

bool farside_silence(void)
{
    struct err silent = {.code = ERR_UNKNOWN_OUTCOME};
    bus_reply *reply;
    void *arg;

    if (!take(&reply, &arg))
        return false;
    reply(arg, NULL, &silent);
    return true;
}

void farside_message(struct str frame)
{
    char *bytes;
    struct arena *arena;
    struct msg *msg;

    if (decode(frame, &bytes, &arena, &msg)) {
        for (int i = 0; i < CLIENTS; i++) {
            if (clients[i].used && clients[i].up && clients[i].events.message)
                clients[i].events.message(clients[i].self, msg, (struct str){bytes, frame.len});
        }
    }
    free(msg);
    free(bytes);
    arena_free(arena);
}

void farside_ring(struct str frame)
{
    char *bytes;
    struct arena *arena;
    struct msg *msg;

    if (decode(frame, &bytes, &arena, &msg) && msg->shape->id == MSG_DOORBELL && ear.hear)
        ear.hear(ear.self, &msg->u.doorbell);
    free(msg);
    free(bytes);
    arena_free(arena);
}
