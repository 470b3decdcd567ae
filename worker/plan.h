/* What a run is to be started as: arguments and environment, made from its assignment by an executor. */
#ifndef GANTRY_WORKER_PLAN_H
#define GANTRY_WORKER_PLAN_H

#include <sys/types.h>

#include "proto/messages.h"
#include "worker/job.h"

struct settings;

#define PLAN_TEXT_MAX ((size_t)131071)   /* of one argument or variable: the kernel takes 128 KiB with its NUL */
#define PLAN_TOTAL_MAX ((size_t)4 << 20) /* of all of them */
#define PLAN_VARIABLES_MAX 4096

struct plan_texts {
    char **items; /* NULL-terminated once there is one; each owned */
    size_t count, size;
};

struct plan_place {     /* where a run happens; all borrowed */
    const char *folder; /* of the attempt: files Gantry makes for it */
    const char *self;   /* path of gantry-worker, for what it does in a process of its own */
    const char *output; /* temporary name of the output; NULL when it has none */
    const char *user;   /* to become; NULL for the worker's own */
    uid_t uid;          /* who shall own the files: that user */
    gid_t gid;
    const struct settings *settings; /* of the worker */
    const char *ident;               /* of the worker */
    const char *keeper;              /* folder of what keeps its engine (render/keep.h); NULL: nothing does */
};

struct plan {
    const struct rec_assignment *run; /* borrowed */
    struct plan_place place;
    struct plan_texts argv, env;
    size_t total;     /* bytes in both */
    bool ffmpeg;      /* its progress is ffmpeg's own report */
    bool channel;     /* its program has one (channel.h) */
    struct buf notes; /* lines for the run's log: what was left out, and why */
};

/* Makes the plan of an assignment, and the files it needs in the folder. run is borrowed until plan_clear.
 * -1 with err: the run cannot be started, and err says why. */
int plan_make(struct plan *plan, const struct rec_assignment *run, const struct plan_place *place, struct err *err);
void plan_clear(struct plan *plan); /* takes a zeroed one */

/* ---- for executors ---- */

int plan_arg(struct plan *plan, struct str text, struct err *err);
/* With {{name}} replaced by the parameter of that name, {{output}} by the output's temporary name; unknown names stay. */
int plan_args_filled(struct plan *plan, const struct str_list *texts, struct err *err);
/* Sets a variable; what was set before under this name is replaced. */
int plan_env(struct plan *plan, struct str name, struct str value, struct err *err);
/* Writes a file into the folder, readable for the run's user only; path (PATH_MAX bytes) receives its name. */
int plan_file(struct plan *plan, const char *name, struct str content, char *path, struct err *err);

#endif
