#include "worker/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/file.h"
#include "proto/messages.h"

#define READ_CHUNK ((size_t)1 << 20)
#define TAIL_MAX                                                                                                                 \
    100 /* bytes of a final name in a temporary one: so that with any name that a file system holds, that fits, too */

/* ---- names ---- */

bool publish_parent_step(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
            return true;
    return false;
}

/* What of a file's name is in the temporary ones: its end, with what says what kind of file it is. */
static const char *name_tail(const char *base)
{
    size_t len = strlen(base);
    if (len <= TAIL_MAX)
        return base;
    for (base += len - TAIL_MAX; ((unsigned char)*base & 0xC0) == 0x80; base++)
        ; /* not in the middle of a character */
    return base;
}

int publish_beside(const char *final, uint64_t run, uint64_t attempt, char temporary[PUBLISH_PATH])
{
    const char *base = strrchr(final, '/') + 1;
    int len = snprintf(temporary, PUBLISH_PATH, "%.*s" PUBLISH_PREFIX "%" PRIu64 "-%" PRIu64 ".%s", (int)(base - final), final,
                       run, attempt, name_tail(base));
    return len < 0 || len >= PUBLISH_PATH ? -1 : 0;
}

int publish_names(struct str output, struct str cwd, uint64_t run, uint64_t attempt, char final[PUBLISH_PATH],
                  char temporary[PUBLISH_PATH], struct err *err)
{
    bool absolute = output.len && output.ptr[0] == '/';
    if (memchr(output.ptr, '\0', output.len) || (cwd.len && memchr(cwd.ptr, '\0', cwd.len)))
        return err_set(err, ERR_INVALID, "the output's name holds a NUL");
    if (!absolute && cwd.len == 0)
        return err_set(err, ERR_INVALID, "output is a relative name, and the task has no cwd it could be below");
    int len = absolute ? snprintf(final, PUBLISH_PATH, "%.*s", (int)output.len, output.ptr)
                       : snprintf(final, PUBLISH_PATH, "%.*s/%.*s", (int)cwd.len, cwd.ptr, (int)output.len, output.ptr);
    if (len < 0 || len >= PUBLISH_PATH)
        return err_set(err, ERR_INVALID, "the output's name is longer than %d bytes", PUBLISH_PATH - 1);
    if (!absolute && publish_parent_step(final + cwd.len))
        return err_set(err, ERR_INVALID, "output leaves the working folder: %.150s", final);
    const char *base = strrchr(final, '/') + 1;
    if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return err_set(err, ERR_INVALID, "output names no file: %.150s", final);
    if (publish_beside(final, run, attempt, temporary) < 0)
        return err_set(err, ERR_INVALID, "the output's path is too long for a temporary name beside it: %.100s", base);
    return 0;
}

void publish_hex(const unsigned char hash[PUBLISH_HASH], char out[2 * PUBLISH_HASH + 1])
{
    for (size_t i = 0; i < PUBLISH_HASH; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

bool publish_unhex(const char *text, unsigned char hash[PUBLISH_HASH])
{
    size_t digits_due = (size_t)2 * PUBLISH_HASH;
    if (strlen(text) != digits_due || strspn(text, "0123456789abcdef") != digits_due)
        return false;
    for (size_t i = 0; i < PUBLISH_HASH; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        hash[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return true;
}

/* The folder of an absolute path, opened. */
static int folder_open(const char *path)
{
    char folder[PUBLISH_PATH];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- content ---- */

static int file_hash(int fd, struct publish_file *out)
{
    XXH3_state_t *state = XXH3_createState();
    char *chunk = malloc(READ_CHUNK);
    int rc = -1;
    if (!state || !chunk || XXH3_128bits_reset(state) != XXH_OK) {
        errno = ENOMEM;
        goto error;
    }
    out->size = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            goto error;
        if (got == 0)
            break;
        XXH3_128bits_update(state, chunk, (size_t)got);
        out->size += (uint64_t)got;
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(out->hash, canonical.digest, PUBLISH_HASH);
    rc = 0;
error:
    free(chunk);
    XXH3_freeState(state);
    return rc;
}

int publish_verify(const char *path, struct publish_file *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "the run ended well but did not write its output (%.150s)", path);
    struct stat info;
    int rc = -1;
    if (fd < 0)
        err_set(err, ERR_IO, "the output cannot be opened: %s", strerror(errno));
    else if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        err_set(err, ERR_INVALID, "the output is not a regular file: %.150s", path);
    else if (fsync(fd) < 0 || file_hash(fd, out) < 0)
        err_set(err, ERR_IO, "the output cannot be flushed and read: %s", strerror(errno));
    else
        rc = 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool file_is(const char *path, const struct publish_file *known)
{
    struct stat info;
    struct publish_file found;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == known->size &&
           publish_verify(path, &found, NULL) == 0 && found.size == known->size &&
           memcmp(found.hash, known->hash, PUBLISH_HASH) == 0;
}

/* ---- the steps ---- */

/* Whether a file name is `.gantry-<run>-<earlier attempt>.<base>`, or ends in the end of a long base. */
static bool name_is_earlier(const char *name, const char *base, uint64_t run, uint64_t attempt)
{
    uint64_t its_run, its_attempt;
    int used = 0;
    return sscanf(name, PUBLISH_PREFIX "%" SCNu64 "-%" SCNu64 ".%n", &its_run, &its_attempt, &used) == 2 && used > 0 &&
           its_run == run && its_attempt < attempt &&
           (strcmp(name + used, base) == 0 || strcmp(name + used, name_tail(base)) == 0);
}

/* What is to be adopted is named by whoever worked on the run before. A name that an attempt of it would not have made may be any file's,
 * which that worker had moved here in its place. */
static bool is_earlier(const char *temporary, const char *final, uint64_t run, uint64_t attempt)
{
    size_t folder = (size_t)(strrchr(final, '/') + 1 - final);
    return strncmp(temporary, final, folder) == 0 && !strchr(temporary + folder, '/') &&
           name_is_earlier(temporary + folder, final + folder, run, attempt);
}

/* Removes `.gantry-<run>-<earlier attempt>.<base>`, except keep. What cannot be removed is left: it hinders nobody. */
static void remove_leftovers(const char *final, uint64_t run, uint64_t attempt, const char *keep)
{
    int fd = folder_open(final);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const char *kept = keep ? strrchr(keep, '/') : NULL, *base = strrchr(final, '/') + 1;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (name_is_earlier(entry->d_name, base, run, attempt) && !(kept && strcmp(entry->d_name, kept + 1) == 0))
            unlinkat(fd, entry->d_name, 0);
    }
    closedir(dir);
}

int publish_check(const char *final, uint64_t run, uint64_t attempt, const struct publish_file *known, const char *temporary,
                  enum publish_state *state, struct err *err)
{
    struct stat info;
    *state = PUBLISH_FREE;
    if (lstat(final, &info) == 0) {
        if (!known || !file_is(final, known))
            return err_set(err, ERR_CONFLICT, "output %.150s is there already, and is not this run's", final);
        *state = PUBLISH_STANDS;
    } else if (errno != ENOENT)
        return err_set(err, ERR_IO, "output %.150s cannot be looked at: %s", final, strerror(errno));
    else if (known && temporary && is_earlier(temporary, final, run, attempt) && file_is(temporary, known))
        *state = PUBLISH_ADOPT;
    remove_leftovers(final, run, attempt, *state == PUBLISH_ADOPT ? temporary : NULL);
    int fd = folder_open(final);
    if (fd < 0)
        return err_set(err, ERR_IO, "the output's folder cannot be opened (%.120s): %s", final, strerror(errno));
    close(fd);
    return 0;
}

static int folder_flush(const char *path, struct err *err)
{
    int fd = folder_open(path), rc = fd < 0 ? -1 : fsync(fd);
    if (rc < 0)
        err_set(err, ERR_IO,
                "the output has its name, but whether that is on disk is not known (its folder cannot be flushed: %s)",
                strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

int publish_name(const char *temporary, const char *final, struct err *err)
{
    if (file_name_new(AT_FDCWD, temporary, final) < 0) {
        int saved = errno;
        unlink(temporary);
        if (saved == EEXIST)
            return err_set(err, ERR_CONFLICT, "output %.150s has come to be meanwhile, and is not this run's", final);
        return err_set(err, ERR_IO, "the output cannot be given its name %.120s: %s", final, strerror(saved));
    }
    return folder_flush(final, err);
}

int publish_supplant(const char *temporary, const char *final, const struct stat *standing, struct err *err)
{
    if (file_supplant(AT_FDCWD, temporary, final, standing) == 0)
        return folder_flush(final, err);
    int saved = errno;
    unlink(temporary);
    return err_set(err, saved == EEXIST ? ERR_CONFLICT : ERR_IO, "the output cannot be given its name %.120s: %s", final,
                   strerror(saved));
}

/* ---- the process ---- */

static int main_check(int argc, char **argv, struct err *err)
{
    static const char *const words[] = {[PUBLISH_FREE] = "free", [PUBLISH_STANDS] = "stands", [PUBLISH_ADOPT] = "adopt"};
    struct publish_file known = {0};
    enum publish_state state;
    bool knows = argc == 6;
    if (knows) {
        known.size = strtoull(argv[4], NULL, 10);
        if (!publish_unhex(argv[5], known.hash))
            return err_set(err, ERR_BAD_REQUEST, "not a hash: %.60s", argv[5]);
    }
    if (publish_check(argv[0], strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), knows ? &known : NULL,
                      knows ? argv[3] : NULL, &state, err) < 0)
        return -1;
    printf("%s\n", words[state]);
    return 0;
}

static int main_verify(const char *path, struct err *err)
{
    struct publish_file file;
    char hex[2 * PUBLISH_HASH + 1];
    if (publish_verify(path, &file, err) < 0)
        return -1;
    publish_hex(file.hash, hex);
    printf("verified %" PRIu64 " %s\n", file.size, hex);
    return 0;
}

int publish_main(int argc, char **argv)
{
    struct err err = {0};
    int rc = -1;
    if ((argc == 4 || argc == 7) && strcmp(argv[0], "check") == 0)
        rc = main_check(argc - 1, argv + 1, &err);
    else if (argc == 2 && strcmp(argv[0], "verify") == 0)
        rc = main_verify(argv[1], &err);
    else if (argc == 3 && strcmp(argv[0], "name") == 0) {
        rc = publish_name(argv[1], argv[2], &err);
        if (rc == 0)
            puts("named");
    } else
        err_set(&err, ERR_BAD_REQUEST, "unknown step");
    if (rc < 0)
        printf("error %s\n", err.text);
    return fflush(stdout) == 0 && rc == 0 ? 0 : 1;
}
