/* Memory runs out at every place where the render farm asks for some, one after the other: what cannot be done is refused with nothing changed,
 * and the same wish succeeds when it is asked again. */
#include "tests/unit/unit.h"

#include "scheduler/farms/render/render.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"
#include "tests/unit/memory_fault.h"

#define PEER 7

struct farm *render_farm(void);
struct farm *asset_farm(void);

static struct fixture *fixture;
static uint64_t key, task;
static enum render_action action;
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

static const struct msg *ask_at(enum door door, unsigned peer, const struct shape *shape, const void *value, uint16_t id)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, door, peer, corr, shape, value);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    if (answer && answer->shape->id == MSG_ERROR && memory_short())
        assert_true(answer->u.error.code == ERR_NO_MEMORY || answer->u.error.code == ERR_UNAVAILABLE);
    else if (answer || !memory_short())
        assert_int_equal(answer->shape->id, id);
    return answer && answer->shape->id == id ? answer : NULL;
}

static const struct msg *ask(const struct shape *shape, const void *value, uint16_t id)
{
    return ask_at(DOOR_COMMANDS, 1000, shape, value, id);
}

static void step_create(void)
{
    struct msg_render_create say = {.idem = fixture_key_of((unsigned)key, 1),
                                    .scene_found = true,
                                    .task = {.id = 1,
                                             .unionid = STR_LIT("u"),
                                             .oss_file_path = STR_LIT("a.blend"),
                                             .render_engine = STR_LIT("blender"),
                                             .test_frames = STR_LIT("2"),
                                             .start_frame = 1,
                                             .total_frames = 3,
                                             .frame_timeout = 1000,
                                             .task_timeout = 100000}};
    const struct msg *answer = ask(&shape_msg_render_create, &say, MSG_RENDER_ANSWER);
    task = answer ? answer->u.render_answer.task.id : task;
}

static void step_act(void)
{
    struct msg_render_act say = {.idem = fixture_key_of((unsigned)key, 1), .id = task, .action = action, .frame = 2};
    ask(&shape_msg_render_act, &say, MSG_RENDER_ANSWER);
    fixture_wait(fixture, 1);
}

static void step_live(void)
{
    struct msg_render_live say = {.ids = {&task, 1}};
    ask(&shape_msg_render_live, &say, MSG_RENDER_LIVE_ROWS);
}

static void step_settle(void)
{
    fixture_settle(fixture);
}

static void hello(void)
{
    struct str types[] = {STR_LIT("render")};
    struct msg_hello say = {.protocol = 1,
                            .ident = STR_LIT("w"),
                            .boot = STR_LIT("b"),
                            .hostname = STR_LIT("h"),
                            .task_types = {types, 1},
                            .executors = {types, 1},
                            .slots = 2,
                            .credit = 2,
                            .labels = fixture_map((const char *[]){"render.engines", "blender 3", NULL})};
    fixture_send(fixture, DOOR_WORKERS, PEER, ++fixture->corr, &shape_msg_hello, &say);
}

static struct rec_lease lease;
static enum outcome outcome;

static void step_result(void)
{
    fixture_result(fixture, PEER, lease, outcome);
}

/* The worker has ended what it was given. */
static void ends(enum outcome how)
{
    fixture_settle(fixture);
    const struct render_task *open = render_find(render_of(fixture->core), task);
    assert_non_null(open->busy);
    lease = (struct rec_lease){.run_id = open->busy->run_id, .attempt = 1};
    fixture_accept(fixture, PEER, lease);
    outcome = how;
    hard(step_result);
}

static void act(enum render_action what)
{
    action = what;
    hard(step_act);
}

static void test_render(void **unused)
{
    (void)unused;
    struct rec_render_task record;
    fixture = fixture_new();
    fixture->make_farm = render_farm;
    fixture_start(fixture);
    fixture->around = around;
    hard(step_create);
    hello();
    hard(step_settle);
    hard(step_live);
    ends(OUTCOME_COMPLETED);
    act(RENDER_PAUSE);
    ends(OUTCOME_FAILED);
    act(RENDER_RETRY_FRAME);
    act(RENDER_RESUME);
    ends(OUTCOME_COMPLETED);
    act(RENDER_CANCEL);
    fixture_wait(fixture, 10);
    assert_true(fixture_stored(fixture, TYPE_RENDER_TASK, task, &record));
    assert_int_equal(record.status, RENDER_CANCELLED);
    assert_int_equal(record.completed_frames + record.cancelled_frames, 3);
    fixture->around = NULL;
    memory_watched = true;
    fixture_free(fixture);
}

/* ---- files ---- */

#define MD5 "0123456789abcdef"
#define PATH "p/a1.blend"

static struct str scene = {PATH, sizeof PATH - 1};

static void step_upload(void)
{
    struct msg_asset_add say = {.idem = fixture_key_of((unsigned)key, 1),
                                .md5 = STR_LIT(MD5),
                                .xxh64 = STR_LIT("12345678"),
                                .unionid = STR_LIT("u"),
                                .path = scene};
    ask(&shape_msg_asset_add, &say, MSG_ASSET_ADDED);
}

static void step_look(void)
{
    struct msg_asset_look say = {.unionid = STR_LIT("u"), .scene = scene, .paths = {&scene, 1}};
    const struct msg *answer = ask(&shape_msg_asset_look, &say, MSG_ASSET_LOOKED);
    if (answer)
        assert_int_equal(answer->u.asset_looked.ids.items[0], 1);
}

static void step_frame_looks(void)
{
    struct msg_render_look say = {.run_id = lease.run_id, .attempt = 1, .paths = {&scene, 1}};
    const struct msg *answer = ask_at(DOOR_WORKERS, PEER, &shape_msg_render_look, &say, MSG_RENDER_LOOKED);
    if (answer)
        assert_memory_equal(answer->u.render_looked.md5s.ptr, MD5, 16);
}

static void step_frame_lists(void)
{
    struct str pattern = STR_LIT("//s_##.png");
    struct msg_render_look say = {.run_id = lease.run_id, .attempt = 1, .paths = {&pattern, 1}, .each = true};
    ask_at(DOOR_WORKERS, PEER, &shape_msg_render_look, &say, MSG_RENDER_LOOKED);
}

static void step_tell(void)
{
    struct rec_scene_file file = {.path = STR_LIT("C:/wood.jpg")};
    struct msg_scene_tell say = {.run_id = lease.run_id, .attempt = 1, .md5 = STR_LIT(MD5), .files = {&file, 1}, .last = true};
    ask_at(DOOR_WORKERS, PEER, &shape_msg_scene_tell, &say, MSG_SCENE_TOLD);
}

static void test_files(void **unused)
{
    (void)unused;
    struct rec_scene_needs list;
    fixture = fixture_new();
    fixture->make_farm = render_farm;
    fixture->make_second = asset_farm;
    fixture_start(fixture);
    fixture->around = around;
    memory_watched = false;
    hard(step_upload);
    hard(step_look);
    fixture->around = NULL;
    struct msg_render_create say = {.idem = fixture_key_of((unsigned)++key, 1),
                                    .task = {.id = 1,
                                             .unionid = STR_LIT("u"),
                                             .oss_file_path = scene,
                                             .render_engine = STR_LIT("blender"),
                                             .start_frame = 1,
                                             .total_frames = 1,
                                             .frame_timeout = 1000,
                                             .task_timeout = 100000}};
    task = ask(&shape_msg_render_create, &say, MSG_RENDER_ANSWER)->u.render_answer.task.id;
    hello();
    fixture_settle(fixture);
    lease = (struct rec_lease){.run_id = render_find(render_of(fixture->core), task)->busy->run_id, .attempt = 1};
    fixture_accept(fixture, PEER, lease);
    fixture->around = around;
    hard(step_frame_looks);
    hard(step_frame_lists);
    hard(step_tell);
    assert_true(fixture_stored(fixture, TYPE_SCENE_NEEDS, 1, &list));
    assert_true(list.whole && list.pages == 1);
    fixture->around = NULL;
    memory_watched = true;
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_render), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
