#include "gateway/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/s3.h"
#include "proto/ident.h"
#include "proto/log.h"

#define HASH_FROM ((uint64_t)4 << 20)  /* so much is read for the hashes at a time, at least … */
#define HASH_UPTO ((uint64_t)16 << 20) /* … and at most: other jobs get their turn */
#define CHUNK ((size_t)256 << 10)

/* ---- names ---- */

bool blob_root(const struct settings *settings, char out[4096])
{
    const char *folder = settings_text(settings, SET_BLOB_DIR);
    int len = folder[0] ? snprintf(out, 4096, "%s", folder) : snprintf(out, 4096, "%s/blobs", settings_text(settings, SET_DATA));

    return len > 0 && len < 4096;
}

uint64_t blob_max(const struct settings *settings)
{
    return (uint64_t)settings_count_of(settings, SET_BLOB_MAX_GB) << 30;
}

void blob_hex(const unsigned char md5[BLOB_MD5], char out[BLOB_HEX])
{
    sodium_bin2hex(out, BLOB_HEX, md5, BLOB_MD5);
}

bool blob_read_hex(struct str text, unsigned char out[BLOB_MD5])
{
    size_t len = 0;

    return text.len == 2 * BLOB_MD5 && sodium_hex2bin(out, BLOB_MD5, text.ptr, text.len, NULL, &len, NULL) == 0 &&
           len == BLOB_MD5;
}

static void path_of(const char *root, const unsigned char md5[BLOB_MD5], char out[BLOB_PATH])
{
    char hex[BLOB_HEX];

    blob_hex(md5, hex);
    snprintf(out, BLOB_PATH, "%s/assets/%.2s/%s", root, hex, hex);
}

int blob_open(const struct settings *settings, const unsigned char md5[BLOB_MD5])
{
    char root[4096], name[BLOB_HEX + 16], hex[BLOB_HEX];

    if (!blob_root(settings, root)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    blob_hex(md5, hex);
    int len = snprintf(name, sizeof name, "assets/%.2s/%s", hex, hex);
    return beneath_open(root, (struct str){name, (uint32_t)len});
}

/* ---- life ---- */

static void incoming_of(const struct blob *blob, char out[BLOB_PATH])
{
    snprintf(out, BLOB_PATH, "%s/incoming/%s", blob->root, blob->name);
}

static void blob_free(struct blob *blob)
{
    if (blob->fd >= 0)
        close(blob->fd);
    EVP_MD_CTX_free(blob->md5);
    XXH64_freeState(blob->xxh64);
    free(blob);
}

static bool hashes_begin(struct blob *blob)
{
    blob->md5 = EVP_MD_CTX_new();
    blob->xxh64 = XXH64_createState();
    return blob->md5 && blob->xxh64 && EVP_DigestInit_ex(blob->md5, EVP_md5(), NULL) == 1 &&
           XXH64_reset(blob->xxh64, 0) == XXH_OK;
}

/* Its file, made or (a name that was there) taken up where it ends. -1 with errno. */
static int incoming_open(struct blob *blob, bool there)
{
    char path[BLOB_PATH];
    struct err err;
    struct stat stat;

    snprintf(path, sizeof path, "%s/incoming", blob->root);
    if (!there && ident_make_dirs(path, 0755, &err) != 0) {
        errno = EACCES;
        return -1;
    }
    incoming_of(blob, path);
    blob->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (there ? 0 : O_CREAT | O_EXCL), 0644);
    if (blob->fd < 0 || flock(blob->fd, LOCK_EX | LOCK_NB) != 0 || fstat(blob->fd, &stat) != 0)
        return -1;
    if (stat.st_nlink == 0) { /* it was removed between the two: what is added has no name */
        errno = ENOENT;
        return -1;
    }
    blob->size = (uint64_t)stat.st_size;
    return 0;
}

struct blob *blob_new(struct files *files, const struct settings *settings, const char *name, bool hash)
{
    struct blob *blob = calloc(1, sizeof *blob);

    if (!blob) {
        errno = ENOMEM;
        return NULL;
    }
    blob->fd = -1;
    blob->files = files;
    blob->keeps = name != NULL;
    if (name)
        snprintf(blob->name, sizeof blob->name, "%s", name);
    else
        ident_random(blob->name, 16);
    if (!blob_root(settings, blob->root)) {
        errno = ENAMETOOLONG;
    } else if (incoming_open(blob, name != NULL) == 0) {
        if (!hash || hashes_begin(blob))
            return blob;
        blob_drop(blob);
        errno = ENOMEM;
        return NULL;
    }
    int cause = errno;
    blob_free(blob);
    errno = cause;
    return NULL;
}

/* ---- jobs ---- */

static void job_begin_in(struct blob *blob, struct files *files, void (*work)(struct file_job *job),
                         void (*done)(struct file_job *job))
{
    blob->working = true;
    blob->job.work = work;
    blob->job.done = done;
    files_do(files, &blob->job);
}

static void job_begin(struct blob *blob, void (*work)(struct file_job *job), void (*done)(struct file_job *job))
{
    job_begin_in(blob, blob->files, work, done);
}

/* Where it gets its name: the helper thread, or its lane of the store. */
static struct files *keeper_of(const struct blob *blob)
{
    return blob->s3 ? s3_files(blob->s3, s3_lane(blob->md5_wanted)) : blob->files;
}

static void drop_work(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;
    char path[BLOB_PATH];

    incoming_of(blob, path);
    if (!blob->keeps)
        unlink(path);
}

static void drop_done(struct file_job *job)
{
    blob_free((struct blob *)(void *)job);
}

void blob_drop(struct blob *blob)
{
    if (!blob)
        return;
    blob->dropped = true;
    if (blob->working)
        return;
    flock(blob->fd, LOCK_UN); /* who goes on with it may come before the job is done */
    job_begin(blob, drop_work, drop_done);
}

/* Its job has ended. False: it is not wanted any more. */
static bool job_over(struct blob *blob)
{
    blob->working = false;
    if (blob->job_cause && !blob->cause)
        blob->cause = blob->job_cause;
    if (blob->dropped)
        job_begin(blob, drop_work, drop_done);
    return !blob->dropped;
}

static void tell(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;

    if (job_over(blob))
        blob->done(blob->self, blob);
}

/* ---- hashes ---- */

static void hash_work(struct file_job *job)
{
    static char chunk[CHUNK]; /* one thread */
    struct blob *blob = (struct blob *)(void *)job;
    uint64_t from = blob->hashed;

    while (blob->hashed < blob->until) {
        size_t want = blob->until - blob->hashed < CHUNK ? (size_t)(blob->until - blob->hashed) : CHUNK;
        ssize_t got = pread(blob->fd, chunk, want, (off_t)blob->hashed);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            blob->job_cause = got < 0 ? errno : EIO;
            return;
        }
        EVP_DigestUpdate(blob->md5, chunk, (size_t)got);
        XXH64_update(blob->xxh64, chunk, (size_t)got);
        blob->hashed += (uint64_t)got;
    }
    /* On its way to the disk, so that not all of it is waited for at the end. */
    sync_file_range(blob->fd, (off_t)from, (off_t)(blob->hashed - from), SYNC_FILE_RANGE_WRITE);
}

static void hash_go_on(struct blob *blob), rest_begin(struct blob *blob);

static void hash_done(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;

    if (!job_over(blob))
        return;
    if (blob->resting)
        rest_begin(blob);
    else
        hash_go_on(blob);
}

/* ---- its name ---- */

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 ? -1 : fsync(fd), cause = errno;

    if (fd >= 0)
        close(fd);
    errno = cause;
    return rc;
}

/* The folder of the file's name, made durable with what leads there. */
static int shard_make(const struct blob *blob, const char *path)
{
    char folder[BLOB_PATH], assets[BLOB_PATH];
    struct err err;

    snprintf(assets, sizeof assets, "%s/assets", blob->root);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (access(folder, X_OK) == 0)
        return 0;
    if (ident_make_dirs(folder, 0755, &err) != 0)
        return -1;
    return sync_folder(assets) == 0 && sync_folder(blob->root) == 0 ? 0 : -1;
}

/* One that was there is marked as looked for just now: a collection leaves it then, whatever is known of it (blob_gc.h). */
static int link_or_mark(const char *from, const char *to, bool *stood)
{
    do {
        *stood = link(from, to) != 0;
        if (*stood && errno != EEXIST)
            return -1;
    } while (*stood && utimensat(AT_FDCWD, to, NULL, 0) != 0 && errno == ENOENT); /* it has gone between the two */
    return 0;
}

/* Whether what stood there has the length that it should: else somebody has written to it, and what has just come takes its place. */
static bool is_whole(const struct blob *blob, const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == blob->size;
}

/* *stood: it was there before. */
static int name_link(struct blob *blob, bool *stood)
{
    char from[BLOB_PATH], to[BLOB_PATH], *end;

    incoming_of(blob, from);
    path_of(blob->root, blob->md5_found, to);
    if (shard_make(blob, to) != 0)
        return -1;
    if (link_or_mark(from, to, stood) != 0)
        return -1;
    if (*stood && !is_whole(blob, to)) {
        log_warn("GTY-BLOB-BROKEN", "%s was no longer what it was stored as; it is now", to);
        if ((unlink(to) != 0 && errno != ENOENT) || link_or_mark(from, to, stood) != 0)
            return -1;
    }
    end = strrchr(to, '/');
    *end = '\0';
    return sync_folder(to); /* also of one that is there: who made it may not have come to that yet */
}

/* -1 with errno, and why. */
static int place(struct blob *blob, bool *stood)
{
    if (!blob->s3)
        return name_link(blob, stood);
    if (s3_put(blob->s3, blob->md5_wanted, blob->fd, blob->size, stood, blob->why) == 0)
        return 0;
    errno = EREMOTEIO;
    return -1;
}

static void end_work(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;
    char path[BLOB_PATH];
    unsigned len = 0;

    blob->how = BLOB_BADLY;
    EVP_DigestFinal_ex(blob->md5, blob->md5_found, &len);
    blob->xxh64_found = XXH64_digest(blob->xxh64);
    if (memcmp(blob->md5_found, blob->md5_wanted, BLOB_MD5) != 0)
        blob->how = BLOB_WRONG_MD5;
    else if (blob->has_xxh64 && blob->xxh64_found != blob->xxh64_wanted)
        blob->how = BLOB_WRONG_XXH64;
    else if (fsync(blob->fd) != 0 || place(blob, &blob->stood) != 0)
        blob->job_cause = errno;
    else
        blob->how = BLOB_WELL;
    incoming_of(blob, path);
    if (blob->how != BLOB_WELL && !blob->keeps)
        unlink(path);
}

static void keep_work(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;
    bool stood;

    blob->how = BLOB_WELL;
    if (place(blob, &stood) != 0) {
        blob->job_cause = errno;
        blob->how = BLOB_BADLY;
    }
}

static void rest_work(struct file_job *job)
{
    struct blob *blob = (struct blob *)(void *)job;
    char folder[BLOB_PATH];

    snprintf(folder, sizeof folder, "%s/incoming", blob->root);
    blob->how = BLOB_WELL;
    if (fsync(blob->fd) != 0 || sync_folder(folder) != 0) {
        blob->job_cause = errno;
        blob->how = BLOB_BADLY;
    }
}

static void rest_begin(struct blob *blob)
{
    if (blob->cause) {
        blob->how = BLOB_BADLY;
        blob->done(blob->self, blob);
    } else {
        job_begin(blob, rest_work, tell);
    }
}

/* Some more of what has come; when that was all, its end. */
static void hash_go_on(struct blob *blob)
{
    uint64_t left = blob->size - blob->hashed;

    if (blob->ending && (blob->cause || left == 0)) {
        if (blob->cause) {
            blob->how = BLOB_BADLY;
            blob->done(blob->self, blob);
        } else {
            job_begin_in(blob, keeper_of(blob), end_work, tell);
        }
    } else if (!blob->cause && (left >= HASH_FROM || blob->ending)) {
        blob->until = blob->hashed + (left < HASH_UPTO ? left : HASH_UPTO);
        job_begin(blob, hash_work, hash_done);
    }
}

/* ---- what it is told ---- */

void blob_take(struct blob *blob, const char *data, size_t size)
{
    while (size > 0 && !blob->cause) {
        ssize_t done = pwrite(blob->fd, data, size, (off_t)blob->size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            blob->cause = done < 0 ? errno : ENOSPC;
            return;
        }
        data += done;
        size -= (size_t)done;
        blob->size += (uint64_t)done;
    }
    if (blob->md5 && !blob->working)
        hash_go_on(blob);
}

void blob_end(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self)
{
    blob->done = done;
    blob->self = self;
    blob->ending = true;
    if (!blob->working)
        hash_go_on(blob);
}

void blob_rest(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self)
{
    blob->done = done;
    blob->self = self;
    blob->resting = true; /* behind what is being read of it */
    if (!blob->working)
        rest_begin(blob);
}

void blob_keep(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self)
{
    blob->done = done;
    blob->self = self;
    job_begin_in(blob, keeper_of(blob), keep_work, tell);
}
