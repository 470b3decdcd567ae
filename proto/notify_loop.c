#include "proto/notify.h"

static struct { /* as told in notify.c: of the process */
    loop_fn *reload;
    void *arg;
} own;

static void on_reload(void *unused)
{
    (void)unused;
    notify_reloading();
    own.reload(own.arg);
    notify_reloaded();
}

static void on_signal(void *unused)
{
    (void)unused;
    notify_stopping();
}

static void on_alive(void *unused)
{
    (void)unused;
    notify_alive();
}

int notify_from_loop(struct loop *loop, loop_fn *reload, void *arg)
{
    own.reload = reload;
    own.arg = arg;
    loop_on_reload(loop, on_reload, NULL);
    loop_on_signal(loop, on_signal, NULL);
    return notify_alive_ms() == 0 || loop_every(loop, notify_alive_ms(), on_alive, NULL) >= 0 ? 0 : -1;
}
