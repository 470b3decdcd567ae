/* The worker's folder, and the removal of folders. */
#include "tests/unit/worker_unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "worker/home.h"
#include "worker/setup.h"
#include "worker/sweep.h"
#include "worker/value.h"

static char data[UNIT_FOLDER_SIZE];
static struct loop *loop;

static int set_up(void **state)
{
    (void)state;
    unit_folder(data);
    loop = loop_new();
    return loop ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    unit_remove(data);
    return 0;
}

/* What act answers in a process of its own; -1 when it is killed. */
static int in_another_process(int (*act)(const int *pipe), const int *pipe)
{
    pid_t pid = fork();
    int status;
    if (pid == 0)
        _exit(act(pipe));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_again(const int *pipe)
{
    struct home home;
    struct err err = {0};
    (void)pipe;
    return home_open(&home, loop, data, "w1", &err) == -1 && strstr(err.text, "another worker named w1") ? 0 : 1;
}

/* A worker that is killed while a child of it, which has its descriptors, is not another program yet. */
static int open_and_fork(const int *pipe)
{
    struct home home;
    struct err err = {0};
    char byte;
    close(pipe[1]);
    if (home_open(&home, loop, data, "w1", &err) != 0)
        return 1;
    if (fork() == 0)
        _exit(read(pipe[0], &byte, 1) == 0 ? 0 : 1);
    kill(getpid(), SIGKILL);
    return 2;
}

static void test_lock_goes_with_its_process(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(in_another_process(open_and_fork, ends), -1);
    assert_int_equal(home_open(&home, loop, data, "w1", &err), 0);
    home_close(&home);
    close(ends[0]);
    close(ends[1]); /* ends the child */
}

static void test_ident_stays(void **state)
{
    (void)state;
    struct home home, second;
    struct err err = {0};
    char first[65];
    assert_int_equal(home_open(&home, loop, data, "w1", &err), 0);
    assert_int_equal(strlen(home.ident), 32);
    snprintf(first, sizeof(first), "%s", home.ident);
    home_close(&home);
    assert_int_equal(home_open(&home, loop, data, "w1", &err), 0);
    assert_string_equal(home.ident, first);
    /* one process at a time */
    assert_int_equal(in_another_process(open_again, NULL), 0);
    /* another name is another worker */
    assert_int_equal(home_open(&second, loop, data, "w2", &err), 0);
    assert_string_not_equal(second.ident, first);
    home_close(&second);
    home_close(&home);
}

/* Users that runs become pass through every folder down to their run's, also where the worker made the data folder. */
static void test_passable(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    struct stat info;
    char fresh[PATH_MAX], at[PATH_MAX];
    snprintf(fresh, sizeof(fresh), "%s/fresh", data);
    assert_int_equal(home_open(&home, loop, fresh, "w", &err), 0);
    snprintf(at, sizeof(at), "%s", home.runs);
    for (size_t down_to = strlen(home.runs) - strlen("/workers/w/runs"); strlen(at) >= down_to; *strrchr(at, '/') = '\0') {
        assert_int_equal(stat(at, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0711);
    }
    home_close(&home);
}

/* A torn or foreign ident file is replaced, not believed. */
static void test_ident_damaged(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    char path[PATH_MAX];
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    home_close(&home);
    snprintf(path, sizeof(path), "%s/workers/w/ident", data);
    unit_write(path, "not an ident, with blanks");
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    assert_int_equal(strlen(home.ident), 32);
    home_close(&home);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "..", ".x", "a/b", "a b", "\xc3\xa4"};
    struct home home;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(home_open(&home, loop, data, bad[i], &err), -1);
        assert_non_null(strstr(err.text, "worker.name"));
    }
}

static void fill(const char *folder, int files)
{
    char path[2 * PATH_MAX];
    for (int i = 0; i < files; i++) {
        snprintf(path, sizeof(path), "%s/f%d", folder, i);
        unit_write(path, "x");
    }
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void wait_gone(const char *path)
{
    for (int i = 0; i < 12000 && access(path, F_OK) == 0; i++) {
        loop_after(loop, 10, stop, loop);
        loop_run(loop);
    }
    assert_int_equal(access(path, F_OK), -1);
}

static void test_run_folders(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    char path[PATH_MAX], work[PATH_MAX + 8];
    struct stat info;
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    assert_int_equal(home_make(&home, 7, 2, (uid_t)-1, (gid_t)-1, path, &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    snprintf(work, sizeof(work), "%s/work", path);
    fill(work, 5);
    home_remove(&home, 7, 2);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(home.sweeper, -1);
    /* a large one goes by and by, out of the way at once */
    assert_int_equal(home_make(&home, 8, 1, (uid_t)-1, (gid_t)-1, path, &err), 0);
    snprintf(work, sizeof(work), "%s/work", path);
    fill(work, 2000);
    home_remove(&home, 8, 1);
    assert_int_equal(access(path, F_OK), -1);
    wait_gone(home.trash);
    home_close(&home);
}

/* What outlives runs goes with the worker, too, when it has left no run. */
static void test_keep(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    char path[PATH_MAX], again[PATH_MAX], mark[PATH_MAX + 64], file[PATH_MAX + 8];
    struct stat info;
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    home_keep_remove(&home, 3);
    assert_int_equal(home_keep_make(&home, 3, (uid_t)-1, (gid_t)-1, path, &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    fill(path, 5);
    snprintf(file, sizeof(file), "%s/x", path);
    unit_write(file, "x");
    assert_int_equal(home_keep_make(&home, 3, (uid_t)-1, (gid_t)-1, again, &err), 0);
    assert_string_equal(again, path);
    assert_int_equal(access(file, F_OK), -1);
    snprintf(mark, sizeof(mark), "GANTRY_RESULT=%s/keep", home.runs);
    home_close(&home);
    pid_t pid = fork();
    if (pid == 0) {
        char *const env[] = {mark, NULL};
        execle("/bin/sleep", "sleep", "600", NULL, env);
        _exit(1);
    }
    wait_marked(mark, 1);
    signal(SIGCHLD, SIG_IGN); /* it is a child of ours only here */
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    assert_int_equal(marked_processes(mark), 0);
    assert_int_equal(access(path, F_OK), -1);
    wait_gone(home.trash);
    assert_int_equal(home_keep_make(&home, 3, (uid_t)-1, (gid_t)-1, path, &err), 0);
    home_keep_remove(&home, 3);
    assert_int_equal(access(path, F_OK), -1);
    home_close(&home);
    signal(SIGCHLD, SIG_DFL);
}

/* What an earlier worker left: its folders go, and a process that still works for one of its runs is killed. */
static void test_leftovers(void **state)
{
    (void)state;
    struct home home;
    struct err err = {0};
    char path[PATH_MAX], real[PATH_MAX], mark[PATH_MAX + 64];
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    assert_int_equal(home_make(&home, 9, 1, (uid_t)-1, (gid_t)-1, path, &err), 0);
    fill(path, 10);
    home_close(&home);
    assert_non_null(realpath(data, real));
    snprintf(mark, sizeof(mark), "GANTRY_RESULT=%s/workers/w/runs/9-1/result", real);
    pid_t pid = fork();
    if (pid == 0) {
        char *const env[] = {mark, NULL};
        execle("/bin/sleep", "sleep", "600", NULL, env);
        _exit(1);
    }
    wait_marked(mark, 1);
    signal(SIGCHLD, SIG_IGN); /* it is a child of ours only here */
    assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
    assert_int_equal(marked_processes(mark), 0);
    assert_int_equal(access(path, F_OK), -1);
    wait_gone(home.trash);
    home_close(&home);
    signal(SIGCHLD, SIG_DFL);
}

/* Outputs that an earlier worker's runs had begun go with it; one that is over is not its to remove, nor is a file of another name. */
static void test_leftover_outputs(void **state)
{
    struct home home;
    struct err err = {0};
    static const char *const names[] = {".gantry-9-1.out", ".gantry-9-2.out", "out"};
    char paths[3][PATH_MAX], path[PATH_MAX];
    (void)state;
    for (int restart = 0; restart < 2; restart++) { /* without a folder of a run, and with one */
        assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
        if (restart)
            assert_int_equal(home_make(&home, 9, 1, (uid_t)-1, (gid_t)-1, path, &err), 0);
        for (unsigned i = 0; i < 3; i++) {
            snprintf(paths[i], sizeof(paths[i]), "%s/%s", data, names[i]);
            unit_write(paths[i], "half");
            assert_int_equal(home_output_begins(&home, 9, i + 1, "/another/.gantry-9-1.out", &err), 0);
            assert_int_equal(home_output_begins(&home, 9, i + 1, paths[i], &err), 0);
        }
        home_output_over(&home, 9, 2);
        home_close(&home);
        assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
        assert_int_equal(access(paths[0], F_OK), -1);
        assert_int_equal(access(paths[1], F_OK), 0);
        assert_int_equal(access(paths[2], F_OK), 0);
        unit_write(paths[0], "another's by now");
        wait_gone(home.trash);
        home_close(&home);
        assert_int_equal(home_open(&home, loop, data, "w", &err), 0);
        assert_int_equal(access(paths[0], F_OK), 0);
        home_close(&home);
    }
}

static void test_read_file(void **state)
{
    (void)state;
    char path[PATH_MAX], other[PATH_MAX], out[8];
    snprintf(path, sizeof(path), "%s/a", data);
    snprintf(other, sizeof(other), "%s/b", data);
    unit_write(path, "0123456789");
    assert_int_equal(home_read_file(path, out, sizeof(out)), 8);
    assert_memory_equal(out, "01234567", 8);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(home_read_file(other, out, sizeof(out)), -1);
    unlink(other);
    assert_int_equal(link(path, other), 0); /* perhaps to a file that the run itself may not read */
    assert_int_equal(home_read_file(path, out, sizeof(out)), -1);
    assert_int_equal(home_read_file(data, out, sizeof(out)), -1);
    unlink(other);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_equal(home_read_file(other, out, sizeof(out)), -1);
}

static void test_sweep(void **state)
{
    (void)state;
    struct err err = {0};
    char path[PATH_MAX], outside[PATH_MAX], link[PATH_MAX];
    snprintf(outside, sizeof(outside), "%s/outside", data);
    mkdir(outside, 0700);
    fill(outside, 3);
    snprintf(path, sizeof(path), "%s/gone", data);
    mkdir(path, 0700);
    fill(path, 30);
    snprintf(link, sizeof(link), "%s/gone/link", data);
    assert_int_equal(symlink(outside, link), 0);
    for (int i = 0; i < 20; i++) {
        strcat(path, "/d");
        mkdir(path, 0700);
    }
    chmod(path, 0); /* one that cannot be looked into as it is */
    snprintf(path, sizeof(path), "%s/gone", data);
    int calls = 0, rc;
    while ((rc = sweep_folder(path, 10, &err)) == 0)
        assert_true(++calls < 100);
    assert_int_equal(rc, 1);
    assert_true(calls >= 4);
    snprintf(path, sizeof(path), "%s/outside/f2", data);
    assert_int_equal(access(path, F_OK), 0); /* a link is removed, not followed */
    assert_int_equal(sweep_folder("/proc/1", 10, &err), -1);
}

static bool dig(const char *path, int levels)
{
    int at = mkdir(path, 0700) == 0 ? open(path, O_RDONLY | O_DIRECTORY) : -1;
    for (int i = 0; at >= 0 && i < levels; i++) {
        int file = openat(at, "f", O_WRONLY | O_CREAT, 0400);
        int next = mkdirat(at, "d", 0700) == 0 ? openat(at, "d", O_RDONLY | O_DIRECTORY) : -1;
        close(file);
        fchmod(at, 0500);
        close(at);
        at = next;
    }
    close(at);
    return at >= 0;
}

/* Many times deeper than one walk goes, and of folders that were made read-only. 0 when it is gone. */
static int sweep_deep(const int *unused)
{
    struct err err = {0};
    char path[PATH_MAX];
    int calls = 0, rc = 0;
    (void)unused;
    snprintf(path, sizeof(path), "%s/deep", data);
    if (!dig(path, 300))
        return 2;
    while (rc == 0 && calls++ < 1000)
        rc = sweep_folder(path, 256, &err);
    return rc == 1 && access(path, F_OK) < 0 ? 0 : 3;
}

static void test_sweep_deep(void **state)
{
    (void)state;
    assert_int_equal(sweep_deep(NULL), 0);
}

static int sweep_deep_as_nobody(const int *unused)
{
    if (chown(data, 65534, 65534) < 0 || setuid(65534) < 0)
        return 1;
    return sweep_deep(unused);
}

/* Root may write into a read-only folder; everybody else has to change it. */
static void test_sweep_deep_without_rights(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_another_process(sweep_deep_as_nobody, NULL), 0);
}

/* The trash of a worker that is not root holds three folders; in the second, in the order they are read in, is something that is not the
 * worker's. All that is the worker's own goes. 0 when it is so. */
static char trash[PATH_MAX], names[3][300];

static void trash_fill(void)
{
    char path[PATH_MAX + 320];
    int count = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%d-1.5", trash, i);
        assert_int_equal(mkdir(path, 0700), 0);
        fill(path, 300);
    }
    DIR *dir = opendir(trash);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && count < 3)
            snprintf(names[count++], sizeof(names[0]), "%s", entry->d_name);
    closedir(dir);
    assert_int_equal(count, 3);
}

static int sweep_past_what_stays(const int *unused)
{
    struct home home;
    struct err err = {0};
    char path[PATH_MAX + 320];
    (void)unused;
    if (setuid(65534) < 0 || home_open(&home, loop, data, "w", &err) < 0)
        return 1;
    for (int i = 0; i < 1000 && home.sweeper >= 0; i++) {
        loop_after(loop, 10, stop, loop);
        loop_run(loop);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", trash, names[i]);
        if ((access(path, F_OK) == 0) != (i == 1))
            return 2 + i;
    }
    snprintf(path, sizeof(path), "%s/%s/f299", trash, names[1]);
    if (access(path, F_OK) == 0 || home.stuck != 1)
        return 5;
    home_close(&home);
    return 0;
}

static void test_sweep_past_what_stays(void **state)
{
    (void)state;
    char path[PATH_MAX + 320];
    if (geteuid() != 0)
        skip();
    snprintf(trash, sizeof(trash), "%s/workers/w/trash", data);
    snprintf(path, sizeof(path), "mkdir -p %s", trash);
    assert_int_equal(system(path), 0);
    trash_fill();
    snprintf(path, sizeof(path), "chown -R 65534:65534 %s && mkdir %s/%s/theirs && touch %s/%s/theirs/file", data, trash,
             names[1], trash, names[1]);
    assert_int_equal(system(path), 0);
    assert_int_equal(in_another_process(sweep_past_what_stays, NULL), 0);
}

static void test_split(void **state)
{
    (void)state;
    struct str items[4];
    struct err err = {0};
    assert_int_equal(setup_split("", items, 4, &err), 0);
    assert_int_equal(setup_split("a, b ,c", items, 4, &err), 3);
    assert_true(str_is(items[1], "b"));
    assert_int_equal(setup_split("a,,b", items, 4, &err), -1);
    assert_int_equal(setup_split("a,", items, 4, &err), -1);
    assert_int_equal(setup_split("a,b,c,d,e", items, 4, &err), -1);
    struct buf labels = {0};
    struct str value;
    assert_int_equal(setup_labels("gpu=a=b, room = 2", &labels, &err), 0);
    assert_true(value_find(buf_str(&labels), STR_LIT("room"), &value));
    assert_int_equal(setup_labels("gpu", &labels, &err), -1);
    assert_int_equal(setup_labels("a=1,a=2", &labels, &err), -1);
    buf_free(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ident_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_goes_with_its_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ident_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leftover_outputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_deep_without_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep_past_what_stays, set_up, tear_down),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
