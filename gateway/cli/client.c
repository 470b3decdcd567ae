#include "gateway/cli/client_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define PATH_MAX_BYTES 4096
#define STREAM_SILENT_S 60L

size_t client_gather(char *data, size_t size, size_t count, void *arg)
{
    struct buf *answer = arg;

    return buf_add(answer, data, size * count) == 0 ? size * count : 0;
}

bool client_interrupted(const struct client *client)
{
    return client->interrupt != NULL && *client->interrupt != 0;
}

/* libcurl asks about once a second, and more often while data flows. */
static int transfer_goes_on(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    (void)down_all, (void)down, (void)up_all, (void)up;
    return client_interrupted(arg) ? 1 : 0;
}

/* Talking to this machine never goes through a proxy. */
static bool url_is_local(const char *url)
{
    const char *host = strstr(url, "://");

    host = host != NULL ? host + 3 : url;
    return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0;
}

struct client *client_new(const char *url, const char *key, struct err *err)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        err_set(err, ERR_BAD_REQUEST, "the farm's address begins with http:// or https://, not \"%s\"", url);
        goto error;
    }
    client->answer.limit = ANSWER_MAX;
    client->base = "/api";
    client->curl = curl_easy_init();
    client->url = strdup(url);
    if (key != NULL && key[0] != '\0' && asprintf(&client->bearer, "Authorization: Bearer %s", key) < 0) {
        client->bearer = NULL;
        goto memory;
    }
    if (client->curl == NULL || client->url == NULL) {
        goto memory;
    }
    for (size_t len = strlen(client->url); len > 0 && client->url[len - 1] == '/'; len--) {
        client->url[len - 1] = '\0';
    }
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->trouble);
    if (curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(client->curl, CURLOPT_USERAGENT, "gantry/" GANTRY_VERSION) != CURLE_OK) {
        goto memory;
    }
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, client_gather);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &client->answer);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, transfer_goes_on);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, client);
    curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
    if (url_is_local(client->url) && curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*") != CURLE_OK) {
        goto memory;
    }
    client_set_timeout(client, 30000);
    return client;
memory:
    err_set(err, ERR_NO_MEMORY, "out of memory");
error:
    client_free(client);
    return NULL;
}

void client_free(struct client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->curl != NULL) {
        curl_easy_cleanup(client->curl);
    }
    if (client->moving != NULL) {
        curl_easy_cleanup(client->moving);
    }
    buf_free(&client->answer);
    free(client->url);
    free(client->bearer);
    free(client);
}

int client_trust(struct client *client, const char *file)
{
    return curl_easy_setopt(client->curl, CURLOPT_CAINFO, file) == CURLE_OK ? 0 : -1;
}

int client_trust_own(struct client *client, const char *file)
{
    if (file[0] == '\0') {
        return 0;
    }
    curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    return client_trust(client, file);
}

void client_trust_any(struct client *client)
{
    curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYHOST, 0L);
}

const char *client_url(const struct client *client)
{
    return client->url;
}

bool client_reached(const struct client *client)
{
    return client->reached;
}

void client_set_timeout(struct client *client, long timeout_ms)
{
    client->timeout_ms = timeout_ms;
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
}

void client_set_patience(struct client *client, uint64_t unreachable_ms, uint64_t unavailable_ms)
{
    client->unreachable_ms = unreachable_ms;
    client->unavailable_ms = unavailable_ms;
}

void client_on_retry(struct client *client, void (*tell)(void *arg, const struct err *why), void *arg)
{
    client->tell = tell;
    client->tell_arg = arg;
}

void client_set_interrupt(struct client *client, const volatile sig_atomic_t *flag)
{
    client->interrupt = flag;
}

void client_set_base(struct client *client, const char *base)
{
    client->base = base;
}

void client_set_bare(struct client *client)
{
    client->bare = true;
}

void client_use_key(struct client *client, const char *key)
{
    client->key = key;
}

static int code_of_status(long status)
{
    switch (status) {
    case 400:
        return ERR_BAD_REQUEST;
    case 401:
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 422:
        return ERR_INVALID;
    case 423: /* somebody else is at it just now */
    case 429:
    case 502:
    case 503:
    case 504:
        return ERR_UNAVAILABLE;
    default:
        return ERR_INTERNAL;
    }
}

/* Whether it is an answer that says it is done: the API says so itself, the transcode API by its code, which is the status. One without an
 * envelope has the status alone. */
static bool is_done(const struct client *client, long status, const json_t *root)
{
    const json_t *code = json_object_get(root, "code");
    return (client->bare && status >= 200 && status < 300) || json_is_true(json_object_get(root, "success")) ||
           (json_is_integer(code) && json_integer_value(code) == status && status >= 200 && status < 300);
}

/* What the farm said was wrong, as one sentence. */
static int err_of_answer(const struct client *client, long status, const json_t *root, struct err *err)
{
    const json_t *error = json_object_get(root, "error");
    const json_t *details = json_object_get(error, "details");
    const char *said = json_string_value(json_object_get(root, "detail")); /* of the render API: what its message is about */
    const char *message =
        said != NULL ? said : json_string_value(json_object_get(json_is_object(error) ? error : root, "message"));
    const char *field = json_string_value(json_object_get(details, "field"));
    const char *hint = status == 401 ? " (GANTRY_KEY or --key-file says which key to use)" : "";

    if (message == NULL) {
        return err_set(err, code_of_status(status), "%s answered %ld", client->url, status);
    }
    if (status != 401 && field != NULL && strstr(message, field) == NULL) {
        return err_set(err, code_of_status(status), "%s: %s", field, message);
    }
    return err_set(err, code_of_status(status), "%s%s", message, hint);
}

/* Whether TLS is spoken where plain HTTP was not understood. Nothing is sent but what begins it. */
static bool speaks_tls(const struct client *client)
{
    CURL *curl = curl_easy_init();
    char *url = NULL;
    bool speaks = false;

    if (curl != NULL && asprintf(&url, "https://%s", client->url + strlen("http://")) >= 0) {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
        if (url_is_local(client->url)) {
            curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        }
        speaks = curl_easy_perform(curl) == CURLE_OK;
        free(url);
    }
    curl_easy_cleanup(curl);
    return speaks;
}

/* What TLS and plain HTTP make of each other; no patience changes it. 0: it is something else. */
static int err_of_mismatch(const struct client *client, CURLcode rc, struct err *err)
{
    bool tls = strncmp(client->url, "https://", 8) == 0;
    bool garbled = rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_RECV_ERROR;

    if (tls && rc == CURLE_SSL_CONNECT_ERROR && strstr(client->trouble, "wrong version number") != NULL) {
        return err_set(err, ERR_BAD_REQUEST, "%s: what answers there speaks no TLS: is it http://?", client->url);
    }
    if (!tls && garbled && client->reached && speaks_tls(client)) {
        return err_set(err, ERR_BAD_REQUEST, "%s: what answers there speaks no plain HTTP: is it https://?", client->url);
    }
    return 0;
}

int client_failed(const struct client *client, CURLcode rc, bool write, struct err *err)
{
    if (err_of_mismatch(client, rc, err) != 0) {
        return -1;
    }
    if (rc == CURLE_COULDNT_RESOLVE_HOST) {
        return err_set(err, ERR_UNAVAILABLE, "%s: there is no machine of that name", client->url);
    }
    if (client->unreachable) {
        return err_set(err, ERR_UNAVAILABLE, "no farm answers at %s: `gantry up` starts one, --url names another", client->url);
    }
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL) { /* no patience makes it another */
        return err_set(err, ERR_BAD_REQUEST, "%s is no address of a farm", client->url);
    }
    if (rc == CURLE_SSL_CACERT_BADFILE) {
        return err_set(err, ERR_BAD_REQUEST, "%s: what --ca names: %s", client->url, client->trouble);
    }
    if (rc == CURLE_PEER_FAILED_VERIFICATION) {
        return err_set(err, ERR_BAD_REQUEST, "%s: %s (--ca names the certificates it is known by)", client->url,
                       curl_easy_strerror(rc));
    }
    if (rc == CURLE_WRITE_ERROR) {
        return err_set(err, ERR_LIMIT, "the answer of %s is too large", client->url);
    }
    return err_set(err, write ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE, "%s: %s", client->url, curl_easy_strerror(rc));
}

/* What has been answered, as JSON. */
int client_answer(const struct client *client, long status, json_t **data, struct err *err)
{
    json_error_t where;
    int rc = 0;
    json_t *root =
        json_loadb(client->answer.data != NULL ? client->answer.data : "", client->answer.len, JSON_REJECT_DUPLICATES, &where);

    if (root == NULL) {
        return err_set(err, code_of_status(status), "%s answered %ld with what is no JSON: is that a Gantry farm?", client->url,
                       status);
    }
    json_t *found = json_object_get(root, "data");
    if (!is_done(client, status, root)) {
        rc = err_of_answer(client, status, root, err);
    } else if (data != NULL) {
        *data = json_incref(found != NULL ? found : root);
    }
    json_decref(root);
    return rc;
}

/* One try. */
static int call_once(struct client *client, const char *method, const char *body, json_t **data, struct err *err)
{
    long status = 0, sent = 0;

    buf_reset(&client->answer);
    CURLcode code = curl_easy_perform(client->curl);
    client->unreachable = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    curl_easy_getinfo(client->curl, CURLINFO_REQUEST_SIZE, &sent);
    client->reached = client->reached || sent > 0;
    if (code != CURLE_OK) {
        return client_failed(client, code, strcmp(method, "GET") != 0 && body != NULL, err);
    }
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    return client_answer(client, status, data, err);
}

void client_pause(uint64_t ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL); /* a signal ends it early: the caller looks at why */
}

/* Tries again while the farm cannot be reached; the same Idempotency-Key makes that safe. */
static int call_patiently(struct client *client, const char *method, const char *body, json_t **data, struct err *err)
{
    uint64_t began = clock_mono_ms();
    uint64_t wait = 100;
    bool told = false, answered = false;

    client->reached = false;
    for (;;) {
        struct err why = {0};
        int rc = call_once(client, method, body, data, &why);
        if (!answered &&
            client->answer.len > 0) { /* a farm may take its time to say that it cannot: that is none of the patience */
            answered = true;
            began = clock_mono_ms();
        }
        uint64_t patience = client->unreachable ? client->unreachable_ms : client->unavailable_ms;
        bool again = rc != 0 && (why.code == ERR_UNAVAILABLE || why.code == ERR_UNKNOWN_OUTCOME);
        if (!again || client_interrupted(client) || (patience != CLIENT_FOR_EVER && clock_mono_ms() - began + wait > patience)) {
            if (rc == 0 && told) {
                client->tell(client->tell_arg, NULL);
            }
            return rc == 0 ? 0 : err_set(err, why.code, "%s", why.text);
        }
        if (client->tell != NULL) {
            client->tell(client->tell_arg, &why);
            told = true;
        }
        client_pause(wait);
        if (client_interrupted(client)) {
            return err_set(err, why.code, "%s", why.text);
        }
        wait = wait < 1000 ? wait * 2 : 2000;
    }
}

struct curl_slist *client_headers(const struct client *client, bool write, bool *failed)
{
    struct curl_slist *headers = NULL;
    char random[33];
    char key[320];
    const char *lines[5] = {"Accept: application/json", "Accept-Language: en"};
    size_t count = 2;

    if (client->bearer != NULL) {
        lines[count++] = client->bearer;
    }
    if (write) {
        ident_random(random, 16);
        snprintf(key, sizeof key, "Idempotency-Key: %s", client->key != NULL ? client->key : random);
        lines[count++] = "Content-Type: application/json";
        lines[count++] = key;
    }
    for (size_t i = 0; i < count; i++) {
        struct curl_slist *longer = curl_slist_append(headers, lines[i]);
        if (longer == NULL) {
            *failed = true;
            break;
        }
        headers = longer;
    }
    return headers;
}

/* libcurl copies what it is told, and says so when it cannot. text: what is written, NULL for a GET. */
static int request_set(struct client *client, const char *method, const char *url, struct curl_slist *headers, const char *text)
{
    CURL *curl = client->curl;
    bool set = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, text != NULL ? method : NULL) == CURLE_OK;

    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (text != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    return set ? 0 : -1;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body, json_t **data, struct err *err)
{
    bool write = strcmp(method, "GET") != 0;
    bool failed = false;
    char *whole = NULL;
    char *text = NULL;
    int rc = -1;
    struct curl_slist *headers = client_headers(client, write, &failed);

    if (data != NULL) {
        *data = NULL;
    }
    if (write) {
        text = body != NULL ? json_dumps(body, JSON_COMPACT) : strdup("");
        failed = failed || text == NULL;
    }
    if (failed || asprintf(&whole, "%s%s%s", client->url, client->base, path) < 0) {
        whole = NULL;
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto done;
    }
    if (request_set(client, method, whole, headers, text) != 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto done;
    }
    rc = call_patiently(client, method, text, data, err);
done:
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    client->key = NULL;
    curl_slist_free_all(headers);
    free(whole);
    free(text);
    return rc;
}

/* ---- streams ---- */

struct flow {
    struct client *client;
    int (*take)(void *arg, const char *bytes, size_t len);
    void *arg;
    bool flows; /* it was the answer that was asked for */
};

static size_t flow_take(char *data, size_t size, size_t count, void *arg)
{
    struct flow *flow = arg;
    long status = 0;

    curl_easy_getinfo(flow->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return client_gather(data, size, count, &flow->client->answer);
    }
    flow->flows = true;
    return flow->take(flow->arg, data, size * count) == 0 ? size * count : 0;
}

static int flow_run(struct flow *flow, struct err *err)
{
    struct client *client = flow->client;
    CURL *curl = client->curl;
    long status = 0, sent = 0;

    buf_reset(&client->answer);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* a farm that is there says so every 15 seconds */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STREAM_SILENT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, flow_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, flow);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, client_gather);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &client->answer);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 0L);
    client_set_timeout(client, client->timeout_ms);
    client->unreachable = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
    client->reached = sent > 0;
    if (flow->flows || client_interrupted(client)) {
        return 0;
    }
    if (code != CURLE_OK) {
        return client_failed(client, code, false, err);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? 0 : client_answer(client, status, NULL, err);
}

int client_stream(struct client *client, const char *path, const char *last_id,
                  int (*take)(void *arg, const char *bytes, size_t len), void *arg, struct err *err)
{
    struct flow flow = {.client = client, .take = take, .arg = arg};
    bool failed = false;
    char *whole = NULL;
    char line[128];
    int rc = -1;
    struct curl_slist *headers = client_headers(client, false, &failed);

    snprintf(line, sizeof line, "Last-Event-ID: %s", last_id);
    struct curl_slist *longer = failed || last_id[0] == '\0' ? headers : curl_slist_append(headers, line);
    if (failed || longer == NULL || asprintf(&whole, "%s%s%s", client->url, client->base, path) < 0) {
        whole = NULL;
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto done;
    }
    headers = longer;
    if (request_set(client, "GET", whole, headers, NULL) != 0) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto done;
    }
    rc = flow_run(&flow, err);
done:
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    free(whole);
    return rc;
}

int client_probe(struct client *client, const char *path)
{
    char *whole = NULL;
    long status = 0;

    buf_reset(&client->answer);
    if (asprintf(&whole, "%s%s", client->url, path) < 0) {
        return -1;
    }
    if (request_set(client, "GET", whole, NULL, NULL) == 0 && curl_easy_perform(client->curl) == CURLE_OK) {
        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    free(whole);
    return status == 200 ? 0 : -1;
}

int client_get(struct client *client, json_t **data, struct err *err, const char *path, ...)
{
    char whole[PATH_MAX_BYTES];
    va_list list;

    va_start(list, path);
    vsnprintf(whole, sizeof whole, path, list);
    va_end(list);
    return client_call(client, "GET", whole, NULL, data, err);
}

int client_post(struct client *client, const json_t *body, json_t **data, struct err *err, const char *path, ...)
{
    char whole[PATH_MAX_BYTES];
    va_list list;

    va_start(list, path);
    vsnprintf(whole, sizeof whole, path, list);
    va_end(list);
    return client_call(client, "POST", whole, body, data, err);
}

int client_query_add(char *path, size_t size, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    size_t len = strlen(path);

    if (escaped == NULL) {
        return -1;
    }
    int more = snprintf(path + len, size - len, "%c%s=%s", strchr(path, '?') != NULL ? '&' : '?', name, escaped);
    curl_free(escaped);
    if (more < 0 || (size_t)more >= size - len) {
        path[len] = '\0';
        return -1;
    }
    return 0;
}
