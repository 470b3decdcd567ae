/* Raw bytes at the HTTP port: the real server with libmicrohttpd, over a local socket, in one or two pieces (the first byte says where it
 * is cut). Nothing answers behind it. What must hold: what comes back is HTTP, and the connection ends. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/ask.h"
#include "gateway/events.h"
#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "gateway/health.h"
#include "gateway/hooks.h"
#include "gateway/http.h"
#include "gateway/stats.h"
#include "gateway/surfaces/surface.h"
#include "gateway/traffic.h"
#include "proto/log.h"
#include "tests/fuzz/farside.h"

#define PATIENT 40   /* passes of the loop before time moves */
#define PASSES 200   /* before the connection has to be closed */
#define LATER 100000 /* ms: beyond every limit */

static struct gateway gateway;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_len;

static void on_settle(void *arg)
{
    (void)arg;
    http_settle(gateway.http);
}

static int listener_open(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* An abstract name: nothing is left behind. */
    int len = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "gantry-fuzz-%d", (int)getpid());
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    farside_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, address_len) == 0 && listen(fd, 16) == 0);
    return fd;
}

static void open_all(void)
{
    static char *argv[] = {"fuzz",
                           "--bus-scheduler=tcp://127.0.0.1:1",
                           "--bus-store=tcp://127.0.0.1:2",
                           "--bus-doorbell=tcp://127.0.0.1:3",
                           "--data=/nonexistent",
                           NULL};
    struct err err = {0};
    log_init("fuzz", (enum log_level)(LOG_ERROR + 1));
    gateway.settings = settings_load(5, argv, NULL, &err);
    gateway.loop = loop_new();
    gateway.router = router_new();
    farside_check(gateway.settings && gateway.loop && gateway.router);
    for (const struct surface *const *surface = surfaces_all; *surface; surface++)
        farside_check(router_add(gateway.router, *surface, (*surface)->prefix, &err) == 0);
    gateway.guard = (struct guard){.bound = "127.0.0.1", .names = "farm.example", .origins = "https://app.example"};
    gateway.limits = (struct limits){.idle_ms = 75000, .request_ms = 30000, .body = 4096};
    gateway.deadline_ms = 10000;
    gateway.ask = ask_new(&gateway, &err);
    gateway.events = gateway.ask ? events_new(&gateway, &err) : NULL;
    gateway.health = gateway.events ? health_new(&gateway, &err) : NULL;
    gateway.feed = gateway.health ? feed_new(&gateway, &err) : NULL;
    gateway.hooks = gateway.feed ? hooks_new(&gateway, &err) : NULL;
    gateway.stats = stats_asker_new(&gateway, &err);
    gateway.traffic = traffic_new();
    farside_check(gateway.stats && gateway.traffic);
    gateway.http = gateway.health ? http_new(&gateway, listener_open(), 10, &err) : NULL;
    farside_check(gateway.http != NULL);
    loop_on_settle(gateway.loop, on_settle, NULL);
    farside_up(true);
}

static void on_pass(void *arg)
{
    loop_stop(arg);
}

/* One wake-up of the loop, whatever there is; then the deadline of what was asked has passed. */
static void pass(void)
{
    loop_after(gateway.loop, 0, on_pass, gateway.loop);
    loop_run(gateway.loop);
    while (farside_silence())
        ;
}

struct client {
    int fd;
    size_t got;
    char begin[5];
    bool ended;
};

static void client_read(struct client *client)
{
    static char in[65536];
    ssize_t got;

    while ((got = recv(client->fd, in, sizeof in, MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < got && client->got + (size_t)i < sizeof client->begin; i++)
            client->begin[client->got + (size_t)i] = in[i];
        client->got += (size_t)got;
    }
    client->ended = got == 0 || (errno != EAGAIN && errno != EINTR);
}

static void client_send(const struct client *client, const uint8_t *data, size_t size)
{
    if (size > 0 && send(client->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return; /* closed already */
    pass();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client client = {.fd = -1};

    if (!gateway.http)
        open_all();
    if (size < 2)
        return 0;
    client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    farside_check(client.fd >= 0 && connect(client.fd, (struct sockaddr *)&address, address_len) == 0);
    size_t cut = 1 + data[0] * (size - 1) / 255;
    client_send(&client, data + 1, cut - 1);
    client_send(&client, data + cut, size - cut);
    shutdown(client.fd, SHUT_WR);
    for (int i = 0; i < PASSES && !client.ended; i++) {
        if (i == PATIENT)
            farside_mono_ms += LATER;
        pass();
        client_read(&client);
    }
    farside_check(client.ended);
    farside_check(client.got < sizeof client.begin || memcmp(client.begin, "HTTP/", 5) == 0);
    close(client.fd);
    pass();
    farside_check(http_waiting(gateway.http) == 0);
    return 0;
}
