/* kv.h on LMDB 0.9. The only file that knows LMDB.
 *
 * A full disk must be told from a broken one: after a failed fsync the page cache may lie and the process has to end, after
 * "no space" it goes on reading. LMDB reports a write that was cut short by a full disk as EIO. So the file is kept allocated
 * some way ahead of its last page: while that succeeds (`low` is false) a batch has room, and EIO means the disk is broken;
 * when it does not, EIO is taken for what it then is, a full disk.
 */
#include "store/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/ident.h"
#include "proto/messages.h"
#include "store/kv_file.h"
#include "store/kv_guard.h"
#include "store/kv_page.h"

#define KV_READERS 16
#define KV_LOOK_PAGES 256             /* that a start looks at, beside the right edges; some ms */
#define KV_AHEAD ((uint64_t)16 << 20) /* the file is allocated this far beyond its last page, in steps of the same size */

struct kv {
    MDB_env *env;
    const char *const *names;
    unsigned table_count;
    MDB_dbi tables[KV_TABLES_MAX]; /* TABLE_NONE: not made yet */
    int lock_fd;
    int file_fd; /* LMDB's */
    size_t page_size;
    uint64_t allocated; /* bytes of the file known to be allocated */
    uint64_t ballast_bytes;
    atomic_bool low, ballast; /* the writer sets them, the reader reports them */
    const char *trouble;      /* why the last write failed; the writer's */
    MDB_txn *spare;           /* a read transaction to be renewed: saves a slot search each time */
    atomic_uint active;       /* snapshots */
    int guard;                /* of the map; -1: none */
    char ballast_path[4200], path[4200];
};

struct kv_txn {
    struct kv *kv;
    MDB_txn *txn;
    bool writes;
};

struct kv_cursor {
    struct kv *kv;
    MDB_cursor *cursor;
};

static MDB_val val_of(struct str s)
{
    return (MDB_val){s.len, (void *)(uintptr_t)s.ptr};
}

static struct str str_of_val(MDB_val v)
{
    return (struct str){v.mv_data, (uint32_t)v.mv_size};
}

static enum kv_result result_of(const struct kv *kv, int rc)
{
    switch (rc) {
    case 0:
        return KV_OK;
    case MDB_NOTFOUND:
        return KV_NONE;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return KV_FULL;
    case EIO:
        return kv->low ? KV_FULL : KV_IO;
    case ENOMEM:
        return KV_MEMORY;
    case MDB_BAD_VALSIZE:
        return KV_INVALID;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return KV_CORRUPT;
    default:
        return KV_IO;
    }
}

static const char *text_of(int rc)
{
    if (rc == MDB_MAP_FULL)
        return "the database has reached store.map_gb";
    return mdb_strerror(rc);
}

static int err_code_of(enum kv_result result)
{
    return result == KV_MEMORY ? ERR_NO_MEMORY : result == KV_FULL ? ERR_UNAVAILABLE : ERR_IO;
}

const char *kv_result_text(enum kv_result result)
{
    static const char *const texts[] = {"done",
                                        "not there",
                                        "no space left",
                                        "a write or sync failed",
                                        "the database is damaged",
                                        "out of memory",
                                        "a key or value that cannot be stored"};
    return texts[result];
}

/* Of a write: keeps why it failed. */
static enum kv_result write_result(struct kv *kv, int rc)
{
    enum kv_result result = result_of(kv, rc);
    if (result == KV_FULL && rc == EIO)
        rc = ENOSPC;
    if (result != KV_OK && result != KV_NONE)
        kv->trouble = text_of(rc);
    return result;
}

const char *kv_trouble(const struct kv *kv)
{
    return kv->trouble ? kv->trouble : "";
}

/* Keeps the file allocated ahead of what is used. Not having room is no error yet: pages that were freed may do. */
static void file_allocate(struct kv *kv)
{
    MDB_envinfo info;
    if (mdb_env_info(kv->env, &info) != 0)
        return;
    uint64_t used = ((uint64_t)info.me_last_pgno + 1) * kv->page_size;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < used + KV_AHEAD / 2) { /* which fallocate does not heed */
        kv->low = true;
        return;
    }
    if (kv->allocated >= used + KV_AHEAD / 2) {
        kv->low = false;
        return;
    }
    uint64_t want = (used / KV_AHEAD + 2) * KV_AHEAD;
    if (want > info.me_mapsize)
        want = info.me_mapsize;
    if (want <= kv->allocated)
        return;
    if (fallocate(kv->file_fd, FALLOC_FL_KEEP_SIZE, (off_t)(used / KV_AHEAD * KV_AHEAD),
                  (off_t)(want - used / KV_AHEAD * KV_AHEAD)) == 0) {
        kv->allocated = want;
        kv->low = false;
    } else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
        kv->low = true;
    } else {
        kv->allocated = UINT64_MAX; /* a file system that cannot: EIO stays EIO */
    }
}

#define TABLE_NONE ((MDB_dbi)-1)

/* Opens the tables there are; with create, makes the others. */
static int tables_open(struct kv *kv, bool create)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(kv->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    for (unsigned i = 0; rc == 0 && i < kv->table_count; i++) {
        if (kv->tables[i] != TABLE_NONE || !kv->names[i]) /* a number that no table has */
            continue;
        rc = mdb_dbi_open(txn, kv->names[i], create ? MDB_CREATE : 0, &kv->tables[i]);
        if (rc == MDB_NOTFOUND && !create) {
            kv->tables[i] = TABLE_NONE;
            rc = 0;
        }
    }
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

int kv_prepare(struct kv *kv, struct err *err)
{
    file_allocate(kv);
    int rc = tables_open(kv, true);
    if (rc != 0)
        return err_set(err, ERR_IO, "cannot write to the database: %s", text_of(rc));
    kv_ballast_restore(kv);
    return 0;
}

/* LMDB found that it contradicts itself, and would abort. */
static void on_assert(MDB_env *env, const char *text)
{
    struct kv *kv = mdb_env_get_userctx(env);
    fprintf(stderr, "gantry-store: %s\n", text);
    kv_guard_end(kv->path, "is damaged");
}

/* A look before anything is mapped: the right edge of each tree, and some pages more. */
static int file_look(struct kv *kv, enum kv_mode mode, struct err *err)
{
    struct findings findings = {0};
    struct kv_pages pages;
    if (access(kv->path, F_OK) != 0)
        return mode == KV_OWN ? 0 : err_set(err, ERR_NOT_FOUND, "there is no database %s", kv->path);
    if (mode == KV_BESIDE) /* it is being written to: its owner has looked */
        return 0;
    if (kv_pages_check(kv->path, KV_LOOK_PAGES, &pages, &findings, err) != 0)
        return -1;
    if (findings.count > 0)
        return err_set(err, ERR_INVALID, "%s is damaged (%.100s); restore a backup", kv->path, findings.first);
    return 0;
}

static int env_open(struct kv *kv, const struct kv_options *options)
{
    static const unsigned flags[] = {[KV_OWN] = 0,
                                     [KV_LOOK] = MDB_RDONLY | MDB_NOLOCK,
                                     [KV_BESIDE] = MDB_RDONLY,
                                     [KV_FILE] = MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR};
    MDB_stat stat;
    int rc = mdb_env_create(&kv->env);
    if (rc == 0)
        rc = mdb_env_set_userctx(kv->env, kv);
    if (rc == 0)
        rc = mdb_env_set_assert(kv->env, on_assert);
    if (rc == 0)
        rc = mdb_env_set_mapsize(kv->env, options->map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(kv->env, options->table_count);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(kv->env, KV_READERS);
    if (rc == 0)
        rc = mdb_env_open(kv->env, options->folder, MDB_NOTLS | MDB_NORDAHEAD | flags[options->mode], 0600);
    if (rc == 0)
        rc = mdb_env_stat(kv->env, &stat);
    if (rc == 0)
        rc = mdb_env_get_fd(kv->env, &kv->file_fd);
    if (rc != 0)
        return rc;
    kv->guard = kv_guard_add(kv->path, kv->file_fd);
    kv->page_size = stat.ms_psize;
    if (options->mode == KV_OWN)
        kv_reap(kv);
    return tables_open(kv, false);
}

struct kv *kv_open(const struct kv_options *options, struct err *err)
{
    struct kv *kv = calloc(1, sizeof *kv);
    if (!kv) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    kv->lock_fd = kv->guard = -1;
    kv->names = options->tables;
    kv->table_count = options->table_count;
    kv->ballast_bytes = options->ballast_bytes;
    for (unsigned i = 0; i < KV_TABLES_MAX; i++)
        kv->tables[i] = TABLE_NONE;
    snprintf(kv->path, sizeof kv->path, options->mode == KV_FILE ? "%s" : "%s/data.mdb", options->folder);
    snprintf(kv->ballast_path, sizeof kv->ballast_path, "%s/ballast", options->folder);
    if (options->mode == KV_OWN && ident_make_dirs(options->folder, 0700, err) != 0)
        goto error;
    if (options->mode == KV_OWN || (options->mode == KV_LOOK && access(kv->path, F_OK) == 0)) {
        kv->lock_fd = kv_file_lock(options->folder, err);
        if (kv->lock_fd < 0)
            goto error;
    }
    if (file_look(kv, options->mode, err) != 0)
        goto error;
    int rc = env_open(kv, options);
    if (rc != 0) {
        err_set(err, ERR_IO, "cannot open the database %s: %s", kv->path, mdb_strerror(rc));
        goto error;
    }
    return kv;
error:
    kv_close(kv);
    return NULL;
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    if (kv->spare)
        mdb_txn_abort(kv->spare);
    kv_guard_remove(kv->guard);
    if (kv->env)
        mdb_env_close(kv->env);
    if (kv->lock_fd >= 0)
        close(kv->lock_fd);
    free(kv);
}

int kv_copy(struct kv *kv, int fd, struct err *err)
{
    int rc = mdb_env_copyfd2(kv->env, fd, MDB_CP_COMPACT);
    if (rc != 0)
        return err_set(err, ERR_IO, "cannot copy the database %s: %s", kv->path, mdb_strerror(rc));
    return 0;
}

void kv_reap(struct kv *kv)
{
    int dead;
    mdb_reader_check(kv->env, &dead);
}

/* ---- transactions ---- */

static struct kv_txn *txn_new(struct kv *kv, MDB_txn *txn, bool writes, struct err *err)
{
    struct kv_txn *self = malloc(sizeof *self);
    if (!self) {
        mdb_txn_abort(txn);
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    *self = (struct kv_txn){kv, txn, writes};
    return self;
}

struct kv_txn *kv_snapshot(struct kv *kv, struct err *err)
{
    MDB_txn *txn = kv->spare;
    kv->spare = NULL;
    int rc = txn ? mdb_txn_renew(txn) : mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        if (txn)
            mdb_txn_abort(txn);
        err_set(err, err_code_of(result_of(kv, rc)), "cannot read the database: %s", text_of(rc));
        return NULL;
    }
    struct kv_txn *self = txn_new(kv, txn, false, err);
    if (self)
        kv->active++;
    return self;
}

struct kv_txn *kv_batch(struct kv *kv, struct err *err)
{
    file_allocate(kv);
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(kv->env, NULL, 0, &txn);
    if (rc != 0) {
        err_set(err, err_code_of(result_of(kv, rc)), "cannot write to the database: %s", text_of(rc));
        return NULL;
    }
    return txn_new(kv, txn, true, err);
}

enum kv_result kv_commit(struct kv_txn *batch, struct err *err)
{
    struct kv *kv = batch->kv;
    int rc = mdb_txn_commit(batch->txn);
    free(batch);
    enum kv_result result = write_result(kv, rc);
    if (result != KV_OK)
        err_set(err, err_code_of(result), "%s", kv->trouble);
    return result;
}

void kv_end(struct kv_txn *txn)
{
    if (!txn)
        return;
    struct kv *kv = txn->kv;
    if (txn->writes) {
        mdb_txn_abort(txn->txn);
    } else {
        kv->active--;
        if (kv->spare) {
            mdb_txn_abort(txn->txn);
        } else {
            mdb_txn_reset(txn->txn);
            kv->spare = txn->txn;
        }
    }
    free(txn);
}

enum kv_result kv_get(struct kv_txn *txn, unsigned table, struct str key, struct str *value)
{
    if (txn->kv->tables[table] == TABLE_NONE)
        return KV_NONE;
    MDB_val k = val_of(key), v;
    int rc = mdb_get(txn->txn, txn->kv->tables[table], &k, &v);
    if (rc == 0)
        *value = str_of_val(v);
    return result_of(txn->kv, rc);
}

enum kv_result kv_put(struct kv_txn *batch, unsigned table, struct str key, struct str value, bool append)
{
    MDB_val k = val_of(key), v = val_of(value);
    int rc = mdb_put(batch->txn, batch->kv->tables[table], &k, &v, append ? MDB_APPEND : 0);
    if (rc == MDB_KEYEXIST && append) { /* it was not behind all others */
        v = val_of(value);
        rc = mdb_put(batch->txn, batch->kv->tables[table], &k, &v, 0);
    }
    return write_result(batch->kv, rc);
}

enum kv_result kv_delete(struct kv_txn *batch, unsigned table, struct str key)
{
    MDB_val k = val_of(key);
    return write_result(batch->kv, mdb_del(batch->txn, batch->kv->tables[table], &k, NULL));
}

enum kv_result kv_clear(struct kv_txn *batch, unsigned table)
{
    return write_result(batch->kv, mdb_drop(batch->txn, batch->kv->tables[table], 0));
}

/* ---- cursors ---- */

struct kv_cursor *kv_cursor_new(struct kv_txn *txn, unsigned table)
{
    struct kv_cursor *self = txn->kv->tables[table] == TABLE_NONE ? NULL : malloc(sizeof *self);
    if (!self)
        return NULL;
    self->kv = txn->kv;
    if (mdb_cursor_open(txn->txn, txn->kv->tables[table], &self->cursor) != 0) {
        free(self);
        return NULL;
    }
    return self;
}

void kv_cursor_free(struct kv_cursor *cursor)
{
    if (!cursor)
        return;
    mdb_cursor_close(cursor->cursor);
    free(cursor);
}

static enum kv_result cursor_get(struct kv_cursor *cursor, MDB_val key, MDB_cursor_op op, struct kv_pair *pair)
{
    MDB_val value = {0, NULL};
    int rc = mdb_cursor_get(cursor->cursor, &key, &value, op);
    if (rc == MDB_NOTFOUND || rc == EINVAL) /* EINVAL: the cursor stands nowhere, the table is empty */
        return KV_NONE;
    if (rc != 0)
        return KV_CORRUPT; /* reading a map finds nothing else to fail on */
    pair->key = str_of_val(key);
    pair->value = str_of_val(value);
    return KV_OK;
}

enum kv_result kv_seek(struct kv_cursor *cursor, struct str key, struct kv_pair *pair)
{
    return cursor_get(cursor, val_of(key), MDB_SET_RANGE, pair);
}

enum kv_result kv_seek_before(struct kv_cursor *cursor, struct str key, struct kv_pair *pair)
{
    enum kv_result result = kv_seek(cursor, key, pair);
    if (result == KV_OK)
        return kv_prev(cursor, pair);
    return result == KV_NONE ? kv_last(cursor, pair) : result;
}

enum kv_result kv_first(struct kv_cursor *cursor, struct kv_pair *pair)
{
    return cursor_get(cursor, (MDB_val){0, NULL}, MDB_FIRST, pair);
}

enum kv_result kv_last(struct kv_cursor *cursor, struct kv_pair *pair)
{
    return cursor_get(cursor, (MDB_val){0, NULL}, MDB_LAST, pair);
}

enum kv_result kv_next(struct kv_cursor *cursor, struct kv_pair *pair)
{
    return cursor_get(cursor, (MDB_val){0, NULL}, MDB_NEXT, pair);
}

enum kv_result kv_prev(struct kv_cursor *cursor, struct kv_pair *pair)
{
    return cursor_get(cursor, (MDB_val){0, NULL}, MDB_PREV, pair);
}

enum kv_result kv_cursor_delete(struct kv_cursor *cursor)
{
    return write_result(cursor->kv, mdb_cursor_del(cursor->cursor, 0));
}

/* ---- disk ---- */

bool kv_ballast_release(struct kv *kv)
{
    if (!kv->ballast || kv->ballast_bytes == 0)
        return false;
    kv->ballast = false;
    return kv_file_ballast_drop(kv->ballast_path) == 0;
}

void kv_ballast_restore(struct kv *kv)
{
    if (!kv->ballast)
        kv->ballast = kv->ballast_bytes == 0 || kv_file_ballast_make(kv->ballast_path, kv->ballast_bytes) == 0;
}

void kv_stat(struct kv *kv, struct kv_stat *stat)
{
    memset(stat, 0, sizeof *stat);
    MDB_envinfo info;
    if (mdb_env_info(kv->env, &info) == 0) {
        stat->map_bytes = info.me_mapsize;
        stat->used_bytes = ((uint64_t)info.me_last_pgno + 1) * kv->page_size;
    }
    stat->readers_total = KV_READERS;
    stat->readers_active = kv->active;
    stat->ballast = kv->ballast;
    stat->low = kv->low;
}
