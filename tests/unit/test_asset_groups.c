/* Which of the known paths a pattern stands for: the first of them, and all, page by page. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "scheduler/farms/asset/asset.h"
#include "tests/unit/asset_fixture.h"

#define MD5_A "0123456789abcdef"
#define MD5_B "fedcba9876543210"

static struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = asset_farm;
    fixture_start(fixture);
    return fixture;
}

static struct asset_look look_of(const char *unionid, uint32_t steps)
{
    return (struct asset_look){str_of(unionid), STR_LIT("p/a.blend"), true, steps, false};
}

/* The hash of what the path stands for, or "". */
static const char *looked(struct fixture *fixture, const char *unionid, const char *path)
{
    static char md5[ASSET_MD5 + 1];
    struct asset_look look = look_of(unionid, ASSET_STEPS);
    const struct asset *asset = asset_look(fixture->core, &look, str_of(path));
    snprintf(md5, sizeof md5, "%.*s", ASSET_MD5, asset ? (const char *)asset->md5 : "");
    return md5;
}

/* Names and the first letters of their hashes, with blanks between; so many steps at a time. */
static const char *listed(struct fixture *fixture, const char *unionid, const char *pattern, uint32_t steps)
{
    static char all[8192];
    static struct asset_page page;
    char after[ASSET_KEY] = "";
    all[0] = '\0';
    do {
        struct asset_look look = look_of(unionid, steps);
        asset_list(fixture->core, &look, str_of(pattern), str_of(after), &page);
        for (uint32_t i = 0; i < page.count; i++) {
            size_t len = strlen(all);
            snprintf(all + len, sizeof all - len, "%s%.*s:%c", len ? " " : "", (int)page.names[i].len, page.names[i].ptr,
                     page.md5s[(size_t)i * ASSET_MD5]);
        }
        snprintf(after, sizeof after, "%s", page.after);
    } while (*after);
    return all;
}

static void test_marks(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    static const char *const paths[] = {"p/s_0001.png", "p/s_2.png",        "p/t.1012.png", "p/u1_v2.tif",
                                        "p/q/s_01.png", "C/x/sky_3_v2.exr", "p/none.png",   "p/z_u3_v4.png"};
    static const struct {
        const char *pattern, *names;
    } cases[] = {{"//s_####.png", "s_0001.png:0"},
                 {"//s_%04d.png", "s_0001.png:0"},
                 {"//s_<frame>.png", "s_0001.png:0 s_2.png:0"},
                 {"//s_<F>.png", "s_0001.png:0 s_2.png:0"},
                 {"//q/s_##.png", "s_01.png:0"},
                 {"//t.<UDIM>.png", "t.1012.png:0"},
                 {"//t.<udim>.png", "t.1012.png:0"},
                 {"//<UVTILE>.tif", "u1_v2.tif:0"},
                 {"//z<tile>.png", "z_u3_v4.png:0"},
                 {"C:\\x\\sky_<f>_v2.exr", "sky_3_v2.exr:0"},
                 {"C:\\x\\sky_<f>_v3.exr", ""},
                 {"//none<f>.png", ""},
                 {"//<f>/s_0001.png", ""},
                 {"//../../../s_####.png", ""},
                 {"//s_###.png", ""}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        asset_upload(fixture, MD5_A, paths[i], "user");
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            assert_string_equal(listed(fixture, "user", cases[i].pattern, ASSET_STEPS), cases[i].names);
            assert_string_equal(looked(fixture, "user", cases[i].pattern), *cases[i].names ? MD5_A : "");
            assert_string_equal(listed(fixture, "another", cases[i].pattern, ASSET_STEPS), "");
            assert_string_equal(looked(fixture, "another", cases[i].pattern), "");
        }
        fixture_rebuild(fixture);
    }
    fixture_free(fixture);
}

/* One's own come before nobody's, beside the scene before by the path alone; a page may end anywhere. */
static void test_pages(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    asset_upload(fixture, MD5_B, "p/s.1.png", "");
    asset_upload(fixture, MD5_B, "p/s.2.png", "");
    asset_upload(fixture, MD5_B, "s.3.png", "user");
    asset_upload(fixture, MD5_A, "p/s.1.png", "user");
    asset_upload(fixture, MD5_B, "p/s.4.png", "another");
    static const char all[] = "s.1.png:0 s.3.png:f s.1.png:f s.2.png:f";
    for (uint32_t steps = 1; steps < 6; steps++)
        assert_string_equal(listed(fixture, "user", "s.<f>.png", steps), all);
    assert_string_equal(listed(fixture, "", "s.<f>.png", 1), "s.1.png:f s.2.png:f");
    assert_string_equal(looked(fixture, "user", "s.<f>.png"), MD5_A);
    asset_upload(fixture, MD5_B, "p/s.1.png", "user"); /* another file by that path: it stays where it was */
    assert_string_equal(listed(fixture, "user", "//s.<f>.png", 1), "s.1.png:f s.3.png:f s.1.png:f s.2.png:f");
    fixture_free(fixture);
}

/* More than go into one answer. */
static void test_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    static struct asset_page page;
    char path[64], seen[600] = "", after[ASSET_KEY] = "";
    unsigned count = 0, number = 0;
    for (unsigned i = 0; i < 600; i++) {
        snprintf(path, sizeof path, "p/sea.%04u.exr", i);
        asset_upload(fixture, MD5_A, path, "user");
    }
    do {
        struct asset_look look = look_of("user", ASSET_STEPS);
        asset_list(fixture->core, &look, STR_LIT("//sea.####.exr"), str_of(after), &page);
        for (uint32_t i = 0; i < page.count; i++) {
            assert_int_equal(sscanf(page.names[i].ptr, "sea.%u.exr", &number), 1);
            assert_false(seen[number]);
            seen[number] = 1;
            count++;
        }
        snprintf(after, sizeof after, "%s", page.after);
        if (*after)
            assert_int_equal(page.count, ASSET_LOOKS);
    } while (*after);
    assert_int_equal(count, 600);
    /* Where a page ended at a path that has gone meanwhile the group begins again. */
    struct asset_look look = look_of("user", ASSET_STEPS);
    asset_list(fixture->core, &look, STR_LIT("//sea.####.exr"), STR_LIT("0gone.exr"), &page);
    assert_int_equal(page.count, ASSET_LOOKS);
    assert_memory_equal(page.names[0].ptr, "sea.0000.exr", 12);
    static const char *const odd[] = {"4", "x", "9sea.0001.exr", "3", "0"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        asset_list(fixture->core, &look, STR_LIT("//sea.####.exr"), str_of(odd[i]), &page);
    fixture_free(fixture);
}

/* A group goes with its last path, and not before. */
static void test_forgotten(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct assets *assets = assets_of(fixture->core);
    char md5[ASSET_MD5 + 1], path[32];
    for (unsigned i = 1; i <= 3; i++) {
        snprintf(md5, sizeof md5, "file %011u", i);
        snprintf(path, sizeof path, "p/s.%u.png", i);
        asset_upload(fixture, md5, path, "user");
    }
    assert_int_equal(assets->groups.count, 1);
    static const unsigned order[] = {2, 3, 1};
    static const char *const left[] = {"s.1.png:f s.3.png:f", "s.1.png:f", ""};
    for (unsigned i = 0; i < 3; i++) {
        struct fault fault;
        snprintf(md5, sizeof md5, "file %011u", order[i]);
        assert_int_equal(core_reserve(fixture->core, 0, 0, 3, &fault), 0);
        asset_forget(assets, fixture->core, asset_find(assets, (struct str){md5, ASSET_MD5}));
        assert_string_equal(listed(fixture, "user", "//s.<f>.png", ASSET_STEPS), left[i]);
        assert_int_equal(assets->groups.count, i < 2);
    }
    asset_upload(fixture, MD5_A, "p/s.1.png", "user");
    assert_string_equal(listed(fixture, "user", "//s.<f>.png", ASSET_STEPS), "s.1.png:0");
    fixture_free(fixture);
}

/* A database of before `C:/x` and `C/x` were one path has both: the newer one counts, and their group has it once. */
static void test_loaded_twice(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct assets *assets = assets_of(fixture->core);
    struct err err;
    asset_upload(fixture, MD5_A, "C:/s.1.png", "user");
    asset_upload(fixture, MD5_B, "", "");
    struct rec_asset_name record = {.id = 9, .path = STR_LIT("C:\\s.1.png"), .asset_id = 2, .unionid = STR_LIT("user")};
    assert_int_equal(asset_name_load(assets, &record, &err), 0);
    assert_int_equal(assets->groups.count, 1);
    assert_string_equal(listed(fixture, "user", "C:/s.<f>.png", ASSET_STEPS), "s.1.png:f");
    fixture_free(fixture);
}

/* Which of these are there, by the message: as often as it takes. */
static unsigned found(struct fixture *fixture, struct str *paths, uint32_t count)
{
    unsigned there = 0;
    for (uint32_t at = 0; at < count;) {
        struct msg_asset_look ask = {.unionid = STR_LIT("user"), .paths = {paths + at, count - at}};
        const struct msg *answer = fixture_ask(fixture, &shape_msg_asset_look, &ask);
        assert_int_equal(answer->shape->id, MSG_ASSET_LOOKED);
        const struct uint_list *ids = &answer->u.asset_looked.ids;
        assert_true(ids->count > 0);
        for (uint32_t i = 0; i < ids->count; i++)
            there += ids->items[i] != 0;
        at += ids->count;
    }
    return there;
}

/* Sequences that differ in a number beside that of the frame are one group. */
static void test_side_by_side(void **unused)
{
    (void)unused;
    enum { SEQUENCES = 6, FRAMES = 250 };
    struct fixture *fixture = farm_fixture();
    char names[SEQUENCES + 1][32], path[32];
    struct str paths[SEQUENCES + 1];
    for (unsigned i = 0; i < SEQUENCES * FRAMES; i++) {
        snprintf(path, sizeof path, "p/smoke_%u_%04u.vdb", 1 + i / FRAMES, 1 + i % FRAMES);
        asset_upload(fixture, MD5_A, path, "user");
    }
    for (unsigned i = 0; i <= SEQUENCES; i++) {
        snprintf(names[i], sizeof names[i], "p/smoke_%u_####.vdb", 1 + i);
        paths[i] = str_of(names[i]);
    }
    assert_int_equal(found(fixture, paths, SEQUENCES + 1), SEQUENCES); /* one of them is not there */
    struct asset_look look = look_of("user", FRAMES);
    assert_null(asset_look(fixture->core, &look, STR_LIT("p/smoke_6_####.vdb")));
    assert_true(look.cut); /* which is not to say that it is not there */
    fixture_free(fixture);
}

/* What is called like a pattern is found by its own name. */
static void test_named_like_a_pattern(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    asset_upload(fixture, MD5_A, "p/wood##.png", "user");
    asset_upload(fixture, MD5_B, "p/wood01.png", "user");
    assert_string_equal(looked(fixture, "user", "//wood##.png"), MD5_A);
    assert_string_equal(looked(fixture, "user", "//wood%02d.png"), MD5_B);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_loaded_twice),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_named_like_a_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
