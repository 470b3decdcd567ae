/* Executors: how a task's command becomes a program to start. One row each; a task names its row in `executor`. */
#ifndef GANTRY_WORKER_EXECUTORS_EXECUTOR_H
#define GANTRY_WORKER_EXECUTORS_EXECUTOR_H

#include "worker/plan.h"

struct executor {
    const char *name;
    int (*prepare)(struct plan *plan, struct err *err); /* fills plan->argv, and files it needs; -1 with err */
    const char *doc;
    bool places_output; /* its program is Gantry's own, and says on its channel where its output goes */
};

#define EXECUTOR_STEP 2 /* place of the word `run` in the arguments of a program that places its output */

extern const struct executor executors[]; /* ends in a name of NULL */

const struct executor *executor_find(struct str name); /* NULL if there is none such */

int executor_shell(struct plan *plan, struct err *err);
int executor_exec(struct plan *plan, struct err *err);
int executor_python(struct plan *plan, struct err *err);
int executor_http(struct plan *plan, struct err *err);
int executor_scan(struct plan *plan, struct err *err);
int executor_transcode(struct plan *plan, struct err *err);
int executor_health(struct plan *plan, struct err *err);
int executor_undo(struct plan *plan, struct err *err);
int executor_clear(struct plan *plan, struct err *err);
int executor_record(struct plan *plan, struct err *err);
int executor_scene(struct plan *plan, struct err *err);
int executor_render(struct plan *plan, struct err *err);

/* The path (PATH_MAX bytes) of a program that stands beside gantry-worker. */
int plan_sibling(const struct plan *plan, const char *program, char *path, struct err *err);
/* Adds `probe=` and the path of gantry-probe to the arguments. */
int plan_probe(struct plan *plan, struct err *err);

/* The process behind `gantry-worker --http REQUEST_FILE` that executor_http plans. */
int http_main(const char *request_file);

#endif
