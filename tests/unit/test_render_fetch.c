/* What is kept of fetched files is bounded: of more, those that were used longest ago go. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "worker/render/fetch.h"

static char folder[UNIT_FOLDER_SIZE];

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* A file of 64 KiB, last used so many seconds after the epoch. Answers what it takes of the disk. */
static uint64_t put(const char *name, time_t used)
{
    static char bytes[65536];
    struct stat info;
    memset(bytes, 'x', sizeof(bytes));
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(fsync(fd), 0);
    close(fd);
    const struct timespec times[] = {{.tv_sec = used}, {.tv_sec = used}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
    assert_int_equal(stat(path_of(name), &info), 0);
    return (uint64_t)info.st_blocks * 512;
}

static bool stands(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void test_trim(void **state)
{
    (void)state;
    uint64_t each = put("a", 300);
    put("b", 100);
    put("c", 200);
    fetch_trim(folder, 3 * each);
    assert_true(stands("a") && stands("b") && stands("c"));
    fetch_trim(folder, 3 * each - 1);
    assert_true(stands("a") && !stands("b") && stands("c"));
    fetch_trim(folder, each);
    assert_true(stands("a") && !stands("c"));
    fetch_trim(folder, 0);
    assert_false(stands("a"));
    fetch_trim("/nonexistent", 0);
}

static void test_folders_stay(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    put("a", 1);
    fetch_trim(folder, 0);
    assert_true(stands("folder") && !stands("a"));
}

/* What is being fetched is not there yet, but not for ever. */
static void test_parts(void **state)
{
    (void)state;
    put(".new", time(NULL));
    put(".old", 1000);
    fetch_trim(folder, 0);
    assert_true(stands(".new") && !stands(".old"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_trim, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_folders_stay, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_parts, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
