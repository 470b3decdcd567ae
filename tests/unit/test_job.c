#include "tests/unit/unit.h"

#include "worker/job.h"

static void test_round_trip(void **state)
{
    (void)state;
    char *argv[] = {"sh", "-c", "echo a=b", "", NULL}, *env[] = {"A=1", "EMPTY=", NULL};
    struct job job = {.argv = argv,
                      .env = env,
                      .cwd = "/tmp",
                      .user = "nobody",
                      .cpu_seconds = 1,
                      .memory_mb = 2,
                      .files = 3,
                      .timeout_ms = 4,
                      .grace_ms = 5};
    size_t len;
    char *bytes = job_pack(&job, &len);
    struct job read;
    assert_non_null(bytes);
    assert_int_equal(job_unpack(bytes, len, &read), 0);
    assert_string_equal(read.argv[2], "echo a=b");
    assert_string_equal(read.argv[3], "");
    assert_null(read.argv[4]);
    assert_string_equal(read.env[1], "EMPTY=");
    assert_null(read.env[2]);
    assert_string_equal(read.cwd, "/tmp");
    assert_string_equal(read.user, "nobody");
    assert_int_equal(read.cpu_seconds + read.memory_mb * 10 + read.files * 100 + read.timeout_ms * 1000 + read.grace_ms * 10000,
                     54321);
    job_clear(&read);
    free(bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0},
               {"arg=a", 5},
               {"arg\0", 4},
               {"what=1\0", 7},
               {"arg=a\0cpu=x\0", 12},
               {"arg=a\0cpu=1x\0", 13},
               {"env=A=1\0", 8},
               {"\0", 1},
               {"arg=a\0cpu=99999999999999999999\0", 31}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *copy = malloc(bad[i].len + 1);
        struct job job;
        assert_non_null(copy);
        memcpy(copy, bad[i].bytes, bad[i].len);
        assert_int_equal(job_unpack(copy, bad[i].len, &job), -1);
        assert_null(job.argv);
        free(copy);
    }
}

static void test_too_big(void **state)
{
    (void)state;
    char *big = malloc(JOB_BYTES_MAX + 1), *env[] = {NULL};
    assert_non_null(big);
    memset(big, 'x', JOB_BYTES_MAX);
    big[JOB_BYTES_MAX] = '\0';
    char *argv[] = {big, NULL};
    struct job job = {.argv = argv, .env = env};
    size_t len;
    assert_null(job_pack(&job, &len));
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_malformed),
                                       cmocka_unit_test(test_too_big)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
