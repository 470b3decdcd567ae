#include "worker/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "worker/hear.h"

#define ARENA_MAX ((size_t)16 << 20)
#define PAUSE_MS 500u      /* before a question is put again that the farm could not answer */
#define DEADLINE_MS 10000u /* then it is asked again: the farm may have had to leave it unanswered */

struct ask {
    struct ask *next;
    struct asks *asks;
    uint64_t run, attempt, corr;
};

static void ask_remove(struct asks *asks, struct ask *ask)
{
    for (struct ask **at = &asks->first; *at; at = &(*at)->next)
        if (*at == ask) {
            *at = ask->next;
            break;
        }
    free(ask);
}

static struct run *run_of(const struct ask *ask)
{
    struct run *run = roster_find(ask->asks->roster, ask->run, ask->attempt);
    return run && run->channel.ask.len ? run : NULL;
}

/* What only means that the farm cannot now. */
static bool for_now(uint64_t code)
{
    return code == ERR_LIMIT || code == ERR_UNAVAILABLE || code == ERR_UNKNOWN_OUTCOME || code == ERR_NO_MEMORY;
}

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    struct ask *ask = arg;
    struct asks *asks = ask->asks;
    struct run *run = run_of(ask);
    char why[512];
    if (msg && msg->shape->id != MSG_ERROR && msg->shape->id != MSG_REFUSED) {
        if (run)
            hear_answer(run, msg, NULL);
    } else if (msg && msg->shape->id == MSG_ERROR && !for_now(msg->u.error.code) && !str_is(msg->u.error.rule, "hello")) {
        snprintf(why, sizeof(why), "%.*s", (int)msg->u.error.text.len, msg->u.error.text.ptr);
        if (run)
            hear_answer(run, NULL, why);
    } else {
        if (run) {
            run->channel.owed = true;
            run->channel.not_before = clock_mono_ms() + PAUSE_MS;
        }
        log_debug("GTY-RUN-ASK", "run=%" PRIu64 " is asked again: %s", ask->run, err ? err->text : "the farm cannot now");
        if (msg)
            asks->message(asks->self, msg);
    }
    ask_remove(asks, ask);
}

static void ask_send(struct asks *asks, struct run *run)
{
    struct msg msg;
    struct err err = {0};
    arena_reset(asks->arena);
    if (msg_decode(asks->arena, buf_str(&run->channel.ask), &msg, &err) < 0) {
        hear_answer(run, NULL, err.text);
        return;
    }
    run->channel.owed = false;
    struct ask *ask = calloc(1, sizeof(*ask));
    if (!ask) {
        run->channel.owed = true;
        return;
    }
    *ask = (struct ask){.next = asks->first, .asks = asks, .run = run->id, .attempt = run->attempt};
    asks->first = ask;
    uint64_t corr = bus_ask(asks->client, msg.shape, &msg.u, (struct str){0}, DEADLINE_MS, on_reply, ask);
    if (asks->first == ask) /* else it was refused at once, and is gone */
        ask->corr = corr;
}

void asks_send(struct asks *asks)
{
    uint64_t now = clock_mono_ms();
    for (struct run *run = asks->roster->first; run; run = run->next) {
        if (run->channel.hint.len && bus_tell_bytes(asks->client, buf_str(&run->channel.hint), NULL) == 0)
            buf_free(&run->channel.hint); /* soft */
        if (!run->channel.owed || now < run->channel.not_before || run->state == SLOT_GONE || run->state == SLOT_DROPPING)
            continue;
        if (!asks->arena)
            asks->arena = arena_new(ARENA_MAX);
        if (asks->arena)
            ask_send(asks, run);
    }
}

void asks_again(struct asks *asks)
{
    while (asks->first) {
        struct ask *ask = asks->first;
        struct run *run = run_of(ask);
        bus_forget(asks->client, ask->corr);
        if (run) {
            run->channel.owed = true;
            run->channel.not_before = 0;
        }
        ask_remove(asks, ask);
    }
}

void asks_clear(struct asks *asks)
{
    while (asks->first)
        ask_remove(asks, asks->first);
    arena_free(asks->arena);
    asks->arena = NULL;
}
