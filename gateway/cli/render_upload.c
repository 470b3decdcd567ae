/* Small files go in a form. A large one goes by tus, in pieces: its upload's id is kept on this machine, so that the next try of the command finds
 * it again. Every step can be done twice. */
#include "gateway/cli/render_upload.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/outage.h"
#include "gateway/cli/progress.h"
#include "gateway/cli/show.h"
#include "gateway/cli/stop.h"
#include "gateway/cli/term.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define FORM_MOST ((uint64_t)8 << 20)   /* larger files go by tus */
#define PIECE_MOST ((uint64_t)64 << 20) /* of these; each is on disk when it is answered */
#define PATIENCE_MS UINT64_C(600000)    /* without anything going forward */
#define HASHES_MOST 10000               /* in one question */
#define ID_SIZE 65
#define PATH_SIZE 4096

struct upload {
    struct cli *cli;
    struct render_files *files;
    const char *unionid;
    struct progress bar;
    size_t number, count; /* the file that is sent, of those that are */
    uint64_t bytes, sent; /* of those; of the files before this one and of its pieces that are there */
    uint64_t began_ms, forward_ms;
    struct outage outage;
    bool binds; /* nothing is sent any more */
    const char *name;
};

/* ---- how far it is ---- */

static void bar_draw(struct upload *upload, uint64_t now)
{
    char words[160], name[80];
    const char *base = strrchr(upload->name, '/');
    double done = (double)(upload->sent + now), all = (double)upload->bytes;

    term_fit(base != NULL ? base + 1 : upload->name, 40, name, sizeof name);
    if (upload->binds) {
        snprintf(words, sizeof words, "naming %s", name);
    } else {
        snprintf(words, sizeof words, "sending %zu/%zu %s", upload->number, upload->count, name);
    }
    progress_set(&upload->bar, all > 0 ? 100 * done / all : -1, (double)(clock_mono_ms() - upload->began_ms) / 1000, words);
}

static void on_moved(void *arg, uint64_t bytes)
{
    struct upload *upload = arg;

    bar_draw(upload, bytes);
}

/* ---- in a form ---- */

static int form_send(struct upload *upload, const struct render_file *file, bool bytes, struct err *err)
{
    const struct client_field fields[] = {
        {"hash", file->md5}, {"path", file->name}, {"unionid", upload->unionid}, {"file_type", file->type}, {NULL, NULL}};
    struct client_transfer transfer = {.method = "POST",
                                       .path = "/files/upload",
                                       .form = fields,
                                       .file = bytes ? file->file : NULL,
                                       .moved = on_moved,
                                       .arg = upload};

    return client_move(upload->cli->client, &transfer, NULL, err);
}

/* ---- by tus ---- */

#define TUS "Tus-Resumable: 1.0.0"

/* Where the id of the file's upload is kept; false: nowhere, and it begins anew at the next try. */
static bool note_path(const struct upload *upload, const struct render_file *file, char out[PATH_SIZE])
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const struct str parts[] = {str_of(client_url(upload->cli->client)), str_of(file->md5), str_of(file->name),
                                str_of(upload->unionid)};
    unsigned char hash[IDENT_HASH];
    char hex[2 * IDENT_HASH + 1], folder[PATH_SIZE - 64];
    bool own = state != NULL && state[0] == '/';
    int len = own ? snprintf(folder, sizeof folder, "%s/gantry/uploads", state)
                  : snprintf(folder, sizeof folder, "%s/.local/state/gantry/uploads", home != NULL ? home : "");

    if ((!own && (home == NULL || home[0] != '/')) || len < 0 || (size_t)len >= sizeof folder ||
        ident_make_dirs(folder, 0700, NULL) != 0) {
        return false;
    }
    ident_hash(hash, parts, 4);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(out, PATH_SIZE, "%s/%s", folder, hex);
    return true;
}

static void note_write(const struct upload *upload, const struct render_file *file, const char *id)
{
    char path[PATH_SIZE];
    struct err err;

    if (note_path(upload, file, path)) {
        file_replace(path, str_of(id), false, &err);
    }
}

static void note_drop(const struct upload *upload, const struct render_file *file)
{
    char path[PATH_SIZE];

    if (note_path(upload, file, path)) {
        unlink(path);
    }
}

static bool note_read(const struct upload *upload, const struct render_file *file, char id[ID_SIZE])
{
    struct buf text = {.limit = ID_SIZE - 1};
    char path[PATH_SIZE];
    struct err err;
    bool read = note_path(upload, file, path) && file_read(path, &text, &err) == 0 && ident_valid(buf_str(&text)) &&
                str_copy(id, ID_SIZE, buf_str(&text));

    buf_free(&text);
    return read;
}

/* Appends "key base64" to the header; false: it does not fit. */
static bool metadata_add(char *out, size_t size, bool first, const char *key, const char *value)
{
    size_t len = strlen(out), need = sodium_base64_encoded_len(strlen(value), sodium_base64_VARIANT_ORIGINAL);
    int more = snprintf(out + len, size - len, "%s%s ", first ? "" : ",", key);

    if (more < 0 || len + (size_t)more + need > size) {
        return false;
    }
    sodium_bin2base64(out + len + more, size - len - (size_t)more, (const unsigned char *)value, strlen(value),
                      sodium_base64_VARIANT_ORIGINAL);
    return true;
}

static int tus_begin(struct upload *upload, const struct render_file *file, char id[ID_SIZE], struct err *err)
{
    char length[64], metadata[4096] = "Upload-Metadata: ";
    struct client_transfer transfer = {
        .method = "POST", .path = "/files/tus", .headers = {TUS, length, metadata, "Content-Type:"}};

    snprintf(length, sizeof length, "Upload-Length: %llu", (unsigned long long)file->size);
    if (!metadata_add(metadata, sizeof metadata, true, "hash", file->md5) ||
        !metadata_add(metadata, sizeof metadata, false, "path", file->name) ||
        !metadata_add(metadata, sizeof metadata, false, "unionid", upload->unionid) ||
        !metadata_add(metadata, sizeof metadata, false, "file_type", file->type)) {
        return err_set(err, ERR_INVALID, "%.200s: its name is too long", file->name);
    }
    if (client_move(upload->cli->client, &transfer, NULL, err) != 0) {
        return -1;
    }
    const char *slash = strrchr(transfer.location, '/');
    if (slash == NULL || !ident_valid(str_of(slash + 1))) {
        return err_set(err, ERR_INTERNAL, "%s began an upload without saying where", client_url(upload->cli->client));
    }
    snprintf(id, ID_SIZE, "%s", slash + 1);
    note_write(upload, file, id);
    return 0;
}

/* How much of it is there: of one that was begun before, if that is known to the farm. -1 with err. */
static int tus_find(struct upload *upload, const struct render_file *file, char id[ID_SIZE], uint64_t *offset, struct err *err)
{
    char path[128];
    struct client_transfer transfer = {.method = "GET", .path = path, .headers = {TUS}};
    struct err why = {0};
    json_t *data = NULL;

    *offset = 0;
    if (!note_read(upload, file, id)) {
        return tus_begin(upload, file, id, err);
    }
    snprintf(path, sizeof path, "/files/tus/%s", id);
    if (client_move(upload->cli->client, &transfer, &data, &why) != 0) {
        bool away = why.code == ERR_UNAVAILABLE || why.code == ERR_UNKNOWN_OUTCOME || stop_signal != 0;
        return away ? err_set(err, why.code, "%s", why.text) : tus_begin(upload, file, id, err);
    }
    *offset = (uint64_t)show_number(data, "offset");
    bool same = (uint64_t)show_number(data, "length") == file->size && *offset <= file->size;
    json_decref(data);
    *offset = same ? *offset : 0;
    return same ? 0 : tus_begin(upload, file, id, err);
}

static int tus_piece(struct upload *upload, const struct render_file *file, const char *id, uint64_t offset, uint64_t length,
                     struct err *err)
{
    char path[128], from[64];
    struct client_transfer transfer = {.method = "PATCH",
                                       .path = path,
                                       .headers = {TUS, from, "Content-Type: application/offset+octet-stream"},
                                       .file = file->file,
                                       .from = offset,
                                       .length = length,
                                       .moved = on_moved,
                                       .arg = upload};

    snprintf(path, sizeof path, "/files/tus/%s", id);
    snprintf(from, sizeof from, "Upload-Offset: %llu", (unsigned long long)offset);
    return client_move(upload->cli->client, &transfer, NULL, err);
}

static int tus_send(struct upload *upload, const struct render_file *file, struct err *err)
{
    uint64_t before = upload->sent, offset;
    char id[ID_SIZE];
    int rc = tus_find(upload, file, id, &offset, err);

    if (rc == 0 && offset > 0 && offset < file->size) {
        char size[32];
        progress_hide(&upload->bar);
        term_line(stderr, false, "gantry: %s: going on behind %s", file->file, term_size(offset, size, sizeof size));
        progress_show(&upload->bar);
    }
    while (rc == 0 && offset < file->size && stop_signal == 0) {
        uint64_t left = file->size - offset, length = left < PIECE_MOST ? left : PIECE_MOST;
        upload->sent = before + offset;
        rc = tus_piece(upload, file, id, offset, length, err);
        offset += rc == 0 ? length : 0;
        upload->forward_ms = rc == 0 ? clock_mono_ms() : upload->forward_ms;
    }
    upload->sent = before;
    if (rc == 0 && stop_signal != 0) {
        return err_set(err, ERR_UNAVAILABLE, "it was stopped");
    }
    if (rc == 0 || err->code == ERR_BAD_REQUEST) { /* it is there; or it can never be, as it is not what its hash says */
        note_drop(upload, file);
    }
    return rc;
}

/* ---- one file ---- */

static int file_try(struct upload *upload, const struct render_file *file, struct err *err)
{
    if (file->there || file->size <= FORM_MOST) {
        return form_send(upload, file, !file->there, err);
    }
    return tus_send(upload, file, err);
}

/* Tries again while the farm is away for a while. */
static int file_send(struct upload *upload, const struct render_file *file, struct err *err)
{
    uint64_t wait = 100;

    upload->name = file->name;
    upload->forward_ms = clock_mono_ms();
    bar_draw(upload, 0);
    for (;;) {
        struct err why = {0};
        int rc = file_try(upload, file, &why);
        /* 409: its offset is another than we thought, as a piece has come whose answer has not. */
        bool again = why.code == ERR_UNAVAILABLE || why.code == ERR_UNKNOWN_OUTCOME || why.code == ERR_CONFLICT;
        if (rc == 0) {
            outage_tell(&upload->outage, NULL);
            return 0;
        }
        if (!again || stop_signal != 0 || clock_mono_ms() - upload->forward_ms > PATIENCE_MS) {
            int code = why.code == ERR_BAD_REQUEST ? ERR_INVALID : why.code; /* the command was right */
            return err_set(err, code, "%.60s: %.180s", file->file, why.text);
        }
        outage_tell(&upload->outage, &why);
        client_pause(wait);
        wait = wait < 1000 ? wait * 2 : 2000;
    }
}

/* ---- all of them ---- */

static int by_md5(const void *left, const void *right)
{
    return strcmp((*(struct render_file *const *)left)->md5, (*(struct render_file *const *)right)->md5);
}

/* Those of `wanted`, which is sorted, that are among the answer's. */
static void existing_mark(struct render_file **wanted, size_t count, const json_t *data)
{
    const json_t *one;
    size_t index;

    json_array_foreach(json_object_get(data, "existing"), index, one)
    {
        const char *hash = json_string_value(json_object_get(one, "hash"));
        size_t low = 0, high = count;
        while (hash != NULL && low < high) {
            size_t middle = low + (high - low) / 2;
            if (strcmp(wanted[middle]->md5, hash) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for (; hash != NULL && low < count && strcmp(wanted[low]->md5, hash) == 0; low++) {
            wanted[low]->there = true;
        }
    }
}

static int existing_ask(struct upload *upload, struct render_file **sorted, size_t count, struct err *err)
{
    json_t *hashes = json_array(), *data = NULL;
    json_t *body = json_pack("{s:o}", "hashes", hashes);
    int rc = body != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");

    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (json_array_append_new(hashes, json_string(sorted[i]->md5)) != 0) {
            rc = err_set(err, ERR_NO_MEMORY, "out of memory");
        }
    }
    rc = rc == 0 ? client_call(upload->cli->client, "POST", "/files/check-hashes", body, &data, err) : rc;
    if (rc == 0) {
        existing_mark(sorted, count, data);
    }
    json_decref(data);
    json_decref(body);
    return rc;
}

/* Marks what the farm has. Of what has the same content one is sent, the others are bound to it behind. */
static int existing_find(struct upload *upload, struct err *err)
{
    struct render_files *files = upload->files;
    struct render_file **sorted = calloc(files->count, sizeof *sorted);
    int rc = sorted != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");

    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        sorted[i] = &files->items[i];
    }
    if (rc == 0) {
        qsort(sorted, files->count, sizeof *sorted, by_md5);
    }
    for (size_t at = 0; rc == 0 && at < files->count; at += HASHES_MOST) {
        rc = existing_ask(upload, sorted + at, files->count - at < HASHES_MOST ? files->count - at : HASHES_MOST, err);
    }
    bool told = false; /* the one before has the same content, and is sent */
    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        bool same = i > 0 && strcmp(sorted[i]->md5, sorted[i - 1]->md5) == 0;
        bool sends = !sorted[i]->there;
        sorted[i]->there = !sends || (same && told);
        told = same ? told || sends : sends;
        upload->count += !sorted[i]->there;
        upload->bytes += sorted[i]->there ? 0 : sorted[i]->size;
    }
    free(sorted);
    return rc;
}

/* there: those that are here are bound to their names; otherwise the others are sent. */
static int pass(struct upload *upload, bool there, struct err *err)
{
    struct render_files *files = upload->files;

    upload->binds = there;
    for (size_t i = 0; i < files->count; i++) {
        struct render_file *file = &files->items[i];
        if (file->there != there) {
            continue;
        }
        upload->number += !there;
        if (file_send(upload, file, err) != 0) {
            return -1;
        }
        upload->sent += there ? 0 : file->size;
    }
    return 0;
}

int render_upload(struct cli *cli, struct render_files *files, const char *unionid, struct err *err)
{
    struct upload upload = {.cli = cli, .files = files, .unionid = unionid, .name = ""};
    char all[32], some[32];

    if (existing_find(&upload, err) != 0) {
        return -1;
    }
    fprintf(stderr, "gantry: %zu file%s, %s: %zu to send, %s\n", files->count, files->count == 1 ? "" : "s",
            term_size(files->bytes, all, sizeof all), upload.count, term_size(upload.bytes, some, sizeof some));
    upload.began_ms = clock_mono_ms();
    progress_init(&upload.bar, stderr);
    upload.outage.bar = &upload.bar;
    int rc = pass(&upload, false, err);
    rc = rc == 0 ? pass(&upload, true, err) : rc;
    progress_hide(&upload.bar);
    return rc;
}
