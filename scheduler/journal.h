/* The journal: what the scheduler decided, on its way to disk (rules 2 and 3).
 *
 * The core changes its memory and appends records here; what is to leave because of it (answers, assignments,
 * acknowledgements) is appended to the same batch and leaves only when the store has committed that batch.
 * Batches have a sequence within an epoch and pipeline: the next forms while earlier ones are under way.
 * The journal does no I/O: it hands batches and messages to its port, and is told what came back.
 *
 * Invariants: messages leave in the order they were appended; a command's records are in one batch (the batch is sealed only
 * between commands); the same (type, id) put twice in a forming batch is sent once, with the newest value.
 */
#ifndef GANTRY_SCHEDULER_JOURNAL_H
#define GANTRY_SCHEDULER_JOURNAL_H

#include "proto/bus.h"
#include "proto/messages.h"

enum door {
    DOOR_COMMANDS,
    DOOR_WORKERS,
    DOOR_EITHER
}; /* the two sockets peers come in by; a route, but no peer, may be of either */

struct address {
    enum door door;
    struct bus_peer peer;
    uint64_t corr; /* 0: not an answer */
    char rid[65];  /* request id, NUL-terminated */
};

struct journal_port {
    void *self;
    /* Hands an encoded BATCH to the store; -1 when it cannot be reached now (the journal sends again when told it is back). */
    int (*send_batch)(void *self, struct str frame);
    /* Delivers an encoded message whose cause is on disk. Failure is the port's to count; receivers ask again. */
    void (*deliver)(void *self, const struct address *to, struct str frame);
    /* Something committed: for the doorbell. */
    void (*committed)(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count);
};

struct journal;

struct journal *journal_new(const struct journal_port *port); /* copies port; NULL when out of memory */
void journal_free(struct journal *journal);                   /* takes NULL */

/* Writes go out with this epoch from sequence 1 on. */
void journal_begin(struct journal *journal, uint64_t epoch);

/* Makes room so that the appends of one command cannot fail; -1 with err (ERR_UNAVAILABLE: the store is away or refuses writes,
 * or the queue towards it is full; ERR_LIMIT: more than one batch can hold; ERR_NO_MEMORY). Called once a command, before it
 * changes memory (rule 4) and before its first append: it may seal what earlier commands appended. bytes: a bound on what it
 * appends, encoded; ops: how many records and messages. One record is at most 1 MiB (rec_op.value). */
int journal_reserve(struct journal *journal, size_t bytes, uint32_t ops, struct err *err);

/* Appends to the forming batch. record is a struct rec_… of that type. These cannot fail after journal_reserve. */
void journal_put(struct journal *journal, enum record_type type, uint64_t id, const void *record);
void journal_delete(struct journal *journal, enum record_type type, uint64_t id);
void journal_log(struct journal *journal, const struct rec_log_chunk *chunk);
void journal_purge_task(struct journal *journal, uint64_t task_id); /* its runs, logs and statistics go, in chunks */
void journal_purge_runs(struct journal *journal, const struct rec_run_purge *purge); /* ended runs go, in chunks */
void journal_note_run(struct journal *journal, uint64_t run_id);                     /* named in the doorbell of this batch */
void journal_note_event(struct journal *journal, uint64_t event_id);

/* What leaves when the forming batch is committed. A batch of messages without records is delivered once all earlier batches are
 * committed. journal_send answers the encoded bytes (without corr and rid), valid until the next call, for idempotency keys. */
struct str journal_send(struct journal *journal, const struct address *to, const struct shape *shape, const void *value);
void journal_send_bytes(struct journal *journal, const struct address *to, struct str body); /* encoded without corr and rid */

/* Delivers at once, ahead of everything: for refusals that changed nothing (the store is away, a limit) and for reads of what is
 * only true this second. Needs no reservation; out of memory drops it, and the peer asks again. */
void journal_send_now(struct journal *journal, const struct address *to, const struct shape *shape, const void *value);

/* The batch that is forming, and whether one is on disk, so that what waited for it has left. */
uint64_t journal_forming(const struct journal *journal);
bool journal_committed(const struct journal *journal, uint64_t seq);

/* Seals the forming batch if the pipeline has room and hands it over. Called between commands only. */
void journal_seal(struct journal *journal);

/* What the store said. */
void journal_acked(struct journal *journal, uint64_t epoch, uint64_t seq);
void journal_resume(struct journal *journal, uint64_t seq);                  /* send again from here */
void journal_refused(struct journal *journal, uint64_t seq, struct str why); /* writes are refused; journal_tick sends it again */
void journal_reconnected(struct journal *journal, uint64_t applied);         /* as acked, then sends again what is open */
void journal_disconnected(struct journal *journal);
void journal_tick(struct journal *journal, uint64_t mono_ms);

bool journal_idle(const struct journal *journal);      /* nothing forming, nothing under way */
bool journal_writable(const struct journal *journal);  /* connected and not refused */
bool journal_connected(const struct journal *journal); /* the store is there, whatever it says */
/* How long the oldest batch under way has waited to be on disk, at this time; 0: none does. */
uint64_t journal_waits_ms(const struct journal *journal, uint64_t mono_ms);
const char *journal_trouble(const struct journal *journal); /* why not; "" if it is */
/* Memory and disk can no longer be brought together (an append without room, a store that lost what it had acknowledged):
 * nothing more is written or sent, and the host must exit; the next start rebuilds from what is on disk. */
bool journal_failed(const struct journal *journal);
uint64_t journal_batches(const struct journal *journal); /* committed so far */

#endif
