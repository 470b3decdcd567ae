#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gateway/cli/lock.h"

static void only_one_has_it(void **state)
{
    char folder[UNIT_FOLDER_SIZE];
    char words[64];
    struct err err = {0};

    (void)state;
    unit_folder(folder);
    struct lock *lock = lock_take(folder, &err);
    assert_non_null(lock);
    assert_null(lock_take(folder, &err));
    snprintf(words, sizeof words, "(pid %d)", (int)getpid());
    assert_non_null(strstr(err.text, words));
    lock_free(lock);
    lock = lock_take(folder, &err);
    assert_non_null(lock);
    lock_free(lock);
    lock_free(NULL);
    unit_remove(folder);
}

static void the_folder_is_made(void **state)
{
    char folder[UNIT_FOLDER_SIZE];
    char deep[UNIT_FOLDER_SIZE + 16];
    struct err err = {0};
    struct stat info;

    (void)state;
    unit_folder(folder);
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    struct lock *lock = lock_take(deep, &err);
    assert_non_null(lock);
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0711); /* users that runs become pass through it */
    lock_free(lock);
    unit_remove(folder);
}

static void a_folder_that_cannot_be_is_told(void **state)
{
    struct err err = {0};

    (void)state;
    assert_null(lock_take("/proc/nothing/here", &err));
    assert_non_null(strstr(err.text, "/proc/nothing"));
}

/* What a killed predecessor left is ended; a pid that means another process by now is not touched. */
static void children_left_behind_are_ended(void **state)
{
    char folder[UNIT_FOLDER_SIZE];
    char path[UNIT_FOLDER_SIZE + 16];
    char text[128];
    struct err err = {0};
    int status;

    (void)state;
    unit_folder(folder);
    snprintf(path, sizeof path, "%s/up.lock", folder);
    pid_t left = fork();
    if (left == 0) {
        pause();
        _exit(0);
    }
    pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    struct lock *lock = lock_take(folder, &err);
    assert_non_null(lock);
    lock_note(lock, &left, 1);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 32, file);
    text[len] = '\0';
    fclose(file);
    lock_free(lock);
    snprintf(text + len, sizeof text - len, "%d %d\n", (int)other, 1); /* it did not start then */
    unit_write(path, text);

    lock = lock_take(folder, &err);
    assert_non_null(lock);
    assert_int_equal(waitpid(left, &status, 0), left);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(waitpid(other, &status, WNOHANG), 0);
    kill(other, SIGKILL);
    waitpid(other, &status, 0);
    lock_free(lock);
    unit_remove(folder);
}

static void nonsense_in_the_file_is_harmless(void **state)
{
    char folder[UNIT_FOLDER_SIZE];
    char path[UNIT_FOLDER_SIZE + 16];
    struct err err = {0};

    (void)state;
    unit_folder(folder);
    snprintf(path, sizeof path, "%s/up.lock", folder);
    unit_write(path, "1 1\n-1 5\n0 5\n1 5\nwhat is this\n");
    struct lock *lock = lock_take(folder, &err);
    assert_non_null(lock);
    lock_free(lock);
    unit_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_has_it),
        cmocka_unit_test(the_folder_is_made),
        cmocka_unit_test(a_folder_that_cannot_be_is_told),
        cmocka_unit_test(children_left_behind_are_ended),
        cmocka_unit_test(nonsense_in_the_file_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
