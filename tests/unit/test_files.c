/* Work with files, one job after the other, and what waits too long behind one that does not end. */
#include "tests/unit/unit.h"

#include "gateway/files.h"

static struct loop *loop;
static int gate[2]; /* what is stuck waits for a byte of it */
static unsigned worked, done, late;

static void work_stuck(struct file_job *job)
{
    char byte;
    (void)job;
    assert_int_equal(read(gate[0], &byte, 1), 1);
}

static void work(struct file_job *job)
{
    (void)job;
    worked++;
}

static void on_done(struct file_job *job)
{
    (void)job;
    done++;
    loop_stop(loop);
}

static void on_late(struct file_job *job)
{
    (void)job;
    late++;
    loop_stop(loop);
}

static void test_behind_one_that_is_stuck(void **unused)
{
    struct err err;
    struct file_job stuck = {.work = work_stuck, .done = on_done}, patient = {.work = work, .done = on_done};
    struct file_job hasty = {.work = work, .done = on_done, .late = on_late};
    struct file_job calm = {.work = work, .done = on_done, .late = on_late, .until_ms = UINT64_MAX};
    (void)unused;
    loop = loop_new();
    assert_true(loop && pipe(gate) == 0);
    struct files *files = files_new(loop, &err);
    assert_non_null(files);
    files_do(files, &stuck);
    files_do(files, &patient);
    files_do(files, &hasty);
    files_do(files, &calm);
    assert_int_equal(loop_run(loop), 0);
    assert_true(late == 1 && worked == 0 && done == 0);
    files_do(files, &hasty); /* behind what is last now */
    assert_int_equal(write(gate[1], "", 1), 1);
    while (done + late < 5)
        assert_int_equal(loop_run(loop), 0);
    assert_true(done + late == 5 && done == worked + 1 && done >= 3);
    files_free(files);
    loop_free(loop);
    close(gate[0]);
    close(gate[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_behind_one_that_is_stuck)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
