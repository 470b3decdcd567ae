/* What leaves when a batch is on disk: letters (messages that leave because of it), and what the doorbell says of it. */
#ifndef GANTRY_SCHEDULER_OUTBOX_H
#define GANTRY_SCHEDULER_OUTBOX_H

#include "scheduler/journal.h"

struct letter;

struct outbox {      /* zeroed, it is empty and ready */
    struct buf text; /* of its letters, encoded without corr and rid */
    struct letter *letters;
    uint32_t count, size;
    uint64_t *runs; /* for the doorbell */
    uint32_t run_count, run_size;
    uint64_t last_event;
};

void outbox_free(struct outbox *outbox);
void outbox_reset(struct outbox *outbox);
bool outbox_empty(const struct outbox *outbox);
size_t outbox_bytes(const struct outbox *outbox);

/* Room for that many letters, of bytes in all; -1 when out of memory. */
int outbox_reserve(struct outbox *outbox, size_t bytes, uint32_t letters);

/* Adds a letter; -1 with err. *body (may be NULL): its bytes, valid until the next letter. */
int outbox_add(struct outbox *outbox, const struct address *to, const struct shape *shape, const void *value, struct str *body,
               struct err *err);
int outbox_add_bytes(struct outbox *outbox, const struct address *to, struct str body);
void outbox_note_run(struct outbox *outbox, uint64_t run_id); /* soft: dropped when out of memory */
void outbox_note_event(struct outbox *outbox, uint64_t event_id);

/* Delivers everything in order, then rings. scratch: for letters that get their number and request id. */
void outbox_deliver(const struct outbox *outbox, const struct journal_port *port, struct buf *scratch);

#endif
