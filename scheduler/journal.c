/* The journal: batches on their way to disk, and what may leave once they are there.
 *
 * One batch forms while others are under way. A command reserves room, changes memory, and appends records and letters (messages that
 * leave because of it) to the forming batch. Between commands the batch is sealed: its records become one BATCH frame with the next
 * sequence number, and it joins the queue with its letters. The frame stays until the store says that it is on disk; then the letters
 * leave, in order, and the doorbell rings.
 *
 * The forming batch is a draft (draft.c: records, each once with its newest value) and an outbox (outbox.c: letters and what the
 * doorbell says).
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
 *  6. A failed journal writes nothing more, and releases nothing that waits for the disk.
 */
#include "scheduler/journal.h"

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/draft.h"
#include "scheduler/outbox.h"

#define PIPELINE 8                   /* batches under way while the forming one may still grow */
#define SEAL_BYTES ((size_t)4 << 20) /* it is sealed at this size however long the pipeline is */
#define FRAME_MAX ((size_t)24 << 20) /* of records in one batch; below CODEC_FRAME_MAX with its overhead */
#define HELD_MAX ((size_t)64 << 20)  /* under way, forming and reserved */
#define SLACK_OPS 16u                /* for small drops that ride on a command (old keys, old events) */
#define SLACK_BYTES ((size_t)4096)
#define KEEP_BYTES ((size_t)1 << 20) /* a finished batch keeps a frame up to this size for the next one */
#define RETRY_MS 1000

struct batch {
    struct batch *next;
    uint64_t seq;
    uint64_t sealed_ms;
    struct buf frame;     /* made by the seal */
    struct outbox outbox; /* leaves once the frame is on disk */
    size_t held;
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
    struct draft draft;    /* its records */
    struct buf scratch;    /* a letter with its number and request id */
};

static const struct shape *const record_shapes[TYPE_MAX] = {
    [TYPE_TASK] = &shape_rec_task,
    [TYPE_TASK_STAT] = &shape_rec_task_stat,
    [TYPE_RUN] = &shape_rec_run,
    [TYPE_WORKER] = &shape_rec_worker,
    [TYPE_KEY] = &shape_rec_key,
    [TYPE_EVENT] = &shape_rec_event,
    [TYPE_FIRE] = &shape_rec_fire,
    [TYPE_WEBHOOK] = &shape_rec_webhook,
    [TYPE_DELIVERY] = &shape_rec_delivery,
    [TYPE_POOL] = &shape_rec_pool,
    [TYPE_AUDIT] = &shape_rec_audit,
    [TYPE_VIDEO] = &shape_rec_video,
    [TYPE_TRANSCODE_WORKER] = &shape_rec_transcode_worker,
    [TYPE_TRANSCODE_TASK] = &shape_rec_transcode_task,
    [TYPE_TRANSCODE_LOG] = &shape_rec_transcode_log,
    [TYPE_VIDEO_DETAIL] = &shape_rec_video_detail,
    [TYPE_TRANSCODE_CUT] = &shape_rec_transcode_cut,
    [TYPE_TRANSCODE_PACE] = &shape_rec_transcode_pace,
    [TYPE_TRANSCODE_TOTAL] = &shape_rec_transcode_total,
    [TYPE_VIDEO_CHECK] = &shape_rec_video_check,
    [TYPE_HEALTH_SWEEP] = &shape_rec_health_sweep,
    [TYPE_RECORDER_CONFIG] = &shape_rec_recorder_config,
    [TYPE_RECORDER_CYCLE] = &shape_rec_recorder_cycle,
    [TYPE_RECORDING] = &shape_rec_recording,
    [TYPE_RECORDER_STATE] = &shape_rec_recorder_state,
    [TYPE_RECORDER_DAY] = &shape_rec_recorder_day,
    [TYPE_RECORDER_GAPS] = &shape_rec_recorder_gaps,
    [TYPE_RECORDER_DISK] = &shape_rec_recorder_disk,
    [TYPE_RENDER_TASK] = &shape_rec_render_task,
    [TYPE_RENDER_FRAME] = &shape_rec_render_frame,
    [TYPE_ASSET] = &shape_rec_asset,
    [TYPE_ASSET_USE] = &shape_rec_asset_use,
    [TYPE_ASSET_NAME] = &shape_rec_asset_name,
    [TYPE_SCENE] = &shape_rec_scene,
    [TYPE_SCENE_NEEDS] = &shape_rec_scene_needs,
    [TYPE_SCENE_PAGE] = &shape_rec_scene_page,
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
        outbox_free(&batch->outbox);
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
    buf_reset(&batch->frame);
    if (batch->frame.size > KEEP_BYTES) {
        buf_free(&batch->frame);
    }
    outbox_reset(&batch->outbox);
    batch->seq = 0;
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
    return draft_bytes(&journal->draft) + (journal->forming != NULL ? outbox_bytes(&journal->forming->outbox) : 0);
}

static bool forming_empty(const struct journal *journal)
{
    return journal->draft.count == 0 && (journal->forming == NULL || outbox_empty(&journal->forming->outbox));
}

/* Room in every place where bytes and ops may go: which of them are records and which are letters is not known yet. */
static int room_make(struct journal *journal, size_t bytes, uint32_t ops)
{
    struct batch *batch = batch_forming(journal);

    if (batch == NULL || draft_reserve(&journal->draft, bytes, ops) != 0 || outbox_reserve(&batch->outbox, bytes, ops) != 0) {
        return -1;
    }
    if (buf_reserve(&batch->frame, draft_bytes(&journal->draft) + bytes + ops * DRAFT_OP) != 0) {
        batch->frame.failed = false; /* it is empty */
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
        outbox_deliver(&batch->outbox, &journal->port, &journal->scratch);
        batch_recycle(journal, batch);
    }
}

/* ---- the seal ---- */

/* Makes the frame and joins the queue. */
static void forming_seal(struct journal *journal)
{
    struct batch *batch = journal->forming;
    struct err err = {0};

    if (draft_encode(&journal->draft, journal->epoch, journal->next_seq, &batch->frame, &err) != 0) {
        journal_fail(journal, err.text);
        return;
    }
    batch->seq = journal->next_seq++;
    batch->sealed_ms = journal->now_ms;
    batch->held = batch->frame.len + outbox_bytes(&batch->outbox);
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
    draft_reset(&journal->draft);
    if (!journal->refused) {
        frames_send(journal);
    }
}

/* Letters alone, and nothing before them that they would have to wait for. */
static void forming_release(struct journal *journal)
{
    struct batch *batch = journal->forming;

    journal->forming = NULL;
    outbox_deliver(&batch->outbox, &journal->port, &journal->scratch);
    batch_recycle(journal, batch);
}

void journal_seal(struct journal *journal)
{
    if (journal->failed || forming_empty(journal)) {
        return;
    }
    if (journal->draft.count == 0) {
        if (journal->oldest == NULL) {
            forming_release(journal);
        }
        return;
    }
    if (journal->under_way < PIPELINE || forming_bytes(journal) >= SEAL_BYTES || journal->draft.count >= DRAFT_OPS / 2) {
        forming_seal(journal);
    }
}

/* ---- appending ---- */

int journal_reserve(struct journal *journal, size_t bytes, uint32_t ops, struct err *err)
{
    if (!journal_writable(journal)) {
        return err_set(err, ERR_UNAVAILABLE, "%s", journal_trouble(journal));
    }
    if (bytes > FRAME_MAX || ops > DRAFT_OPS - SLACK_OPS) {
        return err_set(err, ERR_LIMIT, "this changes more at once than one commit holds");
    }
    bytes += SLACK_BYTES;
    ops += SLACK_OPS;
    if (journal->held + forming_bytes(journal) + bytes > HELD_MAX) {
        return err_set(err, ERR_UNAVAILABLE, "the store does not keep up: %zu MiB wait for it", journal->held >> 20);
    }
    if (journal->draft.count > 0 &&
        (journal->draft.values.len + bytes > FRAME_MAX + SLACK_BYTES || journal->draft.count + ops > DRAFT_OPS)) {
        forming_seal(journal);
    }
    if (room_make(journal, bytes, ops) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    return 0;
}

static void op_append(struct journal *journal, enum store_op op, uint64_t type, uint64_t id, const struct shape *shape,
                      const void *value)
{
    struct err err = {0};

    if (journal->failed) {
        return;
    }
    if (batch_forming(journal) == NULL) {
        journal_fail(journal, "out of memory");
    } else if (draft_add(&journal->draft, op, type, id, shape, value, &err) != 0) {
        journal_fail(journal, err.text);
    }
}

void journal_put(struct journal *journal, enum record_type type, uint64_t id, const void *record)
{
    op_append(journal, OP_PUT, type, id, record_shapes[type], record);
}

void journal_delete(struct journal *journal, enum record_type type, uint64_t id)
{
    op_append(journal, OP_DELETE, type, id, NULL, NULL);
}

void journal_log(struct journal *journal, const struct rec_log_chunk *chunk)
{
    op_append(journal, OP_LOG, TYPE_RUN, chunk->run_id, &shape_rec_log_chunk, chunk);
}

void journal_purge_task(struct journal *journal, uint64_t task_id)
{
    op_append(journal, OP_PURGE_TASK, TYPE_TASK, task_id, NULL, NULL);
}

void journal_purge_runs(struct journal *journal, const struct rec_run_purge *purge)
{
    op_append(journal, OP_PURGE_RUNS, TYPE_RUN, purge->task_id, &shape_rec_run_purge, purge);
}

void journal_note_run(struct journal *journal, uint64_t run_id)
{
    struct batch *batch = batch_forming(journal);

    if (batch != NULL) {
        outbox_note_run(&batch->outbox, run_id);
    }
}

void journal_note_event(struct journal *journal, uint64_t event_id)
{
    struct batch *batch = batch_forming(journal);

    if (batch != NULL) {
        outbox_note_event(&batch->outbox, event_id);
    }
}

/* Without a reservation there may be no room. Then the letter is lost, as it may be on any socket: its receiver asks again. */
struct str journal_send(struct journal *journal, const struct address *to, const struct shape *shape, const void *value)
{
    static const struct msg_error broken = {.code = ERR_INTERNAL, .text = {"the answer cannot be put into a message", 39}};
    struct batch *batch = batch_forming(journal);
    struct err err = {0};
    struct str body = {0};

    if (batch != NULL && outbox_add(&batch->outbox, to, shape, value, &body, &err) != 0 && err.code != ERR_NO_MEMORY) {
        (void)outbox_add(&batch->outbox, to, &shape_msg_error, &broken, &body,
                         &err); /* the change stands: there must be an answer */
    }
    return body;
}

void journal_send_bytes(struct journal *journal, const struct address *to, struct str body)
{
    struct batch *batch = batch_forming(journal);

    if (batch != NULL) {
        (void)outbox_add_bytes(&batch->outbox, to, body);
    }
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
    draft_free(&journal->draft);
    buf_free(&journal->scratch);
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

uint64_t journal_forming(const struct journal *journal)
{
    return journal->next_seq;
}

bool journal_committed(const struct journal *journal, uint64_t seq)
{
    return seq < (journal->oldest != NULL ? journal->oldest->seq : journal->next_seq);
}

bool journal_writable(const struct journal *journal)
{
    return journal->connected && !journal->refused && !journal->failed;
}

bool journal_connected(const struct journal *journal)
{
    return journal->connected;
}

uint64_t journal_waits_ms(const struct journal *journal, uint64_t mono_ms)
{
    return journal->oldest != NULL && mono_ms > journal->oldest->sealed_ms ? mono_ms - journal->oldest->sealed_ms : 0;
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
