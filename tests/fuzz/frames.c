#include "tests/fuzz/frames.h"

#include <math.h>
#include <stdlib.h>

#include "proto/arena.h"

#define ARENA_LIMIT ((size_t)16 << 20)
#define DEEP 4 /* nested records below this have only what they must */

static struct arena *arena;

uint64_t dice_throw(struct dice *dice, uint64_t sides)
{
    dice->state = dice->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return sides ? (dice->state >> 29) % sides : 0;
}

static void record_make(struct dice *dice, const struct shape *shape, void *value, int depth);

static int64_t number_make(struct dice *dice, const struct field *field)
{
    uint64_t span = (uint64_t)field->high - (uint64_t)field->low;
    switch (dice_throw(dice, 8)) {
    case 0:
        return field->high;
    case 1:
        return field->low;
    case 2:
        return (int64_t)((uint64_t)field->low + dice_throw(dice, span ? span : 1));
    case 3: /* one too many */
        return field->high < INT64_MAX ? field->high + 1 : field->high;
    default:
        return (int64_t)((uint64_t)field->low + dice_throw(dice, span < 4 ? span + 1 : 4));
    }
}

static struct str text_make(struct dice *dice, const struct field *field)
{
    static const char *const words[] = {
        "a",
        "b",
        "w0",
        "w1",
        "t0",
        "t1",
        "shell",
        "exec",
        "fetch",
        "hello",
        "1",
        "2",
        "{{a}}",
        "UTC",
        "Europe/Berlin",
        "*/5 * * * *",
        "@every 1s",
        "@at 2023-11-14T22:13:30Z",
        "@daily",
        "/tmp/x/out",
        "/tmp/x/.gantry-1-1.out",
        "out-{{run_id}}.bin",
        "created_at",
        "status",
        "spec.task_type",
        "priority",
        "id",
        "task_id",
        "worker-001",
        "GET http://127.0.0.1:9/",
        "",
    };
    struct str text = str_of(words[dice_throw(dice, sizeof words / sizeof *words)]);
    uint64_t len = field->high < 600 ? (uint64_t)field->high : 600;
    if (text.len < (uint64_t)field->low || dice_throw(dice, 24) == 0) {
        char *filled = arena_alloc(arena, len + 1);
        if (filled)
            memset(filled, 'x', len);
        text = (struct str){filled, filled ? (uint32_t)len : 0};
    }
    return text.len > (uint64_t)field->high ? str_cut(text, (uint32_t)field->high) : text;
}

static struct str copy(const struct buf *buf)
{
    return arena_str(arena, buf_str(buf));
}

/* A hash of few, or a record of any kind where one may stand. */
static struct str blob_make(struct dice *dice, const struct field *field, int depth)
{
    if (field->high <= 64) {
        char bytes[64] = {0};
        bytes[0] = (char)dice_throw(dice, 6);
        return arena_str(arena, (struct str){bytes, (uint32_t)(field->low > 16    ? field->low
                                                               : field->high < 16 ? field->high
                                                                                  : 16)});
    }
    const struct shape *const stored[] = {&shape_rec_run, &shape_rec_task, &shape_rec_task_stat, &shape_rec_worker};
    const struct shape *shape = dice_throw(dice, 3) ? stored[dice_throw(dice, 4)] : records_all[dice_throw(dice, records_count)];
    void *value = arena_alloc(arena, shape->size);
    struct buf bytes = {0};
    struct str made = {NULL, 0};
    if (value && depth < DEEP) {
        record_make(dice, shape, value, depth + 1);
        if (codec_encode_record(&bytes, shape, value, NULL) == 0)
            made = copy(&bytes);
    }
    buf_free(&bytes);
    return made;
}

static struct str map_make(struct dice *dice)
{
    static const struct str maps[] = {
        {NULL, 0},
        {"\x80", 1},
        {"\x81\xa1"
         "a\xa1"
         "b",
         5},
        {"\x81\xa8"
         "timezone\xad"
         "Europe/Berlin",
         24},
        {"\x81\xa7"
         "catchup\xa3"
         "all",
         13},
        {"\x81\xb2"
         "concurrency_policy\xa7"
         "replace",
         28},
        {"\x81\xb2"
         "concurrency_policy\xa6"
         "forbid",
         27},
        {"\x81\xb5"
         "on_dependency_failure\xa4"
         "wait",
         28},
        {"\x82\xa1"
         "a\x01\xa1"
         "a\x02",
         7},
    };
    return maps[dice_throw(dice, sizeof maps / sizeof *maps)];
}

static void items_make(struct dice *dice, const struct field *field, void *member, int depth)
{
    struct {
        char *items;
        uint32_t count;
    } *list = member;
    uint64_t count = (uint64_t)field->low + dice_throw(dice, dice_throw(dice, 30) == 0 ? 70 : 3);
    size_t size = field->kind == CODEC_STRS ? sizeof(struct str) : field->kind == CODEC_UINTS ? 8 : field->record->size;

    count = count > (uint64_t)field->high ? (uint64_t)field->high : count;
    list->items = arena_alloc(arena, count * size);
    list->count = list->items ? (uint32_t)count : 0;
    for (uint32_t i = 0; i < list->count; i++) {
        static const struct field word = {.low = 0, .high = 64};
        if (field->kind == CODEC_STRS)
            ((struct str *)(void *)list->items)[i] = text_make(dice, &word);
        else if (field->kind == CODEC_UINTS)
            ((uint64_t *)(void *)list->items)[i] = dice_throw(dice, 8);
        else
            record_make(dice, field->record, list->items + i * size, depth + 1);
    }
}

static void field_make(struct dice *dice, const struct field *field, void *value, int depth)
{
    static const double reals[] = {0, 1, 50, 99.5, 100, -1, 1e300};
    void *member = (char *)value + field->offset;

    *(uint64_t *)value |= UINT64_C(1) << field->key;
    switch ((enum codec_kind)field->kind) {
    case CODEC_BOOL:
        *(bool *)member = dice_throw(dice, 2);
        break;
    case CODEC_INT:
    case CODEC_UINT:
        *(int64_t *)member = number_make(dice, field);
        break;
    case CODEC_REAL:
        *(double *)member = reals[dice_throw(dice, sizeof reals / sizeof *reals)];
        break;
    case CODEC_STR:
        *(struct str *)member = text_make(dice, field);
        break;
    case CODEC_BLOB:
        *(struct str *)member = blob_make(dice, field, depth);
        break;
    case CODEC_MAP:
        *(struct str *)member = map_make(dice);
        break;
    case CODEC_NEST:
        record_make(dice, field->record, member, depth + 1);
        break;
    case CODEC_STRS:
    case CODEC_UINTS:
    case CODEC_LIST:
        items_make(dice, field, member, depth);
        break;
    }
}

static void record_make(struct dice *dice, const struct shape *shape, void *value, int depth)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        if (field->presence == CODEC_REQ || (depth < DEEP && dice_throw(dice, 3) == 0))
            field_make(dice, field, value, depth);
    }
}

static bool begin(void)
{
    if (!arena)
        arena = arena_new(ARENA_LIMIT);
    if (arena)
        arena_reset(arena);
    return arena != NULL;
}

/* What breaks the table cannot be encoded: it is thrown again. */
void frame_make(struct dice *dice, const struct shape *shape, struct buf *out)
{
    for (int tries = 0; tries < 20 && begin(); tries++) {
        void *value = arena_alloc(arena, shape->size);
        if (!value)
            return;
        record_make(dice, shape, value, 0);
        if (codec_encode(out, shape, value, dice_throw(dice, 3), (struct str){NULL, 0}, NULL) == 0)
            return;
    }
}

const struct shape *frame_shape(struct dice *dice, const uint16_t *ids)
{
    size_t count = 0;
    while (ids[count] != 0)
        count++;
    const struct shape *shape = message_shape(ids[dice_throw(dice, count)]);
    return shape ? shape : &shape_msg_ping;
}

void frame_change(struct dice *dice, struct str bytes, const uint16_t *ids, struct buf *out)
{
    static struct msg msg;
    struct err err = {0};

    if (!begin() || msg_decode(arena, bytes, &msg, &err) != 0) {
        frame_make(dice, frame_shape(dice, ids), out);
        return;
    }
    const struct shape *shape = msg.shape;
    for (uint64_t times = 1 + dice_throw(dice, 3); times > 0 && shape->count > 0; times--) {
        const struct field *field = &shape->fields[dice_throw(dice, shape->count)];
        if (field->presence != CODEC_REQ && dice_throw(dice, 4) == 0)
            *(uint64_t *)(void *)&msg.u &= ~(UINT64_C(1) << field->key);
        else
            field_make(dice, field, &msg.u, 0);
    }
    if (codec_encode(out, shape, &msg.u, msg.corr, msg.rid, NULL) != 0)
        frame_make(dice, shape, out);
}
