/* A scene as JSON, in the words of the render API. */
#ifndef GANTRY_WORKER_SCENE_REPORT_H
#define GANTRY_WORKER_SCENE_REPORT_H

#include "proto/buf.h"
#include "worker/scene/scene.h"

struct report {
    const char *path;      /* of the scene, as it was asked for */
    const struct err *err; /* why it could not be read whole; NULL: it could */
    const char *read_at;   /* ISO time; NULL: it is left out */
};

/* Appends one object without a newline, of at most limit bytes: assets that do not fit are left out, and counted (assets_left_out).
 * -1: no memory, or not even the rest fits. */
int report_write(const struct scene *scene, const struct report *report, size_t limit, struct buf *out);

#endif
