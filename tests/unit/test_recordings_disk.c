/* The output folder's disk: a folder of ours gets a marker once, is taken to be away without it, and somebody else's is left as it is. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/recordings_disk.h"

static char root[UNIT_FOLDER_SIZE];

static const char *path_of(const char *path)
{
    static char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    return whole;
}

static void folder(const char *path)
{
    assert_int_equal(mkdir(path_of(path), 0755), 0);
}

static bool has_marker(void)
{
    return access(path_of(RECORDER_MARKER), F_OK) == 0;
}

static struct recordings_disk look(struct recordings_disk ask)
{
    recordings_disk_look(root, &ask);
    return ask;
}

static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    unit_remove(root);
    return 0;
}

static void test_first_use(void **unused)
{
    (void)unused;
    folder("20250101_000000");
    folder("lost+found");
    struct recordings_disk disk = look((struct recordings_disk){0});
    assert_true(disk.there && !disk.marked && !has_marker()); /* nobody records to it */
    assert_true(disk.total >= disk.used && disk.total >= disk.free && disk.total > 0);
    disk = look((struct recordings_disk){.use = true});
    assert_true(disk.marked && has_marker() && disk.state == RECORDER_DISK_WELL && !disk.cause);
    disk = look((struct recordings_disk){.use = true});
    assert_true(disk.marked); /* as another farm has done it */
    disk = look((struct recordings_disk){.known = true});
    assert_true(disk.marked && disk.state == RECORDER_DISK_WELL);
}

static void test_somebody_elses(void **unused)
{
    (void)unused;
    folder("holiday");
    struct recordings_disk disk = look((struct recordings_disk){.use = true});
    assert_true(!disk.marked && !has_marker() && disk.state == RECORDER_DISK_WELL);
}

static void test_away(void **unused)
{
    (void)unused;
    struct recordings_disk disk = look((struct recordings_disk){.use = true, .known = true});
    assert_true(disk.there && !disk.marked && !has_marker() && disk.state == RECORDER_DISK_UNMOUNTED);
    folder(RECORDER_MARKER); /* is none */
    assert_int_equal(look((struct recordings_disk){.known = true}).state, RECORDER_DISK_UNMOUNTED);
    assert_int_equal(rmdir(path_of(RECORDER_MARKER)), 0);
    assert_int_equal(rmdir(root), 0);
    disk = look((struct recordings_disk){.known = true});
    assert_true(!disk.there && disk.state == RECORDER_DISK_UNMOUNTED && !disk.cause);
    disk = look((struct recordings_disk){.use = true});
    assert_true(!disk.there && disk.state == RECORDER_DISK_WELL && !disk.cause);
    assert_int_equal(mkdir(root, 0755), 0);
}

/* Before there were markers: without any of the cycles that were recorded there its disk is away, whatever has come since. */
static void test_first_use_of_an_empty_one(void **unused)
{
    const struct recordings_disk ask = {.use = true, .past = "20250101_000000"};
    (void)unused;
    assert_true(look(ask).state == RECORDER_DISK_UNMOUNTED && !has_marker());
    folder("lost+found");
    folder("20250102_000000"); /* recorded into by now */
    assert_true(look(ask).state == RECORDER_DISK_UNMOUNTED && !has_marker());
    folder("films"); /* somebody's */
    assert_true(look(ask).state == RECORDER_DISK_WELL && !has_marker());
    assert_int_equal(rmdir(path_of("films")), 0);
    folder("20241231_000000"); /* an older one does, as later ones may be gone */
    assert_true(look(ask).state == RECORDER_DISK_WELL && has_marker());
    assert_int_equal(rmdir(path_of("20241231_000000")), 0);
    assert_int_equal(look(ask).state, RECORDER_DISK_WELL); /* it has its marker */
}

static void test_full(void **unused)
{
    (void)unused;
    struct recordings_disk disk = look((struct recordings_disk){.min_free = (uint64_t)INT64_MAX});
    assert_int_equal(disk.state, RECORDER_DISK_FULL);
    assert_int_equal(look((struct recordings_disk){.min_free = 1}).state, RECORDER_DISK_WELL);
    assert_int_equal(look((struct recordings_disk){.min_free = 10, .was_full = true}).state, RECORDER_DISK_WELL);
    disk = look((struct recordings_disk){.known = true, .min_free = (uint64_t)INT64_MAX});
    assert_int_equal(disk.state, RECORDER_DISK_UNMOUNTED); /* what is free there does not matter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_somebody_elses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_use_of_an_empty_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
