/* Records are encoded once, when they are added, and the frame is made from them in one pass at the end. So a record that is put
 * again needs no surgery in a finished frame: its operation just points to the newer bytes, and stays in its place. */
#include "scheduler/draft.h"

#include <stdlib.h>

#define KEEP_BYTES ((size_t)5 << 20) /* of values, over a reset */

void draft_free(struct draft *draft)
{
    buf_free(&draft->values);
    free(draft->ops);
    free(draft->starts);
    free(draft->slots);
    *draft = (struct draft){0};
}

void draft_reset(struct draft *draft)
{
    draft->count = 0;
    buf_reset(&draft->values);
    if (draft->values.size > KEEP_BYTES) {
        buf_free(&draft->values);
    }
    if (++draft->stamp == 0) { /* wrapped: marks of four thousand million drafts ago would count again */
        memset(draft->slots, 0, draft->slot_size * sizeof *draft->slots);
        draft->stamp = 1;
    }
}

int draft_grow(void **items, uint32_t *size, uint32_t count, uint32_t more, size_t each)
{
    uint32_t want = *size > 0 ? *size : 64;

    if (*size - count >= more) {
        return 0;
    }
    while (want - count < more) {
        want *= 2;
    }
    void *grown = realloc(*items, want * each);
    if (grown == NULL) {
        return -1;
    }
    *items = grown;
    *size = want;
    return 0;
}

/* ---- the hash ---- */

static bool op_is_record(const struct rec_op *op)
{
    return op->op == OP_PUT || op->op == OP_DELETE;
}

/* The slot of a record: its own, or the empty one where it belongs. */
static struct draft_slot *slot_find(const struct draft *draft, uint64_t type, uint64_t id)
{
    uint32_t mask = draft->slot_size - 1;
    uint64_t mixed = (id ^ (type << 58)) * UINT64_C(0x9e3779b97f4a7c15);

    for (uint32_t at = (uint32_t)(mixed >> 32) & mask;; at = (at + 1) & mask) {
        struct draft_slot *slot = &draft->slots[at];
        if (slot->stamp != draft->stamp) {
            return slot;
        }
        const struct rec_op *op = &draft->ops[slot->op];
        if (op->id == id && op->type == type) {
            return slot;
        }
    }
}

static int slots_grow(struct draft *draft, uint32_t ops)
{
    uint32_t size = draft->slot_size > 0 ? draft->slot_size : 128;

    while (size / 2 <= ops) {
        size *= 2;
    }
    if (size == draft->slot_size) {
        return 0;
    }
    struct draft_slot *slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    free(draft->slots);
    draft->slots = slots;
    draft->slot_size = size;
    draft->stamp = draft->stamp > 0 ? draft->stamp : 1; /* zeroed slots are empty */
    for (uint32_t i = 0; i < draft->count; i++) {
        if (op_is_record(&draft->ops[i])) {
            *slot_find(draft, draft->ops[i].type, draft->ops[i].id) = (struct draft_slot){draft->stamp, i};
        }
    }
    return 0;
}

/* ---- the calls ---- */

int draft_reserve(struct draft *draft, size_t bytes, uint32_t ops)
{
    uint32_t size = draft->size;

    if (draft_grow((void **)&draft->starts, &size, draft->count, ops, sizeof *draft->starts) != 0 ||
        draft_grow((void **)&draft->ops, &draft->size, draft->count, ops, sizeof *draft->ops) != 0 ||
        slots_grow(draft, draft->count + ops) != 0) {
        return -1;
    }
    if (buf_reserve(&draft->values, bytes) != 0) {
        draft->values.failed = false; /* what it holds is whole */
        return -1;
    }
    return 0;
}

/* A record that is there already gets the value that begins at `start`. */
static void op_replace(struct draft *draft, uint32_t at, struct rec_op op, size_t start)
{
    size_t known = draft->starts[at];

    if (draft->ops[at].value.len == op.value.len &&
        op.value.len > 0) { /* counters mostly keep their size: no bytes are left behind */
        memcpy(draft->values.data + known, draft->values.data + start, op.value.len);
        draft->values.len = start;
        start = known;
    }
    draft->ops[at] = op;
    draft->starts[at] = start;
}

int draft_add(struct draft *draft, enum store_op op, uint64_t type, uint64_t id, const struct shape *shape, const void *value,
              struct err *err)
{
    struct rec_op row = {.op = op, .type = type, .id = id};
    size_t start = draft->values.len;

    if (draft_reserve(draft, 0, 1) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (shape != NULL && codec_encode_record(&draft->values, shape, value, err) != 0) {
        return -1;
    }
    if (draft->values.len - start > DRAFT_VALUE) {
        size_t size = draft->values.len - start;
        draft->values.len = start;
        return err_set(err, ERR_LIMIT, "a record of %zu bytes, at most %u are written", size, DRAFT_VALUE);
    }
    row.value.len = (uint32_t)(draft->values.len - start);
    if (op_is_record(&row)) {
        struct draft_slot *slot = slot_find(draft, type, id);
        if (slot->stamp == draft->stamp) {
            op_replace(draft, slot->op, row, start);
            return 0;
        }
        *slot = (struct draft_slot){draft->stamp, draft->count};
    }
    draft->starts[draft->count] = start;
    draft->ops[draft->count++] = row;
    return 0;
}

size_t draft_bytes(const struct draft *draft)
{
    return DRAFT_FRAME + draft->values.len + draft->count * DRAFT_OP;
}

int draft_encode(struct draft *draft, uint64_t epoch, uint64_t seq, struct buf *frame, struct err *err)
{
    struct msg_batch batch = {.epoch = epoch, .seq = seq, .ops = {draft->ops, draft->count}};

    for (uint32_t i = 0; i < draft->count; i++) {
        draft->ops[i].value.ptr = draft->ops[i].value.len > 0 ? draft->values.data + draft->starts[i] : NULL;
    }
    return msg_encode_batch(frame, &batch, 0, (struct str){0}, err);
}
