/* What stands at a name is a result of ours only if size and content are those of one. */
#include "tests/unit/unit.h"

#include "worker/video/made.h"

static char folder[UNIT_FOLDER_SIZE], path[PUBLISH_PATH];

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    snprintf(path, sizeof(path), "%s/a.mp4", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

static void test_stands(void **state)
{
    (void)state;
    struct stat seen;
    struct publish_file file;
    char word[MADE_WORD], list[4 * MADE_WORD];
    assert_false(made_stands("5-00", path, &seen)); /* nothing does */
    unit_write(path, "hello world");
    assert_int_equal(publish_verify(path, &file, NULL), 0);
    made_word(file.size, file.hash, word);
    assert_string_equal(word, "11-df8d09e93f874900a99b8775cc15b6c7");
    assert_true(made_stands(word, path, &seen));
    assert_int_equal(seen.st_size, 11);
    snprintf(list, sizeof(list), "11-00000000000000000000000000000000,5-df8d09e93f874900a99b8775cc15b6c7,%s", word);
    assert_true(made_stands(list, path, &seen));
    assert_false(made_stands("", path, &seen));
    assert_false(made_stands("11-00000000000000000000000000000000", path, &seen));
    assert_false(made_stands("5-df8d09e93f874900a99b8775cc15b6c7", path, &seen));
    assert_false(made_stands("111-df8d09e93f874900a99b8775cc15b6c7", path, &seen));
    assert_false(made_stands("11-df8d09e93f874900a99b8775cc15b6c70", path, &seen));
    unit_write(path, "hello World");
    assert_false(made_stands(list, path, &seen));
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_false(made_stands(list, path, &seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_stands, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
