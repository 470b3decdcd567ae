#include "worker/render/dirmap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/messages.h"
#include "proto/place.h"
#include "worker/render/needs.h"

#define MAP_BYTES ((size_t)4 << 20)
#define LINE_BYTES ((size_t)8 * PATH_MAX) /* more than one has: each byte may be two */
#define ABOVE 16 /* folders above the scene's in which a project is looked for, as the readers of scenes have it */

/* ---- the script ---- */

static void put_quoted(struct buf *out, const char *text)
{
    buf_text(out, " \"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_add(out, "\\", 1);
        buf_add(out, text, 1);
    }
    buf_text(out, "\"");
}

static bool is_plain(const char *text)
{
    while (*text && (unsigned char)*text >= ' ' && *text != 127)
        text++;
    return *text == '\0';
}

/* Both are folders, with a slash at their ends. */
static void put_map(struct buf *out, const char *from, const char *to)
{
    if (!is_plain(from) || !is_plain(to))
        return; /* no word of a script */
    buf_text(out, "dirmap -m");
    put_quoted(out, from);
    put_quoted(out, to);
    buf_text(out, ";\n");
}

/* C:/ is the folder C. */
static void drives_map(const struct render *it, struct buf *out)
{
    DIR *dir = opendir(it->root);
    char to[PATH_MAX + 8];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name, from[] = {name[0], ':', '/', '\0'};
        if (!isalpha((unsigned char)name[0]) || name[1])
            continue;
        snprintf(to, sizeof(to), "%s/%s/", it->root, name);
        put_map(out, from, to);
    }
    if (dir)
        closedir(dir);
}

/* The folder of a file that has an absolute name and no drive; what this machine has itself under that name is left to it. */
static void file_map(const struct render *it, const char *path, json_t *seen, struct buf *out)
{
    char from[PATH_MAX], place[PATH_MAX], to[PATH_MAX * 2];
    if (snprintf(from, sizeof(from), "%s", path) >= PATH_MAX)
        return;
    for (char *at = from; *at; at++)
        *at = *at == '\\' ? '/' : *at;
    if (from[0] != '/' || access(from, F_OK) == 0)
        return;
    strrchr(from, '/')[1] = '\0';
    if (json_object_get(seen, from) || !place_below(from, place, sizeof(place)))
        return;
    json_object_set_new(seen, from, json_true()); /* else it is there twice */
    snprintf(to, sizeof(to), "%s/%s/", it->root, place);
    put_map(out, from, to);
}

static void files_map(const struct render *it, const json_t *files, const char *name, struct buf *out)
{
    json_t *seen = json_object();
    size_t count = json_array_size(files), at = 0;
    for (; at < count && at < RENDER_FILES_MAX && out->len < MAP_BYTES - LINE_BYTES; at++) {
        const char *path = json_string_value(json_object_get(json_array_get(files, at), name));
        if (path)
            file_map(it, path, seen, out);
    }
    if (at < count)
        printf("WARNING: the folders of %zu files of the scene are over those that %s is told of\n", count - at,
               it->engine->name);
    json_decref(seen);
}

/* Where the scene is used where it stands its files are not known yet. */
static void scene_map(const struct render *it, struct buf *out)
{
    struct err err = {0};
    json_t *report = it->files ? NULL : needs_read_beside(it, &err);
    if (it->files)
        files_map(it, it->files, "file_path", out);
    else if (report)
        files_map(it, json_object_get(report, "assets"), "path", out);
    else
        printf("WARNING: it is not known which files the scene needs: %s\n", err.text);
    fflush(stdout);
    json_decref(report);
}

static int script_put(const struct render *it, const char *path, const struct buf *script)
{
    if (script->failed)
        return err_set(it->err, script->starved ? ERR_NO_MEMORY : ERR_INVALID, "scene: the list of its folders is too long");
    if (layout_folders(path, it->err) < 0)
        return -1;
    FILE *file = fopen(path, "we");
    bool well = file && fwrite(script->data, script->len, 1, file) == 1;
    if (file)
        well = fclose(file) == 0 && well;
    return well ? 0 : err_set(it->err, ERR_IO, "%.150s cannot be written: %s", path, strerror(errno));
}

int dirmap_write(const struct render *it)
{
    char path[PATH_MAX], folders[PATH_MAX * 2];
    const char *own = getenv("MAYA_SCRIPT_PATH");
    struct buf script = {.limit = MAP_BYTES};
    buf_text(&script, "dirmap -en true;\n");
    drives_map(it, &script);
    scene_map(it, &script);
    snprintf(path, sizeof(path), "%s/maya/userSetup.mel", it->place);
    snprintf(folders, sizeof(folders), "%s/maya%s%.4000s", it->place, own && *own ? ":" : "", own ? own : "");
    int rc = script_put(it, path, &script);
    buf_free(&script);
    if (rc == 0 && setenv("MAYA_SCRIPT_PATH", folders, 1) < 0)
        return err_set(it->err, ERR_NO_MEMORY, "no memory for a run");
    return rc;
}

/* ---- the project ---- */

static bool has_workspace(const char *folder)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/workspace.mel", folder);
    return access(path, R_OK) == 0;
}

void project_find(const struct render *it, char project[PATH_MAX])
{
    const char *named = render_text(it, "project_dir");
    char below[PATH_MAX], above[PATH_MAX];
    size_t root = strlen(it->root);
    if (*named && place_below(named, below, sizeof(below)) && snprintf(project, PATH_MAX, "%s/%s", it->root, below) < PATH_MAX &&
        access(project, X_OK) == 0)
        return;
    snprintf(project, PATH_MAX, "%s", it->beside);
    snprintf(above, sizeof(above), "%s", it->beside);
    for (unsigned i = 0; i < ABOVE && strlen(above) >= root && !has_workspace(above); i++)
        *strrchr(above, '/') = '\0';
    if (strlen(above) >= root && has_workspace(above))
        snprintf(project, PATH_MAX, "%s", above);
}
