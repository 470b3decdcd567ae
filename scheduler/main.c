/* gantry-scheduler: decides what runs where, and when. */
#include "proto/daemon.h"
#include "proto/log.h"
#include "scheduler/host.h"

static void on_reload(void *arg)
{
    host_reload(arg);
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
    struct err err = {0};
    int code = 1;
    int opened = daemon_open(&daemon, "scheduler", "decides what runs where in a farm, and when", argc, argv, &err);
    if (opened == 1)
        code = 0;
    if (opened != 0)
        goto error;
    daemon_descriptors(0); /* every worker and client is one */
    host = host_new(daemon.loop, daemon.settings, &err);
    if (!host)
        goto error;
    daemon_on_reload(&daemon, on_reload, host);
    loop_on_terminate(daemon.loop, on_terminate, host);
    log_info("GTY-SCHEDULER-START", "version=%s waiting for the store", GANTRY_VERSION);
    loop_run(daemon.loop);
    code = host_code(host, &err);
    log_info("GTY-STOP", "code=%d", code);
error:
    if (err.code)
        daemon_fail(&daemon, &err);
    host_free(host);
    daemon_close(&daemon);
    return code;
}
