/* Garbage collection of the blob store: files that nothing needs any more go (gantry blobs gc, blob.keep_days).
 *
 * First the scheduler forgets what is neither needed nor was used within the grace time (scheduler/farms/asset/sweep.c), some at a time, each time
 * committed. Then the folder is walked, and every file that the scheduler does not know goes: those just forgotten, those that a gateway which was
 * killed in between left behind, and those of uploads that were refused. So it can end anywhere, and the next one does the rest.
 *
 * A file that is being uploaded just then stays, or is put back: whoever uploads links it anew once the scheduler has answered (blob_keep), behind
 * whatever was removed before that answer, as both are jobs of one thread. And a file that was linked, or looked for by an upload, within the grace
 * time (ten minutes of it at most) is not removed, so that an upload whose gateway dies before that step has its file, too.
 *
 * Objects of an S3-compatible store are listed and removed in the same way, behind the folder; all of one file is done in one lane there.
 *
 * Before all that it is made sure that the files are not another farm's (blob_owner.h), whose scheduler knows what this one does not.
 *
 * A dry run does all the same, and neither forgets nor removes: so it says the same numbers.
 */
#ifndef GANTRY_GATEWAY_BLOB_GC_H
#define GANTRY_GATEWAY_BLOB_GC_H

#include "gateway/blob.h"
#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "gateway/s3.h"

#define BLOB_GC_DAYS 7 /* of grace, where nobody says another */

struct blob_gc_state { /* how far it is, or how the last one went */
    bool running, dry;
    uint64_t grace_ms, began_ms, ended_ms; /* wall clock; 0: never */
    uint64_t assets, paths;                /* forgotten by the scheduler: files, and the paths that stood for them */
    uint64_t files, bytes;                 /* removed, from the folder and the store; of a dry run: that would be */
    enum problem_kind failed;              /* PROBLEM_COUNT: it did not; PROBLEM_CONFLICT: the files are another farm's */
    int cause;                             /* errno, with PROBLEM_INTERNAL; */
    char why[S3_WHY];                      /* or what the store says, or where these files are; "" */
};

struct blob_gc_watch { /* told once, when the one under way ends */
    void (*done)(struct blob_gc_watch *watch);
    struct blob_gc_watch *next;
};

enum blob_gc_begun {
    BLOB_GC_BEGUN,
    BLOB_GC_REPEAT, /* of this key one is under way, or was the last one, unless that broke off for what may be over by now */
    BLOB_GC_REUSED, /* with another body */
    BLOB_GC_BUSY,   /* another one is under way */
};

struct blob_gc;

struct blob_gc *blob_gc_new(struct gateway *gateway, struct err *err); /* NULL with err; the helper thread is there already */
void blob_gc_free(struct blob_gc *gc);                                 /* takes NULL; the helper thread has ended */

/* Begins one, unless one is under way; its end is told to who watches. idem: the key of who asks, borrowed; NULL: nobody does. */
enum blob_gc_begun blob_gc_begin(struct blob_gc *gc, uint64_t grace_ms, bool dry, const struct rec_idem *idem);
const struct blob_gc_state *blob_gc_state(const struct blob_gc *gc);
/* The end of the one under way is told to watch, which is borrowed until then, or until it is taken back. */
void blob_gc_watch(struct blob_gc *gc, struct blob_gc_watch *watch);
void blob_gc_unwatch(struct blob_gc *gc, struct blob_gc_watch *watch);

/* ---- the folder, for the helper thread (blob_gc_folder.c) ---- */

#define BLOB_SHARDS 256u /* folders that files are in, by the first byte of their MD5 */
#define BLOB_GC_ASK 1000u

struct blob_gc_folder {
    struct file_job job; /* the first */
    char root[4096];
    unsigned shard;
    unsigned char *md5s; /* of the files of the shard; its own: free */
    uint32_t count, size;
    uint32_t from, asked;      /* those that the scheduler is asked about now */
    bool unknown[BLOB_GC_ASK]; /* of them, those to be removed */
    uint64_t young_ms;         /* one that was linked within this time stays */
    bool dry;
    uint64_t files, bytes; /* removed so far */
    int cause;             /* errno */
};

/* ---- objects of a store, for its lanes (blob_gc_objects.c) ---- */

struct blob_gc_part { /* of a page: what one lane removes */
    struct file_job job;
    struct blob_gc_objects *all;
    uint64_t files, bytes;
    char why[S3_WHY];
};

struct blob_gc_objects {
    struct file_job job; /* the first: the list's */
    struct blob_gc *gc;
    struct s3 *s3;
    struct s3_page page;
    bool unknown[S3_PAGE];
    struct blob_gc_part parts[S3_LANES];
    unsigned open; /* parts that have not ended */
    uint64_t young_ms;
    bool dry;
    char why[S3_WHY]; /* of the list */
};

void blob_gc_objects_list(struct file_job *job);   /* of the objects: the next page */
void blob_gc_objects_remove(struct file_job *job); /* of a part: what is unknown, and is in its lane */

void blob_gc_list(struct file_job *job);   /* reads the shard */
void blob_gc_remove(struct file_job *job); /* what is unknown goes */
void blob_gc_stamp(struct file_job *job);  /* notes that one has ended now */
/* When that was last noted, in ms since 1970; 0: never, or there is no blob store yet. */
uint64_t blob_gc_stamped(const char *root, bool *there);

#endif
