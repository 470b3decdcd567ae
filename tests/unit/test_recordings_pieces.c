/* What of a recording under way is found, and goes when it cannot go on; nothing outside of the folder. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "gateway/recordings_pieces.h"

#define CYCLE "20250101_000000"

static char root[UNIT_FOLDER_SIZE];

static const char *at(const char *path)
{
    static char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    return whole;
}

static void folder(const char *path)
{
    assert_int_equal(mkdir(at(path), 0755), 0);
}

static bool there(const char *path)
{
    struct stat info;
    return lstat(at(path), &info) == 0;
}

static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    folder(CYCLE);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    unit_remove(root);
    return 0;
}

/* What the piece that is found holds; empty: there is none, and why says why. */
static const char *content(const char *cycle, uint64_t run, int *why)
{
    static char text[16];
    memset(text, 0, sizeof text);
    int fd = recordings_piece_open(root, str_of(cycle), run);
    *why = fd < 0 ? errno : 0;
    if (fd >= 0) {
        assert_true(read(fd, text, sizeof text - 1) >= 0);
        close(fd);
    }
    return text;
}

static void test_the_newest(void **unused)
{
    int why;
    (void)unused;
    assert_string_equal(content(CYCLE, 7, &why), "");
    assert_int_equal(why, ENOENT);
    folder(CYCLE "/.gantry-rec-7");
    content(CYCLE, 7, &why);
    assert_int_equal(why, ENOENT);
    unit_write(at(CYCLE "/.gantry-rec-7/2-1000.mp4"), "second");
    unit_write(at(CYCLE "/.gantry-rec-7/10-900.mp4"), "tenth");
    unit_write(at(CYCLE "/.gantry-rec-7/99-1.mp4.x"), "none");
    unit_write(at(CYCLE "/.gantry-rec-7/x-1.mp4"), "none");
    assert_string_equal(content(CYCLE, 7, &why), "tenth");
    content(CYCLE, 8, &why);
    assert_int_equal(why, ENOENT);
    content("..", 7, &why);
    assert_int_equal(why, ENOENT);
    content("20250101_000001", 7, &why);
    assert_int_equal(why, ENOENT);
}

static void test_elsewhere(void **unused)
{
    int why;
    (void)unused;
    folder("other");
    unit_write(at("other/1-1.mp4"), "secret");
    assert_int_equal(symlink("../other", at(CYCLE "/.gantry-rec-1")), 0);
    assert_string_equal(content(CYCLE, 1, &why), "");
    assert_int_equal(why, ELOOP);
    folder(CYCLE "/.gantry-rec-2");
    assert_int_equal(symlink("../../other/1-1.mp4", at(CYCLE "/.gantry-rec-2/1-1.mp4")), 0);
    assert_string_equal(content(CYCLE, 2, &why), "");
    assert_int_equal(why, ELOOP);
    folder(CYCLE "/.gantry-rec-3");
    folder(CYCLE "/.gantry-rec-3/1-1.mp4");
    assert_string_equal(content(CYCLE, 3, &why), "");
    assert_int_equal(why, ENOENT);
    assert_int_equal(mkfifo(at(CYCLE "/.gantry-rec-3/2-1.mp4"), 0600), 0);
    assert_string_equal(content(CYCLE, 3, &why), "");
}

static void test_they_go(void **unused)
{
    (void)unused;
    folder(CYCLE "/.gantry-rec-1");
    folder(CYCLE "/.gantry-rec-2");
    unit_write(at(CYCLE "/.gantry-rec-1/1-1.mp4"), "x");
    unit_write(at(CYCLE "/.gantry-rec-1/other"), "x");
    unit_write(at(CYCLE "/cam.mp4"), "x");
    folder("other");
    unit_write(at("other/a"), "x");
    assert_int_equal(symlink("../other", at(CYCLE "/.gantry-rec-3")), 0);
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE)), 0);
    assert_true(!there(CYCLE "/.gantry-rec-1") && !there(CYCLE "/.gantry-rec-2"));
    assert_true(there(CYCLE "/cam.mp4") && there("other/a"));
    folder(CYCLE "/.gantry-rec-4");
    folder(CYCLE "/.gantry-rec-4/below");
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE)), -1);
    assert_int_equal(errno, ENOTEMPTY);
    assert_true(there(CYCLE "/.gantry-rec-4/below"));
    assert_int_equal(recordings_pieces_clear(root, STR_LIT("20250101_000001")), 0);
    assert_int_equal(recordings_pieces_clear(root, STR_LIT("..")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_they_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
