/* What comes of a result when a part of it, or all, is there. All that waits for the disk is done in the helper thread.
 *
 *   a part    it is made durable, then answered: what was acknowledged is there behind a power cut as well
 *   the last  it is made durable and read whole, for its hashes; then the scheduler is asked whether its task still is in the hands it
 *             was in; only when it has committed that it may have its name does it get it. So a result whose lease was lost meanwhile is not
 *             named, and what is named is known to be the farm's own: a newer result may take its place, a stranger's file never goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/transcode_upload.h"
#include "proto/file.h"
#include "proto/log.h"

#define CHUNK ((size_t)1 << 20)
#define MADE_ITEM 24u /* bytes of one in made: size, hash */

static void job_begin(struct upload *upload, void (*work)(struct file_job *job), void (*done)(struct file_job *job))
{
    upload->working = true;
    upload->ending = UPLOAD_BADLY;
    upload->job.work = work;
    upload->job.done = done;
    files_do(upload->request->gateway->files, &upload->job);
}

/* Its job has ended. NULL: its request went meanwhile, and it with it. */
static struct upload *job_over(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;

    upload->working = false;
    if (upload->request)
        return upload;
    upload_free(upload);
    return NULL;
}

void upload_answer(struct request *request, unsigned status, uint64_t received, bool complete)
{
    struct writer w;

    api_open(request, &w, status, status == 201 ? TEXT_API_UPLOADED : TEXT_API_RECEIVED);
    writer_open(&w, "data", '{');
    writer_uint(&w, "received", received);
    writer_bool(&w, "complete", complete);
    writer_close(&w, '}');
    api_close(request, &w, status);
}

static void answer(struct upload *upload)
{
    struct request *request = upload->request;

    switch (upload->ending) {
    case UPLOAD_WELL:
        upload_answer(request, 201, upload->at, true);
        break;
    case UPLOAD_WRONG_HASH:
        upload_refuse(request, PROBLEM_CONFLICT, "upload_hash", NULL);
        break;
    case UPLOAD_REFUSED:
        upload_refuse(request, PROBLEM_CONFLICT, upload->rule, NULL);
        break;
    case UPLOAD_STANDS:
        upload_refuse(request, PROBLEM_CONFLICT, "upload_stands", upload->name);
        break;
    case UPLOAD_BADLY:
        upload_refuse_disk(request, upload->cause);
        break;
    }
}

/* ---- hashes ---- */

int upload_hash(int fd, unsigned char xxh3[UPLOAD_XXH3], unsigned char *sha256)
{
    unsigned char *buffer = malloc(CHUNK);
    XXH3_state_t *state = XXH3_createState();
    EVP_MD_CTX *context = sha256 ? EVP_MD_CTX_new() : NULL;
    bool well = buffer && state && XXH3_128bits_reset(state) == XXH_OK &&
                (!sha256 || (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1));
    int cause = ENOMEM;
    off_t at = 0;

    while (well) {
        ssize_t got = pread(fd, buffer, CHUNK, at);
        if (got < 0 && errno == EINTR)
            continue;
        well = got >= 0;
        cause = got < 0 ? errno : cause;
        if (got <= 0)
            break;
        XXH3_128bits_update(state, buffer, (size_t)got);
        well = !sha256 || EVP_DigestUpdate(context, buffer, (size_t)got) == 1;
        at += got;
    }
    if (well) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
        memcpy(xxh3, canonical.digest, UPLOAD_XXH3);
        well = !sha256 || EVP_DigestFinal_ex(context, sha256, NULL) == 1;
    }
    EVP_MD_CTX_free(context);
    XXH3_freeState(state);
    free(buffer);
    errno = cause;
    return well ? 0 : -1;
}

/* ---- its name ---- */

/* One of those that the farm has made of this video. 0: it is none of them. -1 with errno. */
static int is_made(const struct upload *upload, int fd, uint64_t size)
{
    unsigned char item[MADE_ITEM];
    bool read = false;

    for (unsigned i = 0; i < 8; i++)
        item[i] = (unsigned char)(size >> (56 - 8 * i));
    for (uint32_t at = 0; at + MADE_ITEM <= upload->made_len; at += MADE_ITEM) {
        if (memcmp(upload->made + at, item, 8) != 0)
            continue;
        if (!read && upload_hash(fd, item + 8, NULL) != 0)
            return -1;
        read = true;
        if (memcmp(upload->made + at + 8, item + 8, UPLOAD_XXH3) == 0)
            return 1;
    }
    return 0;
}

/* In the place of what stands there, if that is the farm's own. */
static void take_place(struct upload *upload)
{
    struct stat seen;
    int fd = openat(upload->folder, upload->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), ours = 0;

    if (fd >= 0 && fstat(fd, &seen) == 0 && S_ISREG(seen.st_mode))
        ours = is_made(upload, fd, (uint64_t)seen.st_size);
    upload->cause = ours < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (ours > 0 && file_supplant(upload->folder, upload->part, upload->name, &seen) == 0)
        upload->ending = UPLOAD_WELL;
    else if (ours == 0 || (ours > 0 && errno == EEXIST))
        upload->ending = UPLOAD_STANDS;
    else if (ours > 0)
        upload->cause = errno;
    if (upload->ending == UPLOAD_STANDS)
        unlinkat(upload->folder, upload->part, 0);
}

static void name_work(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;

    if (file_name_new(upload->folder, upload->part, upload->name) == 0)
        upload->ending = UPLOAD_WELL;
    else if (errno == EEXIST)
        take_place(upload);
    else
        upload->cause = errno;
    if (upload->ending == UPLOAD_WELL && fsync(upload->folder) != 0) {
        upload->ending = UPLOAD_BADLY;
        upload->cause = errno;
    }
}

static void job_answer(struct file_job *job)
{
    struct upload *upload = job_over(job);

    if (upload)
        answer(upload);
}

static void on_granted(struct request *request, const struct msg *msg)
{
    struct upload *upload = request->sink.self;
    struct str made = msg->u.transcode_published.made;

    upload->made_len = made.len <= UPLOAD_MADE ? made.len : 0;
    if (upload->made_len)
        memcpy(upload->made, made.ptr, upload->made_len);
    job_begin(upload, name_work, job_answer);
}

/* ---- it is not to have it ---- */

static void drop_work(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;

    unlinkat(upload->folder, upload->part, 0);
    upload->ending = UPLOAD_REFUSED;
}

static bool on_refused(struct request *request, const struct msg_error *error)
{
    static const char *const rules[] = {"task_final", "task_owner", "upload_hash"};
    struct upload *upload = request->sink.self;

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (error->code != ERR_CONFLICT || !str_is(error->rule, rules[i]))
            continue;
        upload->rule = rules[i];
        job_begin(upload, drop_work, job_answer);
        return true;
    }
    return false; /* asked again, it may be granted: the last part is to come again */
}

static void ask_grant(struct upload *upload)
{
    struct request *request = upload->request;
    struct msg_transcode_publish asked = {.task_id = upload->task,
                                          .attempt = upload->attempt,
                                          .size = upload->at,
                                          .hash = {(const char *)upload->found, UPLOAD_XXH3}};

    request->on_error = on_refused;
    ask_send(request, ASK_SCHEDULER, &shape_msg_transcode_publish, &asked, on_granted);
}

/* ---- the last piece is there ---- */

static void whole_work(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;
    unsigned char sha256[UPLOAD_SHA256];

    if (fsync(upload->fd) != 0 || upload_hash(upload->fd, upload->found, upload->hashed ? sha256 : NULL) != 0)
        upload->cause = errno;
    else if (upload->hashed && memcmp(sha256, upload->hash, UPLOAD_SHA256) != 0 && unlinkat(upload->folder, upload->part, 0) == 0)
        upload->ending = UPLOAD_WRONG_HASH;
    else
        upload->ending = UPLOAD_WELL;
}

static void whole_done(struct file_job *job)
{
    struct upload *upload = job_over(job);

    if (!upload)
        return;
    if (upload->ending == UPLOAD_WELL)
        ask_grant(upload);
    else
        answer(upload);
}

/* ---- a part is there ---- */

static void part_work(struct file_job *job)
{
    struct upload *upload = (struct upload *)(void *)job;

    if (fsync(upload->fd) != 0 || fsync(upload->folder) != 0)
        upload->cause = errno;
    else
        upload->ending = UPLOAD_WELL;
}

static void part_done(struct file_job *job)
{
    struct upload *upload = job_over(job);

    if (!upload)
        return;
    if (upload->ending == UPLOAD_WELL)
        upload_answer(upload->request, 200, upload->at, false);
    else
        answer(upload);
}

void upload_whole(void *self)
{
    struct upload *upload = self;
    struct request *request = upload->request;
    struct problem problem;

    if (upload->cause) {
        upload_refuse_disk(request, upload->cause);
        return;
    }
    if (upload->behind && upload->at != upload->behind) {
        if (ftruncate(upload->fd, (off_t)upload->first) != 0)
            log_warn("GTY-UPLOAD-LEFT", "%s", strerror(errno));
        problem_value(&problem, PROBLEM_BAD_REQUEST, "Content-Range", "format", request->headers.content_range,
                      "bytes FIRST-LAST/TOTAL");
        reply_problem(request, &problem);
        return;
    }
    bool part = upload->total && upload->at < upload->total;
    job_begin(upload, part ? part_work : whole_work, part ? part_done : whole_done);
}
