/* The scheduler surface's words for tasks, runs, workers and errors: the seed's shapes, key by key. */
#include "tests/unit/unit.h"

#include "gateway/surfaces/scheduler.h"

static struct request request;

static int begin(void **state)
{
    (void)state;
    request = (struct request){.rid = "req_1"};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_free(&request.out);
    return 0;
}

/* The document that f wrote as the value of "data" (or as the item of a list). */
static json_t *document(void)
{
    json_error_t error;
    json_t *value;

    buf_add(&request.out, "}", 1);
    value = json_loadb(request.out.data, request.out.len, 0, &error);
    if (!value)
        fail_msg("%s in %.*s", error.text, (int)request.out.len, request.out.data);
    return value;
}

static struct writer open_document(void)
{
    struct writer w = {.out = &request.out};
    buf_reset(&request.out);
    writer_open(&w, NULL, '{');
    return w;
}

static void assert_keys(json_t *object, const char *const *keys)
{
    size_t count = 0;
    for (; keys[count]; count++) {
        if (!json_object_get(object, keys[count]))
            fail_msg("%s is missing", keys[count]);
    }
    assert_int_equal(json_object_size(object), count);
}

static const struct rec_task task = {
    .id = 1,
    .spec = {.name = {"n", 1},
             .task_type = {"python", 6},
             .executor = {"python", 6},
             .command = {"c", 1},
             .priority = PRIORITY_NORMAL},
    .created_at = 1000,
    .updated_at = 2000,
};

static void test_task_has_the_seeds_keys(void **state)
{
    static const char *const keys[] = {"id",         "name",       "description", "task_type",   "executor",        "command",
                                       "arguments",  "schedule",   "priority",    "retry_count", "timeout_seconds", "status",
                                       "created_at", "updated_at", "last_run_at", "next_run_at", "dependencies",    "tags",
                                       "metadata",   NULL};
    static const char *const statistics[] = {
        "total_runs", "successful_runs", "failed_runs", "average_execution_time", "last_execution_status", NULL};
    struct rec_task_stat stat = {
        .total = 2, .completed = 2, .duration_ms = 61000, .last_final_id = 5, .last_status = RUN_COMPLETED, .next_run_at = 9000};
    struct writer w = open_document();
    (void)state;

    task_write(&w, &task, NULL, false);
    json_t *document_of = document();
    assert_keys(json_object_get(document_of, "data"), keys);
    assert_string_equal(json_string_value(json_object_get(json_object_get(document_of, "data"), "created_at")),
                        "1970-01-01T00:00:01Z");
    json_decref(document_of);

    w = open_document();
    task_write(&w, &task, &stat, true);
    document_of = document();
    json_t *data = json_object_get(document_of, "data");
    assert_keys(json_object_get(data, "statistics"), statistics);
    assert_true(json_real_value(json_object_get(json_object_get(data, "statistics"), "average_execution_time")) > 30.4);
    assert_string_equal(json_string_value(json_object_get(json_object_get(data, "statistics"), "last_execution_status")),
                        "success");
    assert_true(json_is_string(json_object_get(data, "next_run_at")));
    json_decref(document_of);
}

static void test_paused_task_has_no_next_run(void **state)
{
    struct rec_task paused = task;
    struct rec_task_stat stat = {.next_run_at = 9000};
    struct writer w = open_document();
    (void)state;

    paused.status = TASK_PAUSED;
    task_write(&w, &paused, &stat, false);
    json_t *document_of = document();
    assert_true(json_is_null(json_object_get(json_object_get(document_of, "data"), "next_run_at")));
    json_decref(document_of);
}

static void test_run_has_the_seeds_keys(void **state)
{
    static const char *const brief[] = {"id",           "task_id", "task_name",     "worker_id",   "status",     "started_at",
                                        "completed_at", "result",  "error_message", "retry_count", "created_at", NULL};
    struct rec_attempt attempts[] = {{.number = 1, .outcome = OUTCOME_COMPLETED, .exit_code = 0}};
    struct rec_run run = {.id = 123,
                          .task_id = 1,
                          .status = RUN_COMPLETED,
                          .created_at = 1000,
                          .started_at = 1000,
                          .completed_at = 31500,
                          .attempts = {attempts, 1}};
    struct writer w = open_document();
    (void)state;

    SET_HAS(&attempts[0], rec_attempt, exit_code);
    writer_open(&w, "items", '[');
    run_write_brief(&w, &run, NULL);
    writer_close(&w, ']');
    json_t *document_of = document();
    assert_keys(json_array_get(json_object_get(document_of, "items"), 0), brief);
    json_decref(document_of);

    w = open_document();
    run_write_open(&w, &run, NULL);
    writer_close(&w, '}');
    document_of = document();
    json_t *data = json_object_get(document_of, "data");
    assert_true(json_real_value(json_object_get(data, "execution_time")) > 30.4);
    assert_true(json_real_value(json_object_get(data, "progress")) > 99.9);
    assert_true(json_is_null(json_object_get(data, "reason")));
    assert_true(json_is_object(json_object_get(data, "parameters")));
    json_t *attempt = json_array_get(json_object_get(data, "attempts"), 0);
    assert_string_equal(json_string_value(json_object_get(attempt, "outcome")), "completed");
    assert_int_equal(json_integer_value(json_object_get(attempt, "exit_code")), 0);
    assert_true(json_is_integer(json_object_get(attempt, "exit_code")));
    json_decref(document_of);
}

static void test_waiting_run_tells_its_reason(void **state)
{
    struct rec_run run = {.id = 1, .status = RUN_PENDING, .created_at = 1};
    struct rec_live_run live = {.run_id = 1, .reason = STR_LIT("no worker serves it")};
    struct writer w = open_document();
    (void)state;

    run_write_open(&w, &run, &live);
    writer_close(&w, '}');
    json_t *document_of = document();
    json_t *data = json_object_get(document_of, "data");
    assert_string_equal(json_string_value(json_object_get(data, "reason")), "no worker serves it");
    assert_true(json_is_null(json_object_get(data, "progress")));
    assert_true(json_is_null(json_object_get(data, "execution_time")));
    json_decref(document_of);
}

static void test_worker_has_the_seeds_keys(void **state)
{
    static const char *const keys[] = {"id",
                                       "hostname",
                                       "ip_address",
                                       "port",
                                       "task_types",
                                       "max_concurrent_tasks",
                                       "current_task_count",
                                       "status",
                                       "last_heartbeat",
                                       "registered_at",
                                       "load_average",
                                       "memory_usage",
                                       "cpu_usage",
                                       NULL};
    struct rec_live_run running[] = {{.run_id = 3, .task_id = 1, .status = RUN_RUNNING, .started_at = 5}};
    struct rec_worker worker = {.id = 1, .name = STR_LIT("worker-001"), .running = {running, 1}};
    struct writer w = open_document();
    (void)state;

    writer_open(&w, "items", '[');
    worker_write(&w, &worker, 2, false);
    writer_close(&w, ']');
    json_t *document_of = document();
    assert_keys(json_array_get(json_object_get(document_of, "items"), 0), keys);
    json_decref(document_of);

    w = open_document();
    worker_write(&w, &worker, 2, true);
    document_of = document();
    json_t *data = json_object_get(document_of, "data");
    assert_int_equal(json_integer_value(json_object_get(data, "current_task_count")), 2);
    assert_int_equal(json_array_size(json_object_get(data, "current_tasks")), 1);
    assert_non_null(strstr(json_string_value(json_object_get(json_object_get(data, "statistics"), "uptime")), "d "));
    json_decref(document_of);
}

static void test_error_has_the_seeds_shape(void **state)
{
    struct problem problem;
    json_error_t error;
    (void)state;

    problem_set(&problem, PROBLEM_INVALID, "name", "required");
    envelope_problem(&request, &problem);
    json_t *document_of = json_loadb(request.out.data, request.out.len, 0, &error);
    assert_non_null(document_of);
    json_t *details = json_object_get(json_object_get(document_of, "error"), "details");
    assert_true(json_is_false(json_object_get(document_of, "success")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(document_of, "error"), "code")), "VALIDATION_ERROR");
    assert_string_equal(json_string_value(json_object_get(details, "field")), "name");
    assert_string_equal(json_string_value(json_object_get(details, "rule")), "required");
    assert_true(json_is_null(json_object_get(details, "value")));
    assert_int_equal(json_object_size(details), 3);
    assert_string_equal(json_string_value(json_object_get(json_object_get(document_of, "metadata"), "request_id")), "req_1");
    json_decref(document_of);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_task_has_the_seeds_keys),      TEST(test_paused_task_has_no_next_run), TEST(test_run_has_the_seeds_keys),
        TEST(test_waiting_run_tells_its_reason), TEST(test_worker_has_the_seeds_keys),   TEST(test_error_has_the_seeds_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
