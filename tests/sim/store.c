/* The store's process: one transaction for all that has arrived (rule 3), by the rules of store/group.c. It may die before its
 * transaction is on disk, behind it and before it has said so, or at any other time; freeze; and have a full disk. */
#include <stdlib.h>

#include "tests/sim/sim.h"

#define LINKS 4096

struct job { /* of a transaction: a batch or a claim */
    struct packet *packet;
    struct job *next;
};

static struct {
    bool up, committing;
    uint64_t start, frozen_until;
    struct job *first, *last;         /* waiting for the next transaction */
    struct job *group;                /* under way */
    uint32_t links;                   /* connections so far */
    uint8_t link_place[LINKS];        /* of a connection, by its number */
    uint64_t link_last[LINKS];        /* arrival of the newest answer */
    bool link_lost[LINKS];            /* what is under way on it is gone */
    uint32_t current[SCHEDS], holder; /* each scheduler's present connection; who was granted the epoch */
    /* on disk */
    uint64_t epoch, applied;
    struct arena *arena;
    struct buf out;
} store;

static void jobs_free(struct job *job)
{
    while (job) {
        struct job *next = job->next;
        free(job->packet);
        free(job);
        job = next;
    }
}

void store_free(void)
{
    jobs_free(store.first);
    jobs_free(store.group);
    arena_free(store.arena);
    buf_free(&store.out);
    memset(&store, 0, sizeof store);
}

void store_reset(void)
{
    store_free();
    store.arena = arena_new((size_t)512 << 20);
    store.up = true;
    store.start = 1;
}

bool store_up(void)
{
    return store.up;
}

uint64_t store_epoch(void)
{
    return store.epoch;
}

bool store_idle(void)
{
    return store.up && !store.committing && !store.first && store.frozen_until <= sim.now;
}

bool store_linked(uint32_t place)
{
    return store.current[place] != 0 && store.link_last[store.current[place] % LINKS] <= sim.now;
}

uint32_t store_accepts(uint32_t place)
{
    if (!store.up || store.frozen_until > sim.now)
        return 0;
    store.links++;
    store.link_place[store.links % LINKS] = (uint8_t)place;
    store.link_last[store.links % LINKS] = sim.now;
    store.link_lost[store.links % LINKS] = false;
    store.current[place] = store.links;
    return store.links;
}

static void answer(uint32_t link, const struct shape *shape, const void *value, uint64_t corr)
{
    struct err err = {0};
    uint32_t place = store.link_place[link % LINKS];
    if (store.current[place] != link)
        return; /* it has reconnected, and asks again */
    buf_reset(&store.out);
    if (codec_encode(&store.out, shape, value, corr, (struct str){0}, &err))
        broken(0, "the store cannot answer: %s", err.text);
    history_add(2000 + link, buf_str(&store.out));
    net_link(&store.link_last[link % LINKS], EVENT_REPLY, place, link, buf_str(&store.out), false);
}

/* ---- reads ---- */

static bool scan_wants(const struct msg_scan *scan, uint64_t id)
{
    return scan->field.len ? disk_run_is(id, scan->number) : disk_get((enum record_type)scan->type, id) != NULL;
}

static void scan_answer(uint32_t link, const struct msg *msg)
{
    const struct msg_scan *scan = &msg->u.scan;
    enum record_type type = (enum record_type)scan->type;
    uint64_t top = type == TYPE_RUN ? runs_top() : disk_top(type), id = scan->after + 1;
    struct rec_row *rows = arena_alloc(store.arena, scan->limit * sizeof *rows);
    uint32_t count = 0;
    uint64_t from = scan->field.len ? disk_live_first() : disk_first(type);
    for (id = id < from ? from : id; id < top && count < scan->limit; id++) {
        if (!scan_wants(scan, id))
            continue;
        const struct kept *record = disk_get(type, id);
        rows[count++] = (struct rec_row){.id = id, .value = {record->bytes, record->len}};
    }
    struct msg_scan_rows answered = {.rows = {rows, count}, .end = id >= top};
    answer(link, &shape_msg_scan_rows, &answered, msg->corr);
}

/* ---- transactions ---- */

static void commit_begin(void)
{
    if (store.committing || !store.first || !store.up)
        return;
    store.committing = true;
    store.group = store.first;
    store.first = store.last = NULL;
    uint64_t ms = 1 + below(3);
    if (one_in(2000) && !sim.calm)
        ms = about(3000); /* the disk has other things to do */
    uint64_t from = store.frozen_until > sim.now ? store.frozen_until : sim.now;
    wheel_add(from + ms, EVENT_COMMIT, 0, NULL, store.start);
}

void store_packet(struct packet *packet)
{
    struct err err = {0};
    static struct msg msg;
    if (!store.up || store.link_lost[packet->from % LINKS]) {
        free(packet);
        return;
    }
    if (store.frozen_until > sim.now) {
        wheel_add(store.frozen_until, EVENT_STORE, 0, packet, 0);
        return;
    }
    struct codec_envelope envelope;
    if (codec_open((struct str){packet->bytes, packet->len}, &envelope, &err))
        broken(0, "the scheduler sends the store what is no message: %s", err.text);
    if (envelope.id == MSG_SCAN) {
        arena_reset(store.arena);
        if (msg_decode(store.arena, (struct str){packet->bytes, packet->len}, &msg, &err))
            broken(0, "a scan cannot be decoded: %s", err.text);
        scan_answer(packet->from, &msg);
        free(packet);
        return;
    }
    struct job *job = malloc(sizeof *job);
    *job = (struct job){.packet = packet};
    *(store.last ? &store.last->next : &store.first) = job;
    store.last = job;
    commit_begin();
}

static void claim_apply(uint32_t link, const struct msg *msg)
{
    uint64_t next[TYPE_MAX] = {1};
    if (msg->u.epoch_claim.epoch && msg->u.epoch_claim.epoch != store.epoch) {
        struct msg_epoch_stale stale = {.epoch = store.epoch};
        answer(link, &shape_msg_epoch_stale, &stale, msg->corr);
        return;
    }
    if (!msg->u.epoch_claim.epoch) {
        struct msg_epoch_stale stale = {.epoch = ++store.epoch};
        store.applied = 0;
        if (store.holder && store.holder != link)
            answer(store.holder, &shape_msg_epoch_stale, &stale, 0);
    }
    store.holder = link;
    scheds[store.link_place[link % LINKS]].granted = store.epoch;
    scheds[store.link_place[link % LINKS]].claims++;
    for (int type = 1; type < TYPE_MAX; type++)
        next[type] = disk_top((enum record_type)type);
    struct msg_epoch_grant grant = {.epoch = store.epoch, .applied = store.applied, .next_ids = {next, TYPE_MAX}};
    answer(link, &shape_msg_epoch_grant, &grant, msg->corr);
}

/* True: acknowledged. Everything else is answered here. */
static bool batch_apply(uint32_t link, const struct msg *msg, struct str frame)
{
    const struct msg_batch *batch = &msg->u.batch;
    if (batch->epoch != store.epoch) {
        struct msg_epoch_stale stale = {.epoch = store.epoch};
        answer(link, &shape_msg_epoch_stale, &stale, 0);
        return false;
    }
    check_frame(batch->epoch, batch->seq, frame);
    if (batch->seq <= store.applied)
        return true;
    if (batch->seq > store.applied + 1) {
        struct msg_batch_resume resume = {.epoch = store.epoch, .seq = store.applied + 1};
        sim.resumes++;
        answer(link, &shape_msg_batch_resume, &resume, 0);
        return false;
    }
    if (sim.disk_full) {
        struct msg_batch_refused refused = {.epoch = store.epoch, .seq = batch->seq, .text = STR_LIT("the disk is full")};
        sim.refused++;
        answer(link, &shape_msg_batch_refused, &refused, 0);
        return false;
    }
    for (uint32_t i = 0; i < batch->ops.count; i++)
        disk_apply(&batch->ops.items[i]);
    limits_batch();
    shelf_batch();
    ledger_batch();
    store.applied = batch->seq;
    sim.batches++;
    return true;
}

void store_commit(uint64_t number)
{
    static struct msg msg;
    if (!store.up || number != store.start)
        return;
    if (store.frozen_until > sim.now) {
        wheel_add(store.frozen_until, EVENT_COMMIT, 0, NULL, store.start);
        return;
    }
    if (step_comes(STEP_STORE_ARRIVED)) {
        store_kill(1 + about(1500));
        return;
    }
    bool dies = step_comes(STEP_STORE_APPLIED);
    struct job *group = store.group;
    store.group = NULL;
    store.committing = false;
    int told = -1;      /* whose batch was acknowledged: its place */
    uint32_t acked = 0; /* an acknowledgement that the next one covers is not sent */
    if (dies)
        memset(store.current, 0, sizeof store.current); /* nobody hears of it */
    for (struct job *job = group; job; job = job->next) {
        struct err err = {0};
        struct str frame = {job->packet->bytes, job->packet->len};
        arena_reset(store.arena);
        if (msg_decode(store.arena, frame, &msg, &err))
            broken(0, "the scheduler sends the store what cannot be decoded: %s", err.text);
        bool ack = msg.shape->id == MSG_BATCH_APPLY && batch_apply(job->packet->from, &msg, frame);
        if (msg.shape->id == MSG_EPOCH_CLAIM)
            claim_apply(job->packet->from, &msg);
        acked = ack ? job->packet->from : acked;
        told = ack ? store.link_place[job->packet->from % LINKS] : told;
        if (acked && (!ack || !job->next || job->next->packet->from != acked)) {
            struct msg_batch_ack said = {.epoch = store.epoch, .seq = store.applied};
            answer(acked, &shape_msg_batch_ack, &said, 0);
            acked = 0;
        }
    }
    jobs_free(group);
    if (dies)
        store_kill(1 + about(1500));
    commit_begin();
    if (told >= 0 && scheds[told].alive && scheds[told].frozen_until <= sim.now && step_comes(STEP_BATCH_APPLIED))
        sched_kill((uint32_t)told);
}

/* ---- its life ---- */

void store_link_break(uint32_t place, bool lost)
{
    store.link_lost[store.current[place] % LINKS] = lost;
    store.current[place] = 0;
    if (scheds[place].alive)
        ground_link_down(scheds[place].loop);
}

void store_kill(uint64_t down_ms)
{
    if (!store.up)
        return;
    history_add(2000, (struct str){"kill", 4});
    sim.store_kills++;
    jobs_free(store.first);
    jobs_free(store.group);
    store.first = store.last = store.group = NULL;
    store.up = store.committing = false;
    store.holder = 0;
    store.start++;
    store.frozen_until = 0;
    for (uint32_t i = 0; i < SCHEDS; i++)
        store_link_break(i, true);
    wheel_add(sim.now + down_ms, EVENT_BACK, 0, NULL, 0);
}

void store_back(void)
{
    store.up = true;
}

void store_freeze(uint64_t ms)
{
    if (store.up && store.frozen_until < sim.now + ms) {
        store.frozen_until = sim.now + ms;
        sim.freezes++;
    }
}
