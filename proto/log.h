/* Structured logs on stderr: `2024-01-01T00:00:00.000Z INFO scheduler GTY-LEASE-LOST req=… run=12 attempt=3 words for people`.
 *
 * The id comes first and is stable; key=value follow; prose is last. Secrets never appear. Text from outside is escaped.
 */
#ifndef GANTRY_PROTO_LOG_H
#define GANTRY_PROTO_LOG_H

#include "proto/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* service: "scheduler"; kept, not copied. level: below it nothing is printed. */
void log_init(const char *service, enum log_level level);
void log_set_level(enum log_level level);
int log_level_parse(struct str word); /* -1 for an unknown word */
const char *log_level_name(unsigned level);

/* "<6>", as the journal reads it, when stderr is the journal's (JOURNAL_STREAM); else "". */
const char *log_mark(enum log_level level);

/* The request id put on every line until it is changed; empty for none. Copied. */
void log_request(struct str rid);

/* id: "GTY-LEASE-LOST" without it being formatted; format: "run=%lu attempt=%u lease expired". */
void log_line(enum log_level level, const char *id, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A line as it was written, for whoever keeps them. Texts live during the call; escaped, well-formed UTF-8. */
struct log_said {
    uint64_t at; /* wall, ms */
    enum log_level level;
    const char *service, *code, *rid;
    struct str text; /* what stands behind the code */
};

/* Calls keep for every line, from whatever thread writes it; NULL: nobody. keep must neither wait nor write a line. Set while one
 * thread runs. */
void log_on_line(void (*keep)(void *self, const struct log_said *said), void *self);

struct log_counts { /* since the start */
    uint64_t lines;
    uint64_t unread; /* lost, as nobody read what they were written to */
    uint64_t unsent; /* lost on their way to the store; see ship.h */
};
struct log_counts log_counts(void);
void log_count_unsent(uint64_t lines);

#define log_debug(id, ...) log_line(LOG_DEBUG, id, __VA_ARGS__)
#define log_info(id, ...) log_line(LOG_INFO, id, __VA_ARGS__)
#define log_warn(id, ...) log_line(LOG_WARN, id, __VA_ARGS__)
#define log_error(id, ...) log_line(LOG_ERROR, id, __VA_ARGS__)

#endif
