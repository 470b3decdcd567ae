/* A transcode on a worker that has not got the library: the source is fetched from the farm's gateway, and the result is sent there.
 *
 * The source has no name here: it is an open file, and goes with the process that has it, however that ends. The result is made where
 * transcodes are made (transcode.tmp, or the run's own folder), and all of it but a last part is sent while the run may still be stopped. It
 * is published as any output then (rule 6): once that is granted the last part follows, and the gateway gives it its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/job.h"
#include "worker/publish.h"
#include "worker/video/probe.h"
#include "worker/video/remote.h"
#include "worker/video/transcode.h"
#include "worker/video/words.h"

struct telling {
    const char *what;
    unsigned told; /* percent */
};

static void on_progress(void *self, uint64_t done, uint64_t total)
{
    struct telling *telling = self;
    unsigned percent = total ? (unsigned)((double)done / (double)total * 100) : 0;
    if (percent == telling->told)
        return;
    telling->told = percent;
    dprintf(JOB_FD_PROGRAM, "note=%s %u%%\n", telling->what, percent);
}

static struct remote *remote_of(const struct transcode *it, const char *what)
{
    static struct remote remote;
    static struct telling telling;
    const char *dot = strrchr(it->final, '.');
    telling = (struct telling){.what = what, .told = 101};
    remote.gateway = words_or(it->words, "gateway", "");
    remote.key_file = words_or(it->words, "gateway_key", "");
    remote.ca_file = words_or(it->words, "gateway_ca", "");
    remote.task = it->run;
    remote.attempt = it->attempt;
    remote.extension = dot ? dot + 1 : "";
    remote.progress = on_progress;
    remote.self = &telling;
    return &remote;
}

const char *transcode_workshop(const struct transcode *it)
{
    return words_or(it->words, "tmp", words_or(it->words, "work", "/nonexistent"));
}

bool transcode_is_remote(const struct transcode *it)
{
    const char *folder = transcode_workshop(it), *slash = strrchr(it->final, '/');
    size_t len = strlen(folder);
    return slash && (size_t)(slash - it->final) == len && strncmp(it->final, folder, len) == 0;
}

/* A file without a name; where the file system has none such, one whose name goes at once. */
static int scratch_open(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (snprintf(path, sizeof(path), "%s/" PUBLISH_PREFIX "XXXXXX", folder) < PATH_MAX && (fd = mkostemp(path, O_CLOEXEC)) >= 0) {
        unlink(path);
        return fd;
    }
    return err_set(err, ERR_IO, "the source cannot be brought to %.150s: %s", folder, strerror(errno));
}

static int room_check(const struct transcode *it, const char *folder)
{
    struct statvfs info;
    if (statvfs(folder, &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize < it->size + it->size / 4)
        return err_set(it->err, ERR_IO, "the disk is full: %.120s has %" PRIu64 " MiB left", folder,
                       (uint64_t)info.f_bavail * info.f_frsize >> 20);
    return 0;
}

int transcode_fetch(struct transcode *it)
{
    const char *folder = transcode_workshop(it);
    if (!it->size)
        return err_set(it->err, ERR_INVALID, "the farm does not say how large the source is");
    if (room_check(it, folder) < 0)
        return -1;
    int fd = scratch_open(folder, it->err);
    if (fd < 0)
        return -1;
    printf("the library is not here: its video comes from %s\n", words_or(it->words, "gateway", ""));
    fflush(stdout);
    if (remote_fetch(remote_of(it, "fetching"), fd, it->size, it->err) < 0) {
        close(fd);
        return -1;
    }
    snprintf(it->source, sizeof(it->source), "/proc/%d/fd/%d", (int)getpid(),
             fd); /* for ffmpeg; open as long as this process lives */
    it->remote = true;
    it->replace = false;
    return 0;
}

/* The farm's hash of it stands for size and samples of the content, as the probe's does. */
int transcode_fetched(struct transcode *it, const struct probe *source)
{
    const char *hash = words_or(it->words, "hash", "");
    char hex[2 * PUBLISH_HASH + 1];
    if (!it->remote || !*hash || !source->hashed)
        return 0;
    publish_hex(source->hash, hex);
    return strcmp(hex, hash) == 0
               ? 0
               : err_set(it->err, ERR_CONFLICT, "what came from the gateway is not the video that was looked at");
}

int transcode_still(struct transcode *it)
{
    return it->remote ? remote_same(remote_of(it, ""), it->err) : transcode_source(it);
}

int transcode_stands(struct transcode *it, uint64_t *size)
{
    const char *published = words_or(it->words, "published", ""), *dash = strchr(published, '-');
    bool stands = false;
    if (!dash)
        return 0;
    *size = strtoull(published, NULL, 10);
    if (remote_stands(remote_of(it, ""), *size, dash + 1, &stands, it->err) < 0)
        return -1;
    return stands ? 1 : 0;
}

static int result_open(const struct transcode *it, uint64_t *size)
{
    struct stat info;
    int fd = open(it->temporary, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        *size = (uint64_t)info.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return err_set(it->err, ERR_IO, "what was made cannot be opened");
}

int transcode_send(struct transcode *it)
{
    uint64_t size = 0;
    int fd = result_open(it, &size), rc = fd < 0 ? -1 : remote_send(remote_of(it, "sending"), fd, size, it->err);
    if (fd >= 0)
        close(fd);
    return rc;
}

int transcode_name_remote(struct transcode *it)
{
    struct publish_file file;
    char hex[2 * PUBLISH_HASH + 1];
    uint64_t size = 0;
    if (publish_verify(it->temporary, &file, it->err) < 0)
        return -1;
    int fd = result_open(it, &size);
    if (fd < 0)
        return -1;
    publish_hex(file.hash, hex);
    int rc = remote_finish(remote_of(it, ""), fd, size, hex, it->err);
    close(fd);
    if (rc == 0)
        unlink(it->temporary);
    return rc;
}
