/* Lines of processes' logs (TYPE_LOG_ENTRY), the newest of them kept.
 *
 * They are soft: no batch, no place in the redo log, written by the committer when it has time for them, and lost when a process dies
 * before that. Their ids are made of their times, so that the order of ids is that of time, whoever sends them and when.
 */
#ifndef GANTRY_STORE_SYSLOG_H
#define GANTRY_STORE_SYSLOG_H

#include "store/index.h"

struct syslog_limits {
    uint64_t bytes;  /* of records kept; 0: none are */
    uint64_t age_ms; /* that the oldest may have */
};

struct syslog_lines { /* one LOG_LINES on its way */
    struct syslog_lines *next;
    uint32_t count; /* lines */
    uint32_t len;
    char frame[];
};

struct syslog; /* scratch of the thread that writes */

struct syslog *syslog_new(void);         /* NULL when out of memory */
void syslog_free(struct syslog *syslog); /* takes NULL */

/* Copies a message's frame. NULL when out of memory. */
struct syslog_lines *syslog_lines_new(struct str frame, uint32_t count);

/* Writes a list of them at wall_ms, and lets the oldest go that are over the limits, some more than it writes at the most. */
enum kv_result syslog_write(struct syslog *syslog, struct writer *writer, const struct syslog_limits *limits,
                            const struct syslog_lines *lines, uint64_t wall_ms);

/* Bytes of the records kept. */
uint64_t syslog_bytes(struct kv_txn *txn);

#endif
