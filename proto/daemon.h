/* What every daemon does alike: settings, log, loop and trace at its start, settings again at SIGHUP, and its end; and a service manager is
 * told of it (notify.h), but for READY, which each says when it can do its work. */
#ifndef GANTRY_PROTO_DAEMON_H
#define GANTRY_PROTO_DAEMON_H

#include "proto/loop.h"
#include "proto/settings.h"
#include "proto/ship.h"

struct daemon {          /* zeroed before daemon_open */
    const char *service; /* "store": gantry-store */
    struct settings *settings;
    struct loop *loop;
    struct ship *ship; /* what it has logged; whoever has a way to the store attaches it */
    char runtime[128]; /* folder of the farm's sockets */
    loop_fn *reloaded; /* see daemon_on_reload */
    void *self;
};

/* service and words (what it is, for --help) are kept. 0: it is open. 1: --help or --version has been answered, the process is
 * to exit 0. -1 with err. In each case daemon_close ends it. */
int daemon_open(struct daemon *daemon, const char *service, const char *words, int argc, char **argv, struct err *err);

/* Called after the settings have been read again and are good; with bad ones the old values stay and nothing is called. */
void daemon_on_reload(struct daemon *daemon, loop_fn *reloaded, void *self);

/* Raises the limit of descriptors to what is wanted (0: as far as it goes), as far as it goes. */
void daemon_descriptors(uint64_t wanted);

/* Says on stderr why it ends, in one line that begins with the program's name; answers 1, the exit code. */
int daemon_fail(const struct daemon *daemon, const struct err *err);

/* The last call; everything else that used loop or bus is gone. Takes one that is half open. */
void daemon_close(struct daemon *daemon);

#endif
