/* What is held is known again by whoever looks at the folder, and stays; what nobody can read holds everything. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/recordings.h"
#include "gateway/recordings_held.h"

#define NAME STR_LIT("20250101_000000")
#define WHOLE ((struct str){0})

static char root[UNIT_FOLDER_SIZE];
static const char *failing; /* what cannot be looked at, for the disk's reasons */

int fstatat(int at, const char *restrict name, struct stat *restrict info, int flags)
{
    if (failing && strcmp(name, failing) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_newfstatat, at, name, info, flags);
}

static const char *path_of(const char *path)
{
    static char whole[256];
    snprintf(whole, sizeof whole, "%s/20250101_000000/%s", root, path);
    return whole;
}

static void make(const char *path, const char *content)
{
    unit_write(path_of(path), content);
}

static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    assert_int_equal(mkdir(path_of(""), 0755), 0);
    make("a.mp4", "1");
    make("b.mp4", "22");
    make("report.txt", "");
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    unit_remove(root);
    return 0;
}

static int held(const char *file)
{
    return recordings_held(root, NAME, file ? str_of(file) : WHOLE);
}

static void hold(const char *file, bool on)
{
    assert_int_equal(recordings_hold(root, NAME, file ? str_of(file) : WHOLE, on), 0);
}

static void refused(int result, int cause)
{
    int why = errno;
    assert_int_equal(result, -1);
    assert_int_equal(why, cause);
}

/* What a list of the folder says: of all of it, of a.mp4, of b.mp4. */
static void listed(bool all, bool a, bool b)
{
    struct recordings *recordings = recordings_new();
    assert_int_equal(recordings_look(recordings, root), 0);
    const struct recording_folder *found = recordings_find(recordings, NAME);
    assert_true(found && found->count == 2);
    assert_int_equal(found->held, all);
    assert_int_equal(found->files[0].held, a);
    assert_int_equal(found->files[1].held, b);
    recordings_free(recordings);
}

static void test_a_video(void **unused)
{
    (void)unused;
    assert_int_equal(held("a.mp4"), HOLD_NONE);
    hold("a.mp4", false); /* it is not */
    assert_int_equal(access(path_of(HELD_FILE), F_OK), -1);
    hold("a.mp4", true);
    hold("a.mp4", true);
    assert_int_equal(held("a.mp4"), HOLD_FILE);
    assert_int_equal(held("b.mp4"), HOLD_NONE);
    assert_int_equal(held(NULL), HOLD_WITHIN);
    listed(false, true, false);
    hold("b.mp4", true);
    hold("a.mp4", false);
    listed(false, false, true);
    hold("b.mp4", false);
    listed(false, false, false);
    assert_int_equal(access(path_of(HELD_FILE), F_OK), -1);
}

static void test_a_folder(void **unused)
{
    (void)unused;
    hold("b.mp4", true);
    hold(NULL, true);
    assert_int_equal(held(NULL), HOLD_FOLDER);
    assert_int_equal(held("a.mp4"), HOLD_FOLDER);
    listed(true, false, true);
    hold("a.mp4", true);
    hold("a.mp4", false);
    assert_int_equal(held("a.mp4"), HOLD_FOLDER);
    hold(NULL, false); /* b.mp4 is held by itself */
    assert_int_equal(held("b.mp4"), HOLD_FILE);
    listed(false, false, true);
    assert_int_equal(unlink(path_of("b.mp4")), 0);
    assert_int_equal(held(NULL), HOLD_NONE);
    hold("a.mp4", true);
    make("b.mp4", "22"); /* another one */
    listed(false, true, false);
}

static void test_none(void **unused)
{
    (void)unused;
    refused(recordings_hold(root, STR_LIT("20250102_000000"), WHOLE, true), ENOENT);
    refused(recordings_hold(root, STR_LIT(".."), WHOLE, true), ENOENT);
    refused(recordings_hold(root, NAME, STR_LIT("c.mp4"), true), ENOENT);
    refused(recordings_hold(root, NAME, STR_LIT("report.txt"), true), ENOENT);
    refused(recordings_hold(root, NAME, STR_LIT("../20250101_000000/a.mp4"), true), ENOENT);
    refused(recordings_hold(root, NAME, STR_LIT("x\na.mp4"), true), ENOENT);
    assert_int_equal(symlink("a.mp4", path_of("link.mp4")), 0);
    refused(recordings_hold(root, NAME, STR_LIT("link.mp4"), true), ELOOP);
    char link[128];
    snprintf(link, sizeof link, "%s/20250103_000000", root);
    assert_int_equal(symlink("20250101_000000", link), 0);
    refused(recordings_hold(root, STR_LIT("20250103_000000"), WHOLE, true), ELOOP);
    assert_int_equal(held("a.mp4"), HOLD_NONE);
}

/* Somebody else's hand was in it. */
static void test_damaged(void **unused)
{
    (void)unused;
    make(HELD_FILE, "\n\nreport.txt\n../a.mp4\nb.mp4"); /* no names of videos, and no end of the last line */
    assert_int_equal(held("a.mp4"), HOLD_NONE);
    listed(false, false, true);
    assert_int_equal(unlink(path_of(HELD_FILE)), 0);
    assert_int_equal(symlink("a.mp4", path_of(HELD_FILE)), 0);
    listed(true, false, false);
    assert_int_equal(held("a.mp4"), HOLD_FOLDER);
    refused(recordings_hold(root, NAME, STR_LIT("a.mp4"), false), EIO);
    assert_int_equal(unlink(path_of(HELD_FILE)), 0);
    assert_int_equal(mkdir(path_of(HELD_FILE), 0755), 0);
    listed(true, false, false);
    assert_int_equal(rmdir(path_of(HELD_FILE)), 0);
    make(HELD_FILE, "");
    assert_int_equal(truncate(path_of(HELD_FILE), HELD_BYTES + 1), 0);
    listed(true, false, false);
    assert_int_equal(unlink(path_of(HELD_FILE)), 0);
    listed(false, false, false);
}

/* A video that cannot be looked at for a moment stays held: nothing is written. */
static void test_disk_errors(void **unused)
{
    (void)unused;
    hold("a.mp4", true);
    failing = "a.mp4";
    refused(recordings_hold(root, NAME, STR_LIT("b.mp4"), true), EIO);
    refused(recordings_hold(root, NAME, WHOLE, true), EIO);
    assert_int_equal(held(NULL), HOLD_WITHIN);
    failing = NULL;
    listed(false, true, false);
    hold("b.mp4", true);
    listed(false, true, true);
}

/* No more files than that may be open. Answers what the limit was. */
static struct rlimit limit_files(rlim_t most)
{
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = (struct rlimit){most, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

/* What cannot be read for a moment is not taken for damaged: all is held as long as that lasts, and no longer. */
static void test_no_file_to_read_with(void **unused)
{
    const struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    struct held what;
    (void)unused;
    hold("a.mp4", true);
    assert_int_equal(utimensat(AT_FDCWD, path_of(""), old, 0), 0);
    struct recordings *recordings = recordings_new();
    int folder = open(path_of(""), O_RDONLY | O_DIRECTORY), next = dup(folder);
    assert_true(next > folder);
    close(next);
    struct rlimit before = limit_files((rlim_t)next);
    int result = held_read(folder, &what), cause = errno;
    limit_files((rlim_t)next + 2); /* for the two folders */
    int looked = recordings_look(recordings, root);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(result == -1 && cause == EMFILE && looked == 0);
    const struct recording_folder *found = recordings_find(recordings, NAME);
    assert_true(found && found->count == 2 && found->held && !found->settled);
    assert_int_equal(recordings_look(recordings, root), 0);
    found = recordings_find(recordings, NAME);
    assert_true(found && !found->held && found->settled && found->files[0].held && !found->files[1].held);
    recordings_free(recordings);
    close(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_video, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_file_to_read_with, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
