/* What a renderer writes while it works: how far it is, and what went wrong. */
#ifndef GANTRY_WORKER_RENDER_LINES_H
#define GANTRY_WORKER_RENDER_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_TEXT 512

struct lines {              /* zeroed before the first line */
    double percent;         /* of the frame, 0 to 100; only grows */
    char error[LINES_TEXT]; /* the newest line that names one */
    bool memory;            /* it ran out of memory */
    bool display;           /* it needs a display */
};

/* Takes a line in. True: it says how far it is and nothing else, so that it need not be in a log. */
bool lines_take(struct lines *lines, const char *line);

#endif
