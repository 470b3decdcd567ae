/* Putting a backup in the place of the database, so that nothing old is mistaken for new (rule 3). */
#ifndef GANTRY_STORE_RESTORE_H
#define GANTRY_STORE_RESTORE_H

#include <stdio.h>

#include "proto/str.h"

struct restore_options {
    const char *data; /* the farm's data folder */
    const char *from; /* the backup */
    bool repair;      /* makes indexes and counts anew where something is wrong, and puts up with what is wrong with records */
    uint64_t map_bytes;
};

/* Tells what it did on out. -1 with err: the database is as it was. */
int restore_make(const struct restore_options *options, FILE *out, struct err *err);

#endif
