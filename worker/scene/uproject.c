#include <jansson.h>
#include <stdlib.h>

#include "proto/messages.h"
#include "worker/scene/unreal.h"

static void texts_add(struct scene *scene, const json_t *list, enum asset_kind kind)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (json_is_string(one))
            scene_asset_add(scene, kind, scene_text(scene, json_string_value(one), json_string_length(one)), (struct str){"", 0},
                            false);
    }
}

static void plugins_add(struct scene *scene, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *name = json_object_get(one, "Name");
        if (json_is_string(name) && json_is_true(json_object_get(one, "Enabled")))
            scene_pair_add(scene, &scene->plugins, json_string_value(name), json_string_length(name), "", 0);
    }
}

static void project_look(struct scene *scene, const json_t *project)
{
    const json_t *engine = json_object_get(project, "EngineAssociation");
    scene->renderer = str_of("unreal");
    if (json_is_string(engine))
        scene->version = scene_text(scene, json_string_value(engine), json_string_length(engine));
    plugins_add(scene, json_object_get(project, "Plugins"));
    texts_add(scene, json_object_get(project, "AdditionalPluginDirectories"), ASSET_REFERENCE);
    texts_add(scene, json_object_get(project, "AdditionalRootDirectories"), ASSET_REFERENCE);
    scene_note(scene, "a project's maps and sequences say what is rendered, and how: they were not read");
}

int uproject_read(struct source *source, struct scene *scene, struct err *err)
{
    char *text = malloc(UPROJECT_BYTES);
    size_t have = 0, len;
    const char *data;
    json_error_t why;
    int rc;
    scene->format = SCENE_UPROJECT;
    scene->compression = source_compression(source);
    if (!text)
        return err_set(err, ERR_NO_MEMORY, "no memory to read a project");
    while ((rc = source_next(source, &data, &len, err)) > 0) {
        if (len > UPROJECT_BYTES - have) {
            free(text);
            return err_set(err, ERR_INVALID, "a project file has %zu bytes at most", UPROJECT_BYTES);
        }
        memcpy(text + have, data, len);
        have += len;
    }
    bool mark = have >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    json_t *project = rc == 0 ? json_loadb(text + (mark ? 3 : 0), have - (mark ? 3 : 0), 0, &why) : NULL;
    free(text);
    if (rc < 0)
        return -1;
    if (json_is_object(project))
        project_look(scene, project);
    else
        rc = err_set(err, ERR_INVALID, "it is no project: %.150s (line %d)", project ? "it is no object" : why.text,
                     project ? 1 : why.line);
    json_decref(project);
    return rc;
}
