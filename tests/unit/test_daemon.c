#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>

#include "proto/daemon.h"
#include "proto/log.h"
#include "proto/messages.h"

static char folder[UNIT_FOLDER_SIZE], file[128], runtime[128];

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    snprintf(file, sizeof(file), "%s/gantry.conf", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    if (runtime[0])
        unit_remove(runtime);
    return 0;
}

static int open_with(struct daemon *daemon, const char *flag, struct err *err)
{
    char *argv[] = {(char *)"test", (char *)"--data", folder, (char *)"--log-level=error", (char *)flag, NULL};
    int opened = daemon_open(daemon, "store", "is tested", flag ? 5 : 4, argv, err);
    if (daemon->runtime[0])
        snprintf(runtime, sizeof(runtime), "%s", daemon->runtime);
    return opened;
}

static void test_wrong_settings(void **state)
{
    (void)state;
    struct daemon daemon = {0};
    struct err err = {0};
    assert_int_equal(open_with(&daemon, "--no-such", &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    daemon_close(&daemon);
}

static void test_data_that_is_no_folder(void **state)
{
    (void)state;
    struct daemon daemon = {0};
    struct err err = {0};
    char path[160];
    unit_write(file, "");
    snprintf(path, sizeof(path), "--data=%s/below", file);
    assert_int_equal(open_with(&daemon, path, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    daemon_close(&daemon);
}

static void test_answers_and_is_done(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct daemon daemon = {0};
        struct err err = {0};
        char *argv[] = {(char *)"test", (char *)(i ? "--help" : "--version"), NULL};
        assert_int_equal(daemon_open(&daemon, "store", "is tested", 2, argv, &err), 1);
        assert_null(daemon.loop);
        daemon_close(&daemon);
    }
}

static int reloads;

static void on_reload(void *self)
{
    reloads++;
    loop_stop(self);
}

static void again(void *self)
{
    (void)self;
    unit_write(file, "lease.seconds = 41\n");
    raise(SIGHUP);
}

/* Bad settings first: nothing is called, the old values stay. Then good ones. */
static void test_reload(void **state)
{
    (void)state;
    struct daemon daemon = {0};
    struct err err = {0};
    unit_write(file, "lease.seconds = 40\n");
    assert_int_equal(open_with(&daemon, NULL, &err), 0);
    daemon_on_reload(&daemon, on_reload, daemon.loop);
    unit_write(file, "lease.seconds = many\n");
    log_set_level(LOG_ERROR);
    raise(SIGHUP);
    reloads = 0;
    assert_true(loop_after(daemon.loop, 20, again, NULL) >= 0);
    loop_run(daemon.loop);
    assert_int_equal(reloads, 1);
    assert_int_equal(settings_count_of(daemon.settings, SET_LEASE_SECONDS), 41);
    daemon_close(&daemon);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct rlimit before, after;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    daemon_descriptors(1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_cur);
    daemon_descriptors(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, before.rlim_max);
}

int main(void)
{
    unit_forget_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wrong_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_data_that_is_no_folder, set_up, tear_down),
        cmocka_unit_test(test_answers_and_is_done),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
