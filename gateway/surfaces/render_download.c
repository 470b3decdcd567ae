/* GET /files/download/{frame_id}: what a frame was rendered to, or the small picture of it. Its worker placed both below `render.output`. */
#include <errno.h>
#include <stdio.h>

#include "gateway/beneath.h"
#include "gateway/gateway.h"
#include "gateway/serve.h"
#include "gateway/surfaces/render_files.h"

struct wanted { /* request->own */
    uint64_t id;
    bool thumbnail;
};

static const char *type_of(struct str path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{"png", "image/png"},  {"jpg", "image/jpeg"}, {"exr", "image/x-exr"},
                 {"tif", "image/tiff"}, {"bmp", "image/bmp"},  {"webp", "image/webp"}};
    uint32_t from = path.len;

    while (from > 0 && path.ptr[from - 1] != '.')
        from--;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_is((struct str){path.ptr + from, path.len - from}, types[i].ending))
            return types[i].type;
    }
    return "application/octet-stream";
}

bool render_output_folder(const struct request *request, char out[BLOB_PATH])
{
    const struct settings *settings = request->gateway->settings;
    const char *set = settings_text(settings, SET_RENDER_OUTPUT);
    int len = snprintf(out, BLOB_PATH, "%s%s", set[0] ? set : settings_text(settings, SET_DATA), set[0] ? "" : "/render");

    return len > 0 && len < BLOB_PATH;
}

static int output_open(const struct request *request, struct str path)
{
    char folder[BLOB_PATH];

    if (render_output_folder(request, folder))
        return beneath_open(folder, path);
    errno = ENAMETOOLONG;
    return -1;
}

/* It is not there, or what its worker said is no file of that folder. */
static bool is_missing(int cause)
{
    return cause == ENOENT || cause == ENOTDIR || cause == EXDEV || cause == ELOOP || cause == EINVAL || cause == ENAMETOOLONG ||
           cause == ENXIO;
}

static void on_frame(struct request *request, const struct msg *msg)
{
    const struct wanted *wanted = request->own;
    const struct rec_render_frame *frame = render_frame_row(request, &msg->u.query_rows.rows, wanted->id);
    unsigned char md5[BLOB_MD5];
    char hex[BLOB_HEX];

    if (request->out.failed) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    struct str path = !frame ? (struct str){NULL, 0} : wanted->thumbnail ? frame->thumbnail : frame->output_path;
    if (path.len == 0) {
        render_refuse(request, PROBLEM_NOT_FOUND, "frame_id", "file_missing", request->match.args[0]);
        return;
    }
    int fd = output_open(request, path);
    if (fd < 0 && is_missing(errno)) {
        render_refuse(request, PROBLEM_NOT_FOUND, "frame_id", "file_missing", path);
    } else if (fd < 0) {
        render_refuse_disk(request, errno);
    } else {
        bool hashed =
            !wanted->thumbnail && blob_read_hex(frame->output_hash, md5); /* its worker's word: nothing else goes into a header */
        if (hashed)
            blob_hex(md5, hex);
        serve_file(request, fd, hashed ? hex : NULL, type_of(path));
    }
}

static void on_task(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct wanted *wanted = request->own;
    uint64_t place = wanted->id & ((UINT64_C(1) << RENDER_FRAME_BITS) - 1);
    struct msg_get get = {.type = TYPE_RENDER_FRAME, .ids = {&wanted->id, 1}};
    struct problem problem;
    const struct rec_render_task *task = rows->count ? render_row(request, &rows->items[0]) : NULL;

    if (rows->count && (!task || !render_may(request, task->unionid)))
        return;
    if (!task || place >= task->total_frames) {
        render_refuse(request, PROBLEM_NOT_FOUND, "frame_id", "render_frame_id", request->match.args[0]);
        return;
    }
    unsigned status = render_frame_state(task, place) & 7u;
    if (status == FRAME_COMPLETED) {
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_frame);
        return;
    }
    problem_value(&problem, PROBLEM_CONFLICT, "frame_id", "render_output", str_of(render_frame_name(status)), NULL);
    reply_problem(request, &problem);
}

static int thumbnail_read(const struct request *request, bool *thumbnail, struct problem *problem)
{
    struct str word;
    int fault = 0;

    if (!request_param(request, "thumbnail", &word, problem, &fault) || fault)
        return fault;
    *thumbnail = str_is(word, "true");
    return *thumbnail || str_is(word, "false")
               ? 0
               : problem_value(problem, PROBLEM_BAD_REQUEST, "thumbnail", "enum", word, "true|false");
}

void render_files_frame(struct request *request)
{
    struct wanted *wanted = request->own = request_alloc(request, sizeof *wanted);
    uint64_t task_id;
    struct msg_get get = {.type = TYPE_RENDER_TASK, .ids = {&task_id, 1}};
    struct problem problem;

    if (!wanted) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    *wanted = (struct wanted){0};
    if (!uri_number(request->match.args[0], &wanted->id)) {
        render_refuse(request, PROBLEM_NOT_FOUND, "frame_id", "render_frame_id", request->match.args[0]);
    } else if (thumbnail_read(request, &wanted->thumbnail, &problem) != 0) {
        reply_problem(request, &problem);
    } else {
        task_id = wanted->id >> RENDER_FRAME_BITS;
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_task);
    }
}
