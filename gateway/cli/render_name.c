#include "gateway/cli/render_name.h"

#include <stdio.h>
#include <string.h>

#include "proto/place.h"

#define STEP 255    /* bytes of one name */
#define UNIONID 200 /* of them, of who it belongs to */

/* Whether the farm takes it. */
static bool is_whole(const char *name)
{
    size_t step = 0;

    for (const char *at = name; *at != '\0'; at++) {
        step = *at == '/' ? 0 : step + 1;
        if ((unsigned char)*at < ' ' || *at == 0x7f || step > STEP) {
            return false;
        }
    }
    return *name != '\0' && str_utf8(str_of(name)) && strncmp(name, "assets/", 7) != 0; /* that names files by their MD5 */
}

/* Adds `/name` behind the first len bytes. */
static bool name_add(char out[RENDER_NAME], size_t len, const char *name)
{
    int more = snprintf(out + len, RENDER_NAME - len, "%s%s", len > 0 ? "/" : "", name);

    return more >= 0 && (size_t)more < RENDER_NAME - len && is_whole(out);
}

bool render_name_scene(const char *unionid, const char *file, char out[RENDER_NAME])
{
    struct str owner = str_cut(str_of(unionid), UNIONID);
    size_t len = (size_t)snprintf(out, RENDER_NAME, "projects/%.*s", (int)owner.len, owner.ptr), begin = strlen("projects/");
    char place[PLACE_MAX];

    for (size_t i = begin; i < len; i++) {
        bool plain = out[i] != '/' && out[i] != '\\' && (unsigned char)out[i] >= ' ' && out[i] != 0x7f;
        out[i] = (char)(plain && !(i == begin && out[i] == '.') ? out[i] : '_');
    }
    return place_below(file, place, sizeof place) && name_add(out, len, place);
}

bool render_name_file(const char *scene, const char *path, bool blend, char out[RENDER_NAME])
{
    return place_beside(str_of(path), str_of(scene), blend, out, RENDER_NAME) && is_whole(out);
}

bool render_name_beside(const char *name, const char *file, char out[RENDER_NAME])
{
    const char *slash = strrchr(name, '/');
    size_t len = slash != NULL ? (size_t)(slash - name) : 0;

    memcpy(out, name, len);
    return name_add(out, len, file);
}
