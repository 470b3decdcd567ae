/* The copying thread writes pages into a pipe; this side hashes them and writes the file, and by not reading on can end it.
 * The file has another name until it is whole, on disk, and was found readable: page by page, and as a database. Whoever makes
 * it holds a lock on it, so that what a killed one left can be told from what is being written. */
#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "store/count.h"
#include "store/key.h"
#include "store/kv_file.h"
#include "store/kv_page.h"
#include "store/manifest.h"
#include "store/redo.h"
#include "store/schema.h"
#include "store/state.h"

#define CHUNK ((size_t)1 << 20)
#define FOLLOW_MS 10000                 /* in which the database has to follow its log */
#define ROOM_BYTES ((uint64_t)64 << 20) /* left free on the database's own disk */

struct backup {
    const struct backup_options *options;
    struct kv *kv;
    int pipe[2];
    int fd;
    bool named; /* it has its final name: nothing is to be removed */
    char folder[PATH_MAX], path[PATH_MAX + 256], partial[PATH_MAX + 256];
    uint64_t at; /* just before the snapshot */
    uint64_t began_ms;
    unsigned char hash[32];
    uint64_t bytes;
    struct err copy_err; /* the thread's, until it is joined */
};

static void *copy_run(void *arg)
{
    struct backup *backup = arg;
    kv_copy(backup->kv, backup->pipe[1], &backup->copy_err);
    close(backup->pipe[1]);
    return NULL;
}

/* ---- the file ---- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The names that backups in a folder get: in the order of their time. */
static bool is_name(const char *name)
{
    static const char form[] = "gantry-00000000T000000.000Z.backup";
    for (size_t i = 0; i < sizeof form; i++) {
        if (form[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != form[i])
            return false;
    }
    return true;
}

static int names_choose(struct backup *backup, struct err *err)
{
    const char *to = backup->options->to;
    const char *slash = strrchr(to, '/');
    if (is_folder(to) || (slash && slash[1] == '\0')) {
        char time_text[32];
        time_t seconds = (time_t)(backup->at / 1000);
        struct tm tm;
        if (!is_folder(to))
            return err_set(err, ERR_NOT_FOUND, "there is no folder %s", to);
        if (!gmtime_r(&seconds, &tm) || strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%S", &tm) == 0)
            return err_set(err, ERR_INTERNAL, "the clock tells no time");
        snprintf(backup->folder, sizeof backup->folder, "%s", to);
        snprintf(backup->path, sizeof backup->path, "%s/gantry-%s.%03uZ.backup", to, time_text, (unsigned)(backup->at % 1000));
    } else {
        snprintf(backup->folder, sizeof backup->folder, "%.*s", slash ? (int)(slash - to) : 1, slash ? to : ".");
        if (backup->folder[0] == '\0')
            snprintf(backup->folder, sizeof backup->folder, "/");
        snprintf(backup->path, sizeof backup->path, "%s", to);
    }
    return access(backup->path, F_OK) == 0 ? err_set(err, ERR_CONFLICT, "%s is there already", backup->path) : 0;
}

static int partial_open(struct backup *backup, struct err *err)
{
    snprintf(backup->partial, sizeof backup->partial, "%s/.gantry-%ld.partial", backup->folder, (long)getpid());
    backup->fd = open(backup->partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (backup->fd < 0 || flock(backup->fd, LOCK_EX | LOCK_NB) != 0) {
        err_set(err, ERR_IO, "cannot write in %s: %s", backup->folder, strerror(errno));
        backup->partial[0] = '\0';
        return -1;
    }
    return 0;
}

static int partial_name(struct backup *backup, struct err *err)
{
    if (renameat2(AT_FDCWD, backup->partial, AT_FDCWD, backup->path, RENAME_NOREPLACE) != 0 &&
        !(errno == EINVAL && access(backup->path, F_OK) != 0 && rename(backup->partial, backup->path) == 0))
        return err_set(err, ERR_IO, "cannot give the backup its name %s: %s", backup->path, strerror(errno));
    backup->named = true;
    return kv_file_folder_sync(backup->folder, err);
}

/* ---- copying ---- */

static int chunk_write(struct backup *backup, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t done = write(backup->fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return err_set(err, ERR_IO, "cannot write the backup in %s: %s", backup->folder, strerror(errno));
        data += done;
        len -= (size_t)done;
        backup->bytes += (uint64_t)done;
    }
    return 0;
}

/* What a copy may cost the farm that goes on beside it. */
static int bounds_check(struct backup *backup, uint64_t used_before, bool same_disk, struct err *err)
{
    struct kv_stat stat;
    struct statvfs fs;
    kv_stat(backup->kv, &stat);
    if (stat.used_bytes > used_before && stat.used_bytes - used_before > backup->options->grow_bytes)
        return err_set(err, ERR_LIMIT,
                       "given up: the database has grown by %lu MiB while it was copied, as nothing freed can be used again "
                       "before the copy ends; write to a faster disk, or allow more with --grow-mb",
                       (unsigned long)((stat.used_bytes - used_before) >> 20));
    if (same_disk && fstatvfs(backup->fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < ROOM_BYTES)
        return err_set(err, ERR_LIMIT, "given up: the backup would fill the database's own disk");
    return 0;
}

static bool same_disk(const struct backup *backup)
{
    struct stat a, b;
    return stat(backup->options->data, &a) == 0 && fstat(backup->fd, &b) == 0 && a.st_dev == b.st_dev;
}

static int pages_take(struct backup *backup, char *room, struct err *err)
{
    crypto_generichash_state state;
    struct kv_stat before;
    bool beside = same_disk(backup);
    kv_stat(backup->kv, &before);
    crypto_generichash_init(&state, NULL, 0, sizeof backup->hash);
    for (;;) {
        ssize_t got = read(backup->pipe[0], room, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, ERR_IO, "cannot copy: %s", strerror(errno));
        if (got == 0)
            break;
        crypto_generichash_update(&state, (const unsigned char *)room, (unsigned long long)got);
        if (chunk_write(backup, room, (size_t)got, err) != 0 || bounds_check(backup, before.used_bytes, beside, err) != 0)
            return -1;
    }
    crypto_generichash_final(&state, backup->hash, sizeof backup->hash);
    return 0;
}

static int pages_copy(struct backup *backup, struct err *err)
{
    pthread_t thread;
    char *room = malloc(CHUNK);
    int rc = -1;
    if (!room || pipe2(backup->pipe, O_CLOEXEC) != 0) {
        free(room);
        return err_set(err, ERR_NO_MEMORY, "no memory or descriptors for a copy");
    }
    (void)fcntl(backup->pipe[1], F_SETPIPE_SZ, (int)CHUNK); /* fewer turns; the size it has will do, too */
    if (pthread_create(&thread, NULL, copy_run, backup) != 0) {
        err_set(err, ERR_NO_MEMORY, "cannot start a thread");
        close(backup->pipe[1]);
    } else {
        rc = pages_take(backup, room, err);
        close(backup->pipe[0]);
        backup->pipe[0] = -1;
        pthread_join(thread, NULL);
        if (rc == 0 && backup->copy_err.code != 0) {
            *err = backup->copy_err;
            rc = -1;
        }
    }
    if (backup->pipe[0] >= 0)
        close(backup->pipe[0]);
    free(room);
    return rc;
}

/* ---- what it holds ---- */

static int copy_check(struct backup *backup, struct err *err)
{
    struct findings findings = {0};
    struct kv_pages pages;
    if (kv_pages_check(backup->partial, UINT64_MAX, &pages, &findings, err) != 0)
        return -1;
    if (findings.count > 0)
        return err_set(err, ERR_INVALID, "the copy cannot be used, and so the database is damaged: %.150s", findings.first);
    return 0;
}

static int copy_describe(struct backup *backup, struct rec_backup *record, struct rec_count *counts, struct err *err)
{
    struct kv_options options = {.folder = backup->partial,
                                 .mode = KV_FILE,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = backup->options->map_bytes};
    static struct state state;
    uint32_t version = 0;
    int rc = -1;
    struct kv *kv = kv_open(&options, err);
    struct kv_txn *txn = NULL;
    if (!kv || schema_read(kv, &version, err) != 0 || !(txn = kv_snapshot(kv, err)))
        goto error;
    if (version == 0 || state_load(txn, &state) != KV_OK) {
        err_set(err, ERR_INVALID, "there is nothing in the database yet");
        goto error;
    }
    *record = (struct rec_backup){.at = backup->at,
                                  .schema = version,
                                  .version = STR_LIT(GANTRY_VERSION),
                                  .epoch = state.epoch,
                                  .applied = state.applied,
                                  .next_ids = {state.next, TYPE_MAX},
                                  .bytes = backup->bytes,
                                  .hash = {(const char *)backup->hash, sizeof backup->hash},
                                  .counts = {counts, 0}};
    for (unsigned type = 0; type < TYPE_MAX; type++) {
        const struct record *of = record_of(type);
        struct key key;
        key_begin(&key, type, 0);
        if (of)
            counts[record->counts.count++] = (struct rec_count){.name = str_of(of->name), .value = count_get(txn, key_str(&key))};
    }
    rc = 0;
error:
    kv_end(txn);
    kv_close(kv);
    return rc;
}

/* ---- older ones ---- */

static int names_older(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A copy that a killed process left: nobody holds its lock. */
static void partial_remove(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    if (fd >= 0)
        close(fd);
}

static void folder_tidy(const struct backup *backup)
{
    char *names[4096], path[PATH_MAX + 300];
    size_t count = 0;
    DIR *dir = opendir(backup->folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        snprintf(path, sizeof path, "%s/%s", backup->folder, entry->d_name);
        if (strncmp(entry->d_name, ".gantry-", 8) == 0 && len > 8 && strcmp(entry->d_name + len - 8, ".partial") == 0)
            partial_remove(path);
        else if (is_name(entry->d_name) && count < sizeof names / sizeof names[0] && (names[count] = strdup(entry->d_name)))
            count++;
    }
    if (dir)
        closedir(dir);
    qsort(names, count, sizeof names[0], names_older);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", backup->folder, names[i]);
        if (backup->options->keep > 0 && i + backup->options->keep < count)
            unlink(path);
        free(names[i]);
    }
}

/* ---- all of it ---- */

static void backup_tell(const struct backup *backup, const struct rec_backup *record, FILE *out)
{
    fprintf(out, "%s:", backup->path);
    for (uint32_t i = 0; i < record->counts.count; i++) {
        const struct rec_count *count = &record->counts.items[i];
        if (str_is(count->name, "task") || str_is(count->name, "run") || str_is(count->name, "worker"))
            fprintf(out, " %lu %.*ss,", (unsigned long)count->value, (int)count->name.len, count->name.ptr);
    }
    fprintf(out, " epoch %lu batch %lu, %.1f MiB in %.1f s\n", (unsigned long)record->epoch, (unsigned long)record->applied,
            (double)backup->bytes / (1 << 20), (double)(clock_mono_ms() - backup->began_ms) / 1000);
}

/* What was acknowledged before now may be in the log in front of the database only (redo.h): it follows within milliseconds, while the
 * store runs. */
static int source_wait(struct backup *backup, struct err *err)
{
    char path[PATH_MAX];
    uint64_t wanted_epoch = 0, wanted = 0;
    bool known = false;
    struct err raced = {0}; /* the store may be writing to it, and looks damaged in between */
    snprintf(path, sizeof path, "%s/store/redo", backup->options->data);
    for (uint64_t until = clock_mono_ms() + FOLLOW_MS; clock_mono_ms() < until; poll(NULL, 0, 10)) {
        static struct state state;
        raced = (struct err){0};
        struct kv_txn *txn = kv_snapshot(backup->kv, err);
        if (!txn)
            return -1;
        enum kv_result result = state_load(txn, &state);
        kv_end(txn);
        if (result != KV_OK)
            return err_set(err, ERR_IO, "cannot read the database: %s", kv_result_text(result));
        if (!known && redo_last(path, state.epoch, state.applied, &wanted, &raced) == 0) {
            known = true;
            wanted_epoch = state.epoch;
        }
        if (known && (state.epoch > wanted_epoch || state.applied >= wanted))
            return 0;
    }
    if (!known)
        return err_set(err, raced.code, "%s", raced.text);
    return err_set(err, ERR_UNAVAILABLE,
                   "the store has acknowledged batches that are not in its database yet (%s): start the store, "
                   "which brings it up to date",
                   path);
}

static int source_open(struct backup *backup, struct err *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/store", backup->options->data);
    struct kv_options options = {.folder = folder,
                                 .mode = KV_BESIDE,
                                 .tables = record_tables,
                                 .table_count = TABLE_ALL,
                                 .map_bytes = backup->options->map_bytes};
    backup->kv = kv_open(&options, err);
    return backup->kv ? source_wait(backup, err) : -1;
}

int backup_make(const struct backup_options *options, FILE *out, struct err *err)
{
    struct backup backup = {.options = options, .fd = -1, .at = clock_wall_ms(), .began_ms = clock_mono_ms()};
    struct rec_backup record;
    struct rec_count counts[TYPE_MAX];
    int rc = -1;
    signal(SIGPIPE, SIG_IGN); /* the copy is ended by not being read any more */
    if (source_open(&backup, err) != 0 || names_choose(&backup, err) != 0 || partial_open(&backup, err) != 0 ||
        pages_copy(&backup, err) != 0 || copy_check(&backup, err) != 0 || copy_describe(&backup, &record, counts, err) != 0 ||
        manifest_write(backup.fd, &record, err) != 0)
        goto error;
    if (fsync(backup.fd) != 0) {
        err_set(err, ERR_IO, "cannot write the backup to disk: %s", strerror(errno));
        goto error;
    }
    if (partial_name(&backup, err) != 0)
        goto error;
    rc = 0;
    backup_tell(&backup, &record, out);
    if (is_folder(options->to))
        folder_tidy(&backup);
error:
    if (!backup.named && backup.partial[0])
        unlink(backup.partial);
    if (backup.fd >= 0)
        close(backup.fd);
    kv_close(backup.kv);
    return rc;
}
