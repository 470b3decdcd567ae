/* Files below the folders of scenes (scene.root), as a worker finds them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/surfaces/render.h"
#include "proto/open_beneath.h"
#include "proto/pattern.h"
#include "proto/place.h"

#define ENTRIES 20000 /* of folders, that are read for a page: others are waiting meanwhile */
#define OPENED 1000   /* files that are looked at for it, as they fit patterns */
#define NAMES_BYTES ((size_t)4 << 20)
#define ROOT_MAX 4096

/* ---- one file ---- */

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

/* The next of the folders of scenes; false: that was the last. */
static bool root_next(const char **roots, char root[ROOT_MAX])
{
    while (**roots) {
        size_t len = strcspn(*roots, ":");
        struct str text = {*roots, (uint32_t)len};
        *roots += len + ((*roots)[len] == ':');
        if (len > 0 && str_copy(root, ROOT_MAX, text))
            return true;
    }
    return false;
}

static bool roots_have(const struct request *request, const char *place, uint64_t *size)
{
    const char *roots = settings_text(request->gateway->settings, SET_SCENE_ROOT);
    char root[ROOT_MAX];

    while (root_next(&roots, root))
        if (file_there(root, place, size))
            return true;
    return false;
}

bool render_below_roots(const struct request *request, struct str path, uint64_t *size)
{
    char place[PLACE_MAX];

    return place_beside(path, (struct str){NULL, 0}, false, place, sizeof place) && roots_have(request, place, size);
}

/* ---- one of those that a pattern stands for ---- */

void render_names_page(struct render_names *names)
{
    names->entries = ENTRIES;
    names->opened = OPENED;
    names->read = names->read && names->whole; /* what was cut is read anew, and further */
}

void render_names_free(struct render_names *names)
{
    buf_free(&names->names);
}

static void root_read(struct render_names *names, const char *root)
{
    int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : open_beneath(at, names->folder, O_RDONLY | O_DIRECTORY, true);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (at >= 0)
        close(at);
    if (!folder && fd >= 0)
        close(fd);
    for (const struct dirent *entry; folder && names->whole && (entry = readdir(folder));) {
        names->whole = names->entries > 0 && buf_add(&names->names, entry->d_name, strlen(entry->d_name) + 1) == 0;
        names->entries -= names->whole;
    }
    if (folder)
        closedir(folder);
}

/* The names of each of the folders of scenes, an empty one behind each. */
static void names_read(const struct request *request, struct render_names *names)
{
    const char *roots = settings_text(request->gateway->settings, SET_SCENE_ROOT);
    char root[ROOT_MAX];

    names->names.limit = NAMES_BYTES;
    buf_reset(&names->names);
    names->read = names->whole = true;
    while (names->whole && root_next(&roots, root)) {
        root_read(names, root);
        names->whole = names->whole && buf_add(&names->names, "", 1) == 0;
    }
}

/* The next of the names that fits, which is a file. */
static bool next_there(struct render_names *names, const char *root, const char **at, const char *pattern, uint64_t *size)
{
    const char *end = names->names.data + names->names.len;
    size_t plain = strcspn(pattern, "<#%"); /* nearly all differ before the first mark, which is seen at once */
    char path[PLACE_MAX + NAME_MAX];

    for (; *at < end && **at; *at += strlen(*at) + 1) {
        if (strncmp(*at, pattern, plain) != 0 || !pattern_fits(pattern, *at))
            continue;
        snprintf(path, sizeof path, "%s/%s", names->folder, *at);
        if (names->opened == 0 || file_there(root, path, size))
            return true;
        names->opened--;
    }
    *at += *at < end;
    return false;
}

static bool some_there(const struct request *request, struct render_names *names, const char *place, uint64_t *size)
{
    const char *roots = settings_text(request->gateway->settings, SET_SCENE_ROOT);
    const char *slash = strrchr(place, '/');
    struct str folder = slash ? (struct str){place, (uint32_t)(slash - place)} : STR_LIT(".");
    char root[ROOT_MAX];

    if (!names->read || !str_is(folder, names->folder)) {
        if (!str_copy(names->folder, sizeof names->folder, folder))
            return false;
        names_read(request, names);
    }
    for (const char *at = names->names.data; at && root_next(&roots, root);)
        if (next_there(names, root, &at, slash ? slash + 1 : place, size))
            return true;
    return !names->whole;
}

bool render_needed_below_roots(const struct request *request, struct render_names *names, const char *place, uint64_t *size)
{
    const char *slash = strrchr(place, '/');

    if (roots_have(request, place, size)) /* a file may be called like a pattern */
        return true;
    return pattern_is(slash ? slash + 1 : place) && some_there(request, names, place, size);
}
