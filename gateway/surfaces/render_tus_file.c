/* The files of an upload, and what its .info says. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/blob_tidy.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/render_tus.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/ident.h"

void tus_name(const struct tus *tus, char out[BLOB_NAME])
{
    snprintf(out, BLOB_NAME, BLOB_RESUMED "%s", tus->id);
}

static void path_of(const struct tus *tus, const char *ending, char out[BLOB_PATH])
{
    snprintf(out, BLOB_PATH, "%s/incoming/" BLOB_RESUMED "%s%s", tus->root, tus->id, ending);
}

/* ---- metadata ---- */

/* "key base64, key, key base64" */
static int value_read(struct str pair, char *out, size_t size, struct problem *problem)
{
    const char *blank = memchr(pair.ptr, ' ', pair.len);
    struct str value = {NULL, 0};
    size_t got = 0;

    if (blank)
        value = str_trim((struct str){blank + 1, pair.len - (uint32_t)(blank + 1 - pair.ptr)}, " ");
    if (value.len && sodium_base642bin((unsigned char *)out, size - 1, value.ptr, value.len, NULL, &got, NULL,
                                       sodium_base64_VARIANT_ORIGINAL) != 0)
        return problem_value(problem, PROBLEM_BAD_REQUEST, "Upload-Metadata", "format", pair,
                             "a key and base64, at most %d bytes", (int)size - 1);
    out[got] = '\0';
    if (strlen(out) == got && str_utf8((struct str){out, (uint32_t)got}))
        return 0;
    return problem_value(problem, PROBLEM_BAD_REQUEST, "Upload-Metadata", "format", pair, "UTF-8 without NUL");
}

static int pair_read(struct tus *tus, struct str pair, struct problem *problem)
{
    const struct {
        const char *name;
        char *out;
        size_t size;
    } known[] = {{"hash", tus->hash, sizeof tus->hash},
                 {"xxhash", tus->xxhash, sizeof tus->xxhash},
                 {"file_type", tus->file_type, sizeof tus->file_type},
                 {"unionid", tus->unionid, sizeof tus->unionid},
                 {"path", tus->path, sizeof tus->path}};
    const char *blank = memchr(pair.ptr, ' ', pair.len);
    struct str name = {pair.ptr, blank ? (uint32_t)(blank - pair.ptr) : pair.len};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(name, known[i].name))
            return value_read(pair, known[i].out, known[i].size, problem);
    return 0;
}

static int arrival_read(struct tus *tus, struct problem *problem)
{
    struct arrival *arrival = &tus->arrival;
    struct str hash = str_of(tus->hash), xxhash = str_of(tus->xxhash);

    if (!hash.len)
        return problem_set(problem, PROBLEM_INVALID, "hash", "required");
    if (!blob_read_hex(hash, arrival->md5))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "hash", "format", hash, "32 hexadecimal digits");
    arrival->has_xxh64 = xxhash.len > 0;
    if (xxhash.len && !render_decimal(xxhash, &arrival->xxh64))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "xxhash", "format", xxhash, "a decimal number of %d bits", 64);
    arrival->file_type = str_of(tus->file_type);
    arrival->unionid = str_of(tus->unionid);
    arrival->path = str_of(tus->path);
    if (arrival_whose(arrival, tus->request, problem) != 0)
        return -1;
    return arrival->path.len ? render_path_check(arrival->path, "path", problem) : 0;
}

int tus_metadata(struct tus *tus, struct str text, struct problem *problem)
{
    struct str pair;

    if (!str_copy(tus->metadata, sizeof tus->metadata, text) || !str_utf8(text))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "Upload-Metadata", "length", (struct str){NULL, 0}, "at most %d bytes",
                             TUS_METADATA);
    while (str_item(&text, &pair))
        if (pair_read(tus, pair, problem) != 0)
            return -1;
    return arrival_read(tus, problem);
}

/* ---- .info ---- */

static int info_write(const struct tus *tus, struct err *err)
{
    char path[BLOB_PATH];
    json_t *json = json_pack("{s:I, s:s, s:s, s:I, s:b}", "length", (json_int_t)tus->length, "metadata", tus->metadata, "whose",
                             tus->whose, "made_at", (json_int_t)tus->made_at, "arrived", tus->arrived);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    path_of(tus, BLOB_INFO, path);
    int rc = text ? file_replace(path, str_of(text), true, err) : err_set(err, ERR_NO_MEMORY, "out of memory");
    free(text);
    json_decref(json);
    return rc;
}

static bool info_read(struct tus *tus)
{
    struct buf text = {.limit = TUS_INFO};
    char path[BLOB_PATH];
    const char *metadata = "", *whose = "";
    json_int_t length = 0, made_at = 0;
    int arrived = 0;
    struct err err;

    path_of(tus, BLOB_INFO, path);
    json_t *json = file_read(path, &text, &err) == 0 ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    bool well = json && json_unpack(json, "{s:I, s:s, s:s, s:I, s:b}", "length", &length, "metadata", &metadata, "whose", &whose,
                                    "made_at", &made_at, "arrived", &arrived) == 0;
    if (well) {
        tus->length = (uint64_t)length;
        tus->made_at = (uint64_t)made_at;
        tus->arrived = arrived;
        snprintf(tus->metadata, sizeof tus->metadata, "%s", metadata);
        snprintf(tus->whose, sizeof tus->whose, "%s", whose);
    }
    json_decref(json);
    buf_free(&text);
    return well;
}

static void whose_of(const struct request *request, char out[2 * IDENT_HASH + 1])
{
    struct str whose = request_whose(request);

    sodium_bin2hex(out, 2 * IDENT_HASH + 1, (const unsigned char *)whose.ptr, whose.len <= IDENT_HASH ? whose.len : 0);
}

bool tus_load(struct tus *tus)
{
    struct request *request = tus->request;
    struct str id = request->match.args[0];
    char whose[2 * IDENT_HASH + 1], metadata[TUS_METADATA + 1];
    unsigned char bytes[BLOB_MD5]; /* an id is as long as a hash */
    struct problem problem;

    whose_of(request, whose);
    bool there = blob_read_hex(id, bytes) && str_copy(tus->id, sizeof tus->id, id) && info_read(tus);
    if (!there || (strcmp(whose, tus->whose) != 0 && request->actor.role != ROLE_ADMIN)) {
        tus_refuse(request, 404, "upload_id", "asset_missing", id, NULL);
        return false;
    }
    memcpy(metadata, tus->metadata, sizeof metadata);
    if (tus_metadata(tus, str_of(metadata), &problem) == 0)
        return true;
    reply_problem(request, &problem);
    return false;
}

/* ---- jobs ---- */

static void tus_free(struct tus *tus)
{
    EVP_MD_CTX_free(tus->sum);
    free(tus);
}

static void on_closed(void *self)
{
    struct tus *tus = self;

    /* Of bytes that were to be held against a checksum, and did not all come, nothing is known. */
    if (tus->sum && tus->arrival.blob && ftruncate(tus->arrival.blob->fd, (off_t)tus->first) != 0)
        tus->cause = errno;
    blob_drop(tus->arrival.blob);
    tus->arrival.blob = NULL;
    tus->request = NULL;
    if (!tus->working)
        tus_free(tus);
}

void tus_sink(struct tus *tus, void (*take)(void *self, const char *data, size_t size), void (*whole)(void *self))
{
    tus->request->sink = (struct sink){.take = take, .whole = whole, .closed = on_closed, .self = tus};
}

static void on_done(struct file_job *job)
{
    struct tus *tus = (struct tus *)(void *)job;

    tus->working = false;
    if (tus->request)
        tus->done(tus);
    else
        tus_free(tus);
}

static void job_begin(struct tus *tus, void (*work)(struct file_job *job), void (*done)(struct tus *tus))
{
    tus->working = true;
    tus->cause = 0;
    tus->done = done;
    tus->job = (struct file_job){.work = work, .done = on_done};
    files_do(tus->request->gateway->files, &tus->job);
}

static void make_work(struct file_job *job)
{
    struct tus *tus = (struct tus *)(void *)job;
    char path[BLOB_PATH];
    struct err err;

    snprintf(path, sizeof path, "%s/incoming", tus->root);
    if (ident_make_dirs(path, 0755, &err) != 0 || info_write(tus, &err) != 0) {
        tus->cause = errno ? errno : EIO;
        return;
    }
    path_of(tus, "", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || fsync(fd) != 0)
        tus->cause = errno;
    if (fd >= 0)
        close(fd);
    snprintf(path, sizeof path, "%s/incoming", tus->root);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) != 0)
        tus->cause = errno;
    if (fd >= 0)
        close(fd);
}

static void finish_work(struct file_job *job)
{
    struct tus *tus = (struct tus *)(void *)job;
    char path[BLOB_PATH];
    struct err err;

    tus->arrived = true;
    if (info_write(tus, &err) != 0)
        tus->cause = EIO;
    path_of(tus, "", path);
    if (!tus->cause)
        unlink(path);
}

static void remove_work(struct file_job *job)
{
    struct tus *tus = (struct tus *)(void *)job;
    char path[BLOB_PATH];

    path_of(tus, "", path);
    int fd = tus->arrival.blob ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        tus->cause = EWOULDBLOCK;
    } else {
        unlink(path);
        path_of(tus, BLOB_INFO, path);
        unlink(path);
    }
    if (fd >= 0)
        close(fd);
}

void tus_make(struct tus *tus, void (*done)(struct tus *tus))
{
    ident_random(tus->id, TUS_ID / 2);
    whose_of(tus->request, tus->whose);
    tus->made_at = clock_wall_ms();
    job_begin(tus, make_work, done);
}

void tus_finish(struct tus *tus, void (*done)(struct tus *tus))
{
    job_begin(tus, finish_work, done);
}

void tus_remove(struct tus *tus, void (*done)(struct tus *tus))
{
    job_begin(tus, remove_work, done);
}
