/* gantry-scheduler: decides what runs where, and when. */
#include "proto/daemon.h"
#include "proto/log.h"
#include "proto/notify.h"
#include "scheduler/host.h"

static void on_reload(void *arg)
{
    host_reload(arg);
}

static bool ask_lines(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    return host_ask_lines(self, lines, reply, arg);
}

/* What workers log goes on to the store beside what the scheduler does, so that neither drops the other. */
static void on_lines(void *self, struct str worker, const struct msg_log_lines *lines)
{
    for (uint32_t i = 0; i < lines->entries.count; i++) {
        struct rec_log_entry entry = lines->entries.items[i];
        entry.service = STR_LIT("worker");
        entry.source = worker;
        ship_put(self, &entry);
    }
    if (lines->dropped > 0)
        ship_missed(self, lines->dropped);
}

static void on_open(void *arg)
{
    (void)arg;
    notify_ready("deciding");
}

static void on_terminate(void *arg)
{
    log_info("GTY-TERMINATE", "writing what is decided");
    host_end(arg);
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    struct host *host = NULL;
    struct ship *relay = NULL;
    struct err err = {0};
    int code = 1;
    loop_hold_signals();
    int opened = daemon_open(&daemon, "scheduler", "decides what runs where in a farm, and when", argc, argv, &err);
    if (opened == 1)
        code = 0;
    if (opened != 0)
        goto error;
    daemon_descriptors(0); /* every worker and client is one */
    host = host_new(daemon.loop, daemon.settings, &err);
    if (!host)
        goto error;
    relay = ship_new(daemon.loop);
    if (!relay) {
        err_set(&err, ERR_NO_MEMORY, "no memory for the logs of workers");
        goto error;
    }
    const struct ship_port ship = {.self = host, .ask = ask_lines};
    ship_attach(daemon.ship, &ship);
    ship_attach(relay, &ship);
    host_on_lines(host, on_lines, relay);
    daemon_on_reload(&daemon, on_reload, host);
    loop_on_terminate(daemon.loop, on_terminate, host);
    host_on_open(host, on_open, NULL);
    notify_status("waiting for the store");
    log_info("GTY-SCHEDULER-START", "version=%s waiting for the store", GANTRY_VERSION);
    loop_run(daemon.loop);
    code = host_code(host, &err);
    log_info("GTY-STOP", "code=%d", code);
    ship_end(relay);
    ship_end(daemon.ship);
error:
    if (err.code)
        daemon_fail(&daemon, &err);
    host_free(host);
    ship_free(relay);
    daemon_close(&daemon);
    return code;
}
