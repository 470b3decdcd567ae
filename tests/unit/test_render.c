/* The render farm in the core: which frame goes to whom, what becomes of it, what is done with tasks, and all of it behind a restart. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tests/unit/render_fixture.h"

/* ---- frames ---- */

static void test_frames_are_rendered(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    task.test_frames = STR_LIT("2");
    uint64_t id = created(fixture, &task);
    assert_task(fixture, id, RENDER_QUEUED, 0, 0);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_PENDING);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0); /* a frame that waits is no run */
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    struct given frame = given(fixture, 1);
    assert_int_equal(frame.number, 2); /* test frames first, and nothing else with them */
    nothing_given(fixture, 1);
    assert_task(fixture, id, RENDER_TESTING, 0, 0);
    done(fixture, 1, frame.lease);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_COMPLETED);
    struct rec_render_frame record = frame_of(fixture, id, 2);
    assert_int_equal(record.render_ms, 2500);
    assert_int_equal(record.output_size, 7);
    assert_true(str_is(record.thumbnail, "user123/1/renders/thumbnails/frame.0001.png"));
    assert_true(str_is(record.output_hash, "0123456789abcdef0123456789abcdef"));
    frame = given(fixture, 1);
    assert_int_equal(frame.number, 1);
    assert_task(fixture, id, RENDER_RENDERING, 1, 0);
    done(fixture, 1, frame.lease);
    frame = given(fixture, 1);
    assert_int_equal(frame.number, 3);
    done(fixture, 1, frame.lease);
    assert_task(fixture, id, RENDER_COMPLETED, 3, 0);
    assert_int_equal(task_of(fixture, id).render_ms, 7500);
    assert_true(task_of(fixture, id).completed_at > 0);
    nothing_given(fixture, 1);
    fixture_free(fixture);
}

static void test_failures(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(2);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    struct given frame = given(fixture, 1);
    fails(fixture, 1, frame.lease, "no such camera");
    frame = given(fixture, 1); /* once more */
    assert_int_equal(frame.number, 1);
    fails(fixture, 1, frame.lease, "no such camera");
    assert_task(fixture, id, RENDER_RENDERING, 0, 1);
    assert_true(str_is(frame_of(fixture, id, 1).error, "no such camera"));
    frame = given(fixture, 1);
    assert_int_equal(frame.number, 2);
    done(fixture, 1, frame.lease);
    assert_task(fixture, id, RENDER_FAILED, 1, 1);
    acted(fixture, id, RENDER_RETRY_FAILED, 0);
    frame = given(fixture, 1);
    assert_int_equal(frame.number, 1);
    assert_task(fixture, id, RENDER_RENDERING, 1, 0);
    done(fixture, 1, frame.lease);
    assert_task(fixture, id, RENDER_COMPLETED, 2, 0);
    acted(fixture, id, RENDER_RETRY_FRAME, 2); /* a completed one, too */
    frame = given(fixture, 1);
    assert_int_equal(frame.number, 2);
    refused(fixture, id, RENDER_RETRY_FRAME, 2, ERR_CONFLICT);
    refused(fixture, id, RENDER_RETRY_FRAME, 3, ERR_NOT_FOUND);
    say(fixture, 1, frame.lease, (struct rec_outcome){.outcome = OUTCOME_TIMEOUT});
    assert_task(fixture, id, RENDER_FAILED, 1, 1); /* it would take as long again */
    fixture_free(fixture);
}

static void test_a_test_that_fails(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    task.test_frames = STR_LIT("3, 2");
    task.stop_after_test = true;
    farm_of(fixture)->config.attempts = 1;
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    studio(fixture, 2, "b", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    struct given one = given(fixture, 1), other = given(fixture, 2);
    assert_int_equal(one.number + other.number, 5);
    fails(fixture, 1, one.lease, "it is black");
    fixture_wait(fixture, 1);
    assert_task(fixture, id, RENDER_FAILED, 0, 1);
    assert_non_null(fixture_take(fixture, 2, MSG_CANCEL)); /* what runs of it is killed */
    assert_int_equal(task_of(fixture, id).cancelled_frames, 2);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_FAILED);
    nothing_given(fixture, 1);
    acted(fixture, id, RENDER_RETRY_FRAME, 1); /* somebody wants that one all the same */
    acted(fixture, id, RENDER_PAUSE, 0);
    acted(fixture, id, RENDER_RESUME, 0);
    assert_int_equal(given(fixture, 1).number, 1);
    assert_task(fixture, id, RENDER_RENDERING, 0, 1);
    fixture_free(fixture);
}

/* Somebody ended the task: none of its test frames has failed. */
static void test_a_test_that_is_cancelled(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    task.test_frames = STR_LIT("1, 2");
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_RENDERING);
    done(fixture, 1, given(fixture, 1).lease);
    given(fixture, 1);
    acted(fixture, id, RENDER_CANCEL, 0);
    fixture_wait(fixture, 1);
    assert_task(fixture, id, RENDER_CANCELLED, 1, 0);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_PENDING);
    acted(fixture, id, RENDER_RETRY_FRAME, 2);
    done(fixture, 1, given(fixture, 1).lease);
    assert_int_equal(task_of(fixture, id).test_status, 1 + FRAME_COMPLETED);
    fixture_free(fixture);
}

/* ---- who gets what ---- */

static void test_placement(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(1), plain = scene(1);
    struct msg_render_live live = {0};
    uint64_t id;
    task.cg_version = STR_LIT("3.4");
    task.ram = 64;
    task.gpu_count = 2;
    task.plugins = fixture_map((const char *[]){"mtoa", "5.5", NULL});
    task.priority = 9;
    id = created(fixture, &task);
    live.ids = (struct uint_list){&id, 1};
    static const char *const hosts[][4] = {{"maya 2024.2", "128", "4", "has the engine blender"},
                                           {"blender 3.40", "128", "4", "has blender 3.4"},
                                           {"blender 3.4.1", "32", "4", "64 GB"},
                                           {"blender 3.4.1", "64", "1", "2 GPUs"}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_live, &live);
    assert_non_null(strstr(answer->u.render_live_rows.tasks.items[0].reason.ptr, "is connected"));
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%u", i);
        studio(fixture, 1 + i, name, hosts[i][0], hosts[i][1], hosts[i][2]);
        nothing_given(fixture, 1 + i);
        answer = fixture_ask(fixture, &shape_msg_render_live, &live);
        char reason[256];
        str_copy(reason, sizeof reason, answer->u.render_live_rows.tasks.items[0].reason);
        assert_non_null(strstr(reason, hosts[i][3]));
    }
    uint64_t low = created(fixture, &plain); /* behind it, and there are hosts for it */
    assert_int_equal(task_of(fixture, low).status, RENDER_RENDERING);
    studio(fixture, 9, "fit", "maya 2024.2, blender 3.4.1", "64", "2");
    given(fixture, 9);
    assert_int_equal(task_of(fixture, id).status, RENDER_RENDERING);
    struct msg_render_fits fits = {.rams = {(uint64_t[]){64, 512}, 2}, .gpus = {(uint64_t[]){4, 1}, 2}};
    answer = fixture_ask(fixture, &shape_msg_render_fits, &fits);
    assert_int_equal(answer->u.render_fitting.fits.items[0], 1);
    assert_int_equal(answer->u.render_fitting.fits.items[1], 0);
    fixture_free(fixture);
}

/* A frame that ran out of memory goes where there is more, and is not counted against it. */
static void test_out_of_memory(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(1);
    studio(fixture, 1, "small", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    struct given frame = given(fixture, 1);
    studio(fixture, 2, "large", "blender 3.4.1", "64", "0");
    fails(fixture, 1, frame.lease, "memory: killed");
    nothing_given(fixture, 1);
    frame = given(fixture, 2);
    assert_int_equal(frame.number, 1);
    assert_int_equal(task_of(fixture, id).starved_ram, 16);
    done(fixture, 2, frame.lease);
    assert_task(fixture, id, RENDER_COMPLETED, 1, 0);
    fixture_free(fixture);
}

/* What a worker says may be anything; what is kept of it fits its record, as a batch that cannot be written would end the scheduler. */
static void test_words_of_workers(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    studio(fixture, 1, "vast", "blender 3.4.1", "100000000", "0");
    uint64_t id = created(fixture, &task);
    for (int i = 0; i < 2; i++)
        say(fixture, 1, given(fixture, 1).lease,
            (struct rec_outcome){.outcome = OUTCOME_COMPLETED, .started_at = 1, .ended_at = INT64_MAX});
    assert_task(fixture, id, RENDER_RENDERING, 2, 0);
    assert_true(task_of(fixture, id).render_ms <= (uint64_t)INT64_MAX / 1000000); /* as many as there may be add up */
    studio(fixture, 2, "vaster", "blender 3.4.1", "200000000", "0");
    fails(fixture, 1, given(fixture, 1).lease, "memory: killed");
    fixture_rebuild(fixture);
    core_check(fixture->core);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 4); /* it was given out once more */
    fixture_free(fixture);
}

/* A picture that stands already costs what the attempt took that made it. */
static void test_adopted(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(1);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    struct rec_lease lease = given(fixture, 1).lease, again;
    for (unsigned i = 0; i < 10; i++) {
        fixture_heartbeat(fixture, 1, &lease, 1);
        fixture_wait(fixture, 2000);
    }
    struct msg_publish publish = {.run_id = lease.run_id,
                                  .output = {.attempt = lease.attempt,
                                             .path = STR_LIT("/f/user123/1/renders/frame.0001.png"),
                                             .temporary = STR_LIT("/f/user123/1/renders/.gantry-1"),
                                             .size = 7,
                                             .hash = STR_LIT("0123456789abcdef"),
                                             .at = 1}}; /* the worker's word is none */
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_publish, &publish);
    fixture_settle(fixture);
    assert_non_null(fixture_take(fixture, 1, MSG_PUBLISH_GRANT));
    fixture_rebuild(fixture);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0"); /* it does not name what it held */
    again = fixture_begin(fixture, 1);
    assert_int_equal(again.run_id, lease.run_id);
    assert_int_equal(again.attempt, lease.attempt + 1);
    done(fixture, 1, again); /* says 2.5 s */
    assert_task(fixture, id, RENDER_COMPLETED, 1, 0);
    assert_int_equal(frame_of(fixture, id, 1).render_ms, 20000);
    assert_int_equal(task_of(fixture, id).render_ms, 20000);
    fixture_free(fixture);
}

/* A host that fails three in a row rests for that task, while another one is there. */
static void test_rest(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(10), next = scene(2);
    farm_of(fixture)->config.attempts = 1;
    studio(fixture, 1, "bad", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    for (unsigned i = 0; i < 4; i++) /* alone it goes on */
        fails(fixture, 1, given(fixture, 1).lease, "driver");
    struct given frame = given(fixture, 1);
    studio(fixture, 2, "good", "blender 3.4.1", "16", "0");
    struct given other = given(fixture, 2);
    fails(fixture, 1, frame.lease, "driver");
    nothing_given(fixture, 1);
    next.priority = 9;
    created(fixture, &next); /* of another task it is given frames */
    given(fixture, 1);
    struct msg_render_live live = {.ids = {&id, 1}};
    const struct rec_render_live *row = &fixture_ask(fixture, &shape_msg_render_live, &live)->u.render_live_rows.tasks.items[0];
    assert_int_equal(row->resting.count, 1);
    assert_true(str_eq(row->resting.items[0].worker, frame_of(fixture, id, 1).node));
    assert_int_equal(row->resting.items[0].failed, 5);
    assert_int_equal(row->resting.items[0].until, fixture->wall + farm_of(fixture)->config.rest_ms);
    done(fixture, 2, other.lease);
    given(fixture, 2); /* now both are at work on the other one */
    assert_task(fixture, id, RENDER_RENDERING, 1, 5);
    row = &fixture_ask(fixture, &shape_msg_render_live, &live)->u.render_live_rows.tasks.items[0];
    assert_non_null(strstr(row->reason.ptr, "or rest as they failed 5 frames in a row, as "));
    fixture_free(fixture);
}

/* The rest ends; one more failure, and it rests again. Timeouts do not count. */
static void test_rest_ends(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(20);
    farm_of(fixture)->config.attempts = 1;
    farm_of(fixture)->config.rest_ms = 1000;
    studio(fixture, 1, "bad", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    struct given frame = given(fixture, 1);
    studio(fixture, 2, "good", "blender 3.4.1", "16", "0");
    given(fixture, 2);
    for (unsigned i = 0; i < 4; i++) {
        say(fixture, 1, frame.lease, (struct rec_outcome){.outcome = OUTCOME_TIMEOUT});
        frame = given(fixture, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        fails(fixture, 1, frame.lease, "driver");
        frame = given(fixture, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        fails(fixture, 1, frame.lease, "driver");
        nothing_given(fixture, 1);
        fixture_wait(fixture, 999);
        nothing_given(fixture, 1);
        fixture_wait(fixture, 1);
        frame = given(fixture, 1);
    }
    done(fixture, 1, frame.lease);
    fails(fixture, 1, given(fixture, 1).lease, "driver"); /* counted anew */
    given(fixture, 1);
    assert_task(fixture, id, RENDER_RENDERING, 1, 9);
    fixture_free(fixture);
}

/* ---- what is done with tasks ---- */

static void test_pause(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    uint64_t id = created(fixture, &task);
    refused(fixture, id, RENDER_RESUME, 0, ERR_CONFLICT);
    refused(fixture, id, RENDER_CLEANUP, 0, ERR_CONFLICT);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    struct given frame = given(fixture, 1);
    acted(fixture, id, RENDER_PAUSE, 0);
    refused(fixture, id, RENDER_PAUSE, 0, ERR_CONFLICT);
    done(fixture, 1, frame.lease); /* what runs goes on to its end */
    assert_task(fixture, id, RENDER_PAUSED, 1, 0);
    nothing_given(fixture, 1);
    fixture_rebuild(fixture);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    nothing_given(fixture, 1);
    acted(fixture, id, RENDER_RESUME, 0);
    assert_task(fixture, id, RENDER_RENDERING, 1, 0);
    frame = given(fixture, 1);
    acted(fixture, id, RENDER_CANCEL, 0);
    fixture_wait(fixture, 1);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    assert_task(fixture, id, RENDER_CANCELLED, 1, 0);
    assert_int_equal(task_of(fixture, id).cancelled_frames, 2);
    refused(fixture, id, RENDER_CANCEL, 0, ERR_CONFLICT);
    refused(fixture, id, RENDER_PAUSE, 0, ERR_CONFLICT);
    refused(fixture, 77, RENDER_PAUSE, 0, ERR_NOT_FOUND);
    acted(fixture, id, RENDER_CLEANUP, 0);
    assert_true(task_of(fixture, id).cleaned_at > 0);
    fixture_free(fixture);
}

static void test_time_is_over(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(2);
    task.task_timeout = 100;
    uint64_t id = created(fixture, &task);
    fixture_wait(fixture, 200000); /* it counts from the first frame */
    assert_task(fixture, id, RENDER_QUEUED, 0, 0);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    struct given frame = given(fixture, 1);
    for (unsigned i = 0; i < 30; i++) {
        fixture_heartbeat(fixture, 1, &frame.lease, 1);
        fixture_wait(fixture, 4000);
    }
    assert_task(fixture, id, RENDER_FAILED, 0, 0);
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    assert_int_equal(task_of(fixture, id).cancelled_frames, 2);
    fixture_free(fixture);
}

static void test_whose(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(2);
    uint64_t id = created(fixture, &task);
    struct msg_render_act ask = {.idem = fixture_key(fixture), .id = id, .action = RENDER_PAUSE, .whose = STR_LIT("somebody")};
    SET_HAS(&ask, msg_render_act, whose);
    assert_int_equal(fixture_ask(fixture, &shape_msg_render_act, &ask)->u.error.code, ERR_FORBIDDEN);
    ask.idem = fixture_key(fixture);
    ask.whose = STR_LIT("user123");
    assert_int_equal(fixture_ask(fixture, &shape_msg_render_act, &ask)->shape->id, MSG_RENDER_ANSWER);
    struct msg_render_create again = {.idem = fixture_key(fixture), .task = scene(1)};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_render_create, &again)->u.error.rule, "file_missing"));
    fixture_free(fixture);
}

/* What is missing is looked for before a task is made, not before a repeat of its making is answered. */
static void test_unlooked(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct msg_render_create ask = {.idem = fixture_key(fixture), .task = scene(1), .scene_found = true, .unlooked = true};
    ask.task.no_missing = true;
    assert_true(str_is(fixture_ask(fixture, &shape_msg_render_create, &ask)->u.error.rule, FAULT_FETCH));
    ask.unlooked = false; /* the refusal was not remembered */
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_create, &ask);
    assert_int_equal(answer->shape->id, MSG_RENDER_ANSWER);
    uint64_t id = answer->u.render_answer.task.id;
    ask.unlooked = true;
    answer = fixture_ask(fixture, &shape_msg_render_create, &ask);
    assert_int_equal(answer->shape->id, MSG_RENDER_ANSWER);
    assert_int_equal(answer->u.render_answer.task.id, id);
    fixture_free(fixture);
}

/* ---- behind a restart ---- */

static void test_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(3);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    done(fixture, 1, given(fixture, 1).lease);
    struct given frame = given(fixture, 1);
    fixture_rebuild(fixture);
    core_check(fixture->core);
    assert_task(fixture, id, RENDER_RENDERING, 1, 0);
    assert_int_equal(render_find(farm_of(fixture), id)->counts[FRAME_RENDERING], 1);
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0"); /* it does not name what it held: that is lost, and given out again */
    struct given again = given(fixture, 1);
    assert_int_equal(again.number, frame.number);
    assert_int_not_equal(again.lease.run_id, frame.lease.run_id);
    done(fixture, 1, frame.lease); /* the old run's word comes too late */
    assert_task(fixture, id, RENDER_RENDERING, 1, 0);
    done(fixture, 1, again.lease);
    done(fixture, 1, given(fixture, 1).lease);
    assert_task(fixture, id, RENDER_COMPLETED, 3, 0);
    fixture_rebuild(fixture);
    refused(fixture, id, RENDER_CANCEL, 0, ERR_CONFLICT);
    fixture_free(fixture);
}

/* Of many frames nothing is made before they are given out; of ended tasks the newest are kept. */
static void test_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_render_task task = scene(RENDER_FRAMES);
    uint64_t first = created(fixture, &task);
    assert_int_equal(fixture->disk_count[TYPE_RENDER_FRAME], 0);
    assert_int_equal(task_of(fixture, first).frames.len, 3);
    farm_of(fixture)->config.tasks_max = 2;
    acted(fixture, first, RENDER_CANCEL, 0);
    for (unsigned i = 0; i < 2; i++)
        acted(fixture, created(fixture, &task), RENDER_CANCEL, 0);
    fixture_wait(fixture, 1000);
    struct rec_render_task none;
    assert_false(fixture_stored(fixture, TYPE_RENDER_TASK, first, &none));
    refused(fixture, first, RENDER_RETRY_FAILED, 0, ERR_NOT_FOUND);
    created(fixture, &task);
    created(fixture, &task);
    assert_int_equal(create(fixture, &task)->u.error.code, ERR_LIMIT);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_rendered),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_a_test_that_fails),
        cmocka_unit_test(test_a_test_that_is_cancelled),
        cmocka_unit_test(test_placement),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_words_of_workers),
        cmocka_unit_test(test_adopted),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_rest_ends),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_time_is_over),
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_unlooked),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
