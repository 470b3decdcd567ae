/* The records of a batch being formed: each (type, id) once, with its newest value, in the place where it was first put. */
#ifndef GANTRY_SCHEDULER_DRAFT_H
#define GANTRY_SCHEDULER_DRAFT_H

#include "proto/messages.h"

#define DRAFT_OPS 65536u         /* msg_batch.ops */
#define DRAFT_FRAME ((size_t)64) /* what a frame adds to its records */
#define DRAFT_OP ((size_t)32)    /* and to each of them */
#define DRAFT_VALUE (1u << 20)   /* of one record: rec_op.value */

struct draft_slot { /* of the hash over its records */
    uint32_t stamp; /* of the draft it belongs to: older ones count as empty */
    uint32_t op;
};

struct draft {          /* zeroed, it is empty and ready */
    struct buf values;  /* encoded records */
    struct rec_op *ops; /* value.ptr is set when the frame is made */
    size_t *starts;     /* of each operation's value in values */
    uint32_t count, size;
    struct draft_slot *slots;
    uint32_t slot_size; /* a power of two, over twice the records it holds */
    uint32_t stamp;
};

void draft_free(struct draft *draft);
void draft_reset(struct draft *draft); /* empties, keeps memory of a usual size */

/* Room for that many operations, of bytes in all; -1 when out of memory. */
int draft_reserve(struct draft *draft, size_t bytes, uint32_t ops);

/* Adds one. shape and value (the record) are NULL for operations without a value. -1 with err: out of memory, or the record breaks
 * its bounds or DRAFT_VALUE; nothing is added. */
int draft_add(struct draft *draft, enum store_op op, uint64_t type, uint64_t id, const struct shape *shape, const void *value,
              struct err *err);

/* Bytes of the frame it would make, at most. */
size_t draft_bytes(const struct draft *draft);
/* Appends the BATCH frame. */
int draft_encode(struct draft *draft, uint64_t epoch, uint64_t seq, struct buf *frame, struct err *err);

/* Makes room for `more` behind count items of `each` bytes; 0, or -1 when out of memory. */
int draft_grow(void **items, uint32_t *size, uint32_t count, uint32_t more, size_t each);

#endif
