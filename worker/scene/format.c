#include "worker/scene/format.h"

#include <strings.h>

#include "proto/messages.h"
#include "worker/scene/blend.h"
#include "worker/scene/maya_ascii.h"
#include "worker/scene/maya_binary.h"
#include "worker/scene/unreal.h"

typedef int reader(struct source *source, struct scene *scene, struct err *err);

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcasecmp(name + len - tail, end) == 0;
}

static bool begins(const char *data, size_t len, const char *with, size_t with_len)
{
    return len >= with_len && memcmp(data, with, with_len) == 0;
}

static reader *reader_of(const char *data, size_t len, const char *name)
{
    if (begins(data, len, "BLENDER", 7))
        return blend_read;
    if (begins(data, len, "FOR4", 4) || begins(data, len, "FOR8", 4))
        return maya_binary_read;
    if (begins(data, len, "\xc1\x83\x2a\x9e", 4))
        return umap_read;
    if (begins(data, len, "//Maya", 6) || ends_in(name, ".ma") || ends_in(name, ".ma.gz"))
        return maya_ascii_read;
    return ends_in(name, ".uproject") ? uproject_read : NULL;
}

int format_read(struct source *source, const char *name, struct scene *scene, struct err *err)
{
    const char *data;
    size_t len;
    int rc = source_next(source, &data, &len, err);
    if (rc < 0)
        return -1;
    scene->compression = source_compression(source);
    if (rc == 0)
        return err_set(err, ERR_INVALID, "it is empty");
    reader *read = reader_of(data, len, name);
    source_back(source, len);
    if (!read)
        return err_set(err, ERR_INVALID, "it is none of the scenes that can be read: .blend, .ma, .mb, .uproject, .umap");
    return read(source, scene, err);
}

int scene_read(int fd, const char *name, struct scene *scene, struct err *err)
{
    struct source *source = source_new(fd, err);
    struct err later = {0};
    if (!source)
        return -1;
    int rc = format_read(source, name, scene, err);
    if (source_end(source, scene->md5, &scene->size, &later) < 0 && rc == 0)
        rc = err_set(err, later.code, "%s", later.text);
    source_free(source);
    if (rc == 0 && scene->starved)
        rc = err_set(err, ERR_NO_MEMORY, "no memory for what is in it");
    return rc;
}
