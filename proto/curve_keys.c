#include "proto/curve_keys.h"

#include <czmq.h>
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define SUFFIX ".key"
#define SETTLED_NS 1000000000 /* a change is seen for certain when the newest time is older than this */
#define FILES_MS 500          /* between looks at the files of a folder that seems unchanged, */
#define FILES_EACH_US 250     /* and longer for each of them: looking takes time */

struct listed {
    char name[NAME_MAX + 1];
    char key[CURVE_KEY + 1];
};

struct listing {
    struct listed *rows; /* sorted by key */
    size_t count, size;
    bool failed; /* no memory for all of them */
};

/* When the folder and its files were changed last, and which they are: two that are alike are the same list. It is the time that nobody
 * sets (ctime): a certificate may be copied with an old or future one, and be made readable only later. */
struct state {
    struct timespec newest;
    uint64_t files; /* hash of names, inodes, sizes and times */
};

struct curve_keys {
    char folder[PATH_MAX];
    struct listing listing;
    struct state state; /* when it was read */
    bool settled;       /* no change of that moment can have been missed */
    uint64_t looked_ms, files_ms;
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

static bool time_after(struct timespec left, struct timespec right)
{
    return left.tv_sec != right.tv_sec ? left.tv_sec > right.tv_sec : left.tv_nsec > right.tv_nsec;
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
    }
    return hash;
}

/* Files are looked at too: one whose content is written anew leaves the folder's time as it was. */
static void state_read(const char *folder, struct state *state)
{
    struct stat info;
    struct dirent *entry;
    DIR *files = opendir(folder);

    *state = (struct state){.files = 0xcbf29ce484222325};
    if (files == NULL) {
        return;
    }
    if (fstat(dirfd(files), &info) == 0) {
        state->newest = info.st_ctim;
    }
    uint64_t sum = 0; /* of each by itself, for the order is the file system's */
    while ((entry = readdir(files)) != NULL) {
        if (!is_key(entry) || fstatat(dirfd(files), entry->d_name, &info, 0) != 0) {
            continue;
        }
        uint64_t hash = hash_bytes(state->files, entry->d_name, strlen(entry->d_name));
        hash = hash_bytes(hash, &info.st_ino, sizeof info.st_ino);
        hash = hash_bytes(hash, &info.st_size, sizeof info.st_size);
        sum += hash_bytes(hash, &info.st_ctim, sizeof info.st_ctim);
        state->newest = time_after(info.st_ctim, state->newest) ? info.st_ctim : state->newest;
    }
    state->files += sum;
    closedir(files);
}

bool curve_keys_refresh(struct curve_keys *keys, uint64_t mono_ms)
{
    if (keys->looked_ms != 0 && mono_ms - keys->looked_ms < CURVE_KEYS_MS) {
        return false;
    }
    keys->looked_ms = mono_ms;
    return curve_keys_look(keys);
}

/* Whether the folder may have changed. Its own time tells of files that came or went; the files are looked at now and then. */
static bool changed(struct curve_keys *keys, struct state *now)
{
    struct stat info = {0};
    uint64_t mono_ms = clock_mono_ms();

    (void)stat(keys->folder, &info);
    bool same_folder = !time_after(info.st_ctim, keys->state.newest);
    if (keys->settled && same_folder && mono_ms - keys->files_ms < FILES_MS + keys->listing.count * FILES_EACH_US / 1000) {
        return false;
    }
    keys->files_ms = mono_ms;
    state_read(keys->folder, now);
    return !keys->settled || now->files != keys->state.files || time_after(now->newest, keys->state.newest) ||
           time_after(keys->state.newest, now->newest);
}

bool curve_keys_look(struct curve_keys *keys)
{
    struct timespec now;
    struct state state;

    if (!changed(keys, &state)) {
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (int64_t)(now.tv_sec - state.newest.tv_sec) * 1000000000 + (now.tv_nsec - state.newest.tv_nsec);
    if (!list_read(keys)) {
        keys->settled = false;
        return false;
    }
    keys->state = state;
    keys->settled = age > SETTLED_NS;
    return true;
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
