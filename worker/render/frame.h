/* An engine at work on one frame: how it is called, kept or not, and what it says. */
#ifndef GANTRY_WORKER_RENDER_FRAME_H
#define GANTRY_WORKER_RENDER_FRAME_H

#include "worker/render/child.h"
#include "worker/render/lines.h"
#include "worker/render/render.h"

struct watching {
    struct render *it;
    struct lines lines;
    double told;
    char why[LINES_TEXT]; /* prepare.py gave up */
    bool ready;           /* the scene is open, and is rendered now */
    char token[48];       /* behind DONE of an engine that is kept; empty: it ends with its frame */
    bool done;            /* that was said */
    bool once;            /* it must not be kept */
};

void watching_line(void *self, const char *text);

/* The program and its arguments into argv, and what it reads into it->place. folder: it writes below it. -1 with err. engine_args_free(argv + 1)
 * afterwards in either case. */
int call_make(struct render *it, const char *folder, bool kept, char *argv[ENGINE_ARGS + 1]);
/* There is no such program. -1 */
int call_missing(const struct render *it);

/* An engine that is kept makes the frame below folder, or tries to: watching and end say what came of it. 1: there is none, for a reason that
 * stands in the log, and nothing has begun. -1 with err. */
int kept_call(struct watching *watching, const char *folder, struct child_end *end);

#endif
