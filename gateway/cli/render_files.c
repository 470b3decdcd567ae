#include "gateway/cli/render_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/render_name.h"
#include "proto/messages.h"
#include "proto/pattern.h"

#define FILES_MAX 100000
#define CHUNK ((size_t)1 << 20)

/* ---- the list ---- */

void render_files_free(struct render_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].file);
        free(files->items[i].name);
    }
    free(files->items);
    *files = (struct render_files){0};
}

static int file_add(struct render_files *files, const char *file, const char *name, const char *type, struct err *err)
{
    struct stat info;

    if (stat(file, &info) != 0) {
        return err_set(err, ERR_IO, "%.200s: %s", file, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return err_set(err, ERR_IO, "%.200s: it is no file", file);
    }
    if (files->count == files->room) {
        size_t room = files->room > 0 ? 2 * files->room : 64;
        struct render_file *items = files->count < FILES_MAX ? realloc(files->items, room * sizeof *items) : NULL;
        if (items == NULL) {
            return err_set(err, ERR_LIMIT, "the scene names more than %d files, or there is no memory", FILES_MAX);
        }
        files->items = items;
        files->room = room;
    }
    struct render_file one = {.file = strdup(file), .name = strdup(name), .type = type, .size = (uint64_t)info.st_size};
    files->items[files->count++] = one; /* freed with the list, half made too */
    files->bytes += one.size;
    return one.file != NULL && one.name != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int bad_name(const char *file, struct err *err)
{
    return err_set(err, ERR_INVALID, "%.200s: a farm takes no such name (1024 bytes at most, UTF-8)", file);
}

/* The files that a pattern stands for, each by its own name. */
static int pattern_add(struct render_files *files, const char *file, const char *name, const char *type, struct err *err)
{
    const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;
    const struct dirent *entry;
    char one[RENDER_NAME], *path = NULL;
    char *folder = strndup(file, slash != NULL ? (size_t)(slash - file) + 1 : 0);
    DIR *opened = folder != NULL ? opendir(folder[0] != '\0' ? folder : ".") : NULL;
    int rc = opened != NULL ? 0 : err_set(err, ERR_IO, "%.200s: %s", file, strerror(errno));

    while (rc == 0 && (entry = readdir(opened)) != NULL) {
        if (!pattern_fits(base, entry->d_name)) {
            continue;
        }
        if (!render_name_beside(name, entry->d_name, one)) {
            rc = bad_name(entry->d_name, err);
        } else if (asprintf(&path, "%s%s", folder, entry->d_name) < 0) {
            rc = err_set(err, ERR_NO_MEMORY, "out of memory");
        } else {
            rc = file_add(files, path, one, type, err);
            free(path);
        }
    }
    if (opened != NULL) {
        closedir(opened);
    }
    free(folder);
    return rc;
}

static int asset_add(struct render_files *files, const json_t *asset, bool blend, struct err *err)
{
    const char *path = json_string_value(json_object_get(asset, "path")),
               *file = json_string_value(json_object_get(asset, "file"));
    const char *type = json_string_value(json_object_get(asset, "type"));
    char name[RENDER_NAME];

    if (path == NULL || file == NULL || !json_is_true(json_object_get(asset, "exists")) ||
        json_is_true(json_object_get(asset, "packed"))) {
        return 0;
    }
    if (json_is_true(json_object_get(asset, "folder"))) {
        files->folders++;
        return 0;
    }
    if (!render_name_file(files->items[0].name, path, blend, name)) {
        return bad_name(path, err);
    }
    type = type != NULL ? type : "file";
    return json_integer_value(json_object_get(asset, "files")) > 0 ? pattern_add(files, file, name, type, err)
                                                                   : file_add(files, file, name, type, err);
}

int render_files_list(struct render_files *files, const json_t *scene, const char *file, const char *unionid, struct err *err)
{
    const char *format = json_string_value(json_object_get(scene, "format"));
    bool blend = format != NULL && strcmp(format, "blender") == 0;
    char name[RENDER_NAME];
    const json_t *asset;
    size_t index;

    *files = (struct render_files){0};
    if (!render_name_scene(unionid, file, name)) {
        return bad_name(file, err);
    }
    int rc = file_add(files, file, name, "scene", err);
    json_array_foreach(json_object_get(scene, "assets"), index, asset)
    {
        rc = rc == 0 ? asset_add(files, asset, blend, err) : rc;
    }
    return rc;
}

/* ---- MD5 ---- */

struct hashing {
    EVP_MD_CTX *ctx;
    char *chunk; /* CHUNK bytes */
    uint64_t read;
    void (*told)(void *arg, uint64_t bytes);
    void *arg;
    const volatile sig_atomic_t *stop;
};

static int file_hash(struct hashing *hashing, struct render_file *file, struct err *err)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    ssize_t got = 1;
    int fd = open(file->file, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || EVP_DigestInit_ex(hashing->ctx, EVP_md5(), NULL) != 1) {
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, ERR_IO, "%.200s: %s", file->file, strerror(errno));
    }
    file->size = 0; /* of what is read: it may have grown */
    while (got > 0 && *hashing->stop == 0) {
        got = read(fd, hashing->chunk, CHUNK);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got > 0 && EVP_DigestUpdate(hashing->ctx, hashing->chunk, (size_t)got) != 1) {
            errno = ENOMEM;
            got = -1;
        } else if (got > 0) {
            file->size += (uint64_t)got;
            hashing->read += (uint64_t)got;
            hashing->told(hashing->arg, hashing->read);
        }
    }
    int cause = errno;
    close(fd);
    if (got != 0 || EVP_DigestFinal_ex(hashing->ctx, md5, NULL) != 1) {
        return err_set(err, ERR_IO, "%.200s: %s", file->file, got < 0 ? strerror(cause) : "it was stopped while it was read");
    }
    sodium_bin2hex(file->md5, sizeof file->md5, md5, 16);
    return 0;
}

int render_files_hash(struct render_files *files, void (*told)(void *arg, uint64_t bytes), void *arg,
                      const volatile sig_atomic_t *stop, struct err *err)
{
    struct hashing hashing = {.ctx = EVP_MD_CTX_new(), .chunk = malloc(CHUNK), .told = told, .arg = arg, .stop = stop};
    int rc = hashing.ctx != NULL && hashing.chunk != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");

    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        rc = file_hash(&hashing, &files->items[i], err);
    }
    files->bytes = rc == 0 ? hashing.read : files->bytes; /* some may have changed since they were listed */
    EVP_MD_CTX_free(hashing.ctx);
    free(hashing.chunk);
    return rc;
}
