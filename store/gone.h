/* How many runs of each task were removed while the task stays: its statistics count them still. */
#ifndef GANTRY_STORE_GONE_H
#define GANTRY_STORE_GONE_H

#include "store/kv.h"
#include "store/record.h"

struct gone_run { /* what is read of a run that goes */
    uint64_t task_id, status, completed_at;
};
int gone_read(struct str value, struct gone_run *run); /* -1: it is no run */

#define GONE_KEY 12

struct gone { /* of one task */
    uint64_t completed, failed, aborted;
};

void gone_count(struct gone *gone, uint64_t status); /* one more that has ended so */
enum kv_result gone_add(struct kv_txn *batch, const struct gone_run *run);
enum kv_result gone_set(struct kv_txn *batch, uint64_t task_id, const struct gone *gone);
enum kv_result gone_forget(struct kv_txn *batch, uint64_t task_id); /* the task is deleted */
struct gone gone_get(struct kv_txn *txn, uint64_t task_id);
bool gone_is_key(struct str key); /* of the table meta */

#endif
