/* Taking a source's place, killed before and behind each of its steps: the original is never lost or half replaced, and who comes after
 * the crash leaves one of the two states, with nothing beside it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/messages.h"
#include "worker/video/replace.h"

static char folder[UNIT_FOLDER_SIZE], library[PATH_MAX], journal[PATH_MAX], kept[PATH_MAX];
static char source[PATH_MAX], other[PATH_MAX], temporary[PATH_MAX], bak[PATH_MAX];
static int calls, die_before; /* of the calls that change names; the process ends before this one */

#define DIE 77

static void step(void)
{
    if (++calls == die_before)
        _exit(DIE);
}

int __real_link(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_rename(const char *from, const char *to);
int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __real_fsync(int fd);
int __wrap_link(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_fsync(int fd);

int __wrap_link(const char *from, const char *to)
{
    step();
    return __real_link(from, to);
}

int __wrap_unlink(const char *path)
{
    step();
    return __real_unlink(path);
}

int __wrap_rename(const char *from, const char *to)
{
    step();
    return __real_rename(from, to);
}

int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    step();
    return __real_renameat2(a, from, b, to, flags);
}

int __wrap_fsync(int fd)
{
    step();
    return __real_fsync(fd);
}

static void join(char *out, const char *name)
{
    snprintf(out, PATH_MAX, "%s/%s", folder, name);
}

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    join(library, "library");
    join(journal, "journal");
    join(kept, "kept");
    join(source, "library/a.mkv");
    join(other, "library/a.mp4");
    join(temporary, "library/.gantry-1-1.a");
    join(bak, "library/a.mkv.bak");
    mkdir(library, 0755);
    mkdir(journal, 0755);
    mkdir(kept, 0755);
    unit_write(source, "the original");
    unit_write(temporary, "made");
    calls = die_before = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

static bool is(const char *path, const char *content)
{
    char text[64] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    return strcmp(text, content) == 0;
}

static bool stands(const char *path)
{
    return access(path, F_OK) == 0;
}

static struct replacement it(const char *final, bool links)
{
    return (struct replacement){.source = source,
                                .bak = bak,
                                .temporary = temporary,
                                .final = final,
                                .journal = journal,
                                .kept = kept,
                                .name = "1-1",
                                .until_ms = 1000,
                                .links = links};
}

/* In a process of its own, which dies before its n-th step. Answers how it ended. */
static int run(const struct replacement *replacement, int n)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        calls = 0;
        die_before = n;
        _exit(replace_do(replacement, &err) == 0 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void check_after(const char *final)
{
    bool done = is(final, "made");
    if (done)
        assert_true(is(bak, "the original") && (strcmp(final, source) == 0 || !stands(source)));
    else
        assert_true(is(source, "the original") && !stands(bak) && (strcmp(final, source) == 0 || !stands(final)));
    assert_false(stands(temporary));
}

static void killed_everywhere(bool same, bool links)
{
    for (int n = 1;; n++) {
        set_up(NULL);
        const char *final = same ? source : other;
        struct replacement replacement = it(final, links);
        int end = run(&replacement, n);
        /* At every moment the original has a name, and what stands at the final name is whole. */
        assert_true(is(source, "the original") || is(bak, "the original"));
        assert_true(!stands(final) || is(final, "made") || is(final, "the original"));
        if (links)
            assert_true(!same || stands(final));
        for (int again = 1; again < 4; again++) { /* whoever mends it may be killed as well */
            pid_t pid = fork();
            if (pid == 0) {
                calls = 0;
                die_before = again;
                replace_recover(journal, kept);
                _exit(0);
            }
            waitpid(pid, NULL, 0);
            assert_true(is(source, "the original") || is(bak, "the original"));
        }
        replace_recover(journal, kept);
        if (end != 0 && !is(final, "made"))
            unlink(temporary); /* the worker's sweep of outputs */
        check_after(final);
        tear_down(NULL);
        if (end == 0) {
            assert_true(n > 5);
            return;
        }
        assert_int_equal(end, DIE);
    }
}

static void test_killed(void **state)
{
    (void)state;
    killed_everywhere(true, true);
    killed_everywhere(false, true);
    killed_everywhere(true, false);
    killed_everywhere(false, false);
}

/* Its process alone is killed, and another says what came of it: the two agree with what stands there. */
static void mended_everywhere(bool same, bool links)
{
    for (int n = 1;; n++) {
        set_up(NULL);
        const char *final = same ? source : other;
        struct replacement replacement = it(final, links);
        int end = run(&replacement, n);
        bool done = replace_mend(journal, kept, "1-1");
        assert_int_equal(done, is(final, "made"));
        if (!done)
            unlink(temporary);
        check_after(final);
        assert_int_equal(replace_mend(journal, kept, "1-1"), done); /* as often as one likes */
        tear_down(NULL);
        if (end == 0)
            return;
        assert_int_equal(end, DIE);
    }
}

static void test_mended(void **state)
{
    (void)state;
    mended_everywhere(true, true);
    mended_everywhere(false, true);
    mended_everywhere(true, false);
    mended_everywhere(false, false);
}

static void test_done(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(source, true);
    (void)state;
    assert_int_equal(replace_do(&replacement, &err), 0);
    check_after(source);
    assert_true(is(source, "made"));
    assert_int_equal(replace_expire(kept, 999), 0);
    assert_true(stands(bak));
    assert_int_equal(replace_expire(kept, 1000), 1);
    assert_false(stands(bak));
    assert_int_equal(replace_expire(kept, 5000), 0);
}

static void test_refused(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(source, true);
    struct stat info;
    (void)state;
    stat(source, &info);
    replacement.size = 5;
    assert_int_equal(replace_do(&replacement, &err), -1);
    assert_non_null(strstr(err.text, "has changed"));
    check_after(source);

    replacement = it(other, true);
    unit_write(temporary, "made");
    unit_write(other, "in the way");
    assert_int_equal(replace_do(&replacement, &err), -1);
    assert_true(is(source, "the original") && is(other, "in the way") && !stands(bak) && !stands(temporary));

    replacement = it(source, true);
    unit_write(temporary, "made");
    unit_write(bak, "in the way");
    assert_int_equal(replace_do(&replacement, &err), -1);
    assert_true(is(source, "the original") && is(bak, "in the way") && !stands(temporary));
}

static void test_names(void **state)
{
    char out[PATH_MAX], second[PATH_MAX];
    (void)state;
    assert_int_equal(replace_bak(source, 7, out), 0);
    assert_string_equal(out, bak);
    unit_write(bak, "x");
    assert_int_equal(replace_bak(source, 7, out), 0);
    snprintf(second, sizeof(second), "%s.7.bak", source);
    assert_string_equal(out, second);
    unit_write(second, "x");
    assert_int_equal(replace_bak(source, 7, out), -1);
}

/* A name that has no room for `.bak` is cut at its end, between two characters. */
static void test_long_names(void **state)
{
    char path[PATH_MAX], out[PATH_MAX], second[PATH_MAX], base[NAME_MAX + 1];
    (void)state;
    for (size_t at = 0; at + 3 <= NAME_MAX; at += 3)
        memcpy(base + at, "\xe7\x94\xb5", 3);
    base[NAME_MAX] = '\0';
    snprintf(path, sizeof(path), "%s/%s", library, base);
    unit_write(path, "x");
    assert_int_equal(replace_bak(path, 7, out), 0);
    assert_true(str_utf8(str_of(out)) && strlen(strrchr(out, '/') + 1) <= NAME_MAX);
    assert_string_equal(out + strlen(out) - 4, ".bak");
    unit_write(out, "x");
    assert_int_equal(replace_bak(path, 7, second), 0);
    assert_string_equal(second + strlen(second) - 6, ".7.bak");
    unit_write(second, "x");
    assert_int_equal(replace_bak(path, 7, out), -1);
}

static void undone(bool same)
{
    struct err err = {0};
    for (int n = 1;; n++) {
        set_up(NULL);
        struct replacement replacement = it(same ? source : other, true);
        struct undo undo = {.source = source, .dest = same ? source : other, .bak = bak, .size_after = 4};
        assert_int_equal(replace_do(&replacement, &err), 0);
        pid_t pid = fork();
        if (pid == 0) {
            calls = 0;
            die_before = n;
            _exit(replace_undo(&undo, &err) == 0 ? 0 : 1);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(is(source, "the original") || is(bak, "the original"));
        if (!is(source, "the original") || (!same && stands(other)))
            assert_int_equal(replace_undo(&undo, &err), 0);
        assert_true(is(source, "the original") && !stands(bak) && (same || !stands(other)));
        tear_down(NULL);
        if (WEXITSTATUS(status) == 0)
            return;
        assert_int_equal(WEXITSTATUS(status), DIE);
    }
}

static void test_undo(void **state)
{
    (void)state;
    undone(true);
    undone(false);
}

/* Undone once more, or when the original is there no more: told, and nothing is touched. */
static void test_undo_again(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(source, true);
    struct undo undo = {.source = source, .dest = source, .bak = bak, .size_after = 4, .size_before = 12};
    (void)state;
    assert_int_equal(replace_do(&replacement, &err), 0);
    assert_int_equal(replace_undo(&undo, &err), 0);
    assert_int_equal(replace_undo(&undo, &err), 1);
    assert_true(is(source, "the original") && !stands(bak));
    unit_write(temporary, "made");
    assert_int_equal(replace_do(&replacement, &err), 0);
    unlink(bak); /* its time was over */
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(is(source, "made"));
    unit_write(source, "somebody's");
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_true(is(source, "somebody's"));
}

/* The original's name is another file's by now: what was made is all there is of it. */
static void test_undo_beside_another(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(other, true);
    struct undo undo = {.source = source, .dest = other, .bak = bak, .size_after = 4, .size_before = 12};
    (void)state;
    assert_int_equal(replace_do(&replacement, &err), 0);
    unit_write(source, "another film");
    unit_write(source, "another film!"); /* of another size */
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_true(is(source, "another film!") && is(bak, "the original") && is(other, "made"));
    unlink(bak);
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(is(source, "another film!") && is(other, "made"));
    undo.bak = "";
    assert_int_equal(replace_undo(&undo, &err), -1);
    unlink(source);
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_true(is(other, "made"));
    unit_write(source, "the original");
    assert_int_equal(replace_undo(&undo, &err), 0);
    assert_false(stands(other));
    assert_int_equal(replace_undo(&undo, &err), 1);
    assert_true(is(source, "the original"));
}

/* The original has gone, and somebody's own file has the name that it had. */
static void test_undo_of_somebody_elses(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(source, true);
    struct undo undo = {.source = source, .dest = source, .bak = bak, .size_after = 4, .size_before = 12};
    (void)state;
    assert_int_equal(replace_do(&replacement, &err), 0);
    unlink(bak);
    unit_write(bak, "notes");
    assert_int_equal(replace_undo(&undo, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_true(is(source, "made") && is(bak, "notes"));
}

/* Replaced, undone, replaced again: the original is kept for as long as the second time says. */
static void test_kept_anew(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(source, true);
    struct undo undo = {.source = source, .dest = source, .bak = bak, .size_after = 4, .size_before = 12};
    (void)state;
    assert_int_equal(replace_do(&replacement, &err), 0);
    assert_int_equal(replace_undo(&undo, &err), 0);
    unit_write(temporary, "made");
    replacement.name = "2-1";
    replacement.until_ms = 5000;
    assert_int_equal(replace_do(&replacement, &err), 0);
    assert_int_equal(replace_expire(kept, 1000), 0);
    assert_true(is(bak, "the original"));
    assert_int_equal(replace_expire(kept, 5000), 1);
    assert_true(!stands(bak) && is(source, "made"));
}

static void test_retire(void **state)
{
    struct err err = {0};
    struct replacement replacement = it(other, true);
    (void)state;
    replacement.temporary = NULL;
    assert_int_equal(replace_retire(&replacement, &err), 0);
    assert_true(is(bak, "the original") && !stands(source));
    assert_int_equal(replace_expire(kept, 1000), 1);
    unit_write(source, "the original");
    replacement.bak = NULL;
    assert_int_equal(replace_retire(&replacement, &err), 0);
    assert_false(stands(source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_mended),
        cmocka_unit_test_setup_teardown(test_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_names, set_up, tear_down),
        cmocka_unit_test(test_undo),
        cmocka_unit_test_setup_teardown(test_undo_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_undo_beside_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_undo_of_somebody_elses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retire, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
