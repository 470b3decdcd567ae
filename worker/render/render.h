/* One frame: lays its scene out, has an engine render it, and lets nothing stand that is no picture.
 *
 * `gantry-worker --render STEP NAME=VALUE…`, a program of its own for each step, with the same arguments (executors/render.c):
 *   run   makes and verifies the frame under its temporary name, and says on the channel where it is to go
 *   name  puts it there once that is granted: also in the place of what stood there when it was begun (a frame rendered again)
 * What is wrong is its last line on stderr. Its first word tells who is to see to it: `scene:`, `engine:`, `memory:`.
 */
#ifndef GANTRY_WORKER_RENDER_RENDER_H
#define GANTRY_WORKER_RENDER_RENDER_H

#include <jansson.h>
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>

#include "worker/render/engine.h"
#include "worker/video/farm.h"

#define RENDER_FILES_MAX 32768 /* of a scene */

struct render {
    char *const *words;
    json_t *parameters; /* of the run */
    const struct engine *engine;
    const char *program, *extension, *format; /* of the engine; of what it is to make */
    const char *output;                       /* below the folder of frames */
    uint64_t run, attempt, frame;
    char work[PATH_MAX - 300];  /* the run's own folder */
    char place[PATH_MAX - 300]; /* where the scene is laid out: there, or where its engine is kept */
    char root[PATH_MAX];        /* where C:/x of the scene is C/x */
    char beside[PATH_MAX];      /* the folder that the scene is in, before it is unpacked */
    char scene[PATH_MAX], made[PATH_MAX], final[PATH_MAX], temporary[PATH_MAX];
    struct stat before; /* of a picture that stood where the engine puts its own */
    char version[32];   /* of the engine, as it said */
    json_t *files;      /* that the scene needs, once layout_files was called; NULL: it is not known */
    bool files_asked;
    int keeper; /* a line to what keeps its engine (keep.h); -1: there is none */
    bool keeps; /* the engine may make another frame */
    struct farm_line line;
    struct err *err;
};

struct picture { /* what gantry-picture says of a file */
    uint64_t width, height, size;
    bool black, thumbnail; /* the thumbnail was written */
    char md5[33];
};

int render_main(char *const *argv); /* STEP, and the words */

/* ---- between the files of it; each -1 with err ---- */

const char *render_text(const struct render *it, const char *parameter); /* "" if it has none */
uint64_t render_number(const struct render *it, const char *parameter);  /* 0 */
/* Whether a frame counts whose scene lacks a file: unless the run says otherwise. */
bool render_allows_missing(const struct render *it);

json_t *layout_files(struct render *it); /* that the scene needs, borrowed: those that the run names, or else its task; NULL */
int layout_scene(struct render *it);     /* the scene and its files are at it->scene, below it->root */
int unpack_scene(struct render *it);     /* what its engine could not read packed */
int render_lay(struct render *it);       /* both, in it->place */
int frame_make(struct render *it);       /* its picture is at it->made */
/* Its engine is kept if it may be; else it ends. */
void kept_done(struct render *it);
enum bring {
    BRING_MOVE, /* it goes from where it was */
    BRING_COPY, /* a clone, or a copy: an engine may write to what it is given, which is then nobody else's */
    BRING_LINK, /* by another name of its own, where that can be: for who only reads */
};
/* Puts a file at a new name, whose folders are made. */
int layout_bring(const char *from, const char *to, enum bring how, struct err *err);
int layout_folders(const char *path, struct err *err); /* those above it */

/* thumbnail: where a small PNG of it is to be written; NULL: nowhere. */
int picture_look(const struct render *it, const char *path, const char *thumbnail, struct picture *out);

#endif
