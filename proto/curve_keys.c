#include "proto/curve_keys.h"

#include <czmq.h>
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "proto/ident.h"
#include "proto/messages.h"

#define SUFFIX ".key"
#define SETTLED_NS 1000000000 /* a change is seen for certain when the folder's time is older than this */

struct curve_keys {
    char folder[PATH_MAX];
    char (*keys)[CURVE_KEY + 1]; /* sorted */
    size_t count, size;
    struct timespec read; /* the folder's time when it was read */
    bool known;           /* read is set, and no change of that moment can have been missed */
    uint64_t looked_ms;
};

bool curve_key_valid(const char *key)
{
    uint8_t bytes[32];
    return strlen(key) == CURVE_KEY && zmq_z85_decode(bytes, key) != NULL;
}

bool curve_name_valid(const char *name)
{
    return ident_valid(str_of(name)) && name[0] != '.' && strchr(name, ':') == NULL;
}

/* The public key of a certificate's file; false when it holds none. */
static bool cert_key(const char *path, char key[CURVE_KEY + 1])
{
    zcert_t *cert = zcert_load(path);
    bool whole = cert != NULL && strlen(zcert_public_txt(cert)) == CURVE_KEY;

    if (whole) {
        memcpy(key, zcert_public_txt(cert), CURVE_KEY + 1);
    }
    zcert_destroy(&cert);
    return whole;
}

static int is_key(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > sizeof SUFFIX - 1 && strcmp(entry->d_name + len - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static bool path_of(char out[PATH_MAX], const char *folder, const char *file, const char *suffix)
{
    int len = snprintf(out, PATH_MAX, "%s/%s%s", folder, file, suffix);
    return len > 0 && len < PATH_MAX;
}

int curve_keys_each(const char *folder, void (*fn)(void *arg, const char *name, const char *key), void *arg, struct err *err)
{
    struct dirent **entries = NULL;
    char path[PATH_MAX], key[CURVE_KEY + 1];
    int count = scandir(folder, &entries, is_key, alphasort);

    if (count < 0) {
        return errno == ENOENT ? 0 : err_set(err, ERR_IO, "%s: cannot be read: %s", folder, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        bool whole = path_of(path, folder, entries[i]->d_name, "") && cert_key(path, key);
        entries[i]->d_name[strlen(entries[i]->d_name) - (sizeof SUFFIX - 1)] = '\0';
        fn(arg, entries[i]->d_name, whole ? key : "");
        free(entries[i]);
    }
    free(entries);
    return 0;
}

/* ---- the list ---- */

struct curve_keys *curve_keys_new(const char *folder)
{
    struct curve_keys *keys = calloc(1, sizeof *keys);

    if (keys != NULL && !str_copy(keys->folder, sizeof keys->folder, str_of(folder))) {
        free(keys);
        return NULL;
    }
    return keys;
}

void curve_keys_free(struct curve_keys *keys)
{
    if (keys != NULL) {
        free(keys->keys);
        free(keys);
    }
}

/* Out of memory leaves a key out: it is not let in until the list is read again. */
static void take(void *arg, const char *name, const char *key)
{
    struct curve_keys *keys = arg;

    (void)name;
    if (key[0] == '\0') {
        keys->known = false; /* it may be half-written: the folder's time will not tell when it is whole */
        return;
    }
    if (keys->count == keys->size) {
        size_t size = keys->size > 0 ? keys->size * 2 : 64;
        void *grown = realloc(keys->keys, size * sizeof *keys->keys);
        if (grown == NULL) {
            keys->known = false;
            return;
        }
        keys->keys = grown;
        keys->size = size;
    }
    memcpy(keys->keys[keys->count++], key, CURVE_KEY + 1);
}

static int key_order(const void *left, const void *right)
{
    return memcmp(left, right, CURVE_KEY);
}

bool curve_keys_refresh(struct curve_keys *keys, uint64_t mono_ms)
{
    if (keys->looked_ms != 0 && mono_ms - keys->looked_ms < CURVE_KEYS_MS) {
        return false;
    }
    keys->looked_ms = mono_ms;
    return curve_keys_look(keys);
}

bool curve_keys_look(struct curve_keys *keys)
{
    struct stat info;
    struct timespec now;

    bool there = stat(keys->folder, &info) == 0;
    if (!there) {
        info.st_mtim = (struct timespec){0};
    }
    if (keys->known && keys->read.tv_sec == info.st_mtim.tv_sec && keys->read.tv_nsec == info.st_mtim.tv_nsec) {
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (int64_t)(now.tv_sec - info.st_mtim.tv_sec) * 1000000000 + (now.tv_nsec - info.st_mtim.tv_nsec);
    keys->read = info.st_mtim;
    keys->known = age > SETTLED_NS;
    keys->count = 0;
    if (there && curve_keys_each(keys->folder, take, keys, NULL) != 0) {
        keys->known = false;
    }
    if (keys->count > 0) {
        qsort(keys->keys, keys->count, sizeof *keys->keys, key_order);
    }
    return true;
}

bool curve_keys_has(const struct curve_keys *keys, struct str key)
{
    return key.len == CURVE_KEY && keys->count > 0 &&
           bsearch(key.ptr, keys->keys, keys->count, sizeof *keys->keys, key_order) != NULL;
}

/* ---- for commands ---- */

int curve_keys_put(const char *folder, const char *name, const char *key, struct err *err)
{
    char path[PATH_MAX], fresh[PATH_MAX], had[CURVE_KEY + 1];
    uint8_t public[32], none[32] = {0};

    if (!path_of(path, folder, name, SUFFIX) || !path_of(fresh, folder, name, ".new")) {
        return err_set(err, ERR_INVALID, "%s: the path is too long", name);
    }
    if (access(path, F_OK) == 0 && cert_key(path, had) && strcmp(had, key) == 0) {
        return 0;
    }
    if (ident_make_dirs(folder, 0700, err) != 0) {
        return -1;
    }
    zcert_t *cert = zmq_z85_decode(public, key) != NULL ? zcert_new_from(public, none) : NULL;
    int rc = cert != NULL ? zcert_save_public(cert, fresh) : -1;
    zcert_destroy(&cert);
    return rc == 0 && rename(fresh, path) == 0 ? 0 : err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

int curve_keys_add(const char *folder, const char *name, const char *key, struct err *err)
{
    char path[PATH_MAX], had[CURVE_KEY + 1];

    if (path_of(path, folder, name, SUFFIX) && access(path, F_OK) == 0 && !(cert_key(path, had) && strcmp(had, key) == 0)) {
        return err_set(err, ERR_CONFLICT, "%s is there already, with another key: revoke it first", name);
    }
    return curve_keys_put(folder, name, key, err);
}

int curve_keys_remove(const char *folder, const char *name, struct err *err)
{
    char path[PATH_MAX];

    if (!path_of(path, folder, name, SUFFIX)) {
        return err_set(err, ERR_INVALID, "%s: the path is too long", name);
    }
    if (unlink(path) == 0) {
        return 0;
    }
    return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no key of the name %s", name)
                           : err_set(err, ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

int curve_keys_make(const char *folder, char key[CURVE_KEY + 1], struct err *err)
{
    char path[PATH_MAX];

    if (!path_of(path, folder, "client", SUFFIX)) {
        return err_set(err, ERR_INVALID, "%s: the path is too long", folder);
    }
    if (ident_make_dirs(folder, 0700, err) != 0) {
        return -1;
    }
    if (access(path, F_OK) == 0) {
        return err_set(err, ERR_CONFLICT, "%s: is there already", path);
    }
    zcert_t *cert = zcert_new();
    int rc = cert != NULL ? zcert_save(cert, path) : -1;
    if (rc == 0) {
        memcpy(key, zcert_public_txt(cert), CURVE_KEY + 1);
    }
    zcert_destroy(&cert);
    return rc == 0 ? 0 : err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}
