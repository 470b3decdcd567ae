/* Memory runs out at every place where the recorder asks for some, one after the other: what cannot be done is refused with nothing changed,
 * a cycle begins, goes on and ends all the same, and the same wish succeeds when it is asked again. */
#include "tests/unit/unit.h"

#include "scheduler/farms/record/record.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"
#include "tests/unit/memory_fault.h"

struct farm *record_farm(void);

static struct fixture *fixture;
static uint64_t key;
static void (*at_work)(void);

static void around(bool in)
{
    memory_watched = in;
}

static void checked(void)
{
    fixture_forget_letters(fixture);
    at_work();
    core_check(fixture->core);
    assert_false(journal_failed(fixture->journal));
}

/* Every step is one wish: repeated with the same key until memory is enough, and once more. */
static void hard(void (*step)(void))
{
    at_work = step;
    key++;
    memory_hard(checked);
}

static void ask(const struct shape *shape, const void *value, uint16_t id)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1000, corr, shape, value);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    if (answer && answer->shape->id == MSG_ERROR && memory_short())
        assert_true(answer->u.error.code == ERR_NO_MEMORY || answer->u.error.code == ERR_UNAVAILABLE);
    else if (answer || !memory_short())
        assert_int_equal(answer->shape->id, id);
}

static void configure(enum recorder_verb verb, const char *output)
{
    struct rec_recorder_stream stream = {
        .rtsp_url = STR_LIT("rtsp://u:p@cam/1"), .duration_seconds = 15, .weight = 1, .output_filename = str_of(output)};
    struct msg_recorder_configure say = {.idem = fixture_key_of((unsigned)key, 1),
                                         .verb = verb,
                                         .streams = {&stream, 1},
                                         .folder = STR_LIT("/srv/output"),
                                         .global = {.total_poll_duration_seconds = 60,
                                                    .max_concurrent_streams = 2,
                                                    .output_directory = STR_LIT("./output"),
                                                    .report_filename = STR_LIT("r.json"),
                                                    .connection_timeout_seconds = 3,
                                                    .read_timeout_seconds = 5,
                                                    .poll_cycles = -1}};
    stream.has = ~UINT64_C(0);
    say.global.has = ~UINT64_C(0);
    SET_HAS(&say, msg_recorder_configure, global);
    ask(&shape_msg_recorder_configure, &say, MSG_RECORDER_CONFIGURED);
}

static void step_import(void)
{
    configure(RECORDER_IMPORT, "a.mp4");
}

static void step_add(void)
{
    configure(RECORDER_ADD_STREAM, "b.mp4");
}

static void step_start(void)
{
    const struct msg_recorder_run say = {.idem = fixture_key_of((unsigned)key, 1)};
    ask(&shape_msg_recorder_run, &say, MSG_RECORDER_VIEW);
}

static void step_stop(void)
{
    const struct msg_recorder_run say = {.idem = fixture_key_of((unsigned)key, 1), .stop = true};
    ask(&shape_msg_recorder_run, &say, MSG_RECORDER_VIEW);
}

static void step_disk(void)
{
    const struct msg_recorder_disk say = {.folder = STR_LIT("/srv/output"), .marked = true};
    ask(&shape_msg_recorder_disk, &say, MSG_DONE);
}

static void step_view(void)
{
    const struct msg_recorder_ask say = {0};
    ask(&shape_msg_recorder_ask, &say, MSG_RECORDER_VIEW);
}

static void step_wait(void)
{
    fixture_wait(fixture, 300);
}

static void step_past(void)
{
    fixture_wait(fixture, 16000);
}

static struct rec_recorder_cycle cycle(uint64_t id)
{
    struct rec_recorder_cycle found;
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CYCLE, id, &found));
    return found;
}

static void test_a_cycle(void **unused)
{
    struct rec_recording one;
    (void)unused;
    fixture = fixture_new();
    fixture->make_farm = record_farm;
    fixture->around = around;
    memory_watched = false;
    fixture_start(fixture);
    hard(step_import);
    hard(step_add);
    assert_int_equal(recorder_of(fixture->core)->config.streams.count, 2);
    hard(step_disk);
    assert_int_equal(recorder_of(fixture->core)->disk.marked.count, 1);
    hard(step_start);
    hard(step_wait);
    fixture_wait(fixture, 300);
    assert_true(fixture_stored(fixture, TYPE_RECORDING, 2, &one) && one.run_id);
    hard(step_view);
    hard(step_past); /* nobody has recorded anything */
    fixture_wait(fixture, 2000);
    assert_true(cycle(1).failed == 2 && cycle(1).ended_at && cycle(1).unreported);
    hard(step_stop);
    fixture_wait(fixture, 2000);
    assert_int_equal(recorder_of(fixture->core)->state.cycle, 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_cycle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
