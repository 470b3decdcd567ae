/* gantry-store: what the farm remembers, in one database. */
#include <signal.h>

#include "proto/daemon.h"
#include "proto/log.h"
#include "proto/notify.h"
#include "store/store.h"
#include "store/tool.h"

static void on_reload(void *arg)
{
    store_reload(arg);
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    struct store *store = NULL;
    struct err err = {0};
    int code = 1;
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk, not an end */
    if (tool_asked(argc, argv))
        return tool_main(argc, argv);
    loop_hold_signals();
    int opened = daemon_open(&daemon, "store", "remembers tasks, runs and logs of a farm", argc, argv, &err);
    if (opened == 1)
        code = 0;
    if (opened != 0)
        goto error;
    store = store_new(daemon.loop, daemon.settings, &err);
    if (!store)
        goto error;
    daemon_on_reload(&daemon, on_reload, store);
    const struct ship_port ship = store_ship(store);
    ship_attach(daemon.ship, &ship);
    log_info("GTY-STORE-READY", "version=%s", GANTRY_VERSION);
    notify_ready("remembering");
    loop_run(daemon.loop);
    code = store_failed(store) ? 1 : 0;
    log_info("GTY-STOP", "code=%d", code);
    ship_end(daemon.ship);
    ship_attach(daemon.ship, NULL);
error:
    if (err.code)
        daemon_fail(&daemon, &err);
    store_free(store);
    daemon_close(&daemon);
    return code;
}
