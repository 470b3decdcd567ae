/* Workers of a video that is encoded in segments: who has what when one fails a segment, is lost, or joins. */
#include "tests/unit/unit.h"

#include "tests/unit/cut_fixture.h"

/* The task is its worker's who joined it, not that of who cut it. */
static void test_whose_it_is(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    uint64_t task = cut_farm(&fixture);
    uint64_t first = task_of(fixture, task).worker_id;
    assert_true(first && str_is(task_of(fixture, task).worker_name, "w1"));
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    fixture_begin(fixture, 1);
    hello(fixture, 2, "w2", "shared hevc");
    hello(fixture, 1, "w1", "another hevc"); /* its ffmpeg is another, and the last segment is the other one's */
    ends(fixture, 2, fixture_begin(fixture, 2), "{}");
    turn(fixture);
    struct rec_lease join = fixture_begin(fixture, 2);
    assert_int_equal(join.run_id, task);
    ends(fixture, 2, join, "{\"size_after\":400000}");
    struct rec_transcode_task record = task_of(fixture, task);
    assert_int_equal(record.status, TRANSCODE_COMPLETED);
    assert_true(record.worker_id != first && str_is(record.worker_name, "w2"));
    fixture_free(fixture);
}

/* What failed on one worker is for another, also one that is busy now, while there is one. */
static void test_a_segment_fails_on_one_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    uint64_t task = cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    hello(fixture, 2, "w2", "shared hevc");
    struct rec_lease two = fixture_begin(fixture, 2);
    fails(fixture, 1, one, "the disk is full");
    struct rec_lease three = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, three, "segment"), 3);
    ends(fixture, 1, three, "{}");
    turn(fixture);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0); /* the first is for the other one */
    ends(fixture, 2, two, "{}");
    two = fixture_begin(fixture, 2);
    assert_int_equal(told(fixture, two, "segment"), 1);
    fails(fixture, 2, two, "the disk is full"); /* there, too: to whoever has room */
    unsigned peer;
    one = begun(fixture, &peer);
    assert_int_equal(told(fixture, one, "segment"), 1);
    ends(fixture, peer, one, "{}");
    turn(fixture);
    assert_true(cut_of(fixture, task, &cut));
    assert_int_equal(cut.tries.items[0], 2);
    assert_int_equal(begun(fixture, &peer).run_id, task);
    fixture_free(fixture);
}

/* The other one goes: there is nobody but who failed it. One that makes something else is no other. */
static void test_a_segment_fails_on_the_last_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    hello(fixture, 2, "w2", "shared hevc");
    hello(fixture, 3, "w3", "another hevc");
    fixture_begin(fixture, 2);
    fails(fixture, 1, one, "the disk is full");
    struct rec_lease three = fixture_begin(fixture, 1);
    ends(fixture, 1, three, "{}");
    turn(fixture);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    hello(fixture, 2, "w2", "another hevc"); /* its ffmpeg is another */
    turn(fixture);
    one = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, one, "segment"), 1);
    fixture_free(fixture);
}

/* The other one is here and stays busy: after some minutes it is for whoever has room. */
static void test_a_segment_fails_beside_a_busy_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    hello(fixture, 2, "w2", "shared hevc");
    struct rec_lease two = fixture_begin(fixture, 2);
    fails(fixture, 1, one, "the disk is full");
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    bool waited = true;
    for (unsigned i = 0; i < 10 * 60 / 5; i++) {
        waited = waited && !fixture_assigned(fixture, 1).run_id;
        fixture_heartbeat(fixture, 1, NULL, 0);
        fixture_heartbeat(fixture, 2, &two, 1);
        fixture_wait(fixture, 5000);
    }
    assert_true(waited);
    fixture_heartbeat(fixture, 1, NULL, 0);
    turn(fixture);
    assert_int_equal(told(fixture, fixture_begin(fixture, 1), "segment"), 1);
    fixture_free(fixture);
}

/* A worker that is gone costs its segment; what is published comes back as itself. */
static void test_lost(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    uint64_t task = cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    fixture_wait(fixture, 40000);
    hello(fixture, 2, "w2", "shared hevc");
    turn(fixture);
    struct rec_lease again = fixture_begin(fixture, 2);
    assert_int_equal(told(fixture, again, "segment"), 1);
    assert_int_not_equal(again.run_id, one.run_id);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    fixture_free(fixture);
}

/* A worker that is lost while it looks where the video can be cut costs that look: the next one looks again. One video that takes every
 * worker with it is made whole in the end, and uses up its attempts. */
static void test_lost_while_it_looks(void **unused)
{
    (void)unused;
    static const char *const idents[] = {"w1", "w2", "w3", "w4", "w5"};
    struct fixture *fixture = farm_fixture();
    struct rec_video video;
    find(fixture, long_video("a.mkv"));
    for (unsigned i = 1; i <= 3; i++) {
        hello(fixture, i, idents[i - 1], "shared hevc");
        struct rec_lease lease = fixture_begin(fixture, i);
        assert_int_equal(told(fixture, lease, "segment_ms"), 10 * MINUTES);
        fixture_wait(fixture, 40000); /* silent */
        assert_int_equal(task_of(fixture, lease.run_id).status, TRANSCODE_FAILED);
        assert_video(fixture, VIDEO_WAITING, 0);
        if (i == 2)
            fixture_rebuild(fixture);
    }
    assert_true(fixture_stored(fixture, TYPE_VIDEO, 1, &video));
    assert_int_equal(video.looks, 3);
    hello(fixture, 4, idents[3], "shared hevc");
    assert_int_equal(told(fixture, fixture_begin(fixture, 4), "segment_ms"), 10 * MINUTES);
    fixture_wait(fixture, 40000);
    assert_video(fixture, VIDEO_WAITING, 1);
    hello(fixture, 5, idents[4], "shared hevc");
    assert_int_equal(told(fixture, fixture_begin(fixture, 5), "segment_ms"), 0);
    struct msg_video_set set = {.idem = fixture_key(fixture), .id = 1, .transcode_status = VIDEO_WAITING};
    SET_HAS(&set, msg_video_set, transcode_status);
    fixture_wait(fixture, 40000);
    assert_int_equal(fixture_ask(fixture, &shape_msg_video_set, &set)->shape->id, MSG_VIDEO_ANSWER);
    assert_true(fixture_stored(fixture, TYPE_VIDEO, 1, &video));
    assert_int_equal(video.looks, 0); /* somebody wants it anew */
    fixture_free(fixture);
}

/* Who had begun to encode it whole was doing what counts. */
static void test_lost_while_it_encodes(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    find(fixture, long_video("a.mkv"));
    hello(fixture, 1, "w1", "shared hevc");
    struct rec_lease lease = fixture_begin(fixture, 1);
    struct rec_progress item = {.run_id = lease.run_id, .attempt = lease.attempt, .percent = 1};
    SET_HAS(&item, rec_progress, percent);
    struct msg_progress progress = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    fixture_wait(fixture, 40000);
    assert_video(fixture, VIDEO_WAITING, 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_it_is),
        cmocka_unit_test(test_a_segment_fails_on_one_worker),
        cmocka_unit_test(test_a_segment_fails_on_the_last_worker),
        cmocka_unit_test(test_a_segment_fails_beside_a_busy_worker),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_while_it_looks),
        cmocka_unit_test(test_lost_while_it_encodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
