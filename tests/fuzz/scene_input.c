#include "tests/fuzz/scene_input.h"

#include <jansson.h>
#include <stdlib.h>

#include "worker/scene/report.h"

#define LIMIT ((size_t)65536)

static void report_check(const struct scene *scene, const struct err *err)
{
    struct report report = {.path = "a", .err = err};
    struct buf out = {0};
    if (report_write(scene, &report, LIMIT, &out) == 0) {
        json_t *row = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
        if (!row || out.len > LIMIT)
            abort();
        json_decref(row);
    }
    buf_free(&out);
}

void scene_input(const uint8_t *data, size_t size, int (*read)(struct source *source, struct scene *scene, struct err *err))
{
    struct scene scene = {0};
    struct err err = {0};
    struct source *source = source_of(data, size, &err);
    if (source && scene_open(&scene, &err) == 0) {
        int rc = read(source, &scene, &err);
        if (rc < 0 && !err.text[0])
            abort(); /* an error without words */
        if (source_end(source, scene.md5, &scene.size, &err) == 0 && scene.size != size)
            abort();
        report_check(&scene, rc < 0 ? &err : NULL);
    }
    scene_close(&scene);
    source_free(source);
}
