/* What is in the output folder: by names alone, again only where something has changed, and nothing outside of it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/recordings.h"

static char root[UNIT_FOLDER_SIZE];

static void make(const char *path, const char *content)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void folder(const char *path)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    assert_int_equal(mkdir(whole, 0755), 0);
}

static void link_to(const char *target, const char *path)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    assert_int_equal(symlink(target, whole), 0);
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

static void test_names(void **unused)
{
    static const struct {
        const char *name, *index;
    } numbers[] = {{"test_stream1.mp4", "1"}, {"cam.mp4", ""}, {"a12b.mp4", "12"}, {"cam_3_2.mp4", "2"}, {"7", "7"}};
    (void)unused;
    assert_true(recordings_folder_name(STR_LIT("20251010_163000")));
    assert_false(recordings_folder_name(STR_LIT("20251010-163000")));
    assert_false(recordings_folder_name(STR_LIT("2025101_1630000")));
    assert_false(recordings_folder_name(STR_LIT("..")));
    assert_true(recordings_video_name(STR_LIT("a.mp4")));
    const char *const others[] = {".a.mp4", "a/b.mp4", "a.txt", ".mp4", "", "mp4", "../a.mp4"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(recordings_video_name(str_of(others[i])));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(str_is(recordings_index(str_of(numbers[i].name)), numbers[i].index));
}

static void test_look(void **unused)
{
    (void)unused;
    struct recordings *recordings = recordings_new();
    assert_int_equal(recordings_look(recordings, "/tmp/gantry-unit-none"), 0); /* not there: nothing in it */
    assert_int_equal(recordings->count, 0);
    folder("20250101_000000");
    folder("20260101_000000");
    folder("other");
    make("20250101_000000/b2.mp4", "22");
    make("20250101_000000/a1.mp4", "1");
    make("20250101_000000/report.txt", "no");
    folder("20250101_000000/.gantry-rec-1");
    link_to("a1.mp4", "20250101_000000/c.mp4");
    link_to("20250101_000000", "20270101_000000");
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings->count, 2);
    assert_string_equal(recordings->folders[0].name, "20260101_000000");
    const struct recording_folder *found = recordings_find(recordings, STR_LIT("20250101_000000"));
    assert_true(found && found->count == 2 && found->bytes == 3);
    assert_string_equal(found->files[0].name, "a1.mp4");
    assert_null(recordings_find(recordings, STR_LIT("20240101_000000")));
    make("20250101_000000/d.mp4", "4"); /* within the same moment */
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings_find(recordings, STR_LIT("20250101_000000"))->count, 3);
    recordings_free(recordings);
}

/* A folder that is as it was is not read again: what does not change its time is not seen, and that is why times decide. */
static void test_settled(void **unused)
{
    char path[256];
    const struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    (void)unused;
    struct recordings *recordings = recordings_new();
    folder("20250101_000000");
    make("20250101_000000/a.mp4", "1");
    snprintf(path, sizeof path, "%s/20250101_000000", root);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(recordings_look(recordings, root), 0);
    make("20250101_000000/b.mp4", "1");
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0); /* as if nothing had happened */
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings_find(recordings, STR_LIT("20250101_000000"))->count, 1);
    make("20250101_000000/c.mp4", "1");
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings_find(recordings, STR_LIT("20250101_000000"))->count, 3);
    recordings_free(recordings);
}

static void refused(int result, int cause)
{
    int why = errno;
    assert_int_equal(result, -1);
    assert_int_equal(why, cause);
}

static void test_remove(void **unused)
{
    struct str name = STR_LIT("20250101_000000");
    (void)unused;
    folder("20250101_000000");
    folder("20250101_000000/.part");
    make("20250101_000000/.part/x", "1");
    make("20250101_000000/a.mp4", "1");
    make("20250101_000000/report.txt", "1");
    make("kept.mp4", "1");
    link_to("../kept.mp4", "20250101_000000/link.mp4");
    link_to(".", "20260101_000000");
    refused(recordings_remove(root, name, STR_LIT("link.mp4")), ELOOP);
    refused(recordings_remove(root, name, STR_LIT("report.txt")), ENOENT);
    refused(recordings_remove(root, name, STR_LIT("../kept.mp4")), ENOENT);
    refused(recordings_remove(root, name, STR_LIT("none.mp4")), ENOENT);
    refused(recordings_remove(root, STR_LIT(".."), (struct str){0}), ENOENT);
    refused(recordings_remove(root, STR_LIT("20260101_000000"), STR_LIT("kept.mp4")), ELOOP);
    refused(recordings_remove(root, STR_LIT("20260101_000000"), (struct str){0}), ELOOP);
    refused(recordings_open(root, STR_LIT("20260101_000000"), STR_LIT("kept.mp4")), ELOOP);
    refused(recordings_open(root, name, STR_LIT("link.mp4")), ELOOP);
    int fd = recordings_open(root, name, STR_LIT("a.mp4"));
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(recordings_remove(root, name, STR_LIT("a.mp4")), 0);
    refused(recordings_open(root, name, STR_LIT("a.mp4")), ENOENT);
    assert_int_equal(recordings_remove(root, name, (struct str){0}), 0);
    refused(recordings_remove(root, name, (struct str){0}), ENOENT);
    char path[256];
    snprintf(path, sizeof path, "%s/kept.mp4", root);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
