/* Whose the files of the blob store are. A farm has an id, <data>/farm.id, random and made once; a copy of it is the owner's mark, .gantry-owner in
 * blob.dir and, where there is an S3-compatible store, below blob.s3_prefix in the bucket. The first farm that finds no mark leaves its own, soon
 * after its start. A collection (blob_gc.h) is refused where the mark is another farm's, as what this farm does not know may be what that one needs.
 *
 * The id is with the data folder and not in the database: a restored database is still this farm's, and a copy of one that another farm goes on
 * with is not. Nothing here removes a mark, and uploads do not ask for it.
 */
#ifndef GANTRY_GATEWAY_BLOB_OWNER_H
#define GANTRY_GATEWAY_BLOB_OWNER_H

#include "gateway/s3.h"

struct blob_owner {
    struct file_job job; /* the first */
    void *self;          /* of who asks */
    bool look;           /* where there is no mark, none is left */
    struct s3 *s3;       /* NULL: there is no store */
    char id[4200];       /* path of <data>/farm.id */
    char root[4096];     /* blob.dir */
    /* what came of it */
    char anothers[S3_WHY]; /* the place whose mark is another farm's, for people; "" */
    char why[S3_WHY];      /* what the store says; "" */
    int cause;             /* errno; 0 */
    bool absent;           /* there is no blob.dir yet, and so no mark in it */
    bool full;             /* there was no room for the id or a mark, and there is no other: nobody's */
};

void blob_owner_set(struct blob_owner *owner, const struct settings *settings, struct s3 *s3, bool look);
bool blob_owner_well(const struct blob_owner *owner); /* the files are this farm's, or nobody's */

void blob_owner_folder(struct file_job *job); /* for the helper thread, the first of the two */
void blob_owner_store(struct file_job *job);  /* for lane 0 of the store */

#endif
