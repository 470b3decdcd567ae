/* How an engine is called. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/render/dirmap.h"
#include "worker/render/frame.h"
#include "worker/render/prepare.h"
#include "worker/video/words.h"

/* For prepare.py: what is wished of the scene. */
static int wish_write(const struct render *it, bool kept, const char *path)
{
    static const struct {
        const char *wished, *renderer;
    } renderers[] = {{"cycles", "CYCLES"}, {"eevee", "BLENDER_EEVEE"}, {"workbench", "BLENDER_WORKBENCH"}};
    json_t *wish = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I}", "scene", it->scene, "root", it->root, "allow_missing",
                             render_allows_missing(it), "kept", kept, "frame", (json_int_t)it->frame, "width",
                             (json_int_t)render_number(it, "width"), "height", (json_int_t)render_number(it, "height"));
    for (size_t i = 0; wish && i < sizeof(renderers) / sizeof(renderers[0]); i++)
        if (strcasecmp(render_text(it, "renderer"), renderers[i].wished) == 0)
            json_object_set_new(wish, "renderer", json_string(renderers[i].renderer));
    int rc = wish && json_dump_file(wish, path, 0) == 0 ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be written", path);
    json_decref(wish);
    return rc;
}

static int prepare(const struct render *it, bool kept, char script[PATH_MAX])
{
    char wish[PATH_MAX];
    snprintf(script, PATH_MAX, "%s/prepare.py", it->place);
    snprintf(wish, sizeof(wish), "%s/wish.json", it->place);
    FILE *file = fopen(script, "we");
    bool well = file && fwrite(prepare_py_begin, (size_t)(prepare_py_end - prepare_py_begin), 1, file) == 1;
    if (file)
        well = fclose(file) == 0 && well;
    if (!well)
        return err_set(it->err, ERR_IO, "%.150s cannot be written: %s", script, strerror(errno));
    if (setenv("GANTRY_RENDER", wish, 1) < 0)
        return err_set(it->err, ERR_NO_MEMORY, "no memory for a run");
    return wish_write(it, kept, wish);
}

int call_make(struct render *it, const char *folder, bool kept, char *argv[ENGINE_ARGS + 1])
{
    const char *preset = render_text(it, "preset"), *renderer = render_text(it, "renderer");
    char frame[24], frame4[24], width[24], height[24], project[PATH_MAX] = "", script[PATH_MAX] = "";
    uint64_t wide = render_number(it, "width"), high = render_number(it, "height");
    argv[0] = (char *)it->program;
    argv[1] = NULL;
    if (it->engine->prepares && prepare(it, kept, script) < 0)
        return -1;
    if (it->engine->maps) {
        if (dirmap_write(it) < 0)
            return -1;
        project_find(it, project);
    }
    snprintf(frame, sizeof(frame), "%" PRIu64, it->frame);
    snprintf(frame4, sizeof(frame4), "%04" PRIu64, it->frame);
    snprintf(width, sizeof(width), "%" PRIu64, wide);
    snprintf(height, sizeof(height), "%" PRIu64, high);
    const struct engine_value values[] = {
        {"scene", it->scene},
        {"prepare", script},
        {"folder", folder},
        {"format", it->format},
        {"frame", frame},
        {"frame4", frame4},
        {"width", wide && high ? width : NULL},
        {"height", wide && high ? height : NULL},
        {"renderer", renderer},
        {"no_renderer", *renderer ? NULL : "1"},
        {"threads", words_or(it->words, "threads", "0")[0] != '0' ? words_text(it->words, "threads") : NULL},
        {"project", project},
        {"map", render_text(it, "map")},
        {"sequence", render_text(it, "sequence")},
        {"preset", preset},
        {"no_preset", *preset ? NULL : "1"},
        {NULL, NULL},
    };
    return (kept ? engine_kept_args : engine_args)(it->engine, values, argv + 1, it->err);
}

int call_missing(const struct render *it)
{
    return err_set(it->err, ERR_NOT_FOUND, "engine: there is no %s on this worker (render.%s: %.100s)", it->engine->name,
                   it->engine->name, it->program);
}
