/* Records as they are shown: tasks name what they wait for by the names of this moment (proto/depends.h). */
#ifndef GANTRY_STORE_SHOWN_H
#define GANTRY_STORE_SHOWN_H

#include "store/kv.h"
#include "store/record.h"

/* *value, a task as it is stored: the same, or another in the arena. */
enum kv_result shown_task(struct kv_txn *snapshot, struct arena *arena, struct str *value);

#endif
