/* {{name}} in a task's texts: replaced by the parameter of that name of the run's trigger. */
#ifndef GANTRY_WORKER_TEMPLATE_H
#define GANTRY_WORKER_TEMPLATE_H

#include "proto/buf.h"

struct template_names {
    struct str parameters; /* free-form map */
    const char *output;    /* what {{output}} stands for; NULL: nothing */
    uint64_t run_id;       /* what {{run_id}} stands for, unless a parameter has that name; 0: nothing */
};

/* Appends text with its names replaced; unknown names stay as they are. -1 with err when out's limit is reached, or a value is
 * malformed. */
int template_fill(struct str text, const struct template_names *names, struct buf *out, struct err *err);

/* The same for a path: a value stands for one name in it, so a '/' in it, a NUL, '.', '..' and nothing are errors (a parameter must not
 * lead out of the folder that the task's author chose), and so is a name that is not known. */
int template_fill_path(struct str text, const struct template_names *names, struct buf *out, struct err *err);

#endif
