/* Removing folders a little at a time, so that a run which left 100,000 files behind does not hold up the others. */
#ifndef GANTRY_WORKER_SWEEP_H
#define GANTRY_WORKER_SWEEP_H

#include <dirent.h>

#include "proto/str.h"

/* Removes a folder and what is in it, in at most budget steps. Never follows a symbolic link. 1: gone; 0: there is more; -1 with err: all
 * that is left cannot be removed. What cannot be removed keeps nothing else from going. */
int sweep_folder(const char *path, unsigned budget, struct err *err);

/* A pass over the entries of one folder, which stays itself. */
struct sweep_pass {
    DIR *dir;        /* NULL between passes */
    char entry[256]; /* the one it is at; "" before the first and between two */
    unsigned failed; /* entries that could not be removed */
    struct err why;  /* of the first of them */
};

/* -1 with err when the folder cannot be opened; ERR_NOT_FOUND when there is none. */
int sweep_pass_begin(struct sweep_pass *pass, const char *path, struct err *err);
/* At most budget steps. 1: the pass is over, and failed and why say how it went; 0: there is more. */
int sweep_pass_go_on(struct sweep_pass *pass, unsigned budget);
void sweep_pass_end(struct sweep_pass *pass); /* also of one that was not begun */

#endif
