#include "proto/messages.h"

/* ---- descriptors ---- */

#define REC(low, doc) static const struct field fields_rec_##low[] = {
#define MSG(up, low, id, from, to, doc) static const struct field fields_msg_##low[] = {
#define ROW(owner, key, presence, kind, name, low, high, record, doc)                                                            \
    {#name, (key), CODEC_##presence, CODEC_##kind, offsetof(struct owner, name), (low), (high), record, doc},
#define FIELD(owner, key, presence, kind, name, low, high, doc) ROW(owner, key, presence, kind, name, low, high, NULL, doc)
#define NEST(owner, key, presence, record, name, doc) ROW(owner, key, presence, NEST, name, 0, 0, &shape_rec_##record, doc)
#define LIST(owner, key, presence, record, name, low, high, doc)                                                                 \
    ROW(owner, key, presence, LIST, name, low, high, &shape_rec_##record, doc)
/* The last row is empty: some messages have no fields, and an array cannot be. */
#define END(owner)                                                                                                               \
    {                                                                                                                            \
        .name = NULL                                                                                                             \
    }                                                                                                                            \
    }                                                                                                                            \
    ;
#include "proto/messages.def"
#undef ROW

#define ROWS(owner) .fields = fields_##owner, .count = sizeof fields_##owner / sizeof fields_##owner[0] - 1
#define REC(low, doc_)                                                                                                           \
    const struct shape shape_rec_##low = {#low, 0, PARTY_ANY, PARTY_ANY, sizeof(struct rec_##low), ROWS(rec_##low), .doc = doc_, \
                                          .required = 0
#define MSG(up, low, id, from, to, doc_)                                                                                         \
    const struct shape shape_msg_##low = {#low, (id), PARTY_##from, PARTY_##to, sizeof(struct msg_##low), ROWS(msg_##low),       \
                                          .doc = doc_, .required = 0
#define REQUIRED(key, presence) | (CODEC_##presence == CODEC_REQ ? UINT64_C(1) << (key) : 0)
#define FIELD(owner, key, presence, kind, name, low, high, doc) REQUIRED(key, presence)
#define NEST(owner, key, presence, record, name, doc) REQUIRED(key, presence)
#define LIST(owner, key, presence, record, name, low, high, doc) REQUIRED(key, presence)
#define END(owner)                                                                                                               \
    }                                                                                                                            \
    ;
#include "proto/messages.def"
#undef ROWS
#undef REQUIRED

/* ---- the lists of all ---- */

const struct shape *const messages_all[] = {
#define MSG(up, low, id, from, to, doc) &shape_msg_##low,
#include "proto/messages.def"
};

const struct shape *const records_all[] = {
#define REC(low, doc) &shape_rec_##low,
#include "proto/messages.def"
};

const size_t messages_count = sizeof messages_all / sizeof messages_all[0];
const size_t records_count = sizeof records_all / sizeof records_all[0];

const struct shape *message_shape(uint64_t id)
{
    switch (id) {
#define MSG(up, low, id, from, to, doc)                                                                                          \
    case MSG_##up:                                                                                                               \
        return &shape_msg_##low;
#include "proto/messages.def"
    default:
        return NULL;
    }
}

/* ---- words ---- */

#define COUNT(words) (sizeof(words) / sizeof(words)[0])

static const char *word_name(const char *const *words, size_t count, uint64_t number)
{
    return number < count && words[number] != NULL ? words[number] : "?";
}

static int word_parse(const char *const *words, size_t count, struct str word)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i] != NULL && str_is(word, words[i])) {
            return (int)i;
        }
    }
    return -1;
}

static const char *const priorities[] = {
    [PRIORITY_LOW] = "low", [PRIORITY_NORMAL] = "normal", [PRIORITY_HIGH] = "high", [PRIORITY_CRITICAL] = "critical"};
static const char *const task_statuses[] = {
    [TASK_ACTIVE] = "active", [TASK_PAUSED] = "paused", [TASK_COMPLETED] = "completed", [TASK_FAILED] = "failed"};
static const char *const run_statuses[] = {[RUN_PENDING] = "pending",
                                           [RUN_RUNNING] = "running",
                                           [RUN_COMPLETED] = "completed",
                                           [RUN_FAILED] = "failed",
                                           [RUN_ABORTED] = "aborted"};
static const char *const worker_statuses[] = {
    [WORKER_ACTIVE] = "active", [WORKER_DRAINING] = "draining", [WORKER_OFFLINE] = "offline"};
static const char *const delivery_statuses[] = {
    [DELIVERY_PENDING] = "pending", [DELIVERY_DELIVERED] = "delivered", [DELIVERY_FAILED] = "failed"};
static const char *const outcomes[] = {
    [OUTCOME_OPEN] = "open",        [OUTCOME_COMPLETED] = "completed", [OUTCOME_FAILED] = "failed",
    [OUTCOME_TIMEOUT] = "timeout",  [OUTCOME_ABORTED] = "aborted",     [OUTCOME_LOST] = "lost",
    [OUTCOME_RETURNED] = "returned"};
static const char *const error_codes[] = {[ERR_BAD_REQUEST] = "bad_request",
                                          [ERR_INVALID] = "invalid",
                                          [ERR_NOT_FOUND] = "not_found",
                                          [ERR_CONFLICT] = "conflict",
                                          [ERR_KEY_REUSED] = "key_reused",
                                          [ERR_LIMIT] = "limit",
                                          [ERR_UNAVAILABLE] = "unavailable",
                                          [ERR_UNKNOWN_OUTCOME] = "unknown_outcome",
                                          [ERR_FORBIDDEN] = "forbidden",
                                          [ERR_PROTOCOL] = "protocol",
                                          [ERR_NO_MEMORY] = "no_memory",
                                          [ERR_INTERNAL] = "internal",
                                          [ERR_IO] = "io"};

static const char *const fire_outcomes[] = {[FIRE_RAN] = "ran", [FIRE_LATE] = "late", [FIRE_SKIPPED] = "skipped"};
static const char *const fire_reasons[] = {[FIRE_IN_TIME] = "",
                                           [FIRE_MISSED] = "missed",
                                           [FIRE_FULL] = "farm_full",
                                           [FIRE_STORE_AWAY] = "store_away",
                                           [FIRE_PAUSED] = "paused",
                                           [FIRE_OVERLAP] = "overlap_forbidden",
                                           [FIRE_REPLACED] = "replaced",
                                           [FIRE_CATCHUP_NONE] = "catchup_none",
                                           [FIRE_CATCHUP_ONE] = "catchup_one",
                                           [FIRE_CATCHUP_LIMIT] = "catchup_limit",
                                           [FIRE_CHANGED] = "schedule_changed",
                                           [FIRE_REFUSED] = "refused"};

const char *priority_name(uint64_t priority)
{
    return word_name(priorities, COUNT(priorities), priority);
}

const char *task_status_name(uint64_t status)
{
    return word_name(task_statuses, COUNT(task_statuses), status);
}

const char *run_status_name(uint64_t status)
{
    return word_name(run_statuses, COUNT(run_statuses), status);
}

const char *worker_status_name(uint64_t status)
{
    return word_name(worker_statuses, COUNT(worker_statuses), status);
}

const char *outcome_name(uint64_t outcome)
{
    return word_name(outcomes, COUNT(outcomes), outcome);
}

const char *delivery_status_name(uint64_t status)
{
    return word_name(delivery_statuses, COUNT(delivery_statuses), status);
}

const char *error_code_name(uint64_t code)
{
    return word_name(error_codes, COUNT(error_codes), code);
}

const char *fire_outcome_name(uint64_t outcome)
{
    return word_name(fire_outcomes, COUNT(fire_outcomes), outcome);
}

const char *fire_reason_name(uint64_t reason)
{
    return word_name(fire_reasons, COUNT(fire_reasons), reason);
}

int priority_parse(struct str word)
{
    return word_parse(priorities, COUNT(priorities), word);
}

int task_status_parse(struct str word)
{
    return word_parse(task_statuses, COUNT(task_statuses), word);
}

int run_status_parse(struct str word)
{
    return word_parse(run_statuses, COUNT(run_statuses), word);
}

int worker_status_parse(struct str word)
{
    return word_parse(worker_statuses, COUNT(worker_statuses), word);
}

int fire_outcome_parse(struct str word)
{
    return word_parse(fire_outcomes, COUNT(fire_outcomes), word);
}

int delivery_status_parse(struct str word)
{
    return word_parse(delivery_statuses, COUNT(delivery_statuses), word);
}
