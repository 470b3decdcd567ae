#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "proto/ident.h"
#include "proto/messages.h"

static void test_random_differs(void **state)
{
    (void)state;
    char one[65], two[65];
    ident_random(one, 16);
    ident_random(two, 16);
    assert_int_equal(strlen(one), 32);
    assert_int_equal(strspn(one, "0123456789abcdef"), 32);
    assert_string_not_equal(one, two);
    ident_random(one, 1000); /* the most is 32 */
    assert_int_equal(strlen(one), 64);
}

static void test_hash_keeps_parts_apart(void **state)
{
    (void)state;
    unsigned char a[IDENT_HASH], b[IDENT_HASH];
    struct str ab_c[] = {STR_LIT("ab"), STR_LIT("c")}, a_bc[] = {STR_LIT("a"), STR_LIT("bc")};
    ident_hash(a, ab_c, 2);
    ident_hash(b, ab_c, 2);
    assert_memory_equal(a, b, IDENT_HASH);
    ident_hash(b, a_bc, 2);
    assert_memory_not_equal(a, b, IDENT_HASH);
    struct str with_empty[] = {STR_LIT("ab"), STR_LIT("c"), {NULL, 0}};
    ident_hash(b, with_empty, 3);
    assert_memory_not_equal(a, b, IDENT_HASH);
    ident_hash(b, NULL, 0);
    assert_memory_not_equal(a, b, IDENT_HASH);
}

static void test_valid(void **state)
{
    (void)state;
    char text[66];
    memset(text, 'a', sizeof(text));
    assert_true(ident_valid(STR_LIT("A-z_0.9:x")));
    assert_true(ident_valid((struct str){text, 64}));
    assert_false(ident_valid((struct str){text, 65}));
    assert_false(ident_valid((struct str){NULL, 0}));
    assert_false(ident_valid(STR_LIT("a b")));
    assert_false(ident_valid(STR_LIT("a\nb")));
    assert_false(ident_valid(STR_LIT("a/b")));
    assert_false(ident_valid(STR_LIT("\xc3\xa4")));
}

static void test_make_dirs(void **state)
{
    (void)state;
    char folder[UNIT_FOLDER_SIZE], path[256];
    struct err err = {0};
    struct stat info;
    unit_folder(folder);
    snprintf(path, sizeof(path), "%s/a//b/c/", folder);
    assert_int_equal(ident_make_dirs(path, 0700, &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(ident_make_dirs(path, 0700, &err), 0);

    snprintf(path, sizeof(path), "%s/file", folder);
    unit_write(path, "");
    assert_int_equal(ident_make_dirs(path, 0700, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    snprintf(path, sizeof(path), "%s/file/below", folder);
    assert_int_equal(ident_make_dirs(path, 0700, &err), -1);
    assert_int_equal(ident_make_dirs("", 0700, &err), -1);
    unit_remove(folder);
}

static void test_runtime_dir(void **state)
{
    (void)state;
    char folder[UNIT_FOLDER_SIZE], data[256], link_path[256], one[128], two[128];
    struct err err = {0};
    struct stat info;
    unit_folder(folder);
    snprintf(data, sizeof(data), "%s/data", folder);
    snprintf(link_path, sizeof(link_path), "%s/link", folder);
    assert_int_equal(ident_runtime_dir(data, one, sizeof(one), &err), 0);
    assert_true(strlen(one) + strlen("/trace-scheduler-4194304.ipc") < 107);
    assert_int_equal(stat(one, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(data, &info), 0);
    assert_int_equal(info.st_mode & 0777, IDENT_DATA_MODE);

    assert_int_equal(symlink(data, link_path), 0); /* another way to the same folder is the same farm */
    assert_int_equal(ident_runtime_dir(link_path, two, sizeof(two), &err), 0);
    assert_string_equal(one, two);
    assert_int_equal(ident_runtime_dir(folder, two, sizeof(two), &err), 0);
    assert_string_not_equal(one, two);
    unit_remove(two);

    assert_int_equal(ident_runtime_dir(data, two, 8, &err), -1);
    assert_int_equal(chmod(one, 0755), 0); /* open to others: somebody may have put sockets there */
    assert_int_equal(ident_runtime_dir(data, two, sizeof(two), &err), -1);
    assert_int_equal(err.code, ERR_FORBIDDEN);
    assert_int_equal(rmdir(one), 0);
    assert_int_equal(symlink(folder, one), 0);
    assert_int_equal(ident_runtime_dir(data, two, sizeof(two), &err), -1);
    assert_int_equal(err.code, ERR_FORBIDDEN);
    assert_int_equal(unlink(one), 0);
    unit_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_differs), cmocka_unit_test(test_hash_keeps_parts_apart),
        cmocka_unit_test(test_valid),          cmocka_unit_test(test_make_dirs),
        cmocka_unit_test(test_runtime_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
