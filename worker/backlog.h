/* A run's log lines, held until the farm has them on disk.
 *
 * Bounded: at the limit the oldest lines go, whether they were sent or not; the farm sees from their numbers how many it missed.
 */
#ifndef GANTRY_WORKER_BACKLOG_H
#define GANTRY_WORKER_BACKLOG_H

#include "proto/log.h"
#include "proto/messages.h"

struct backlog_line; /* owned by the backlog */

struct backlog {
    struct backlog_line *first, *last;
    struct backlog_line *unsent; /* the first that was not sent in this session; NULL when all were */
    size_t bytes, limit;
    uint64_t next_seq; /* of the next line */
    uint64_t sent_seq; /* of the newest line sent in this session, or acknowledged */
    uint64_t acked_seq;
    uint64_t dropped; /* lines that went unacknowledged */
};

void backlog_init(struct backlog *backlog, size_t limit);
void backlog_clear(struct backlog *backlog);
/* Copies text, well-formed UTF-8 of at most 16 KiB. False when out of memory: the line is lost, its number too. */
bool backlog_add(struct backlog *backlog, uint64_t at, enum log_level level, enum log_stream stream, const char *text,
                 size_t len);
/* Fills chunk->lines and dropped with lines to send, at most max and 256 KiB on the wire; chunk borrows items (max of them) and the texts
 * until the next change. False when there is nothing to send. backlog_sent then takes note of them. */
bool backlog_peek(const struct backlog *backlog, struct rec_log_chunk *chunk, struct rec_log_line *items, uint32_t max);
void backlog_sent(struct backlog *backlog, const struct rec_log_chunk *chunk);
void backlog_acked(struct backlog *backlog, uint64_t seq);
void backlog_again(struct backlog *backlog);         /* a new session: everything not acknowledged is to be sent */
bool backlog_waiting(const struct backlog *backlog); /* something was sent and is not acknowledged */

#endif
