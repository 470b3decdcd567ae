#include "gateway/cli/render_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/str.h"

#define STEP 255    /* bytes of one name */
#define UNIONID 200 /* of them, of who it belongs to */

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Appends the steps of a path to out, which holds *len bytes; ".." takes one away, but none of the first `floor` bytes. */
static bool steps_add(char out[RENDER_NAME], size_t *len, size_t floor, const char *path)
{
    while (*path != '\0') {
        size_t step = 0;
        while (path[step] != '\0' && !is_slash(path[step])) {
            step++;
        }
        if (step == 2 && path[0] == '.' && path[1] == '.') {
            while (*len > floor && out[--*len] != '/') {}
        } else if (step > 0 && !(step == 1 && path[0] == '.')) {
            if (step > STEP || *len + (*len > 0) + step >= RENDER_NAME) {
                return false;
            }
            if (*len > 0) {
                out[(*len)++] = '/';
            }
            memcpy(out + *len, path, step);
            *len += step;
        }
        path += step + (path[step] != '\0');
    }
    out[*len] = '\0';
    return true;
}

static bool is_whole(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return false;
        }
    }
    return *name != '\0' && str_utf8(str_of(name)) && strncmp(name, "assets/", 7) != 0; /* that names files by their MD5 */
}

bool render_name_scene(const char *unionid, const char *file, char out[RENDER_NAME])
{
    struct str owner = str_cut(str_of(unionid), UNIONID);
    size_t len = (size_t)snprintf(out, RENDER_NAME, "projects/%.*s", (int)owner.len, owner.ptr);
    size_t begin = strlen("projects/");

    for (size_t i = begin; i < len; i++) {
        bool plain = !is_slash(out[i]) && (unsigned char)out[i] >= ' ' && out[i] != 0x7f;
        out[i] = (char)(plain && !(i == begin && out[i] == '.') ? out[i] : '_');
    }
    return steps_add(out, &len, len, file) && is_whole(out);
}

/* The part of the scene's name that belongs to its owner. */
static size_t owner_len(const char *scene)
{
    const char *first = strchr(scene, '/'), *second = first != NULL ? strchr(first + 1, '/') : NULL;

    return second != NULL ? (size_t)(second - scene) : 0;
}

static size_t folder_len(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? (size_t)(slash - name) : 0;
}

bool render_name_file(const char *scene, const char *path, bool blend, char out[RENDER_NAME])
{
    bool beside = blend && path[0] == '/' && path[1] == '/';
    bool whole = is_slash(path[0]) || (isalpha((unsigned char)path[0]) && path[1] == ':');
    size_t len = 0;

    out[0] = '\0';
    if (!beside && whole) {
        return steps_add(out, &len, 0, path) && is_whole(out);
    }
    len = folder_len(scene);
    memcpy(out, scene, len);
    return steps_add(out, &len, owner_len(scene) < len ? owner_len(scene) : len, path) && is_whole(out);
}

bool render_name_beside(const char *name, const char *file, char out[RENDER_NAME])
{
    size_t len = folder_len(name);

    memcpy(out, name, len);
    return steps_add(out, &len, len, file) && is_whole(out);
}
