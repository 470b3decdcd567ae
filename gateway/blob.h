/* The blob store: files by their MD5, in a folder (blob.dir). A file is there whole and durable, or not at all.
 *
 *   assets/<md5[0:2]>/<md5>   a file
 *   incoming/<name>           one on its way in; who sends it may have gone, then it goes too (blob_tidy.c)
 *   .gantry-owner             whose all this is (blob_owner.h); link.key: what links are signed with; gc.stamp: when a collection ended last
 *   cache/<md5>               one of an S3-compatible store, fetched for a worker of this host; it goes after a day
 *
 * What comes is written as it comes, so that memory does not grow with it; the helper thread reads it behind that for its hashes, out of the
 * page cache. When all is there it is made durable, and linked to its name: of two that come at once one is linked, and both are there. Only
 * then is the scheduler told. Who is told of a file that was there already may find that it has gone meanwhile (gantry blobs gc): so what came
 * is kept until the scheduler has answered, and linked once more if need be (blob_keep).
 * Where an S3-compatible store keeps the files (s3.h), the file is sent there in the place of being linked.
 */
#ifndef GANTRY_GATEWAY_BLOB_H
#define GANTRY_GATEWAY_BLOB_H

#include <openssl/evp.h>
#include <xxhash.h>

#include "gateway/files.h"
#include "proto/settings.h"

#define BLOB_MD5 16
#define BLOB_HEX (2 * BLOB_MD5 + 1) /* with its NUL */
#define BLOB_NAME 64                /* of a file on its way in */
#define BLOB_PATH 4400

#define BLOB_WHY 200 /* what went wrong in an S3-compatible store, for people */

struct s3;

enum blob_ending { BLOB_WELL, BLOB_WRONG_MD5, BLOB_WRONG_XXH64, BLOB_BADLY };

struct blob {            /* one on its way in */
    struct file_job job; /* the first: what the helper thread knows */
    struct files *files;
    struct s3 *s3; /* that is to keep it; NULL: the folder */
    char root[4096], name[BLOB_NAME];
    int fd;
    bool working;           /* a job is under way: nothing but size and cause changes */
    bool dropped;           /* nobody wants it any more: the job's end frees it */
    bool ending;            /* all is there */
    bool resting;           /* what is there is to be on disk */
    bool keeps;             /* the file on its way in stays: somebody goes on with it later */
    uint64_t size;          /* bytes written */
    uint64_t until, hashed; /* the job reads to there; what was read */
    EVP_MD_CTX *md5;        /* NULL: it is not hashed */
    XXH64_state_t *xxh64;
    unsigned char md5_found[BLOB_MD5], md5_wanted[BLOB_MD5];
    uint64_t xxh64_found, xxh64_wanted;
    bool has_xxh64;
    bool stood;         /* a file of that hash was there before */
    int cause;          /* errno of what went wrong; 0: nothing has */
    int job_cause;      /* the same, as the job that is under way knows it */
    char why[BLOB_WHY]; /* what the S3-compatible store says, where cause is EREMOTEIO; else "" */
    enum blob_ending how;
    void (*done)(void *self, struct blob *blob); /* what was asked for has ended; blob->how says how */
    void *self;
};

/* The folder of blobs. False: its name does not fit. */
bool blob_root(const struct settings *settings, char out[4096]);
void blob_hex(const unsigned char md5[BLOB_MD5], char out[BLOB_HEX]);
bool blob_read_hex(struct str text, unsigned char out[BLOB_MD5]); /* 32 digits of either case */
uint64_t blob_max(const struct settings *settings);               /* bytes of a file */

/* Opens the file of this hash. -1 with errno. */
int blob_open(const struct settings *settings, const unsigned char md5[BLOB_MD5]);

/* Begins one, or goes on with the one of this name (not NULL) behind what of it is there. hash: what comes is hashed, for blob_end. NULL with errno. */
struct blob *blob_new(struct files *files, const struct settings *settings, const char *name, bool hash);
/* The next bytes of it. What goes wrong is in blob->cause. */
void blob_take(struct blob *blob, const char *data, size_t size);
/* All is there: hashed, held against what is wanted, durable, linked. done: on the loop. */
void blob_end(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self);
/* What came is durable, and stays on its way. done: on the loop. */
void blob_rest(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self);
/* Behind the scheduler's answer: it is linked still, or again. done: on the loop. */
void blob_keep(struct blob *blob, void (*done)(void *self, struct blob *blob), void *self);
/* It is not wanted any more; what is on its way goes (unless it keeps). No done follows. Takes NULL. */
void blob_drop(struct blob *blob);

#endif
