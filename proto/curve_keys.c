#include "proto/curve_keys.h"

#include <czmq.h>
#include <dirent.h>
#include <limits.h>

#include "proto/clock.h"
#include "proto/file.h"
#include "proto/ident.h"
#include "proto/messages.h"
#include "proto/watch.h"

#define SUFFIX ".key"

struct listed {
    char name[NAME_MAX + 1];
    char key[CURVE_KEY + 1];
};

struct listing {
    struct listed *rows; /* sorted by key */
    size_t count, size;
    bool failed; /* no memory for all of them */
};

struct curve_keys {
    char folder[PATH_MAX];
    struct listing listing;
    struct watch watch;
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
    return watch_counts(entry->d_name, SUFFIX);
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
    if (keys != NULL) {
        keys->watch = (struct watch){.path = keys->folder, .suffix = SUFFIX};
    }
    return keys;
}

void curve_keys_free(struct curve_keys *keys)
{
    if (keys != NULL) {
        free(keys->listing.rows);
        free(keys);
    }
}

static const struct listed *listing_of_name(const struct listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->rows[i].name, name) == 0) {
            return &listing->rows[i];
        }
    }
    return NULL;
}

struct reading {
    struct listing fresh;
    const struct listing *had;
};

/* A file that holds no key, half-written or damaged, takes nothing from who was let in by its name before: only its removal does. */
static void take(void *arg, const char *name, const char *key)
{
    struct reading *reading = arg;
    struct listing *fresh = &reading->fresh;
    const struct listed *before = key[0] == '\0' ? listing_of_name(reading->had, name) : NULL;

    if (key[0] == '\0' && before == NULL) {
        return;
    }
    if (fresh->count == fresh->size) {
        size_t size = fresh->size > 0 ? fresh->size * 2 : 64;
        void *grown = realloc(fresh->rows, size * sizeof *fresh->rows);
        if (grown == NULL) {
            fresh->failed = true;
            return;
        }
        fresh->rows = grown;
        fresh->size = size;
    }
    struct listed *row = &fresh->rows[fresh->count++];
    snprintf(row->name, sizeof row->name, "%s", name);
    memcpy(row->key, before != NULL ? before->key : key, CURVE_KEY + 1);
}

static int key_order(const void *left, const void *right)
{
    return memcmp(((const struct listed *)left)->key, ((const struct listed *)right)->key, CURVE_KEY);
}

/* Reads the folder; whole or not at all, so that a lack of descriptors or memory shuts nobody out. */
static bool list_read(struct curve_keys *keys)
{
    struct reading reading = {.had = &keys->listing};
    struct err err = {0};

    if (curve_keys_each(keys->folder, take, &reading, &err) != 0 || reading.fresh.failed) {
        free(reading.fresh.rows);
        return false;
    }
    if (reading.fresh.count > 0) {
        qsort(reading.fresh.rows, reading.fresh.count, sizeof *reading.fresh.rows, key_order);
    }
    free(keys->listing.rows);
    keys->listing = reading.fresh;
    return true;
}

/* What could not be read is looked at again. */
static bool list_follow(struct curve_keys *keys, bool changed)
{
    if (changed && !list_read(keys)) {
        watch_again(&keys->watch);
        return false;
    }
    return changed;
}

bool curve_keys_refresh(struct curve_keys *keys, uint64_t mono_ms)
{
    return list_follow(keys, watch_changed(&keys->watch, mono_ms));
}

bool curve_keys_look(struct curve_keys *keys)
{
    return list_follow(keys, watch_look(&keys->watch, clock_mono_ms()));
}

bool curve_keys_has(const struct curve_keys *keys, struct str key)
{
    struct listed wanted;

    if (key.len != CURVE_KEY || keys->listing.count == 0) {
        return false;
    }
    memcpy(wanted.key, key.ptr, CURVE_KEY);
    return bsearch(&wanted, keys->listing.rows, keys->listing.count, sizeof *keys->listing.rows, key_order) != NULL;
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
    if (file_folder(folder, err) != 0) {
        return -1;
    }
    zcert_t *cert = zmq_z85_decode(public, key) != NULL ? zcert_new_from(public, none) : NULL;
    int rc = cert != NULL ? zcert_save_public(cert, fresh) : -1;
    zcert_destroy(&cert);
    return rc == 0 ? file_place(fresh, path, true, err)
                   : err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
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
