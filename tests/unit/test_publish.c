#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "proto/messages.h"
#include "worker/publish.h"

static char folder[UNIT_FOLDER_SIZE];
static int rename_error, sync_error; /* errno, or 0 */

/* These stand in for libc's. */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (rename_error) {
        errno = rename_error;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int fsync(int fd)
{
    if (sync_error) {
        errno = sync_error;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    rename_error = sync_error = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char paths[4][PUBLISH_PATH];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, PUBLISH_PATH, "%s/%s", folder, name);
    return path;
}

static bool exists(const char *name)
{
    struct stat info;
    return lstat(in_folder(name), &info) == 0;
}

static void test_names(void **state)
{
    (void)state;
    char final[PUBLISH_PATH], temporary[PUBLISH_PATH], big[PUBLISH_PATH + 10];
    struct err err = {0};
    assert_int_equal(publish_names(STR_LIT("/a/out.mp4"), STR_LIT(""), 7, 2, final, temporary, &err), 0);
    assert_string_equal(final, "/a/out.mp4");
    assert_string_equal(temporary, "/a/.gantry-7-2.out.mp4");
    assert_int_equal(publish_names(STR_LIT("sub/out.mp4"), STR_LIT("/films/x"), 7, 2, final, temporary, &err), 0);
    assert_string_equal(temporary, "/films/x/sub/.gantry-7-2.out.mp4");
    assert_int_equal(publish_names(STR_LIT("/out"), STR_LIT(""), 1, 1, final, temporary, &err), 0);
    assert_string_equal(temporary, "/.gantry-1-1.out");
    assert_int_equal(publish_names(STR_LIT("a..b"), STR_LIT("/w"), 1, 1, final, temporary, &err), 0);
    const struct str bad[][2] = {{STR_LIT("out"), STR_LIT("")},           {STR_LIT("../out"), STR_LIT("/w")},
                                 {STR_LIT("a/../../out"), STR_LIT("/w")}, {STR_LIT("/a/"), STR_LIT("")},
                                 {STR_LIT("/a/.."), STR_LIT("")},         {STR_LIT("."), STR_LIT("/w")},
                                 {STR_LIT("/a\0b"), STR_LIT("")},         {STR_LIT("x/.."), STR_LIT("/w")}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.text[0] = '\0';
        assert_int_equal(publish_names(bad[i][0], bad[i][1], 1, 1, final, temporary, &err), -1);
        assert_true(err.text[0]);
    }
    memset(big, 'x', sizeof(big));
    big[0] = '/';
    assert_int_equal(publish_names((struct str){big, PUBLISH_PATH}, STR_LIT(""), 1, 1, final, temporary, &err), -1);
}

/* Whatever name a file system holds has room for a temporary one beside it; its end says what kind of file it is. */
static void test_long_names(void **state)
{
    (void)state;
    static const uint64_t most = UINT64_MAX;
    char path[PUBLISH_PATH], final[PUBLISH_PATH], temporary[PUBLISH_PATH], *base;
    struct err err = {0};
    for (size_t len = 1; len <= NAME_MAX; len++) {
        memset(path, 'x', len + 3);
        memcpy(path, "/a/", 3);
        path[3 + len] = '\0';
        assert_int_equal(publish_names(str_of(path), STR_LIT(""), most, most, final, temporary, &err), 0);
        assert_true(strlen(strrchr(temporary, '/') + 1) <= NAME_MAX);
        assert_memory_equal(temporary, "/a/.gantry-", 11);
    }
    for (size_t at = 3; at < 252; at += 3) /* never in the middle of a character */
        memcpy(path + at, "\xe7\x94\xb5", 3);
    memcpy(path + 252, ".webm", 6);
    assert_int_equal(publish_names(str_of(path), STR_LIT(""), 7, 2, final, temporary, &err), 0);
    assert_true(str_utf8(str_of(temporary)));
    base = strrchr(temporary, '/') + 1;
    assert_memory_equal(base, ".gantry-7-2.\xe7\x94\xb5", 15);
    assert_string_equal(base + strlen(base) - 5, ".webm");
    assert_true(strlen(base) < 130);
    memset(path, 'y', sizeof(path));
    path[0] = '/';
    path[PUBLISH_PATH - 1] = '\0';
    for (size_t at = 100; at < PUBLISH_PATH - 1; at += 100)
        path[at] = '/';
    assert_int_equal(publish_names(str_of(path), STR_LIT(""), most, most, final, temporary, &err), -1);
}

/* What earlier attempts at a long name left goes, by whichever form of its name; and is taken over. */
static void test_long_leftovers(void **state)
{
    (void)state;
    struct err err = {0};
    enum publish_state found;
    struct publish_file known;
    char base[NAME_MAX + 1], final[PUBLISH_PATH], kept[PUBLISH_PATH], whole[PUBLISH_PATH];
    memset(base, 'b', 200);
    memcpy(base + 200, ".mp4", 5);
    snprintf(final, sizeof(final), "%s/%s", folder, base);
    snprintf(whole, sizeof(whole), "%s/.gantry-5-1.%s", folder, base); /* as earlier versions named it */
    assert_int_equal(publish_beside(final, 5, 2, kept), 0);
    unit_write(whole, "old");
    unit_write(kept, "content");
    assert_int_equal(publish_verify(kept, &known, &err), 0);
    assert_int_equal(publish_check(final, 5, 3, &known, kept, &found, &err), 0);
    assert_int_equal(found, PUBLISH_ADOPT);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(access(whole, F_OK), -1);
    assert_int_equal(publish_check(final, 5, 3, NULL, NULL, &found, &err), 0);
    assert_int_equal(access(kept, F_OK), -1);
}

static int exchange_error;

static void supplants(bool other)
{
    struct err err = {0};
    struct stat seen;
    unit_write(in_folder("out"), "older");
    unit_write(in_folder("t"), "newer");
    assert_int_equal(lstat(in_folder("out"), &seen), 0);
    if (other)
        unit_write(in_folder("out"), "a stranger's");
    rename_error = exchange_error;
    assert_int_equal(publish_supplant(in_folder("t"), in_folder("out"), &seen, &err), other ? -1 : 0);
    rename_error = 0;
    assert_false(exists("t"));
    struct publish_file file;
    assert_int_equal(publish_verify(in_folder("out"), &file, &err), 0);
    assert_int_equal(file.size, other ? 12 : 5);
    if (other)
        assert_int_equal(err.code, ERR_CONFLICT);
}

/* In the place of what was seen there, and of nothing else; also where a file system cannot exchange names. */
static void test_supplant(void **state)
{
    (void)state;
    for (exchange_error = 0; exchange_error <= EINVAL; exchange_error += EINVAL) {
        supplants(false);
        supplants(true);
    }
    struct err err = {0};
    struct stat seen;
    unit_write(in_folder("t"), "newer");
    assert_int_equal(lstat(in_folder("out"), &seen), 0);
    unlink(in_folder("out"));
    assert_int_equal(publish_supplant(in_folder("t"), in_folder("out"), &seen, &err), 0); /* it went by itself */
    assert_true(exists("out") && !exists("t"));
}

static void test_verify(void **state)
{
    (void)state;
    struct publish_file file;
    struct err err = {0};
    char hex[2 * PUBLISH_HASH + 1];
    unsigned char back[PUBLISH_HASH];
    unit_write(in_folder("a"), "hello world");
    assert_int_equal(publish_verify(in_folder("a"), &file, &err), 0);
    assert_int_equal(file.size, 11);
    publish_hex(file.hash, hex);
    assert_string_equal(hex, "df8d09e93f874900a99b8775cc15b6c7"); /* printf 'hello world' | xxhsum -H2 */
    assert_true(publish_unhex(hex, back));
    assert_memory_equal(back, file.hash, PUBLISH_HASH);
    assert_false(publish_unhex("00", back));
    assert_false(publish_unhex("zz8d09e93f874900a99b8775cc15b6c7", back));
    assert_int_equal(publish_verify(in_folder("none"), &file, &err), -1);
    assert_non_null(strstr(err.text, "did not write its output"));
    assert_int_equal(symlink("a", in_folder("link")), 0);
    assert_int_equal(publish_verify(in_folder("link"), &file, &err), -1);
    assert_int_equal(publish_verify(folder, &file, &err), -1);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(publish_verify(in_folder("fifo"), &file, &err), -1); /* and does not wait for a writer */
}

static void test_name(void **state)
{
    (void)state;
    struct err err = {0};
    unit_write(in_folder(".gantry-1-1.out"), "mine");
    assert_int_equal(publish_name(in_folder(".gantry-1-1.out"), in_folder("out"), &err), 0);
    assert_true(exists("out") && !exists(".gantry-1-1.out"));
    /* never over something that stands there, and then nothing is left of ours */
    unit_write(in_folder(".gantry-2-1.out"), "another");
    assert_int_equal(publish_name(in_folder(".gantry-2-1.out"), in_folder("out"), &err), -1);
    assert_non_null(strstr(err.text, "not this run's"));
    assert_false(exists(".gantry-2-1.out"));
    struct publish_file file;
    assert_int_equal(publish_verify(in_folder("out"), &file, &err), 0);
    assert_int_equal(file.size, 4);
}

static void test_check(void **state)
{
    (void)state;
    struct err err = {0};
    enum publish_state found;
    struct publish_file known = {0};
    char final[PUBLISH_PATH], kept[PUBLISH_PATH];
    snprintf(final, sizeof(final), "%s", in_folder("out.mp4"));
    /* free; leftovers of earlier attempts go, others stay */
    unit_write(in_folder(".gantry-5-1.out.mp4"), "old");
    unit_write(in_folder(".gantry-5-3.out.mp4"), "newer");
    unit_write(in_folder(".gantry-6-1.out.mp4"), "another run's");
    unit_write(in_folder(".gantry-5-1.other.mp4"), "another output");
    assert_int_equal(publish_check(final, 5, 2, NULL, NULL, &found, &err), 0);
    assert_int_equal(found, PUBLISH_FREE);
    assert_false(exists(".gantry-5-1.out.mp4"));
    assert_true(exists(".gantry-5-3.out.mp4") && exists(".gantry-6-1.out.mp4") && exists(".gantry-5-1.other.mp4"));
    /* granted, but not named yet */
    snprintf(kept, sizeof(kept), "%s", in_folder(".gantry-5-1.out.mp4"));
    unit_write(kept, "content");
    assert_int_equal(publish_verify(kept, &known, &err), 0);
    assert_int_equal(publish_check(final, 5, 2, &known, kept, &found, &err), 0);
    assert_int_equal(found, PUBLISH_ADOPT);
    assert_true(exists(".gantry-5-1.out.mp4"));
    /* named */
    assert_int_equal(publish_name(kept, final, &err), 0);
    assert_int_equal(publish_check(final, 5, 3, &known, kept, &found, &err), 0);
    assert_int_equal(found, PUBLISH_STANDS);
    /* a stranger's: same size, other content; and without any grant */
    unit_write(final, "CONTENT");
    assert_int_equal(publish_check(final, 5, 3, &known, kept, &found, &err), -1);
    assert_int_equal(publish_check(final, 5, 3, NULL, NULL, &found, &err), -1);
    assert_non_null(strstr(err.text, "is there already"));
    /* the granted file was torn on its way: it is made anew */
    unlink(final);
    unit_write(kept, "torn");
    assert_int_equal(publish_check(final, 5, 3, &known, kept, &found, &err), 0);
    assert_int_equal(found, PUBLISH_FREE);
    assert_false(exists(".gantry-5-1.out.mp4"));
    /* what another run has made is not taken, whatever the worker before says: names of no attempt of this run */
    static const char *const others[] = {"theirs.mp4", ".gantry-6-1.out.mp4", ".gantry-5-3.out.mp4", ".gantry-5-1.other.mp4",
                                         ".gantry-5-1.out.mp4/../theirs.mp4"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        snprintf(kept, sizeof(kept), "%s", in_folder(others[i]));
        if (!strchr(others[i], '/'))
            unit_write(kept, "content");
        assert_int_equal(publish_check(final, 5, 3, &known, kept, &found, &err), 0);
        assert_int_equal(found, PUBLISH_FREE);
    }
    assert_true(exists("theirs.mp4"));
    assert_int_equal(publish_check("/no/such/folder/out", 1, 1, NULL, NULL, &found, &err), -1);
    assert_non_null(strstr(err.text, "folder"));
}

/* Whatever the disk says: the name is given or it is not, nothing is left beside it, and why is said. */
static void test_disk_errors(void **state)
{
    (void)state;
    static const int errors[] = {EXDEV, ENOSPC, EROFS, EACCES, EDQUOT, EIO, EEXIST};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct err err = {0};
        unit_write(in_folder("t"), "abc");
        rename_error = errors[i];
        assert_int_equal(publish_name(in_folder("t"), in_folder("out"), &err), -1);
        assert_int_equal(err.code, errors[i] == EEXIST ? ERR_CONFLICT : ERR_IO);
        assert_true(errors[i] == EEXIST || strstr(err.text, strerror(errors[i])));
        assert_false(exists("t"));
        assert_false(exists("out"));
    }
    /* a file system without such a rename: a second link, which does not replace either */
    struct err err = {0};
    rename_error = EINVAL;
    unit_write(in_folder("t"), "abc");
    assert_int_equal(publish_name(in_folder("t"), in_folder("out"), &err), 0);
    assert_true(exists("out") && !exists("t"));
    unit_write(in_folder("t"), "other");
    assert_int_equal(publish_name(in_folder("t"), in_folder("out"), &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    rename_error = 0;
}

/* Its name is given and cannot be flushed: the attempt has failed, and the next one finds the output standing. */
static void test_folder_not_flushed(void **state)
{
    (void)state;
    struct err err = {0};
    struct publish_file file;
    enum publish_state found;
    unit_write(in_folder("t"), "abc");
    assert_int_equal(publish_verify(in_folder("t"), &file, &err), 0);
    sync_error = EIO;
    assert_int_equal(publish_name(in_folder("t"), in_folder("out"), &err), -1);
    assert_non_null(strstr(err.text, "has its name"));
    assert_true(exists("out"));
    assert_int_equal(publish_verify(in_folder("out"), &file, &err), -1);
    sync_error = 0;
    assert_int_equal(publish_check(in_folder("out"), 1, 2, &file, in_folder("t"), &found, &err), 0);
    assert_int_equal(found, PUBLISH_STANDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test_setup_teardown(test_long_leftovers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_supplant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disk_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_not_flushed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
