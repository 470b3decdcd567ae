/* The codec: a trigger with 200 bytes of parameters, there and back. */
#include <string.h>

#include "proto/messages.h"
#include "tests/bench/bench.h"
#include "tests/bench/hot.h"

static struct msg_run_trigger trigger;
static char parameters[PAYLOAD_BYTES];
static struct buf frame;
static struct arena *arena;
static struct msg msg;

static void prepare(void)
{
    payload_map(parameters, 1);
    trigger = (struct msg_run_trigger){.idem = {.scope = STR_LIT("0123456789abcdef"), .body = STR_LIT("0123456789abcdef")},
                                       .task_id = 12345,
                                       .trigger = {.parameters = {parameters, sizeof parameters}, .priority = PRIORITY_HIGH}};
    SET_HAS(&trigger.trigger, rec_trigger, parameters);
    SET_HAS(&trigger.trigger, rec_trigger, priority);
    arena = arena_new(1U << 20);
    hot_check(arena && msg_encode_run_trigger(&frame, &trigger, 77, STR_LIT("req_0123456789"), NULL) == 0, "encode");
}

static void encode(unsigned number)
{
    buf_reset(&frame);
    hot_check(msg_encode_run_trigger(&frame, &trigger, number + 1, STR_LIT("req_0123456789"), NULL) == 0, "encode");
}

static void decode(unsigned number)
{
    struct err err;
    (void)number;

    arena_reset(arena);
    hot_check(msg_decode(arena, buf_str(&frame), &msg, &err) == 0, "decode");
}

const struct hot hot_table[] = {{"encode", prepare, encode}, {"decode", prepare, decode}, {NULL, NULL, NULL}};
