#include "worker/video/remote_ask.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/file.h"
#include "proto/messages.h"

#define SILENCE_SECONDS 60L /* a connection on which nothing moves is given up */
#define SLOW_SECONDS 3600L  /* also where a long silence is to be expected: a file of a terabyte is read for the answer */
#define ANSWER_MAX ((size_t)65536)
#define DISK_FULL 507 /* the gateway's: the run fails, and says so, and does not wait for somebody to make room */

/* ---- what comes and goes ---- */

static void header_text(CURL *curl, const char *name, char *out, size_t size)
{
    struct curl_header *header;
    bool there = curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
    snprintf(out, size, "%s", there ? header->value : "");
}

/* The first bytes of the file are there: is it the same one as before, and the part that was asked for? */
static bool begin_file(struct exchange *it)
{
    char tag[sizeof(it->remote->tag)];
    curl_easy_getinfo(it->curl, CURLINFO_RESPONSE_CODE, &it->status);
    it->file = it->status == (it->at ? 206 : 200);
    if (!it->file)
        return true;
    header_text(it->curl, "ETag", tag, sizeof(tag));
    it->changed = it->remote->tag[0] && strcmp(it->remote->tag, tag) != 0;
    snprintf(it->remote->tag, sizeof(it->remote->tag), "%s", tag);
    return !it->changed;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *it = arg;
    size_t len = size * count;
    if (it->wants && it->status == 0 && !begin_file(it))
        return 0;
    if (!it->file) {
        buf_add(&it->answer, data, len < ANSWER_MAX - it->answer.len ? len : ANSWER_MAX - it->answer.len);
        return len;
    }
    it->longer = len > it->end - it->at;
    for (size_t done = 0; !it->longer && done < len;) {
        ssize_t put = pwrite(it->fd, data + done, len - done, (off_t)it->at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            it->error = put < 0 ? errno : ENOSPC;
            return 0;
        }
        done += (size_t)put;
        it->at += (uint64_t)put;
    }
    return it->longer ? 0 : len;
}

static size_t on_wanted(char *out, size_t size, size_t count, void *arg)
{
    struct exchange *it = arg;
    size_t room = size * count;
    uint64_t left = it->end - it->at;
    ssize_t got;
    room = left < room ? (size_t)left : room;
    while ((got = pread(it->fd, out, room, (off_t)it->at)) < 0 && errno == EINTR)
        ;
    if (got < 0 || (got == 0 && room)) {
        it->error = got < 0 ? errno : EIO;
        return CURL_READFUNC_ABORT;
    }
    it->at += (uint64_t)got;
    return (size_t)got;
}

static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    (void)arg, (void)offset, (void)origin;
    return CURL_SEEKFUNC_CANTSEEK; /* it is asked again from where the gateway is */
}

static int on_going(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct exchange *it = arg;
    (void)down_total, (void)down, (void)up_total, (void)up;
    if (it->fd >= 0 && it->remote->progress)
        it->remote->progress(it->remote->self, it->at, it->total);
    return 0;
}

/* ---- one request ---- */

static int key_read(struct remote *remote, struct err *err)
{
    struct buf text = {0};
    if (remote->key[0] || !remote->key_file[0])
        return 0;
    int rc = file_read(remote->key_file, &text, err);
    struct str key = str_trim(buf_str(&text), " \t\r\n");
    if (rc > 0 || (rc == 0 && (!key.len || key.len > 256 || memchr(key.ptr, '\n', key.len))))
        rc = err_set(err, ERR_INVALID, "worker.gateway_key: %.150s holds no key", remote->key_file);
    if (rc == 0)
        snprintf(remote->key, sizeof(remote->key), "Authorization: Bearer %.*s", (int)key.len, key.ptr);
    buf_free(&text);
    return rc;
}

/* A gateway that reads all of a file before it answers says nothing meanwhile. That it lives, TCP has to say: a peer that is gone is
 * noticed after two minutes. */
static void curl_silence(const struct exchange *it)
{
    long silence = it->remote->silence_s ? it->remote->silence_s : SILENCE_SECONDS;
    curl_easy_setopt(it->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(it->curl, CURLOPT_LOW_SPEED_TIME, it->slow ? SLOW_SECONDS : silence);
    curl_easy_setopt(it->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(it->curl, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(it->curl, CURLOPT_TCP_KEEPINTVL, 10L);
}

static void curl_prepare(struct exchange *it, const char *url)
{
    CURL *curl = it->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_silence(it);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gantry/" GANTRY_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, it->trouble);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, it);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_going);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, it);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (it->wants) { /* to the store that keeps the farm's files; the key goes to the gateway alone */
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 2L);
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    }
    if (it->remote->ca_file[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, it->remote->ca_file);
}

static void curl_upload(struct exchange *it)
{
    curl_easy_setopt(it->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(it->curl, CURLOPT_READFUNCTION, on_wanted);
    curl_easy_setopt(it->curl, CURLOPT_READDATA, it);
    curl_easy_setopt(it->curl, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(it->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(it->end - it->at));
}

static bool header_add(struct curl_slist **list, const char *text)
{
    struct curl_slist *more = curl_slist_append(*list, text);
    if (more)
        *list = more;
    return more != NULL;
}

static CURLcode perform(struct exchange *it, enum remote_kind kind, const char *url, const char *header)
{
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    it->status = 0;
    it->wants = kind == REMOTE_FILE;
    it->file = it->changed = false;
    it->trouble[0] = '\0';
    it->answer.limit = ANSWER_MAX;
    buf_reset(&it->answer);
    it->curl = curl_easy_init();
    bool well = it->curl && header_add(&headers, "Accept-Language: en") &&
                (!it->remote->key[0] || header_add(&headers, it->remote->key)) && (!header || header_add(&headers, header)) &&
                (kind != REMOTE_UPLOAD || header_add(&headers, "Content-Type: application/octet-stream"));
    if (well) {
        curl_prepare(it, url);
        curl_easy_setopt(it->curl, CURLOPT_HTTPHEADER, headers);
        if (kind == REMOTE_HEAD)
            curl_easy_setopt(it->curl, CURLOPT_NOBODY, 1L);
        if (kind == REMOTE_UPLOAD)
            curl_upload(it);
        code = curl_easy_perform(it->curl);
        curl_easy_getinfo(it->curl, CURLINFO_RESPONSE_CODE, &it->status);
    }
    curl_slist_free_all(headers);
    return code;
}

/* What its answer says is wrong, in words; without one, what libcurl says. */
static void explain(const struct exchange *it, CURLcode code, struct err *err)
{
    json_t *json = it->answer.len ? json_loadb(it->answer.data, it->answer.len, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(json, "message"));
    if (code != CURLE_OK && !text)
        text = it->trouble[0] ? it->trouble : curl_easy_strerror(code);
    if (it->error)
        err_set(err, ERR_IO, "%s", strerror(it->error));
    else if (text && it->status >= 400)
        err_set(err, it->status == 404 ? ERR_NOT_FOUND : ERR_CONFLICT, "the gateway says: %.180s", text);
    else
        err_set(err, ERR_UNAVAILABLE, "the gateway %.80s: %.120s", it->remote->gateway, text ? text : "an odd answer");
    json_decref(json);
}

static enum remote_verdict judge(struct exchange *it, CURLcode code, struct err *err)
{
    curl_off_t after = 0;
    if (it->curl)
        curl_easy_getinfo(it->curl, CURLINFO_RETRY_AFTER, &after);
    if (it->changed || it->longer) {
        err_set(err, ERR_CONFLICT, "%s", REMOTE_CHANGED);
        return REMOTE_NEVER;
    }
    if (code == CURLE_OK && it->status >= 200 && it->status < 300)
        return REMOTE_WELL;
    explain(it, code, err);
    if (it->error || code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
        code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || it->status == DISK_FULL)
        return REMOTE_NEVER;
    if (it->status < 400 || it->status == 408 || it->status == 429 || it->status >= 500 || after > 0)
        return REMOTE_AGAIN;
    return it->status == 409 ? REMOTE_RESYNC : REMOTE_NEVER;
}

enum remote_verdict remote_ask(struct exchange *it, enum remote_kind kind, const char *url, const char *header, struct err *err)
{
    if (key_read(it->remote, err) < 0)
        return REMOTE_NEVER;
    enum remote_verdict verdict = judge(it, perform(it, kind, url, header), err);
    if (verdict == REMOTE_WELL && kind == REMOTE_HEAD)
        header_text(it->curl, "ETag", it->tag, sizeof(it->tag));
    curl_easy_cleanup(it->curl);
    it->curl = NULL;
    return verdict;
}
