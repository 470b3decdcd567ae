/* A video that is encoded in segments, in the core: cut, given out, joined, cleared up, and all of it behind a restart at any step. */
#include "tests/unit/unit.h"

#include <math.h>

#include "proto/stats.h"
#include "scheduler/farms/transcode/pace.h"
#include "scheduler/farms/transcode/saved.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"
#include "tests/unit/cut_fixture.h"

/* ---- the whole way ---- */

static void test_cut_and_joined(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    struct rec_run run;
    uint64_t task = cut_farm(&fixture);
    assert_true(cut_of(fixture, task, &cut));
    assert_int_equal(cut.starts.count, 3);
    assert_true(str_is(cut.joins, "shared hevc"));
    assert_int_equal(cut.mtime_ns, 5);
    assert_true(fixture_run(fixture, task, &run));
    assert_int_equal(run.status, RUN_PENDING);
    assert_int_equal(run.attempts.items[0].outcome, OUTCOME_RETURNED);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    assert_int_equal(task_of(fixture, task).segments, 3);
    struct rec_lease one = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, one, "segment"), 1);
    assert_int_equal(told(fixture, one, "task"), task);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0); /* one at a time: transcode.slots */
    hello(fixture, 3, "w3", "another hevc");
    hello(fixture, 4, "w4", NULL);
    turn(fixture);
    assert_int_equal(fixture_assigned(fixture, 3).run_id, 0);
    assert_int_equal(fixture_assigned(fixture, 4).run_id, 0);
    hello(fixture, 2, "w2", "shared hevc");
    struct rec_lease two = fixture_begin(fixture, 2);
    assert_int_equal(told(fixture, two, "segment"), 2);
    assert_string_equal(fixture_reason(fixture, task), "waits for its segments: 0 of 3 are encoded, 2 are being");
    ends(fixture, 1, one, "{\"seconds\":300,\"preset\":\"medium\"}");
    struct rec_lease three = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, three, "segment"), 3);
    assert_int_equal(task_of(fixture, task).segments_made, 1);
    assert_true(task_of(fixture, task).progress > 31 && task_of(fixture, task).progress < 32);
    ends(fixture, 1, three, "{}");
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0); /* the second is not there */
    ends(fixture, 2, two, "{}");
    turn(fixture);
    unsigned peer;
    struct rec_lease join = begun(fixture, &peer);
    assert_int_equal(join.run_id, task);
    assert_int_equal(join.attempt, 2);
    const struct msg *answer = cut_say(fixture, peer, join, NULL, 0);
    assert_int_equal(answer->shape->id, MSG_TRANSCODE_CUT_KNOWN);
    assert_int_equal(answer->u.transcode_cut_known.cut.starts.count, 3);
    ends(fixture, peer, join, "{\"size_after\":400000,\"dest\":\"/out/a.mkv\"}");
    turn(fixture);
    assert_video(fixture, VIDEO_COMPLETED, 1);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_COMPLETED);
    assert_true(cut_of(fixture, task, &cut));
    assert_true(cut.over);
    assert_int_not_equal(cut.clear, 0);
    struct rec_lease clear = begun(fixture, &peer);
    assert_int_equal(clear.run_id, cut.clear);
    ends(fixture, peer, clear, "{}");
    turn(fixture);
    assert_false(cut_of(fixture, task, &cut));
    assert_int_equal(farm_of(fixture)->cuts.count, 0);
    assert_int_equal(farm_of(fixture)->total.saved, 600000);
    fixture_free(fixture);
}

/* The scheduler dies between any two steps, with what workers hold told at their HELLO. */
static void test_behind_restarts(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    uint64_t task = cut_farm(&fixture);
    struct rec_lease lease = fixture_begin(fixture, 1);
    ends(fixture, 1, lease, "{}");
    for (unsigned i = 0; i < 2; i++) {
        restart(fixture);
        lease = fixture_begin(fixture, 1);
        assert_int_equal(told(fixture, lease, "segment"), 2 + i);
        ends(fixture, 1, lease, "{}");
        assert_int_equal(task_of(fixture, task).segments_made, 2 + i);
    }
    restart(fixture);
    lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, task);
    restart(fixture);
    lease = fixture_begin(fixture, 1); /* joining was lost: again */
    assert_int_equal(lease.run_id, task);
    ends(fixture, 1, lease, "{\"size_after\":400000}");
    restart(fixture);
    assert_true(cut_of(fixture, task, &cut));
    lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, cut.clear);
    restart(fixture);
    lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, cut.clear);
    ends(fixture, 1, lease, "{}");
    turn(fixture);
    assert_false(cut_of(fixture, task, &cut));
    assert_video(fixture, VIDEO_COMPLETED, 1);
    fixture_free(fixture);
}

/* ---- what goes wrong ---- */

static void test_a_segment_fails(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    uint64_t task = cut_farm(&fixture);
    for (unsigned i = 0; i < 3; i++) {
        struct rec_lease lease = fixture_begin(fixture, 1);
        assert_int_equal(told(fixture, lease, "segment"), 1);
        fails(fixture, 1, lease, "no memory on the card");
        assert_true(cut_of(fixture, task, &cut));
        assert_int_equal(cut.tries.items[0], i + 1);
    }
    turn(fixture);
    struct rec_transcode_task record = task_of(fixture, task);
    assert_int_equal(record.status, TRANSCODE_FAILED);
    assert_true(str_is(record.error_message, "segment 1 of 3: no memory on the card"));
    struct rec_lease next = fixture_begin(fixture, 1);
    assert_true(cut_of(fixture, task, &cut));
    if (next.run_id == cut.clear) {
        ends(fixture, 1, next, "{}");
        turn(fixture);
        next = fixture_begin(fixture, 1);
    }
    assert_int_equal(told(fixture, next, "segment_ms"), 0); /* the second attempt makes it whole */
    assert_true(str_is(task_of(fixture, next.run_id).video_path, "a.mkv"));
    assert_video(fixture, VIDEO_RUNNING, 2);
    fixture_free(fixture);
}

static void test_aborted(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_run run;
    struct rec_transcode_cut cut;
    uint64_t task = cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    hello(fixture, 2, "w2", "shared hevc");
    struct rec_lease two = fixture_begin(fixture, 2);
    ends(fixture, 2, two, "{}");
    two = fixture_begin(fixture, 2);
    assert_int_equal(fixture_abort(fixture, task), 0);
    fixture_rebuild(fixture); /* before anything followed of it */
    turn(fixture);
    assert_true(fixture_run(fixture, one.run_id, &run));
    assert_int_equal(run.status, RUN_ABORTED);
    assert_true(fixture_run(fixture, two.run_id, &run));
    assert_int_equal(run.status, RUN_ABORTED);
    assert_video(fixture, VIDEO_FAILED, 3);
    hello(fixture, 1, "w1", "shared hevc");
    turn(fixture);
    assert_true(cut_of(fixture, task, &cut));
    struct rec_lease clear = fixture_begin(fixture, 1);
    assert_int_equal(clear.run_id, cut.clear);
    fails(fixture, 1, clear, "no"); /* it is tried again for a while */
    fixture_wait(fixture, 600000);
    assert_true(cut_of(fixture, task, &cut));
    fixture_free(fixture);
}

static void test_one_segment_aborted(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_run run;
    uint64_t task = cut_farm(&fixture);
    struct rec_lease one = fixture_begin(fixture, 1);
    assert_int_equal(fixture_abort(fixture, one.run_id), 0);
    turn(fixture);
    assert_true(fixture_run(fixture, task, &run));
    assert_int_equal(run.status, RUN_ABORTED);
    assert_video(fixture, VIDEO_FAILED, 3);
    fixture_free(fixture);
}

/* Workers stay, and time passes: less than one of them may be silent. */
static void stay(struct fixture *fixture, unsigned peer, uint64_t ms)
{
    for (; ms > 10000; ms -= 10000) {
        fixture_heartbeat(fixture, peer, NULL, 0);
        fixture_wait(fixture, 10000);
    }
    fixture_heartbeat(fixture, peer, NULL, 0);
    fixture_wait(fixture, ms);
}

/* Its ffmpeg is another: nobody can join what is there, but the files can be removed by whoever has the folder. */
static void test_nobody_joins_any_more(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    uint64_t task = cut_farm(&fixture);
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_RETURNED);
    hello(fixture, 1, "w1", "shared other");
    stay(fixture, 1, 200000);
    hello(fixture, 1, "w1", "shared hevc"); /* it is back: what was is forgotten */
    struct rec_lease back = fixture_begin(fixture, 1);
    fixture_wait(fixture, 11000);
    fixture_result(fixture, 1, back, OUTCOME_RETURNED);
    hello(fixture, 1, "w1", "shared other");
    stay(fixture, 1, 200000);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    for (unsigned i = 0; i < 12 && task_of(fixture, task).status == TRANSCODE_RUNNING; i++)
        stay(fixture, 1, 10000);
    struct rec_transcode_task record = task_of(fixture, task);
    assert_int_equal(record.status, TRANSCODE_FAILED);
    assert_true(str_is(record.error_message, "no worker that could join its segments is there any more"));
    assert_true(cut_of(fixture, task, &cut));
    for (unsigned i = 0, cleared = 0; i < 2; i++) {
        struct rec_lease next = fixture_begin(fixture, 1);
        cleared += next.run_id == cut.clear;
        if (next.run_id != cut.clear)
            assert_int_equal(told(fixture, next, "segment_ms"), 0); /* made whole */
        ends(fixture, 1, next, "{}");
        assert_true(i == 0 || cleared == 1);
    }
    turn(fixture);
    assert_false(cut_of(fixture, task, &cut));
    fixture_free(fixture);
}

/* Nobody is there at all, or only one that rests: it waits. */
static void test_waits_for_its_workers(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    uint64_t task = cut_farm(&fixture);
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    fixture_wait(fixture, 600000);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    fixture_free(fixture);
}

/* Files whose folder nobody has are given up after a week. */
static void test_files_left(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_cut cut;
    struct rec_run run;
    uint64_t task = cut_farm(&fixture);
    assert_int_equal(fixture_abort(fixture, task), 0);
    hello(fixture, 1, "w1", "elsewhere hevc");
    turn(fixture);
    stay(fixture, 1, 400000);
    assert_true(cut_of(fixture, task, &cut));
    assert_int_not_equal(cut.clear, 0);
    fixture_jump(fixture, UINT64_C(7) * 86400000);
    hello(fixture, 1, "w1", "elsewhere hevc");
    stay(fixture, 1, 400000);
    assert_false(cut_of(fixture, task, &cut));
    assert_true(fixture_run(fixture, cut.clear, &run));
    assert_int_equal(run.status, RUN_FAILED);
    assert_int_equal(farm_of(fixture)->cuts.count, 0);
    fixture_free(fixture);
}

static void test_not_cut(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_video_found video = long_video("a.ts");
    video.container = STR_LIT("mpegts");
    find(fixture, video);
    hello(fixture, 1, "w1", "shared hevc");
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, lease, "segment_ms"), 0);
    uint64_t wrong[] = {0, 600, 600}, late[] = {0, 1800};
    assert_int_equal(cut_say(fixture, 1, lease, wrong, 3)->u.error.code, ERR_INVALID);
    assert_int_equal(cut_say(fixture, 1, lease, late, 2)->u.error.code, ERR_INVALID);
    assert_int_equal(cut_say(fixture, 1, lease, wrong + 1, 2)->u.error.code, ERR_INVALID);
    const struct msg *answer = cut_say(fixture, 1, lease, NULL, 0);
    assert_false(HAS(&answer->u.transcode_cut_known, msg_transcode_cut_known, cut));
    farm_of(fixture)->config.segment_ms = 0; /* a reload */
    answer = cut_say(fixture, 1, lease, thirds, 3);
    assert_false(HAS(&answer->u.transcode_cut_known, msg_transcode_cut_known, cut));
    lease.attempt = 9;
    struct msg_transcode_cut say = {.run_id = lease.run_id, .attempt = lease.attempt};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, 1, corr, &shape_msg_transcode_cut, &say);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, corr)->shape->id, MSG_REFUSED);
    fixture_free(fixture);
}

/* ---- what it teaches ---- */

static uint64_t estimate(struct fixture *fixture)
{
    uint64_t id = 1;
    struct msg_transcode_estimate ask = {.video_ids = {&id, 1}};
    const struct msg_transcode_estimates *answer =
        &fixture_ask(fixture, &shape_msg_transcode_estimate, &ask)->u.transcode_estimates;
    return answer->videos.count ? answer->videos.items[0].seconds : 0;
}

/* What is done of the segments that run counts for the task. */
static void test_progress(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    uint64_t task = cut_farm(&fixture);
    ends(fixture, 1, fixture_begin(fixture, 1), "{}");
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_true(fabs(live_progress(fixture, task) - 95.0 / 3) < 0.01);
    struct rec_progress item = {.run_id = lease.run_id, .attempt = lease.attempt, .percent = 50};
    SET_HAS(&item, rec_progress, percent);
    struct msg_progress progress = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_progress, &progress);
    fixture_settle(fixture);
    assert_true(fabs(live_progress(fixture, task) - 95.0 / 2) < 0.01);
    fixture_free(fixture);
}

static void test_pace(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct rec_transcode_pace pace;
    cut_farm(&fixture);
    assert_int_equal(estimate(fixture), 0);
    ends(fixture, 1, fixture_begin(fixture, 1), "{\"seconds\":300,\"preset\":\"medium\"}"); /* ten of thirty minutes */
    assert_int_equal(estimate(fixture), 900);
    ends(fixture, 1, fixture_begin(fixture, 1), "{\"seconds\":600,\"preset\":\"medium\"}");
    assert_int_equal(estimate(fixture), 1350); /* between the two */
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_PACE, 1, &pace));
    assert_int_equal(pace.count, 2);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_PACE], 1);
    fixture_rebuild(fixture);
    assert_int_equal(estimate(fixture), 1350);
    struct transcode *farm = farm_of(fixture);
    struct pace_film film = {.codec = STR_LIT("hevc"), .pixels = 1920 * 1080 / 4, .fps = 25, .seconds = 1800};
    assert_true(fabs(pace_estimate(farm, &film) - 1350.0 / 4) < 1); /* nothing nearer is known */
    film.pixels = 0;
    assert_true(pace_estimate(farm, &film) == 0);
    fixture_free(fixture);
}

/* A worker with a graphics card tells little of one without, even where it tells the newest. */
static void test_pace_of_encoders(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    cut_farm(&fixture);
    struct transcode *farm = farm_of(fixture);
    struct pace_film film = {.worker_id = 1, .codec = STR_LIT("h264"), .pixels = 1920 * 1080, .fps = 25, .seconds = 1800};
    pace_learn(farm, fixture->core, &film, TRANSCODE_CPU, STR_LIT("slow"), 9000);
    pace_learn(farm, fixture->core, &film, TRANSCODE_CPU, STR_LIT("fast"), 1000);
    pace_learn(farm, fixture->core, &film, TRANSCODE_NVENC, STR_LIT("p5"), 100);
    film.encoder = STR_LIT("nvenc");
    assert_int_equal((int)(pace_estimate(farm, &film) + 0.5), 100);
    film.encoder = STR_LIT("cpu");
    film.preset = STR_LIT("slow");
    assert_int_equal((int)(pace_estimate(farm, &film) + 0.5), 9000);
    film.preset = STR_LIT("fast");
    assert_int_equal((int)(pace_estimate(farm, &film) + 0.5), 1000);
    film.worker_id = 2; /* another's */
    assert_int_equal((int)(pace_estimate(farm, &film) + 0.5), 1000);
    fixture_free(fixture);
}

/* What a run that has begun is told to take is by the encoder that it has, not by another that its worker has too. */
static void test_pace_of_its_run(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    find(fixture, long_video("a.mkv"));
    hello(fixture, 1, "w1", NULL);
    const struct run *run = run_find(fixture->core, fixture_begin(fixture, 1).run_id);
    struct transcode *farm = farm_of(fixture);
    struct rec_live_run row = {0};
    struct pace_film film = {
        .worker_id = run->lease->worker->id, .codec = STR_LIT("h264"), .pixels = 1920 * 1080, .fps = 25, .seconds = 1800};
    pace_learn(farm, fixture->core, &film, TRANSCODE_NVENC, STR_LIT("p5"), 100);
    pace_learn(farm, fixture->core, &film, TRANSCODE_CPU, STR_LIT("slow"), 9000);
    transcode_live(farm, fixture->core, run, &row);
    assert_true(str_is(row.note, "eta=9000"));
    fixture_free(fixture);
}

static void test_saved(void **unused)
{
    (void)unused;
    struct fixture *fixture;
    struct stats stats = {0};
    cut_farm(&fixture);
    for (unsigned i = 0; i < 4; i++)
        ends(fixture, 1, fixture_begin(fixture, 1), i == 3 ? "{\"size_after\":400000}" : "{}");
    turn(fixture);
    fixture_rebuild(fixture);
    struct transcode *farm = farm_of(fixture);
    assert_int_equal(farm->total.saved, 600000);
    assert_int_equal(farm->total.results, 1);
    transcode_stats(farm, &stats);
    assert_string_equal(stats.counts[0].name.ptr, "transcode_saved_bytes");
    assert_int_equal(stats.counts[0].value, 600000);
    struct rec_video record;
    assert_true(fixture_stored(fixture, TYPE_VIDEO, 1, &record));
    assert_int_equal(record.saved, 600000);
    fixture_free(fixture);
}

/* The video is made once more, in one run. */
static void made_again(struct fixture *fixture, const char *result)
{
    struct msg_video_set set = {.idem = fixture_key(fixture), .id = 1, .transcode_status = VIDEO_WAITING};
    SET_HAS(&set, msg_video_set, transcode_status);
    fixture_ask(fixture, &shape_msg_video_set, &set);
    ends(fixture, 1, fixture_begin(fixture, 1), result);
    turn(fixture);
}

/* A result in the place of an older one saves instead of it; one in the place of its source, beside what was saved before. */
static void test_saved_again(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    find(fixture, long_video("a.mkv"));
    hello(fixture, 1, "w1", NULL);
    ends(fixture, 1, fixture_begin(fixture, 1), "{\"size_after\":400000}");
    made_again(fixture, "{\"size_after\":300000}");
    struct transcode *farm = farm_of(fixture);
    assert_int_equal(farm->total.saved, 700000);
    assert_int_equal(farm->total.results, 1);
    made_again(fixture, "{\"size_after\":900000,\"replaced\":true}");
    assert_int_equal(farm->total.saved, 800000);
    assert_int_equal(farm->total.results, 2);
    fixture_rebuild(fixture);
    assert_int_equal(farm_of(fixture)->total.saved, 800000);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_and_joined),
        cmocka_unit_test(test_behind_restarts),
        cmocka_unit_test(test_a_segment_fails),
        cmocka_unit_test(test_aborted),
        cmocka_unit_test(test_one_segment_aborted),
        cmocka_unit_test(test_nobody_joins_any_more),
        cmocka_unit_test(test_waits_for_its_workers),
        cmocka_unit_test(test_files_left),
        cmocka_unit_test(test_not_cut),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pace_of_encoders),
        cmocka_unit_test(test_pace_of_its_run),
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_saved_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
