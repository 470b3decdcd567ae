/* A progress bar on the last line of a terminal; other output goes on above it. */
#ifndef GANTRY_CLI_PROGRESS_H
#define GANTRY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct progress {
    FILE *out;
    bool on;        /* out is a terminal */
    bool drawn;     /* a line stands there now */
    char line[512]; /* the one that is to stand there */
};

/* out is borrowed; without a terminal behind it nothing is ever drawn. */
void progress_init(struct progress *progress, FILE *out);
/* percent below 0: unknown; then the words stand alone. seconds: since it started, 0 if it has not. */
void progress_set(struct progress *progress, double percent, double seconds, const char *words);
/* Around other output: takes the line away, and puts it back. */
void progress_hide(struct progress *progress);
void progress_show(struct progress *progress);

/* The line itself: `words [████▌     ]  45.0%  12.3 s, 15.0 s left`, at most `columns` wide. */
void progress_line(double percent, double seconds, const char *words, int columns, bool blocks, char *out, size_t size);

#endif
