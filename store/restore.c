/* What a farm did after the backup is forgotten by the database, but not by the world: clients hold ids of runs, workers hold
 * leases, run folders and half-written outputs are named by run and attempt, a scheduler may still hold an epoch. So that none of
 * it can be taken for something that happens from now on,
 *
 *   epochs and the ids of every type go on far above all that can have been given since the backup;
 *   each run that is not final has its number of attempts raised by far more than it can have used;
 *   a run that was being worked on waits again: its lease is void, its attempt counts as returned and costs it nothing. Its worker
 *   is told to drop it as soon as it says what it holds. A granted output stays granted: the next attempt looks whether it is there;
 *   events are given up: their ids have to grow by one without holes, and those that listen begin behind them.
 *
 * All of that is made in a copy beside the database; then the copy takes its place in one rename, and what was there keeps
 * another name. The folder is locked from beginning to end.
 */
#include "store/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "store/check.h"
#include "store/index.h"
#include "store/key.h"
#include "store/kv_file.h"
#include "store/kv_page.h"
#include "store/manifest.h"
#include "store/reindex.h"
#include "store/schema.h"

#define CHUNK ((size_t)1 << 20)
#define IDS_A_SECOND 50000 /* more than a farm hands out */
#define IDS_LEAST 1000000
#define IDS_MOST (UINT64_C(1) << 42) /* half of what a run's id may be (scheduler/run.h) */
#define EPOCHS_LEAST 1000000
#define ATTEMPTS 1000 /* more than a run has in its life */
#define ATTEMPTS_MOST (1 << 20)
#define RUNS_STEP 2000   /* of a transaction */
#define RUNS_BY_STATUS 1 /* in records.def */
#define ARENA_BYTES ((size_t)16 << 20)

struct restore {
    const struct restore_options *options;
    int up_fd, lock_fd, from_fd;
    struct arena *arena, *scratch; /* of the backup's own words; of a record at a time */
    struct rec_backup backup;
    struct state before;                        /* of the database that is replaced, as far as it can be read */
    char store[PATH_MAX], fresh[PATH_MAX + 32]; /* folders: the database's, and the copy's within it */
    uint64_t voided, waiting;
    struct state after;
    char kept[PATH_MAX + 64];
};

/* ---- nobody else is at it ---- */

static int up_lock(struct restore *restore, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/up.lock", restore->options->data);
    restore->up_fd = open(path, O_RDWR | O_CLOEXEC);
    if (restore->up_fd >= 0 && flock(restore->up_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_CONFLICT, "the farm in %s is running (gantry up): stop it first", restore->options->data);
    return 0;
}

/* A scheduler, gateway or store that is there by itself listens in the runtime folder, unless its endpoint is set. */
static int socket_check(const char *folder, const char *name, const char *data, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return there ? err_set(err, ERR_CONFLICT, "the %s of the farm in %s is running: stop it first", name, data) : 0;
}

static int farm_lock(struct restore *restore, struct err *err)
{
    char runtime[128];
    const char *data = restore->options->data;
    if (ident_make_dirs(data, IDENT_DATA_MODE, err) != 0 || ident_make_dirs(restore->store, 0700, err) != 0 ||
        up_lock(restore, err) != 0 || (restore->lock_fd = kv_file_lock(restore->store, err)) < 0)
        return -1;
    if (ident_runtime_dir(data, runtime, sizeof runtime, err) != 0 || socket_check(runtime, "scheduler", data, err) != 0)
        return -1;
    rmdir(runtime); /* if it was made just now */
    return 0;
}

/* ---- the copy ---- */

static void fresh_remove(const struct restore *restore)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock", "ballast"};
    char path[PATH_MAX + 64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", restore->fresh, names[i]);
        unlink(path);
    }
    rmdir(restore->fresh);
}

static int pages_copy(struct restore *restore, int to, char *room, struct err *err)
{
    unsigned char hash[32];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (uint64_t at = 0; at < restore->backup.bytes;) {
        uint64_t left = restore->backup.bytes - at;
        ssize_t got = pread(restore->from_fd, room, left < CHUNK ? left : CHUNK, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, ERR_IO, "cannot read %s: %s", restore->options->from,
                           got < 0 ? strerror(errno) : "it is shorter");
        crypto_generichash_update(&state, (const unsigned char *)room, (unsigned long long)got);
        for (ssize_t done = 0; done < got;) {
            ssize_t put = pwrite(to, room + done, (size_t)(got - done), (off_t)at + done);
            if (put <= 0 && errno != EINTR)
                return err_set(err, ERR_IO, "cannot write in %s: %s", restore->fresh, strerror(errno));
            done += put > 0 ? put : 0;
        }
        at += (uint64_t)got;
    }
    crypto_generichash_final(&state, hash, sizeof hash);
    if (memcmp(hash, restore->backup.hash.ptr, sizeof hash) != 0)
        return err_set(err, ERR_INVALID, "%s is damaged: its pages are not those that were written", restore->options->from);
    return 0;
}

static int fresh_make(struct restore *restore, struct err *err)
{
    char path[PATH_MAX + 64];
    fresh_remove(restore); /* what a restore that was killed has left */
    if (ident_make_dirs(restore->fresh, 0700, err) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/data.mdb", restore->fresh);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *room = malloc(CHUNK);
    int rc = -1;
    if (to < 0)
        err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    else if (!room)
        err_set(err, ERR_NO_MEMORY, "out of memory");
    else if (pages_copy(restore, to, room, err) == 0)
        rc = fsync(to) == 0 ? 0 : err_set(err, ERR_IO, "cannot write %s to disk: %s", path, strerror(errno));
    free(room);
    if (to >= 0)
        close(to);
    struct findings findings = {0};
    struct kv_pages pages;
    if (rc == 0)
        rc = kv_pages_check(path, UINT64_MAX, &pages, &findings, err);
    if (rc == 0 && findings.count > 0)
        rc = err_set(err, ERR_INVALID, "%s is damaged: %.150s", restore->options->from, findings.first);
    return rc;
}

static int backup_open(struct restore *restore, struct err *err)
{
    const char *from = restore->options->from;
    restore->arena = arena_new(ARENA_BYTES);
    restore->scratch = arena_new(ARENA_BYTES);
    restore->from_fd = open(from, O_RDONLY | O_CLOEXEC);
    if (!restore->arena || !restore->scratch)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    if (restore->from_fd < 0)
        return err_set(err, ERR_NOT_FOUND, "cannot open %s: %s", from, strerror(errno));
    if (manifest_read(from, restore->from_fd, restore->arena, &restore->backup, err) != 0)
        return -1;
    if (restore->backup.schema > SCHEMA_VERSION)
        return err_set(err, ERR_PROTOCOL, "%s was made by a newer Gantry (%.*s, schema %lu; this one knows %u)", from,
                       (int)restore->backup.version.len, restore->backup.version.ptr, (unsigned long)restore->backup.schema,
                       SCHEMA_VERSION);
    return 0;
}

/* ---- what is raised ---- */

/* What the database that goes has handed out, if it can still tell. */
static void before_read(struct restore *restore)
{
    char path[PATH_MAX + 16];
    struct findings findings = {0};
    struct kv_pages pages;
    snprintf(path, sizeof path, "%s/data.mdb", restore->store);
    struct kv_options options = {.folder = path,
                                 .mode = KV_FILE,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = restore->options->map_bytes};
    if (access(path, F_OK) != 0 || kv_pages_check(path, UINT64_MAX, &pages, &findings, NULL) != 0 || findings.count > 0)
        return;
    struct kv *kv = kv_open(&options, NULL);
    struct kv_txn *txn = kv ? kv_snapshot(kv, NULL) : NULL;
    if (!txn || state_load(txn, &restore->before) != KV_OK)
        memset(&restore->before, 0, sizeof restore->before);
    kv_end(txn);
    kv_close(kv);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void state_raise(const struct restore *restore, struct state *state)
{
    uint64_t now = clock_wall_ms();
    uint64_t seconds = now > restore->backup.at ? (now - restore->backup.at) / 1000 : 0;
    uint64_t gap = IDS_LEAST + seconds * IDS_A_SECOND;
    for (unsigned type = 0; type < TYPE_MAX; type++) {
        uint64_t floor = most(state->next[type], restore->before.next[type]) + gap;
        if (floor > IDS_MOST)
            floor = most(state->next[type], restore->before.next[type]) + IDS_LEAST;
        state->next[type] = floor;
    }
    state->epoch = most(state->epoch, restore->before.epoch) + EPOCHS_LEAST + seconds;
    state->applied = 0;
}

static enum kv_result events_drop(struct writer *writer)
{
    struct key total;
    key_begin(&total, TYPE_EVENT, 0);
    uint64_t count = count_get(writer->txn, key_str(&total));
    enum kv_result result = kv_clear(writer->txn, TABLE_RECORDS + TYPE_EVENT);
    if (result == KV_OK && counts_add(writer->counts, key_str(&total), -(int64_t)count) != 0)
        result = KV_MEMORY;
    return result;
}

/* ---- runs ---- */

/* The ids of runs with a status behind *after; how many. */
static uint32_t runs_collect(struct kv_txn *txn, uint64_t status, uint64_t after, uint64_t *ids)
{
    struct key prefix, from;
    struct kv_pair pair;
    uint32_t count = 0;
    key_begin(&prefix, TYPE_RUN, RUNS_BY_STATUS);
    key_number(&prefix, status);
    from = prefix;
    key_id(&from, after + 1);
    struct kv_cursor *cursor = kv_cursor_new(txn, TABLE_INDEX);
    enum kv_result result = cursor ? kv_seek(cursor, key_str(&from), &pair) : KV_NONE;
    for (; result == KV_OK && key_starts(pair.key, key_str(&prefix)) && count < RUNS_STEP; result = kv_next(cursor, &pair))
        ids[count++] = key_id_at_end(pair.key);
    kv_cursor_free(cursor);
    return count;
}

static int run_void(struct restore *restore, struct writer *writer, uint64_t id, struct buf *buf, struct err *err)
{
    static const struct str why = STR_LIT("a backup was restored: what became of this attempt is not known");
    struct key key = key_of_id(id);
    struct rec_run run;
    struct str value;
    arena_reset(restore->scratch);
    buf_reset(buf);
    if (kv_get(writer->txn, TABLE_RECORDS + TYPE_RUN, key_str(&key), &value) != KV_OK ||
        rec_decode_run(restore->scratch, value, &run, err) != 0)
        return err_set(err, ERR_INVALID, "run %lu cannot be read", (unsigned long)id);
    struct rec_attempt *newest = run.attempts.count > 0 ? &run.attempts.items[run.attempts.count - 1] : NULL;
    if (run.status == RUN_RUNNING && newest && newest->outcome == OUTCOME_OPEN) {
        newest->outcome = OUTCOME_RETURNED;
        newest->ended_at = restore->backup.at;
        newest->error = why;
        restore->voided++;
    }
    restore->waiting++;
    run.status = RUN_PENDING;
    if (run.attempt + 2 * ATTEMPTS < ATTEMPTS_MOST)
        run.attempt += ATTEMPTS;
    if (rec_encode_run(buf, &run, err) != 0)
        return -1;
    enum kv_result result = index_put(writer, record_of(TYPE_RUN), id, buf_str(buf));
    return result == KV_OK ? 0 : err_set(err, ERR_IO, "cannot write run %lu: %s", (unsigned long)id, kv_result_text(result));
}

static int step_end(struct writer *writer, int rc, struct err *err)
{
    if (rc == 0 && writer_finish(writer) == KV_OK)
        return kv_commit(writer->txn, err) == KV_OK ? 0 : -1;
    kv_end(writer->txn);
    return rc == 0 ? err_set(err, ERR_IO, "cannot write the restored database") : -1;
}

static int runs_void(struct restore *restore, struct kv *kv, struct writer *writer, uint64_t status, struct err *err)
{
    static uint64_t ids[RUNS_STEP];
    struct buf buf = {0};
    uint64_t after = 0;
    int rc = 0;
    for (uint32_t count = RUNS_STEP; rc == 0 && count == RUNS_STEP;) {
        struct kv_txn *batch = kv_batch(kv, err);
        if (!batch) {
            rc = -1;
            break;
        }
        writer_begin(writer, batch, &restore->after, false);
        count = runs_collect(batch, status, after, ids);
        for (uint32_t i = 0; rc == 0 && i < count; i++) {
            rc = run_void(restore, writer, ids[i], &buf, err);
            after = ids[i];
        }
        rc = step_end(writer, rc, err);
    }
    buf_free(&buf);
    return rc;
}

static int state_write(struct restore *restore, struct kv *kv, struct writer *writer, struct err *err)
{
    struct kv_txn *batch = kv_batch(kv, err);
    if (!batch)
        return -1;
    state_raise(restore, &restore->after);
    writer_begin(writer, batch, &restore->after, false);
    int rc = events_drop(writer) == KV_OK ? 0 : err_set(err, ERR_IO, "cannot write the restored database");
    return step_end(writer, rc, err);
}

static int logical_check(const struct restore *restore, struct kv *kv, struct err *err)
{
    struct findings findings = {0};
    struct check_counts counts;
    uint64_t derived = 0;
    if (check_all(kv, &findings, &derived, &counts, err) != 0)
        return -1;
    if (findings.count > 0 && restore->options->repair) {
        findings = (struct findings){.out = stdout};
        return reindex(kv, 0, 0, err) != 0 ? -1 : check_all(kv, &findings, &derived, &counts, err);
    }
    if (findings.count == 0)
        return 0;
    return err_set(err, ERR_INVALID, "%s is not sound (%lu findings; %.120s): gantry fsck %s", restore->options->from,
                   (unsigned long)findings.count, findings.first,
                   derived == findings.count ? "says more; --repair mends it" : "says more; --repair puts up with it");
}

static int fresh_raise(struct restore *restore, struct err *err)
{
    struct kv_options options = {
        .folder = restore->fresh, .tables = record_tables, .table_count = TABLE_ALL, .map_bytes = restore->options->map_bytes};
    struct writer writer = {0};
    struct kv *kv = kv_open(&options, err);
    struct kv_txn *txn = NULL;
    int rc = kv ? schema_open(kv, schema_migrations, SCHEMA_VERSION, err) : -1;
    if (rc == 0)
        rc = logical_check(restore, kv, err);
    if (rc == 0 && writer_init(&writer) != 0)
        rc = err_set(err, ERR_NO_MEMORY, "out of memory");
    if (rc == 0 && (!(txn = kv_snapshot(kv, err)) || state_load(txn, &restore->after) != KV_OK))
        rc = err_set(err, ERR_IO, "cannot read the restored database");
    kv_end(txn);
    if (rc == 0) /* these first: running ones become such, and would be met again */
        rc = runs_void(restore, kv, &writer, RUN_PENDING, err);
    if (rc == 0)
        rc = runs_void(restore, kv, &writer, RUN_RUNNING, err);
    if (rc == 0)
        rc = state_write(restore, kv, &writer, err);
    writer_free(&writer);
    kv_close(kv);
    return rc;
}

/* ---- its place ---- */

/* The log in front of the database (redo.h) continues the one that went. Its epoch has passed, so that it would not be applied in
 * any case. */
static void redo_keep(const struct restore *restore, const char *when, unsigned ms)
{
    char redo[PATH_MAX + 16], kept[PATH_MAX + 64];
    snprintf(redo, sizeof redo, "%s/redo", restore->store);
    snprintf(kept, sizeof kept, "%s/replaced-%s.%03uZ.redo", restore->store, when, ms);
    (void)rename(redo, kept); /* mostly there is one; what stays is harmless */
}

/* The table of readers holds the number of the newest transaction, and lives on while somebody reads (a backup that takes long): the
 * database that comes would be taken to stand where the one that goes stood. Who reads that one keeps the table he has. */
static int readers_part(const struct restore *restore, struct err *err)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/lock.mdb", restore->store);
    return unlink(path) == 0 || errno == ENOENT ? 0 : err_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
}

/* What is there gets a second name first, so that there is a database at every moment. */
static int fresh_place(struct restore *restore, struct err *err)
{
    char old[PATH_MAX + 32], fresh[PATH_MAX + 64], when[32];
    uint64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    snprintf(old, sizeof old, "%s/data.mdb", restore->store);
    snprintf(fresh, sizeof fresh, "%s/data.mdb", restore->fresh);
    if (!gmtime_r(&seconds, &tm) || strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm) == 0)
        return err_set(err, ERR_INTERNAL, "the clock tells no time");
    if (access(old, F_OK) == 0) {
        snprintf(restore->kept, sizeof restore->kept, "%s/replaced-%s.%03uZ.mdb", restore->store, when, (unsigned)(now % 1000));
        if (link(old, restore->kept) != 0)
            return err_set(err, ERR_IO, "cannot keep %s as %s: %s", old, restore->kept, strerror(errno));
    }
    int rc = readers_part(restore, err);
    if (rc == 0 && rename(fresh, old) != 0)
        rc = err_set(err, ERR_IO, "cannot put the restored database in place: %s", strerror(errno));
    if (rc != 0) {
        if (restore->kept[0])
            unlink(restore->kept);
        return -1;
    }
    redo_keep(restore, when, (unsigned)(now % 1000));
    return kv_file_folder_sync(restore->store, err);
}

static void restore_tell(const struct restore *restore, FILE *out)
{
    char when[MANIFEST_TIME];
    uint64_t now = clock_wall_ms(), age = now > restore->backup.at ? (now - restore->backup.at) / 1000 : 0;
    fprintf(out, "restored to %s UTC, %lu s ago: what happened since is forgotten\n", manifest_time(restore->backup.at, when),
            (unsigned long)age);
    for (uint32_t i = 0; i < restore->backup.counts.count; i++) {
        const struct rec_count *count = &restore->backup.counts.items[i];
        if (str_is(count->name, "task") || str_is(count->name, "run") || str_is(count->name, "worker"))
            fprintf(out, "%lu %.*ss, ", (unsigned long)count->value, (int)count->name.len, count->name.ptr);
    }
    fprintf(out, "%lu runs wait, %lu of them were running and begin again\n", (unsigned long)restore->waiting,
            (unsigned long)restore->voided);
    fprintf(out, "new runs begin at %lu, epochs behind %lu\n", (unsigned long)restore->after.next[TYPE_RUN],
            (unsigned long)restore->after.epoch);
    if (restore->kept[0])
        fprintf(out, "what was there is kept as %s\n", restore->kept);
}

int restore_make(const struct restore_options *options, FILE *out, struct err *err)
{
    struct restore restore = {.options = options, .up_fd = -1, .lock_fd = -1, .from_fd = -1};
    int rc = -1;
    snprintf(restore.store, sizeof restore.store, "%s/store", options->data);
    snprintf(restore.fresh, sizeof restore.fresh, "%s/restoring", restore.store);
    if (backup_open(&restore, err) != 0 || farm_lock(&restore, err) != 0)
        goto error;
    before_read(&restore);
    rc = fresh_make(&restore, err);
    if (rc == 0)
        rc = fresh_raise(&restore, err);
    if (rc == 0)
        rc = fresh_place(&restore, err);
    if (rc == 0)
        restore_tell(&restore, out);
    fresh_remove(&restore);
error:
    arena_free(restore.arena);
    arena_free(restore.scratch);
    if (restore.from_fd >= 0)
        close(restore.from_fd);
    if (restore.lock_fd >= 0)
        close(restore.lock_fd);
    if (restore.up_fd >= 0)
        close(restore.up_fd);
    return rc;
}
