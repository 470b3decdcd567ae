/* Keeps a watch over each folder of the library while the worker serves scans: a process of its own for each (video/watch.h), whose hints go to the
 * farm in the worker's session. */
#ifndef GANTRY_WORKER_LOOKOUT_H
#define GANTRY_WORKER_LOOKOUT_H

#include "proto/settings.h"
#include "worker/link.h"
#include "worker/process.h"
#include "worker/setup.h"

#define LOOKOUT_ROOTS 64

struct lookout;

struct lookout_post { /* one folder */
    struct lookout *lookout;
    char *root;
    struct process *process; /* NULL: it has ended, and is started anew in a while */
    struct channel channel;
    char line[512]; /* the last it said on stderr */
};

struct lookout { /* zeroed before its first use */
    struct loop *loop;
    struct processes *processes;
    struct link *link;
    const char *self;
    const struct settings *settings;
    int timer;
    unsigned count;
    struct lookout_post posts[LOOKOUT_ROOTS];
};

/* -1 with err: no memory, or a setting makes no sense. */
int lookout_open(struct lookout *lookout, struct loop *loop, struct processes *processes, struct link *link,
                 const struct setup *setup, const struct settings *settings, struct err *err);
void lookout_close(struct lookout *lookout); /* before the link and the processes go */

#endif
