/* Looks at the whole of videos, in the core: of one, of all of them behind what is to be transcoded, and what a restart and a change leave. */
#include "tests/unit/unit.h"

#include "scheduler/farms/transcode/health.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/worker.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define ROOT "/library"
#define SCANNER 7

struct farm *transcode_farm(void);

static void farm_made(struct farm *farm)
{
    struct transcode *self = farm->self;
    self->config.scan_ms = 0;
    assert_true(library_configure(self, STR_LIT(ROOT)));
}

static struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    return fixture;
}

static void hello(struct fixture *fixture, unsigned peer, const char *ident, const char *type, const char *encoders)
{
    struct str types[] = {str_of(type)}, executors[] = {str_of(type), STR_LIT("health")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("studio"),
                              .task_types = {types, 1},
                              .executors = {executors, 2},
                              .slots = 4,
                              .credit = 4,
                              .labels =
                                  fixture_map((const char *[]){"transcode.encoders", encoders, "transcode.slots", "2", NULL})};
    fixture_send(fixture, DOOR_WORKERS, peer, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

static struct rec_lease scan(struct fixture *fixture)
{
    struct msg_library_scan ask = {.idem = fixture_key(fixture), .root = STR_LIT(ROOT)};
    hello(fixture, SCANNER, "scanner", "scan", "");
    fixture_ask(fixture, &shape_msg_library_scan, &ask);
    return fixture_begin(fixture, SCANNER);
}

static void find(struct fixture *fixture, struct rec_lease lease, const char *path, const char *codec, uint64_t size)
{
    static uint64_t seq;
    struct rec_video_found video = {.path = str_of(path), .size = size, .mtime_ns = size, .codec = str_of(codec), .fps = 25};
    struct msg_library_found say = {.run_id = lease.run_id,
                                    .attempt = lease.attempt,
                                    .seq = ++seq,
                                    .root = STR_LIT(ROOT),
                                    .videos = {&video, 1},
                                    .walked = 1};
    uint64_t corr = ++fixture->corr;
    if (strcmp(codec, "") == 0)
        video.error = STR_LIT("it cannot be read");
    fixture_send(fixture, DOOR_WORKERS, SCANNER, corr, &shape_msg_library_found, &say);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, corr)->shape->id, MSG_LIBRARY_FOUND_ACK);
}

static struct rec_video video_of(struct fixture *fixture, uint64_t id)
{
    struct rec_video video;
    assert_true(fixture_stored(fixture, TYPE_VIDEO, id, &video));
    return video;
}

static void result(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *text)
{
    struct rec_outcome item = {
        .run_id = lease.run_id, .attempt = lease.attempt, .outcome = OUTCOME_COMPLETED, .result = str_of(text)};
    struct msg_result result = {.items = {&item, 1}};
    SET_HAS(&item, rec_outcome, result);
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
}

static const struct msg *check(struct fixture *fixture, uint64_t id)
{
    struct msg_video_check ask = {.idem = fixture_key(fixture), .id = id};
    return fixture_ask(fixture, &shape_msg_video_check, &ask);
}

static struct msg_health_state sweep(struct fixture *fixture, bool stop, bool unchecked)
{
    struct msg_health_sweep ask = {.idem = fixture_key(fixture), .stop = stop, .unchecked = unchecked};
    return fixture_ask(fixture, &shape_msg_health_sweep, &ask)->u.health_state;
}

static struct msg_health_state state(struct fixture *fixture)
{
    const struct msg_health_ask ask = {0};
    return fixture_ask(fixture, &shape_msg_health_ask, &ask)->u.health_state;
}

#define HEALTHY "{\"healthy\":true,\"errors\":0,\"error\":\"\"}"
#define DAMAGED "{\"healthy\":false,\"errors\":3,\"error\":\"bad\"}"

static void test_one(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_check told;
    find(fixture, lease, "a.mkv", "vp9", 5);
    find(fixture, lease, "broken.mkv", "", 6);
    assert_int_equal(check(fixture, 9)->u.error.code, ERR_NOT_FOUND);
    assert_true(str_is(check(fixture, 2)->u.error.rule, "video_broken"));
    uint64_t run = check(fixture, 1)->u.video_checking.run_id;
    assert_int_not_equal(run, 0);
    assert_int_equal(check(fixture, 1)->u.video_checking.run_id, run); /* it has not ended */
    fixture_rebuild(fixture);
    assert_int_equal(check(fixture, 1)->u.video_checking.run_id, run);
    hello(fixture, 1, "w1", "transcode", "");
    struct rec_lease work = fixture_begin(fixture, 1);
    assert_int_equal(work.run_id, run);
    fixture_wait(fixture, 40000); /* silent: it is looked at by the next */
    hello(fixture, 2, "w2", "transcode", "");
    work = fixture_begin(fixture, 2);
    assert_int_equal(work.run_id, run);
    result(fixture, 2, work, DAMAGED);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_DAMAGED);
    assert_true(fixture_stored(fixture, TYPE_VIDEO_CHECK, 1, &told));
    assert_true(told.errors == 3 && str_is(told.error, "bad") && told.run_id == run);
    assert_int_not_equal(check(fixture, 1)->u.video_checking.run_id, run);
    result(fixture, 2, fixture_begin(fixture, 2), HEALTHY);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_HEALTHY);
    fixture_free(fixture);
}

/* Another version of the file is another matter, before and behind the end of a look; a result that says nothing is none. */
static void test_versions(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_check told;
    find(fixture, lease, "a.mkv", "vp9", 5);
    hello(fixture, 1, "w1", "transcode", "");
    check(fixture, 1);
    result(fixture, 1, fixture_begin(fixture, 1), HEALTHY);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_HEALTHY);
    find(fixture, lease, "a.mkv", "vp9", 6);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_UNCHECKED);
    assert_false(fixture_stored(fixture, TYPE_VIDEO_CHECK, 1, &told));
    check(fixture, 1);
    struct rec_lease work = fixture_begin(fixture, 1);
    find(fixture, lease, "a.mkv", "vp9", 7);
    result(fixture, 1, work, DAMAGED);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_UNCHECKED);
    static const char *const nothing[] = {"well", "{}", "{\"healthy\":1}", "[true]", "{\"healthy\":"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        check(fixture, 1);
        result(fixture, 1, fixture_begin(fixture, 1), nothing[i]);
        assert_int_equal(video_of(fixture, 1).health, VIDEO_UNCHECKED);
    }
    fixture_free(fixture);
}

/* All of them, behind what is to be transcoded, two at a time, over a restart, without those that cannot be read. */
static void test_all(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find(fixture, lease, "a.mkv", "vp9", 5);
    find(fixture, lease, "b.mp4", "h264", 6);
    find(fixture, lease, "broken.mkv", "", 7);
    find(fixture, lease, "c.mkv", "vp9", 8);
    struct msg_health_state now = state(fixture);
    assert_false(HAS(&now, msg_health_state, sweep));
    now = sweep(fixture, false, false);
    assert_int_equal(now.left, 4);
    assert_int_equal(sweep(fixture, false, false).sweep.begun_at, now.sweep.begun_at); /* it goes on */
    hello(fixture, 1, "w1", "transcode", "");                                          /* outside of its hours */
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    hello(fixture, 2, "w2", "transcode", "cpu");
    struct rec_lease transcode = fixture_begin(fixture, 2), first = fixture_begin(fixture, 2);
    assert_int_equal(video_of(fixture, 2).task_id, transcode.run_id);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0); /* its slots are used */
    assert_int_equal(state(fixture).running, 1);
    assert_int_equal(state(fixture).left, 3);
    result(fixture, 2, transcode, "{}");
    struct rec_lease second = fixture_begin(fixture, 2);
    fixture_rebuild(fixture);
    assert_int_equal(state(fixture).running, 2);
    assert_int_equal(state(fixture).left, 2);
    hello(fixture, 3, "w3", "transcode", "cpu"); /* the third; the others are still another's */
    struct rec_lease third = fixture_begin(fixture, 3);
    assert_true(third.run_id != first.run_id && third.run_id != second.run_id);
    assert_int_equal(fixture_assigned(fixture, 3).run_id, 0);
    result(fixture, 3, third, HEALTHY);
    assert_int_equal(video_of(fixture, 4).health, VIDEO_HEALTHY);
    fixture_wait(fixture, 40000); /* all are silent: looks that were lost are another's, whatever its hours are */
    hello(fixture, 4, "w4", "transcode", "");
    for (unsigned i = 0; i < 2; i++)
        result(fixture, 4, fixture_begin(fixture, 4), DAMAGED);
    fixture_wait(fixture, 100);
    now = state(fixture);
    assert_true(now.sweep.ended_at && now.sweep.healthy == 1 && now.sweep.damaged == 2 && now.sweep.failed == 0);
    fixture_free(fixture);
}

static void test_all_to_the_end(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    for (uint64_t i = 1; i <= 5; i++)
        find(fixture, lease, (const char *[]){"1", "2", "3", "4", "5"}[i - 1], "vp9", i);
    sweep(fixture, false, false);
    hello(fixture, 1, "w1", "transcode", "cpu");
    struct rec_lease work;
    for (unsigned i = 0; (work = fixture_assigned(fixture, 1)).run_id; i++) {
        fixture_accept(fixture, 1, work);
        if (i == 2)
            fixture_result(fixture, 1, work, OUTCOME_FAILED);
        else
            result(fixture, 1, work, i == 1 ? DAMAGED : HEALTHY);
    }
    fixture_wait(fixture, 100);
    struct msg_health_state now = state(fixture);
    assert_true(now.sweep.ended_at && !now.sweep.stopped && now.running == 0 && now.left == 0);
    assert_true(now.sweep.healthy == 3 && now.sweep.damaged == 1 && now.sweep.failed == 1);
    fixture_rebuild(fixture);
    assert_true(state(fixture).sweep.ended_at == now.sweep.ended_at && state(fixture).sweep.healthy == 3);
    hello(fixture, 1, "w1", "transcode", "");
    sweep(fixture, false, true); /* only the one that came to nothing */
    hello(fixture, 2, "w2", "transcode", "cpu");
    work = fixture_begin(fixture, 2);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    assert_true(sweep(fixture, true, false).sweep.stopped);
    result(fixture, 2, work, HEALTHY);
    fixture_wait(fixture, 100);
    assert_true(state(fixture).sweep.stopped && state(fixture).sweep.healthy == 1);
    assert_int_equal(video_of(fixture, 3).health, VIDEO_HEALTHY);
    fixture_free(fixture);
}

/* What a sweep that was stopped still looks at is told of the video, and counts for no later one, also behind a restart. */
static void test_all_anew(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    for (uint64_t i = 1; i <= 3; i++)
        find(fixture, lease, (const char *[]){"1", "2", "3"}[i - 1], "vp9", i);
    sweep(fixture, false, false);
    hello(fixture, 1, "w1", "transcode", "cpu");
    struct rec_lease first = fixture_begin(fixture, 1), second = fixture_begin(fixture, 1);
    assert_true(sweep(fixture, true, false).sweep.stopped);
    struct msg_health_state now = sweep(fixture, false, false);
    assert_true(now.running == 0 && now.left == 3);
    result(fixture, 1, first, DAMAGED);
    assert_int_equal(video_of(fixture, 1).health, VIDEO_DAMAGED);
    fixture_rebuild(fixture);
    now = state(fixture);
    assert_true(now.sweep.damaged == 0 && now.running <= 1); /* the third may be looked at already */
    fixture_wait(fixture, 40000);
    hello(fixture, 2, "w2", "transcode", "cpu");
    for (unsigned i = 0; i < 4; i++) {
        struct rec_lease work = fixture_assigned(fixture, 2);
        if (work.run_id) {
            fixture_accept(fixture, 2, work);
            result(fixture, 2, work, work.run_id == second.run_id ? DAMAGED : HEALTHY);
        }
    }
    fixture_wait(fixture, 100);
    now = state(fixture);
    assert_true(now.sweep.ended_at && now.sweep.damaged == 0 && now.running == 0);
    assert_int_equal(video_of(fixture, 2).health, VIDEO_DAMAGED);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),      cmocka_unit_test(test_versions),
        cmocka_unit_test(test_all),      cmocka_unit_test(test_all_to_the_end),
        cmocka_unit_test(test_all_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
