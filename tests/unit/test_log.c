#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/log.h"

static char captured[16384];

static int saved_stderr;
static FILE *sink;

static void capture_begin(void)
{
    sink = tmpfile();
    assert_non_null(sink);
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(sink), STDERR_FILENO), STDERR_FILENO);
}

static const char *capture_end(void)
{
    assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
    close(saved_stderr);
    rewind(sink);
    captured[fread(captured, 1, sizeof(captured) - 1, sink)] = '\0';
    fclose(sink);
    return captured;
}

static void test_line(void **state)
{
    (void)state;
    log_init("scheduler", LOG_INFO);
    capture_begin();
    errno = EBUSY;
    log_info("GTY-LEASE-LOST", "run=%d attempt=%d lease expired", 12, 3);
    assert_int_equal(errno, EBUSY);
    const char *line = capture_end();
    assert_int_equal(line[23], 'Z'); /* 2024-01-01T00:00:00.000Z */
    assert_string_equal(line + 24, " INFO scheduler GTY-LEASE-LOST run=12 attempt=3 lease expired\n");
}

static void test_levels(void **state)
{
    (void)state;
    log_init("store", LOG_WARN);
    capture_begin();
    log_debug("GTY-A", "no");
    log_info("GTY-B", "no");
    log_warn("GTY-C", "yes");
    log_set_level(LOG_ERROR);
    log_warn("GTY-D", "no");
    log_error("GTY-E", "yes");
    const char *lines = capture_end();
    assert_null(strstr(lines, "no"));
    assert_non_null(strstr(lines, "WARN store GTY-C yes"));
    assert_non_null(strstr(lines, "ERROR store GTY-E yes"));
}

static void test_request_id(void **state)
{
    (void)state;
    log_init("gateway", LOG_INFO);
    capture_begin();
    log_request(STR_LIT("req-1"));
    log_info("GTY-A", "with");
    log_request(STR_LIT("bad\nid"));
    log_info("GTY-B", "without");
    log_request((struct str){NULL, 0});
    log_info("GTY-C", "without");
    const char *lines = capture_end();
    assert_non_null(strstr(lines, "GTY-A req=req-1 with\n"));
    assert_non_null(strstr(lines, "GTY-B without\n"));
    assert_non_null(strstr(lines, "GTY-C without\n"));
}

static void test_outside_text_is_escaped(void **state)
{
    (void)state;
    log_init("gateway", LOG_INFO);
    capture_begin();
    log_info("GTY-A", "name=%s", "a\n2024 forged\x1b[2J\x7f\xc2\x9b\xff\xe6\x97\xa5 \xe6\x97");
    const char *lines = capture_end();
    assert_non_null(strstr(lines, "name=a\\n2024 forged\\x1b[2J\\x7f\\x9b\\xff\xe6\x97\xa5 \\xe6\\x97\n"));
    assert_ptr_equal(strchr(lines, '\n'), lines + strlen(lines) - 1);
}

static void test_long_text_is_cut(void **state)
{
    (void)state;
    static char text[9000];
    memset(text, 'x', sizeof(text) - 1);
    log_init("gateway", LOG_INFO);
    capture_begin();
    log_info("GTY-A", "%s", text);
    memset(text, '\n', sizeof(text) - 1); /* grows by being escaped */
    log_info("GTY-B", "%s", text);
    const char *lines = capture_end();
    const char *second = strchr(lines, '\n') + 1;
    assert_true(second - lines <= 4096);
    assert_true(strlen(second) <= 4096);
    assert_memory_equal(second - 7, " [cut]\n", 7);
    assert_string_equal(second + strlen(second) - 7, " [cut]\n");
}

static void test_level_words(void **state)
{
    (void)state;
    for (unsigned level = LOG_DEBUG; level <= LOG_ERROR; level++)
        assert_int_equal(log_level_parse(str_of(log_level_name(level))), level);
    assert_int_equal(log_level_parse(STR_LIT("INFO")), -1);
    assert_int_equal(log_level_parse(STR_LIT("")), -1);
    assert_string_equal(log_level_name(9), "?");
}

/* A pipe that nobody reads holds nobody up; what was lost is counted where it is read again. */
static void test_unread(void **state)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char got[65536 + 4096];
    unsigned long lost = 0, read_back = 0;

    (void)state;
    log_init("store", LOG_INFO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    for (int i = 0; i < 3000; i++)
        log_info("GTY-MANY", "number=%d", i);
    ssize_t len = read(ends[0], got, sizeof(got) - 1);
    log_info("GTY-AGAIN", "read");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(ends[1]);
    for (ssize_t more = 0; len > 0 && (more = read(ends[0], got + len, sizeof(got) - 1 - (size_t)len)) > 0;)
        len += more;
    close(ends[0]);
    assert_true(len > 0);
    got[len] = '\0';
    for (const char *at = got; (at = strstr(at, "GTY-MANY")) != NULL; at++)
        read_back++;
    const char *told = strstr(got, "GTY-LOG-DROPPED lines=");
    assert_non_null(told);
    lost = strtoul(told + strlen("GTY-LOG-DROPPED lines="), NULL, 10);
    assert_int_equal(lost + read_back, 3000);
    assert_non_null(strstr(told, "GTY-AGAIN read"));
}

/* Priorities are for the journal alone: JOURNAL_STREAM may be left over from a stderr that was another. */
static void test_priorities(void **state)
{
    struct stat info;
    char stream[64];
    (void)state;

    capture_begin();
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)info.st_dev, (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("store", LOG_DEBUG);
    log_debug("GTY-A", "a");
    log_info("GTY-B", "b");
    log_warn("GTY-C", "c");
    log_error("GTY-D", "d");
    assert_string_equal(log_mark(LOG_ERROR), "<3>");
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_init("store", LOG_INFO);
    assert_string_equal(log_mark(LOG_ERROR), "");
    log_info("GTY-E", "e");
    unsetenv("JOURNAL_STREAM");
    log_init("store", LOG_INFO);
    log_info("GTY-F", "f");
    const char *line = capture_end();
    static const char *const begins[] = {"<7>2", "<6>2", "<4>2", "<3>2", "2", "2"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
        assert_memory_equal(line, begins[i], strlen(begins[i]));
        line = strchr(line, '\n') + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_outside_text_is_escaped),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_level_words),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_priorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
