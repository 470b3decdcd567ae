#include "gateway/cli/stop.h"

#include <stddef.h>

volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    if (stop_signal == 0) {
        stop_signal = number;
    }
}

void stop_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end at once */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a write says that its reader is gone */
}

void stop_release(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

void stop_unread(void)
{
    on_signal(SIGPIPE);
}

int stop_code(void)
{
    return 128 + stop_signal;
}
