#include "gateway/courier.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/clock.h"
#include "proto/messages.h"

#define ANSWER_MAX ((size_t)64 << 10) /* bytes of an answer that are read */
#define CONNECT_MS 5000L
#define KEPT_CONNECTIONS 64L
#define KEPT_SECONDS 60L
#define EVENTS_AT_ONCE 64

struct parcel {
    struct courier *courier;
    struct parcel *prev, *next;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    size_t answered; /* bytes */
    uint64_t began_ms;
    bool refused; /* the address is none to send to */
    char trouble[CURL_ERROR_SIZE];
    void (*done)(void *arg, const struct receipt *receipt);
    void *arg;
};

struct courier {
    struct loop *loop;
    const struct targets *targets;
    CURLM *multi;
    int epoll_fd, timer;
    unsigned load;
    struct parcel *first;
    uint64_t fresh_until_ms; /* connections that stand may lead to where nothing is sent any more */
};

/* ---- one parcel ---- */

static void parcel_free(struct parcel *parcel)
{
    struct courier *courier = parcel->courier;

    if (parcel->prev)
        parcel->prev->next = parcel->next;
    else
        courier->first = parcel->next;
    if (parcel->next)
        parcel->next->prev = parcel->prev;
    courier->load--;
    if (parcel->easy) {
        curl_multi_remove_handle(courier->multi, parcel->easy);
        curl_easy_cleanup(parcel->easy);
    }
    curl_slist_free_all(parcel->headers);
    free(parcel->body);
    free(parcel);
}

/* The address that is about to be connected to. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct parcel *parcel = arg;
    struct peer peer = peer_of(&address->addr);

    if (purpose != CURLSOCKTYPE_IPCXN || !target_allowed(parcel->courier->targets, &peer)) {
        parcel->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct parcel *parcel = arg;
    (void)data;

    parcel->answered += size * count;
    return parcel->answered > ANSWER_MAX ? 0 : size * count; /* 0 ends it */
}

static bool header(struct parcel *parcel, const char *format, const char *value)
{
    char line[512];

    snprintf(line, sizeof line, format, value);
    struct curl_slist *headers = curl_slist_append(parcel->headers, line);
    if (headers)
        parcel->headers = headers;
    return headers != NULL;
}

static bool headers_make(struct parcel *parcel, const struct parcel_spec *spec)
{
    char seconds[32];

    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)spec->seconds);
    return header(parcel, "%s", "Content-Type: application/json") && header(parcel, "%s", "User-Agent: Gantry/" GANTRY_VERSION) &&
           header(parcel, "%s", "Expect:") && header(parcel, "webhook-id: %s", spec->id) &&
           header(parcel, "webhook-timestamp: %s", seconds) && header(parcel, "webhook-signature: %s", spec->signature);
}

static bool options_set(struct parcel *parcel, const struct parcel_spec *spec)
{
    CURL *easy = parcel->easy;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, spec->url);

    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROXY, "");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Else the end of a transfer whose name is still being looked up waits, on our loop, for the thread that looks. */
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, parcel);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEDATA, parcel);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, parcel->trouble);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PRIVATE, parcel);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HTTPHEADER, parcel->headers);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, parcel->body);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body.len);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, KEPT_SECONDS);
    if (clock_mono_ms() < parcel->courier->fresh_until_ms) {
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    return rc == CURLE_OK;
}

struct parcel *courier_send(struct courier *courier, const struct parcel_spec *spec,
                            void (*done)(void *arg, const struct receipt *receipt), void *arg)
{
    struct parcel *parcel = courier->load < COURIER_MAX ? calloc(1, sizeof *parcel) : NULL;

    if (!parcel)
        return NULL;
    *parcel = (struct parcel){.courier = courier, .next = courier->first, .done = done, .arg = arg, .began_ms = clock_mono_ms()};
    if (courier->first)
        courier->first->prev = parcel;
    courier->first = parcel;
    courier->load++;
    parcel->body = malloc((size_t)spec->body.len + 1);
    if (parcel->body)
        memcpy(parcel->body, spec->body.ptr, spec->body.len);
    CURL *easy = curl_easy_init();
    if (!parcel->body || !easy || !headers_make(parcel, spec))
        goto error;
    parcel->easy = easy;
    if (!options_set(parcel, spec) || curl_multi_add_handle(courier->multi, easy) != CURLM_OK) {
        parcel->easy = NULL; /* it was not added */
        goto error;
    }
    return parcel;
error:
    curl_easy_cleanup(easy);
    parcel_free(parcel);
    return NULL;
}

void courier_forget(struct courier *courier, struct parcel *parcel)
{
    (void)courier;
    parcel_free(parcel);
}

void courier_retarget(struct courier *courier)
{
    courier->fresh_until_ms = clock_mono_ms() + (uint64_t)KEPT_SECONDS * 1000;
}

unsigned courier_load(const struct courier *courier)
{
    return courier->load;
}

/* ---- how they end ---- */

static void parcel_end(struct parcel *parcel, CURLcode rc)
{
    struct receipt receipt = {.ms = clock_mono_ms() - parcel->began_ms, .error = ""};
    void (*done)(void *arg, const struct receipt *receipt) = parcel->done;
    void *arg = parcel->arg;
    long code = 0;
    char text[CURL_ERROR_SIZE + 64] = "";

    curl_easy_getinfo(parcel->easy, CURLINFO_RESPONSE_CODE, &code);
    bool answered = rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && parcel->answered > ANSWER_MAX);
    receipt.code = code >= 100 && code <= 999 ? (unsigned)code : 0;
    receipt.arrived = answered && code >= 200 && code < 300;
    receipt.starved = rc == CURLE_OUT_OF_MEMORY;
    if (parcel->refused)
        snprintf(text, sizeof text, "nothing is sent to this address (link-local, or webhooks.deny_networks)");
    else if (answered && code >= 300 && code < 400)
        snprintf(text, sizeof text, "it answered %ld, and redirects are not followed", code);
    else if (answered && !receipt.arrived)
        snprintf(text, sizeof text, "it answered %ld", code);
    else if (!receipt.arrived)
        snprintf(text, sizeof text, "%s", parcel->trouble[0] ? parcel->trouble : curl_easy_strerror(rc));
    receipt.error = text;
    parcel_free(parcel);
    done(arg, &receipt);
}

static void ends_take(struct courier *courier)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(courier->multi, &left))) {
        void *parcel = NULL;
        CURLcode rc = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &parcel);
        parcel_end(parcel, rc);
    }
}

/* ---- sockets and time ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct courier *courier = arg;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U),
                                .data.fd = fd};
    (void)easy, (void)known;

    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(courier->epoll_fd, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    if (epoll_ctl(courier->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return errno == ENOENT && epoll_ctl(courier->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -1;
}

static int on_time(CURLM *multi, long ms, void *arg)
{
    struct courier *courier = arg;
    (void)multi;

    if (ms < 0)
        loop_unset(courier->loop, courier->timer);
    else
        loop_set(courier->loop, courier->timer, (uint64_t)ms, 0);
    return 0;
}

static void on_timer(void *arg)
{
    struct courier *courier = arg;
    int running;

    curl_multi_socket_action(courier->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    ends_take(courier);
}

static void on_ready(void *arg)
{
    struct courier *courier = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(courier->epoll_fd, events, EVENTS_AT_ONCE, 0), running;

    for (int i = 0; i < count; i++) {
        int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(courier->multi, events[i].data.fd, what, &running);
    }
    ends_take(courier);
}

/* ---- life ---- */

static bool multi_open(struct courier *courier)
{
    courier->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
    return courier->multi && curl_multi_setopt(courier->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(courier->multi, CURLMOPT_SOCKETDATA, courier) == CURLM_OK &&
           curl_multi_setopt(courier->multi, CURLMOPT_TIMERFUNCTION, on_time) == CURLM_OK &&
           curl_multi_setopt(courier->multi, CURLMOPT_TIMERDATA, courier) == CURLM_OK &&
           curl_multi_setopt(courier->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS) == CURLM_OK;
}

struct courier *courier_new(struct loop *loop, const struct targets *targets, struct err *err)
{
    struct courier *courier = calloc(1, sizeof *courier);

    if (!courier) {
        err_set(err, ERR_NO_MEMORY, "no memory for webhooks");
        return NULL;
    }
    courier->loop = loop;
    courier->targets = targets;
    courier->timer = loop_timer(loop, on_timer, courier);
    courier->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (courier->epoll_fd < 0 || courier->timer < 0 || !multi_open(courier) ||
        loop_add_fd(loop, courier->epoll_fd, false, on_ready, courier) != 0) {
        courier_free(courier);
        err_set(err, ERR_NO_MEMORY, "no memory for webhooks");
        return NULL;
    }
    return courier;
}

void courier_free(struct courier *courier)
{
    if (!courier)
        return;
    while (courier->first)
        parcel_free(courier->first);
    if (courier->multi)
        curl_multi_cleanup(courier->multi);
    if (courier->epoll_fd >= 0) {
        loop_remove_fd(courier->loop, courier->epoll_fd);
        close(courier->epoll_fd);
    }
    loop_cancel(courier->loop, courier->timer);
    free(courier);
}
