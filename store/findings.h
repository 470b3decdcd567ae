/* What a look at a database finds wrong with it: each a sentence, counted, and written where the caller wants. */
#ifndef GANTRY_STORE_FINDINGS_H
#define GANTRY_STORE_FINDINGS_H

#include <stdint.h>
#include <stdio.h>

#define FINDINGS_MOST 200 /* that are written; the rest is counted */

struct findings { /* zeroed but for out before use */
    FILE *out;    /* a line each; NULL for none */
    uint64_t count;
    char first[200]; /* the first one */
};

void finding(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
