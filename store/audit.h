/* The audit log's lines: the newest are kept, by count and by age.
 *
 * A line that is put lets older ones go, a bounded number of them, now and then: nothing else has to look after it. So lines
 * grow old only as others come, and what is kept may be over the limits by AUDIT_TRIM_EVERY lines. */
#ifndef GANTRY_STORE_AUDIT_H
#define GANTRY_STORE_AUDIT_H

#include "store/index.h"
#include "store/limits.h"

#define AUDIT_TRIM_EVERY 64

/* Behind the put of this line. */
enum kv_result audit_trim(struct writer *writer, const struct store_limits *limits, uint64_t id, struct str line);

#endif
