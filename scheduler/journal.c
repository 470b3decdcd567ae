/* The journal: batches on their way to disk, and what may leave once they are there.
 *
 * One batch forms while others are under way. A command reserves room, changes memory, and appends records and letters (messages that
 * leave because of it) to the forming batch. Between commands the batch is sealed: its records become one BATCH frame with the next
 * sequence number, and it joins the queue with its letters. The frame stays until the store says that it is on disk; then the letters
 * leave, in order, and the doorbell rings.
 *
 * Records are encoded once, when they are put, into `values`; the frame is made from them at the seal in one pass. So a record
 * that is put again needs no surgery in a finished frame: its operation just points to the newer bytes, and stays in its place, before
 * whatever was appended behind it. A small hash of (type, id) finds it.
 *
 * Letters without records do not make a batch: while something is under way they stay in the forming one, and go with the
 * next records or when the queue is empty, whichever is first. So at most one batch holds them, and their number is bounded.
 *
 * `unsent` is the first batch of the queue not handed to the present connection. It moves back when the store asks to resume or
 * the connection is new, and forward as the port takes frames. The store takes repeats for what they are, so
 * sending again is always safe; sending too little never is.
 *
 * Invariants:
 *  1. The queue holds exactly the sequences acked+1 … next-1, in order, each once; every one has records.
 *  2. A letter is delivered when its batch and all before it are acknowledged in this epoch, once, in the order of appending.
 *  3. Frames go out in the order of their sequences; none goes out while disconnected, and only the oldest open one while refused.
 *  4. Whatever was appended between two seals, and so whatever belongs to one command, is in one batch.
 *  5. What is held (queue, forming, and room reserved) never passes HELD_MAX by more than one command.
 *  6. A failed journal sends and delivers nothing more.
 */
#include "scheduler/journal.h"

#include <stdio.h>
#include <stdlib.h>

#define PIPELINE 8                      /* batches under way while the forming one may still grow */
#define SEAL_BYTES ((size_t)4 << 20)    /* it is sealed at this size however long the pipeline is */
#define FRAME_MAX ((size_t)24 << 20)    /* of records in one batch; below CODEC_FRAME_MAX with its overhead */
#define HELD_MAX ((size_t)64 << 20)     /* under way, forming and reserved */
#define OPS_MAX 65536u                  /* msg_batch.ops */
#define OP_BYTES ((size_t)32)           /* what a frame adds to a record */
#define HEAD_BYTES ((size_t)64)         /* what a frame adds to its records */
#define SLACK_OPS 16u                   /* for small drops that ride on a command (old keys, old events) */
#define SLACK_BYTES ((size_t)4096)
#define KEEP_BYTES ((size_t)1 << 20)    /* a finished batch keeps buffers up to this size for the next one */
#define RETRY_MS 1000

struct letter {
    struct address to;
    size_t at, len; /* in the batch's text */
};

struct batch {
    struct batch *next;
    uint64_t seq;
    struct buf frame; /* made by the seal */
    struct buf text;  /* of its letters, encoded without corr and rid */
    struct letter *letters;
    uint32_t letter_count, letter_size;
    uint64_t *runs; /* for the doorbell */
    uint32_t run_count, run_size;
    uint64_t last_event;
    size_t held;
};

struct slot { /* of the hash over the forming batch's records */
    uint32_t stamp; /* of the batch it belongs to: older ones count as empty */
    uint32_t op;
};

struct journal {
    struct journal_port port;
    uint64_t epoch, next_seq;
    bool connected, refused, failed;
    bool resumed; /* a resume was followed since the last progress: its repeats change nothing */
    uint64_t resumed_seq;
    uint64_t now_ms, probed_ms;
    char trouble[512 + 64];

    struct batch *oldest, *newest, *unsent;
    uint32_t under_way;
    size_t held;
    uint64_t committed;
    struct batch *spares;
    uint32_t spare_count;

    struct batch *forming; /* NULL until something is appended */
    struct buf values;
    struct rec_op *ops; /* value.ptr is set by the seal */
    size_t *starts;     /* of each operation's value in values */
    uint32_t op_count, op_size;
    struct slot *slots;
    uint32_t slot_size; /* a power of two, over twice the records it holds */
    uint32_t stamp;

    struct buf scratch; /* a letter with its number and request id */
};

static const struct shape *const record_shapes[TYPE_MAX] = {
    [TYPE_TASK] = &shape_rec_task,     [TYPE_TASK_STAT] = &shape_rec_task_stat, [TYPE_RUN] = &shape_rec_run,
    [TYPE_WORKER] = &shape_rec_worker, [TYPE_KEY] = &shape_rec_key,             [TYPE_EVENT] = &shape_rec_event,
};

static void journal_fail(struct journal *journal, const char *why)
{
    if (!journal->failed) {
        journal->failed = true;
        snprintf(journal->trouble, sizeof journal->trouble, "the journal has failed: %s", why);
    }
}

/* ---- batches ---- */

static void batch_free(struct batch *batch)
{
    if (batch != NULL) {
        buf_free(&batch->frame);
        buf_free(&batch->text);
        free(batch->letters);
        free(batch->runs);
        free(batch);
    }
}

/* Empties it for another use; big buffers go. */
static void batch_recycle(struct journal *journal, struct batch *batch)
{
    if (journal->spare_count > PIPELINE) {
        batch_free(batch);
        return;
    }
    if (batch->frame.size + batch->text.size > KEEP_BYTES) {
        buf_free(&batch->frame);
        buf_free(&batch->text);
    }
    buf_reset(&batch->frame);
    buf_reset(&batch->text);
    batch->letter_count = batch->run_count = 0;
    batch->last_event = batch->seq = 0;
    batch->next = journal->spares;
    journal->spares = batch;
    journal->spare_count++;
}

/* The forming batch; NULL when out of memory. */
static struct batch *batch_forming(struct journal *journal)
{
    if (journal->forming == NULL && journal->spares != NULL) {
        journal->forming = journal->spares;
        journal->spares = journal->forming->next;
        journal->forming->next = NULL;
        journal->spare_count--;
    } else if (journal->forming == NULL) {
        journal->forming = calloc(1, sizeof *journal->forming);
    }
    return journal->forming;
}

static size_t forming_bytes(const struct journal *journal)
{
    const struct batch *batch = journal->forming;
    size_t letters = batch != NULL ? batch->text.len + batch->letter_count * sizeof(struct letter) : 0;

    return journal->values.len + journal->op_count * OP_BYTES + letters;
}

static bool forming_empty(const struct journal *journal)
{
    const struct batch *batch = journal->forming;

    return journal->op_count == 0 &&
           (batch == NULL || (batch->letter_count == 0 && batch->run_count == 0 && batch->last_event == 0));
}

/* ---- room ---- */

/* Makes room for `more` behind count; 0, or -1 when out of memory. */
static int grow(void **items, uint32_t *size, uint32_t count, uint32_t more, size_t each)
{
    if (*size - count >= more) {
        return 0;
    }
    uint32_t want = *size > 0 ? *size : 64;
    while (want - count < more) {
        want *= 2;
    }
    void *grown = realloc(*items, want * each);
    if (grown == NULL) {
        return -1;
    }
    *items = grown;
    *size = want;
    return 0;
}

static uint32_t slot_of(const struct journal *journal, uint64_t type, uint64_t id)
{
    uint64_t mixed = (id ^ type << 58) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(mixed >> 32) & (journal->slot_size - 1);
}

/* The slot of a record: its own, or the empty one where it belongs. */
static struct slot *slot_find(const struct journal *journal, uint64_t type, uint64_t id)
{
    for (uint32_t at = slot_of(journal, type, id);; at = (at + 1) & (journal->slot_size - 1)) {
        struct slot *slot = &journal->slots[at];
        if (slot->stamp != journal->stamp) {
            return slot;
        }
        const struct rec_op *op = &journal->ops[slot->op];
        if (op->id == id && op->type == type) {
            return slot;
        }
    }
}

static int slots_grow(struct journal *journal, uint32_t ops)
{
    uint32_t size = journal->slot_size > 0 ? journal->slot_size : 128;

    while (size / 2 <= ops) {
        size *= 2;
    }
    if (size == journal->slot_size) {
        return 0;
    }
    struct slot *slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    free(journal->slots);
    journal->slots = slots;
    journal->slot_size = size;
    for (uint32_t i = 0; i < journal->op_count; i++) {
        const struct rec_op *op = &journal->ops[i];
        if (op->op == OP_PUT || op->op == OP_DELETE) {
            *slot_find(journal, op->type, op->id) = (struct slot){journal->stamp, i};
        }
    }
    return 0;
}

static int ops_grow(struct journal *journal, uint32_t more)
{
    uint32_t size = journal->op_size;

    if (grow((void **)&journal->starts, &size, journal->op_count, more, sizeof *journal->starts) != 0 ||
        grow((void **)&journal->ops, &journal->op_size, journal->op_count, more, sizeof *journal->ops) != 0) {
        return -1;
    }
    return slots_grow(journal, journal->op_count + more);
}

static int letters_grow(struct batch *batch, uint32_t more)
{
    return grow((void **)&batch->letters, &batch->letter_size, batch->letter_count, more, sizeof *batch->letters);
}

/* Room in every place where bytes and ops may go: which of them are records and which are letters is not known yet. */
static int room_make(struct journal *journal, size_t bytes, uint32_t ops)
{
    struct batch *batch = batch_forming(journal);

    if (batch == NULL || ops_grow(journal, ops) != 0 || letters_grow(batch, ops) != 0 ||
        buf_reserve(&journal->values, bytes) != 0 || buf_reserve(&batch->text, bytes) != 0 ||
        buf_reserve(&batch->frame, HEAD_BYTES + journal->values.len + bytes + (journal->op_count + ops) * OP_BYTES) != 0) {
        journal->values.failed = false;
        if (batch != NULL) {
            batch->text.failed = batch->frame.failed = false;
        }
        return -1;
    }
    return 0;
}

/* ---- out: frames to the store, letters to peers ---- */

/* Hands over what is open: all of it, or while the store refuses writes just the first, as a question. */
static void frames_send(struct journal *journal)
{
    while (journal->connected && !journal->failed && journal->unsent != NULL) {
        if (journal->port.send_batch(journal->port.self, buf_str(&journal->unsent->frame)) != 0) {
            return;
        }
        journal->unsent = journal->unsent->next;
        if (journal->refused) {
            return;
        }
    }
}

static void letter_deliver(struct journal *journal, const struct batch *batch, const struct letter *letter)
{
    struct str body = {batch->text.data + letter->at, (uint32_t)letter->len};
    struct str rid = str_of(letter->to.rid);

    if (letter->to.corr != 0 || rid.len > 0) {
        buf_reset(&journal->scratch);
        if (codec_address(&journal->scratch, body, letter->to.corr, rid, NULL) != 0) {
            return; /* out of memory: the peer asks again */
        }
        body = buf_str(&journal->scratch);
    }
    journal->port.deliver(journal->port.self, &letter->to, body);
}

/* What the batch holds back leaves now. */
static void batch_release(struct journal *journal, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        letter_deliver(journal, batch, &batch->letters[i]);
    }
    if (batch->last_event != 0 || batch->run_count > 0) {
        journal->port.committed(journal->port.self, batch->last_event, batch->runs, batch->run_count);
    }
}

/* Takes everything up to seq off the queue and releases it. */
static void queue_commit(struct journal *journal, uint64_t seq)
{
    while (journal->oldest != NULL && journal->oldest->seq <= seq) {
        struct batch *batch = journal->oldest;
        journal->oldest = batch->next;
        if (journal->oldest == NULL) {
            journal->newest = NULL;
        }
        if (journal->unsent == batch) {
            journal->unsent = batch->next;
        }
        journal->held -= batch->held;
        journal->under_way--;
        journal->committed++;
        journal->resumed = false;
        batch_release(journal, batch);
        batch_recycle(journal, batch);
    }
}

/* ---- the seal ---- */

static void forming_reset(struct journal *journal)
{
    journal->op_count = 0;
    buf_reset(&journal->values);
    if (journal->values.size > KEEP_BYTES + SEAL_BYTES) {
        buf_free(&journal->values);
    }
    if (++journal->stamp == 0) { /* wrapped: marks of four thousand million batches ago would count again */
        memset(journal->slots, 0, journal->slot_size * sizeof *journal->slots);
        journal->stamp = 1;
    }
}

/* Makes the frame and joins the queue. */
static void forming_seal(struct journal *journal)
{
    struct batch *batch = journal->forming;
    struct msg_batch msg = {.epoch = journal->epoch, .seq = journal->next_seq};
    struct err err = {0};

    for (uint32_t i = 0; i < journal->op_count; i++) {
        journal->ops[i].value.ptr = journal->values.data + journal->starts[i];
    }
    msg.ops = (struct rec_op_list){journal->ops, journal->op_count};
    if (msg_encode_batch(&batch->frame, &msg, 0, (struct str){0}, &err) != 0) {
        journal_fail(journal, err.text);
        return;
    }
    batch->seq = journal->next_seq++;
    batch->held = batch->frame.len + batch->text.len + batch->letter_count * sizeof(struct letter);
    batch->next = NULL;
    journal->held += batch->held;
    journal->under_way++;
    if (journal->newest != NULL) {
        journal->newest->next = batch;
    } else {
        journal->oldest = batch;
    }
    journal->newest = batch;
    if (journal->unsent == NULL) {
        journal->unsent = batch;
    }
    journal->forming = NULL;
    forming_reset(journal);
    if (!journal->refused) {
        frames_send(journal);
    }
}

/* Letters alone, and nothing before them that they would have to wait for. */
static void forming_release(struct journal *journal)
{
    struct batch *batch = journal->forming;

    journal->forming = NULL;
    batch_release(journal, batch);
    batch_recycle(journal, batch);
}

void journal_seal(struct journal *journal)
{
    if (journal->failed || forming_empty(journal)) {
        return;
    }
    if (journal->op_count == 0) {
        if (journal->oldest == NULL) {
            forming_release(journal);
        }
        return;
    }
    if (journal->under_way < PIPELINE || forming_bytes(journal) >= SEAL_BYTES || journal->op_count >= OPS_MAX / 2) {
        forming_seal(journal);
    }
}

/* ---- appending ---- */

int journal_reserve(struct journal *journal, size_t bytes, uint32_t ops, struct err *err)
{
    if (!journal_writable(journal)) {
        return err_set(err, ERR_UNAVAILABLE, "%s", journal_trouble(journal));
    }
    if (bytes > FRAME_MAX || ops > OPS_MAX - SLACK_OPS) {
        return err_set(err, ERR_LIMIT, "this changes more at once than one commit holds");
    }
    bytes += SLACK_BYTES;
    ops += SLACK_OPS;
    if (journal->held + forming_bytes(journal) + bytes > HELD_MAX) {
        return err_set(err, ERR_UNAVAILABLE, "the store does not keep up: %zu MiB wait for it", journal->held >> 20);
    }
    if (journal->op_count > 0 &&
        (journal->values.len + bytes > FRAME_MAX + SLACK_BYTES || journal->op_count + ops > OPS_MAX)) {
        forming_seal(journal);
    }
    if (room_make(journal, bytes, ops) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    return 0;
}

/* Adds an operation whose value is values[start…]; the newest of one record wins, in the place of the first. */
static void op_add(struct journal *journal, struct rec_op op, size_t start)
{
    struct slot *slot = NULL;

    op.value.len = (uint32_t)(journal->values.len - start);
    if (op.op == OP_PUT || op.op == OP_DELETE) {
        slot = slot_find(journal, op.type, op.id);
        if (slot->stamp == journal->stamp) {
            struct rec_op *known = &journal->ops[slot->op];
            if (known->value.len == op.value.len && op.value.len > 0) { /* counters mostly keep their size */
                memcpy(journal->values.data + journal->starts[slot->op], journal->values.data + start, op.value.len);
                journal->values.len = start;
                start = journal->starts[slot->op];
            }
            *known = op;
            journal->starts[slot->op] = start;
            return;
        }
    }
    if (slot != NULL) {
        *slot = (struct slot){journal->stamp, journal->op_count};
    }
    journal->starts[journal->op_count] = start;
    journal->ops[journal->op_count++] = op;
}

static void op_append(struct journal *journal, struct rec_op op, const struct shape *shape, const void *value)
{
    struct err err = {0};
    size_t start = journal->values.len;

    if (journal->failed) {
        return;
    }
    if (batch_forming(journal) == NULL || ops_grow(journal, 1) != 0) {
        journal_fail(journal, "out of memory");
        return;
    }
    if (shape != NULL && codec_encode_record(&journal->values, shape, value, &err) != 0) {
        journal_fail(journal, err.text);
        return;
    }
    op_add(journal, op, start);
}

void journal_put(struct journal *journal, enum record_type type, uint64_t id, const void *record)
{
    op_append(journal, (struct rec_op){.op = OP_PUT, .type = type, .id = id}, record_shapes[type], record);
}

void journal_delete(struct journal *journal, enum record_type type, uint64_t id)
{
    op_append(journal, (struct rec_op){.op = OP_DELETE, .type = type, .id = id}, NULL, NULL);
}

void journal_log(struct journal *journal, const struct rec_log_chunk *chunk)
{
    op_append(journal, (struct rec_op){.op = OP_LOG, .id = chunk->run_id}, &shape_rec_log_chunk, chunk);
}

void journal_purge_task(struct journal *journal, uint64_t task_id)
{
    op_append(journal, (struct rec_op){.op = OP_PURGE_TASK, .type = TYPE_TASK, .id = task_id}, NULL, NULL);
}

void journal_note_run(struct journal *journal, uint64_t run_id)
{
    struct batch *batch = batch_forming(journal);

    if (batch == NULL || batch->run_count == OPS_MAX ||
        (batch->run_count > 0 && batch->runs[batch->run_count - 1] == run_id) ||
        grow((void **)&batch->runs, &batch->run_size, batch->run_count, 1, sizeof *batch->runs) != 0) {
        return; /* the doorbell is soft */
    }
    batch->runs[batch->run_count++] = run_id;
}

void journal_note_event(struct journal *journal, uint64_t event_id)
{
    struct batch *batch = batch_forming(journal);

    if (batch != NULL && event_id > batch->last_event) {
        batch->last_event = event_id;
    }
}

static struct str letter_add(struct batch *batch, const struct address *to, size_t start)
{
    size_t len = batch->text.len - start;

    batch->letters[batch->letter_count++] = (struct letter){*to, start, len};
    return (struct str){batch->text.data + start, (uint32_t)len};
}

struct str journal_send(struct journal *journal, const struct address *to, const struct shape *shape, const void *value)
{
    struct batch *batch = batch_forming(journal);
    struct err err = {0};

    if (batch == NULL || letters_grow(batch, 1) != 0) {
        journal_fail(journal, "out of memory");
        return (struct str){0};
    }
    size_t start = batch->text.len;
    if (codec_encode(&batch->text, shape, value, 0, (struct str){0}, &err) != 0) {
        /* The change stands, so there must be an answer, and one that can be sent. */
        struct msg_error error = {.code = ERR_INTERNAL, .text = str_of(err.text)};
        if (codec_encode(&batch->text, &shape_msg_error, &error, 0, (struct str){0}, &err) != 0) {
            journal_fail(journal, err.text);
            return (struct str){0};
        }
    }
    return letter_add(batch, to, start);
}

void journal_send_bytes(struct journal *journal, const struct address *to, struct str body)
{
    struct batch *batch = batch_forming(journal);

    if (batch == NULL || letters_grow(batch, 1) != 0 || buf_add(&batch->text, body.ptr, body.len) != 0) {
        journal_fail(journal, "out of memory");
        return;
    }
    letter_add(batch, to, batch->text.len - body.len);
}

void journal_send_now(struct journal *journal, const struct address *to, const struct shape *shape, const void *value)
{
    buf_reset(&journal->scratch);
    if (codec_encode(&journal->scratch, shape, value, to->corr, str_of(to->rid), NULL) == 0) {
        journal->port.deliver(journal->port.self, to, buf_str(&journal->scratch));
    }
}

/* ---- what the store said ---- */

void journal_acked(struct journal *journal, uint64_t epoch, uint64_t seq)
{
    if (journal->failed || epoch != journal->epoch) {
        return; /* of an epoch before this one */
    }
    if (seq >= journal->next_seq) {
        journal_fail(journal, "the store acknowledges a batch that was never made");
        return;
    }
    if (journal->refused && journal->oldest != NULL && seq >= journal->oldest->seq) {
        journal->refused = false;
    }
    queue_commit(journal, seq);
    frames_send(journal);
}

/* The batch with that sequence becomes the next to send; NULL in unsent when all are applied. -1: it is not there any more. */
static int unsent_from(struct journal *journal, uint64_t seq)
{
    uint64_t first = journal->oldest != NULL ? journal->oldest->seq : journal->next_seq;

    if (seq < first || seq > journal->next_seq) {
        journal_fail(journal, "the store asks for a batch that it has acknowledged, or that was never made");
        return -1;
    }
    struct batch *batch = journal->oldest;
    while (batch != NULL && batch->seq < seq) {
        batch = batch->next;
    }
    journal->unsent = batch;
    return 0;
}

void journal_resume(struct journal *journal, uint64_t seq)
{
    /* Every batch behind a gap asks for the same: one answer is enough until something moves or a second has passed. */
    if (journal->failed || !journal->connected || journal->refused || (journal->resumed && journal->resumed_seq == seq)) {
        return;
    }
    if (unsent_from(journal, seq) == 0) {
        journal->resumed = true;
        journal->resumed_seq = seq;
        frames_send(journal);
    }
}

void journal_refused(struct journal *journal, uint64_t seq, struct str why)
{
    if (journal->failed || journal->oldest == NULL || seq < journal->oldest->seq || seq >= journal->next_seq) {
        return; /* about a batch that has got through since */
    }
    journal->refused = true;
    journal->unsent = journal->oldest;
    journal->probed_ms = journal->now_ms;
    snprintf(journal->trouble, sizeof journal->trouble, "the store refuses writes: %.*s", (int)(why.len < 512 ? why.len : 512),
             why.len > 0 ? why.ptr : "");
}

void journal_reconnected(struct journal *journal, uint64_t applied)
{
    if (journal->failed) {
        return;
    }
    if (applied >= journal->next_seq) {
        journal_fail(journal, "the store has applied a batch that was never made");
        return;
    }
    if (unsent_from(journal, applied + 1) == 0) {
        journal->connected = true;
        journal->refused = false;
        journal->resumed = false;
        queue_commit(journal, applied);
        frames_send(journal);
    }
}

void journal_disconnected(struct journal *journal)
{
    journal->connected = false;
}

void journal_tick(struct journal *journal, uint64_t mono_ms)
{
    journal->now_ms = mono_ms;
    if (mono_ms - journal->probed_ms < RETRY_MS) {
        return;
    }
    journal->probed_ms = mono_ms;
    journal->resumed = false;
    if (journal->refused && journal->oldest != NULL) {
        journal->unsent = journal->oldest;
    }
    frames_send(journal);
}

/* ---- life ---- */

struct journal *journal_new(const struct journal_port *port)
{
    struct journal *journal = calloc(1, sizeof *journal);

    if (journal != NULL) {
        journal->port = *port;
        journal->next_seq = 1;
        journal->stamp = 1;
    }
    return journal;
}

void journal_free(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    while (journal->oldest != NULL) {
        struct batch *batch = journal->oldest;
        journal->oldest = batch->next;
        batch_free(batch);
    }
    while (journal->spares != NULL) {
        struct batch *batch = journal->spares;
        journal->spares = batch->next;
        batch_free(batch);
    }
    batch_free(journal->forming);
    buf_free(&journal->values);
    buf_free(&journal->scratch);
    free(journal->ops);
    free(journal->starts);
    free(journal->slots);
    free(journal);
}

void journal_begin(struct journal *journal, uint64_t epoch)
{
    journal->epoch = epoch;
    journal->connected = true;
}

bool journal_idle(const struct journal *journal)
{
    return journal->oldest == NULL && forming_empty(journal);
}

bool journal_writable(const struct journal *journal)
{
    return journal->connected && !journal->refused && !journal->failed;
}

const char *journal_trouble(const struct journal *journal)
{
    if (journal->failed || (journal->refused && journal->connected)) {
        return journal->trouble;
    }
    return journal->connected ? "" : "the store is not there";
}

bool journal_failed(const struct journal *journal)
{
    return journal->failed;
}

uint64_t journal_batches(const struct journal *journal)
{
    return journal->committed;
}
