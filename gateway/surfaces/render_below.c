/* Files below the folders of scenes (scene.root), as a worker finds them. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/render.h"
#include "proto/open_beneath.h"
#include "proto/pattern.h"
#include "proto/place.h"

#define ENTRIES 5000 /* of a folder, that are held against a pattern: others are waiting meanwhile */

typedef bool there_fn(const char *root, const char *place, uint64_t *size);

static bool file_there(const char *root, const char *place, uint64_t *size)
{
    int fd = beneath_open(root, str_of(place));
    struct stat file;

    if (fd < 0)
        return false;
    bool there = fstat(fd, &file) == 0;
    *size = there ? (uint64_t)file.st_size : 0;
    close(fd);
    return there;
}

/* One of those that the pattern stands for. */
static bool some_there(const char *root, const char *place, uint64_t *size)
{
    const char *slash = strrchr(place, '/');
    char folder[PLACE_MAX];

    if (!str_copy(folder, sizeof folder, slash ? (struct str){place, (uint32_t)(slash - place)} : STR_LIT(".")))
        return false;
    int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : open_beneath(at, folder, O_RDONLY | O_DIRECTORY, true);
    if (at >= 0)
        close(at);
    return fd >= 0 && pattern_count(fd, slash ? slash + 1 : place, ENTRIES, 1, size) > 0;
}

static bool roots_have(const struct request *request, const char *place, there_fn *there, uint64_t *size)
{
    const char *roots = settings_text(request->gateway->settings, SET_SCENE_ROOT);
    char root[4096];

    while (*roots) {
        size_t len = strcspn(roots, ":");
        if (len > 0 && str_copy(root, sizeof root, (struct str){roots, (uint32_t)len}) && there(root, place, size))
            return true;
        roots += len + (roots[len] == ':');
    }
    return false;
}

bool render_below_roots(const struct request *request, struct str path, uint64_t *size)
{
    char place[PLACE_MAX];

    return place_beside(path, (struct str){NULL, 0}, false, place, sizeof place) && roots_have(request, place, file_there, size);
}

bool render_needed_below_roots(const struct request *request, const char *place, uint64_t *size)
{
    const char *slash = strrchr(place, '/');

    return roots_have(request, place, pattern_is(slash ? slash + 1 : place) ? some_there : file_there, size);
}
