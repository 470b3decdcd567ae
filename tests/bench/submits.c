/* Submits over HTTP: as little client as possible, because it runs on the farm's cores. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/loop.h"
#include "tests/bench/bench.h"

#define WARM_MS 500
#define ANSWER_MAX 16384

struct submits;

struct connection {
    struct submits *submits;
    int fd;
    uint64_t asked_us;
    char answer[ANSWER_MAX];
    size_t len;
};

struct submits {
    struct loop *loop;
    struct bench *bench;
    struct connection *connections;
    int count;
    char request[1024];
    size_t request_len;
    bool asking, counting, failed;
    int open; /* requests under way */
    uint64_t accepted, window;
    uint64_t began_us, ended_us;
    struct samples samples;
};

static void fail(struct submits *submits, const char *why)
{
    if (!submits->failed) {
        fprintf(stderr, "gantry-bench: HTTP: %s\n", why);
    }
    submits->failed = true;
    loop_stop(submits->loop);
}

static void ask(struct connection *connection)
{
    struct submits *submits = connection->submits;

    connection->asked_us = clock_mono_us();
    connection->len = 0;
    if (send(connection->fd, submits->request, submits->request_len, MSG_NOSIGNAL) != (ssize_t)submits->request_len) {
        fail(submits, strerror(errno));
        return;
    }
    submits->open++;
}

/* How long the whole answer is; 0 while that is not known. */
static size_t answer_size(const struct connection *connection)
{
    const char *body = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "content-length:");

    if (body == NULL || length == NULL || length > body) {
        return 0;
    }
    return (size_t)(body + 4 - connection->answer) + strtoul(length + 15, NULL, 10);
}

static void readable(void *arg)
{
    struct connection *connection = arg;
    struct submits *submits = connection->submits;
    ssize_t got =
        recv(connection->fd, connection->answer + connection->len, sizeof connection->answer - 1 - connection->len, MSG_DONTWAIT);

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            fail(submits, got == 0 ? "the farm closed a connection" : strerror(errno));
        }
        return;
    }
    connection->len += (size_t)got;
    connection->answer[connection->len] = '\0';
    size_t size = answer_size(connection);
    if (size == 0 || connection->len < size) {
        return;
    }
    submits->open--;
    if (strncmp(connection->answer, "HTTP/1.1 201", 12) != 0) {
        fail(submits, connection->answer);
        return;
    }
    submits->accepted++;
    if (submits->counting) {
        submits->window++;
        samples_add(&submits->samples, clock_mono_us() - connection->asked_us);
    }
    if (submits->asking) {
        ask(connection);
    } else if (submits->open == 0) {
        loop_stop(submits->loop);
    }
}

static void window_end(void *arg)
{
    struct submits *submits = arg;

    submits->asking = submits->counting = false;
    submits->ended_us = clock_mono_us();
}

static void window_begin(void *arg)
{
    struct submits *submits = arg;

    submits->counting = true;
    submits->began_us = clock_mono_us();
    loop_after(submits->loop, (uint64_t)(submits->bench->seconds * 1000), window_end, submits);
}

static void too_late(void *arg)
{
    fail(arg, "no answer in time");
}

static int connect_all(struct submits *submits)
{
    const char *url = settings_text(submits->bench->settings, SET_CLI_URL);
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    int port;
    int one = 1;

    if (sscanf(url, "http://%63[^:]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "gantry-bench: --url is http://ADDRESS:PORT, not \"%s\"\n", url);
        return -1;
    }
    address.sin_port = htons((uint16_t)port);
    int len = snprintf(
        submits->request, sizeof submits->request,
        "POST /api/tasks/%lu/trigger HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        (unsigned long)submits->bench->task_id, host, port);
    submits->request_len = (size_t)len;
    for (int i = 0; i < submits->count; i++) {
        struct connection *connection = &submits->connections[i];
        connection->submits = submits;
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            loop_add_fd(submits->loop, connection->fd, false, readable, connection) != 0) {
            fprintf(stderr, "gantry-bench: %s: %s\n", url, strerror(errno));
            return -1;
        }
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return 0;
}

static void submits_close(struct submits *submits)
{
    for (int i = 0; submits->connections != NULL && i < submits->count; i++) {
        if (submits->connections[i].fd > 0) {
            close(submits->connections[i].fd);
        }
    }
    free(submits->connections);
    loop_free(submits->loop);
    samples_free(&submits->samples);
}

int submits_measure(struct bench *bench, int connections, uint64_t *runs)
{
    struct submits submits = {.bench = bench, .count = connections, .loop = loop_new(), .asking = true};
    char name[64];

    submits.connections = calloc((size_t)connections, sizeof *submits.connections);
    if (submits.loop == NULL || submits.connections == NULL || connect_all(&submits) != 0) {
        submits_close(&submits);
        return -1;
    }
    loop_after(submits.loop, WARM_MS, window_begin, &submits);
    loop_after(submits.loop, WARM_MS + (uint64_t)(bench->seconds * 1000) + 30000, too_late, &submits);
    for (int i = 0; i < connections; i++) {
        ask(&submits.connections[i]);
    }
    loop_run(submits.loop);
    *runs += submits.accepted;
    if (!submits.failed) {
        snprintf(name, sizeof name, "REST: submits, %d connections", connections);
        report(bench->results, name, "runs/s", (double)submits.window * 1e6 / (double)(submits.ended_us - submits.began_us),
               &submits.samples, "POST /api/tasks/{id}/trigger, one at a time on each, no workers");
    }
    submits_close(&submits);
    return submits.failed ? -1 : 0;
}
