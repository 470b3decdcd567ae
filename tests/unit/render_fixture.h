/* The render farm in the core, and what workers and users say to it. */
#ifndef GANTRY_TESTS_RENDER_FIXTURE_H
#define GANTRY_TESTS_RENDER_FIXTURE_H

#include "scheduler/farms/parameters.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/run.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

struct farm *render_farm(void);

static inline struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = render_farm;
    fixture_start(fixture);
    return fixture;
}

static inline struct render *farm_of(const struct fixture *fixture)
{
    return render_of(fixture->core);
}

/* ---- short forms ---- */

static inline void studio(struct fixture *fixture, unsigned peer, const char *name, const char *engines, const char *ram,
                          const char *gpus)
{
    struct str types[] = {STR_LIT("render")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(name),
                              .boot = str_of(name),
                              .hostname = STR_LIT("studio"),
                              .task_types = {types, 1},
                              .executors = {types, 1},
                              .slots = 4,
                              .credit = 4,
                              .labels =
                                  fixture_map((const char *[]){"render.engines", engines, "render.ram_gb", ram, "render.gpus",
                                                               gpus, "render.plugins", "mtoa 5.5.1, xgen 2", NULL})};
    fixture_send(fixture, DOOR_WORKERS, peer, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

static inline struct rec_render_task scene(uint64_t frames)
{
    return (struct rec_render_task){.id = 1,
                                    .unionid = STR_LIT("user123"),
                                    .oss_file_path = STR_LIT("assets/x"),
                                    .render_engine = STR_LIT("blender"),
                                    .start_frame = 1,
                                    .total_frames = frames,
                                    .priority = 5,
                                    .frame_timeout = 43200,
                                    .task_timeout = 86400};
}

static inline const struct msg *create(struct fixture *fixture, const struct rec_render_task *task)
{
    struct msg_render_create ask = {.idem = fixture_key(fixture), .task = *task, .scene_found = true};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_create, &ask);
    core_check(fixture->core);
    return answer;
}

static inline uint64_t created(struct fixture *fixture, const struct rec_render_task *task)
{
    const struct msg *answer = create(fixture, task);
    assert_int_equal(answer->shape->id, MSG_RENDER_ANSWER);
    return answer->u.render_answer.task.id;
}

static inline const struct msg *act(struct fixture *fixture, uint64_t id, enum render_action action, uint64_t frame)
{
    struct msg_render_act ask = {.idem = fixture_key(fixture), .id = id, .action = action, .frame = frame};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_act, &ask);
    core_check(fixture->core);
    return answer;
}

static inline void acted(struct fixture *fixture, uint64_t id, enum render_action action, uint64_t frame)
{
    assert_int_equal(act(fixture, id, action, frame)->shape->id, MSG_RENDER_ANSWER);
}

static inline void refused(struct fixture *fixture, uint64_t id, enum render_action action, uint64_t frame, int code)
{
    const struct msg *answer = act(fixture, id, action, frame);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, code);
}

static inline struct rec_render_task task_of(struct fixture *fixture, uint64_t id)
{
    struct rec_render_task task;
    assert_true(fixture_stored(fixture, TYPE_RENDER_TASK, id, &task));
    return task;
}

static inline struct rec_render_frame frame_of(struct fixture *fixture, uint64_t task, uint64_t number)
{
    struct rec_render_frame frame;
    assert_true(fixture_stored(fixture, TYPE_RENDER_FRAME, task << RENDER_FRAME_BITS | (number - 1), &frame));
    return frame;
}

static inline void assert_task(struct fixture *fixture, uint64_t id, enum render_status status, uint64_t completed,
                               uint64_t failed)
{
    struct rec_render_task task = task_of(fixture, id);
    assert_int_equal(task.status, status);
    assert_int_equal(task.completed_frames, completed);
    assert_int_equal(task.failed_frames, failed);
}

struct given {
    struct rec_lease lease;
    uint64_t number;
};

/* The frame that this worker has been given. */
static inline struct given given(struct fixture *fixture, unsigned peer)
{
    struct rec_run run;
    struct given frame = {.lease = fixture_begin(fixture, peer)};
    assert_true(fixture_run(fixture, frame.lease.run_id, &run));
    frame.number = map_number(run.parameters, "frame");
    return frame;
}

static inline void nothing_given(struct fixture *fixture, unsigned peer)
{
    fixture_settle(fixture);
    assert_null(fixture_take(fixture, peer, MSG_ASSIGN));
}

static inline void say(struct fixture *fixture, unsigned peer, struct rec_lease lease, struct rec_outcome outcome)
{
    outcome.run_id = lease.run_id;
    outcome.attempt = lease.attempt;
    struct msg_result result = {.items = {&outcome, 1}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
    core_check(fixture->core);
}

static inline void done(struct fixture *fixture, unsigned peer, struct rec_lease lease)
{
    struct rec_outcome outcome = {.outcome = OUTCOME_COMPLETED,
                                  .result = STR_LIT("{\"output_path\":\"user123/1/renders/frame.0001.png\",\"output_size\":7,"
                                                    "\"output_hash\":\"0123456789abcdef0123456789abcdef\",\"render_time\":2.5,"
                                                    "\"width\":64,\"height\":32,\"black\":false,\"engine_version\":\"3.4.1\","
                                                    "\"thumbnail_path\":\"user123/1/renders/thumbnails/frame.0001.png\"}")};
    SET_HAS(&outcome, rec_outcome, result);
    say(fixture, peer, lease, outcome);
}

static inline void fails(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *error)
{
    say(fixture, peer, lease, (struct rec_outcome){.outcome = OUTCOME_FAILED, .error = str_of(error)});
}

#endif
