/* gantry-gateway: HTTP on one side, the bus on the other. It keeps nothing that a restart may not lose. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/ask.h"
#include "gateway/auth.h"
#include "gateway/blob_gc.h"
#include "gateway/blob_tidy.h"
#include "gateway/courier.h"
#include "gateway/events.h"
#include "gateway/feed.h"
#include "gateway/files.h"
#include "gateway/gateway.h"
#include "gateway/health.h"
#include "gateway/hooks.h"
#include "gateway/http.h"
#include "gateway/listen.h"
#include "gateway/pulse.h"
#include "gateway/recorder.h"
#include "gateway/recordings.h"
#include "gateway/s3.h"
#include "gateway/stats.h"
#include "gateway/still_cache.h"
#include "gateway/stills.h"
#include "gateway/surfaces/surface.h"
#include "gateway/surfaces/transcode_parts.h"
#include "gateway/traffic.h"
#include "proto/clock.h"
#include "proto/daemon.h"
#include "proto/log.h"
#include "proto/notify.h"

#define DRAIN_STEP_MS 20
#define DRAIN_STEPS 150  /* 3 s that open requests get at SIGTERM; what the machine stands still meanwhile is not of them */
#define STREAMS_SPARE 64 /* one of so many connections, and one more, is none that a stream may have */
#define DESCRIPTORS (256 + COURIER_MAX) /* besides those of connections */

struct stopping {
    struct gateway *gateway;
    unsigned steps; /* since then */
    int timer;
};

static void configure(void *self)
{
    struct gateway *gateway = self;
    const struct settings *settings = gateway->settings;
    struct err err = {0};

    gateway->guard = (struct guard){
        .bound = settings_text(settings, SET_HTTP_HOST),
        .names = settings_text(settings, SET_HTTP_HOSTS),
        .origins = settings_text(settings, SET_HTTP_ORIGINS),
    };
    gateway->limits = (struct limits){
        .idle_ms = (uint64_t)settings_count_of(settings, SET_HTTP_IDLE_SECONDS) * 1000,
        .request_ms = (uint64_t)settings_count_of(settings, SET_HTTP_REQUEST_SECONDS) * 1000,
        .body = (uint64_t)settings_count_of(settings, SET_HTTP_BODY_KB) * 1024,
    };
    gateway->budget.limit = (size_t)settings_count_of(settings, SET_HTTP_MEMORY_MB) << 20;
    gateway->rate_limit = (struct rate_limit){
        .per_minute = (uint32_t)settings_count_of(settings, SET_HTTP_RATE),
        .burst = (uint32_t)settings_count_of(settings, SET_HTTP_BURST),
    };
    gateway->audit.enabled = settings_bool(settings, SET_AUDIT_ENABLED);
    if (gateway->auth)
        auth_reload(gateway->auth);
    gateway->deadline_ms = (uint64_t)settings_count_of(settings, SET_BUS_DEADLINE_MS);
    if (gateway->hooks && hooks_configure(gateway->hooks, &err) != 0)
        log_error("GTY-WEBHOOK-NETWORKS", "webhooks.deny_networks: %s; it stays as it was", err.text);
}

static void on_flush(void *arg)
{
    struct gateway *gateway = arg;
    auth_flush(gateway->auth);
}

static void on_settle(void *arg)
{
    struct gateway *gateway = arg;
    http_settle(gateway->http);
}

static void on_sample(void *arg)
{
    struct gateway *gateway = arg;
    resources_sample(&gateway->resources);
}

/* Our log lines on their way to the store. */
static bool ask_lines(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    struct gateway *gateway = self;
    struct bus_client *store = ask_client(gateway->ask, ASK_STORE);
    if (!bus_client_is_up(store))
        return false;
    bus_ask(store, &shape_msg_log_lines, lines, (struct str){NULL, 0}, SHIP_DEADLINE_MS, reply, arg);
    return true;
}

static void on_drain(void *arg)
{
    struct stopping *stopping = arg;

    bool busy = http_waiting(stopping->gateway->http) > 0 || hooks_busy(stopping->gateway->hooks);

    if (!busy || ++stopping->steps > DRAIN_STEPS)
        loop_stop(stopping->gateway->loop);
}

static void on_terminate(void *arg)
{
    struct stopping *stopping = arg;

    stopping->gateway->stopping = true;
    log_info("GTY-STOP", "waiting=%u", http_waiting(stopping->gateway->http));
    http_quiesce(stopping->gateway->http);
    hooks_quiesce(stopping->gateway->hooks);
    stopping->timer = loop_every(stopping->gateway->loop, DRAIN_STEP_MS, on_drain, stopping);
    if (stopping->timer < 0)
        loop_stop(stopping->gateway->loop);
}

static int open_routes(struct gateway *gateway, struct err *err)
{
    gateway->router = router_new();
    if (!gateway->router)
        return err_set(err, ERR_NO_MEMORY, "no memory for the routes");
    for (const struct surface *const *surface = surfaces_all; *surface; surface++) {
        if (router_add(gateway->router, *surface, (*surface)->prefix, err) != 0)
            return -1;
    }
    return 0;
}

static int open_http(struct gateway *gateway, const char *runtime, struct err *err)
{
    unsigned port = (unsigned)settings_count_of(gateway->settings, SET_HTTP_PORT);
    unsigned connections = (unsigned)settings_count_of(gateway->settings, SET_HTTP_CONNECTIONS);
    const char *host = settings_text(gateway->settings, SET_HTTP_HOST);
    char path[256];

    daemon_descriptors((uint64_t)connections + DESCRIPTORS);
    if (tls_open(gateway->settings, &gateway->tls, err) != 0)
        return -1;
    bool guarded = settings_bool(gateway->settings, SET_HTTP_INSECURE) || auth_has_source(gateway->auth);
    int listener = listen_open(host, &port, guarded, err);
    if (listener < 0)
        return -1;
    auth_decide(gateway->auth, !listen_is_loopback(listener));
    gateway->polls_max = connections > 1 ? connections / 2 : 1; /* others get their turn */
    gateway->streams_max = connections - (connections > 1 ? 1 + connections / STREAMS_SPARE : 0);
    gateway->http = http_new(gateway, listener, connections, err);
    if (!gateway->http)
        return -1;
    int also = listen_also(host, port, err);
    if (err->code || (also >= 0 && http_also(gateway->http, also) != 0))
        return err->code ? -1 : err_set(err, ERR_NO_MEMORY, "no memory for the HTTP server");
    if (ports_open(gateway, guarded, err) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/gateway.port", runtime);
    if (listen_announce(path, port, err) != 0)
        return -1;
    log_info("GTY-HTTP-LISTEN", "port=%u host=%s tls=%d", port, host, tls_is_on(&gateway->tls));
    return 0;
}

static int open_auth(struct gateway *gateway, struct err *err)
{
    gateway->auth = auth_new(gateway->settings, err);
    if (!gateway->auth)
        return -1;
    gateway->rate = rate_new();
    if (!gateway->rate || loop_every(gateway->loop, AUTH_FLUSH_MS, on_flush, gateway) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for the limits of requests");
    return 0;
}

static int open_measures(struct gateway *gateway, struct err *err)
{
    gateway->traffic = traffic_new();
    resources_sample(&gateway->resources);
    if (!gateway->traffic || loop_every(gateway->loop, RESOURCES_EVERY_MS, on_sample, gateway) < 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for what is measured");
    return 0;
}

static int open_all(struct gateway *gateway, const char *runtime, struct err *err)
{
    if (open_routes(gateway, err) != 0 || open_auth(gateway, err) != 0)
        return -1;
    gateway->files = files_new(gateway->loop, err);
    if (!gateway->files || s3_open(&gateway->s3, gateway->loop, gateway->settings, err) != 0)
        return -1;
    gateway->ask = ask_new(gateway, err);
    gateway->parts = gateway->ask ? parts_new(gateway) : NULL;
    if (gateway->ask && !gateway->parts)
        return err_set(err, ERR_NO_MEMORY, "no memory for uploads");
    gateway->blob_tidy = gateway->ask ? blob_tidy_new(gateway) : NULL;
    if (gateway->ask && !gateway->blob_tidy)
        return err_set(err, ERR_NO_MEMORY, "no memory for uploads");
    gateway->blob_gc = gateway->ask ? blob_gc_new(gateway, err) : NULL;
    if (gateway->ask && !gateway->blob_gc)
        return -1;
    if (gateway->ask && audit_open(gateway, err) != 0)
        return -1;
    gateway->events = gateway->ask ? events_new(gateway, err) : NULL;
    gateway->health = gateway->events ? health_new(gateway, err) : NULL;
    gateway->feed = gateway->health ? feed_new(gateway, err) : NULL;
    gateway->hooks = gateway->feed ? hooks_new(gateway, err) : NULL;
    gateway->pulse = gateway->hooks ? pulse_new(gateway, err) : NULL;
    gateway->stats = gateway->pulse ? stats_asker_new(gateway, err) : NULL;
    gateway->recordings = recordings_new();
    if (!gateway->recordings)
        return err_set(err, ERR_NO_MEMORY, "no memory for the recorder");
    gateway->recorder = gateway->stats ? recorder_new(gateway, err) : NULL;
    gateway->still_cache = still_cache_new();
    gateway->stills = gateway->recorder && gateway->still_cache ? stills_new(gateway->loop, NULL, &stills_usual, err) : NULL;
    if (gateway->recorder && !gateway->still_cache)
        return err_set(err, ERR_NO_MEMORY, "no memory for pictures");
    return gateway->stills && open_measures(gateway, err) == 0 ? open_http(gateway, runtime, err) : -1;
}

static void close_all(struct gateway *gateway)
{
    http_free(gateway->http); /* first: its requests still ask and follow */
    ports_close(gateway);
    s3_close(gateway->s3); /* what it ends goes on in the helper thread */
    files_free(gateway->files);
    recorder_free(gateway->recorder);
    recordings_free(gateway->recordings);
    stills_free(gateway->stills);
    still_cache_free(gateway->still_cache);
    parts_free(gateway->parts);
    blob_tidy_free(gateway->blob_tidy);
    blob_gc_free(gateway->blob_gc);
    pulse_free(gateway->pulse);
    hooks_free(gateway->hooks);
    feed_free(gateway->feed);
    traffic_free(gateway->traffic);
    stats_asker_free(gateway->stats);
    health_free(gateway->health);
    events_free(gateway->events);
    audit_close(gateway);
    ask_free(gateway->ask);
    router_free(gateway->router);
    auth_free(gateway->auth);
    rate_free(gateway->rate);
    tls_close(&gateway->tls);
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    struct gateway gateway = {0};
    struct stopping stopping = {.gateway = &gateway, .timer = -1};
    struct err err = {0};
    int code = 1;

    loop_hold_signals();
    signal(SIGPIPE, SIG_IGN);
    int opened = daemon_open(&daemon, "gateway", "speaks HTTP for a farm", argc, argv, &err);
    if (opened == 1)
        code = 0;
    if (opened != 0)
        goto error;
    gateway.settings = daemon.settings;
    gateway.loop = daemon.loop;
    gateway.started_ms = clock_mono_ms();
    configure(&gateway);
    if (open_all(&gateway, daemon.runtime, &err) != 0)
        goto error;
    const struct ship_port ship = {.self = &gateway, .ask = ask_lines};
    ship_attach(daemon.ship, &ship);
    loop_on_settle(daemon.loop, on_settle, &gateway);
    daemon_on_reload(&daemon, configure, &gateway);
    loop_on_terminate(daemon.loop, on_terminate, &stopping);
    notify_ready("answering");
    code = loop_run(daemon.loop) == 0 ? 0 : 1;
    ship_end(daemon.ship);
error:
    if (err.code)
        daemon_fail(&daemon, &err);
    close_all(&gateway);
    daemon_close(&daemon);
    return code;
}
