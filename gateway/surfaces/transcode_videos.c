/* /api/v1/videos */
#include <stdio.h>

#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

#define PAGE_DEFAULT 20
#define MIB 1048576.0

static const struct api_sort sorts[] = {
    {"id", ""},
    {"video_path", "path"},
    {"codec", "codec"},
    {"bitrate_k", "bitrate_k"},
    {"resolutionall", "pixels"},
    {"video_size", "size"},
    {"transcode_status", "transcode_status"},
    {"updatetime", "updated_at"},
    {"update_time", "updated_at"},
    {NULL, NULL},
};

/* ---- one video; the object stays open ---- */

static void video_open(struct writer *w, const char *key, const struct rec_video *video)
{
    writer_open(w, key, '{');
    writer_uint(w, "id", video->id);
    writer_text(w, "video_path", video->path);
    writer_text(w, "codec", video->codec);
    writer_uint(w, "bitrate_k", video->bitrate_k);
    writer_real(w, "video_size", (double)video->size / MIB);
    writer_real(w, "fps", video->fps);
    writer_open(w, "resolution", '{');
    writer_uint(w, "width", video->width);
    writer_uint(w, "height", video->height);
    writer_close(w, '}');
    writer_uint(w, "is_vr", video->is_vr);
    writer_uint(w, "transcode_status", video->transcode_status);
    if (video->task_id)
        writer_uint(w, "transcode_task_id", video->task_id);
    else
        writer_null(w, "transcode_task_id");
    writer_time(w, "update_time", video->updated_at);
    writer_text_or_null(w, "error", video->error);
    writer_text_or_null(w, "reason", video->reason);
    writer_uint(w, "health", video->health);
}

/* What the newest look at the whole of it came to; NULL: there was none. */
static void check_write(struct writer *w, const struct rec_video_check *check)
{
    if (!check) {
        writer_null(w, "health_check");
        return;
    }
    writer_open(w, "health_check", '{');
    writer_uint(w, "run_id", check->run_id);
    writer_time(w, "at", check->at);
    writer_uint(w, "errors", check->errors);
    writer_text_or_null(w, "error", check->error);
    writer_close(w, '}');
}

static void video_more(struct writer *w, const struct rec_video *video)
{
    writer_text(w, "library", video->root);
    writer_text_or_null(w, "container", video->container);
    writer_uint(w, "duration_ms", video->duration_ms);
    writer_uint(w, "attempts", video->attempts);
    writer_bool(w, "excluded", video->excluded);
    writer_bool(w, "bumped", video->bumped);
    writer_time(w, "found_at", video->created_at);
}

/* Of a row that brought it along; NULL: it did not, or it cannot be read. */
static const struct rec_video_check *row_check(struct request *request, struct str also)
{
    struct rec_video_check *check = also.len ? request_alloc(request, sizeof *check) : NULL;
    struct err err;

    return check && rec_decode_video_check(request_arena(request), also, check, &err) == 0 ? check : NULL;
}

/* False (told) when the row is damaged, or memory is short: then the answer as a whole fails. */
static bool row_video(struct request *request, const struct rec_row *row, struct rec_video *video)
{
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY, .text = "out of memory"};

    if (arena && rec_decode_video(arena, row->value, video, &err) == 0)
        return true;
    if (err.code == ERR_NO_MEMORY)
        request->out.failed = true;
    else
        log_error("GTY-ROW-DAMAGED", "id=%llu %s", (unsigned long long)row->id, err.text);
    return false;
}

/* ---- the list ---- */

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_open(&w, "videos", '[');
    for (uint32_t i = 0; i < rows->rows.count; i++) {
        struct rec_video video;
        if (!row_video(request, &rows->rows.items[i], &video))
            continue;
        video_open(&w, NULL, &video);
        check_write(&w, video.health ? row_check(request, rows->rows.items[i].also) : NULL);
        writer_close(&w, '}');
    }
    writer_close(&w, ']');
    api_page_write(&w, request->own, rows->total, rows->total_is_lower_bound);
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

static void codecs_filter(struct rec_filter_list *filters, const struct str_list *codecs)
{
    struct rec_filter *filter = &filters->items[filters->count++];

    *filter = (struct rec_filter){.field = STR_LIT("codec"), .op = codecs->count == 1 ? FILTER_EQ : FILTER_ANY};
    if (codecs->count == 1)
        filter->text = codecs->items[0];
    else
        filter->texts = *codecs;
}

static int filters_read(struct request *request, struct msg_query *query, struct problem *problem)
{
    struct rec_filter_list *filters = &query->filters;
    struct str_list codecs;
    uint64_t number = 0;
    double size = 0;
    int fault = 0;

    if (api_param_bits(request, "transcode_status", VIDEO_FAILED, &number, problem, &fault))
        api_filter_bits(filters, "transcode_status", number);
    if (api_param_bits(request, "health", VIDEO_DAMAGED, &number, problem, &fault))
        api_filter_bits(filters, "health", number);
    if (api_param_uint(request, "is_vr", 0, 1, &number, problem, &fault))
        api_filter(filters, "is_vr", FILTER_EQ, number);
    if (!fault && api_param_texts(request, "codec", &codecs, problem, &fault))
        codecs_filter(filters, &codecs);
    if (api_param_uint(request, "min_bitrate", 0, INT64_MAX, &number, problem, &fault))
        api_filter(filters, "bitrate_k", FILTER_GE, number);
    if (api_param_uint(request, "max_bitrate", 0, INT64_MAX - 1, &number, problem, &fault))
        api_filter(filters, "bitrate_k", FILTER_LT, number + 1);
    if (api_param_real(request, "min_size", &size, problem, &fault))
        api_filter(filters, "size", FILTER_GE, (uint64_t)(size * MIB));
    if (api_param_real(request, "max_size", &size, problem, &fault))
        api_filter(filters, "size", FILTER_LT, (uint64_t)(size * MIB) + 1);
    if (!fault)
        request_param(request, "search", &query->search, problem, &fault);
    if (!fault && query->search.len > 256)
        fault = problem_value(problem, PROBLEM_BAD_REQUEST, "search", "length", query->search, "1..256 bytes");
    return fault;
}

void api_videos_list(struct request *request)
{
    struct rec_filter filters[9];
    struct msg_query query = {.type = TYPE_VIDEO, .filters = {filters, 0}, .also = TYPE_VIDEO_CHECK};
    struct problem problem;

    if (!api_page_read(request, PAGE_DEFAULT, sorts, &problem) || filters_read(request, &query, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    api_page_ask(request, &query, on_listed);
}

/* ---- one ---- */

static void answer_none(struct request *request)
{
    struct problem problem;

    api_none(&problem, "id", "video_missing");
    reply_problem(request, &problem);
}

struct shown { /* request->own: what was read so far, in the request's memory */
    struct rec_video video;
    struct rec_video_detail detail;
    bool has_detail;
};

static void shown_write(struct request *request, const struct rec_video_check *check)
{
    const struct shown *shown = request->own;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    video_open(&w, "data", &shown->video);
    check_write(&w, check);
    video_more(&w, &shown->video);
    if (shown->has_detail)
        writer_map(&w, "detail", shown->detail.detail);
    else
        writer_null(&w, "detail");
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

static void on_check(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;

    shown_write(request, rows->count ? row_check(request, rows->items[0].value) : NULL);
}

/* The row as copies that outlive their message. False, and answered: it cannot be read, or there is no memory. */
static bool shown_read(struct request *request, const struct rec_row *row)
{
    struct shown *shown = request->own = request_alloc(request, sizeof *shown);
    struct arena *arena = request_arena(request);
    struct rec_row kept = {.id = row->id};
    struct err err;

    if (!shown || !arena || !(kept.value = arena_str(arena, row->value)).ptr || !(kept.also = arena_str(arena, row->also)).ptr) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return false;
    }
    if (!row_video(request, &kept, &shown->video)) {
        reply_problem_kind(request, request->out.failed ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
        return false;
    }
    shown->has_detail = kept.also.len && rec_decode_video_detail(arena, kept.also, &shown->detail, &err) == 0;
    return true;
}

static void on_one(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    const struct shown *shown;

    if (rows->count == 0) {
        answer_none(request);
        return;
    }
    if (!shown_read(request, rows->items))
        return;
    shown = request->own;
    uint64_t id = shown->video.id;
    struct msg_get get = {.type = TYPE_VIDEO_CHECK, .ids = {&id, 1}};
    if (shown->video.health)
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_check);
    else
        shown_write(request, NULL);
}

void api_videos_get(struct request *request)
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_VIDEO, .ids = {&id, 1}, .also = TYPE_VIDEO_DETAIL};
    struct problem problem;

    if (api_path_id(request, "id", "video_missing", &id, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_STORE, &shape_msg_get, &get, on_one);
}

/* ---- queued, excluded and put first by hand ---- */

static void on_set(struct request *request, const struct msg *msg)
{
    const struct rec_video *video = &msg->u.video_answer.video;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_UPDATED);
    video_open(&w, "data", video);
    video_more(&w, video);
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

void api_videos_set(struct request *request)
{
    struct msg_video_set asked = {0};
    struct problem problem;
    int status, bumped;

    if (api_path_id(request, "id", "video_missing", &asked.id, &problem) != 0 || request_read_json(request, &problem) != 0 ||
        (status = api_uint(request, "transcode_status", API_OPTIONAL, 0, 1, &asked.transcode_status, &problem)) < 0 ||
        (bumped = api_bool(request, "bumped", &asked.bumped, &problem)) < 0)
        goto error;
    if (!status && !bumped) {
        problem_set(&problem, PROBLEM_INVALID, "transcode_status", "required");
        goto error;
    }
    if (status)
        SET_HAS(&asked, msg_video_set, transcode_status);
    if (bumped)
        SET_HAS(&asked, msg_video_set, bumped);
    if (request_idem(request, &asked.idem, &problem) != 0)
        goto error;
    ask_send(request, ASK_SCHEDULER, &shape_msg_video_set, &asked, on_set);
    return;
error:
    reply_problem(request, &problem);
}

/* ---- scanned ---- */

static void on_scanning(struct request *request, const struct msg *msg)
{
    const struct uint_list *runs = &msg->u.library_scanning.run_ids;
    struct writer w;

    api_open(request, &w, 201, TEXT_API_SCANNING);
    writer_open(&w, "data", '{');
    writer_open(&w, "run_ids", '[');
    for (uint32_t i = 0; i < runs->count; i++)
        writer_uint(&w, NULL, runs->items[i]);
    writer_close(&w, ']');
    writer_close(&w, '}');
    api_close(request, &w, 201);
}

void api_videos_scan(struct request *request)
{
    struct msg_library_scan asked = {0};
    struct problem problem;

    if (request_read_json(request, &problem) != 0 ||
        api_text(request, "library", API_OPTIONAL, 4095, &asked.root, &problem) < 0 ||
        request_idem(request, &asked.idem, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    ask_send(request, ASK_SCHEDULER, &shape_msg_library_scan, &asked, on_scanning);
}
