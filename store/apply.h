/* The changes of a batch: looked at as a whole first, then made, so that a batch with a bad change changes nothing. */
#ifndef GANTRY_STORE_APPLY_H
#define GANTRY_STORE_APPLY_H

#include "store/index.h"
#include "store/logs.h"

struct apply; /* scratch for decoding */

struct apply *apply_new(void);        /* NULL when out of memory */
void apply_free(struct apply *apply); /* takes NULL */

/* 0 when every change can be made; -1 with err naming the first that cannot (ERR_INVALID, ERR_NO_MEMORY). */
int apply_check(struct apply *apply, const struct rec_op *ops, uint32_t count, struct err *err);

/* Makes checked changes. removals: how many records and lines deletes may still remove at once in this transaction. */
enum kv_result apply_ops(struct apply *apply, struct writer *writer, const struct store_limits *limits, const struct rec_op *ops,
                         uint32_t count, uint32_t *removals);

#endif
