/* The blob store's farm, in the core: files, the paths that stand for them, scenes; and what a restart finds. */
#include "tests/unit/unit.h"

#include "scheduler/farms/asset/asset.h"
#include "tests/unit/core_fixture.h"

#define MD5_A "0123456789abcdef"
#define MD5_B "fedcba9876543210"
#define HEX_A "30313233343536373839616263646566"
#define READER 7

struct farm *asset_farm(void);

static struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = asset_farm;
    fixture_start(fixture);
    return fixture;
}

static const struct msg *add(struct fixture *fixture, const char *md5, const char *path, const char *unionid, bool own)
{
    struct msg_asset_add say = {.idem = fixture_key(fixture),
                                .md5 = str_of(md5),
                                .xxh64 = STR_LIT("12345678"),
                                .size = 10,
                                .file_type = STR_LIT("texture"),
                                .unionid = str_of(unionid),
                                .path = str_of(path),
                                .own = own};
    return fixture_ask(fixture, &shape_msg_asset_add, &say);
}

static struct msg_asset_found find(struct fixture *fixture, const char *path, const char *unionid)
{
    struct msg_asset_find ask = {.path = str_of(path), .unionid = str_of(unionid)};
    return fixture_ask(fixture, &shape_msg_asset_find, &ask)->u.asset_found;
}

static void test_added_once(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_asset record;
    struct msg_asset_added first = add(fixture, MD5_A, "", "user", false)->u.asset_added;
    assert_true(first.created);
    assert_int_equal(first.size, 10);
    struct msg_asset_added again = add(fixture, MD5_A, "", "another", false)->u.asset_added;
    assert_false(again.created);
    assert_int_equal(again.asset_id, first.asset_id);
    assert_true(fixture_stored(fixture, TYPE_ASSET, first.asset_id, &record));
    assert_true(str_is(record.unionid, "user") && str_is(record.md5, MD5_A) && str_is(record.file_type, "texture"));
    fixture_rebuild(fixture);
    assert_false(add(fixture, MD5_A, "", "", false)->u.asset_added.created);
    fixture_free(fixture);
}

static void test_known_only(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct msg_asset_add say = {.idem = fixture_key(fixture), .md5 = STR_LIT(MD5_A), .path = STR_LIT("a/b")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_asset_add, &say);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_true(str_is(answer->u.error.rule, "asset_missing"));
    assert_int_equal(find(fixture, "a/b", "").asset_id, 0);
    add(fixture, MD5_A, "", "", false);
    say.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_asset_add, &say)->u.asset_added.asset_id, 1);
    assert_int_equal(find(fixture, "a/b", "").asset_id, 1);
    fixture_free(fixture);
}

static void test_paths(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, MD5_A, "p/scene.ma", "user", true);
    assert_true(str_is(find(fixture, "p/scene.ma", "user").md5, MD5_A));
    assert_true(str_is(find(fixture, "assets/" HEX_A, "").md5, MD5_A));
    assert_int_equal(find(fixture, "p/other.ma", "user").asset_id, 0);
    assert_int_equal(find(fixture, "assets/xyz", "user").asset_id, 0);
    assert_int_equal(add(fixture, MD5_B, "p/scene.ma", "user", true)->shape->id, MSG_ASSET_ADDED);
    fixture_rebuild(fixture);
    assert_true(str_is(find(fixture, "p/scene.ma", "user").md5, MD5_B));
    fixture_free(fixture);
}

/* What somebody else binds to the same path changes nothing for its owner, and is none of his. */
static void test_paths_of_several(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, MD5_A, "p/scene.ma", "user", true);
    assert_int_equal(find(fixture, "p/scene.ma", "thief").asset_id, 0);
    assert_int_equal(find(fixture, "p/scene.ma", "").asset_id, 0);
    add(fixture, MD5_B, "p/scene.ma", "thief", true);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(str_is(find(fixture, "p/scene.ma", "user").md5, MD5_A));
        assert_true(str_is(find(fixture, "p/scene.ma", "thief").md5, MD5_B));
        assert_int_equal(find(fixture, "p/scene.ma", "another").asset_id, 0);
        fixture_rebuild(fixture);
    }
    add(fixture, MD5_B, "p/scene.ma", "", false);
    assert_true(str_is(find(fixture, "p/scene.ma", "user").md5, MD5_A));
    assert_true(str_is(find(fixture, "p/scene.ma", "another").md5, MD5_B));
    fixture_free(fixture);
}

/* Whichever way it is written, it is one path. */
static void test_paths_of_windows(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, MD5_A, "C:/textures/wood.jpg", "user", false);
    static const char *const same[] = {"C:/textures/wood.jpg", "C:\\textures\\wood.jpg", "/C/textures/wood.jpg",
                                       "C/textures/wood.jpg"};
    for (unsigned i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(str_is(find(fixture, same[i], "user").md5, MD5_A));
    add(fixture, MD5_B, "C/textures/wood.jpg", "user", false);
    fixture_rebuild(fixture);
    assert_true(str_is(find(fixture, same[0], "user").md5, MD5_B));
    fixture_free(fixture);
}

static void test_looked_for(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct str paths[] = {STR_LIT("//tex/y.png"),  STR_LIT("C:\\textures\\wood.jpg"), STR_LIT("//../up.png"),
                          STR_LIT("maps/sky.hdr"), STR_LIT("//../../../x.png"),       STR_LIT("C:/hers.png"),
                          STR_LIT("/srv/x.png")};
    add(fixture, MD5_A, "p/scenes/tex/y.png", "user", false);
    add(fixture, MD5_A, "C/textures/wood.jpg", "", false);
    add(fixture, MD5_B, "C:/textures/wood.jpg", "user", false);
    add(fixture, MD5_B, "p/up.png", "", false);
    add(fixture, MD5_A, "maps/sky.hdr", "user", false);
    add(fixture, MD5_A, "C:/hers.png", "another", false);
    struct msg_asset_look ask = {.unionid = STR_LIT("user"),
                                 .scene = STR_LIT("p/scenes/a.blend"),
                                 .blender = true,
                                 .paths = {paths, sizeof paths / sizeof *paths}};
    struct msg_asset_looked looked = fixture_ask(fixture, &shape_msg_asset_look, &ask)->u.asset_looked;
    static const char *const expected[] = {MD5_A, MD5_B, MD5_B, MD5_A, NULL, NULL, NULL};
    assert_int_equal(looked.ids.count, ask.paths.count);
    for (uint32_t i = 0; i < ask.paths.count; i++) {
        assert_int_equal(looked.ids.items[i] != 0, expected[i] != NULL);
        assert_int_equal(looked.sizes.items[i], expected[i] ? 10 : 0);
        if (expected[i])
            assert_memory_equal(looked.md5s.ptr + (size_t)16 * i, expected[i], 16);
    }
    fixture_free(fixture);
}

static void test_checked(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    add(fixture, MD5_B, "", "", false);
    struct msg_asset_check ask = {.md5s = STR_LIT(MD5_A MD5_B)};
    struct uint_list ids = fixture_ask(fixture, &shape_msg_asset_check, &ask)->u.asset_checked.ids;
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.items[0], 0);
    assert_int_equal(ids.items[1], 1);
    fixture_free(fixture);
}

/* What is refused for want of the store changes nothing. */
static void test_store_away(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    fixture_store_away(fixture, true);
    const struct msg *answer = NULL;
    for (unsigned i = 0; i < 100000 && (!answer || answer->shape->id != MSG_ERROR); i++) {
        struct msg_asset_add say = {.idem = fixture_key(fixture), .md5 = STR_LIT(MD5_A), .xxh64 = STR_LIT("12345678")};
        uint64_t corr = ++fixture->corr;
        fixture_send(fixture, DOOR_COMMANDS, 1, corr, &shape_msg_asset_add, &say);
        fixture_settle(fixture);
        answer = fixture_answer(fixture, corr);
    }
    assert_non_null(answer);
    assert_int_equal(answer->u.error.code, ERR_UNAVAILABLE);
    fixture_free(fixture);
}

/* ---- scenes ---- */

static const struct msg *analyse(struct fixture *fixture, const char *md5, bool anew)
{
    struct msg_scene_analyse say = {
        .idem = fixture_key(fixture), .path = STR_LIT("C:/wolf.ma"), .md5 = str_of(md5), .anew = anew};
    return fixture_ask(fixture, &shape_msg_scene_analyse, &say);
}

static void report(struct fixture *fixture, struct rec_lease lease, const char *text)
{
    struct rec_outcome item = {
        .run_id = lease.run_id, .attempt = lease.attempt, .outcome = OUTCOME_COMPLETED, .result = str_of(text)};
    struct msg_result result = {.items = {&item, 1}};
    SET_HAS(&item, rec_outcome, result);
    fixture_send(fixture, DOOR_WORKERS, READER, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
}

static void test_scene_without_workers(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    const struct msg *answer = analyse(fixture, MD5_A, false);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, ERR_UNAVAILABLE);
    assert_true(str_is(answer->u.error.rule, "scene_worker"));
    fixture_free(fixture);
}

static struct msg_scene_state scene_state(struct fixture *fixture, const char *md5)
{
    struct msg_scene_ask ask = {.md5 = str_of(md5)};
    return fixture_ask(fixture, &shape_msg_scene_ask, &ask)->u.scene_state;
}

static void reader_hello(struct fixture *fixture)
{
    struct str word = STR_LIT("scene");
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("reader"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("h"),
                              .task_types = {&word, 1},
                              .executors = {&word, 1},
                              .slots = 4,
                              .credit = 4};
    fixture_send(fixture, DOOR_WORKERS, READER, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

static void test_scene_is_read_once(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_scene scene;
    reader_hello(fixture);
    struct msg_scene_state state = analyse(fixture, MD5_A, false)->u.scene_state;
    assert_int_not_equal(state.run_id, 0);
    assert_int_equal(analyse(fixture, MD5_A, false)->u.scene_state.run_id, state.run_id);
    struct rec_lease lease = fixture_begin(fixture, READER);
    assert_int_equal(lease.run_id, state.run_id);
    report(fixture, lease, "{\"scene_file_hash\":\"" HEX_A "\",\"error\":null}");
    state = scene_state(fixture, MD5_A);
    assert_int_equal(state.run_id, 0);
    assert_true(fixture_stored(fixture, TYPE_SCENE, state.scene_id, &scene));
    assert_true(str_is(scene.md5, MD5_A));
    fixture_rebuild(fixture);
    assert_int_equal(scene_state(fixture, MD5_A).scene_id, state.scene_id);
    assert_int_equal(analyse(fixture, MD5_A, false)->u.scene_state.scene_id, state.scene_id);
    fixture_free(fixture);
}

static void test_scene_that_cannot_be_read(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    static const char *const texts[] = {"{\"scene_file_hash\":\"" HEX_A "\",\"error\":\"it is empty\"}", "no JSON", "{}",
                                        "{\"scene_file_hash\":7}"};
    reader_hello(fixture);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        analyse(fixture, MD5_A, false);
        report(fixture, fixture_begin(fixture, READER), texts[i]);
        struct msg_scene_state state = scene_state(fixture, MD5_A);
        assert_true(state.scene_id == 0 && state.run_id == 0);
    }
    fixture_free(fixture);
}

static void test_scene_anew(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_scene scene;
    reader_hello(fixture);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(analyse(fixture, MD5_A, true)->u.scene_state.scene_id, 0);
        report(fixture, fixture_begin(fixture, READER),
               i ? "{\"scene_file_hash\":\"" HEX_A "\",\"two\":2}" : "{\"scene_file_hash\":\"" HEX_A "\"}");
    }
    assert_true(fixture_stored(fixture, TYPE_SCENE, scene_state(fixture, MD5_A).scene_id, &scene));
    assert_true(str_is(scene.report, "{\"scene_file_hash\":\"" HEX_A "\",\"two\":2}"));
    fixture_free(fixture);
}

/* One that is being read when the scheduler dies is being read behind that. */
static void test_scene_over_a_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    reader_hello(fixture);
    uint64_t run = analyse(fixture, MD5_A, false)->u.scene_state.run_id;
    fixture_rebuild(fixture);
    assert_int_equal(scene_state(fixture, MD5_A).run_id, run);
    fixture_free(fixture);
}

/* ---- which files scenes need ---- */

static const struct msg *tell(struct fixture *fixture, struct rec_lease lease, const char *md5, uint64_t page, uint32_t count,
                              bool last)
{
    struct rec_scene_file files[] = {{.path = STR_LIT("C:/wood.jpg"), .type = STR_LIT("texture")},
                                     {.path = STR_LIT("//in.png"), .type = STR_LIT("texture")}};
    struct msg_scene_tell say = {.run_id = lease.run_id,
                                 .attempt = lease.attempt,
                                 .md5 = str_of(md5),
                                 .page = page,
                                 .files = {files, count},
                                 .last = last,
                                 .left_out = last ? 3 : 0};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, READER, corr, &shape_msg_scene_tell, &say);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

static void assert_told(const struct msg *answer, uint64_t page, bool enough)
{
    assert_non_null(answer);
    assert_int_equal(answer->shape->id, MSG_SCENE_TOLD);
    assert_int_equal(answer->u.scene_told.page, page);
    assert_int_equal(answer->u.scene_told.enough, enough);
}

static struct rec_lease reading(struct fixture *fixture, const char *md5)
{
    assert_int_equal(analyse(fixture, md5, true)->shape->id, MSG_SCENE_STATE);
    return fixture_begin(fixture, READER);
}

static void test_files_are_told(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_scene_page page;
    reader_hello(fixture);
    struct rec_lease lease = reading(fixture, MD5_A);
    assert_told(tell(fixture, lease, MD5_A, 1, 1, false), 1, true); /* nothing is before it */
    assert_told(tell(fixture, lease, MD5_A, 0, 2, false), 0, false);
    assert_told(tell(fixture, lease, MD5_A, 0, 2, false), 0, false); /* a repeat */
    assert_told(tell(fixture, lease, MD5_A, 2, 1, false), 2, true);
    assert_int_equal(scene_state(fixture, MD5_A).list_id, 0); /* not all of it is known */
    assert_told(tell(fixture, lease, MD5_A, 1, 1, true), 1, false);
    struct msg_scene_state state = scene_state(fixture, MD5_A);
    assert_int_not_equal(state.list_id, 0);
    assert_int_equal(state.pages, 2);
    assert_int_equal(state.left_out, 3);
    assert_true(fixture_stored(fixture, TYPE_SCENE_PAGE, state.list_id << SCENE_PAGE_BITS, &page));
    assert_int_equal(page.files.count, 2);
    assert_true(str_is(page.files.items[0].path, "C:/wood.jpg") && str_is(page.files.items[1].path, "//in.png"));
    fixture_rebuild(fixture);
    assert_int_equal(scene_state(fixture, MD5_A).pages, 2);
    fixture_free(fixture);
}

/* What somebody began and did not end, another tells. */
static void test_files_are_told_by_another(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    reader_hello(fixture);
    struct rec_lease first = reading(fixture, MD5_A);
    assert_told(tell(fixture, first, MD5_A, 0, 2, false), 0, false);
    report(fixture, first, "{}");
    fixture_rebuild(fixture);
    reader_hello(fixture);
    struct rec_lease other = reading(fixture, MD5_A);
    assert_told(tell(fixture, other, MD5_A, 0, 2, true), 0, false);
    assert_int_equal(scene_state(fixture, MD5_A).pages, 1);
    assert_told(tell(fixture, other, MD5_A, 0, 2, false), 0, true); /* all is known */
    fixture_free(fixture);
}

static void test_files_of_others(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    reader_hello(fixture);
    struct rec_lease lease = reading(fixture, MD5_A);
    const struct msg *answer = tell(fixture, lease, MD5_B, 0, 1, true);
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, ERR_NOT_FOUND);
    lease.attempt++;
    assert_int_equal(tell(fixture, lease, MD5_A, 0, 1, true)->shape->id, MSG_REFUSED);
    assert_int_equal(scene_state(fixture, MD5_A).list_id, 0);
    fixture_free(fixture);
}

/* As many as there may be: the oldest goes, with its pages. */
static void test_files_of_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct assets *assets = assets_of(fixture->core);
    struct rec_scene_needs list;
    struct err err;
    reader_hello(fixture);
    struct rec_lease lease = reading(fixture, MD5_A);
    assert_told(tell(fixture, lease, MD5_A, 0, 1, true), 0, false);
    uint64_t oldest = scene_state(fixture, MD5_A).list_id;
    for (uint64_t i = 1; i < SCENES_MAX; i++) {
        char md5[16] = "many";
        memcpy(md5 + 8, &i, 8);
        list = (struct rec_scene_needs){.id = oldest + i, .md5 = {md5, 16}, .whole = true};
        assert_int_equal(scene_list_load(assets, &list, &err), 0);
    }
    report(fixture, lease, "{}");
    assert_told(tell(fixture, reading(fixture, MD5_B), MD5_B, 0, 1, true), 0, false);
    assert_int_equal(assets->lists.count, SCENES_MAX);
    assert_int_equal(scene_state(fixture, MD5_A).list_id, 0);
    assert_int_not_equal(scene_state(fixture, MD5_B).list_id, 0);
    assert_false(fixture_stored(fixture, TYPE_SCENE_NEEDS, oldest, &list));
    struct rec_scene_page page;
    assert_false(fixture_stored(fixture, TYPE_SCENE_PAGE, oldest << SCENE_PAGE_BITS, &page));
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added_once),
        cmocka_unit_test(test_known_only),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_paths_of_several),
        cmocka_unit_test(test_paths_of_windows),
        cmocka_unit_test(test_looked_for),
        cmocka_unit_test(test_checked),
        cmocka_unit_test(test_store_away),
        cmocka_unit_test(test_scene_without_workers),
        cmocka_unit_test(test_scene_is_read_once),
        cmocka_unit_test(test_scene_that_cannot_be_read),
        cmocka_unit_test(test_scene_anew),
        cmocka_unit_test(test_scene_over_a_restart),
        cmocka_unit_test(test_files_are_told),
        cmocka_unit_test(test_files_are_told_by_another),
        cmocka_unit_test(test_files_of_others),
        cmocka_unit_test(test_files_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
