/* Idempotency keys and their answers (rule 4): committed with the effect, rebuilt at start. */
#ifndef GANTRY_SCHEDULER_KEY_H
#define GANTRY_SCHEDULER_KEY_H

#include "scheduler/journal.h"

struct keys;

#define KEYS_BYTES ((size_t)1 << 30) /* of answers in memory; the oldest leave beyond it, whatever the limits say */

struct keys *keys_new(uint64_t max, uint64_t max_age_ms); /* NULL when out of memory */
void keys_free(struct keys *keys);                        /* takes NULL */
void keys_limits(struct keys *keys, uint64_t max, uint64_t max_age_ms);

enum key_verdict {
    KEY_NEW,   /* go on */
    KEY_KNOWN, /* *answer holds the first answer, to be sent again: it leaves behind its own commit, as the journal keeps order */
    KEY_REUSED, /* the same key with another body */
};

/* answer borrows from keys until the next keys_ call. */
enum key_verdict keys_find(const struct keys *keys, const struct rec_idem *idem, struct str *answer);

/* Remembers the answer in memory and in the journal's forming batch, and drops what is over the limits. Room for it has been
 * reserved: -1 only when out of memory, before anything changed. next_id: the key record's id. */
int keys_reserve(struct keys *keys);
int keys_reserve_many(struct keys *keys, uint32_t count); /* for that many keys_store, of answers of up to 512 KiB in sum */
void keys_store(struct keys *keys, struct journal *journal, const struct rec_idem *idem, struct str answer, uint64_t now_ms);

/* Rebuilding: a stored key; records come in the order of their ids. */
int keys_load(struct keys *keys, const struct rec_key *key);
void keys_next_id(struct keys *keys, uint64_t id);
uint64_t keys_newest_at(const struct keys *keys); /* created_at of the newest; 0: there is none */
/* Drops a bounded number of those over the limits; a command of its own (it reserves). keys_store drops up to two besides, within the
 * slack of its command's reservation. */
void keys_expire(struct keys *keys, struct journal *journal, uint64_t now_ms);
uint64_t keys_count(const struct keys *keys);

#endif
