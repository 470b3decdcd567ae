/* The files that a scene needs beside what is packed into it, as a worker read them from it, and which of them the farm has: some at a time, so that memory does not grow with
 * them. */
#ifndef GANTRY_GATEWAY_SURFACES_RENDER_NEEDS_H
#define GANTRY_GATEWAY_SURFACES_RENDER_NEEDS_H

#include "gateway/blob.h"
#include "gateway/surfaces/render.h"
#include "proto/place.h"

#define NEEDS_AT_ONCE SCENE_PAGE

struct need { /* one of them; texts are borrowed for the call */
    struct str path, type;
    uint64_t asset_id, size;  /* of the blob store; 0: it is not in it */
    const unsigned char *md5; /* NULL: likewise */
    struct str place;         /* `/C/textures/wood.jpg`: where a worker lays it out; empty: nowhere */
    bool missing;
};

struct needs {
    struct request *request;
    struct sink before;        /* what the request had: it is closed with this */
    struct str unionid, scene; /* whose; its path. In the request's memory */
    bool blender, below;       /* the scene is below scene.root, and so may its files be */
    struct arena *arena;       /* of the page */
    uint64_t list_id;
    uint32_t page, pages;
    json_t *report; /* where there is no list: what was read by a worker that tells none */
    size_t at;
    struct need files[NEEDS_AT_ONCE]; /* now */
    uint32_t held;
    struct render_names names; /* below scene.root */

    /* What follows is for who asks. */
    bool known;        /* the scene was read */
    uint64_t left_out; /* files that it has beside those that are told */
    uint64_t count, missing;
    void (*each)(struct needs *needs, const struct need *need);
    void (*done)(struct needs *needs); /* each was told of all; answers the request */
    void *self;
};

/* Begins; the request's end ends it. NULL, and answered: no memory. unionid, path and engine are copied. */
struct needs *needs_new(struct request *request, struct str unionid, struct str path, struct str engine);
/* Tells of the scene with this hash. */
void needs_tell(struct needs *needs, const unsigned char md5[BLOB_MD5]);

#endif
