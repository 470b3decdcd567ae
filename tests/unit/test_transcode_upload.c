/* Whose tasks are whose, and results that come over HTTP: who may give one its name. */
#include "tests/unit/unit.h"

#include "scheduler/run.h"
#include "scheduler/worker.h"
#include "tests/unit/transcode_fixture.h"

/* With keys a worker's word counts for what its own credential registered, and for nothing else. */
static void test_owners(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    const struct str mine = STR_LIT("0123456789abcdef"), theirs = STR_LIT("fedcba9876543210");
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    struct msg_transcode_register ask = {.idem = fixture_key(fixture), .name = STR_LIT("w"), .whose = mine, .old = true};
    uint64_t worker = fixture_ask(fixture, &shape_msg_transcode_register, &ask)->u.transcode_worker.worker.id;
    ask.idem = fixture_key(fixture);
    ask.whose = theirs;
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_register, &ask)->u.error.code, ERR_FORBIDDEN);
    struct msg_transcode_beat beat = {.id = worker, .name = STR_LIT("w"), .whose = theirs};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_beat, &beat)->u.error.code, ERR_FORBIDDEN);
    struct msg_transcode_pull want = {.idem = fixture_key(fixture), .worker_id = worker, .whose = theirs};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_transcode_pull, &want)->u.error.rule, "worker_owner"));
    assert_video(fixture, 1, VIDEO_WAITING, 0);
    want.idem = fixture_key(fixture);
    want.whose = mine;
    uint64_t task = fixture_ask(fixture, &shape_msg_transcode_pull, &want)->u.transcode_pulled.task.id;
    assert_int_not_equal(task, 0);
    fixture_rebuild(fixture);
    struct msg_transcode_report say = {
        .idem = fixture_key(fixture), .task_id = task, .worker_id = worker, .progress = 5, .status = 1, .whose = theirs};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_report, &say)->u.error.code, ERR_FORBIDDEN);
    assert_video(fixture, 1, VIDEO_CREATED, 1);
    struct msg_transcode_log log = {.idem = fixture_key(fixture), .task_id = task, .text = STR_LIT("x"), .whose = theirs};
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_log, &log)->u.error.code, ERR_FORBIDDEN);
    assert_int_equal(fixture->disk_count[TYPE_TRANSCODE_LOG], 0);
    log.idem = fixture_key(fixture);
    log.whose = (struct str){0}; /* who may act on all */
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_log, &log)->shape->id, MSG_TRANSCODE_LOGGED);
    say.idem = fixture_key(fixture);
    say.whose = mine;
    say.status = TRANSCODE_COMPLETED;
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_report, &say)->shape->id, MSG_DONE);
    say.idem = fixture_key(fixture);
    say.whose = theirs;
    say.known = task_of(fixture, task);
    SET_HAS(&say, msg_transcode_report, known);
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_report, &say)->u.error.code, ERR_FORBIDDEN);
    fixture_wait(fixture, 40000); /* it is offline, and comes back with a new key */
    ask.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_register, &ask)->u.transcode_worker.worker.id, worker);
    beat.whose = mine;
    assert_int_equal(fixture_ask(fixture, &shape_msg_transcode_beat, &beat)->u.error.code, ERR_FORBIDDEN);
    fixture_free(fixture);
}

/* ---- results that come over HTTP ---- */

/* 0: it may have its name; else the code. made: what was made before, as told. */
static uint64_t publish(struct fixture *fixture, uint64_t task, uint64_t attempt, uint64_t size, const char *hash,
                        struct msg_transcode_published *made)
{
    struct msg_transcode_publish ask = {.task_id = task, .attempt = attempt, .size = size, .hash = str_of(hash)};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_publish, &ask);
    if (answer->shape->id == MSG_ERROR)
        return answer->u.error.code;
    assert_int_equal(answer->shape->id, MSG_TRANSCODE_PUBLISHED);
    if (made)
        *made = answer->u.transcode_published;
    return 0;
}

#define HASH_A "aaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbb"

/* A worker of the API gives its result its name while the task is its own, and what was made of the video is remembered. */
static void test_uploaded(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    struct msg_transcode_published made;
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    assert_int_equal(publish(fixture, 99, 0, 5, HASH_A, NULL), ERR_CONFLICT);
    assert_int_equal(publish(fixture, task, 1, 5, HASH_A, NULL), ERR_CONFLICT); /* it has no session */
    fixture_wait(fixture, 29000);
    assert_int_equal(publish(fixture, task, 0, 5, HASH_A, &made), 0);
    assert_int_equal(made.made.len, 0);
    fixture_wait(fixture, 29000); /* a sign of life: of the worker, and of the task */
    assert_int_equal(task_of(fixture, task).status, TRANSCODE_RUNNING);
    assert_int_equal(publish(fixture, task, 0, 258, HASH_B, &made), 0);
    assert_int_equal(made.made.len, 24);
    assert_memory_equal(made.made.ptr, "\0\0\0\0\0\0\0\5" HASH_A, 24);
    fixture_rebuild(fixture);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_FAILED, 99), 0);
    assert_int_equal(publish(fixture, task, 0, 5, HASH_A, NULL), ERR_CONFLICT); /* too late */
    task = pulled(fixture, worker);
    assert_int_equal(publish(fixture, task, 0, 5, HASH_A, &made), 0);
    assert_int_equal(made.made.len, 48);
    assert_memory_equal(made.made.ptr, "\0\0\0\0\0\0\1\2" HASH_B "\0\0\0\0\0\0\0\5" HASH_A, 48);
    const char *hashes[] = {"cccccccccccccccc", "dddddddddddddddd", "eeeeeeeeeeeeeeee", "ffffffffffffffff"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(publish(fixture, task, 0, i, hashes[i], NULL), 0);
    assert_int_equal(video_of(fixture, 1).made.len, 96); /* the newest four */
    assert_memory_equal(video_of(fixture, 1).made.ptr + 8, "ffffffffffffffff", 16);
    fixture_free(fixture);
}

/* The size of what came is told with the task, and what it saves is counted when the task has ended well. */
static void test_uploaded_saves(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    uint64_t worker = enlist(fixture, "w", TRANSCODE_CPU, false), task = pulled(fixture, worker);
    assert_int_equal(publish(fixture, task, 0, 9000, HASH_A, NULL), 0);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_FAILED, 99), 0);
    assert_int_equal(task_of(fixture, task).size_after, 0);
    task = pulled(fixture, worker);
    assert_int_equal(publish(fixture, task, 0, 9000, HASH_A, NULL), 0);
    fixture_rebuild(fixture);
    assert_int_equal(report(fixture, task, worker, TRANSCODE_COMPLETED, 100), 0);
    assert_int_equal(task_of(fixture, task).size_after, 9000);
    assert_int_equal(video_of(fixture, 1).saved, 1000000);
    const struct transcode *farm = fixture->made[0]->self;
    assert_int_equal(farm->total.saved, 1000000);
    assert_int_equal(farm->total.results, 1);
    fixture_free(fixture);
}

static void grant(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *hash)
{
    struct msg_publish ask = {.run_id = lease.run_id,
                              .output = {.attempt = lease.attempt,
                                         .path = STR_LIT("/made/a.mp4"),
                                         .temporary = STR_LIT("/made/.gantry-1-1.a.mp4"),
                                         .size = 7,
                                         .hash = str_of(hash)}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_publish, &ask);
    fixture_settle(fixture);
}

/* One with a session has its grant for what it hashed: nothing else gets the name, nor what an older attempt sent. */
static void test_uploaded_by_session(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_lease lease = scan(fixture);
    find_one(fixture, lease, h264("a.mp4", 9000));
    hello(fixture, 1, "w1", "transcode", labels("cpu", "1"));
    struct rec_lease first = fixture_begin(fixture, 1);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_A, NULL), ERR_CONFLICT); /* not granted yet */
    grant(fixture, 1, first, HASH_A);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_A, NULL), 0);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_A, NULL), 0);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 8, HASH_A, NULL), ERR_CONFLICT);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_B, NULL), ERR_CONFLICT);
    assert_int_equal(publish(fixture, first.run_id, 0, 7, HASH_A, NULL), ERR_CONFLICT);
    fixture_wait(fixture, 40000); /* it is lost, and goes on with another worker */
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_A, NULL), ERR_CONFLICT);
    hello(fixture, 2, "w2", "transcode", labels("cpu", "1"));
    struct rec_lease second = fixture_begin(fixture, 2);
    assert_int_equal(second.run_id, first.run_id);
    assert_int_equal(publish(fixture, first.run_id, first.attempt, 7, HASH_A, NULL), ERR_CONFLICT);
    grant(fixture, 2, second, HASH_B);
    assert_int_equal(publish(fixture, second.run_id, second.attempt, 7, HASH_B, NULL), 0);
    fixture_result(fixture, 2, second, OUTCOME_COMPLETED);
    assert_int_equal(video_of(fixture, 1).made.len, 24);
    assert_memory_equal(video_of(fixture, 1).made.ptr, "\0\0\0\0\0\0\0\7" HASH_B, 24);
    struct rec_video_found again = h264("a.mp4", 9001); /* another version: its worker is told what was made of the one before */
    hello(fixture, SCANNER, "scanner", "scan", (struct str){0});
    lease = fixture_begin(fixture, SCANNER);
    find_one(fixture, lease, again);
    const struct run *run = run_find(fixture->core, fixture_begin(fixture, 2).run_id);
    struct str told;
    assert_true(map_text(text_str(run->parameters), STR_LIT("made"), &told));
    assert_true(str_is(told, "7-62626262626262626262626262626262"));
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_uploaded),
        cmocka_unit_test(test_uploaded_saves),
        cmocka_unit_test(test_uploaded_by_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
