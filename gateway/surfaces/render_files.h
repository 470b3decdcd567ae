/* Files and scenes of the render surface: its rows, and what those files share. */
#ifndef GANTRY_GATEWAY_SURFACES_RENDER_FILES_H
#define GANTRY_GATEWAY_SURFACES_RENDER_FILES_H

#include "gateway/blob.h"
#include "gateway/surfaces/render.h"

#define RENDER_PATH 1024 /* bytes of a path that stands for a file */
#define RENDER_UNION 400 /* of a unionid */
#define RENDER_UNION_CHARACTERS 100
#define RENDER_TYPE 64 /* of a file's type */
#define RENDER_HASHES 10000

void render_files_check(struct request *request);
void render_files_upload(struct request *request);
void render_files_link(struct request *request);
void render_files_linked(struct request *request);
void render_files_blob(struct request *request);
void render_files_frame(struct request *request);

void render_gc_begin(struct request *request);
void render_gc_tell(struct request *request);

extern void (*const render_uploads[])(struct request *request); /* ends in NULL */

#define RENDER_FILE_ROUTES                                                                                                       \
    {METHOD_POST, "/files/check-hashes", render_files_check, ROLE_USER,                                                          \
     "Tells which of up to 10,000 `hashes` (MD5) are here. What is no MD5 is `missing`."},                                       \
        {METHOD_POST, "/files/upload", render_files_upload, ROLE_USER,                                                           \
         "Takes a file, `multipart/form-data` with fields in any order: `file`, `hash` (its MD5), and, if wanted, `xxhash` "     \
         "(XXH64, "                                                                                                              \
         "decimal), `file_type`, `unionid`, `path` (which stands for the file from then on, for that `unionid`, or for all "     \
         "where "                                                                                                                \
         "there is none: as `oss_file_path`, and in scenes that name it, as `C:/textures/wood.jpg` does). 201; 200 with "        \
         "`uploaded` false for one that was here. What is not what its hashes say is a 400 (1002), and nothing of it is kept. "  \
         "`hash` and `path` without `file` bind a path to a file that is here."},                                                \
        {METHOD_POST, "/files/gc", render_gc_begin, ROLE_ADMIN,                                                                  \
         "Removes uploaded files that no task needs and that nobody has used for `grace_seconds` (default 7 days). `dry_run`: "  \
         "says the "                                                                                                             \
         "same numbers, and removes nothing. 200 within `wait_seconds` (30, which is the most), else 202; 409 (3000) while "     \
         "another one is "                                                                                                       \
         "under way, and where the files are another farm's by its mark (`.gantry-owner`)."},                                    \
        {METHOD_GET, "/files/gc", render_gc_tell, ROLE_ADMIN, "How far that is, or how the last one went."},                     \
        {METHOD_GET, "/files/download-url/{asset_id}", render_files_link, ROLE_USER,                                             \
         "A link that anybody can fetch the file by, for an hour; to the S3-compatible store, where one keeps it. A key or "     \
         "token of the role `user` says the `hash` (MD5) of a file that another `unionid` has sent first: else 403 (4001)."},    \
        {METHOD_GET, "/files/link/{asset_id}", render_files_linked, ROLE_ANYONE,                                                 \
         "What such a link leads to: the file, with `Range`, `If-Range` and `ETag`. 403 (4000) once it has expired. 307 to the " \
         "S3-compatible store, where one keeps it."},                                                                            \
        {METHOD_GET, "/files/blob/{md5}", render_files_blob, ROLE_KNOWN,                                                         \
         "A file by its MD5, with `Range`, `If-Range` and `ETag`: for workers, users and admins. 307 to the S3-compatible "      \
         "store, where one keeps it."},                                                                                          \
        {METHOD_GET, "/files/download/{frame_id}", render_files_frame, ROLE_READONLY,                                            \
         "What a frame was rendered to, by the frame's `id`: the file, with `Range`, `If-Range` and `ETag` (its MD5). "          \
         "`thumbnail=true`: a PNG of it, 320 pixels at most. 404 (2002) when it is gone, 409 (3000) while the frame is not "     \
         "`completed`."},

void render_scene_analyse(struct request *request);
void render_scene_get(struct request *request);

#define RENDER_SCENE_ROUTES                                                                                                      \
    {METHOD_POST, "/scene/analyse", render_scene_analyse, ROLE_USER,                                                             \
     "Has a worker read a scene: `scene_file` below `scene.root` (`C:/x` is `C/x` there), or `oss_file_path`, which names "      \
     "something uploaded, by this `unionid` or without one. What was read of a file is kept by its MD5 (`refresh` true: it is "  \
     "read anew). 200 within "                                                                                                   \
     "`wait_seconds` (30, which is the most), else 202 with the hash to ask again for. 400 (2002) for a file that is not "       \
     "there, "                                                                                                                   \
     "403 (4000) for one outside the folders, 503 when no worker is here that reads scenes."},                                   \
        {METHOD_GET, "/scene/analyse/{scene_hash}", render_scene_get, ROLE_READONLY,                                             \
         "What was read of the scene with this MD5: 202 while it is being read, 404 (2000) if it never was."},

void render_tus_options(struct request *request);
void render_tus_create(struct request *request);
void render_tus_tell(struct request *request);
void render_tus_patch(struct request *request);
void render_tus_delete(struct request *request);

#define RENDER_TUS_ROUTES                                                                                                        \
    {METHOD_POST, "/files/tus", render_tus_create, ROLE_USER,                                                                    \
     "Begins an upload that can be gone on with (tus 1.0: core, creation, termination, expiration, checksum): 201 with "         \
     "`Location`. `Upload-Length`, and in `Upload-Metadata` the fields of `/files/upload`: `hash` must be there."},              \
        {METHOD_OPTIONS, "/files/tus", render_tus_options, ROLE_ANYONE, "What of tus 1.0 is spoken here."},                      \
        {METHOD_GET, "/files/tus/{upload_id}", render_tus_tell, ROLE_USER,                                                       \
         "How far an upload is: `Upload-Offset`, `Upload-Length` (tus asks by `HEAD`)."},                                        \
        {METHOD_PATCH, "/files/tus/{upload_id}", render_tus_patch, ROLE_USER,                                                    \
         "The next bytes of an upload, `application/offset+octet-stream`, from `Upload-Offset` on: 204 once they are on disk; "  \
         "with the last of them the file is here. `Upload-Checksum` (sha1, md5) of them: 460 if they are others, and they go. "  \
         "409 for another offset, 423 while somebody else sends."},                                                              \
        {METHOD_DELETE, "/files/tus/{upload_id}", render_tus_delete, ROLE_USER, "Ends an upload; what came of it goes: 204."},

/* ---- shared ---- */

/* Who may speak for one unionid alone: the subject of a token whose role is user. Empty: for any. */
struct str render_subject(const struct request *request);
/* A path that may stand for a file: of plain names, relative or behind a drive. -1 with problem. */
int render_path_check(struct str path, const char *field, struct problem *problem);
void render_refuse(struct request *request, enum problem_kind kind, const char *field, const char *rule, struct str value);
bool render_decimal(struct str text, uint64_t *out); /* digits, of at most 64 bits */
/* The request's own address up to the surface's prefix ("http://host/render/api"): as it has two ports. */
void render_base(const struct request *request, struct buf *out);
/* The folder that frames stand below. False: its name is too long. */
bool render_output_folder(const struct request *request, char out[BLOB_PATH]);
/* Answers with the address of a file in the S3-compatible store: 307. */
void render_lead_on(struct request *request, const unsigned char md5[BLOB_MD5]);
/* The disk's own words. */
void render_refuse_disk(struct request *request, int cause);

/* ---- scenes ---- */

struct scene_look {          /* request->sink.self */
    struct file_job job;     /* the first */
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    char *given;          /* as it was asked for */
    char path[BLOB_PATH]; /* that a worker is to read */
    int fd;
    EVP_MD_CTX *ctx;
    uint64_t hashed, size;
    struct timespec changed; /* the file's, as it was opened */
    bool known;              /* from before: it is not read again */
    unsigned char md5[BLOB_MD5];
    int cause;
    struct s3 *s3;
    char why[BLOB_WHY];    /* of the S3-compatible store; "" */
    bool anew, waited_for; /* a run was there */
    uint64_t run_id, until_ms;
    int timer;
    void (*done)(struct scene_look *look);
};

/* A look for this request; it goes with that. NULL, and answered: no memory. */
struct scene_look *scene_look_new(struct request *request, struct str given);
/* Opens the file of that name below the folders of scenes. False, and answered: there is none. */
bool scene_look_open(struct scene_look *look);
/* Reads the open file for its MD5, in the helper thread; done: look->cause says how it went. */
void scene_look_hash(struct scene_look *look, void (*done)(struct scene_look *look));

/* Fetches the file of look->md5 from the S3-compatible store to where workers of this host can read it (look->path), unless it is there. */
void scene_look_fetch(struct scene_look *look, const char *root, void (*done)(struct scene_look *look));

/* ---- a file that has come ---- */

struct arrival { /* what was said of it; texts are borrowed from who asks */
    struct request *request;
    struct blob *blob; /* NULL: none came, one that is here is meant */
    unsigned char md5[BLOB_MD5];
    bool has_xxh64;
    uint64_t xxh64;
    struct str file_type, unionid, path;
    void (*answer)(struct arrival *arrival);
    void (*wrong)(struct arrival *arrival); /* it is not what its hashes say: ends in render_refuse_hash. May be NULL */
    /* what became of it */
    uint64_t asset_id, size;
    bool created;
    bool anew; /* told once more, as what the first of this key came to has gone */
};

/* Whose it is: who may speak for one unionid alone speaks for that. -1 with problem. */
int arrival_whose(struct arrival *arrival, const struct request *request, struct problem *problem);
/* Hashes it, tells the scheduler, and calls arrival->answer; or refuses. The caller still has the blob, and drops it when the request ends. */
void render_arrive(struct arrival *arrival);
void render_refuse_hash(struct arrival *arrival);

#endif
