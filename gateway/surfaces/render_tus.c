/* Uploads by the tus protocol: begun, told of, ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/surfaces/render_tus.h"
#include "proto/clock.h"

/* ---- shared ---- */

static void version_write(struct request *request)
{
    reply_header(request, "Tus-Resumable", TUS_VERSION);
}

void tus_refuse(struct request *request, unsigned status, const char *field, const char *rule, struct str value,
                const char *expected)
{
    struct problem problem;

    problem_value(&problem, PROBLEM_BAD_REQUEST, field, rule, value, expected ? "%s" : NULL, expected);
    problem.kind = status == 404 ? PROBLEM_NOT_FOUND : status == 409 || status == 423 ? PROBLEM_CONFLICT : PROBLEM_BAD_REQUEST;
    request->retry_after = status == 423 ? 1 : 0;
    buf_reset(&request->out);
    render_problem(request, &problem);
    reply_done(request, status);
}

struct tus *tus_new(struct request *request)
{
    struct str version = headers_find(request, "Tus-Resumable");
    struct tus *tus = request->gateway->files ? calloc(1, sizeof *tus) : NULL;

    version_write(request);
    if (!str_is(version, TUS_VERSION)) {
        free(tus);
        reply_header(request, "Tus-Version", TUS_VERSION);
        tus_refuse(request, 412, "Tus-Resumable", "format", version, TUS_VERSION);
        return NULL;
    }
    if (!tus || !blob_root(request->gateway->settings, tus->root)) {
        free(tus);
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return NULL;
    }
    tus->request = tus->arrival.request = request;
    tus_sink(tus, NULL, NULL);
    return tus;
}

static void expires_write(struct request *request, uint64_t made_at)
{
    uint64_t hours = (uint64_t)settings_count_of(request->gateway->settings, SET_BLOB_EXPIRE_HOURS);
    time_t at = (time_t)(made_at / 1000 + hours * 3600);
    struct tm parts;
    char text[64];

    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &parts));
    reply_header(request, "Upload-Expires", "%s", text);
}

void tus_tell_headers(struct request *request, const struct tus *tus, uint64_t offset)
{
    reply_header(request, "Upload-Offset", "%" PRIu64, offset);
    if (!tus->arrived)
        expires_write(request, clock_wall_ms());
}

/* ---- what is spoken ---- */

void render_tus_options(struct request *request)
{
    version_write(request);
    reply_header(request, "Tus-Version", TUS_VERSION);
    reply_header(request, "Tus-Extension", "creation,termination,expiration,checksum");
    reply_header(request, "Tus-Checksum-Algorithm", "sha1,md5");
    reply_header(request, "Tus-Max-Size", "%" PRIu64, blob_max(request->gateway->settings));
    reply_empty(request, 204);
}

/* ---- begun ---- */

static void created(struct tus *tus)
{
    struct request *request = tus->request;
    struct buf base = {.limit = 8192};

    render_base(request, &base);
    reply_header(request, "Location", "%.*s/files/tus/%s", (int)base.len, base.data ? base.data : "", tus->id);
    buf_free(&base);
    tus_tell_headers(request, tus, 0);
    reply_empty(request, 201);
}

/* Nothing is to come: it arrives now. */
static void on_finished(struct tus *tus)
{
    if (tus->cause)
        render_refuse_disk(tus->request, tus->cause);
    else
        created(tus);
}

static void on_arrived(struct arrival *arrival)
{
    tus_finish(arrival->request->sink.self, on_finished);
}

static void on_made(struct tus *tus)
{
    struct request *request = tus->request;
    char name[BLOB_NAME];

    if (tus->cause) {
        render_refuse_disk(request, tus->cause);
        return;
    }
    if (tus->length > 0) {
        created(tus);
        return;
    }
    tus_name(tus, name);
    tus->arrival.blob = blob_new(request->gateway->files, request->gateway->settings, name, true);
    tus->arrival.answer = on_arrived;
    if (tus->arrival.blob)
        render_arrive(&tus->arrival);
    else
        render_refuse_disk(request, errno);
}

void render_tus_create(struct request *request)
{
    struct tus *tus = tus_new(request);
    struct str length = headers_find(request, "Upload-Length");
    struct problem problem;

    if (!tus)
        return;
    if (!length.len)
        problem_set(&problem, PROBLEM_INVALID, "Upload-Length", "required");
    else if (!render_decimal(length, &tus->length))
        problem_value(&problem, PROBLEM_BAD_REQUEST, "Upload-Length", "format", length, "a number of bytes");
    else if (tus->length > blob_max(request->gateway->settings))
        problem_value(&problem, PROBLEM_TOO_LARGE, "Upload-Length", "blob_size", length, "blob.max_gb");
    else if (tus_metadata(tus, headers_find(request, "Upload-Metadata"), &problem) == 0) {
        tus_make(tus, on_made);
        return;
    }
    reply_problem(request, &problem);
}

/* ---- told of ---- */

static void answer_offset(struct tus *tus, uint64_t offset)
{
    struct request *request = tus->request;
    struct writer w;

    tus_tell_headers(request, tus, offset);
    reply_header(request, "Upload-Length", "%" PRIu64, tus->length);
    if (tus->metadata[0])
        reply_header(request, "Upload-Metadata", "%s", tus->metadata);
    reply_header(request, "Cache-Control", "no-store");
    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_text(&w, "upload_id", str_of(tus->id));
    writer_uint(&w, "offset", offset);
    writer_uint(&w, "length", tus->length);
    writer_bool(&w, "arrived", tus->arrived);
    writer_close(&w, '}');
    render_close(request, &w, 200);
}

static void on_finished_late(struct tus *tus)
{
    if (tus->cause)
        render_refuse_disk(tus->request, tus->cause);
    else
        answer_offset(tus, tus->length);
}

static void on_arrived_late(struct arrival *arrival)
{
    tus_finish(arrival->request->sink.self, on_finished_late);
}

static void on_removed_wrong(struct tus *tus)
{
    render_refuse_hash(&tus->arrival);
}

/* It is not what it was to be: it goes, for it cannot be gone on with. */
static void on_wrong(struct arrival *arrival)
{
    tus_remove(arrival->request->sink.self, on_removed_wrong);
}

void render_tus_tell(struct request *request)
{
    struct tus *tus = tus_new(request);
    struct stat stat;
    char name[BLOB_NAME], path[BLOB_PATH];

    if (!tus || !tus_load(tus))
        return;
    tus_name(tus, name);
    snprintf(path, sizeof path, "%s/incoming/%s", tus->root, name);
    if (tus->arrived) {
        answer_offset(tus, tus->length);
    } else if (lstat(path, &stat) != 0) {
        tus_refuse(request, 404, "upload_id", "asset_missing", str_of(tus->id), NULL);
    } else if ((uint64_t)stat.st_size < tus->length) {
        answer_offset(tus, (uint64_t)stat.st_size);
    } else { /* whole, and nobody was told: a process died just then, or it is at it now */
        tus->arrival.blob = blob_new(request->gateway->files, request->gateway->settings, name, true);
        tus->arrival.answer = on_arrived_late;
        tus->arrival.wrong = on_wrong;
        if (tus->arrival.blob)
            render_arrive(&tus->arrival);
        else if (errno == EWOULDBLOCK)
            tus_refuse(request, 423, "upload_id", "upload_sent", str_of(tus->id), NULL);
        else
            render_refuse_disk(request, errno);
    }
}

/* ---- ended ---- */

static void on_removed(struct tus *tus)
{
    if (tus->cause)
        tus_refuse(tus->request, 423, "upload_id", "upload_sent", str_of(tus->id), NULL);
    else
        reply_empty(tus->request, 204);
}

void render_tus_delete(struct request *request)
{
    struct tus *tus = tus_new(request);

    if (tus && tus_load(tus))
        tus_remove(tus, on_removed);
}
