/* Executors: how a task's command becomes a program to start. One row each; a task names its row in `executor`. */
#ifndef GANTRY_WORKER_EXECUTORS_EXECUTOR_H
#define GANTRY_WORKER_EXECUTORS_EXECUTOR_H

#include "worker/plan.h"

struct executor {
    const char *name;
    int (*prepare)(struct plan *plan, struct err *err); /* fills plan->argv, and files it needs; -1 with err */
    const char *doc;
};

extern const struct executor executors[]; /* ends in a name of NULL */

const struct executor *executor_find(struct str name); /* NULL if there is none such */

int executor_shell(struct plan *plan, struct err *err);
int executor_exec(struct plan *plan, struct err *err);
int executor_python(struct plan *plan, struct err *err);
int executor_http(struct plan *plan, struct err *err);

/* The process behind `gantry-worker --http REQUEST_FILE` that executor_http plans. */
int http_main(const char *request_file);

#endif
