/* One request to an S3-compatible store, again where it may go better; and the lanes that make them. */
#include "gateway/s3_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/file.h"
#include "proto/messages.h"

#define ANSWER_MAX ((size_t)4 << 20)
#define CONNECT_S 10L
#define AWAY_MS 10000 /* whoever waits behind a question that was not answered is refused, and need not wait as long */
#define TRIES 4
#define WAIT_MS 250 /* before the second; doubles */
#define EXPIRES_S 900u

/* ---- life ---- */

/* "KEY SECRET", with blanks or lines between. */
static int key_read(struct s3_place *place, const char *path, struct err *err)
{
    struct buf text = {.limit = 4096};
    int rc = path[0] ? file_read(path, &text, err)
                     : err_set(err, ERR_BAD_REQUEST, "blob.s3_key_file names no file of an access key and its secret");

    if (rc == 0 && buf_add(&text, "", 1) != 0)
        rc = err_set(err, ERR_NO_MEMORY, "out of memory");
    if (rc > 0 || (rc == 0 && sscanf(text.data, " %128[A-Za-z0-9._-] %256[!-~]", place->key, place->secret) != 2))
        rc = err_set(err, ERR_BAD_REQUEST, "blob.s3_key_file: %.150s does not hold an access key and its secret", path);
    if (text.data)
        explicit_bzero(text.data, text.len);
    buf_free(&text);
    return rc;
}

static int lanes_open(struct s3 *s3, struct loop *loop, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_NO_MEMORY, "libcurl cannot be started");
    for (unsigned i = 0; i < S3_LANES; i++) {
        s3->lanes[i].curl = curl_easy_init();
        if (!s3->lanes[i].curl)
            return err_set(err, ERR_NO_MEMORY, "out of memory");
        s3->lanes[i].files = files_new(loop, err);
        if (!s3->lanes[i].files)
            return -1;
    }
    return 0;
}

int s3_open(struct s3 **out, struct loop *loop, const struct settings *settings, struct err *err)
{
    const char *url = settings_text(settings, SET_BLOB_S3_URL);
    struct s3 *s3 = url[0] ? calloc(1, sizeof *s3) : NULL;

    *out = NULL;
    if (!url[0])
        return 0;
    if (!s3)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    s3->part = (uint64_t)settings_count_of(settings, SET_BLOB_S3_PART_MB) << 20;
    s3->silence_s = (long)settings_count_of(settings, SET_BLOB_S3_SILENCE);
    if (s3_place_read(&s3->place, url, settings_text(settings, SET_BLOB_S3_BUCKET), settings_text(settings, SET_BLOB_S3_PREFIX),
                      settings_text(settings, SET_BLOB_S3_REGION), err) != 0 ||
        key_read(&s3->place, settings_text(settings, SET_BLOB_S3_KEY_FILE), err) != 0 || lanes_open(s3, loop, err) != 0) {
        s3_close(s3);
        return -1;
    }
    *out = s3;
    return 0;
}

void s3_close(struct s3 *s3)
{
    if (!s3)
        return;
    atomic_store(&s3->stopping, true);
    for (unsigned i = 0; i < S3_LANES; i++) {
        files_free(s3->lanes[i].files);
        if (s3->lanes[i].curl)
            curl_easy_cleanup(s3->lanes[i].curl);
    }
    explicit_bzero(&s3->place, sizeof s3->place);
    free(s3);
}

unsigned s3_lane(const unsigned char md5[BLOB_MD5])
{
    return md5[BLOB_MD5 - 1] % S3_LANES;
}

struct files *s3_files(struct s3 *s3, unsigned lane)
{
    return s3->lanes[lane].files;
}

void s3_where(const struct s3 *s3, char out[S3_WHY])
{
    snprintf(out, S3_WHY, "%.60s%.60s/%.70s", s3->place.url, s3->place.path, s3->place.prefix);
}

bool s3_link(const struct s3 *s3, const unsigned char md5[BLOB_MD5], char out[S3_ADDRESS])
{
    char name[S3_NAME];

    s3_name(md5, name);
    return s3_sign(&s3->place, "GET", name, "", clock_wall_ms() / 1000, S3_LINK_S, out);
}

void s3_name(const unsigned char md5[BLOB_MD5], char out[S3_NAME])
{
    char hex[BLOB_HEX];

    blob_hex(md5, hex);
    snprintf(out, S3_NAME, "assets/%s", hex);
}

/* ---- what comes and goes ---- */

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct s3_ask *ask = arg;
    size_t len = size * count, done = 0;
    long status = 0;

    curl_easy_getinfo(ask->curl, CURLINFO_RESPONSE_CODE, &status);
    if (ask->into < 0 || status >= 300)
        return buf_add(&ask->answer, data, len) == 0 ? len : 0;
    while (done < len) {
        ssize_t put = pwrite(ask->into, data + done, len - done, (off_t)(ask->came + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            ask->cause = put < 0 ? errno : ENOSPC;
            return 0;
        }
        done += (size_t)put;
    }
    ask->came += len;
    return len;
}

static size_t on_wanted(char *out, size_t size, size_t count, void *arg)
{
    struct s3_ask *ask = arg;
    uint64_t left = ask->length - ask->sent;
    size_t room = left < size * count ? (size_t)left : size * count;
    ssize_t got;

    while ((got = pread(ask->from, out, room, (off_t)(ask->first + ask->sent))) < 0 && errno == EINTR)
        ;
    if (got < 0 || (got == 0 && room)) {
        ask->cause = got < 0 ? errno : EIO;
        return CURL_READFUNC_ABORT;
    }
    ask->sent += (uint64_t)got;
    return (size_t)got;
}

static int on_going(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    struct s3_ask *ask = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;

    return atomic_load(&ask->s3->stopping) ? 1 : 0;
}

static int on_linked(void *arg, char *far, char *near, int far_port, int near_port)
{
    struct s3_ask *ask = arg;
    (void)far, (void)near, (void)far_port, (void)near_port;

    ask->linked = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- one try ---- */

static void body_set(struct s3_ask *ask)
{
    CURL *curl = ask->curl;

    if (strcmp(ask->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(ask->method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_wanted);
        curl_easy_setopt(curl, CURLOPT_READDATA, ask);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)ask->length);
    } else if (strcmp(ask->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->text);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(ask->text));
    } else if (strcmp(ask->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    }
}

static bool header_add(struct curl_slist **list, const char *text)
{
    struct curl_slist *more = curl_slist_append(*list, text);

    if (more)
        *list = more;
    return more != NULL;
}

static CURLcode try_once(struct s3_ask *ask)
{
    CURL *curl = ask->curl;
    struct curl_slist *headers = NULL;
    char url[S3_ADDRESS];
    long connects = 0;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    ask->status = 0;
    ask->linked = ask->kept = false;
    ask->sent = ask->came = 0;
    ask->trouble[0] = '\0';
    ask->answer.limit = ANSWER_MAX;
    buf_reset(&ask->answer);
    if (!s3_sign(&ask->s3->place, ask->method, ask->name, ask->more, clock_wall_ms() / 1000, EXPIRES_S, url))
        return CURLE_URL_MALFORMAT;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, ask->s3->silence_s < CONNECT_S ? ask->s3->silence_s : CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, ask->s3->silence_s);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gantry/" GANTRY_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, ask->trouble);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ask);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_going);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, ask);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_linked);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, ask);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, ask->fresh ? 1L : 0L);
    body_set(ask);
    if (header_add(&headers, "Expect:") && header_add(&headers, "Content-Type: application/octet-stream") &&
        (!ask->header[0] || header_add(&headers, ask->header))) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ask->status);
        curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
        ask->kept = ask->linked && connects == 0;
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    return code;
}

/* ---- until it is well ---- */

bool s3_tag(struct str *rest, const char *tag, struct str *value)
{
    char begin[40], end[40];
    int b = snprintf(begin, sizeof begin, "<%s>", tag), e = snprintf(end, sizeof end, "</%s>", tag);
    const char *at = rest->len ? memmem(rest->ptr, rest->len, begin, (size_t)b) : NULL;
    const char *stop = at ? memmem(at + b, rest->len - (size_t)(at + b - rest->ptr), end, (size_t)e) : NULL;

    if (!stop)
        return false;
    *value = (struct str){at + b, (uint32_t)(stop - at - b)};
    *rest = (struct str){stop + e, rest->len - (uint32_t)(stop + e - rest->ptr)};
    return true;
}

/* In the store's words, or libcurl's. */
static void explain(const struct s3_ask *ask, CURLcode code, char why[S3_WHY])
{
    struct str rest = buf_str(&ask->answer), said = {NULL, 0};

    if (ask->cause)
        snprintf(why, S3_WHY, "%s", strerror(ask->cause));
    else if (atomic_load(&ask->s3->stopping))
        snprintf(why, S3_WHY, "the gateway ends");
    else if (code != CURLE_OK)
        snprintf(why, S3_WHY, "%.60s: %.120s", ask->s3->place.url, ask->trouble[0] ? ask->trouble : curl_easy_strerror(code));
    else if (s3_tag(&rest, "Message", &said) && str_utf8(said))
        snprintf(why, S3_WHY, "%.60s: %ld %.*s", ask->s3->place.url, ask->status, (int)str_cut(said, 100).len, said.ptr);
    else
        snprintf(why, S3_WHY, "%.60s answers %ld", ask->s3->place.url, ask->status);
}

/* It says nothing at all. One that falls silent within a transfer, or on a connection of a request before, may be a connection that was cut; and to
 * put parts together takes its time. */
static bool is_mute(const struct s3_ask *ask, CURLcode code)
{
    return code == CURLE_OPERATION_TIMEDOUT && !ask->kept && !ask->sent && !ask->came && !ask->answer.len && !ask->text[0];
}

/* Whether another try may go better. A store that is mute was waited for long enough. */
static bool is_passing(const struct s3_ask *ask, CURLcode code)
{
    if (ask->cause || code == CURLE_URL_MALFORMAT || is_mute(ask, code))
        return false;
    return code != CURLE_OK || ask->status >= 500 || ask->status == 429;
}

int s3_ask(struct s3_ask *ask, char why[S3_WHY])
{
    struct s3 *s3 = ask->s3;
    int wait_ms = WAIT_MS;

    ask->curl = s3->lanes[ask->lane].curl;
    if (clock_mono_ms() < atomic_load(&s3->away_until)) {
        snprintf(why, S3_WHY, "%.100s: it was silent just now, and is asked again in a moment", s3->place.url);
        return -1;
    }
    for (unsigned i = 0;; i++) {
        CURLcode code = try_once(ask);
        if (code == CURLE_OK && (ask->status < 300 || ask->status == 404))
            return ask->status == 404 ? 1 : 0;
        explain(ask, code, why);
        if (is_mute(ask, code))
            atomic_store(&s3->away_until, clock_mono_ms() + AWAY_MS);
        ask->fresh = ask->kept && code != CURLE_OK;
        if (!is_passing(ask, code) || i + 1 == TRIES || atomic_load(&s3->stopping))
            return -1;
        poll(NULL, 0, wait_ms); /* a lane is for waiting */
        wait_ms *= 2;
    }
}
