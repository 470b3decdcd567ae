/* A scene with its files, as its engine is to find them: laid out in the run's own folder from the farm's store of files, or used where it
 * is below the folders of scenes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "proto/open_beneath.h"
#include "proto/place.h"
#include "worker/render/fetch.h"
#include "worker/render/needs.h"
#include "worker/render/render.h"
#include "worker/video/words.h"

#define CHUNK ((size_t)8 << 20)
#define MD5_HEX 32
#define MISSING_TOLD 100 /* one by one */

int layout_folders(const char *path, struct err *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *at = folder + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        if (mkdir(folder, 0777) < 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "no folder can be made for %.150s: %s", path, strerror(errno));
        *at = '/';
    }
    return 0;
}

static bool copy_bytes(int in, int out)
{
    for (;;) {
        ssize_t got = copy_file_range(in, NULL, out, NULL, CHUNK, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return true;
        if (got < 0)
            break;
    }
    char bytes[65536]; /* between file systems that cannot do that */
    ssize_t got;
    while ((got = read(in, bytes, sizeof(bytes))) > 0)
        for (ssize_t done = 0, put; done < got; done += put)
            if ((put = write(out, bytes + done, (size_t)(got - done))) < 0)
                return false;
    return got == 0;
}

static int copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
    bool well = in >= 0 && (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) >= 0 &&
                (ioctl(out, FICLONE, in) == 0 || copy_bytes(in, out));
    int saved = errno;
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) < 0 && well) {
        saved = errno;
        well = false;
    }
    if (!well && out >= 0)
        unlink(to);
    errno = saved;
    return well ? 0 : -1;
}

int layout_bring(const char *from, const char *to, enum bring how, struct err *err)
{
    if (layout_folders(to, err) < 0)
        return -1;
    if ((how == BRING_LINK && link(from, to) == 0) || (how == BRING_MOVE && rename(from, to) == 0))
        return 0;
    if (copy(from, to) < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%.100s cannot be brought to %.100s: %s", from, to,
                       strerror(errno));
    if (how == BRING_MOVE)
        unlink(from);
    return 0;
}

/* ---- from the store ---- */

static bool is_md5(const char *text)
{
    return strlen(text) == MD5_HEX && strspn(text, "0123456789abcdef") == MD5_HEX;
}

/* Puts a file of the store at a name below the run's root. */
static int blob_lay(const struct render *it, const char *md5, const char *name, enum bring how, char path[PATH_MAX],
                    struct err *err)
{
    char blob[PATH_MAX];
    if (snprintf(blob, sizeof(blob), "%s/assets/%.2s/%s", words_or(it->words, "blobs", "/nonexistent"), md5, md5) >= PATH_MAX ||
        snprintf(path, PATH_MAX, "%s/%s", it->root, name) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the name of a file is too long: %.150s", name);
    if (access(blob, R_OK) == 0)
        return layout_bring(blob, path, how, err);
    if (!fetch_can(it) && !*words_or(it->words, "near", ""))
        return err_set(err, ERR_NOT_FOUND, "the store of files has no %s", md5);
    return layout_folders(path, err) < 0 ? -1 : fetch_blob(it, md5, path, err);
}

struct stored { /* the scene, by what the run calls it */
    const char *md5, *named;
};

/* False: it is one below the folders of scenes. */
static bool is_stored(const struct render *it, struct stored *out)
{
    const char *scene = words_or(it->words, "scene", ""), *md5 = render_text(it, "scene_md5"), *bound = render_text(it, "scene");
    *out = (struct stored){*md5 || strncmp(scene, "assets/", 7) != 0 ? md5 : scene + 7, *bound ? bound : scene};
    return *out->md5 != '\0';
}

/* What the engine takes for a scene by its name, in the folder that its path says. */
static const char *scene_name(const struct render *it, const char *named, char place[PATH_MAX])
{
    bool placed = strncmp(named, "assets/", 7) != 0 && place_below(named, place, PATH_MAX / 2);
    char *slash = placed ? strrchr(place, '/') : NULL, *base = slash ? slash + 1 : place;
    if (placed && strchr(base, '.'))
        return place;
    snprintf(base, PATH_MAX / 2, "scene%s",
             strcmp(it->engine->name, "blender") == 0 ? ".blend"
             : strcmp(it->engine->name, "maya") == 0  ? ".ma"
                                                      : ".uproject");
    return place;
}

/* As the scene calls it. */
static const char *file_name(const json_t *file)
{
    const char *path = json_string_value(json_object_get(file, "file_path"));
    return path ? path : json_string_value(json_object_get(file, "path"));
}

static void file_lay(const struct render *it, const json_t *file, unsigned *missing)
{
    static const char *const paths[] = {"server_path", "file_path", "path"}, *const hashes[] = {"file_hash", "md5", "hash"};
    const char *path = NULL, *hash = NULL, *named = file_name(file);
    char place[PATH_MAX], whole[PATH_MAX];
    struct err err = {0};
    for (size_t i = 0; i < 3; i++) {
        path = path ? path : json_string_value(json_object_get(file, paths[i]));
        hash = hash ? hash : json_string_value(json_object_get(file, hashes[i]));
    }
    bool well = path && hash && is_md5(hash) && place_below(path, place, sizeof(place));
    if (well && blob_lay(it, hash, place, BRING_COPY, whole, &err) == 0)
        return;
    if (well && err.code == ERR_IO && access(whole, R_OK) == 0)
        return; /* it is named twice */
    if ((*missing)++ < MISSING_TOLD)
        printf("WARNING: missing file %s%s%s\n", named ? named : "without a name", err.code ? ": " : "", err.text);
}

/* The scene itself, which a task's list names, too: it stands already, by the name that its engine knows. */
static bool is_scene(const json_t *file, const char *md5)
{
    const char *type = json_string_value(json_object_get(file, "file_type"));
    const char *hash = json_string_value(json_object_get(file, "file_hash"));
    return type && hash && strcmp(type, "scene") == 0 && strcmp(hash, md5) == 0;
}

/* As the gateway lists them. */
static json_t *files_listed(const struct render *it)
{
    struct err err = {0};
    bool can = fetch_can(it) || *words_or(it->words, "near", "");
    json_t *files = can ? fetch_files(it, &err) : NULL;
    if (!files && can && err.code != ERR_NOT_FOUND)
        printf("WARNING: it is not known which files the scene needs: %s\n", err.text);
    return files;
}

/* Those that the scene names, as far as the farm has them for the run's task. What is in none of the farm's tasks may be in a list of the
 * gateway's. */
static json_t *files_named(struct render *it, const struct stored *stored)
{
    struct err err = {0};
    json_t *report = needs_read(it, stored->md5, &err), *files;
    if (!report) {
        printf("WARNING: it is not known which files the scene needs: %s\n", err.text);
        return files_listed(it);
    }
    files = needs_find(it, report, stored->named, &err);
    json_decref(report);
    return files ? files : files_listed(it);
}

/* Before the scene is laid out it is laid beside, where it has to be read. False: it is not in the store. */
static bool read_beside(struct render *it, const struct stored *stored)
{
    char place[PATH_MAX];
    struct err err = {0};
    if (needs_known(it, stored->md5))
        return true;
    snprintf(it->root, sizeof(it->root), "%s/read", it->work);
    if (blob_lay(it, stored->md5, scene_name(it, stored->named, place), BRING_LINK, it->scene, &err) == 0)
        return true;
    it->scene[0] = '\0';
    return false;
}

json_t *layout_files(struct render *it)
{
    struct stored stored;
    bool beside = !it->scene[0];
    if (it->files_asked)
        return it->files;
    it->files = json_incref(json_object_get(it->parameters, "files"));
    bool named = !it->files && render_number(it, "render_task") && is_stored(it, &stored) && is_md5(stored.md5);
    if (named && beside && !read_beside(it, &stored))
        return NULL;
    if (named)
        it->files = files_named(it, &stored);
    if (beside && it->scene[0]) {
        unlink(it->scene);
        it->scene[0] = '\0';
    }
    it->files_asked = true;
    return it->files;
}

static int files_lay(struct render *it, const char *scene_md5)
{
    json_t *files = layout_files(it);
    size_t count = json_array_size(files);
    unsigned missing = 0;
    char first[256] = "";
    for (size_t i = 0; i < count && i < RENDER_FILES_MAX; i++) {
        unsigned before = missing;
        if (!is_scene(json_array_get(files, i), scene_md5))
            file_lay(it, json_array_get(files, i), &missing);
        if (before == 0 && missing)
            snprintf(first, sizeof(first), "%s", file_name(json_array_get(files, i)) ? file_name(json_array_get(files, i)) : "");
    }
    if (count > RENDER_FILES_MAX)
        printf("WARNING: %zu files of the scene are over the %d that are laid out\n", count - RENDER_FILES_MAX, RENDER_FILES_MAX);
    if (missing)
        printf("WARNING: %u of %zu files of the scene are missing\n", missing, count);
    fflush(stdout);
    return !missing || render_allows_missing(it)
               ? 0
               : err_set(it->err, ERR_INVALID, "scene: %u of its files are missing, %.150s for one", missing, first);
}

static int lay_from_store(struct render *it, const char *md5, const char *named)
{
    char place[PATH_MAX];
    struct err err = {0};
    snprintf(it->root, sizeof(it->root), "%s/scene", it->place);
    if (blob_lay(it, md5, scene_name(it, named, place), BRING_COPY, it->scene, &err) < 0)
        return err_set(it->err, err.code, "scene: %.100s: %.130s", named, err.text);
    return files_lay(it, md5);
}

/* ---- below the folders of scenes ---- */

static bool is_below(const char *root, const char *place)
{
    struct stat info;
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = folder < 0 ? -1 : open_beneath(folder, place, O_RDONLY | O_NONBLOCK, true);
    bool well = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (folder >= 0)
        close(folder);
    if (fd >= 0)
        close(fd);
    return well;
}

static int find_below_roots(struct render *it, const char *named)
{
    const char *roots = words_or(it->words, "roots", "");
    char place[PATH_MAX];
    if (!place_below(named, place, sizeof(place)))
        return err_set(it->err, ERR_INVALID, "scene: not a name of a scene: %.150s", named);
    for (size_t len; *roots; roots += len + (roots[len] == ':')) {
        len = strcspn(roots, ":");
        if (len == 0 || snprintf(it->root, sizeof(it->root), "%.*s", (int)len, roots) >= PATH_MAX || !is_below(it->root, place))
            continue;
        if (snprintf(it->scene, sizeof(it->scene), "%s/%s", it->root, place) < PATH_MAX)
            return 0;
    }
    return err_set(it->err, ERR_NOT_FOUND, "scene: %.150s is neither in the store of files nor below the folders of scenes",
                   named);
}

int layout_scene(struct render *it)
{
    const char *named = words_or(it->words, "scene", "");
    struct stored stored;
    bool is = is_stored(it, &stored);
    if (is && !is_md5(stored.md5))
        return err_set(it->err, ERR_INVALID, "scene: not an MD5 in hexadecimal: %.60s", stored.md5);
    if (is && lay_from_store(it, stored.md5, stored.named) == 0)
        return 0;
    bool elsewhere = !is || (it->err->code == ERR_NOT_FOUND && strncmp(named, "assets/", 7) != 0);
    return elsewhere ? find_below_roots(it, named) : -1;
}
