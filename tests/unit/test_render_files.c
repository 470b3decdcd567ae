/* Of the render farm in the core: files that scenes need, and what was read of scenes. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tests/unit/asset_fixture.h"
#include "tests/unit/render_fixture.h"

/* ---- files of a scene ---- */

#define MD5_SCENE "0123456789abcdef"
#define MD5_WOOD "fedcba9876543210"

static struct fixture *both_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = render_farm;
    fixture->make_second = asset_farm;
    fixture_start(fixture);
    return fixture;
}

static const struct msg *look(struct fixture *fixture, unsigned peer, struct rec_lease lease, struct str *paths, uint32_t count)
{
    struct msg_render_look ask = {.run_id = lease.run_id, .attempt = lease.attempt, .paths = {paths, count}};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, peer, corr, &shape_msg_render_look, &ask);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

static const struct msg_render_looked *look_each(struct fixture *fixture, struct rec_lease lease, const char *pattern,
                                                 struct str after)
{
    struct str path = str_of(pattern);
    struct msg_render_look ask = {
        .run_id = lease.run_id, .attempt = lease.attempt, .paths = {&path, 1}, .each = true, .after = after};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, 1, corr, &shape_msg_render_look, &ask);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, corr);
    assert_int_equal(answer->shape->id, MSG_RENDER_LOOKED);
    return &answer->u.render_looked;
}

/* All files of a pattern, a page at a time. */
static void test_files_of_a_pattern(void **unused)
{
    (void)unused;
    struct fixture *fixture = both_fixture();
    struct rec_render_task task = scene(1);
    char path[32], after[64];
    asset_upload(fixture, MD5_SCENE, "p/a.blend", "user123");
    for (unsigned i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "p/s_%04u.png", i);
        asset_upload(fixture, MD5_WOOD, path, i < 290 ? "user123" : i < 295 ? "" : "her");
    }
    task.oss_file_path = STR_LIT("p/a.blend");
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    created(fixture, &task);
    struct rec_lease lease = given(fixture, 1).lease;
    const struct msg_render_looked *looked = look_each(fixture, lease, "//s_<frame>.png", (struct str){0});
    assert_int_equal(looked->names.count, 256);
    assert_int_equal(looked->md5s.len, 256 * 16);
    assert_true(str_is(looked->names.items[255], "s_0255.png"));
    assert_true(str_copy(after, sizeof after, looked->after));
    looked = look_each(fixture, lease, "//s_<frame>.png", str_of(after));
    assert_int_equal(looked->names.count, 39);
    assert_true(str_is(looked->names.items[38], "s_0294.png"));
    assert_memory_equal(looked->md5s.ptr, MD5_WOOD, 16);
    assert_int_equal(looked->after.len, 0);
    looked = look_each(fixture, lease, "//none_<frame>.png", (struct str){0});
    assert_int_equal(looked->names.count, 0);
    fixture_free(fixture);
}

/* What is another's is there neither as a scene nor as a file of one. */
static void test_files(void **unused)
{
    (void)unused;
    struct fixture *fixture = both_fixture();
    struct rec_render_task task = scene(1), hers = scene(1);
    struct str paths[] = {STR_LIT("//wood.jpg"), STR_LIT("C:\\hers.jpg"), STR_LIT("C:\\all.jpg"), STR_LIT("none.jpg"),
                          STR_LIT("//t.<UDIM>.png")};
    static const char *const expected[] = {MD5_WOOD, NULL, MD5_SCENE, NULL, MD5_WOOD};
    asset_upload(fixture, MD5_SCENE, "p/a.blend", "user123");
    asset_upload(fixture, MD5_WOOD, "p/wood.jpg", "user123");
    asset_upload(fixture, MD5_WOOD, "C:/hers.jpg", "her");
    asset_upload(fixture, MD5_SCENE, "C:/all.jpg", "");
    asset_upload(fixture, MD5_WOOD, "p/t.1012.png", "user123");
    task.oss_file_path = hers.oss_file_path = STR_LIT("p/a.blend");
    hers.unionid = STR_LIT("her");
    struct msg_render_create ask = {.idem = fixture_key(fixture), .task = hers};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_render_create, &ask)->u.error.rule, "file_missing"));
    studio(fixture, 1, "a", "blender 3.4.1", "16", "0");
    uint64_t id = created(fixture, &task);
    assert_true(str_is(task_of(fixture, id).scene_md5, "30313233343536373839616263646566"));
    struct rec_lease lease = given(fixture, 1).lease;
    const struct msg *answer = look(fixture, 1, lease, paths, 5);
    assert_int_equal(answer->shape->id, MSG_RENDER_LOOKED);
    assert_int_equal(answer->u.render_looked.md5s.len, 5 * 16);
    for (unsigned i = 0; i < 5; i++)
        assert_memory_equal(answer->u.render_looked.md5s.ptr + (size_t)16 * i, expected[i] ? expected[i] : (char[16]){0}, 16);
    lease.attempt++;
    assert_int_equal(look(fixture, 1, lease, paths, 5)->shape->id, MSG_REFUSED);
    fixture_free(fixture);
}

static void scene_told(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *version)
{
    struct msg_scene_tell tell = {
        .run_id = lease.run_id, .attempt = lease.attempt, .md5 = STR_LIT(MD5_SCENE), .last = true, .version = str_of(version)};
    fixture_send(fixture, DOOR_WORKERS, peer, ++fixture->corr, &shape_msg_scene_tell, &tell);
    fixture_settle(fixture);
    assert_int_equal(fixture_answer(fixture, fixture->corr)->shape->id, MSG_SCENE_TOLD);
}

/* Once a scene was read, who is older than what saved it is not given its frames. */
static void test_scene_is_newer(void **unused)
{
    (void)unused;
    struct fixture *fixture = both_fixture();
    struct rec_render_task task = scene(4);
    struct msg_render_live live = {0};
    asset_upload(fixture, MD5_SCENE, "p/a.blend", "user123");
    task.oss_file_path = STR_LIT("p/a.blend");
    uint64_t id = created(fixture, &task);
    live.ids = (struct uint_list){&id, 1};
    studio(fixture, 1, "old", "blender 3.4.1", "16", "0");
    struct given frame = given(fixture, 1);  /* nobody has read it yet */
    scene_told(fixture, 1, frame.lease, ""); /* as workers did before */
    scene_told(fixture, 1, frame.lease, "4.2");
    scene_told(fixture, 1, frame.lease, "1.0"); /* what is known is not told anew */
    fails(fixture, 1, frame.lease, "scene: it is of another version");
    nothing_given(fixture, 1);
    fixture_rebuild(fixture);
    studio(fixture, 1, "old", "blender 3.4.1, blender 4.1.9", "16", "0");
    nothing_given(fixture, 1);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_render_live, &live);
    assert_non_null(strstr(answer->u.render_live_rows.tasks.items[0].reason.ptr, "blender 4.2, which saved the scene"));
    static const char *const newer[] = {"blender 4.2", "blender 10.0.1", "blender", "blender 4"};
    for (unsigned i = 0; i < sizeof newer / sizeof *newer; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        studio(fixture, 2 + i, name, newer[i], "16", "0");
        given(fixture, 2 + i);
    }
    fixture_free(fixture);
}

static uint64_t reading_of(struct fixture *fixture)
{
    struct msg_scene_ask ask = {.md5 = STR_LIT(MD5_SCENE)};
    return fixture_ask(fixture, &shape_msg_scene_ask, &ask)->u.scene_state.run_id;
}

/* A task's making has its scene read, once, where somebody can. */
static void test_scene_is_wanted(void **unused)
{
    (void)unused;
    struct fixture *fixture = both_fixture();
    struct str word = STR_LIT("scene"), path;
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("reader"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("h"),
                              .task_types = {&word, 1},
                              .executors = {&word, 1},
                              .slots = 4,
                              .credit = 4};
    asset_upload(fixture, MD5_SCENE, "p/a.blend", "");
    struct msg_render_create ask = {.task = scene(1), .blobs = STR_LIT("/blobs")};
    ask.task.oss_file_path = STR_LIT("p/a.blend");
    for (unsigned i = 0; i < 3; i++) {
        ask.idem = fixture_key(fixture);
        assert_int_equal(fixture_ask(fixture, &shape_msg_render_create, &ask)->shape->id, MSG_RENDER_ANSWER);
        assert_int_equal(reading_of(fixture) != 0, i > 0);
        if (i == 0)
            fixture_send(fixture, DOOR_WORKERS, 7, ++fixture->corr, &shape_msg_hello, &hello);
    }
    const struct run *run = run_find(fixture->core, reading_of(fixture));
    assert_non_null(run);
    assert_true(map_text(text_str(run->parameters), STR_LIT("path"), &path));
    assert_true(str_is(path, "/blobs/assets/30/30313233343536373839616263646566"));
    assert_int_equal(fixture->core->runs.count, 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_a_pattern),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_scene_is_newer),
        cmocka_unit_test(test_scene_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
