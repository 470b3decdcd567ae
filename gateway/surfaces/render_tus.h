/* Uploads by the tus protocol (1.0): what the files about them share.
 *
 * An upload is two files beside those on their way into the blob store: tus-<id>, what has come, and tus-<id>.info, what it is to be. Both are
 * durable when they are answered, so an upload goes on behind the death of any process. One that has arrived keeps its .info for a while, as its
 * client may not have heard. One that is whole and has not arrived (a process died just then) arrives when its client asks how far it is.
 */
#ifndef GANTRY_GATEWAY_SURFACES_RENDER_TUS_H
#define GANTRY_GATEWAY_SURFACES_RENDER_TUS_H

#include "gateway/surfaces/render_files.h"

#define TUS_VERSION "1.0.0"
#define TUS_ID 32
#define TUS_METADATA 4000 /* bytes of Upload-Metadata */
#define TUS_INFO 16384    /* bytes of an .info */

struct tus {                 /* one upload, for one request */
    struct file_job job;     /* the first: what the helper thread knows */
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    char root[4096], id[TUS_ID + 1];
    /* of its .info */
    uint64_t length, made_at; /* bytes; ms since 1970 */
    char metadata[TUS_METADATA + 1], whose[2 * IDENT_HASH + 1];
    bool arrived;
    /* of its metadata */
    char hash[65], xxhash[33], file_type[RENDER_TYPE + 1], unionid[RENDER_UNION + 1], path[RENDER_PATH + 1];
    struct arrival arrival;
    /* of a PATCH */
    uint64_t first;  /* where it begins */
    EVP_MD_CTX *sum; /* NULL: none is held against it */
    unsigned char sum_wanted[EVP_MAX_MD_SIZE];
    unsigned sum_len;
    int cause; /* of the job; 0: it went well */
    void (*done)(struct tus *tus);
};

/* Answers in the surface's envelope with a status of tus' own. */
void tus_refuse(struct request *request, unsigned status, const char *field, const char *rule, struct str value,
                const char *expected);

/* One for this request, which goes with it; version: the header is looked at. NULL, and answered. */
struct tus *tus_new(struct request *request);
void tus_sink(struct tus *tus, void (*take)(void *self, const char *data, size_t size), void (*whole)(void *self));

/* Takes Upload-Metadata apart, into the arrival too. -1 with problem. */
int tus_metadata(struct tus *tus, struct str text, struct problem *problem);

/* The .info of the upload that the path names; false, and answered: there is none, or it is somebody else's. */
bool tus_load(struct tus *tus);
/* In the helper thread; done then, with tus->cause. */
void tus_make(struct tus *tus, void (*done)(struct tus *tus));   /* both files */
void tus_finish(struct tus *tus, void (*done)(struct tus *tus)); /* it has arrived: its .info says so, what came goes */
void tus_remove(struct tus *tus, void (*done)(struct tus *tus)); /* both go; cause EWOULDBLOCK: somebody sends */

void tus_name(const struct tus *tus, char out[BLOB_NAME]);
void tus_tell_headers(struct request *request, const struct tus *tus, uint64_t offset);

#endif
