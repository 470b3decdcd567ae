/* Which files of the blob store are still needed: farms say so when they are asked (farm.h), and whoever is about to let files go looks here.
 *
 * Made for one question and thrown away: nothing has to be counted while tasks come and go, and nothing can be miscounted.
 */
#ifndef GANTRY_SCHEDULER_FARMS_NEEDS_H
#define GANTRY_SCHEDULER_FARMS_NEEDS_H

#include "proto/arena.h"
#include "scheduler/index.h"

struct needs {
    struct arena *arena;
    struct index files; /* by their MD5 in hexadecimal */
    struct index whose; /* unionids whose paths somebody may look for */
    bool anybody;       /* somebody may look for paths: those that are nobody's are everybody's */
    bool failed;        /* no memory: it is not known what is needed */
};

/* seed: so that names cannot be chosen to collide. */
void needs_open(struct needs *needs, uint64_t seed);
void needs_close(struct needs *needs);

/* This file, by its MD5: 32 digits; anything else is left out. Borrowed until needs_close. */
void needs_file(struct needs *needs, struct str hex);
/* What paths of this unionid stand for, and of nobody's. Borrowed until needs_close. */
void needs_paths(struct needs *needs, struct str unionid);
/* Every file whose MD5 stands somewhere in these bytes. */
void needs_text(struct needs *needs, struct str bytes);

bool needs_has(const struct needs *needs, struct str hex);          /* in small letters */
bool needs_has_path(const struct needs *needs, struct str unionid); /* empty: nobody's */

#endif
