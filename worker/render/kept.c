/* A frame made by an engine that outlives it (keep.h): the scene is laid out and opened for the first of them only.
 *
 * What the engine depends on is a hash: parameters, words, environment, the list of files. Where it differs, the frame gets a new engine. Its frame's
 * number is no part of it, nor where the picture goes. How often the frame was tried is: what failed, or is wished for again, begins anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/job.h"
#include "worker/render/frame.h"
#include "worker/render/keep.h"
#include "worker/tree.h"
#include "worker/video/words.h"

#define DIAL_MS 10000 /* a keeper that was just started is at its door by then */
#define DIAL_AGAIN_MS 5
#define ANSWER_S 60      /* it may have a large engine to end, and its layout to remove */
#define STOPPED_MS 15000 /* one that is stopped does neither */

enum ready { READY_WAITS, READY_FRESH, READY_NONE }; /* the engine wanted */

struct kept {
    struct watching *watching;
    const char *folder; /* for the picture */
    char key[KEEP_KEY];
    struct keep_ends ends;
    uint64_t frames; /* that the engine has made before */
    const char *why; /* there is none */
};

/* ---- what it depends on ---- */

static bool starts_with_any(const char *text, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

static bool digest_texts(EVP_MD_CTX *hash, char *const *texts, const char *const *without)
{
    bool well = true;
    for (; *texts; texts++)
        if (!starts_with_any(*texts, without))
            well = well && EVP_DigestUpdate(hash, *texts, strlen(*texts) + 1) == 1;
    return well;
}

static bool digest_json(EVP_MD_CTX *hash, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    bool well = (!value || text) && (!text || EVP_DigestUpdate(hash, text, strlen(text) + 1) == 1);
    free(text);
    return well;
}

static bool key_make(struct render *it, char key[KEEP_KEY])
{
    static const char *const own[] = {"frame", "frames_to", "frame_id", "mean_bytes"};
    static const char *const words[] = {"run=", "attempt=", "work=", "published=", "output=", NULL}, *const env[] = {"GANTRY_",
                                                                                                                     NULL};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    json_t *parameters = json_copy(it->parameters), *files = layout_files(it);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    for (size_t i = 0; parameters && i < sizeof(own) / sizeof(own[0]); i++)
        json_object_del(parameters, own[i]);
    bool well = parameters && hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 && digest_json(hash, parameters) &&
                digest_json(hash, files) && digest_texts(hash, it->words, words) && digest_texts(hash, environ, env) &&
                EVP_DigestUpdate(hash, it->format, strlen(it->format)) == 1 && EVP_DigestFinal_ex(hash, digest, &len) == 1 &&
                2 * len == KEEP_KEY - 1;
    if (well)
        sodium_bin2hex(key, KEEP_KEY, digest, len);
    EVP_MD_CTX_free(hash);
    json_decref(parameters);
    return well;
}

/* ---- the keeper ---- */

static bool dial(struct render *it)
{
    const char *folder = words_or(it->words, "keeper", "");
    uint64_t until = clock_mono_ms() + DIAL_MS;
    while ((it->keeper = keep_dial(folder)) < 0 && (errno == ENOENT || errno == ECONNREFUSED) && clock_mono_ms() < until)
        poll(NULL, 0, DIAL_AGAIN_MS);
    struct timeval limit = {.tv_sec = ANSWER_S};
    return it->keeper >= 0 && setsockopt(it->keeper, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0;
}

/* Stopped, or stuck: the next frame is not to wait for it, too (worker/keepers.h). */
static void hung_tell(const struct render *it)
{
    char path[PATH_MAX + sizeof(KEEP_HUNG)];
    snprintf(path, sizeof(path), "%s/" KEEP_HUNG, words_or(it->words, "keeper", ""));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static enum ready none(struct kept *kept, const char *why)
{
    kept->why = why;
    return READY_NONE;
}

static enum ready unanswered(struct kept *kept, const char *why)
{
    hung_tell(kept->watching->it);
    return none(kept, why);
}

/* Waits for it to answer, unless it is seen to be stopped. */
static bool answers(int line)
{
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    struct pollfd packet = {.fd = line, .events = POLLIN};
    bool known = getsockopt(line, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid > 0;
    for (unsigned waited = 0; waited < ANSWER_S * 1000; waited += STOPPED_MS) {
        if (poll(&packet, 1, STOPPED_MS) > 0)
            return true;
        if (known && tree_stopped(who.pid))
            return false;
    }
    return false;
}

static enum ready want(struct kept *kept)
{
    struct render *it = kept->watching->it;
    char text[KEEP_TEXT];
    uint64_t chunk = words_number(it->words, "chunk"), seconds = words_number(it->words, "keep_seconds");
    keep_ends_close(&kept->ends);
    if (keep_send(it->keeper, NULL, "want %s %" PRIu64 " %" PRIu64, kept->key, chunk, seconds) < 0 || !answers(it->keeper) ||
        keep_receive(it->keeper, text, &kept->ends) != 1)
        return unanswered(kept, "its keeper does not answer");
    if (sscanf(text, "same %" SCNu64, &kept->frames) == 1 && kept->ends.process >= 0)
        return READY_WAITS;
    if (strncmp(text, "fresh ", 6) != 0 || strlen(text + 6) >= sizeof(it->place))
        return none(kept, "its keeper has no folder for it");
    kept->frames = 0;
    snprintf(it->place, sizeof(it->place), "%s", text + 6);
    return READY_FRESH;
}

static int job_write(const struct render *it, const struct job *job)
{
    char path[PATH_MAX];
    size_t len = 0;
    char *bytes = job_pack(job, &len);
    snprintf(path, sizeof(path), "%s/" KEEP_JOB, it->place);
    int fd = bytes ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    bool well = fd >= 0;
    for (size_t done = 0; well && done < len;) {
        ssize_t put = write(fd, bytes + done, len - done);
        well = put > 0;
        done += well ? (size_t)put : 0;
    }
    if (fd >= 0)
        well = close(fd) == 0 && well;
    free(bytes);
    return well ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be written: %s", path, strerror(errno));
}

/* Lays the scene out and has the engine started. */
static int begin(struct kept *kept)
{
    struct render *it = kept->watching->it;
    char made[PATH_MAX], text[KEEP_TEXT], *argv[ENGINE_ARGS + 1];
    int error = 0, pid = 0;
    snprintf(made, sizeof(made), "%s/made", it->place);
    if (mkdir(made, 0700) < 0)
        return err_set(it->err, ERR_IO, "%.150s cannot be made: %s", made, strerror(errno));
    if (render_lay(it) < 0)
        return -1;
    int rc = call_make(it, made, true, argv);
    const struct job job = {.argv = argv, .env = environ, .cwd = made};
    rc = rc < 0 ? rc : job_write(it, &job);
    engine_args_free(argv + 1);
    if (rc < 0)
        return -1;
    if (keep_send(it->keeper, NULL, "start") < 0 || keep_receive(it->keeper, text, &kept->ends) != 1)
        return err_set(it->err, ERR_IO, "engine: what was to keep %s has ended", it->engine->name);
    if (sscanf(text, "started %d", &pid) == 1 && kept->ends.process >= 0)
        return 0;
    sscanf(text, "failed %d", &error);
    return error == ENOENT ? call_missing(it)
                           : err_set(it->err, ERR_IO, "%.150s cannot be started: %s", it->program, strerror(error));
}

/* ---- the engine ---- */

/* One that is gone does not read it: that is seen by what comes of it. */
static int frame_send(const struct kept *kept)
{
    const struct render *it = kept->watching->it;
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/frame.####", kept->folder);
    json_t *wish = json_pack("{s:I, s:s, s:s}", "frame", (json_int_t)it->frame, "output", path, "token", kept->watching->token);
    char *text = wish ? json_dumps(wish, JSON_COMPACT) : NULL;
    json_decref(wish);
    if (!text)
        return err_set(it->err, ERR_NO_MEMORY, "no memory for a run");
    size_t len = strlen(text);
    text[len++] = '\n';
    for (ssize_t put; len > 0; len -= (size_t)put) {
        put = send(kept->ends.in, text, len, MSG_NOSIGNAL);
        if (put <= 0)
            break;
        memmove(text, text + put, len - (size_t)put);
    }
    free(text);
    return 0;
}

/* Until it has said that the frame is there, or has ended: helpers that it leaves may hold its output open. */
static void follow(struct kept *kept)
{
    struct reading reading = {.line = watching_line, .self = kept->watching};
    char bytes[4096];
    bool ended = false;
    while (!kept->watching->done) {
        struct pollfd fds[] = {{.fd = kept->ends.out, .events = POLLIN}, {.fd = kept->ends.process, .events = POLLIN}};
        poll(fds, 2, ended ? 0 : -1);
        ssize_t got = fds[0].revents ? read(kept->ends.out, bytes, sizeof(bytes)) : 0;
        if (got > 0)
            reading_take(&reading, bytes, (size_t)got);
        else if (fds[0].revents || ended)
            break;
        ended = fds[1].revents != 0;
    }
    reading_over(&reading);
}

/* How it ended; -1: nobody knows. */
static int ask_end(struct kept *kept, struct child_end *end)
{
    const struct render *it = kept->watching->it;
    char text[KEEP_TEXT];
    if (keep_send(it->keeper, NULL, "end") < 0 || keep_receive(it->keeper, text, NULL) != 1 ||
        sscanf(text, "ended %d %d", &end->exit_code, &end->signal) != 2)
        return err_set(it->err, ERR_IO, "engine: what kept %s has ended, and that with it", it->engine->name);
    return 0;
}

static void watching_begin(struct watching *watching)
{
    struct render *it = watching->it;
    *watching = (struct watching){.it = it};
    snprintf(watching->token, sizeof(watching->token), "%" PRIu64 "-%" PRIu64, it->run, it->attempt);
}

/* 1: the engine that waited has ended instead, as a file of the scene is another by now, say: a new one is due. */
static int make(struct kept *kept, enum ready ready, struct child_end *end)
{
    struct watching *watching = kept->watching;
    *end = (struct child_end){0};
    watching_begin(watching);
    if (ready == READY_FRESH && begin(kept) < 0)
        return -1;
    if (frame_send(kept) < 0)
        return -1;
    follow(kept);
    watching->it->keeps = watching->done && !watching->once;
    if (watching->done) {
        printf("frame %" PRIu64 " of this process of %s\n", kept->frames + 1, watching->it->engine->name);
        fflush(stdout);
        return 0;
    }
    if (ask_end(kept, end) < 0)
        return -1;
    return ready == READY_WAITS && !watching->ready;
}

int kept_call(struct watching *watching, const char *folder, struct child_end *end)
{
    struct render *it = watching->it;
    struct kept kept = {.watching = watching, .folder = folder, .ends = {-1, -1, -1}};
    enum ready ready = !key_make(it, kept.key) ? none(&kept, "its scene has no name")
                       : !dial(it)             ? unanswered(&kept, "its keeper is not there")
                                               : want(&kept);
    int rc = ready == READY_NONE ? 1 : make(&kept, ready, end);
    if (rc == 1 && ready == READY_WAITS) {
        ready = want(&kept);
        rc = ready == READY_NONE ? 1 : make(&kept, ready, end);
    }
    keep_ends_close(&kept.ends);
    if (rc == 1) {
        printf("no engine is kept for this frame: %s\n", kept.why ? kept.why : "it ends again and again");
        fflush(stdout);
    }
    return rc;
}

void kept_done(struct render *it)
{
    if (it->keeper >= 0 && it->keeps)
        keep_send(it->keeper, NULL, "done");
    if (it->keeper >= 0)
        close(it->keeper);
    it->keeper = -1;
}
