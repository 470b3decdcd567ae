/* The transcode farm in the core: what is found, who gets what, what reports and silence come to, and all of it behind a restart. */
#include "tests/unit/unit.h"

#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"
#include "tests/unit/transcode_fixture.h"

/* ---- the library ---- */

static void test_found(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found videos[] = {h264("a.mp4", 9000), h264("b.mkv", 1000), h264("c.mp4", 1), h264("d.mp4", 3499)};
    videos[1].codec = STR_LIT("vp9");
    videos[2].error = STR_LIT("moov atom not found");
    videos[3].codec = STR_LIT("hevc"); /* a kilobit below what 1080p may have at 30 fps */
    assert_int_equal(found(fixture, lease, videos, 4, NULL, 0)->shape->id, MSG_LIBRARY_FOUND_ACK);
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    assert_video(fixture, 2, VIDEO_NOT_NEEDED, 0);
    assert_video(fixture, 3, VIDEO_NOT_NEEDED, 0);
    assert_video(fixture, 4, VIDEO_NOT_NEEDED, 0);
    videos[3].bitrate_k = 3500;
    videos[3].size++; /* another version */
    find_one(fixture, lease, videos[3]);
    assert_video(fixture, 4, VIDEO_WAITING, 0);
    find_one(fixture, lease, videos[0]); /* again: nothing new */
    assert_int_equal(fixture->disk_count[TYPE_VIDEO], 4);

    struct msg_library_known ask = {
        .run_id = lease.run_id, .attempt = lease.attempt, .root = STR_LIT(ROOT), .after = 1, .limit = 2};
    fixture_rebuild(fixture);
    hello(fixture, SCANNER, "scanner", "scan", (struct str){0});
    lease = fixture_begin(fixture, SCANNER); /* what it held it did not name: the run goes on with a new attempt */
    assert_int_equal(lease.run_id, ask.run_id);
    ask.attempt = lease.attempt;
    fixture_send(fixture, DOOR_WORKERS, SCANNER, ++fixture->corr, &shape_msg_library_known, &ask);
    const struct msg_library_known_rows *rows = &fixture_answer(fixture, fixture->corr)->u.library_known_rows;
    assert_int_equal(rows->videos.count, 2);
    assert_int_equal(rows->videos.items[0].id, 2);
    assert_false(rows->end);
    ask.after = 3;
    fixture_send(fixture, DOOR_WORKERS, SCANNER, ++fixture->corr, &shape_msg_library_known, &ask);
    rows = &fixture_answer(fixture, fixture->corr)->u.library_known_rows;
    assert_int_equal(rows->videos.count, 1);
    assert_true(str_is(rows->videos.items[0].path, "d.mp4"));
    assert_true(rows->end);
    fixture_free(fixture);
}

/* Nothing is gone while the walk met nothing; who has no lease says nothing. */
static void test_gone(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture), other = {.run_id = lease.run_id, .attempt = 9};
    struct rec_video_found videos[] = {h264("a.mp4", 1), h264("b.mp4", 2)};
    const uint64_t gone[] = {2, 77};
    found(fixture, lease, videos, 2, NULL, 0);
    struct msg_library_found say = {
        .run_id = lease.run_id, .attempt = lease.attempt, .seq = 9, .root = STR_LIT(ROOT), .gone = {(uint64_t[]){1}, 1}};
    fixture_send(fixture, DOOR_WORKERS, SCANNER, ++fixture->corr, &shape_msg_library_found, &say);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, fixture->corr)->u.error.code, ERR_INVALID);
    say.root = STR_LIT("/other"); /* not what its run is about */
    say.walked = 1;
    fixture_send(fixture, DOOR_WORKERS, SCANNER, ++fixture->corr, &shape_msg_library_found, &say);
    fixture_settle(fixture);
    assert_true(str_is(fixture_answer(fixture, fixture->corr)->u.error.rule, "library_root"));
    assert_int_equal(found(fixture, other, NULL, 0, gone, 2)->shape->id, MSG_REFUSED);
    assert_int_equal(fixture->disk_count[TYPE_VIDEO], 2);
    assert_int_equal(found(fixture, lease, NULL, 0, gone, 2)->shape->id, MSG_LIBRARY_FOUND_ACK);
    assert_int_equal(fixture->disk_count[TYPE_VIDEO], 1);
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    fixture_free(fixture);
}

/* A moved file keeps what became of it; a new version begins anew; one that was excluded by hand stays so. */
static void test_history(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found video = h264("a.mp4", 9000);
    video.hash = STR_LIT("0123456789abcdef");
    find_one(fixture, lease, video);
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_COMPLETED, 100), 0);
    assert_video(fixture, 1, VIDEO_COMPLETED, 1);
    video.id = 1;
    video.path = STR_LIT("there/a.mp4");
    video.mtime_ns = 99;
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_COMPLETED, 1);
    assert_true(str_is(video_of(fixture, 1).path, "there/a.mp4"));
    assert_int_equal(fixture->disk_count[TYPE_VIDEO], 1);
    video.hash = STR_LIT("another version!");
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    struct msg_video_set set = {.idem = fixture_key(fixture), .id = 1, .transcode_status = VIDEO_NOT_NEEDED};
    SET_HAS(&set, msg_video_set, transcode_status);
    assert_int_equal(fixture_ask(fixture, &shape_msg_video_set, &set)->shape->id, MSG_VIDEO_ANSWER);
    video.hash = STR_LIT("a third version!");
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 0);
    video.made = true;
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_COMPLETED, 0);
    fixture_free(fixture);
}

/* ---- who gets what ---- */

static void test_selection(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found videos[] = {h264("low.mp4", 1000),  h264("high.mp4", 8000), h264("uhd.mp4", 50000),
                                       h264("fast.mp4", 9000), h264("vr.mp4", 60000),  h264("old.avi", 7000)};
    videos[2].width = 3840;
    videos[3].fps = 60;
    videos[4].is_vr = true;
    videos[5].codec = STR_LIT("mpeg4"); /* by a rule of its worker's */
    videos[5].wanted = true;
    SET_HAS(&videos[5], rec_video_found, wanted);
    found(fixture, lease, videos, 6, NULL, 0);
    uint64_t nvenc = enlist(fixture, "n", TRANSCODE_NVENC, false), cpu = enlist(fixture, "c", TRANSCODE_CPU, false);
    uint64_t task = pulled(fixture, nvenc);
    assert_true(str_is(task_of(fixture, task).video_path, "high.mp4"));
    assert_video(fixture, 2, VIDEO_CREATED, 1);
    assert_true(str_is(task_of(fixture, pulled(fixture, cpu)).video_path, "uhd.mp4"));
    assert_true(str_is(task_of(fixture, pulled(fixture, cpu)).video_path, "fast.mp4"));
    assert_true(str_is(task_of(fixture, pulled(fixture, nvenc)).video_path, "low.mp4"));
    assert_int_equal(pulled(fixture, nvenc), 0);
    assert_int_equal(report(fixture, task, nvenc, TRANSCODE_FAILED, 40), 0);
    assert_video(fixture, 2, VIDEO_FAILED, 1);
    assert_int_equal(pulled(fixture, nvenc), 0);                                       /* failed ones are not for it */
    assert_true(str_is(task_of(fixture, pulled(fixture, cpu)).video_path, "old.avi")); /* what waits comes before what failed */
    assert_true(str_is(task_of(fixture, pulled(fixture, cpu)).video_path, "high.mp4"));
    assert_int_equal(pulled(fixture, cpu), 0);
    struct msg_transcode_pull vr = {.idem = fixture_key(fixture), .worker_id = cpu, .support_vr = 1};
    SET_HAS(&vr, msg_transcode_pull, support_vr);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_pull, &vr);
    assert_true(str_is(answer->u.transcode_pulled.task.video_path, "vr.mp4"));
    uint64_t given = answer->u.transcode_pulled.task.id;
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_pull, &vr)->u.transcode_pulled.task.id, given); /* the same wish */
    fixture_free(fixture);
}

/* As far as hardware goes: 31 frames a second, and 1080 lines, standing or lying. */
static void test_limits_of_hardware(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found videos[] = {h264("a.mp4", 9), h264("b.mp4", 8), h264("fast.mp4", 7), h264("high.mp4", 6),
                                       h264("wide.mp4", 5)};
    videos[0].fps = 31;
    videos[1].width = 1080;
    videos[1].height = 1920;
    videos[2].fps = 31.01;
    videos[3].height = 1081;
    videos[4].width = 1921;
    found(fixture, lease, videos, 5, NULL, 0);
    for (unsigned type = TRANSCODE_NVENC; type <= TRANSCODE_VPU; type++) {
        static const char *const names[] = {"nvenc", "qsv", "vpu"};
        uint64_t worker = enlist(fixture, names[type - TRANSCODE_NVENC], type, false), task = pulled(fixture, worker);
        if (type == TRANSCODE_VPU)
            assert_int_equal(task, 0);
        else
            assert_true(str_is(task_of(fixture, task).video_path, type == TRANSCODE_NVENC ? "a.mp4" : "b.mp4"));
    }
    fixture_free(fixture);
}

static void test_attempts(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_QSV, false);
    for (uint64_t i = 1; i <= 3; i++) {
        if (i == 3)
            fixture_rebuild(fixture);
        assert_int_equal(report(fixture, pulled(fixture, worker), worker, TRANSCODE_FAILED, 1), 0);
        assert_video(fixture, 1, VIDEO_FAILED, i);
    }
    assert_int_equal(pulled(fixture, worker), 0);
    struct msg_video_set set = {.idem = fixture_key(fixture), .id = 1, .transcode_status = VIDEO_WAITING};
    SET_HAS(&set, msg_video_set, transcode_status);
    fixture_ask(fixture, &shape_msg_video_set, &set);
    assert_int_not_equal(pulled(fixture, worker), 0);
    set.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_video_set, &set)->u.error.code, ERR_CONFLICT); /* busy */
    fixture_free(fixture);
}

/* ---- reports and silence ---- */

static void test_reports(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_run run;
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), other = enlist(fixture, "o", TRANSCODE_CPU, false);
    uint64_t task = pulled(fixture, worker);
    assert_int_equal(report(fixture, task, other, TRANSCODE_RUNNING, 5), ERR_CONFLICT);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_CREATED, 0), 0);
    assert_video(fixture, 1, VIDEO_CREATED, 1);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_RUNNING, 5), 0);
    assert_video(fixture, 1, VIDEO_RUNNING, 1);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_RUNNING, 101), ERR_INVALID);
    fixture_rebuild(fixture);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_RUNNING, 50), 0);
    assert_int_equal((int)task_of(fixture, task).progress, 50);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_COMPLETED, 99), 0);
    struct rec_transcode_task ended = task_of(fixture, task);
    assert_int_equal(ended.status, TRANSCODE_COMPLETED);
    assert_int_equal((int)ended.progress, 100);
    assert_int_equal(ended.elapsed_time, 7);
    assert_true(HAS(&ended, rec_transcode_task, remaining_time));
    assert_true(fixture_run(fixture, task, &run));
    assert_int_equal(run.status, RUN_COMPLETED);
    assert_video(fixture, 1, VIDEO_COMPLETED, 1);

    struct msg_transcode_report late = {.idem = fixture_key(fixture), .task_id = task, .worker_id = worker, .status = 2};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_report, &late);
    assert_true(str_is(answer->u.error.rule, FAULT_FETCH));
    late.known = ended;
    SET_HAS(&late, msg_transcode_report, known);
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_report, &late)->shape->id, MSG_DONE);
    late.idem = fixture_key(fixture);
    late.status = TRANSCODE_FAILED;
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_report, &late)->u.error.code, ERR_CONFLICT);
    fixture_free(fixture);
}

static void beat(struct fixture *fixture, uint64_t worker, const char *name)
{
    struct msg_transcode_beat beat = {.id = worker, .name = str_of(name)};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_beat, &beat)->shape->id, MSG_DONE);
}

static void beats(struct fixture *fixture, uint64_t worker, const char *name, unsigned seconds)
{
    for (unsigned i = 0; i < seconds / 5; i++) {
        fixture_wait(fixture, 5000);
        beat(fixture, worker, name);
    }
}

static void test_silent_task(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_transcode_log line;
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    beats(fixture, worker, "w", 595);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING); /* ten minutes for the first word */
    report(fixture, task, worker, TRANSCODE_RUNNING, 1);
    beats(fixture, worker, "w", 50);
    report(fixture, task, worker, TRANSCODE_RUNNING, 2); /* it takes fifty seconds at times, so it has a hundred */
    beats(fixture, worker, "w", 95);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    beats(fixture, worker, "w", 10);
    struct rec_transcode_task ended = task_of(fixture, task);
    assert_int_equal(ended.status, TRANSCODE_FAILED);
    assert_true(str_is(ended.error_message, "任务超过60秒未更新，判定为超时"));
    assert_false(HAS(&ended, rec_transcode_task, remaining_time));
    assert_video(fixture, 1, VIDEO_FAILED, 1);
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_LOG, 1, &line));
    assert_int_equal(line.level, 3);
    assert_int_equal(line.task_id, task);
    fixture_free(fixture);
}

/* Somebody aborts it: its worker is told by a 409, and is free again a while later; the video is nobody's until it is queued. */
static void test_aborted(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    assert_int_equal(fixture_abort(fixture, task), 0);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_FAILED);
    assert_video(fixture, 1, VIDEO_FAILED, 3);
    assert_int_equal(pulled(fixture, worker), 0);
    const struct worker *its = worker_find(fixture->core, worker);
    assert_int_equal(its->held, 1);
    beats(fixture, worker, "w", 40);
    assert_int_equal(its->held, 0);
    fixture_free(fixture);
}

static void test_offline(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_worker record;
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "新 电脑", TRANSCODE_CPU, false), old = enlist(fixture, "old", TRANSCODE_CPU, true);
    assert_int_equal(enlist(fixture, "新 电脑", TRANSCODE_CPU, false), 0); /* it is online */
    assert_int_equal(enlist(fixture, "old", TRANSCODE_NVENC, true), old);
    uint64_t task = pulled(fixture, worker);
    fixture_wait(fixture, 19000);
    fixture_rebuild(fixture); /* full terms for all */
    fixture_wait(fixture, 19900);
    assert_true(fixture_stored(fixture, TYPE_WORKER, old, &record));
    assert_int_equal(record.status, WORKER_ACTIVE);
    fixture_wait(fixture, 200);
    assert_true(fixture_stored(fixture, TYPE_WORKER, old, &record));
    assert_int_equal(record.status, WORKER_OFFLINE);
    fixture_wait(fixture, 9700);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    fixture_wait(fixture, 300);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_FAILED);
    assert_true(str_is(task_of(fixture, task).error_message, "Worker离线,任务终止"));
    assert_video(fixture, 1, VIDEO_FAILED, 1);
    assert_true(fixture_stored(fixture, TYPE_WORKER, worker, &record));
    assert_int_equal(record.status, WORKER_OFFLINE);
    assert_int_equal(enlist(fixture, "新 电脑", TRANSCODE_CPU, false), worker); /* it is who its name says */
    beat(fixture, old, "old");
    assert_true(fixture_stored(fixture, TYPE_WORKER, old, &record));
    assert_int_equal(record.status, WORKER_ACTIVE);
    fixture_free(fixture);
}

static void test_directives(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false);
    struct msg_transcode_direct direct = {.idem = fixture_key(fixture), .id = worker, .directive = DIRECTIVE_SHUTDOWN};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_direct, &direct)->shape->id, MSG_DONE);
    fixture_rebuild(fixture);
    const struct msg *answer = pull(fixture, worker);
    assert_int_equal(answer->u.transcode_pulled.directive, DIRECTIVE_SHUTDOWN);
    assert_false(HAS(&answer->u.transcode_pulled, msg_transcode_pulled, task));
    direct.idem = fixture_key(fixture);
    direct.directive = DIRECTIVE_NONE;
    fixture_ask(fixture, &shape_msg_transcode_direct, &direct);
    assert_int_not_equal(pulled(fixture, worker), 0);
    direct.idem = fixture_key(fixture);
    direct.directive = DIRECTIVE_OFFLINE;
    fixture_ask(fixture, &shape_msg_transcode_direct, &direct);
    fixture_wait(fixture, 31000); /* it goes, and comes back without one */
    assert_int_equal(enlist(fixture, "w", TRANSCODE_CPU, false), worker);
    assert_int_equal(pull(fixture, worker)->u.transcode_pulled.directive, DIRECTIVE_NONE);
    fixture_free(fixture);
}

static void direct(struct fixture *fixture, uint64_t worker, uint64_t directive)
{
    struct msg_transcode_direct direct = {.idem = fixture_key(fixture), .id = worker, .directive = directive};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_direct, &direct)->shape->id, MSG_DONE);
}

/* Each by itself: it registers anew while it is here, or it goes, and is heard of again without registering. */
static void test_directives_end(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_transcode_worker record;
    uint64_t old = enlist(fixture, "old", TRANSCODE_CPU, true), quiet = enlist(fixture, "quiet", TRANSCODE_CPU, false);
    direct(fixture, old, DIRECTIVE_OFFLINE);
    direct(fixture, quiet, DIRECTIVE_SHUTDOWN);
    assert_int_equal(enlist(fixture, "old", TRANSCODE_CPU, true), old);
    assert_int_equal(pull(fixture, old)->u.transcode_pulled.directive, DIRECTIVE_NONE);
    assert_int_equal(pull(fixture, quiet)->u.transcode_pulled.directive, DIRECTIVE_SHUTDOWN);
    fixture_wait(fixture, 31000);
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_WORKER, quiet, &record));
    assert_int_equal(record.directive, DIRECTIVE_NONE);
    assert_int_equal(pull(fixture, quiet)->u.transcode_pulled.directive, DIRECTIVE_NONE);
    fixture_free(fixture);
}

/* Whatever number stands beside its name. A name that nobody has is one that it had before somebody renamed it: its number counts. */
static void test_who_beats(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_worker record;
    uint64_t a = enlist(fixture, "a", TRANSCODE_CPU, false), b = enlist(fixture, "b", TRANSCODE_CPU, false);
    beats(fixture, b, "a", 40);
    assert_true(fixture_stored(fixture, TYPE_WORKER, a, &record));
    assert_int_equal(record.status, WORKER_ACTIVE);
    assert_true(fixture_stored(fixture, TYPE_WORKER, b, &record));
    assert_int_equal(record.status, WORKER_OFFLINE);
    struct msg_transcode_worker_update update = {.idem = fixture_key(fixture), .id = a, .name = STR_LIT("c")};
    SET_HAS(&update, msg_transcode_worker_update, name);
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_worker_update, &update)->u.transcode_worker.worker.id, a);
    beats(fixture, a, "a", 40);
    assert_true(fixture_stored(fixture, TYPE_WORKER, a, &record));
    assert_int_equal(record.status, WORKER_ACTIVE);
    fixture_free(fixture);
}

static void test_renamed_and_removed(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), other = enlist(fixture, "o", TRANSCODE_CPU, false);
    struct msg_transcode_worker_update update = {.idem = fixture_key(fixture), .id = worker, .name = STR_LIT("o")};
    SET_HAS(&update, msg_transcode_worker_update, name);
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_worker_update, &update)->u.error.code, ERR_CONFLICT);
    update.idem = fixture_key(fixture);
    update.name = STR_LIT("x");
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_worker_update, &update)->u.transcode_worker.worker.id, worker);
    fixture_rebuild(fixture);
    struct msg_transcode_workers list = {.page = 1, .size = 10};
    const struct msg_transcode_worker_rows *rows =
        &fixture_ask(fixture, &shape_msg_transcode_workers, &list)->u.transcode_worker_rows;
    assert_int_equal(rows->total, 2);
    assert_int_equal(rows->workers.items[0].id, other);
    assert_true(str_is(rows->workers.items[1].name, "x"));
    uint64_t task = pulled(fixture, worker);
    struct msg_transcode_worker_remove remove = {.idem = fixture_key(fixture), .id = worker};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_worker_remove, &remove)->shape->id, MSG_DONE);
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_FAILED);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_WORKER], 1);
    assert_int_equal(pull(fixture, worker)->u.error.code, ERR_NOT_FOUND);
    fixture_rebuild(fixture);
    fixture_free(fixture);
}

/* ---- workers with a session ---- */

static void test_session(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found videos[] = {h264("a.mp4", 9000), h264("b.mp4", 8000), h264("uhd.mp4", 1000)};
    videos[2].width = 3840;
    found(fixture, lease, videos, 3, NULL, 0);
    hello(fixture, 1, "w1", "transcode", labels("nvenc,cpu", "2"));
    struct rec_lease first = fixture_begin(fixture, 1), second = fixture_begin(fixture, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0); /* two at once */
    assert_true(str_is(task_of(fixture, first.run_id).video_path, "a.mp4"));
    assert_int_equal(task_of(fixture, first.run_id).encoder, TRANSCODE_NVENC);
    assert_video(fixture, 1, VIDEO_RUNNING, 1);
    fixture_result(fixture, 1, first, OUTCOME_COMPLETED);
    assert_video(fixture, 1, VIDEO_COMPLETED, 1);
    struct rec_lease third = fixture_begin(fixture, 1);
    assert_int_equal(task_of(fixture, third.run_id).encoder, TRANSCODE_CPU); /* too large for hardware */
    fixture_result(fixture, 1, second, OUTCOME_ABORTED); /* by its worker: it gives it back, and is given it anew */
    assert_int_equal(task_of(fixture, second.run_id).status, TRANSCODE_FAILED);
    struct rec_lease fourth = fixture_begin(fixture, 1);
    assert_int_not_equal(fourth.run_id, second.run_id);
    assert_video(fixture, 2, VIDEO_RUNNING, 1);
    fixture_wait(fixture, 40000); /* silent: what it held is lost, and waits */
    assert_int_equal(task_of(fixture, fourth.run_id).status, TRANSCODE_FAILED);
    assert_video(fixture, 2, VIDEO_WAITING, 1);
    assert_video(fixture, 3, VIDEO_WAITING, 1);
    hello(fixture, 2, "w2", "transcode", labels("vpu", "9"));
    assert_true(str_is(task_of(fixture, fixture_begin(fixture, 2).run_id).video_path, "b.mp4"));
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_free(fixture);
}

/* What a worker said of a version stands, wherever the file is moved; other rules judge anew, as long as it may be tried. */
static void test_skipped(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found video = h264("a.mp4", 9000);
    video.hash = STR_LIT("0123456789abcdef");
    video.rules = 7;
    find_one(fixture, lease, video);
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    struct rec_lease task = fixture_begin(fixture, 1);
    struct rec_outcome outcome = {.run_id = task.run_id,
                                  .attempt = task.attempt,
                                  .outcome = OUTCOME_COMPLETED,
                                  .result = STR_LIT("{\"skipped\":\"Dolby Vision would be lost\"}")};
    SET_HAS(&outcome, rec_outcome, result);
    struct msg_result result = {.items = {&outcome, 1}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 1);
    video.id = 1;
    video.path = STR_LIT("there/a.mp4");
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 1);
    assert_true(str_is(video_of(fixture, 1).reason, "Dolby Vision would be lost"));
    for (uint64_t i = 2; i <= 3; i++) { /* other rules: three attempts in all */
        video.rules++;
        find_one(fixture, lease, video);
        outcome.run_id = fixture_begin(fixture, 1).run_id;
        assert_video(fixture, 1, VIDEO_RUNNING, i);
        fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_result, &result);
        fixture_settle(fixture);
    }
    video.rules++;
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 3);
    fixture_free(fixture);
}

/* What has used up its attempts while few were allowed waits again when more are, with a scan; what was skipped does not. */
static void test_more_attempts(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct transcode *farm = fixture->made[0]->self;
    struct rec_lease lease = scan(fixture);
    struct rec_video_found video = h264("a.mp4", 9000);
    find_one(fixture, lease, video);
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    fixture_begin(fixture, 1);
    fixture_wait(fixture, 40000); /* silent */
    assert_video(fixture, 1, VIDEO_WAITING, 1);
    farm->config.attempts = 1;
    lease = scan(fixture);
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 1);
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 1);
    farm->config.attempts = 3;
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_WAITING, 1);
    hello(fixture, 2, "w2", "transcode", labels("cpu", "1"));
    struct rec_lease task = fixture_begin(fixture, 2);
    struct rec_outcome outcome = {.run_id = task.run_id,
                                  .attempt = task.attempt,
                                  .outcome = OUTCOME_COMPLETED,
                                  .result = STR_LIT("{\"skipped\":\"Dolby Vision would be lost\"}")};
    SET_HAS(&outcome, rec_outcome, result);
    struct msg_result result = {.items = {&outcome, 1}};
    fixture_send(fixture, DOOR_WORKERS, 2, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
    farm->config.attempts = 9;
    find_one(fixture, lease, video);
    assert_video(fixture, 1, VIDEO_NOT_NEEDED, 2);
    fixture_free(fixture);
}

/* What was aborted is not tried again because more attempts are allowed from now on; when somebody queues it, it is. */
static void test_aborted_and_more_attempts(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    struct rec_lease task = fixture_begin(fixture, 1);
    assert_int_equal(fixture_abort(fixture, task.run_id), 0);
    fixture_result(fixture, 1, task, OUTCOME_ABORTED);
    assert_video(fixture, 1, VIDEO_FAILED, 3);
    fixture_rebuild(fixture);
    struct transcode *farm = fixture->made[0]->self;
    farm->config.attempts = 9;
    video_place(farm, video_find(farm, 1));
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    struct msg_video_set set = {.idem = fixture_key(fixture), .id = 1, .transcode_status = VIDEO_WAITING};
    SET_HAS(&set, msg_video_set, transcode_status);
    fixture_ask(fixture, &shape_msg_video_set, &set);
    assert_int_not_equal(fixture_begin(fixture, 1).run_id, 0);
    fixture_free(fixture);
}

/* A file that becomes another one of the same size while it is transcoded is not the one that was. */
static void test_changed_meanwhile(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct rec_video_found video = h264("a.mp4", 9000);
    video.hash = STR_LIT("0123456789abcdef");
    find_one(fixture, lease, video);
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    video.hash = STR_LIT("another version!");
    find_one(fixture, lease, video);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_COMPLETED, 100), 0);
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    task = pulled(fixture, worker);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_COMPLETED, 100), 0);
    assert_video(fixture, 1, VIDEO_COMPLETED, 1);
    fixture_free(fixture);
}

static void test_logs(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker), lines = fixture->log_lines;
    struct msg_transcode_log log = {.idem = fixture_key(fixture), .task_id = task, .level = 2, .text = STR_LIT("慢")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_log, &log);
    assert_int_equal(answer->u.transcode_logged.log.id, 1);
    assert_int_equal(answer->u.transcode_logged.log.task_id, task);
    assert_int_equal(fixture->log_lines, lines + 1);
    log.idem = fixture_key(fixture);
    log.task_id = 999;
    assert_true(str_is(fixture_ask(fixture, &shape_msg_transcode_log, &log)->u.error.rule, FAULT_FETCH));
    struct transcode *farm = fixture->made[0]->self;
    farm->config.logs_max = 2;
    for (unsigned i = 0; i < 5; i++) {
        log.idem = fixture_key(fixture);
        log.task_id = task;
        fixture_ask(fixture, &shape_msg_transcode_log, &log);
    }
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_LOG], 2);
    fixture_free(fixture);
}

/* All lines of a chunk are in the farm's log, however many it has, and within its limit from then on. */
static void test_many_lines(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct transcode *farm = fixture->made[0]->self;
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    struct rec_lease work = fixture_begin(fixture, 1);
    static struct rec_log_line lines[4096];
    for (uint32_t i = 0; i < 4096; i++)
        lines[i] = (struct rec_log_line){.seq = i + 1, .at = 1, .level = 1, .text = STR_LIT("frame")};
    struct msg_log log = {.chunk = {.run_id = work.run_id, .attempt = work.attempt, .lines = {lines, 4096}}};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_log, &log);
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_LOG], 4096);
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_log, &log); /* it did not hear that they were kept */
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_LOG], 4096);
    farm->config.logs_max = 100;
    for (uint32_t i = 0; i < 4096; i++)
        lines[i].seq += 4096;
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_log, &log);
    fixture_settle(fixture);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_LOG], 100);
    fixture_free(fixture);
}

/* While the store is away nothing is given, and nothing is lost. */
static void test_away(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false);
    fixture_store_away(fixture, true);
    assert_int_equal(pull(fixture, worker)->u.error.code, ERR_UNAVAILABLE);
    fixture_wait(fixture, 60000);
    fixture_store_away(fixture, false);
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    assert_int_not_equal(pulled(fixture, worker), 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_limits_of_hardware),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_silent_task),
        cmocka_unit_test(test_offline),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_directives_end),
        cmocka_unit_test(test_who_beats),
        cmocka_unit_test(test_renamed_and_removed),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_aborted),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_more_attempts),
        cmocka_unit_test(test_aborted_and_more_attempts),
        cmocka_unit_test(test_changed_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
