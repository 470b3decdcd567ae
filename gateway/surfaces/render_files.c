/* Which files are here, and files by their hash. */
#include "gateway/surfaces/render_files.h"

#include <ctype.h>
#include <errno.h>

#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/s3.h"
#include "gateway/serve.h"

/* ---- shared ---- */

struct str render_subject(const struct request *request)
{
    struct str own;

    return render_whose(request, &own) ? own : (struct str){NULL, 0};
}

void render_refuse(struct request *request, enum problem_kind kind, const char *field, const char *rule, struct str value)
{
    struct problem problem;

    problem_value(&problem, kind, field, rule, value, NULL);
    reply_problem(request, &problem);
}

void render_refuse_disk(struct request *request, int cause)
{
    render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_disk", str_of(strerror(cause)));
}

static bool name_plain(struct str name)
{
    return name.len > 0 && name.len <= 255 && !str_is(name, ".") && !str_is(name, "..");
}

/* What stands before the names of a path of Windows, `C:\` or `C:/`, and of where a worker has it, `/C/`: 3, else 0. */
static uint32_t drive_len(struct str path)
{
    bool slash = path.len > 2 && (path.ptr[2] == '/' || path.ptr[2] == '\\');

    if (slash && isalpha((unsigned char)path.ptr[0]) && path.ptr[1] == ':')
        return 3;
    return path.len > 2 && path.ptr[0] == '/' && isalpha((unsigned char)path.ptr[1]) && path.ptr[2] == '/' ? 3 : 0;
}

int render_path_check(struct str path, const char *field, struct problem *problem)
{
    uint32_t drive = drive_len(path);
    bool windows = drive && path.ptr[1] == ':', well = path.len <= RENDER_PATH && str_utf8(path);

    for (uint32_t i = 0; well && i < path.len; i++)
        well = (unsigned char)path.ptr[i] >= ' ' && path.ptr[i] != 0x7f && (windows || path.ptr[i] != '\\');
    if (!well || (path.len >= 7 && memcmp(path.ptr, "assets/", 7) == 0))
        return problem_value(problem, PROBLEM_BAD_REQUEST, field, "format", path,
                             "a relative path of plain names, or one as C:/textures/wood.jpg, at most %d bytes", RENDER_PATH);
    for (uint32_t from = drive, i = drive; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/' && !(windows && path.ptr[i] == '\\'))
            continue;
        if (!name_plain((struct str){path.ptr + from, i - from}))
            return problem_value(problem, PROBLEM_FORBIDDEN, field, "asset_path", path, NULL);
        from = i + 1;
    }
    return 0;
}

void (*const render_uploads[])(struct request *request) = {render_files_upload, render_tus_patch, NULL};

/* ---- which are here ---- */

struct checked {           /* request->own */
    uint32_t count, asked; /* given; of them, hashes that may be here */
    struct str *texts;
    int32_t *place; /* of each among those asked; -1: it is no hash */
    unsigned char *md5s;
};

static void existing_write(struct writer *w, const struct checked *checked, const struct uint_list *ids)
{
    char path[BLOB_HEX + 8] = "assets/";

    writer_open(w, "existing", '[');
    for (uint32_t i = 0; i < checked->count; i++) {
        uint32_t at = (uint32_t)checked->place[i];
        if (checked->place[i] < 0 || at >= ids->count || ids->items[at] == 0)
            continue;
        blob_hex(checked->md5s + (size_t)at * BLOB_MD5, path + 7);
        writer_open(w, NULL, '{');
        writer_text(w, "hash", checked->texts[i]);
        writer_uint(w, "asset_id", ids->items[at]);
        writer_text(w, "storage_path", str_of(path));
        writer_close(w, '}');
    }
    writer_close(w, ']');
}

static void on_checked(struct request *request, const struct msg *msg)
{
    const struct checked *checked = request->own;
    const struct uint_list *ids = &msg->u.asset_checked.ids;
    struct writer w;

    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    existing_write(&w, checked, ids);
    writer_open(&w, "missing", '[');
    for (uint32_t i = 0; i < checked->count; i++) {
        uint32_t at = (uint32_t)checked->place[i];
        if (checked->place[i] < 0 || at >= ids->count || ids->items[at] == 0)
            writer_text(&w, NULL, checked->texts[i]);
    }
    writer_close(&w, ']');
    writer_close(&w, '}');
    render_close(request, &w, 200);
}

/* Copies the texts, as what was parsed goes with the handler. */
static int hashes_read(struct request *request, const json_t *hashes, struct checked *checked, struct problem *problem)
{
    struct arena *arena = request_arena(request);
    char field[32];

    checked->count = (uint32_t)json_array_size(hashes);
    checked->texts = request_alloc(request, checked->count * sizeof *checked->texts + 1);
    checked->place = request_alloc(request, checked->count * sizeof *checked->place + 1);
    checked->md5s = request_alloc(request, (size_t)checked->count * BLOB_MD5 + 1);
    if (!checked->texts || !checked->place || !checked->md5s)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    for (uint32_t i = 0; i < checked->count; i++) {
        const json_t *item = json_array_get(hashes, i);
        if (!json_is_string(item)) {
            snprintf(field, sizeof field, "hashes[%u]", i);
            return problem_json(problem, field, "type", item, "string");
        }
        struct str text = {json_string_value(item), (uint32_t)json_string_length(item)};
        checked->texts[i] = arena_str(arena, text);
        if (text.len && !checked->texts[i].ptr)
            return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
        bool hash = blob_read_hex(text, checked->md5s + (size_t)checked->asked * BLOB_MD5);
        checked->place[i] = hash ? (int32_t)checked->asked++ : -1;
    }
    return 0;
}

void render_files_check(struct request *request)
{
    struct checked *checked = request->own = request_alloc(request, sizeof *checked);
    struct problem problem;

    if (!checked) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *checked = (struct checked){0};
    if (request_read_json(request, &problem) != 0)
        goto error;
    const json_t *hashes = json_object_get(request->json, "hashes");
    if (!hashes || json_is_null(hashes)) {
        problem_set(&problem, PROBLEM_INVALID, "hashes", "required");
        goto error;
    }
    if (!json_is_array(hashes) || json_array_size(hashes) > RENDER_HASHES) {
        problem_json(&problem, "hashes", "type", hashes, "list of at most %d strings", RENDER_HASHES);
        goto error;
    }
    if (hashes_read(request, hashes, checked, &problem) != 0)
        goto error;
    struct msg_asset_check asked = {.md5s = {(const char *)checked->md5s, checked->asked * BLOB_MD5}};
    ask_send(request, ASK_SCHEDULER, &shape_msg_asset_check, &asked, on_checked);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- by its hash ---- */

void render_lead_on(struct request *request, const unsigned char md5[BLOB_MD5])
{
    char address[S3_ADDRESS];

    if (!s3_link(request->gateway->s3, md5, address)) {
        render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_s3", STR_LIT("blob.s3_url"));
        return;
    }
    reply_header(request, "Location", "%s", address);
    reply_header(request, "Cache-Control", "no-store");
    reply_empty(request, 307);
}

/* Whether the store has it, as far as the farm knows. */
static void on_held(struct request *request, const struct msg *msg)
{
    const struct uint_list *ids = &msg->u.asset_checked.ids;

    if (ids->count > 0 && ids->items[0])
        render_lead_on(request, request->own);
    else
        render_refuse(request, PROBLEM_NOT_FOUND, "md5", "file_missing", request->match.args[0]);
}

static void held_ask(struct request *request, const unsigned char md5[BLOB_MD5])
{
    const struct msg_asset_held held = {.md5s = {(const char *)md5, BLOB_MD5}};

    request->own = request_alloc(request, BLOB_MD5);
    if (!request->own) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    memcpy(request->own, md5, BLOB_MD5);
    ask_send(request, ASK_SCHEDULER, &shape_msg_asset_held, &held, on_held);
}

void render_files_blob(struct request *request)
{
    struct str text = request->match.args[0];
    unsigned char md5[BLOB_MD5];
    char hex[BLOB_HEX];
    struct problem problem;

    if (request->actor.role == ROLE_READONLY) {
        problem_value(&problem, PROBLEM_FORBIDDEN, "role", "role", str_of(role_name(request->actor.role)), "worker|user|admin");
        reply_problem(request, &problem);
        return;
    }
    if (!blob_read_hex(text, md5)) {
        problem_value(&problem, PROBLEM_BAD_REQUEST, "md5", "format", text, "32 hexadecimal digits");
        reply_problem(request, &problem);
        return;
    }
    int fd = blob_open(request->gateway->settings, md5);
    if (fd < 0 && errno == ENOENT && request->gateway->s3) {
        held_ask(request, md5);
    } else if (fd < 0 && errno == ENOENT) {
        render_refuse(request, PROBLEM_NOT_FOUND, "md5", "file_missing", text);
    } else if (fd < 0) {
        render_refuse_disk(request, errno);
    } else {
        blob_hex(md5, hex);
        serve_file(request, fd, hex, "application/octet-stream");
    }
}
