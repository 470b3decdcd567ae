/* PATCH /files/tus/{upload_id}: the next bytes of an upload. They go to disk as they come; with the last of them the file arrives. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/http.h"
#include "gateway/surfaces/render_tus.h"

static bool back(struct tus *tus)
{
    struct blob *blob = tus->arrival.blob;

    if (ftruncate(blob->fd, (off_t)tus->first) != 0)
        return false;
    blob->size = tus->first;
    return true;
}

/* ---- they come ---- */

static void on_piece(void *self, const char *data, size_t size)
{
    struct tus *tus = self;
    struct blob *blob = tus->arrival.blob;

    if (blob->size + size > tus->length) {
        back(tus);
        tus_refuse(tus->request, 413, "body", "upload_length", (struct str){NULL, 0}, NULL);
        return;
    }
    if (tus->sum)
        EVP_DigestUpdate(tus->sum, data, size);
    blob_take(blob, data, size);
}

static void answer(struct tus *tus)
{
    tus_tell_headers(tus->request, tus, tus->arrived ? tus->length : tus->arrival.blob->size);
    reply_empty(tus->request, 204);
}

static void on_finished(struct tus *tus)
{
    if (tus->cause)
        render_refuse_disk(tus->request, tus->cause);
    else
        answer(tus);
}

static void on_arrived(struct arrival *arrival)
{
    tus_finish(arrival->request->sink.self, on_finished);
}

static void on_removed(struct tus *tus)
{
    render_refuse_hash(&tus->arrival);
}

static void on_wrong(struct arrival *arrival)
{
    tus_remove(arrival->request->sink.self, on_removed);
}

static void on_rested(void *self, struct blob *blob)
{
    struct tus *tus = self;

    if (blob->how == BLOB_WELL)
        answer(tus);
    else
        render_refuse_disk(tus->request, blob->cause);
}

/* Held against Upload-Checksum. */
static bool sum_right(struct tus *tus)
{
    unsigned char found[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!tus->sum)
        return true;
    EVP_DigestFinal_ex(tus->sum, found, &len);
    bool right = len == tus->sum_len && memcmp(found, tus->sum_wanted, len) == 0;
    EVP_MD_CTX_free(tus->sum);
    tus->sum = NULL;
    return right;
}

static void on_whole(void *self)
{
    struct tus *tus = self;
    struct blob *blob = tus->arrival.blob;

    if (blob->cause) {
        render_refuse_disk(tus->request, blob->cause);
    } else if (!sum_right(tus)) {
        blob->keeps = true;
        back(tus);
        tus_refuse(tus->request, 460, "Upload-Checksum", "upload_checksum", (struct str){NULL, 0}, NULL);
    } else if (blob->size == tus->length) {
        tus->arrival.answer = on_arrived;
        tus->arrival.wrong = on_wrong;
        render_arrive(&tus->arrival);
    } else {
        blob_rest(blob, on_rested, tus);
    }
}

/* ---- before they come ---- */

/* "sha1 base64" or "md5 base64". -1, and answered: it is neither. */
static int sum_read(struct tus *tus)
{
    struct str text = headers_find(tus->request, "Upload-Checksum");
    const char *blank = memchr(text.ptr ? text.ptr : "", ' ', text.len);
    struct str name = {text.ptr, blank ? (uint32_t)(blank - text.ptr) : text.len};
    const EVP_MD *kind = str_is(name, "sha1") ? EVP_sha1() : str_is(name, "md5") ? EVP_md5() : NULL;
    size_t got = 0;

    if (!text.len)
        return 0;
    if (!kind || !blank ||
        sodium_base642bin(tus->sum_wanted, sizeof tus->sum_wanted, blank + 1, text.len - (size_t)(blank + 1 - text.ptr), NULL,
                          &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != (size_t)EVP_MD_size(kind)) {
        tus_refuse(tus->request, 400, "Upload-Checksum", "format", text, "sha1 or md5, and base64");
        return -1;
    }
    tus->sum_len = (unsigned)got;
    tus->sum = EVP_MD_CTX_new();
    if (tus->sum && EVP_DigestInit_ex(tus->sum, kind, NULL) == 1)
        return 0;
    reply_problem_kind(tus->request, PROBLEM_OVERLOADED);
    return -1;
}

static bool type_right(struct str type)
{
    static const char word[] = "application/offset+octet-stream";

    return type.len == sizeof word - 1 && strncasecmp(type.ptr, word, type.len) == 0;
}

/* -1, and answered. */
static int headers_check(struct tus *tus)
{
    struct request *request = tus->request;
    struct str offset = headers_find(request, "Upload-Offset"), type = request->headers.content_type;
    struct problem problem;

    if (!type_right(type)) {
        problem_value(&problem, PROBLEM_MEDIA_TYPE, "Content-Type", "media_type", type, "application/offset+octet-stream");
        reply_problem(request, &problem);
    } else if (!render_decimal(offset, &tus->first)) {
        tus_refuse(request, 400, "Upload-Offset", offset.len ? "format" : "required", offset, "a number of bytes");
    } else {
        return 0;
    }
    return -1;
}

static void refuse_offset(struct tus *tus, uint64_t at)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)at);
    reply_header(tus->request, "Upload-Offset", "%s", text);
    tus_refuse(tus->request, 409, "Upload-Offset", "upload_offset", str_of(text), NULL);
}

/* Its file, where the bytes go on. -1, and answered. */
static int part_open(struct tus *tus)
{
    struct request *request = tus->request;
    bool last = request->headers.sized && tus->first + request->headers.content_length >= tus->length;
    char name[BLOB_NAME];

    tus_name(tus, name);
    tus->arrival.blob = blob_new(request->gateway->files, request->gateway->settings, name, last || !request->headers.sized);
    if (!tus->arrival.blob && errno == EWOULDBLOCK)
        tus_refuse(request, 423, "upload_id", "upload_sent", str_of(tus->id), NULL);
    else if (!tus->arrival.blob && errno == ENOENT)
        tus_refuse(request, 404, "upload_id", "asset_missing", str_of(tus->id), NULL);
    else if (!tus->arrival.blob)
        render_refuse_disk(request, errno);
    else if (tus->arrival.blob->size != tus->first)
        refuse_offset(tus, tus->arrival.blob->size);
    else if (request->headers.content_length > tus->length - tus->first)
        tus_refuse(request, 413, "body", "upload_length", (struct str){NULL, 0}, NULL);
    else
        return 0;
    return -1;
}

void render_tus_patch(struct request *request)
{
    struct tus *tus = tus_new(request);

    if (!tus || !tus_load(tus) || headers_check(tus) != 0)
        return;
    if (tus->arrived) {
        if (tus->first == tus->length && request->headers.content_length == 0)
            answer(tus);
        else
            refuse_offset(tus, tus->length);
        return;
    }
    if (part_open(tus) != 0 || sum_read(tus) != 0)
        return;
    tus_sink(tus, on_piece, on_whole);
    http_receive(request);
}
