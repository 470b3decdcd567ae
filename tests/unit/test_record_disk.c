/* The recorder's disk in the core: what a look at it has found holds up recordings, and is remembered. */
#include "tests/unit/unit.h"

#include "tests/unit/record_fixture.h"

static void disk(struct fixture *fixture, const char *folder, enum recorder_disk_state state, bool marked)
{
    const struct msg_recorder_disk told = {.folder = str_of(folder), .state = state, .marked = marked};
    assert_int_equal(fixture_ask(fixture, &shape_msg_recorder_disk, &told)->shape->id, MSG_DONE);
    fixture_settle(fixture);
}

/* On a full disk nothing begins: a recording waits as long as its slot lasts, also through a restart, and says why. */
static void test_disk_full(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 1, 0);
    hello(fixture);
    disk(fixture, FOLDER, RECORDER_DISK_FULL, false);
    assert_int_equal(run(fixture, false)->u.recorder_view.disk.state, RECORDER_DISK_FULL);
    fixture_wait(fixture, 5000);
    assert_int_equal(fixture_assigned(fixture, RECORDER).run_id, 0);
    struct msg_recorder_view seen = view(fixture);
    assert_true(seen.recordings.items[0].status == RECORDING_IDLE && str_is(seen.folder, FOLDER));
    assert_memory_equal(seen.recordings.items[0].error.ptr, "disk_full:", 10);
    fixture_rebuild(fixture);
    hello(fixture);
    assert_int_equal(view(fixture).disk.state, RECORDER_DISK_FULL);
    fixture_wait(fixture, 11000);
    fixture_heartbeat(fixture, RECORDER, NULL, 0);
    assert_int_equal(stored(fixture, 1).status, RECORDING_READ_ERROR); /* 15 s are over */
    assert_memory_equal(stored(fixture, 1).error.ptr, "disk_full:", 10);
    assert_int_equal(stored(fixture, 2).status, RECORDING_IDLE);
    disk(fixture, FOLDER, RECORDER_DISK_WELL, false);
    struct rec_lease lease = begin_next(fixture); /* in what is left of its slot */
    assert_int_equal(stored(fixture, 2).run_id, lease.run_id);
    disk(fixture, FOLDER, RECORDER_DISK_FULL, false); /* what has begun goes on */
    result(fixture, lease, OUTCOME_COMPLETED, WELL);
    seen = view(fixture);
    assert_true(seen.cycle.failed == 1 && seen.cycle.completed == 1 && !seen.state.running);
    fixture_free(fixture);
}

/* What is known of a folder is of that alone; which had a marker is remembered, the oldest are forgotten. */
static void test_disk_marked(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 1, 0);
    struct rec_recorder_disk kept;
    struct rec_run record;
    struct str root;
    disk(fixture, "/srv/other", RECORDER_DISK_FULL, true); /* nobody asked */
    assert_false(fixture_stored(fixture, TYPE_RECORDER_DISK, 1, &kept));
    disk(fixture, FOLDER, RECORDER_DISK_WELL, true);
    disk(fixture, FOLDER, RECORDER_DISK_WELL, true);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DISK, 1, &kept) && kept.marked.count == 1);
    disk(fixture, FOLDER, RECORDER_DISK_UNMOUNTED, false);
    fixture_rebuild(fixture);
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1000);
    assert_memory_equal(view(fixture).recordings.items[0].error.ptr, "unmounted:", 10);
    disk(fixture, FOLDER, RECORDER_DISK_WELL, true);
    struct rec_lease lease = begin_next(fixture);
    assert_true(fixture_run(fixture, lease.run_id, &record));
    assert_true(map_text(record.parameters, STR_LIT("root"), &root) && str_is(root, FOLDER));
    assert_int_equal(map_number(record.parameters, "marked"), 1);
    for (unsigned i = 0; i < RECORDER_MARKED; i++) {
        char folder[32];
        snprintf(folder, sizeof folder, "/srv/%u", i);
        struct rec_recorder_global none = {0};
        struct msg_recorder_configure ask = {
            .idem = fixture_key(fixture), .verb = RECORDER_SET_GLOBAL, .global = none, .folder = str_of(folder)};
        SET_HAS(&ask, msg_recorder_configure, global);
        assert_int_equal(fixture_ask(fixture, &shape_msg_recorder_configure, &ask)->shape->id, MSG_RECORDER_CONFIGURED);
        disk(fixture, folder, RECORDER_DISK_WELL, true);
    }
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DISK, 1, &kept) && kept.marked.count == RECORDER_MARKED);
    assert_true(str_is(kept.marked.items[0], "/srv/0") && str_is(kept.marked.items[RECORDER_MARKED - 1], "/srv/15"));
    fixture_free(fixture);
}

/* Which cycle left its reports where is told while there is no marker, also behind a restart. */
static void test_disk_past(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 1, 0);
    struct rec_recorder_cycle cycle;
    struct rec_lease lease[2];
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1);
    for (unsigned i = 0; i < 2; i++)
        lease[i] = fixture_begin(fixture, RECORDER);
    assert_int_equal(view(fixture).past.len, 0);
    result(fixture, lease[0], OUTCOME_COMPLETED, WELL);
    result(fixture, lease[1], OUTCOME_COMPLETED, WELL);
    assert_int_equal(view(fixture).past.len, 0); /* nothing of it may be there */
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CYCLE, 1, &cycle));
    const struct msg_recorder_reported told = {.known = cycle};
    assert_int_equal(fixture_ask(fixture, &shape_msg_recorder_reported, &told)->shape->id, MSG_DONE);
    fixture_settle(fixture);
    assert_true(str_eq(view(fixture).past, cycle.name));
    fixture_rebuild(fixture);
    assert_true(str_eq(view(fixture).past, cycle.name));
    disk(fixture, FOLDER, RECORDER_DISK_WELL, true);
    assert_int_equal(view(fixture).past.len, 0);
    fixture_free(fixture);
}

/* A cycle goes on in its folder when the configuration has another: what is known of that holds for it. */
static void test_disk_of_the_cycle(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 1, 1, 0);
    hello(fixture);
    run(fixture, false);
    struct rec_lease lease = begin_next(fixture);
    struct msg_recorder_configure ask = {
        .idem = fixture_key(fixture), .verb = RECORDER_SET_GLOBAL, .folder = STR_LIT("/srv/later")};
    SET_HAS(&ask, msg_recorder_configure, global);
    assert_int_equal(fixture_ask(fixture, &shape_msg_recorder_configure, &ask)->shape->id, MSG_RECORDER_CONFIGURED);
    disk(fixture, FOLDER, RECORDER_DISK_UNMOUNTED, false);
    result(fixture, lease, OUTCOME_COMPLETED, WELL);
    fixture_wait(fixture, 22000);
    struct msg_recorder_view seen = view(fixture);
    assert_true(str_is(seen.folder, "/srv/later") && str_is(seen.disk.folder, FOLDER));
    assert_true(seen.recordings.items[1].status == RECORDING_IDLE || seen.recordings.items[0].status == RECORDING_IDLE);
    disk(fixture, FOLDER, RECORDER_DISK_WELL, false);
    result(fixture, begin_next(fixture), OUTCOME_COMPLETED, WELL);
    assert_int_equal(view(fixture).state.cycle, 0);
    disk(fixture, FOLDER, RECORDER_DISK_FULL, false); /* it is over: nobody asked */
    assert_int_equal(view(fixture).disk.state, RECORDER_DISK_WELL);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_marked),
        cmocka_unit_test(test_disk_past),
        cmocka_unit_test(test_disk_of_the_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
