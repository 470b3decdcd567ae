#include "worker/scene/locate.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "proto/pattern.h"
#include "proto/place.h"

#define ABOVE 16 /* folders above the scene's in which a project is looked for */

int locate_root(struct locate *locate, const char *folder, struct err *err)
{
    if (locate->count == LOCATE_ROOTS)
        return err_set(err, ERR_INVALID, "there are %d roots at most", LOCATE_ROOTS);
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "the root %.150s cannot be opened: %s", folder, strerror(errno));
    locate->roots[locate->count] = folder;
    locate->fds[locate->count++] = fd;
    return 0;
}

void locate_close(struct locate *locate)
{
    for (unsigned i = 0; i < locate->count; i++)
        close(locate->fds[i]);
    locate->count = 0;
}

/* ---- names ---- */

/* Slashes as here, no two together but at the beginning, no ./ at the beginning. False: it is too long, or holds a NUL. */
static bool plain(struct str path, char out[PATH_MAX])
{
    size_t len = 0;
    if (path.len >= PATH_MAX || memchr(path.ptr, '\0', path.len))
        return false;
    for (uint32_t i = 0; i < path.len; i++) {
        char c = path.ptr[i] == '\\' ? '/' : path.ptr[i];
        if (c == '/' && len > 1 && out[len - 1] == '/')
            continue;
        out[len++] = c;
    }
    out[len] = '\0';
    if (len > 2 && out[0] == '.' && out[1] == '/')
        memmove(out, out + 2, len - 1);
    return true;
}

static bool has_drive(const char *path)
{
    return isalpha((unsigned char)path[0]) && path[1] == ':';
}

static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    const char *between = *folder && folder[strlen(folder) - 1] != '/' ? "/" : "";
    return snprintf(out, PATH_MAX, "%s%s%s", folder, between, name) < PATH_MAX;
}

/* ---- one name ---- */

/* Opens what is below a root, or anywhere if there are none. -1 with errno. */
static int open_at(const struct locate *locate, unsigned root, const char *name, int flags)
{
    int all = flags | (flags & O_PATH ? 0 : O_NOCTTY); /* the call refuses what O_PATH has no use for */
    if (locate->count == 0)
        return open(name, all | O_CLOEXEC);
    return open_beneath(locate->fds[root], *name ? name : ".", all, true);
}

/* An absolute name as one below this root; NULL: it belongs to another. A drive's letter is a folder of the root. */
static const char *below(const struct locate *locate, unsigned root, const char *path, char out[PATH_MAX])
{
    size_t len = strlen(locate->roots[root]);
    if (has_drive(path))
        return snprintf(out, PATH_MAX, "%c/%s", path[0], path + 2 + strspn(path + 2, "/")) < PATH_MAX ? out : NULL;
    if (strncmp(path, locate->roots[root], len) == 0 && (path[len] == '/' || path[len] == '\0'))
        path += len;
    return path + strspn(path, "/");
}

static void where(const struct locate *locate, struct scene *scene, struct scene_asset *asset, unsigned root, const char *name)
{
    char path[PATH_MAX];
    if (locate->count == 0)
        asset->file = scene_utf8(scene, name, strlen(name));
    else if (join(path, locate->roots[root], name))
        asset->file = scene_utf8(scene, path, strlen(path));
}

static void missing(struct scene_asset *asset, int cause)
{
    const char *reason = cause == EXDEV || cause == ELOOP    ? "outside_the_roots"
                         : cause == EACCES || cause == EPERM ? "not_readable"
                                                             : "file_not_found";
    if (!asset->reason || strcmp(reason, "file_not_found") != 0)
        asset->reason = reason;
}

static bool pattern_find(struct locate *locate, struct scene_asset *asset, unsigned root, const char *name)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash ? slash - name : 0), name);
    if (pattern_is(folder)) {
        asset->reason = "pattern_in_folder";
        return false;
    }
    const struct pattern_folder files = {.fd = open_at(locate, root,
                                                       *folder ? folder
                                                       : slash ? "/"
                                                               : ".",
                                                       O_RDONLY | O_DIRECTORY),
                                         .root = locate->count ? locate->fds[root] : -1,
                                         .name = *folder ? folder : "."};
    if (files.fd < 0) {
        missing(asset, errno);
        return false;
    }
    asset->files = pattern_count(&files, base, LOCATE_ENTRIES, UINT32_MAX, &asset->size);
    asset->exists = asset->files > 0;
    if (!asset->exists)
        missing(asset, ENOENT);
    return asset->exists;
}

/* Looks at one place where it may be. */
static bool look(struct locate *locate, struct scene *scene, struct scene_asset *asset, unsigned root, const char *name)
{
    struct stat stat;
    const char *slash = strrchr(name, '/');
    if (pattern_is(slash ? slash + 1 : name)) {
        if (!pattern_find(locate, asset, root, name))
            return false;
        where(locate, scene, asset, root, name);
        return true;
    }
    int fd = open_at(locate, root, name, O_PATH);
    if (fd < 0 || fstat(fd, &stat) < 0) {
        missing(asset, errno);
        if (fd >= 0)
            close(fd);
        return false;
    }
    close(fd);
    asset->exists = true;
    asset->folder = S_ISDIR(stat.st_mode);
    asset->size = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
    where(locate, scene, asset, root, name);
    return true;
}

/* ---- where it may be ---- */

static bool look_absolute(struct locate *locate, struct scene *scene, struct scene_asset *asset, const char *path)
{
    char out[PATH_MAX];
    if (locate->count == 0)
        return look(locate, scene, asset, 0, path);
    for (unsigned i = 0; i < locate->count; i++) {
        const char *name = below(locate, i, path, out);
        if (name && look(locate, scene, asset, i, name))
            return true;
    }
    return false;
}

static bool look_beside(struct locate *locate, struct scene *scene, struct scene_asset *asset, const char *folder,
                        const char *name)
{
    char path[PATH_MAX];
    return join(path, folder, name) && look(locate, scene, asset, locate->root, path);
}

static bool is_there(struct locate *locate, const char *folder, const char *name)
{
    char path[PATH_MAX];
    int fd = join(path, folder, name) ? open_at(locate, locate->root, path, O_PATH) : -1;
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The folder of Maya's project: the nearest above the scene's with a workspace.mel. False: there is none. */
static bool maya_project(struct locate *locate, char folder[PATH_MAX])
{
    snprintf(folder, PATH_MAX, "%s", locate->folder);
    for (unsigned i = 0; i < ABOVE; i++) {
        if (is_there(locate, folder, "workspace.mel"))
            return true;
        char *slash = strrchr(folder, '/');
        if (*folder == '\0' || (slash == folder && folder[1] == '\0'))
            return false;
        folder[slash ? (size_t)(slash - folder) + (slash == folder) : 0] = '\0';
    }
    return false;
}

/* Below the project, where Maya looks first, then beside the scene. "//sourceimages/x", and "D:/old//sourceimages/x" of a project that
 * has moved, are below the project as well. */
static bool look_maya(struct locate *locate, struct scene *scene, struct scene_asset *asset, const char *path)
{
    char project[PATH_MAX];
    bool has = maya_project(locate, project);
    const char *again = asset->path.len > 2 ? memmem(asset->path.ptr + 2, asset->path.len - 2, "//", 2) : NULL;
    if (path[0] == '/' && path[1] == '/')
        return (has && look_beside(locate, scene, asset, project, path + 2)) || look_absolute(locate, scene, asset, path);
    if (path[0] == '/' || has_drive(path)) {
        char tail[PATH_MAX];
        if (look_absolute(locate, scene, asset, path))
            return true;
        return has && again &&
               str_copy(tail, sizeof(tail), (struct str){again + 2, asset->path.len - (uint32_t)(again + 2 - asset->path.ptr)}) &&
               look_beside(locate, scene, asset, project, tail);
    }
    return (has && look_beside(locate, scene, asset, project, path)) || look_beside(locate, scene, asset, locate->folder, path);
}

/* Beside the scene, as Blender itself looks for it; or what it was on Windows. */
static bool look_blender(struct locate *locate, struct scene *scene, struct scene_asset *asset, const char *path)
{
    struct str drive = place_drive(str_of(path));
    return look_beside(locate, scene, asset, locate->folder, path + 2) ||
           (drive.len && look_absolute(locate, scene, asset, drive.ptr));
}

/* /Game/A/B is Content/A/B.uasset of the project that the map belongs to. */
static bool look_unreal(struct locate *locate, struct scene *scene, struct scene_asset *asset, const char *path)
{
    static const char *const ends[] = {".uasset", ".umap"};
    static const char game[] = "/Game/", content[] = "Content/";
    char name[PATH_MAX];
    const char *at = strstr(locate->name, content);
    if (strncmp(path, game, sizeof(game) - 1) != 0 || !at) {
        asset->reason = "not_looked_up"; /* of a plug-in: where that is mounted the map does not say */
        return false;
    }
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (snprintf(name, sizeof(name), "%.*s%s%s%s", (int)(at - locate->name), locate->name, content, path + sizeof(game) - 1,
                     ends[i]) < (int)sizeof(name) &&
            look(locate, scene, asset, locate->root, name))
            return true;
    return false;
}

static void asset_locate(struct locate *locate, struct scene *scene, struct scene_asset *asset)
{
    char path[PATH_MAX];
    bool found;
    if (asset->packed) {
        asset->exists = true;
        return;
    }
    if (!plain(asset->path, path)) {
        asset->reason = "bad_name";
        return;
    }
    if (scene->format == SCENE_MAYA_ASCII || scene->format == SCENE_MAYA_BINARY)
        found = look_maya(locate, scene, asset, path);
    else if (scene->format == SCENE_UMAP)
        found = look_unreal(locate, scene, asset, path);
    else if (path[0] == '/' && path[1] == '/')
        found = look_blender(locate, scene, asset, path);
    else if (path[0] == '/' || has_drive(path))
        found = look_absolute(locate, scene, asset, path);
    else
        found = look_beside(locate, scene, asset, locate->folder, path);
    if (found)
        asset->reason = NULL;
    else if (strchr(path, '$') || path[0] == '%' || path[0] == '~')
        asset->reason = "unknown_variable";
}

void locate_assets(struct locate *locate, struct scene *scene)
{
    for (uint32_t i = 0; i < scene->count; i++)
        asset_locate(locate, scene, &scene->assets[i]);
}

/* ---- the scene itself ---- */

static int opened(struct locate *locate, unsigned root, const char *name, int fd, struct err *err)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
        close(fd);
        return err_set(err, ERR_INVALID, "it is no file");
    }
    locate->root = root;
    snprintf(locate->name, sizeof(locate->name), "%s", name);
    const char *slash = strrchr(name, '/');
    snprintf(locate->folder, sizeof(locate->folder), "%.*s", (int)(slash ? slash - name + (slash == name) : 0), name);
    return fd;
}

int locate_open(struct locate *locate, const char *given, struct err *err)
{
    char path[PATH_MAX], out[PATH_MAX], here[PATH_MAX];
    int worst = ENOENT, flags = O_RDONLY | O_NONBLOCK;
    if (!plain(str_of(given), path) || *path == '\0')
        return err_set(err, ERR_INVALID, "its name is too long, or empty");
    /* Whole, so that the folders above it can be told: a project's is one of them. */
    if (locate->count == 0 && given[0] != '/' && getcwd(here, sizeof(here)) && join(out, here, given))
        given = out;
    for (unsigned i = 0; i < (locate->count ? locate->count : 1); i++) {
        const char *name = locate->count ? below(locate, i, path, out) : given;
        int fd = name ? open_at(locate, i, name, flags) : -1;
        if (fd >= 0)
            return opened(locate, i, name, fd, err);
        worst = name && errno != ENOENT ? errno : worst;
    }
    if (worst == EXDEV || worst == ELOOP)
        return err_set(err, ERR_FORBIDDEN, "it is outside the folders of scenes");
    return err_set(err, worst == ENOENT || worst == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, "%s", strerror(worst));
}
