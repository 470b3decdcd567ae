/* The list of keys as it follows its folder: what is added, taken away, damaged, written anew in place, and what cannot be read. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/clock.h"
#include "proto/curve_keys.h"
#include "proto/messages.h"

static char folder[UNIT_FOLDER_SIZE], list[96];
static struct curve_keys *keys;
static char one[CURVE_KEY + 1], two[CURVE_KEY + 1];

static int setup(void **state)
{
    char secret[CURVE_KEY + 1];

    (void)state;
    unit_folder(folder);
    snprintf(list, sizeof list, "%s/allowed", folder);
    keys = curve_keys_new(list);
    return keys == NULL || zmq_curve_keypair(one, secret) != 0 || zmq_curve_keypair(two, secret) != 0;
}

static int teardown(void **state)
{
    (void)state;
    curve_keys_free(keys);
    unit_remove(folder);
    return 0;
}

static bool has(const char *key)
{
    return curve_keys_has(keys, str_of(key));
}

/* Looks until the list says so; a test that waits longer than a minute has failed. */
static void wait_until(const char *key, bool wanted)
{
    uint64_t until = clock_mono_ms() + 60000;

    while (curve_keys_look(keys), has(key) != wanted) {
        assert_true(clock_mono_ms() < until);
        usleep(1000);
    }
}

/* Until a change of the folder's newest moment can be seen by its time alone, the list is read at each look. */
static void settle(void)
{
    while (curve_keys_look(keys)) {
        usleep(20000);
    }
}

static void add(const char *name, const char *key)
{
    struct err err = {0};
    if (curve_keys_put(list, name, key, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void test_comes_and_goes(void **state)
{
    struct err err = {0};

    (void)state;
    curve_keys_look(keys); /* there is no folder */
    assert_false(has(one));
    add("one", one);
    wait_until(one, true);
    settle();
    add("two", two);
    wait_until(two, true);
    assert_true(has(one));
    settle();
    assert_int_equal(curve_keys_remove(list, "one", &err), 0);
    wait_until(one, false);
    assert_true(has(two));
}

/* A file that is damaged, or half-written, takes nothing away: only its removal does. */
static void test_damaged(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/one.key", list);
    add("one", one);
    wait_until(one, true);
    unit_write(path, "metadata\n");
    add("two", two); /* so that it is read again */
    wait_until(two, true);
    assert_true(has(one));
    assert_int_equal(unlink(path), 0);
    wait_until(one, false);
}

/* cp new.key allowed/one.key: the folder's time stays. */
static void test_written_in_place(void **state)
{
    char path[128], other[128], command[320];

    (void)state;
    snprintf(path, sizeof path, "%s/one.key", list);
    snprintf(other, sizeof other, "%s/other", folder);
    add("one", one);
    wait_until(one, true);
    settle();
    struct err err = {0};
    assert_int_equal(curve_keys_put(other, "one", two, &err), 0);
    snprintf(command, sizeof command, "cat '%s/one.key' > '%s'", other, path);
    assert_int_equal(system(command), 0);
    wait_until(two, true);
    assert_false(has(one));
}

/* A certificate whose time lies ahead, and one that comes back with the time it had. */
static void test_times(void **state)
{
    char path[128], moved[128];
    struct timespec ahead[2] = {{.tv_sec = time(NULL) + 100000}, {.tv_sec = time(NULL) + 100000}};

    (void)state;
    snprintf(path, sizeof path, "%s/one.key", list);
    add("one", one);
    assert_int_equal(utimensat(AT_FDCWD, path, ahead, 0), 0);
    wait_until(one, true);
    settle(); /* or it would be read at each look for a day */
    snprintf(moved, sizeof moved, "%s/aside", folder);
    assert_int_equal(rename(path, moved), 0);
    wait_until(one, false);
    assert_int_equal(rename(moved, path), 0);
    wait_until(one, true);
}

/* Without a descriptor nobody is shut out, and what has changed is seen later. */
static void test_no_descriptor(void **state)
{
    struct rlimit limit, none;

    (void)state;
    add("one", one);
    wait_until(one, true);
    add("two", two);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    curve_keys_look(keys);
    bool kept = has(one);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(kept);
    wait_until(two, true);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_comes_and_goes), TEST(test_damaged), TEST(test_written_in_place), TEST(test_times), TEST(test_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
