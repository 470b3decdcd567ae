/* The arguments of Gantry's own programs: `name=value`, each its own. */
#ifndef GANTRY_WORKER_VIDEO_WORDS_H
#define GANTRY_WORKER_VIDEO_WORDS_H

#include "proto/settings.h"
#include "worker/plan.h"

/* The value of a name; NULL if it is not there. */
const char *words_text(char *const *argv, const char *name);
const char *words_or(char *const *argv, const char *name, const char *otherwise);
uint64_t words_number(char *const *argv, const char *name); /* 0: it is not there, or no number */

/* ---- for executors: adds one to a plan's arguments ---- */
int words_add(struct plan *plan, const char *name, struct str value, struct err *err);
int words_add_number(struct plan *plan, const char *name, uint64_t value, struct err *err);
int words_add_setting(struct plan *plan, const char *name, int setting, struct err *err);
/* `prefix=`, where this worker has the library's folder root. */
int words_add_prefix(struct plan *plan, struct str root, struct err *err);
/* A parameter of the run's, as text; nothing when it has none of that name. */
int words_add_parameter(struct plan *plan, const char *name, struct err *err);
/* The same, under another name. */
int words_add_parameter_as(struct plan *plan, const char *parameter, const char *name, struct err *err);

#endif
