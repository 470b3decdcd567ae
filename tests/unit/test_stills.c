/* Stills made by programs of ours: good ones, and such that fail, hang, crash and write without end. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "gateway/stills.h"
#include "proto/messages.h"

#define LONG_MS 600000 /* what never comes */

static struct loop *loop;
static char folder[UNIT_FOLDER_SIZE], program[UNIT_FOLDER_SIZE + 16];
static unsigned done, awaited;

static const struct stills_limits patient = {.at_once = 2, .line = 64, .wait_ms = LONG_MS, .work_ms = LONG_MS, .bytes = 1000};

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    unit_folder(folder);
    snprintf(program, sizeof program, "%s/program", folder);
    done = awaited = 0;
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    unit_remove(folder);
    return 0;
}

static struct stills *with(const char *script, const struct stills_limits *limits)
{
    struct err err;
    char text[512];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    unit_write(program, text);
    assert_int_equal(chmod(program, 0755), 0);
    struct stills *stills = stills_new(loop, program, limits, &err);
    assert_non_null(stills);
    return stills;
}

static void on_done(struct still *still)
{
    (void)still;
    if (++done == awaited)
        loop_stop(loop);
}

static struct still still_of(const char *video, enum still_which which)
{
    char path[UNIT_FOLDER_SIZE + 16];
    snprintf(path, sizeof path, "%s/video", folder);
    unit_write(path, video);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return (struct still){.fd = fd, .which = which, .done = on_done};
}

static void await(unsigned count)
{
    awaited = count;
    if (done < count)
        assert_int_equal(loop_run(loop), 0);
    assert_int_equal(done, count);
}

/* What becomes of one by that program; its words, or its JPEG, in out. */
static enum still_end made_by(const char *script, const struct stills_limits *limits, char out[64])
{
    struct stills *stills = with(script, limits);
    struct still still = still_of("video", STILL_EARLY);
    done = 0;
    stills_make(stills, &still);
    await(1);
    snprintf(out, 64, "%.*s", (int)still.out.len, still.out.len ? still.out.data : "");
    buf_free(&still.out);
    assert_int_equal(still.fd, -1);
    stills_free(stills);
    return still.end;
}

static void test_ends(void **state)
{
    char out[64];
    (void)state;
    assert_int_equal(made_by("printf '\\377\\330\\377%s %s ' $1 $2; exec cat", &patient, out), STILL_MADE);
    assert_string_equal(out, "\xff\xd8\xff--still early video");
    assert_int_equal(made_by("printf 'it is broken'; exit 1", &patient, out), STILL_NONE);
    assert_string_equal(out, "it is broken");
    assert_int_equal(made_by("printf 'no picture'", &patient, out), STILL_NONE);
    assert_string_equal(out, "");
    assert_int_equal(made_by("printf '\\377\\330\\377half'; kill -SEGV $$", &patient, out), STILL_NONE);
    assert_string_equal(out, "");
    assert_int_equal(made_by("exec yes", &patient, out), STILL_NONE); /* it is ended for that */
    assert_string_equal(out, "");
}

static void test_time(void **state)
{
    struct stills_limits brief = patient;
    char out[64];
    (void)state;
    brief.work_ms = 1;
    assert_int_equal(made_by("exec 1>&-; exec sleep 1000", &brief, out), STILL_NONE);
    assert_string_equal(out, "");
}

static void test_no_program(void **state)
{
    struct err err;
    struct still still = still_of("video", STILL_LAST);
    (void)state;
    struct stills *stills = stills_new(loop, "/none/gantry-picture", &patient, &err);
    assert_non_null(stills);
    stills_make(stills, &still);
    assert_int_equal(done, 1);
    assert_int_equal(still.end, STILL_FAILED);
    stills_free(stills);
    stills = stills_new(loop, NULL, &stills_usual, &err);
    assert_non_null(stills);
    stills_free(stills);
    stills_free(NULL);
}

/* Two are made at a time, some wait, and there is an end of that. */
static void test_the_line(void **state)
{
    struct stills_limits limits = patient;
    struct still stills_of[6];
    char path[UNIT_FOLDER_SIZE + 16];
    (void)state;
    limits.line = 3;
    snprintf(path, sizeof path, "%s/go", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct stills *stills = with("read line <\"${0%/*}/go\"; printf '\\377\\330\\377x'", &limits);
    for (int i = 0; i < 6; i++) {
        stills_of[i] = still_of("video", STILL_EARLY);
        stills_make(stills, &stills_of[i]);
    }
    assert_int_equal(done, 1); /* two, and three in line */
    assert_int_equal(stills_of[5].end, STILL_LATE);
    stills_forget(stills, &stills_of[0]); /* its child is ended, which makes room */
    stills_forget(stills, &stills_of[3]);
    int go = open(path, O_RDWR);
    assert_true(go >= 0);
    assert_int_equal(write(go, "\n\n\n\n", 4), 4);
    await(4);
    const int made[] = {1, 2, 4};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stills_of[made[i]].end, STILL_MADE);
        buf_free(&stills_of[made[i]].out);
    }
    close(go);
    stills_free(stills);
}

static void test_waiting(void **state)
{
    struct stills_limits limits = patient;
    struct still first, second, third;
    (void)state;
    limits.at_once = 1;
    limits.wait_ms = 1;
    struct stills *stills = with("exec sleep 1000", &limits);
    first = still_of("video", STILL_EARLY);
    second = still_of("video", STILL_EARLY);
    third = still_of("video", STILL_EARLY);
    stills_make(stills, &first);
    stills_make(stills, &second);
    await(1);
    assert_int_equal(second.end, STILL_LATE);
    stills_make(stills, &third);
    stills_free(stills); /* with a child, and one in line */
    assert_int_equal(done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
