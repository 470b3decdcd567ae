#include "proto/place.h"

#include <ctype.h>
#include <string.h>

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static size_t step_len(const char *path)
{
    size_t len = 0;
    while (path[len] && !is_slash(path[len]))
        len++;
    return len;
}

bool place_below(const char *path, char *out, size_t size)
{
    size_t used = 0;
    bool drive = isalpha((unsigned char)path[0]) && path[1] == ':';
    for (bool first = true; *path; first = false) {
        size_t len = step_len(path), keep = first && drive ? 1 : len;
        bool nothing = len == 0 || (len == 1 && path[0] == '.');
        if (len == 2 && path[0] == '.' && path[1] == '.')
            return false;
        if (!nothing) {
            if (used + (used > 0) + keep + 1 > size)
                return false;
            if (used)
                out[used++] = '/';
            memcpy(out + used, path, keep);
            used += keep;
        }
        if (first && drive && len > 2) { /* C:textures */
            path += 2;
            continue;
        }
        path += len + (path[len] != '\0');
    }
    if (used == 0)
        return false;
    out[used] = '\0';
    return true;
}

/* ---- beside a scene ---- */

static bool has_drive(struct str path)
{
    return path.len > 1 && isalpha((unsigned char)path.ptr[0]) && path.ptr[1] == ':';
}

struct str place_drive(struct str path)
{
    for (uint32_t i = 1; i + 3 < path.len; i++)
        if (path.ptr[i - 1] == '/' && has_drive((struct str){path.ptr + i, path.len - i}) && path.ptr[i + 2] == '/')
            return (struct str){path.ptr + i, path.len - i};
    return (struct str){0};
}

static bool is_beside(struct str path)
{
    return path.len > 1 && path.ptr[0] == '/' && path.ptr[1] == '/';
}

bool place_relative(struct str path, bool blender)
{
    if (!path.len || has_drive(path))
        return false;
    if (blender && is_beside(path))
        return !place_drive(path).len;
    return !is_slash(path.ptr[0]);
}

static bool text_of(struct str text, char out[PLACE_MAX])
{
    if (text.len >= PLACE_MAX || (text.len && memchr(text.ptr, '\0', text.len)))
        return false;
    if (text.len)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* The folder of a scene's name, into out; its length. */
static size_t folder_of(struct str scene, char out[PLACE_MAX])
{
    static const char stored[] = "assets/";
    char text[PLACE_MAX];
    if (scene.len >= sizeof stored - 1 && memcmp(scene.ptr, stored, sizeof stored - 1) == 0)
        return 0;
    if (!text_of(scene, text) || !place_below(text, out, PLACE_MAX))
        return 0;
    const char *slash = strrchr(out, '/');
    return slash ? (size_t)(slash - out) : 0;
}

/* Goes these steps from out, which has used bytes. */
static bool steps_go(const char *path, char *out, size_t used, size_t size)
{
    while (*path) {
        size_t len = step_len(path);
        if (len == 2 && path[0] == '.' && path[1] == '.') {
            if (!used)
                return false;
            while (used && out[used - 1] != '/')
                used--;
            used -= used > 0;
        } else if (len && !(len == 1 && path[0] == '.')) {
            if (used + (used > 0) + len + 1 > size)
                return false;
            if (used)
                out[used++] = '/';
            memcpy(out + used, path, len);
            used += len;
        }
        path += len + (path[len] != '\0');
    }
    if (!used)
        return false;
    out[used] = '\0';
    return true;
}

bool place_beside(struct str path, struct str scene, bool blender, char *out, size_t size)
{
    char text[PLACE_MAX], folder[PLACE_MAX];
    struct str drive = blender && is_beside(path) ? place_drive(path) : (struct str){0};
    if (!text_of(drive.len ? drive : path, text))
        return false;
    if (!place_relative(path, blender))
        return place_below(text, out, size);
    size_t used = folder_of(scene, folder);
    if (used >= size)
        return false;
    memcpy(out, folder, used);
    return steps_go(text, out, used, size);
}
