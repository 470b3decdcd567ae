/* Which uploaded files go: those that nothing needs and nobody has used, with all that is known of them. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/needs.h"
#include "scheduler/farms/render/render.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define MINUTE 60000u
#define GRACE (60 * MINUTE)

struct farm *asset_farm(void), *render_farm(void);

static struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = asset_farm;
    fixture->make_second = render_farm;
    fixture_start(fixture);
    return fixture;
}

/* ---- short forms ---- */

/* A hash whose digits say the number. */
static struct str md5_of(unsigned number)
{
    static char md5[16][17];
    static unsigned at;
    char *out = md5[at++ % 16];
    snprintf(out, sizeof *md5, "file %011u", number);
    return (struct str){out, ASSET_MD5};
}

static const char *hex_of(unsigned number)
{
    static char hex[ASSET_HEX];
    md5_hex((const unsigned char *)md5_of(number).ptr, hex);
    return hex;
}

static uint64_t add(struct fixture *fixture, unsigned number, const char *path, const char *unionid)
{
    struct msg_asset_add say = {.idem = fixture_key(fixture),
                                .md5 = md5_of(number),
                                .xxh64 = STR_LIT("12345678"),
                                .size = 100,
                                .unionid = str_of(unionid),
                                .path = str_of(path)};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_asset_add, &say);
    assert_int_equal(answer->shape->id, MSG_ASSET_ADDED);
    return answer->u.asset_added.asset_id;
}

static struct msg_asset_swept sweep_from(struct fixture *fixture, uint64_t after, uint64_t grace_ms, bool dry)
{
    struct msg_asset_sweep ask = {.idem = fixture_key(fixture), .after = after, .grace_ms = grace_ms, .dry = dry};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_asset_sweep, &ask);
    assert_int_equal(answer->shape->id, MSG_ASSET_SWEPT);
    core_check(fixture->core);
    return answer->u.asset_swept;
}

/* All of it, first dry: which has to say the same and change nothing. Answers how many files went. */
static uint64_t sweep(struct fixture *fixture, uint64_t grace_ms)
{
    struct msg_asset_swept said = sweep_from(fixture, 0, grace_ms, true), again = sweep_from(fixture, 0, grace_ms, true);
    struct msg_asset_swept done = sweep_from(fixture, 0, grace_ms, false);
    assert_true(said.done && done.done);
    assert_true(said.files == again.files && said.files == done.files);
    assert_true(said.paths == done.paths && said.bytes == done.bytes);
    assert_int_equal(done.bytes, 100 * done.files);
    return done.files;
}

static bool held(struct fixture *fixture, unsigned number, bool dry, uint64_t grace_ms)
{
    struct msg_asset_held ask = {.md5s = md5_of(number), .dry = dry, .grace_ms = grace_ms};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_asset_held, &ask);
    assert_int_equal(answer->shape->id, MSG_ASSET_CHECKED);
    return answer->u.asset_checked.ids.items[0] != 0;
}

static bool known(struct fixture *fixture, unsigned number)
{
    return held(fixture, number, false, 0);
}

static bool named(struct fixture *fixture, const char *path)
{
    struct msg_asset_find ask = {.path = str_of(path)};
    return fixture_ask(fixture, &shape_msg_asset_find, &ask)->u.asset_found.asset_id != 0;
}

static uint64_t render(struct fixture *fixture, const char *scene, const char *unionid)
{
    struct msg_render_create ask = {.idem = fixture_key(fixture),
                                    .task = {.id = 1,
                                             .unionid = str_of(unionid),
                                             .oss_file_path = str_of(scene),
                                             .render_engine = STR_LIT("blender"),
                                             .start_frame = 1,
                                             .total_frames = 2,
                                             .priority = 5,
                                             .frame_timeout = 43200,
                                             .task_timeout = 86400}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_create, &ask);
    assert_int_equal(answer->shape->id, MSG_RENDER_ANSWER);
    return answer->u.render_answer.task.id;
}

static const struct msg *act(struct fixture *fixture, uint64_t id, enum render_action action)
{
    struct msg_render_act ask = {.idem = fixture_key(fixture), .id = id, .action = action, .frame = 1};
    return fixture_ask(fixture, &shape_msg_render_act, &ask);
}

/* ---- what goes ---- */

static void test_unused_files_go(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_asset asset;
    struct rec_asset_name name;
    uint64_t id = add(fixture, 1, "p/wood.png", "user");
    add(fixture, 1, "p/other.png", "");
    fixture_jump(fixture, GRACE - 1000);
    add(fixture, 2, "", "");
    assert_int_equal(sweep(fixture, GRACE), 0);
    fixture_jump(fixture, 1000);
    assert_true(held(fixture, 1, false, GRACE));
    assert_false(held(fixture, 1, true, GRACE));
    assert_int_equal(sweep(fixture, GRACE), 1);
    assert_false(known(fixture, 1));
    assert_true(known(fixture, 2));
    assert_false(named(fixture, "p/wood.png") || named(fixture, "p/other.png"));
    assert_false(fixture_stored(fixture, TYPE_ASSET, id, &asset));
    assert_false(fixture_stored(fixture, TYPE_ASSET_NAME, 1, &name) || fixture_stored(fixture, TYPE_ASSET_NAME, 2, &name));
    fixture_rebuild(fixture);
    assert_false(known(fixture, 1));
    assert_true(known(fixture, 2));
    assert_true(add(fixture, 1, "p/wood.png", "user") > id); /* it comes again */
    assert_int_equal(sweep(fixture, 0), 2);
    fixture_free(fixture);
}

static void test_use_keeps_a_file(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, 1, "", "");
    add(fixture, 2, "p/a", "");
    add(fixture, 3, "", "");
    add(fixture, 4, "", "");
    fixture_jump(fixture, GRACE);
    struct msg_asset_check check = {.md5s = md5_of(1)};
    fixture_ask(fixture, &shape_msg_asset_check, &check);
    assert_true(named(fixture, "p/a"));
    add(fixture, 3, "", "");
    fixture_rebuild(fixture); /* it is on disk */
    assert_int_equal(sweep(fixture, GRACE), 1);
    assert_true(known(fixture, 1) && known(fixture, 2) && known(fixture, 3) && !known(fixture, 4));
    fixture_jump(fixture, GRACE);
    assert_int_equal(sweep(fixture, GRACE), 3);
    fixture_free(fixture);
}

/* ---- what is needed ---- */

static void test_tasks_hold_files(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, 1, "p/scene.blend", "user");
    add(fixture, 2, "C:/textures/wood.jpg", "user");
    add(fixture, 3, "C:/textures/tin.jpg", "another");
    add(fixture, 4, "tex/sky.exr", "");
    add(fixture, 5, "", "user"); /* nobody can find it */
    uint64_t id = render(fixture, "p/scene.blend", "user");
    add(fixture, 6, "p/scene.blend", "user"); /* the path stands for another file from now on */
    fixture_jump(fixture, GRACE);
    fixture_rebuild(fixture);
    assert_int_equal(sweep(fixture, GRACE), 2);
    assert_true(known(fixture, 1) && known(fixture, 2) && known(fixture, 4) && known(fixture, 6));
    assert_false(known(fixture, 3) || known(fixture, 5));
    assert_int_equal(act(fixture, id, RENDER_CANCEL)->shape->id, MSG_RENDER_ANSWER);
    assert_int_equal(sweep(fixture, 0), 0); /* its frames may be rendered again */
    assert_int_equal(act(fixture, id, RENDER_CLEANUP)->shape->id, MSG_RENDER_ANSWER);
    assert_int_equal(sweep(fixture, 0), 4);
    fixture_free(fixture);
}

static void test_cleaned_up_and_rendered_again(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, 1, "p/scene.blend", "user");
    uint64_t id = render(fixture, "p/scene.blend", "user");
    act(fixture, id, RENDER_CANCEL);
    act(fixture, id, RENDER_CLEANUP);
    assert_int_equal(act(fixture, id, RENDER_RETRY_FRAME)->shape->id, MSG_RENDER_ANSWER);
    assert_int_equal(sweep(fixture, 0), 0); /* held anew */
    act(fixture, id, RENDER_CANCEL);
    act(fixture, id, RENDER_CLEANUP);
    assert_int_equal(sweep(fixture, 0), 1);
    const struct msg *answer = act(fixture, id, RENDER_RETRY_FRAME);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_true(str_is(answer->u.error.rule, "file_missing"));
    fixture_free(fixture);
}

static void renderer_hello(struct fixture *fixture)
{
    struct str word = STR_LIT("render");
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("renderer"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("h"),
                              .task_types = {&word, 1},
                              .executors = {&word, 1},
                              .slots = 1,
                              .credit = 1};
    fixture_send(fixture, DOOR_WORKERS, 7, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

/* Runs and tasks of nobody's farm name files by their hash. */
static void test_runs_hold_files(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    char command[64], map[64];
    struct rec_task_spec spec = fixture_spec("frame", "render");
    renderer_hello(fixture);
    for (unsigned i = 1; i <= 4; i++)
        add(fixture, i, "", "");
    snprintf(command, sizeof command, "assets/%s", hex_of(1));
    spec.executor = STR_LIT("render");
    spec.command = str_of(command);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = spec};
    snprintf(map, sizeof map,
             "\x81\xa5"
             "files"
             "\xd9 %s",
             hex_of(2)); /* a text of 32 bytes */
    submit.trigger.parameters = str_of(map);
    SET_HAS(&submit.trigger, rec_trigger, parameters);
    SET_HAS(&submit.spec, rec_task_spec, executor);
    SET_HAS(&submit.spec, rec_task_spec, command);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_submit, &submit)->shape->id, MSG_RUN_ANSWER);
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = submit.spec};
    snprintf(command, sizeof command, "assets/%s", hex_of(3));
    create.spec.name = STR_LIT("nightly");
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_create, &create)->shape->id, MSG_TASK_ANSWER);
    assert_int_equal(sweep(fixture, 0), 1);
    assert_true(known(fixture, 1) && known(fixture, 2) && known(fixture, 3) && !known(fixture, 4));
    fixture_free(fixture);
}

/* ---- some at a time ---- */

static void test_many_go_in_steps(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t files = 0, after = 0;
    unsigned steps = 0;
    char path[32];
    for (unsigned i = 1; i <= 2500; i++)
        add(fixture, i, "", "");
    for (unsigned i = 0; i < 2500; i++) { /* one with more paths than go at once */
        snprintf(path, sizeof path, "p/%u", i);
        add(fixture, 1, path, "");
    }
    struct msg_asset_swept said = sweep_from(fixture, 0, 0, true), swept = {0};
    uint64_t paths = 0;
    assert_int_equal(said.files, 2500);
    assert_int_equal(said.paths, 2500);
    while (!swept.done) {
        swept = sweep_from(fixture, after, 0, false);
        files += swept.files;
        paths += swept.paths;
        after = swept.after;
        steps++;
        if (steps == 2)
            fixture_rebuild(fixture); /* the scheduler dies in between */
    }
    assert_true(steps > 3);
    assert_int_equal(files, 2500);
    assert_int_equal(paths, 2500);
    assert_int_equal(fixture->disk_count[TYPE_ASSET] + fixture->disk_count[TYPE_ASSET_NAME], 0);
    fixture_free(fixture);
}

static void test_store_away_changes_nothing(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, 1, "p/a", "");
    fixture_store_away(fixture, true);
    struct msg_asset_sweep ask = {.idem = fixture_key(fixture)};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_COMMANDS, 1, corr, &shape_msg_asset_sweep, &ask);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    assert_non_null(answer);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    fixture_store_away(fixture, false);
    assert_true(known(fixture, 1));
    fixture_free(fixture);
}

/* ---- what stands in a text ---- */

static void test_hashes_in_texts(void **unused)
{
    (void)unused;
    static const char hex[] = "0123456789abcdef0123456789abcdef";
    struct needs needs;
    needs_open(&needs, 1);
    assert_false(needs_has(&needs, STR_LIT("0123456789abcdef0123456789abcdef")));
    needs_text(&needs, STR_LIT("assets/0123456789ABCDEF0123456789abcdef.blend"));
    assert_true(needs_has(&needs, str_of(hex)));
    needs_text(&needs, STR_LIT("x 0123456789abcdef0123456789abcde"));
    assert_int_equal(needs.files.count, 1);
    needs_text(&needs, STR_LIT("ffffffffffffffffffffffffffffffff00"));
    assert_int_equal(needs.files.count, 4);
    needs_file(&needs, STR_LIT("short"));
    assert_int_equal(needs.files.count, 4);
    assert_false(needs_has_path(&needs, STR_LIT("")));
    needs_paths(&needs, STR_LIT("user"));
    assert_true(needs_has_path(&needs, STR_LIT("")) && needs_has_path(&needs, STR_LIT("user")));
    assert_false(needs_has_path(&needs, STR_LIT("another")));
    needs_close(&needs);
    needs_open(&needs, 1); /* a file that many runs name takes the room of one */
    arena_free(needs.arena);
    needs.arena = arena_new(64 << 10);
    for (unsigned i = 0; i < 10000; i++)
        needs_text(&needs, str_of(hex));
    assert_false(needs.failed);
    assert_int_equal(needs.files.count, 1);
    needs_close(&needs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unused_files_go),
        cmocka_unit_test(test_use_keeps_a_file),
        cmocka_unit_test(test_tasks_hold_files),
        cmocka_unit_test(test_cleaned_up_and_rendered_again),
        cmocka_unit_test(test_runs_hold_files),
        cmocka_unit_test(test_many_go_in_steps),
        cmocka_unit_test(test_store_away_changes_nothing),
        cmocka_unit_test(test_hashes_in_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
