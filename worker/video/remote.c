#include "worker/video/remote.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/video/remote_ask.h"

#define WAIT_MS 200 /* before the first repeat; doubles */
#define WAIT_MAX_MS 10000
#define RESYNCS_MAX 16 /* so often the gateway may be elsewhere than was thought, without a byte more */
#define URL_MAX 4600

/* ---- again and again ---- */

struct patience {
    uint64_t until, moved; /* mono; how far it was then */
    unsigned wait_ms, resyncs;
};

/* Waits for a while. False: it has been long enough that nothing moved. */
static bool wait_again(struct patience *patience, const struct exchange *it)
{
    uint64_t now = clock_mono_ms(), most = it->remote->patience_ms ? it->remote->patience_ms : REMOTE_PATIENCE_MS;
    if (!patience->until || it->at > patience->moved)
        *patience = (struct patience){.until = now + most, .moved = it->at};
    if (now >= patience->until)
        return false;
    patience->wait_ms = patience->wait_ms ? patience->wait_ms * 2 : WAIT_MS;
    if (patience->wait_ms > WAIT_MAX_MS)
        patience->wait_ms = WAIT_MAX_MS;
    poll(NULL, 0, (int)patience->wait_ms);
    return true;
}

static struct exchange exchange_of(struct remote *remote, int fd, uint64_t size)
{
    return (struct exchange){.remote = remote, .fd = fd, .end = size, .total = size};
}

static int address(const struct remote *remote, const char *what, char url[URL_MAX], struct err *err)
{
    size_t len = strlen(remote->gateway);
    while (len && remote->gateway[len - 1] == '/')
        len--;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_NO_MEMORY, "libcurl cannot be started");
    if (snprintf(url, URL_MAX, "%.*s/api/v1/stream/%s/%" PRIu64 "?attempt=%" PRIu64 "&extension=%s", (int)len, remote->gateway,
                 what, remote->task, remote->attempt, remote->extension ? remote->extension : "") >= URL_MAX)
        return err_set(err, ERR_INVALID, "worker.gateway is too long");
    return 0;
}

static enum remote_verdict never(struct err *err, const char *why)
{
    err_set(err, ERR_CONFLICT, "%s", why);
    return REMOTE_NEVER;
}

static int over(struct exchange *it, enum remote_verdict verdict)
{
    buf_free(&it->answer);
    return verdict == REMOTE_WELL ? 0 : -1;
}

/* ---- the source ---- */

int remote_fetch(struct remote *remote, int fd, uint64_t size, struct err *err)
{
    struct patience patience = {0};
    struct exchange it = exchange_of(remote, fd, size);
    enum remote_verdict verdict = REMOTE_WELL;
    char url[URL_MAX], range[64];
    if (address(remote, "source", url, err) < 0)
        return -1;
    while (it.at < size) {
        snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-", it.at);
        verdict = remote_ask(&it, REMOTE_FILE, url, it.at ? range : NULL, err);
        if (verdict == REMOTE_WELL && it.at < size)
            verdict = never(err, REMOTE_CHANGED);
        if (verdict != REMOTE_WELL && (verdict != REMOTE_AGAIN || !wait_again(&patience, &it)))
            break;
    }
    return over(&it, it.at == size ? REMOTE_WELL : verdict);
}

int remote_same(struct remote *remote, struct err *err)
{
    struct patience patience = {0};
    struct exchange it = exchange_of(remote, -1, 0);
    enum remote_verdict verdict;
    char url[URL_MAX];
    if (address(remote, "source", url, err) < 0)
        return -1;
    while ((verdict = remote_ask(&it, REMOTE_HEAD, url, NULL, err)) == REMOTE_AGAIN)
        if (!wait_again(&patience, &it))
            break;
    if (verdict == REMOTE_WELL && strcmp(it.tag, remote->tag) != 0)
        verdict = never(err, REMOTE_CHANGED);
    return over(&it, verdict);
}

/* ---- the result ---- */

/* How far the gateway is with it. */
static enum remote_verdict received(struct remote *remote, const char *url, uint64_t *bytes, bool *complete, struct err *err)
{
    struct exchange it = exchange_of(remote, -1, 0);
    it.slow = strstr(url, "&hash=") != NULL;
    enum remote_verdict verdict = remote_ask(&it, REMOTE_GET, url, NULL, err);
    json_t *json = verdict == REMOTE_WELL && it.answer.len ? json_loadb(it.answer.data, it.answer.len, 0, NULL) : NULL;
    const json_t *data = json_object_get(json, "data"), *number = json_object_get(data, "received");
    if (verdict == REMOTE_WELL && !json_is_integer(number)) {
        err_set(err, ERR_UNAVAILABLE, "the gateway %.80s: an odd answer", remote->gateway);
        verdict = REMOTE_AGAIN;
    }
    *bytes = (uint64_t)json_integer_value(number);
    *complete = json_is_true(json_object_get(data, "complete"));
    json_decref(json);
    buf_free(&it.answer);
    return verdict == REMOTE_RESYNC ? REMOTE_NEVER : verdict;
}

static enum remote_verdict put(struct exchange *it, const char *url, uint64_t from, uint64_t to, struct err *err)
{
    char range[96];
    it->at = from;
    it->end = to;
    snprintf(range, sizeof(range), "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from, to - 1, it->total);
    return remote_ask(it, REMOTE_UPLOAD, url, range, err);
}

/* Where the last part begins. */
static uint64_t last_of(uint64_t size)
{
    return size > REMOTE_LAST ? size - REMOTE_LAST : 0;
}

int remote_send(struct remote *remote, int fd, uint64_t size, struct err *err)
{
    struct patience patience = {0};
    struct exchange it = exchange_of(remote, fd, size);
    enum remote_verdict verdict = REMOTE_WELL;
    uint64_t last = last_of(size), here = 0;
    char url[URL_MAX];
    bool complete;
    if (address(remote, "result", url, err) < 0)
        return -1;
    while (last) {
        verdict = received(remote, url, &here, &complete, err);
        if (verdict == REMOTE_WELL && here > last)
            verdict = never(err, "the gateway has more of the result than was sent");
        if (verdict == REMOTE_WELL && here < last) {
            verdict = put(&it, url, here, last, err);
            patience.resyncs += verdict == REMOTE_RESYNC;
        }
        it.at = here; /* what is known to have come */
        if (verdict == REMOTE_RESYNC && patience.resyncs <= RESYNCS_MAX)
            verdict = REMOTE_AGAIN;
        if (verdict != REMOTE_AGAIN || !wait_again(&patience, &it))
            break;
    }
    return over(&it, verdict);
}

static int with_hash(char url[URL_MAX], uint64_t size, const char *hash, struct err *err)
{
    size_t len = strlen(url), room = URL_MAX - len;
    if (snprintf(url + len, room, "&size=%" PRIu64 "&hash=%s", size, hash) >= (int)room)
        return err_set(err, ERR_INVALID, "worker.gateway is too long");
    return 0;
}

int remote_finish(struct remote *remote, int fd, uint64_t size, const char *hash, struct err *err)
{
    struct patience patience = {0};
    struct exchange it = exchange_of(remote, fd, size);
    enum remote_verdict verdict;
    uint64_t here = 0, tried = 0;
    char url[URL_MAX], question[URL_MAX];
    unsigned resyncs = 0;
    bool complete, elsewhere = false; /* the gateway was, when it was told the last part */
    it.slow = true;                   /* the last part is answered when the whole is read and named */
    if (address(remote, "result", url, err) < 0 || address(remote, "result", question, err) < 0 ||
        with_hash(question, size, hash, err) < 0)
        return -1;
    do {
        verdict = received(remote, question, &here, &complete, err);
        if (verdict == REMOTE_WELL && complete) /* the answer to an earlier try was lost */
            break;
        if (verdict == REMOTE_WELL && elsewhere && here <= tried) /* nobody was: it was refused for good, as err says */
            verdict = REMOTE_NEVER;
        if (verdict == REMOTE_WELL && here < last_of(size))
            verdict = never(err, "the gateway has lost what was sent");
        if (verdict == REMOTE_WELL) {
            tried = here;
            verdict = put(&it, url, here < size ? here : last_of(size), size, err);
            elsewhere = verdict == REMOTE_RESYNC;
        }
        if (verdict == REMOTE_RESYNC && ++resyncs <= RESYNCS_MAX) /* an earlier try of ours may have been writing on */
            verdict = REMOTE_AGAIN;
        it.at = 0;
    } while (verdict == REMOTE_AGAIN && wait_again(&patience, &it));
    return over(&it, verdict);
}

int remote_stands(struct remote *remote, uint64_t size, const char *hash, bool *stands, struct err *err)
{
    struct patience patience = {0};
    struct exchange it = exchange_of(remote, -1, 0);
    enum remote_verdict verdict;
    uint64_t here;
    char url[URL_MAX];
    if (address(remote, "result", url, err) < 0 || with_hash(url, size, hash, err) < 0)
        return -1;
    do
        verdict = received(remote, url, &here, stands, err);
    while (verdict == REMOTE_AGAIN && wait_again(&patience, &it));
    return over(&it, verdict);
}
