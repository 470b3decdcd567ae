#include "worker/video/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/messages.h"
#include "worker/video/words.h"

#define JOURNAL_MAX ((size_t)32768)
#define WORDS_MAX 16

/* ---- names and folders ---- */

/* path and suffix, with as much of the file's name as a name with that suffix has room for. */
static int name_beside(const char *path, const char *suffix, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    struct str kept = str_cut(str_of(base), NAME_MAX - strlen(suffix));
    return snprintf(out, PATH_MAX, "%.*s%.*s%s", (int)(base - path), path, (int)kept.len, kept.ptr, suffix) < PATH_MAX ? 0 : -1;
}

static bool is_free(const char *path)
{
    struct stat info;
    return lstat(path, &info) < 0 && errno == ENOENT;
}

int replace_bak(const char *source, uint64_t run, char out[PATH_MAX])
{
    char suffix[32];
    if (name_beside(source, ".bak", out) < 0)
        return -1;
    if (is_free(out))
        return 0;
    snprintf(suffix, sizeof(suffix), ".%" PRIu64 ".bak", run);
    return name_beside(source, suffix, out) == 0 && is_free(out) ? 0 : -1;
}

static int folder_flush(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Never over something else. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    struct stat info;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (lstat(to, &info) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return lstat(a, &one) == 0 && lstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool stands(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static bool is_inode(const char *path, uint64_t inode)
{
    struct stat info;
    return lstat(path, &info) == 0 && (uint64_t)info.st_ino == inode;
}

/* ---- the journal: a file of `name=value` texts, each ended by a NUL ---- */

static void put(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=%s", name, value ? value : "");
    buf_add(out, "", 1);
}

static void put_number(struct buf *out, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    put(out, name, text);
}

static int file_write(const char *path, const struct buf *content)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof(beside), "%s.new", path) >= PATH_MAX)
        return -1;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool well = fd >= 0 && write(fd, content->data, content->len) == (ssize_t)content->len && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return well && rename(beside, path) == 0 && folder_flush(path) == 0 ? 0 : -1;
}

static int journal_write(const struct replacement *it, const char *path, struct err *err)
{
    struct buf text = {.limit = JOURNAL_MAX};
    struct stat made = {0}, original = {0};
    if (it->temporary && lstat(it->temporary, &made) < 0)
        return err_set(err, ERR_IO, "what was made is not there: %s", strerror(errno));
    if (lstat(it->source, &original) < 0)
        return err_set(err, ERR_IO, "the source is gone: %s", strerror(errno));
    put(&text, "source", it->source);
    put(&text, "bak", it->bak);
    put(&text, "temporary", it->temporary);
    put(&text, "final", it->final);
    put_number(&text, "made", made.st_ino);
    put_number(&text, "original", original.st_ino);
    put_number(&text, "until", it->until_ms);
    int rc = text.failed || file_write(path, &text) < 0
                 ? err_set(err, ERR_IO, "the journal cannot be written: %s", strerror(errno))
                 : 0;
    buf_free(&text);
    return rc;
}

/* words: NULL-terminated, in the bytes, which are the caller's to free. NULL: it cannot be read. */
static char *journal_read(const char *path, char *words[WORDS_MAX + 1])
{
    char *bytes = malloc(JOURNAL_MAX + 1);
    int fd = bytes ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    ssize_t len = fd >= 0 ? read(fd, bytes, JOURNAL_MAX) : -1;
    unsigned count = 0;
    if (fd >= 0)
        close(fd);
    if (len <= 0 || bytes[len - 1] != '\0') {
        free(bytes);
        return NULL;
    }
    for (char *at = bytes; at < bytes + len && count < WORDS_MAX; at += strlen(at) + 1)
        words[count++] = at;
    words[count] = NULL;
    return bytes;
}

/* What was under way is done: from here on it is a .bak that is kept, or nothing. */
static void journal_over(const char *path, const char *kept, const char *name, bool has_bak)
{
    char to[PATH_MAX];
    if (has_bak && snprintf(to, sizeof(to), "%s/%s", kept, name) < PATH_MAX && rename(path, to) == 0)
        return;
    unlink(path);
}

/* ---- there ---- */

static int source_check(const struct replacement *it, struct err *err)
{
    struct stat info;
    if (lstat(it->source, &info) < 0)
        return err_set(err, ERR_NOT_FOUND, "the source is gone: %s", strerror(errno));
    uint64_t mtime = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    if (!S_ISREG(info.st_mode) || (it->size && ((uint64_t)info.st_size != it->size || mtime != it->mtime_ns)))
        return err_set(err, ERR_CONFLICT, "the source has changed meanwhile; it is left as it is");
    return 0;
}

static bool no_links(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

/* The source gets its second name. linked: it still has its first. */
static int bak_make(const struct replacement *it, bool *linked, struct err *err)
{
    *linked = it->links && link(it->source, it->bak) == 0;
    if (*linked || ((!it->links || no_links(errno)) && rename_new(it->source, it->bak) == 0))
        return folder_flush(it->bak) == 0 ? 0 : err_set(err, ERR_IO, "its folder cannot be flushed: %s", strerror(errno));
    return err_set(err, ERR_IO, "the original cannot be kept as %.120s: %s", it->bak, strerror(errno));
}

static void bak_unmake(const struct replacement *it, bool linked)
{
    if (linked)
        unlink(it->bak);
    else
        rename_new(it->bak, it->source);
}

static int final_make(const struct replacement *it, bool linked, struct err *err)
{
    bool same = strcmp(it->source, it->final) == 0;
    if ((same && linked ? rename(it->temporary, it->final) : rename_new(it->temporary, it->final)) == 0)
        return 0;
    return err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "what was made cannot be named %.120s: %s", it->final,
                   strerror(errno));
}

static int steps(const struct replacement *it, struct err *err)
{
    bool linked = false, same = strcmp(it->source, it->final) == 0;
    if (stands(it->bak))
        return err_set(err, ERR_CONFLICT, "%.150s has come to be meanwhile", it->bak);
    if (bak_make(it, &linked, err) < 0)
        return -1;
    if (final_make(it, linked, err) < 0) {
        bak_unmake(it, linked);
        return -1;
    }
    folder_flush(it->final);
    if (!same && linked && same_file(it->source, it->bak)) {
        unlink(it->source);
        folder_flush(it->source);
    }
    return 0;
}

int replace_do(const struct replacement *it, struct err *err)
{
    char journal[PATH_MAX];
    if (snprintf(journal, sizeof(journal), "%s/%s", it->journal, it->name) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the journal's name is too long");
    int rc = source_check(it, err);
    if (rc == 0)
        rc = journal_write(it, journal, err);
    if (rc == 0)
        rc = steps(it, err);
    if (rc == 0)
        journal_over(journal, it->kept, it->name, true);
    else {
        unlink(it->temporary);
        unlink(journal);
    }
    return rc;
}

int replace_retire(const struct replacement *it, struct err *err)
{
    char journal[PATH_MAX];
    if (source_check(it, err) < 0)
        return -1;
    if (!it->bak)
        return unlink(it->source) == 0 ? 0 : err_set(err, ERR_IO, "the original cannot be removed: %s", strerror(errno));
    if (snprintf(journal, sizeof(journal), "%s/%s", it->journal, it->name) >= PATH_MAX || journal_write(it, journal, err) < 0)
        return -1;
    if (rename_new(it->source, it->bak) < 0) {
        err_set(err, ERR_IO, "the original cannot be kept as %.120s: %s", it->bak, strerror(errno));
        unlink(journal);
        return -1;
    }
    folder_flush(it->bak);
    journal_over(journal, it->kept, it->name, true);
    return 0;
}

/* ---- after a crash ---- */

/* Whether the new file has the source's place. */
static bool recover_one(const char *path, const char *kept, const char *name)
{
    char *words[WORDS_MAX + 1], *bytes = journal_read(path, words);
    if (!bytes) {
        unlink(path); /* it was not written to its end: nothing was done */
        return false;
    }
    const char *source = words_or(words, "source", ""), *bak = words_or(words, "bak", ""), *final = words_or(words, "final", "");
    const char *temporary = words_or(words, "temporary", "");
    uint64_t made = words_number(words, "made");
    bool done = made ? is_inode(final, made) : !stands(source) && stands(bak);
    if (done) {
        if (strcmp(source, final) != 0 && same_file(source, bak))
            unlink(source);
    } else {
        if (same_file(source, bak))
            unlink(bak);
        else if (!stands(source) && stands(bak))
            rename_new(bak, source);
        if (*temporary)
            unlink(temporary);
    }
    journal_over(path, kept, name, done && stands(bak));
    free(bytes);
    return done;
}

bool replace_mend(const char *journal, const char *kept, const char *name)
{
    char path[PATH_MAX], begun[PATH_MAX], over[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", journal, name) >= PATH_MAX ||
        snprintf(begun, sizeof(begun), "%s/%s.new", journal, name) >= PATH_MAX ||
        snprintf(over, sizeof(over), "%s/%s", kept, name) >= PATH_MAX)
        return false;
    unlink(begun);
    return stands(path) ? recover_one(path, kept, name) : stands(over);
}

void replace_recover(const char *journal, const char *kept)
{
    DIR *dir = opendir(journal);
    struct dirent *entry;
    char path[PATH_MAX];
    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s", journal, entry->d_name) >= PATH_MAX)
            continue;
        if (len > 4 && strcmp(entry->d_name + len - 4, ".new") == 0)
            unlink(path);
        else
            recover_one(path, kept, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

/* The .bak files that are not due yet, as an object's keys, for free; NULL: no memory. A later replacement has the same .bak, after the first was
 * undone: it is kept as long as that one says. */
static json_t *kept_longer(const char *kept, uint64_t now_ms)
{
    DIR *dir = opendir(kept);
    struct dirent *entry;
    char path[PATH_MAX], *words[WORDS_MAX + 1];
    json_t *longer = json_object();
    bool well = longer != NULL;
    while (dir && well && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s", kept, entry->d_name) >= PATH_MAX)
            continue;
        char *bytes = journal_read(path, words);
        if (bytes && words_number(words, "until") > now_ms)
            well = json_object_setn_new_nocheck(longer, words_or(words, "bak", ""), strlen(words_or(words, "bak", "")),
                                                json_true()) == 0;
        free(bytes);
    }
    if (dir)
        closedir(dir);
    if (well)
        return longer;
    json_decref(longer);
    return NULL;
}

unsigned replace_expire(const char *kept, uint64_t now_ms)
{
    json_t *longer = kept_longer(kept, now_ms);
    DIR *dir = longer ? opendir(kept) : NULL;
    struct dirent *entry;
    unsigned removed = 0;
    char path[PATH_MAX], *words[WORDS_MAX + 1];
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s", kept, entry->d_name) >= PATH_MAX)
            continue;
        char *bytes = journal_read(path, words);
        const char *bak = bytes ? words_or(words, "bak", "") : "";
        bool over = !bytes || words_number(words, "until") <= now_ms;
        if (over && *bak && is_inode(bak, words_number(words, "original")) && !json_object_get(longer, bak) && unlink(bak) == 0)
            removed++;
        if (over || (!stands(bak) && errno == ENOENT))
            unlink(path);
        free(bytes);
    }
    if (dir)
        closedir(dir);
    json_decref(longer);
    return removed;
}

/* ---- and back ---- */

static int made_check(const struct undo *undo, struct err *err)
{
    struct stat info;
    if (lstat(undo->dest, &info) < 0)
        return errno == ENOENT ? 0 : err_set(err, ERR_IO, "%.150s: %s", undo->dest, strerror(errno));
    if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size != undo->size_after)
        return err_set(err, ERR_CONFLICT, "%.150s is not what was made any more; it is left as it is", undo->dest);
    return 0;
}

/* Whether the original is there, by its length where that is known: of another file there, what was made is all there is of it. */
static bool is_the_original(const struct undo *undo, const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) &&
           (!undo->size_before || (uint64_t)info.st_size == undo->size_before);
}

/* Whether there is nothing to be done about the original. Where what was made had its very name, only its size tells the two apart. */
static bool is_back(const struct undo *undo, bool same)
{
    if (*undo->bak && stands(undo->bak))
        return false;
    return is_the_original(undo, undo->source) && (!same || (undo->size_before && undo->size_before != undo->size_after));
}

static int source_gone(const struct undo *undo, struct err *err)
{
    if (*undo->bak)
        return err_set(err, ERR_NOT_FOUND, "the original is not there any more (%.150s): it is kept for some days only",
                       undo->bak);
    return err_set(err, ERR_NOT_FOUND, "the original is not there any more, or is another file now (%.150s); what was made stays",
                   undo->source);
}

int replace_undo(const struct undo *undo, struct err *err)
{
    bool same = strcmp(undo->source, undo->dest) == 0, back = is_back(undo, same), made = stands(undo->dest);
    if (back && (same || !made))
        return 1;
    if (made_check(undo, err) < 0)
        return -1;
    if (!back && (!*undo->bak || !stands(undo->bak)))
        return source_gone(undo, err);
    if (!back && !is_the_original(undo, undo->bak)) /* once ours has gone somebody may have put another there */
        return err_set(err, ERR_CONFLICT, "%.150s is not the original; it and what was made are left as they are", undo->bak);
    if (!back && (same ? rename(undo->bak, undo->source) : rename_new(undo->bak, undo->source)) < 0)
        return err_set(err, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "the original cannot be named %.120s again: %s",
                       undo->source, strerror(errno));
    folder_flush(undo->source);
    if (!same && unlink(undo->dest) < 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "%.150s cannot be removed: %s", undo->dest, strerror(errno));
    return 0;
}
