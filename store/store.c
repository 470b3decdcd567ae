#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/log.h"
#include "store/commit.h"
#include "store/count.h"
#include "store/hold.h"
#include "store/intake.h"
#include "store/key.h"
#include "store/kv_file.h"
#include "store/measure.h"
#include "store/query.h"
#include "store/schema.h"

#define READ_ARENA ((size_t)32 << 20)
#define ACK_RETRY_MS 100

_Static_assert(TABLE_ALL <= KV_TABLES_MAX, "the database has room for a table of each record type");

struct store {
    struct loop *loop;
    const struct settings *settings;
    struct kv *kv;
    struct committer *committer;
    struct redo *redo; /* NULL: none */
    struct intake *intake;
    struct hold hold;
    int hold_timer; /* made ahead: more of what is held can be answered */
    struct bus_server *server;
    struct arena *arena; /* of the answer being made */
    uint64_t started_ms, queries;
    bool failed;
    bool settles; /* the loop's hook is ours */

    struct bus_peer holder; /* who has been granted the epoch; len 0: nobody since the start */
    struct {                /* an acknowledgement the holder's queue had no room for */
        uint64_t epoch, seq;
        int timer; /* made ahead */
    } late;

    struct rec_count counts[32]; /* of a PONG */
    struct stats stats;
    struct buf lines; /* of our own log, as a message */
    char trouble[300];
};

/* ---- what the committer did ---- */

static void store_send(struct store *store, const struct bus_peer *peer, const struct shape *shape, const void *value,
                       uint64_t corr, const char *rid)
{
    struct err err = {0};
    if (bus_send(store->server, peer, shape, value, corr, str_of(rid), &err) != 0)
        log_line(err.code == ERR_NOT_FOUND ? LOG_DEBUG : LOG_WARN, "GTY-STORE-UNSENT", "message=%s %s", shape->name, err.text);
}

static void ack_send(struct store *store, const struct bus_peer *peer, uint64_t epoch, uint64_t seq, uint64_t corr,
                     const char *rid);

static void ack_again(void *arg)
{
    struct store *store = arg;
    ack_send(store, &store->holder, store->late.epoch, store->late.seq, 0, "");
}

/* An acknowledgement covers all earlier ones, so it is enough that the newest arrives in the end. */
static void ack_send(struct store *store, const struct bus_peer *peer, uint64_t epoch, uint64_t seq, uint64_t corr,
                     const char *rid)
{
    struct msg_batch_ack ack = {.epoch = epoch, .seq = seq};
    struct err err = {0};
    if (bus_send(store->server, peer, &shape_msg_batch_ack, &ack, corr, str_of(rid), &err) == 0 || err.code != ERR_LIMIT)
        return; /* gone: it claims its epoch again and learns what is applied */
    store->late.epoch = epoch;
    store->late.seq = seq;
    loop_set(store->loop, store->late.timer, ACK_RETRY_MS, 0);
}

static void stale_send(struct store *store, const struct bus_peer *peer, uint64_t epoch, uint64_t corr, const char *rid)
{
    struct msg_epoch_stale stale = {.epoch = epoch};
    store_send(store, peer, &shape_msg_epoch_stale, &stale, corr, rid);
}

static void grant_send(struct store *store, const struct job *job)
{
    if (job->epoch == 0 && store->holder.len > 0 && memcmp(&store->holder, &job->peer, sizeof job->peer) != 0)
        stale_send(store, &store->holder, job->answer_epoch, 0, "");
    store->holder = job->peer;
    struct msg_epoch_grant grant = {.epoch = job->answer_epoch,
                                    .applied = job->answer_seq,
                                    .next_ids = {(uint64_t *)(uintptr_t)job->next_ids, TYPE_MAX}}; /* only read */
    log_info("GTY-STORE-EPOCH", "epoch=%lu applied=%lu", (unsigned long)grant.epoch, (unsigned long)grant.applied);
    store_send(store, &job->peer, &shape_msg_epoch_grant, &grant, job->corr, job->rid);
}

static void job_reply(struct store *store, const struct job *job)
{
    struct msg_batch_resume resume = {.epoch = job->answer_epoch, .seq = job->answer_seq};
    struct msg_batch_refused refused = {.epoch = job->answer_epoch, .seq = job->answer_seq, .text = str_of(job->text)};
    struct msg_error error = {.code = (uint64_t)job->code, .text = str_of(job->text)};
    switch (job->outcome) {
    case JOB_ACK:
        ack_send(store, &job->peer, job->answer_epoch, job->answer_seq, job->corr, job->rid);
        break;
    case JOB_RESUME:
        store_send(store, &job->peer, &shape_msg_batch_resume, &resume, job->corr, job->rid);
        break;
    case JOB_STALE:
        stale_send(store, &job->peer, job->answer_epoch, job->corr, job->rid);
        break;
    case JOB_GRANT:
        grant_send(store, job);
        break;
    case JOB_REFUSED:
        store_send(store, &job->peer, &shape_msg_batch_refused, &refused, job->corr, job->rid);
        break;
    case JOB_ERROR:
        store_send(store, &job->peer, &shape_msg_error, &error, job->corr, job->rid);
        break;
    }
}

/* An acknowledgement that the next job's covers need not be sent. */
static bool ack_covered(const struct job *job)
{
    const struct job *next = job->next;
    return next && job->durable == next->durable && job->outcome == JOB_ACK && next->outcome == JOB_ACK && job->corr == 0 &&
           next->corr == 0 && job->answer_epoch == next->answer_epoch && memcmp(&job->peer, &next->peer, sizeof job->peer) == 0;
}

static void store_replies(struct store *store)
{
    for (struct job *job = committer_done(store->committer), *next; job; job = next) {
        next = job->next;
        intake_done(store->intake, job);
        if (!job->durable && !ack_covered(job))
            job_reply(store, job);
        job_free(job);
    }
}

static void store_fail(struct store *store, const char *why)
{
    if (!store->failed)
        log_error("GTY-STORE-FAILED", "%s: what is on disk is not known; ending, to read it anew", why);
    store->failed = true;
    loop_stop(store->loop);
}

/* Some of what waits; the rest in the next wake-up, behind what came meanwhile. */
static void reads_release(void *arg)
{
    struct store *store = arg;
    if (hold_release(&store->hold, store->intake, store->server))
        loop_set(store->loop, store->hold_timer, 0, 0);
}

static void on_done(void *arg)
{
    struct store *store = arg;
    struct commit_status status;
    store_replies(store);
    committer_status(store->committer, &status);
    if (status.failed) {
        store_fail(store, status.trouble);
        return;
    }
    intake_room(store->intake, &status);
    reads_release(store);
}

static void on_acked(void *self, const struct job *job)
{
    if (!ack_covered(job))
        job_reply(self, job);
}

/* The end of a wake-up. */
static void on_settle(void *arg)
{
    struct store *store = arg;
    struct err err = {0};
    if (!store->failed && intake_flush(store->intake, on_acked, store, &err) != 0)
        store_fail(store, err.text);
}

/* ---- handlers ---- */

static void handle_write(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct job *job = job_new(call);
    if (job && intake_add(store->intake, job) == 0)
        return;
    job_free(job);
    if (call->msg->shape->id != MSG_BATCH_APPLY) {
        bus_answer_error(call, ERR_UNAVAILABLE, "", "queue", "too much waits to be committed");
        return;
    }
    const struct msg_batch *batch = &call->msg->u.batch;
    struct msg_batch_refused refused = {
        .epoch = batch->epoch, .seq = batch->seq, .text = STR_LIT("too much waits to be committed")};
    bus_answer(call, &shape_msg_batch_refused, &refused);
}

/* A snapshot for one answer; NULL when an error has been answered, or the call waits for the database and comes again. */
static struct kv_txn *read_begin(struct store *store, const struct bus_call *call)
{
    struct err err = {0};
    struct intake_mark mark = intake_mark(store->intake);
    if (!store->hold.releasing && !intake_shows(store->intake, mark)) {
        if (hold_add(&store->hold, call, mark) != 0)
            bus_answer_error(call, ERR_UNAVAILABLE, "", "queue", "too many reads wait for the database");
        committer_hurry(store->committer);
        return NULL;
    }
    arena_reset(store->arena);
    struct kv_txn *snapshot = kv_snapshot(store->kv, &err);
    if (!snapshot)
        bus_answer_error(call, (uint64_t)err.code, "", "snapshot", err.text);
    store->queries++;
    return snapshot;
}

/* Answers with rows, or with the error, and ends the snapshot that both may point into. */
static void read_end(const struct bus_call *call, struct kv_txn *snapshot, int rc, const struct shape *shape, const void *rows,
                     const struct msg_error *error)
{
    if (rc == 0)
        bus_answer(call, shape, rows);
    else
        bus_answer(call, &shape_msg_error, error);
    kv_end(snapshot);
}

static void handle_query(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct msg_query_rows rows;
    struct msg_error error = {0};
    uint64_t max_rows = (uint64_t)settings_count_of(store->settings, SET_STORE_QUERY_ROWS);
    int rc = query_page(snapshot, store->arena, max_rows, &call->msg->u.query, &rows, &error);
    read_end(call, snapshot, rc, &shape_msg_query_rows, &rows, &error);
}

static void handle_get(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct msg_query_rows rows;
    struct msg_error error = {0};
    int rc = query_get(snapshot, store->arena, &call->msg->u.get, &rows, &error);
    read_end(call, snapshot, rc, &shape_msg_query_rows, &rows, &error);
}

static void handle_scan(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct msg_scan_rows rows;
    struct msg_error error = {0};
    int rc = query_scan(snapshot, store->arena, &call->msg->u.scan, &rows, &error);
    read_end(call, snapshot, rc, &shape_msg_scan_rows, &rows, &error);
}

static void handle_event_read(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct msg_event_rows rows;
    struct msg_error error = {0};
    int rc = query_events(snapshot, store->arena, &call->msg->u.event_read, &rows, &error);
    read_end(call, snapshot, rc, &shape_msg_event_rows, &rows, &error);
}

static void handle_log_read(void *self, const struct bus_call *call)
{
    struct store *store = self;
    const struct msg_log_read *read = &call->msg->u.log_read;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct msg_log_rows rows = {.next = read->after, .end = true};
    struct err err = {0};
    int rc = 0;
    if (query_run_visible(snapshot, read->run_id))
        rc = logs_read(snapshot, store->arena, read, &rows, &err);
    struct msg_error error = {.code = (uint64_t)err.code, .text = str_of(err.text)};
    read_end(call, snapshot, rc, &shape_msg_log_rows, &rows, &error);
}

static void count_add(struct store *store, struct msg_pong *pong, const char *name, uint64_t value)
{
    if (pong->counts.count < sizeof store->counts / sizeof store->counts[0])
        store->counts[pong->counts.count++] = (struct rec_count){.name = str_of(name), .value = value};
}

static void pong_fill(void *self, struct msg_pong *pong)
{
    struct store *store = self;
    struct commit_status status;
    struct kv_stat stat;
    committer_status(store->committer, &status);
    kv_stat(store->kv, &stat);
    pong->service = STR_LIT("store");
    pong->pid = (uint64_t)getpid();
    pong->uptime_ms = clock_mono_ms() - store->started_ms;
    pong->epoch = status.epoch;
    memcpy(store->trouble, status.trouble, sizeof store->trouble);
    pong->trouble = str_of(store->trouble);
    pong->ready = !status.refusing;
    pong->counts.items = store->counts;
    count_add(store, pong, "commits", status.commits);
    count_add(store, pong, "batches", status.batches);
    count_add(store, pong, "operations", status.operations);
    count_add(store, pong, "queued", status.queued);
    count_add(store, pong, "logged", intake_logged(store->intake));
    count_add(store, pong, "last_commit_us", status.last_us);
    count_add(store, pong, "queries", store->queries);
    count_add(store, pong, "readers_total", stat.readers_total);
    count_add(store, pong, "readers_active", stat.readers_active);
    count_add(store, pong, "readers_idle", stat.readers_total - stat.readers_active);
    count_add(store, pong, "map_bytes", stat.map_bytes);
    count_add(store, pong, "used_bytes", stat.used_bytes);
    struct kv_txn *snapshot = kv_snapshot(store->kv, NULL);
    for (uint64_t type = 1; snapshot && type < TYPE_MAX; type++) {
        const struct record *record = record_of(type);
        struct key key;
        key_begin(&key, type, 0);
        if (record)
            count_add(store, pong, record->name, count_get(snapshot, key_str(&key)));
    }
    kv_end(snapshot);
}

static void handle_ping(void *self, const struct bus_call *call)
{
    struct msg_pong pong = {0};
    pong_fill(self, &pong);
    bus_answer(call, &shape_msg_pong, &pong);
}

static void handle_stats(void *self, const struct bus_call *call)
{
    struct store *store = self;
    struct kv_txn *snapshot = read_begin(store, call);
    if (!snapshot)
        return;
    struct measured measured = {.kv = store->kv,
                                .snapshot = snapshot,
                                .committer = store->committer,
                                .intake = store->intake,
                                .redo = store->redo,
                                .folder = settings_text(store->settings, SET_DATA),
                                .queries = store->queries};
    store->stats = (struct stats){0};
    measure_fill(&measured, &store->stats);
    struct msg_stats_answer answer = stats_answer(&store->stats);
    bus_answer(call, &shape_msg_stats_answer, &answer);
    kv_end(snapshot);
}

/* ---- processes' logs ---- */

static void handle_lines(void *self, const struct bus_call *call)
{
    struct store *store = self;
    uint32_t count = call->msg->u.log_lines.entries.count;
    struct msg_log_taken taken = {0};
    if (committer_lines(store->committer, call->frame, count) != 0)
        taken.dropped = count;
    bus_answer(call, &shape_msg_log_taken, &taken);
}

/* Our own. */
static bool lines_keep(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    struct store *store = self;
    struct msg taken = {.shape = &shape_msg_log_taken};
    buf_reset(&store->lines);
    bool made = msg_encode_log_lines(&store->lines, lines, 0, (struct str){0}, NULL) == 0;
    if (made)
        committer_lines(store->committer, buf_str(&store->lines), lines->entries.count);
    reply(arg, made ? &taken : NULL, NULL);
    return true;
}

struct ship_port store_ship(struct store *store)
{
    return (struct ship_port){.self = store, .ask = lines_keep};
}

const struct bus_route store_routes[] = {
    {MSG_EPOCH_CLAIM, handle_write, "grants epochs, behind every earlier batch"},
    {MSG_BATCH_APPLY, handle_write, "applies batches, each once and in order"},
    {MSG_SCAN, handle_scan, "records in the order of their ids"},
    {MSG_QUERY, handle_query, "a page of records"},
    {MSG_GET, handle_get, "records by id"},
    {MSG_LOG_READ, handle_log_read, "a run's log"},
    {MSG_EVENT_READ, handle_event_read, "events in the order of their ids"},
    {MSG_PING, handle_ping, "what it counts"},
    {MSG_STATS, handle_stats, "all it counts, and how long things take"},
    {MSG_LOG_LINES, handle_lines, "lines of processes' logs"},
    {0, NULL, ""},
};

/* ---- start and end ---- */

#define DAY_MS UINT64_C(86400000)

static struct store_limits limits_of(const struct settings *settings)
{
    return (struct store_limits){.log_lines = (uint64_t)settings_count_of(settings, SET_STORE_LOG_LINES),
                                 .log_bytes = (uint64_t)settings_count_of(settings, SET_STORE_LOG_KB) * 1024,
                                 .fires = (uint64_t)settings_count_of(settings, SET_CRON_FIRES_MAX),
                                 .fires_ms = (uint64_t)settings_count_of(settings, SET_CRON_FIRES_DAYS) * DAY_MS,
                                 .audits = (uint64_t)settings_count_of(settings, SET_AUDIT_MAX),
                                 .audits_ms = (uint64_t)settings_count_of(settings, SET_AUDIT_DAYS) * DAY_MS};
}

static struct keep_limits keep_of(const struct settings *settings)
{
    return (struct keep_limits){(uint64_t)settings_count_of(settings, SET_RUNS_KEEP_DAYS) * DAY_MS,
                                (uint64_t)settings_count_of(settings, SET_RUNS_KEEP_MAX)};
}

static struct syslog_limits syslog_limits_of(const struct settings *settings)
{
    return (struct syslog_limits){(uint64_t)settings_count_of(settings, SET_STORE_SYSLOG_MB) << 20,
                                  (uint64_t)settings_count_of(settings, SET_STORE_SYSLOG_DAYS) * DAY_MS};
}

/* What the log has and the database has not goes to the committer, ahead of everything. */
static int redo_start(struct store *store, const char *folder, struct err *err)
{
    char path[4200];
    uint64_t bytes = (uint64_t)settings_count_of(store->settings, SET_STORE_REDO_MB) << 20;
    snprintf(path, sizeof path, "%s/redo", folder);
    if (bytes > 0 || access(path, F_OK) == 0)
        store->redo = redo_open(path, bytes > 0 ? bytes : (uint64_t)1 << 20, err);
    if (!store->redo && err->code == ERR_UNAVAILABLE)
        log_warn("GTY-STORE-REDO", "%s: batches wait for the database", err->text);
    else if (!store->redo && err->code)
        return -1;
    store->intake = intake_new(store->committer, bytes > 0 ? store->redo : NULL);
    if (!store->intake)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    *err = (struct err){0};
    return store->redo ? intake_replay(store->intake, store->redo, store->arena, err) : 0;
}

/* Database, log and their folder may have been made just now: before anything is acknowledged, they are found again. */
static int names_sync(const struct store *store, const char *folder, struct err *err)
{
    if (kv_file_folder_sync(folder, err) != 0)
        return -1;
    return kv_file_folder_sync(settings_text(store->settings, SET_DATA), err);
}

static int database_open(struct store *store, struct err *err)
{
    char folder[4100];
    snprintf(folder, sizeof folder, "%s/store", settings_text(store->settings, SET_DATA));
    struct kv_options options = {
        .folder = folder,
        .tables = record_tables,
        .table_count = TABLE_ALL,
        .map_bytes = (uint64_t)settings_count_of(store->settings, SET_STORE_MAP_GB) << 30,
        .ballast_bytes = (uint64_t)settings_count_of(store->settings, SET_STORE_BALLAST_MB) << 20,
    };
    store->kv = kv_open(&options, err);
    if (!store->kv || schema_open(store->kv, schema_migrations, SCHEMA_VERSION, err) != 0)
        return -1;
    struct store_limits limits = limits_of(store->settings);
    store->committer = committer_new(store->kv, &limits, err);
    if (!store->committer)
        return -1;
    store_reload(store);
    if (loop_add_fd(store->loop, committer_fd(store->committer), false, on_done, store) != 0)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (redo_start(store, folder, err) != 0)
        return -1;
    struct keep_limits keep = keep_of(store->settings);
    committer_keep(store->committer, &keep);
    return names_sync(store, folder, err);
}

static int server_open(struct store *store, struct err *err)
{
    struct endpoint at;
    if (endpoint_of(store->settings, SET_BUS_STORE, "store", true, &at, err) != 0)
        return -1;
    store->server = bus_server_new(store->loop, at.text, &at.curve, store_routes, store, err);
    if (!store->server)
        return -1;
    bus_server_on_ping(store->server, pong_fill);
    log_info("GTY-STORE-LISTEN", "endpoint=%s", at.text);
    return 0;
}

struct store *store_new(struct loop *loop, const struct settings *settings, struct err *err)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store || !(store->arena = arena_new(READ_ARENA))) {
        free(store);
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    store->loop = loop;
    store->settings = settings;
    store->started_ms = clock_mono_ms();
    store->late.timer = loop_timer(loop, ack_again, store);
    store->hold_timer = loop_timer(loop, reads_release, store);
    if (store->late.timer < 0 || store->hold_timer < 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        store_free(store);
        return NULL;
    }
    if (record_init(err) != 0 || database_open(store, err) != 0 || server_open(store, err) != 0) {
        store_free(store);
        return NULL;
    }
    store->settles = true;
    loop_on_settle(loop, on_settle, store);
    return store;
}

void store_reload(struct store *store)
{
    struct store_limits limits = limits_of(store->settings);
    struct syslog_limits syslog = syslog_limits_of(store->settings);
    struct keep_limits keep = keep_of(store->settings);
    committer_limits(store->committer, &limits, &syslog);
    committer_keep(store->committer, &keep);
}

bool store_failed(const struct store *store)
{
    return store->failed;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    loop_cancel(store->loop, store->late.timer);
    loop_cancel(store->loop, store->hold_timer);
    if (store->settles) {
        on_settle(store);
        loop_on_settle(store->loop, NULL, NULL);
    }
    if (store->committer) {
        committer_stop(store->committer);
        loop_remove_fd(store->loop, committer_fd(store->committer));
        if (store->server)
            store_replies(store);
    }
    hold_free(&store->hold);
    bus_server_free(store->server);
    intake_free(store->intake);
    committer_free(store->committer);
    redo_free(store->redo);
    kv_close(store->kv);
    arena_free(store->arena);
    buf_free(&store->lines);
    free(store);
}
