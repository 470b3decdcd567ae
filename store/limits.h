/* How much is kept of what grows by itself (settings). */
#ifndef GANTRY_STORE_LIMITS_H
#define GANTRY_STORE_LIMITS_H

#include <stdint.h>

struct store_limits {
    uint64_t log_lines, log_bytes; /* of a run */
    uint64_t fires, fires_ms;      /* of a task's ledger: how many, and how old; 0: any */
    uint64_t audits, audits_ms;    /* lines of the audit log, likewise */
};

#endif
