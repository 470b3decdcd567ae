/* A scene's file on this host: found below the folders of scenes (scene.root) as a worker would find it, and read for its MD5, which what is known of
 * it goes by. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/s3.h"
#include "gateway/surfaces/render_files.h"
#include "proto/clock.h"
#include "proto/ident.h"

#define CHUNK ((size_t)256 << 10)
#define PASS ((uint64_t)16 << 20) /* read at a time: other jobs get their turn */

/* ---- life ---- */

static void look_free(struct scene_look *look)
{
    if (look->fd >= 0)
        close(look->fd);
    EVP_MD_CTX_free(look->ctx);
    free(look->given);
    free(look);
}

static void on_closed(void *self)
{
    struct scene_look *look = self;

    loop_cancel(look->request->gateway->loop, look->timer);
    look->request = NULL;
    if (!look->working)
        look_free(look);
}

struct scene_look *scene_look_new(struct request *request, struct str given)
{
    struct scene_look *look = request->gateway->files ? calloc(1, sizeof *look) : NULL;

    if (look && !(look->given = strndup(given.ptr ? given.ptr : "", given.len))) {
        free(look);
        look = NULL;
    }
    if (!look) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return NULL;
    }
    look->request = request;
    look->fd = look->timer = -1;
    request->sink = (struct sink){.closed = on_closed, .self = look};
    return look;
}

/* ---- found ---- */

/* Slashes as here, no two together. */
static void plain(const char *given, char out[BLOB_PATH])
{
    size_t len = 0;

    for (; *given && len < BLOB_PATH - 1; given++) {
        char c = *given == '\\' ? '/' : *given;
        if (c != '/' || len == 0 || out[len - 1] != '/')
            out[len++] = c;
    }
    out[len] = '\0';
}

/* The name below this root; a drive's letter is a folder of it. *astray: it is an absolute one that does not begin with the root. */
static bool below(const char *root, const char *path, bool *astray, char out[BLOB_PATH])
{
    size_t len = strlen(root);

    *astray = false;
    if (isalpha((unsigned char)path[0]) && path[1] == ':')
        return snprintf(out, BLOB_PATH, "%c/%s", path[0], path + 2 + strspn(path + 2, "/")) < BLOB_PATH;
    if (strncmp(path, root, len) == 0 && path[len] == '/')
        path += len;
    else
        *astray = path[0] == '/';
    return snprintf(out, BLOB_PATH, "%s", path + strspn(path, "/")) < BLOB_PATH;
}

/* Also where folders on the way are not there, so that nothing could be opened. */
static bool leads_out(const char *name, int cause)
{
    int depth = 0;

    for (const char *at = name; *at && depth >= 0; at += strcspn(at, "/"), at += strspn(at, "/")) {
        size_t len = strcspn(at, "/");
        depth += len == 2 && memcmp(at, "..", 2) == 0 ? -1 : len == 1 && *at == '.' ? 0 : 1;
    }
    return depth < 0 || cause == EXDEV || cause == ELOOP;
}

/* The next of the folders that the setting names. */
static bool root_next(struct str *folders, char out[4096])
{
    while (folders->len > 0) {
        const char *end = memchr(folders->ptr, ':', folders->len);
        uint32_t len = end ? (uint32_t)(end - folders->ptr) : folders->len, step = end ? len + 1 : len;
        struct str one = {folders->ptr, len};
        *folders = (struct str){folders->ptr + step, folders->len - step};
        while (one.len > 1 && one.ptr[one.len - 1] == '/')
            one.len--;
        if (one.len > 0 && str_copy(out, 4096, one))
            return true;
    }
    return false;
}

static void refuse(struct scene_look *look, bool outside)
{
    if (outside)
        render_refuse(look->request, PROBLEM_FORBIDDEN, "scene_file", "scene_outside", str_of(look->given));
    else
        render_refuse(look->request, PROBLEM_BAD_REQUEST, "scene_file", "file_missing", str_of(look->given));
}

bool scene_look_open(struct scene_look *look)
{
    struct str folders = str_of(settings_text(look->request->gateway->settings, SET_SCENE_ROOT));
    char root[4096], path[BLOB_PATH], name[BLOB_PATH];
    bool outside = folders.len == 0, astray;

    plain(look->given, path);
    while (look->fd < 0 && root_next(&folders, root)) {
        if (!below(root, path, &astray, name))
            continue;
        look->fd = beneath_open(root, str_of(name));
        outside = outside || astray || (look->fd < 0 && leads_out(name, errno));
    }
    if (look->fd < 0) {
        refuse(look, outside);
        return false;
    }
    snprintf(look->path, sizeof look->path, "%s", path);
    return true;
}

/* ---- hashed ---- */

#define KNOWN 256
#define SETTLED_S 2 /* what changed later than that may change again within the clock's step */

struct known { /* a file's hash, while it is the same by all of these */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed, touched;
    unsigned char md5[BLOB_MD5];
};
static struct known known[KNOWN]; /* of the loop's thread; a later file takes an earlier one's place */

static struct known *known_place(const struct stat *stat)
{
    return &known[(stat->st_ino ^ stat->st_dev) % KNOWN];
}

static bool is_known(const struct known *it, const struct stat *stat)
{
    return it->ino == stat->st_ino && it->dev == stat->st_dev && it->size == stat->st_size && stat->st_size > 0 &&
           it->changed.tv_sec == stat->st_mtim.tv_sec && it->changed.tv_nsec == stat->st_mtim.tv_nsec &&
           it->touched.tv_sec == stat->st_ctim.tv_sec && it->touched.tv_nsec == stat->st_ctim.tv_nsec;
}

static void known_note(const struct scene_look *look)
{
    struct stat stat;

    if (fstat(look->fd, &stat) != 0 || (uint64_t)stat.st_size != look->size || stat.st_ctim.tv_sec != look->changed.tv_sec ||
        stat.st_ctim.tv_nsec != look->changed.tv_nsec || clock_wall_ms() / 1000 < (uint64_t)stat.st_ctim.tv_sec + SETTLED_S)
        return;
    struct known *it = known_place(&stat);
    *it = (struct known){stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtim, stat.st_ctim, {0}};
    memcpy(it->md5, look->md5, BLOB_MD5);
}

static void hash_work(struct file_job *job)
{
    static char chunk[CHUNK]; /* one thread */
    struct scene_look *look = (struct scene_look *)(void *)job;
    uint64_t until = look->hashed + PASS < look->size ? look->hashed + PASS : look->size;

    while (look->hashed < until && !look->cause) {
        size_t want = until - look->hashed < CHUNK ? (size_t)(until - look->hashed) : CHUNK;
        ssize_t got = pread(look->fd, chunk, want, (off_t)look->hashed);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            look->cause = got < 0 ? errno : EIO; /* it became shorter meanwhile */
        else if (EVP_DigestUpdate(look->ctx, chunk, (size_t)got) == 1)
            look->hashed += (uint64_t)got;
        else
            look->cause = ENOMEM;
    }
}

static void hash_done(struct file_job *job)
{
    struct scene_look *look = (struct scene_look *)(void *)job;
    unsigned len = 0;

    look->working = false;
    if (!look->request) {
        look_free(look);
        return;
    }
    if (!look->cause && look->hashed < look->size) {
        look->working = true;
        files_do(look->request->gateway->files, &look->job);
        return;
    }
    if (!look->cause && !look->known && EVP_DigestFinal_ex(look->ctx, look->md5, &len) != 1)
        look->cause = ENOMEM;
    if (!look->cause && !look->known)
        known_note(look);
    close(look->fd);
    look->fd = -1;
    look->done(look);
}

void scene_look_hash(struct scene_look *look, void (*done)(struct scene_look *look))
{
    struct stat stat;

    look->ctx = EVP_MD_CTX_new();
    if (!look->ctx || EVP_DigestInit_ex(look->ctx, EVP_md5(), NULL) != 1 || fstat(look->fd, &stat) != 0) {
        reply_problem_kind(look->request, PROBLEM_OVERLOADED);
        return;
    }
    look->size = (uint64_t)stat.st_size;
    look->changed = stat.st_ctim;
    look->known = is_known(known_place(&stat), &stat);
    if (look->known) {
        memcpy(look->md5, known_place(&stat)->md5, BLOB_MD5);
        look->hashed = look->size;
    }
    look->done = done;
    look->working = true;
    look->job = (struct file_job){.work = hash_work, .done = hash_done};
    files_do(look->request->gateway->files, &look->job);
}

/* ---- fetched ---- */

/* Under another name first. It may have been there: then it is used again. */
static void fetch_work(struct file_job *job)
{
    struct scene_look *look = (struct scene_look *)(void *)job;
    char fresh[BLOB_PATH + 40], random[17];
    struct err err;

    if (utimensat(AT_FDCWD, look->path, NULL, 0) == 0)
        return;
    ident_random(random, 8);
    snprintf(fresh, sizeof fresh, "%s.%s", look->path, random);
    char *slash = strrchr(look->path, '/');
    *slash = '\0';
    errno = 0;
    int made = ident_make_dirs(look->path, 0755, &err);
    *slash = '/';
    int fd = made == 0 ? open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
    if (fd < 0) {
        look->cause = errno ? errno : EACCES;
        return;
    }
    int rc = s3_get(look->s3, look->md5, fd, look->why);
    if (rc > 0)
        snprintf(look->why, sizeof look->why, "the file is known, but it is gone from there");
    if (close(fd) != 0 && rc == 0)
        look->cause = errno;
    if (rc == 0 && !look->cause && rename(fresh, look->path) != 0)
        look->cause = errno;
    if (rc != 0 || look->cause)
        unlink(fresh);
}

static void fetch_done(struct file_job *job)
{
    struct scene_look *look = (struct scene_look *)(void *)job;

    look->working = false;
    if (look->request)
        look->done(look);
    else
        look_free(look);
}

void scene_look_fetch(struct scene_look *look, const char *root, void (*done)(struct scene_look *look))
{
    char hex[BLOB_HEX];

    blob_hex(look->md5, hex);
    snprintf(look->path, sizeof look->path, "%s/cache/%s", root, hex);
    look->s3 = look->request->gateway->s3;
    look->done = done;
    look->working = true;
    look->job = (struct file_job){.work = fetch_work, .done = fetch_done};
    files_do(s3_files(look->s3, s3_lane(look->md5)), &look->job);
}
