/* Answers read in a snapshot: pages of records, records by id, records for rebuilding.
 *
 * Rows are allocated from the arena; their bytes point into the snapshot and live as long as it does.
 * On -1 error is filled and can be sent as it is.
 */
#ifndef GANTRY_STORE_QUERY_H
#define GANTRY_STORE_QUERY_H

#include "store/kv.h"
#include "store/record.h"

#define QUERY_BYTES ((size_t)24 << 20) /* of one answer; more is ERR_LIMIT */
#define EVENTS_BYTES ((size_t)1 << 20) /* events' answers end here */
#define SCAN_BYTES ((size_t)8 << 20)   /* a scan's answer ends here and says that more follows */

/* max_rows: records it may look at (setting store.query_rows). */
int query_page(struct kv_txn *snapshot, struct arena *arena, uint64_t max_rows, const struct msg_query *msg,
               struct msg_query_rows *out, struct msg_error *error);
/* Tasks as they are shown (store/shown.h); in pages, of which nobody shows what a task waits for, as they are stored. */
int query_get(struct kv_txn *snapshot, struct arena *arena, const struct msg_get *get, struct msg_query_rows *out,
              struct msg_error *error);
int query_scan(struct kv_txn *snapshot, struct arena *arena, const struct msg_scan *scan, struct msg_scan_rows *out,
               struct msg_error *error);
int query_events(struct kv_txn *snapshot, struct arena *arena, const struct msg_event_read *read, struct msg_event_rows *out,
                 struct msg_error *error);
/* True when the run is there and its task is not being purged. */
bool query_run_visible(struct kv_txn *snapshot, uint64_t run_id);

#endif
