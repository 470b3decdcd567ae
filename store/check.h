/* Whether a database is what it must be: records decode and make sense, entries and counts are exactly those that the records ask
 * for, logs and statistics agree with their runs, each run's history is one that a run can have.
 *
 * Only reads. The pages have been looked at before (kv_page.h): what is read here is trusted to be mapped.
 */
#ifndef GANTRY_STORE_CHECK_H
#define GANTRY_STORE_CHECK_H

#include "proto/arena.h"
#include "store/findings.h"
#include "store/kv.h"

struct check_counts {
    uint64_t records, entries, lines;
};

/* Tells what is wrong to findings; derived (may be NULL) is how many of those can be mended by making indexes and counts anew.
 * -1 with err when it could not look (ERR_NO_MEMORY). */
int check_all(struct kv *kv, struct findings *findings, uint64_t *derived, struct check_counts *counts, struct err *err);

struct rec_run;
/* Whether a run's history is one that a run can have: NULL, or what is wrong with it (static). */
const char *check_history(const struct rec_run *run);

#endif
