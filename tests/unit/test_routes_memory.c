/* One request to each route, and to it each answer that the scheduler and the store may give, with memory running out at every place
 * in turn: it is answered as it would be, or with a 503, and what comes next is answered. tests/fuzz/fuzz_request.c is what it
 * goes through; its checks hold, too. */
#include "unit.h"

#include "memory_fault.h"

#include "gateway/resources.h"
#include "gateway/route.h"
#include "gateway/surfaces/surface.h"
#include "proto/messages.h"
#include "proto/stats.h"
#include "tests/fuzz/farside.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Something of everything that bodies are asked for; what a route does not know it ignores. */
static const char body[] =
    "{\"name\":\"a name\",\"task_type\":\"shell\",\"executor\":\"shell\",\"command\":\"echo "
    "\\u00e9\",\"arguments\":[\"a\",\"b\"],"
    "\"env\":{\"A\":\"1\"},\"tags\":[\"t\"],\"priority\":\"high\",\"parameters\":{\"p\":[1,2.5,null]},\"reason\":\"because\","
    "\"limit\":3,"
    "\"ids\":[1],\"items\":[{\"parameters\":{\"n\":1}},{\"priority\":\"low\"}],\"metadata\":{\"k\":{\"deep\":true}},"
    "\"url\":\"http://example.com/hook\",\"events\":[\"task.*\"],"
    "\"hostname\":\"h\",\"ip_address\":\"::1\",\"port\":1,\"task_types\":[\"shell\"],\"labels\":{\"l\":\"v\"},\"load_average\":0."
    "5,"
    "\"hashes\":[\"0123456789abcdef0123456789abcdef\",\"x\"],"
    "\"current_tasks\":[1,{\"run_id\":2,\"attempt\":1}]}";
/* Its status is another one than a worker's. */
static const char report[] =
    "{\"attempt\":1,\"status\":\"running\",\"progress\":5,\"result\":\"r\",\"logs\":[\"a\\nb\",{\"message\":\"m\","
    "\"level\":\"warn\",\"stream\":\"stderr\",\"timestamp\":\"2024-01-01T00:00:00Z\"}]}";

static const char publish[] = "{\"attempt\":1,\"path\":\"/o/film\",\"temporary\":\"/o/.film\",\"size\":5,"
                              "\"xxh3_128\":\"99aa06d3014798d86001c324468d497f\",\"worker_id\":\"worker-001\"}";
/* What the transcode surface's are asked for; the path of the older API's only GET that takes a body has its parameters, too. */
static const char transcode[] =
    "{\"worker_name\":\"a name\",\"worker_type\":1,\"support_vr\":0,\"worker_id\":1,\"dest_path\":\"/out\",\"action\":"
    "\"offline\",\"progress\":1.5,\"status\":1,\"elapsed_time\":1,\"task_id\":\"1\",\"log_level\":1,"
    "\"log_message\":\"m\",\"transcode_status\":1,\"library\":\"/l\"}";

/* What the render surface's are. */
static const char render[] =
    "{\"unionid\":\"u\",\"oss_file_path\":\"a.blend\",\"render_engine\":\"blender\",\"test_frames\":\"1\",\"ram\":16,"
    "\"plugins\":{\"p\":\"1\"},\"task_info\":{\"renderer\":\"cycles\"},\"task_ids\":[1,2],"
    "\"hashes\":[\"0123456789abcdef0123456789abcdef\",\"x\"]}";

static struct buf input;
static unsigned expected; /* the status without a fault, and how long the answer is */
static size_t expected_bytes;
static bool whole; /* nothing may be left out: the page for people says of a part that it is unknown */

/* What is measured of this process and its machine would be a digit longer now and then (tests/memory.cmake). */
void __wrap_stats_process(struct stats *stats);
void __wrap_resources_read(const struct resources *resources, struct resources_now *now);

void __wrap_stats_process(struct stats *stats)
{
    static const char *const names[] = {"process_cpu_us",     "process_memory_bytes", "process_fds", "process_fds_max",
                                        "process_started_ms", "bus_received",         "bus_sent",    "bus_refused",
                                        "log_lines",          "log_unread",           "log_unsent"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        stats_count(stats, names[i], 1000000);
}

void __wrap_resources_read(const struct resources *resources, struct resources_now *now)
{
    (void)resources;
    *now = (struct resources_now){.cpu_percent = 1, .memory_mb = 1000, .bytes_in = 1000000, .bytes_out = 1000000};
}

static void step_add(unsigned op, struct str bytes)
{
    const unsigned char head[4] = {(unsigned char)op, 1, (unsigned char)bytes.len, (unsigned char)(bytes.len >> 8)};
    assert_int_equal(buf_add(&input, head, sizeof head), 0);
    assert_int_equal(buf_add(&input, bytes.ptr, bytes.len), 0);
}

static const char *body_of(const struct route *route)
{
    if (strcmp(route->path, "/runs/{id}/report") == 0)
        return report;
    return strcmp(route->path, "/runs/{id}/publish") == 0 ? publish : body;
}

/* The route's path with ids at its {…}, and what a list takes as its query. */
static void request_add(const struct surface *surface, const struct route *route)
{
    struct buf text = {0};
    buf_printf(&text, "%s %s", method_name(route->method), surface->prefix);
    for (const char *at = route->path; *at; at += *at != '\0') {
        size_t plain = strcspn(at, "{");
        buf_add(&text, at, plain);
        at += plain;
        if (*at == '{') {
            buf_text(&text, "1");
            at += strcspn(at, "}");
        }
    }
    if (strcmp(route->path, "/schedules/preview") == 0)
        buf_text(&text, "?schedule=@daily");
    if (strcmp(route->path, "/task/new") == 0)
        buf_text(&text, "?worker_id=1&worker_name=w");
    if (route->method == METHOD_DELETE)
        buf_text(&text, "?before=2024-01-01");
    buf_text(&text, "\nHost: localhost\nContent-Type: application/json\nIdempotency-Key: a key\nAccept-Language: en\n\n");
    if (route->method != METHOD_GET)
        buf_text(&text, surface == &surface_transcode ? transcode : surface == &surface_render ? render : body_of(route));
    step_add(STEP_REQUEST, buf_str(&text));
    buf_free(&text);
}

static void run(void)
{
    fuzz_request_status = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)input.data, input.len);
}

static void step(void)
{
    run();
    memory_countdown = 0;
    if (fuzz_request_status != expected && !(memory_short() && (fuzz_request_status == 503 || fuzz_request_status == 0)))
        fail_msg("%.*s\nis answered %u, expected %u", 80, input.data + 4, fuzz_request_status, expected);
    /* A sentence may be left out of an error, nothing of what was asked for. */
    if (fuzz_request_status == expected && expected < 400 && whole && fuzz_request_bytes != expected_bytes)
        fail_msg("%.*s\nis answered with %zu bytes, expected %zu", 80, input.data + 4, fuzz_request_bytes, expected_bytes);
}

/* What the other processes say to a request's first and second question, and, if it has one, its third. */
struct replies {
    struct buf first, second, third;
};

static void reply_add(struct buf *out, const struct shape *shape, const void *value)
{
    struct err err = {0};
    if (codec_encode(out, shape, value, 1, (struct str){0}, &err) != 0)
        fail_msg("%s", err.text);
}

static void reply_row(struct buf *out, const struct shape *shape, const void *record)
{
    struct buf bytes = {0};
    struct err err = {0};
    if (codec_encode_record(&bytes, shape, record, &err) != 0)
        fail_msg("%s", err.text);
    struct rec_row row = {.id = 1, .value = buf_str(&bytes)};
    struct msg_query_rows rows = {.rows = {&row, 1}, .total = 1};
    reply_add(out, &shape_msg_query_rows, &rows);
    buf_free(&bytes);
}

/* Those that the render farm's records and answers take, behind count others; answers how many there are. */
static unsigned replies_render(struct replies *out, unsigned count)
{
    struct rec_render_task scene = {.id = 1,
                                    .unionid = STR_LIT("u"),
                                    .oss_file_path = STR_LIT("a.blend"),
                                    .render_engine = STR_LIT("blender"),
                                    .start_frame = 1,
                                    .total_frames = 2,
                                    .frame_timeout = 1,
                                    .task_timeout = 1,
                                    .status = RENDER_COMPLETED,
                                    .frames = STR_LIT("\0\2\2")};
    struct rec_render_frame frame = {.id = 1 << RENDER_FRAME_BITS, .task_id = 1, .number = 1, .output_path = STR_LIT("a.png")};
    struct rec_render_task stored = scene;
    struct msg_asset_found found = {.asset_id = 1, .md5 = STR_LIT("0123456789abcdef")};
    struct msg_scene_state unread = {0};
    stored.scene_md5 = STR_LIT("30313233343536373839616263646566");
    struct msg_render_answer rendering = {.task = scene};
    struct msg_render_fitting fitting = {0};
    reply_row(&out[count].first, &shape_rec_render_task, &scene);
    reply_row(&out[count++].second, &shape_rec_render_frame, &frame);
    reply_row(&out[count].first, &shape_rec_render_task, &stored);
    reply_add(&out[count].second, &shape_msg_asset_found, &found);
    reply_add(&out[count++].third, &shape_msg_scene_state, &unread);
    reply_add(&out[count].first, &shape_msg_render_answer, &rendering);
    reply_add(&out[count++].second, &shape_msg_render_fitting, &fitting);
    reply_add(&out[count].first, &shape_msg_render_fitting, &fitting);
    reply_add(&out[count++].second, &shape_msg_render_fitting, &fitting);
    return count;
}

/* The same of the recorder. */
static unsigned replies_recorder(struct replies *out, unsigned count)
{
    struct rec_recorder_stream stream = {
        .rtsp_url = STR_LIT("rtsp://h/1"), .duration_seconds = 1, .weight = 1, .output_filename = STR_LIT("a.mp4")};
    struct rec_recorder_stream streams[] = {stream, stream};
    struct rec_recorder_global global = {.max_concurrent_streams = 1, .total_poll_duration_seconds = 1};
    struct rec_recorder_config config = {.id = 1, .folder = STR_LIT("/o"), .global = global, .streams = {streams, 2}};
    struct msg_recorder_configured configured = {.global = global, .stream = stream, .count = 2};
    struct msg_recorder_view view = {.state = {.id = 1}, .loaded = true};
    SET_HAS(&configured, msg_recorder_configured, stream);
    reply_row(&out[count].first, &shape_rec_recorder_config, &config);
    reply_add(&out[count++].second, &shape_msg_recorder_configured, &configured);
    reply_add(&out[count].first, &shape_msg_recorder_configured, &configured);
    reply_add(&out[count++].second, &shape_msg_recorder_configured, &configured);
    reply_row(&out[count].first, &shape_rec_recorder_config, &config);
    reply_add(&out[count++].second, &shape_msg_recorder_view, &view);
    reply_add(&out[count].first, &shape_msg_recorder_view, &view);
    reply_add(&out[count++].second, &shape_msg_recorder_view, &view);
    return count;
}

/* Any answer of each kind, and those that single records, logs and health take; answers how many there are. */
static unsigned replies_make(struct replies *out)
{
    struct rec_task task = {.id = 1, .spec = {.name = STR_LIT("a name")}};
    struct rec_run run = {.id = 1, .task_id = 1, .task_name = STR_LIT("a name"), .status = RUN_COMPLETED};
    struct rec_task scheduled = {.id = 1, .spec = {.name = STR_LIT("a name"), .schedule = STR_LIT("@daily")}};
    struct rec_fire fire = {.id = 1, .task_id = 1, .due_at = 1, .last_due_at = 1, .count = 1, .outcome = FIRE_RAN, .run_id = 1};
    struct rec_fire_time time = {.at = 1000, .offset = -3600};
    struct msg_fire_times_rows times = {.times = {&time, 1}};
    struct rec_log_entry entry = {.id = 1, .service = STR_LIT("store"), .code = STR_LIT("GTY-A"), .text = STR_LIT("run=1 words")};
    struct rec_log_line line = {.seq = 1, .at = 1, .text = STR_LIT("a line")};
    struct msg_log_rows lines = {.lines = {&line, 1}, .end = true};
    struct rec_bulk_result result = {.id = 1, .code = ERR_CONFLICT, .rule = STR_LIT("final")};
    struct msg_run_bulk_answer bulk = {.results = {&result, 1}, .end = true};
    struct msg_done done = {.id = 1};
    struct msg_pong pong = {.service = STR_LIT("store"), .pid = 1, .ready = true};
    struct rec_webhook webhook = {.id = 1, .spec.url = STR_LIT("http://example.com/"), .ident = STR_LIT("x")};
    struct rec_delivery delivery = {.id = 1, .webhook_id = 1, .event = {.id = 1, .type = STR_LIT("task.created")}};
    struct msg_delivery_answer begun = {.delivery = delivery};
    struct rec_transcode_task transcoded = {
        .id = 1, .video_id = 1, .root = STR_LIT("/l"), .video_path = STR_LIT("a.mp4"), .status = TRANSCODE_COMPLETED};
    struct rec_video video = {.id = 1, .root = STR_LIT("/l"), .path = STR_LIT("a.mp4")};
    struct rec_transcode_log said = {.id = 1, .text = STR_LIT("a line")};
    struct rec_transcode_worker coder = {.id = 1, .name = STR_LIT("w")};
    struct msg_transcode_worker_rows coders = {.workers = {&coder, 1}, .total = 1};
    struct msg_transcode_pulled pulled = {.task = transcoded};
    struct msg_video_checking checking = {.run_id = 1};
    struct msg_health_state health = {.sweep = {.id = 1, .begun_at = 1}};
    unsigned count = 0;
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&scheduled.spec, rec_task_spec, name);
    SET_HAS(&scheduled.spec, rec_task_spec, schedule);
    SET_HAS(&pulled, msg_transcode_pulled, task);
    SET_HAS(&health, msg_health_state, sweep);

    for (const uint16_t *id = fuzz_request_answers; *id; id++, count++) {
        const uint16_t ids[] = {*id, 0};
        struct dice dice = {*id};
        frame_make(&dice, frame_shape(&dice, ids), &out[count].first);
        assert_int_equal(buf_add(&out[count].second, out[count].first.data, out[count].first.len), 0);
    }
    reply_row(&out[count].first, &shape_rec_task, &task);
    reply_row(&out[count++].second, &shape_rec_task, &task);
    reply_row(&out[count].first, &shape_rec_run, &run);
    reply_add(&out[count++].second, &shape_msg_log_rows, &lines);
    reply_row(&out[count].first, &shape_rec_task, &task);
    reply_row(&out[count++].second, &shape_rec_fire, &fire);
    reply_row(&out[count].first, &shape_rec_task, &scheduled);
    reply_add(&out[count++].second, &shape_msg_fire_times_rows, &times);
    reply_row(&out[count].first, &shape_rec_webhook, &webhook);
    reply_row(&out[count++].second, &shape_rec_delivery, &delivery);
    reply_row(&out[count].first, &shape_rec_delivery, &delivery);
    reply_add(&out[count++].second, &shape_msg_delivery_answer, &begun);
    reply_row(&out[count].first, &shape_rec_log_entry, &entry);
    reply_row(&out[count++].second, &shape_rec_log_entry, &entry);
    reply_add(&out[count].first, &shape_msg_pong, &pong);
    reply_add(&out[count++].second, &shape_msg_pong, &pong);
    reply_row(&out[count].first, &shape_rec_run, &run);
    reply_add(&out[count++].second, &shape_msg_run_bulk_answer, &bulk);
    reply_add(&out[count].first, &shape_msg_run_bulk_answer, &bulk);
    reply_add(&out[count++].second, &shape_msg_run_bulk_answer, &bulk);
    reply_row(&out[count].first, &shape_rec_run, &run);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_row(&out[count].first, &shape_rec_transcode_task, &transcoded);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_row(&out[count].first, &shape_rec_video, &video);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_row(&out[count].first, &shape_rec_transcode_log, &said);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_add(&out[count].first, &shape_msg_transcode_worker_rows, &coders);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_add(&out[count].first, &shape_msg_transcode_pulled, &pulled);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_add(&out[count].first, &shape_msg_video_checking, &checking);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    reply_add(&out[count].first, &shape_msg_health_state, &health);
    reply_add(&out[count++].second, &shape_msg_done, &done);
    return replies_recorder(out, replies_render(out, count));
}

static bool needs_files(const struct surface *surface, const struct route *route)
{
    static const struct {
        const struct surface *surface;
        const char *path;
    } begins[] = {
        {&surface_transcode, "/stream/"},      {&surface_render, "/files/upload"},
        {&surface_render, "/files/download"},  {&surface_render, "/files/link"},
        {&surface_render, "/files/blob"},      {&surface_render, "/files/tus"},
        {&surface_render, "/scene/"},          {&surface_recorder, "/timestamp"},
        {&surface_recorder, "/video"},         {&surface_recorder, "/config/save"},
        {&surface_recorder, "/config/reload"}, {&surface_recorder, "/scheduler/start"},
        {&surface_recorder, "/retention"},     {&surface_recorder, "/disk"},
        {&surface_recorder, "/streams/"},      {&surface_render, "/tasks/{id}/results"},
        {&surface_render, "/files/gc"},
    };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (surface == begins[i].surface && strncmp(route->path, begins[i].path, strlen(begins[i].path)) == 0)
            return true;
    return false;
}

static void answered_each(const struct surface *surface, const struct route *route, const struct replies *replies, unsigned count)
{
    bool well = false;
    whole = surface != &surface_web;
    for (unsigned i = 0; i < count; i++) {
        buf_reset(&input);
        request_add(surface, route);
        step_add(STEP_ANSWER, buf_str(&replies[i].first));
        step_add(STEP_ANSWER, buf_str(&replies[i].second));
        if (replies[i].third.len)
            step_add(STEP_ANSWER, buf_str(&replies[i].third));
        run();
        expected = fuzz_request_status;
        expected_bytes = fuzz_request_bytes;
        well = well || expected < 400;
        memory_hard(step);
    }
    if (!well && !needs_files(surface, route))
        fail_msg("%s %s ends well with no reply", method_name(route->method), route->path);
}

static void on_checks(bool begins)
{
    memory_watched = !begins;
}

static void test_every_route(void **state)
{
    static struct replies replies[64];
    unsigned routes = 0, count = replies_make(replies);
    (void)state;
    fuzz_request_checks = on_checks;
    for (const struct surface *const *surface = surfaces_all; *surface; surface++)
        for (const struct route *route = (*surface)->routes; route->handle; route++, routes++)
            answered_each(*surface, route, replies, count);
    assert_true(routes > 15);
    assert_true(memory_refused > 1000);
    for (unsigned i = 0; i < count; i++) {
        buf_free(&replies[i].first);
        buf_free(&replies[i].second);
    }
    buf_free(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_route)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
