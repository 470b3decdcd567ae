/* /api/v1/videos */
#include <stdio.h>

#include "gateway/gateway.h"
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

/* How long it would take, where that is known; estimates may be NULL. */
static void write_estimate(struct writer *w, const struct msg *estimates, uint64_t id)
{
    const struct rec_transcode_estimate_list *list = estimates ? &estimates->u.transcode_estimates.videos : NULL;

    for (uint32_t i = 0; list && i < list->count; i++) {
        if (list->items[i].id == id) {
            writer_uint(w, "estimated_time", list->items[i].seconds);
            return;
        }
    }
    writer_null(w, "estimated_time");
}

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

struct listed {           /* request->own */
    struct api_page page; /* the first, as pages are looked for there */
    struct rec_video *videos;
    const struct rec_video_check **checks; /* the newest of each; NULL: there was none */
    uint32_t count;
    uint64_t total;
    bool lower_bound;
};

static void listed_write(struct request *request, const struct msg *estimates)
{
    const struct listed *listed = request->own;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_open(&w, "videos", '[');
    for (uint32_t i = 0; i < listed->count; i++) {
        video_open(&w, NULL, &listed->videos[i]);
        write_estimate(&w, estimates, listed->videos[i].id);
        check_write(&w, listed->checks[i]);
        writer_close(&w, '}');
    }
    writer_close(&w, ']');
    api_page_write(&w, &listed->page, listed->total, listed->lower_bound);
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

/* Reads the rows into memory that outlives their message. False: there is no room for them. */
static bool listed_read(struct request *request, struct listed *listed, const struct rec_row_list *rows)
{
    struct arena *arena = request_arena(request);
    size_t bytes = 0;

    listed->videos = request_alloc(request, rows->count * sizeof *listed->videos + 1);
    listed->checks = request_alloc(request, rows->count * sizeof *listed->checks + 1);
    for (uint32_t i = 0; arena && listed->videos && listed->checks && i < rows->count; i++) {
        const struct rec_row *from = &rows->items[i];
        struct rec_row row = {.id = from->id, .value = arena_str(arena, from->value), .also = arena_str(arena, from->also)};
        struct rec_video *video = &listed->videos[listed->count];
        bytes += row.value.len + row.also.len;
        if (!row.value.ptr || !row.also.ptr)
            return false;
        if (row_video(request, &row, video))
            listed->checks[listed->count++] = video->health ? row_check(request, row.also) : NULL;
        if (request->out.failed)
            return false;
    }
    return arena && listed->videos && listed->checks && budget_hold(&request->gateway->budget, &request->held, bytes);
}

static bool is_open(const struct rec_video *video)
{
    return video->transcode_status == VIDEO_WAITING || video->transcode_status == VIDEO_FAILED;
}

/* What those that wait would take only the scheduler knows; without it they are listed all the same. */
static void listed_estimate(struct request *request, struct listed *listed)
{
    uint64_t *ids = request_alloc(request, listed->count * sizeof *ids + 1);
    struct msg_transcode_estimate ask = {.video_ids = {ids, 0}};

    for (uint32_t i = 0; ids && i < listed->count; i++) {
        if (is_open(&listed->videos[i]))
            ids[ask.video_ids.count++] = listed->videos[i].id;
    }
    request->own = listed;
    if (ask.video_ids.count)
        ask_soft(request, ASK_SCHEDULER, &shape_msg_transcode_estimate, &ask, listed_write);
    else
        listed_write(request, NULL);
}

static void on_listed(struct request *request, const struct msg *msg)
{
    const struct msg_query_rows *rows = &msg->u.query_rows;
    struct listed *listed = request_alloc(request, sizeof *listed);

    if (!listed || !listed_read(request, listed, &rows->rows)) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    listed->page = *(const struct api_page *)request->own;
    listed->total = rows->total;
    listed->lower_bound = rows->total_is_lower_bound;
    listed_estimate(request, listed);
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
    const struct rec_video_check *check;
};

static void shown_write(struct request *request, const struct msg *estimates)
{
    const struct shown *shown = request->own;
    struct writer w;

    api_open(request, &w, 200, TEXT_API_OK);
    video_open(&w, "data", &shown->video);
    check_write(&w, shown->check);
    write_estimate(&w, estimates, shown->video.id);
    video_more(&w, &shown->video);
    if (shown->has_detail)
        writer_map(&w, "detail", shown->detail.detail);
    else
        writer_null(&w, "detail");
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

static void shown_estimate(struct request *request)
{
    struct shown *shown = request->own;
    struct msg_transcode_estimate ask = {.video_ids = {&shown->video.id, 1}};

    if (is_open(&shown->video))
        ask_soft(request, ASK_SCHEDULER, &shape_msg_transcode_estimate, &ask, shown_write);
    else
        shown_write(request, NULL);
}

static void on_check(struct request *request, const struct msg *msg)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct shown *shown = request->own;

    if (rows->count) /* what it borrows has to outlive its message */
        shown->check = row_check(request, arena_str(request_arena(request), rows->items[0].value));
    shown_estimate(request);
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
        shown_estimate(request);
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
    write_estimate(&w, NULL, video->id);
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
