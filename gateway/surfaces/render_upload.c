/* POST /files/upload: a file in a form, its fields in any order. The form is read as it comes (libmicrohttpd's post processor), the file goes to
 * disk piece by piece; what it was to be is looked at when all of it is there. */
#include <errno.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/surfaces/render_files.h"

#define FORM_MEMORY ((size_t)64 << 10)
#define FORM_EXTRA ((uint64_t)1 << 20) /* what a form has beside its file, at most */
#define PARTS_MAX 64

enum form_field { FIELD_HASH, FIELD_XXHASH, FIELD_TYPE, FIELD_UNION, FIELD_PATH, FIELD_COUNT };

static const struct {
    const char *name;
    uint32_t max; /* bytes */
} fields[FIELD_COUNT] = {
    {"hash", 64}, {"xxhash", 32}, {"file_type", RENDER_TYPE}, {"unionid", RENDER_UNION}, {"path", RENDER_PATH},
};

struct text {
    bool there;
    uint32_t len;
    char data[RENDER_PATH];
};

struct upload {
    struct request *request;
    struct MHD_PostProcessor *form;
    struct text texts[FIELD_COUNT];
    struct arrival arrival;
    bool file; /* its part has begun */
    unsigned parts;
    uint64_t came; /* bytes of the form */
};

static struct str text_of_field(const struct upload *upload, enum form_field field)
{
    return (struct str){upload->texts[field].data, upload->texts[field].len};
}

static enum MHD_Result refuse(struct upload *upload, const char *field, const char *rule, const char *expected)
{
    struct problem problem;

    if (upload->request->answered)
        return MHD_NO;
    problem_value(&problem, PROBLEM_BAD_REQUEST, field, rule, (struct str){NULL, 0}, expected ? "%s" : NULL, expected);
    reply_problem(upload->request, &problem);
    return MHD_NO;
}

/* ---- the form comes ---- */

static enum MHD_Result file_take(struct upload *upload, const char *data, uint64_t off, size_t size)
{
    const struct gateway *gateway = upload->request->gateway;
    struct arrival *arrival = &upload->arrival;

    if (off == 0 && arrival->blob && arrival->blob->size > 0)
        return refuse(upload, "file", "repeated", NULL);
    upload->file = true;
    if (!arrival->blob)
        arrival->blob = blob_new(gateway->files, gateway->settings, NULL, true);
    if (!arrival->blob) {
        render_refuse_disk(upload->request, errno);
        return MHD_NO;
    }
    if (arrival->blob->size + size > blob_max(gateway->settings))
        return refuse(upload, "file", "blob_size", "blob.max_gb");
    blob_take(arrival->blob, data, size);
    if (!arrival->blob->cause)
        return MHD_YES;
    render_refuse_disk(upload->request, arrival->blob->cause);
    return MHD_NO;
}

static enum MHD_Result text_take(struct upload *upload, enum form_field field, const char *data, uint64_t off, size_t size)
{
    struct text *text = &upload->texts[field];

    if (off == 0 && text->len > 0)
        return refuse(upload, fields[field].name, "repeated", NULL);
    if (off != text->len || size > fields[field].max - text->len)
        return refuse(upload, fields[field].name, "size", "a shorter text");
    text->there = true;
    memcpy(text->data + text->len, data, size);
    text->len += (uint32_t)size;
    return MHD_YES;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename, const char *type,
                                const char *encoding, const char *data, uint64_t off, size_t size)
{
    struct upload *upload = cls;
    (void)kind;
    (void)filename; /* a name is what `path` says */
    (void)type;
    (void)encoding;

    if (upload->request->answered)
        return MHD_NO;
    if (off == 0 && ++upload->parts > PARTS_MAX)
        return refuse(upload, "body", "form_parts", "64");
    if (key && strcmp(key, "file") == 0)
        return file_take(upload, data, off, size);
    for (int i = 0; key && i < FIELD_COUNT; i++)
        if (strcmp(key, fields[i].name) == 0)
            return text_take(upload, (enum form_field)i, data, off, size);
    return MHD_YES; /* one that is not known */
}

static void on_piece(void *self, const char *data, size_t size)
{
    struct upload *upload = self;
    uint64_t file = upload->arrival.blob ? upload->arrival.blob->size : 0;

    upload->came += size;
    if (MHD_post_process(upload->form, data, size) != MHD_YES && !upload->request->answered)
        refuse(upload, "body", "form", NULL);
    else if (upload->came - file > FORM_EXTRA + size && !upload->request->answered)
        refuse(upload, "body", "form_size", "1 MiB");
}

static void on_closed(void *self)
{
    struct upload *upload = self;

    if (upload->form)
        MHD_destroy_post_processor(upload->form);
    blob_drop(upload->arrival.blob);
    free(upload);
}

/* ---- all of it is there ---- */

static void answer(struct arrival *arrival)
{
    struct request *request = arrival->request;
    unsigned status = arrival->created ? 201 : 200;
    char path[BLOB_HEX + 8] = "assets/";
    struct writer w;

    blob_hex(arrival->md5, path + 7);
    render_open(request, &w, status, arrival->created ? TEXT_RENDER_UPLOADED : TEXT_RENDER_STOOD);
    writer_open(&w, "data", '{');
    writer_uint(&w, "asset_id", arrival->asset_id);
    writer_text(&w, "file_hash", str_of(path + 7));
    writer_text(&w, "storage_path", str_of(path));
    writer_bool(&w, "uploaded", arrival->created);
    writer_uint(&w, "file_size", arrival->size);
    if (arrival->path.len)
        writer_text(&w, "path", arrival->path);
    writer_close(&w, '}');
    render_close(request, &w, status);
}

bool render_decimal(struct str text, uint64_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return text.len > 0;
}

static int hashes_read(struct upload *upload, struct problem *problem)
{
    struct arrival *arrival = &upload->arrival;
    struct str hash = text_of_field(upload, FIELD_HASH), xxhash = text_of_field(upload, FIELD_XXHASH);

    if (!hash.len)
        return problem_set(problem, PROBLEM_INVALID, "hash", "required");
    if (!blob_read_hex(hash, arrival->md5))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "hash", "format", hash, "32 hexadecimal digits");
    arrival->has_xxh64 = xxhash.len > 0;
    if (arrival->has_xxh64 && !render_decimal(xxhash, &arrival->xxh64))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "xxhash", "format", xxhash, "a decimal number of %d bits", 64);
    return 0;
}

static int words_read(struct upload *upload, struct problem *problem)
{
    struct arrival *arrival = &upload->arrival;

    arrival->file_type = text_of_field(upload, FIELD_TYPE);
    arrival->unionid = text_of_field(upload, FIELD_UNION);
    arrival->path = text_of_field(upload, FIELD_PATH);
    for (enum form_field i = FIELD_TYPE; i <= FIELD_UNION; i++)
        if (!str_utf8(text_of_field(upload, i)))
            return problem_value(problem, PROBLEM_BAD_REQUEST, fields[i].name, "format", (struct str){NULL, 0}, "UTF-8");
    if (arrival_whose(arrival, upload->request, problem) != 0)
        return -1;
    return arrival->path.len ? render_path_check(arrival->path, "path", problem) : 0;
}

static void on_whole(void *self)
{
    struct upload *upload = self;
    struct problem problem;
    enum MHD_Result whole = MHD_destroy_post_processor(upload->form);

    upload->form = NULL;
    if (whole != MHD_YES || upload->parts == 0) {
        refuse(upload, "body", "form", NULL);
        return;
    }
    if (hashes_read(upload, &problem) != 0 || words_read(upload, &problem) != 0) {
        reply_problem(upload->request, &problem);
        return;
    }
    render_arrive(&upload->arrival);
}

/* ---- before it comes ---- */

static bool is_form(struct str type)
{
    static const char form[] = "multipart/form-data";

    return type.len > sizeof form - 1 && strncasecmp(type.ptr, form, sizeof form - 1) == 0 &&
           (type.ptr[sizeof form - 1] == ';' || type.ptr[sizeof form - 1] == ' ');
}

static int headers_check(const struct request *request, struct problem *problem)
{
    const struct request_headers *headers = &request->headers;

    if (!is_form(headers->content_type))
        return problem_value(problem, PROBLEM_MEDIA_TYPE, "Content-Type", "media_type", headers->content_type,
                             "multipart/form-data");
    if (headers->content_length > blob_max(request->gateway->settings) + FORM_EXTRA)
        return problem_value(problem, PROBLEM_TOO_LARGE, "file", "blob_size", (struct str){NULL, 0}, "blob.max_gb");
    return 0;
}

void render_files_upload(struct request *request)
{
    struct upload *upload = request->gateway->files ? calloc(1, sizeof *upload) : NULL;
    struct problem problem;

    if (headers_check(request, &problem) != 0) {
        reply_problem(request, &problem);
        goto error;
    }
    if (!upload) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    upload->request = upload->arrival.request = request;
    upload->arrival.answer = answer;
    upload->form = MHD_create_post_processor(request->connection->mhd, FORM_MEMORY, on_field, upload);
    if (!upload->form) {
        refuse(upload, "Content-Type", "form", NULL);
        goto error;
    }
    request->sink = (struct sink){.take = on_piece, .whole = on_whole, .closed = on_closed, .self = upload};
    http_receive(request);
    return;
error:
    free(upload);
}
