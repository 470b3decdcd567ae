#include "worker/render/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/messages.h"
#include "worker/job.h"
#include "worker/video/remote_ask.h"
#include "worker/video/words.h"

#define FILE_BYTES_MAX ((uint64_t)1 << 42)
#define LIST_BYTES_MAX ((uint64_t)64 << 20)
#define PATIENCE_MS 3600000u /* while nothing moves */
#define WAIT_MS 200          /* before the first repeat; doubles */
#define WAIT_MAX_MS 10000
#define CACHE_ENTRIES 200000
#define PART_SECONDS 86400 /* after which what was not fetched whole goes */
#define GIB ((uint64_t)1 << 30)

bool fetch_can(const struct render *it)
{
    return *words_or(it->words, "gateway", "") != '\0';
}

static void on_progress(void *self, uint64_t done, uint64_t total)
{
    uint64_t *told = self;
    (void)total;
    if (done >> 26 == *told)
        return;
    *told = done >> 26;
    dprintf(JOB_FD_PROGRAM, "note=fetching files, %" PRIu64 " MiB of this one\n", done >> 20);
}

/* GET path into fd, again and again where it may go better later. The gateway of this machine is asked once. */
static int get(const struct render *it, const char *path, int fd, uint64_t most, struct err *err)
{
    char url[4600], range[64];
    uint64_t told = 0, moved = 0, patience = fetch_can(it) ? PATIENCE_MS : 0, until = clock_mono_ms() + patience;
    int wait_ms = WAIT_MS;
    struct remote remote = {.gateway = words_or(it->words, fetch_can(it) ? "gateway" : "near", ""),
                            .key_file = words_or(it->words, "gateway_key", ""),
                            .ca_file = words_or(it->words, "gateway_ca", ""),
                            .progress = on_progress,
                            .self = &told};
    struct exchange exchange = {.remote = &remote, .fd = fd, .end = most, .total = most};
    size_t len = strlen(remote.gateway);
    while (len && remote.gateway[len - 1] == '/')
        len--;
    if (snprintf(url, sizeof(url), "%.*s/render/api/%s", (int)len, remote.gateway, path) >= (int)sizeof(url))
        return err_set(err, ERR_INVALID, "worker.gateway is too long");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_NO_MEMORY, "libcurl cannot be started");
    enum remote_verdict verdict;
    for (;;) {
        snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-", exchange.at);
        verdict = remote_ask(&exchange, REMOTE_FILE, url, exchange.at ? range : NULL, err);
        if (exchange.at > moved) {
            moved = exchange.at;
            until = clock_mono_ms() + patience;
            wait_ms = WAIT_MS;
        }
        if (verdict != REMOTE_AGAIN || clock_mono_ms() >= until)
            break;
        poll(NULL, 0, wait_ms);
        wait_ms = wait_ms * 2 < WAIT_MAX_MS ? wait_ms * 2 : WAIT_MAX_MS;
    }
    buf_free(&exchange.answer);
    return verdict == REMOTE_WELL ? 0 : -1;
}

/* ---- files ---- */

static int md5_check(int fd, const char *expected, struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE], bytes[65536];
    char hex[33];
    unsigned len = 0;
    ssize_t got = 0;
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    bool well = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1 && lseek(fd, 0, SEEK_SET) == 0;
    while (well && (got = read(fd, bytes, sizeof(bytes))) > 0)
        well = EVP_DigestUpdate(md5, bytes, (size_t)got) == 1;
    well = well && got == 0 && EVP_DigestFinal_ex(md5, digest, &len) == 1 && len == 16;
    EVP_MD_CTX_free(md5);
    if (!well)
        return err_set(err, ERR_IO, "what was fetched cannot be read again: %s", strerror(errno));
    sodium_bin2hex(hex, sizeof(hex), digest, len);
    return strcmp(hex, expected) == 0 ? 0
                                      : err_set(err, ERR_INVALID, "what the gateway sent for %s has the MD5 %s", expected, hex);
}

/* Fetches it under the name fresh. */
static int fetch_to(const struct render *it, const char *md5, const char *fresh, struct err *err)
{
    char path[64];
    snprintf(path, sizeof(path), "files/blob/%s", md5);
    int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, ERR_IO, "%.150s cannot be made: %s", fresh, strerror(errno));
    int rc = get(it, path, fd, FILE_BYTES_MAX, err) < 0 ? -1 : md5_check(fd, md5, err);
    close(fd);
    if (rc < 0)
        unlink(fresh);
    return rc;
}

bool fetch_keeps(const struct render *it, const char *word, const char *name, char kept[PATH_MAX])
{
    const char *folder = words_or(it->words, word, "");
    return *folder && snprintf(kept, PATH_MAX, "%s/%s", folder, name) < PATH_MAX &&
           (mkdir(folder, 0700) == 0 || errno == EEXIST) && access(folder, W_OK | X_OK) == 0;
}

int fetch_blob(const struct render *it, const char *md5, const char *path, struct err *err)
{
    const char *cache = words_or(it->words, "cache", "");
    char kept[PATH_MAX], fresh[PATH_MAX];
    if (!fetch_keeps(it, "cache", md5, kept))
        return fetch_to(it, md5, path, err);
    if (utimensat(AT_FDCWD, kept, NULL, 0) == 0 && layout_bring(kept, path, BRING_COPY, err) == 0)
        return 0; /* else another frame's trim was faster, or it is no file of ours */
    if (snprintf(fresh, sizeof(fresh), "%s/.%s.%" PRIu64, cache, md5, it->run) >= PATH_MAX || fetch_to(it, md5, fresh, err) < 0)
        return -1;
    if (layout_bring(fresh, path, BRING_COPY, err) < 0) {
        unlink(fresh);
        return -1;
    }
    if (rename(fresh, kept) < 0)
        unlink(fresh);
    fetch_trim(cache, words_number(it->words, "cache_gb") * GIB);
    return 0;
}

/* ---- the folder that keeps them ---- */

struct entry {
    char name[64];
    uint64_t bytes, used;
};

static int by_use(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    return one->used < other->used ? -1 : one->used > other->used;
}

static size_t entries_read(DIR *dir, struct entry *entries, size_t most, uint64_t *bytes)
{
    size_t count = 0;
    struct stat info;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    for (struct dirent *at; count < most && (at = readdir(dir));) {
        if (strlen(at->d_name) >= sizeof(entries->name) || fstatat(dirfd(dir), at->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        if (at->d_name[0] == '.' && info.st_mtim.tv_sec > now - PART_SECONDS)
            continue; /* somebody fetches it */
        struct entry *entry = &entries[count++];
        snprintf(entry->name, sizeof(entry->name), "%s", at->d_name);
        entry->bytes = (uint64_t)info.st_blocks * 512;
        entry->used = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
        *bytes += entry->bytes;
    }
    return count;
}

void fetch_trim(const char *folder, uint64_t bytes)
{
    uint64_t held = 0;
    DIR *dir = opendir(folder);
    struct entry *entries = dir ? malloc(CACHE_ENTRIES * sizeof(*entries)) : NULL;
    size_t count = entries ? entries_read(dir, entries, CACHE_ENTRIES, &held) : 0;
    if (count)
        qsort(entries, count, sizeof(*entries), by_use);
    for (size_t i = 0; i < count && held > bytes; i++)
        if (unlinkat(dirfd(dir), entries[i].name, 0) == 0)
            held -= entries[i].bytes;
    free(entries);
    if (dir)
        closedir(dir);
}

/* ---- which files ---- */

json_t *fetch_files(const struct render *it, struct err *err)
{
    char path[PATH_MAX], what[64];
    json_error_t why;
    json_t *files = NULL;
    snprintf(path, sizeof(path), "%s/files.json", it->work);
    snprintf(what, sizeof(what), "tasks/%" PRIu64 "/assets", render_number(it, "render_task"));
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_set(err, ERR_IO, "%.150s cannot be made: %s", path, strerror(errno));
        return NULL;
    }
    if (get(it, what, fd, LIST_BYTES_MAX, err) == 0 && lseek(fd, 0, SEEK_SET) == 0) {
        json_t *answer = json_loadfd(fd, 0, &why);
        files = json_incref(json_object_get(json_object_get(answer, "data"), "assets"));
        json_decref(answer);
        if (!json_is_array(files)) {
            err_set(err, ERR_INVALID, "the gateway's list of files is none");
            json_decref(files);
            files = NULL;
        }
    }
    close(fd);
    return files;
}
