/* What of a recording under way is found, and goes when it cannot go on; nothing outside of the folder. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "gateway/recordings.h"
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
    assert_int_equal(why, EINVAL);
    assert_int_equal(mkfifo(at(CYCLE "/.gantry-rec-3/2-1.mp4"), 0600), 0);
    assert_string_equal(content(CYCLE, 3, &why), "");
}

static void test_they_go(void **unused)
{
    const struct recordings_done none = {0};
    (void)unused;
    folder(CYCLE "/.gantry-rec-1");
    folder(CYCLE "/.gantry-rec-2");
    unit_write(at(CYCLE "/.gantry-rec-1/1-1.mp4"), "x");
    unit_write(at(CYCLE "/.gantry-rec-1/other"), "x");
    unit_write(at(CYCLE "/cam.mp4"), "x");
    folder("other");
    unit_write(at("other/a"), "x");
    assert_int_equal(symlink("../other", at(CYCLE "/.gantry-rec-3")), 0);
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE), &none), 0);
    assert_true(!there(CYCLE "/.gantry-rec-1") && !there(CYCLE "/.gantry-rec-2"));
    assert_true(there(CYCLE "/cam.mp4") && there("other/a"));
    folder(CYCLE "/.gantry-rec-4");
    folder(CYCLE "/.gantry-rec-4/below");
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE), &none), -1);
    assert_int_equal(errno, ENOTEMPTY);
    assert_true(there(CYCLE "/.gantry-rec-4/below"));
    assert_int_equal(recordings_pieces_clear(root, STR_LIT("20250101_000001"), &none), 0);
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(".."), &none), 0);
}

/* Bytes with zeros among them. */
static void bytes(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(at(path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    fclose(file);
}

/* Of a run that failed, with a piece that is cut there. Answers whether it is kept. */
static bool kept(const char *data, size_t len)
{
    const struct recordings_done none = {0};
    folder(CYCLE "/.gantry-rec-5");
    unit_write(at(CYCLE "/.gantry-rec-5/1-1.mp4"), "x");
    bytes(CYCLE "/.gantry-rec-5/2-1.mp4", data, len);
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE), &none), 0);
    if (!there(CYCLE "/.gantry-rec-5"))
        return false;
    assert_true(there(CYCLE "/.gantry-rec-5/1-1.mp4") && there(CYCLE "/.gantry-rec-5/2-1.mp4"));
    unit_remove(at(CYCLE "/.gantry-rec-5"));
    return true;
}

#define HEAD                                                                                                                     \
    "\0\0\0\x0c"                                                                                                                 \
    "ftyp1234\0\0\0\x08moov"

/* What nobody has put together stays, when there is something in it. */
static void test_what_failed_stays(void **unused)
{
    static const char whole[] = HEAD "\0\0\0\x08moof\0\0\0\x0amdat12\0\0\0\x08moof\0\0\0\x0amdat1";
    static const char large[] = HEAD "\0\0\0\x08moof\0\0\0\x01mdat\0\0\0\0\0\0\0\x11"
                                     "1";
    static const char plain[] = HEAD "\0\0\0\x0amdat12", endless[] = "\0\0\0\0moof\0\0\0\x08mdat";
    const size_t first = 12 + 8 + 8 + 10;
    (void)unused;
    for (size_t len = 0; len < sizeof whole; len++)
        assert_int_equal(kept(whole, len), len >= first);
    assert_true(kept(large, sizeof large - 1));
    assert_false(kept(large, sizeof large - 2));
    assert_false(kept(plain, sizeof plain - 1));
    assert_false(kept(endless, sizeof endless - 1));
}

static void test_what_is_done_goes(void **unused)
{
    static const char whole[] = HEAD "\0\0\0\x08moof\0\0\0\x0amdat12";
    static const char *const runs[] = {"3", "7", "8", "12", "7x"};
    uint64_t numbers[] = {3, 8, 12};
    char path[64];
    (void)unused;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        snprintf(path, sizeof path, CYCLE "/.gantry-rec-%s", runs[i]);
        folder(path);
        snprintf(path, sizeof path, CYCLE "/.gantry-rec-%s/1-1.mp4", runs[i]);
        bytes(path, whole, sizeof whole - 1);
    }
    const struct recordings_done done = {numbers, 3};
    assert_int_equal(recordings_pieces_clear(root, STR_LIT(CYCLE), &done), 0);
    assert_true(!there(CYCLE "/.gantry-rec-3") && !there(CYCLE "/.gantry-rec-8") && !there(CYCLE "/.gantry-rec-12"));
    assert_true(there(CYCLE "/.gantry-rec-7/1-1.mp4") && there(CYCLE "/.gantry-rec-7x/1-1.mp4"));
    assert_int_equal(recordings_clear(root, STR_LIT(CYCLE), ""), 0); /* it goes with its folder, by retention */
    assert_false(there(CYCLE));
    folder(CYCLE);
    folder(CYCLE "/.gantry-rec-7");
    bytes(CYCLE "/.gantry-rec-7/1-1.mp4", whole, sizeof whole - 1);
    assert_int_equal(recordings_remove(root, STR_LIT(CYCLE), (struct str){0}), 0); /* and by hand */
    assert_false(there(CYCLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_they_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_failed_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_done_goes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
