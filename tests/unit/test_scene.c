/* What is kept of a scene, the stream it comes from, and the words of Maya's language. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "proto/pattern.h"
#include "worker/scene/dna.h"
#include "worker/scene/maya_words.h"
#include "worker/scene/report.h"
#include "worker/scene/sequence.h"
#include "worker/scene/source.h"

static struct scene scene;
static struct err err;

static int begin(void **state)
{
    (void)state;
    err = (struct err){0};
    return scene_open(&scene, &err);
}

static int end(void **state)
{
    (void)state;
    scene_close(&scene);
    return 0;
}

static struct str words_of(const char *text)
{
    return scene_text(&scene, text, strlen(text));
}

static void test_assets_are_one_each(void **state)
{
    (void)state;
    char path[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3000; i++) {
            snprintf(path, sizeof(path), "tex%d.png", i);
            scene_asset_add(&scene, i % 2 ? ASSET_TEXTURE : ASSET_CACHE, words_of(path), words_of("node"), false);
        }
    assert_int_equal(scene.count, 3000);
    scene_asset_add(&scene, ASSET_FONT, words_of("tex1.png"), words_of("node"), false);
    scene_asset_add(&scene, ASSET_FONT, words_of(""), words_of("node"), false);
    assert_int_equal(scene.count, 3001);
}

static void test_packed_only_if_each_is(void **state)
{
    (void)state;
    scene_asset_add(&scene, ASSET_TEXTURE, words_of("a"), words_of(""), true);
    assert_true(scene.assets[0].packed);
    scene_asset_add(&scene, ASSET_TEXTURE, words_of("a"), words_of(""), false);
    assert_false(scene.assets[0].packed);
}

static void test_assets_have_a_bound(void **state)
{
    (void)state;
    char path[32];
    for (int i = 0; i < SCENE_ASSETS + 7; i++) {
        snprintf(path, sizeof(path), "%d", i);
        scene_asset_add(&scene, ASSET_TEXTURE, words_of(path), words_of(""), false);
    }
    assert_int_equal(scene.count, SCENE_ASSETS);
    assert_int_equal(scene.left_out, 7);
}

static void test_texts_are_clean(void **state)
{
    (void)state;
    assert_true(str_is(words_of("a\xff"
                                "b"),
                       "a\xef\xbf\xbd"
                       "b"));
    assert_int_equal(words_of("").len, 0);
    char long_text[SCENE_TEXT + 100];
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(scene_text(&scene, long_text, sizeof(long_text)).len, SCENE_TEXT);
    scene_codeset(&scene, 936);
    assert_true(str_is(words_of("\xc4\xbe"), "木"));
    scene_codeset(&scene, 99999);
    assert_int_equal(scene.notes.count, 1);
}

static void test_a_full_arena_is_no_error(void **state)
{
    (void)state;
    char text[SCENE_TEXT];
    memset(text, 'y', sizeof(text));
    for (size_t i = 0; i < 2 * SCENE_MEMORY / sizeof(text); i++)
        scene_text(&scene, text, sizeof(text));
    assert_int_equal(scene_text(&scene, text, sizeof(text)).len, 0);
    assert_false(scene.starved);
}

static void test_numbers(void **state)
{
    (void)state;
    scene_number_assume(&scene.width, 5);
    assert_true(scene.width.assumed);
    scene_number_set(&scene.width, 0.0 / 0.0);
    assert_true(scene.width.value == 5);
    scene_number_set(&scene.width, 6);
    scene_number_assume(&scene.width, 7);
    assert_true(scene.width.value == 6 && !scene.width.assumed);
}

static void test_reports_fit(void **state)
{
    (void)state;
    struct report report = {.path = "a\"\\\n.ma"};
    struct buf out = {0};
    char path[64];
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof(path), "\x01%d.png", i);
        scene_asset_add(&scene, ASSET_TEXTURE, words_of(path), words_of("n"), false);
    }
    assert_int_equal(report_write(&scene, &report, 1 << 20, &out), 0);
    assert_non_null(strstr(out.data, "\"scene_file\":\"a\\\"\\\\\\u000a.ma\""));
    size_t whole = out.len;
    assert_int_equal(report_write(&scene, &report, whole - 1, &out), 0);
    assert_true(out.len < whole);
    assert_non_null(strstr(out.data, "\"assets_left_out\":250"));
    assert_int_equal(report_write(&scene, &report, 100, &out), -1);
    buf_free(&out);
}

/* ---- the stream ---- */

static char *big(size_t len)
{
    char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 11);
    return data;
}

static void stream_check(const void *packed, size_t packed_len, const char *plain, size_t len, const char *compression)
{
    struct source *source = source_of(packed, packed_len, &err);
    char md5[33], some[100];
    uint64_t size;
    assert_non_null(source);
    assert_string_equal(source_compression(source), compression);
    assert_int_equal(source_take(source, some, sizeof(some), &err), 0);
    assert_memory_equal(some, plain, sizeof(some));
    assert_int_equal(source_skip(source, len - 200, &err), 0);
    assert_int_equal(source_at(source), len - 100);
    assert_int_equal(source_take(source, some, sizeof(some), &err), 0);
    assert_memory_equal(some, plain + len - 100, sizeof(some));
    assert_int_equal(source_take(source, some, 1, &err), -1);
    assert_int_equal(source_end(source, md5, &size, &err), 0);
    assert_int_equal(size, packed_len);
    assert_int_equal(strlen(md5), 32);
    source_free(source);
}

static void test_packings(void **state)
{
    (void)state;
    size_t len = 5u << 20;
    char *plain = big(len), *packed = malloc(len * 2);
    stream_check(plain, len, plain, len, "none");
    size_t zstd = ZSTD_compress(packed, len * 2, plain, len / 2, 1);
    zstd += ZSTD_compress(packed + zstd, len * 2 - zstd, plain + len / 2, len - len / 2, 1); /* two frames are one stream */
    stream_check(packed, zstd, plain, len, "zstd");
    z_stream zlib = {0};
    assert_int_equal(deflateInit2(&zlib, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    zlib.next_in = (Bytef *)plain;
    zlib.avail_in = (uInt)len;
    zlib.next_out = (Bytef *)packed;
    zlib.avail_out = (uInt)(len * 2);
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    stream_check(packed, zlib.total_out, plain, len, "gzip");
    deflateEnd(&zlib);
    free(plain);
    free(packed);
}

static void test_the_file_is_hashed_whole(void **state)
{
    (void)state;
    char md5[33];
    uint64_t size;
    struct source *source = source_of("abc", 3, &err);
    assert_int_equal(source_end(source, md5, &size, &err), 0);
    assert_string_equal(md5, "900150983cd24fb0d6963f7d28e17f72");
    source_free(source);
}

static void test_given_back(void **state)
{
    (void)state;
    const char *data;
    size_t len;
    char two[2];
    struct source *source = source_of("abcdef", 6, &err);
    assert_int_equal(source_next(source, &data, &len, &err), 1);
    assert_int_equal(len, 6);
    source_back(source, 4);
    assert_int_equal(source_at(source), 2);
    assert_int_equal(source_take(source, two, 2, &err), 0);
    assert_memory_equal(two, "cd", 2);
    source_free(source);
}

/* ---- words and names ---- */

static void words_check(const char *statement, const char *joined)
{
    struct maya_words words;
    struct maya_word word;
    char all[512] = "";
    words.at = statement;
    words.end = statement + strlen(statement);
    while (maya_words_next(&words, &word)) {
        size_t len = strlen(all);
        snprintf(all + len, sizeof(all) - len, "%s%.*s|", word.quoted ? "'" : "", (int)word.text.len, word.text.ptr);
    }
    assert_string_equal(all, joined);
}

static void test_words(void **state)
{
    (void)state;
    words_check(" -n \"a b\" -p x", "-n|'a b|-p|x|");
    words_check("\".b\" -type \"string\" ( \"one\"\n\t\t+ \"two\" + \"three\" )", "'.b|-type|'string|'onetwothree|");
    words_check("\"a\\\\b\\\"c\\n\"", "'a\\b\"c\n|");
    words_check("\"no end", "'no end|");
    words_check("\"a\" + b", "'a|+|b|");
    words_check("\"\\", "'\\|");
    words_check("", "");
}

static uint32_t counted(int fd, int root, const char *name, uint32_t enough, uint64_t *size)
{
    const struct pattern_folder in = {fd, root, "in"};
    return pattern_count(&in, name, 1000, enough, size);
}

/* Of a sequence that is links: those that lead to files below the root count, and nothing is told of others. */
static void test_links(void **state)
{
    (void)state;
    char folder[UNIT_FOLDER_SIZE], outside[UNIT_FOLDER_SIZE], path[256], away[256];
    uint64_t size;
    unit_folder(folder);
    unit_folder(outside);
    snprintf(path, sizeof(path), "%s/kept.png", folder);
    unit_write(path, "123");
    snprintf(away, sizeof(away), "%s/away.png", outside);
    unit_write(away, "12345");
    snprintf(path, sizeof(path), "%s/in", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    int root = open(folder, O_PATH | O_DIRECTORY), in = open(path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(symlinkat("../kept.png", in, "a.1.png"), 0);
    assert_int_equal(symlinkat(away, in, "a.2.png"), 0);
    assert_int_equal(symlinkat("../gone.png", in, "a.3.png"), 0);
    assert_int_equal(symlinkat("..", in, "a.4.png"), 0);
    assert_int_equal(counted(dup(in), root, "a.<f>.png", UINT32_MAX, &size), 1);
    assert_int_equal(size, 3);
    lseek(in, 0, SEEK_SET); /* a folder is read from where its descriptor stands */
    assert_int_equal(counted(dup(in), -1, "a.<f>.png", UINT32_MAX, &size), 2);
    assert_int_equal(size, 8);
    close(in);
    close(root);
    unit_remove(folder);
    unit_remove(outside);
}

static void test_patterns(void **state)
{
    (void)state;
    char folder[UNIT_FOLDER_SIZE], path[128];
    uint64_t size;
    const char *names[] = {"a.1001.exr", "a.1002.exr", "a.10.exr", "b_0001.png", "c[1].0001.png", "c1.0001.png", "d.u1_v2.tif"};
    unit_folder(folder);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unit_write(path, "12");
    }
    static const struct {
        const char *name;
        unsigned count;
    } cases[] = {{"a.<UDIM>.exr", 2},  {"a.<udim>.exr", 2},   {"a.##.exr", 1},  {"b_####.png", 1}, {"b_%04d.png", 1},
                 {"c[1].####.png", 1}, {"d.<UVTILE>.tif", 1}, {"a.<f>.exr", 3}, {"x.####.png", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(pattern_is(cases[i].name));
        DIR *opened = opendir(folder);
        assert_int_equal(counted(dup(dirfd(opened)), -1, cases[i].name, UINT32_MAX, &size), cases[i].count);
        assert_int_equal(size, 2 * cases[i].count);
        closedir(opened);
    }
    DIR *opened = opendir(folder);
    assert_int_equal(counted(dup(dirfd(opened)), -1, "a.<f>.exr", 1, &size), 1);
    assert_int_equal(size, 2);
    closedir(opened);
    assert_false(pattern_is("a#1.png"));
    assert_false(pattern_is("50%d.png"));
    unit_remove(folder);
}

/* What fits a pattern has its shape. */
static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name, *shape;
        bool fits;
    } cases[] = {{"a.<UDIM>.exr", "a.1001.exr", "a.#.exr", true},
                 {"a.<UDIM>.exr", "a.10010.exr", "a.#.exr", false},
                 {"s_<Frame>.png", "s_7.png", "s_#.png", true},
                 {"s_<f>.png", "s_.png", "s_#.png", false},
                 {"v2_####_x.1.png", "v2_0007_x.1.png", "v#_#_x.#.png", true},
                 {"v2####.png", "v20001.png", "v#.png", true},
                 {"%04d", "0123", "#", true},
                 {"a##<f>b", "a123b", "a#b", true},
                 {"a##<f>b", "a12b", "a#b", false},
                 {"a<f>1", "a51", "a#", false}, /* a number is all the digits that are there */
                 {"<uvtile>.tif", "u10_v2.tif", "u#_v#.tif", true},
                 {"x<tile>.tif", "x_u1_v22.tif", "x_u#_v#.tif", true},
                 {"x<tile>.tif", "xu1_v22.tif", "x_u#_v#.tif", false},
                 {"#<f>.png", "#5.png", "#.png", true},
                 {"%0<f>d", "%04d", "%#d", true},
                 {"############# .png", "#123456789012 .png", "# .png", true}};
    char shape[64], other[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(pattern_fits(cases[i].pattern, cases[i].name), cases[i].fits);
        assert_true(pattern_shape(cases[i].pattern, true, shape));
        assert_string_equal(shape, cases[i].shape);
        pattern_shape(cases[i].name, false, other);
        if (cases[i].fits)
            assert_string_equal(other, shape);
    }
    assert_false(pattern_shape("wood.png", false, shape));
    assert_string_equal(shape, "wood.png");
}

static void test_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *path, *image, *frame;
    } cases[] = {{"//sea/shot_0001.png", "//sea/shot_<frame>.png", "//sea/shot_<frame>.png"},
                 {"C:\\v2\\shot_7_v.png", "C:\\v2\\shot_<frame>_v.png", ""},
                 {"//a.0001.vdb.bak", "//a.<frame>.vdb.bak", ""},
                 {"//12/wood.png", "", ""},
                 {"//wood.png", "", ""},
                 {"//shot.0001", "", ""},
                 {"0001", "<frame>", "<frame>"},
                 {"//a.b/0001", "//a.b/<frame>", "//a.b/<frame>"},
                 {"//s1_02.png", "//s1_<frame>.png", "//s1_<frame>.png"},
                 {"", "", ""}};
    char out[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str path = str_of(cases[i].path);
        assert_int_equal(sequence_pattern(SEQUENCE_IMAGE, path, out, sizeof(out)), strlen(cases[i].image));
        assert_string_equal(*cases[i].image ? out : "", cases[i].image);
        assert_int_equal(sequence_pattern(SEQUENCE_FRAME, path, out, sizeof(out)), strlen(cases[i].frame));
        assert_string_equal(*cases[i].frame ? out : "", cases[i].frame);
    }
    assert_int_equal(sequence_pattern(SEQUENCE_IMAGE, STR_LIT("//shot_0001.png"), out, 18), 0);
    assert_int_equal(sequence_pattern(SEQUENCE_IMAGE, STR_LIT("//shot_0001.png"), out, 19), 18);
}

static void test_no_dna(void **state)
{
    (void)state;
    for (size_t len = 0; len < 12; len++) {
        char *data = calloc(1, len + 1);
        memcpy(data, "SDNANAME\1\0\0\0", len);
        assert_null(dna_new(data, len, 8, false, &err));
        assert_non_null(strstr(err.text, "DNA"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_assets_are_one_each),
        TEST(test_packed_only_if_each_is),
        TEST(test_assets_have_a_bound),
        TEST(test_texts_are_clean),
        TEST(test_a_full_arena_is_no_error),
        TEST(test_numbers),
        TEST(test_reports_fit),
        TEST(test_packings),
        TEST(test_the_file_is_hashed_whole),
        TEST(test_given_back),
        TEST(test_words),
        TEST(test_patterns),
        TEST(test_links),
        TEST(test_shapes),
        TEST(test_sequences),
        TEST(test_no_dna),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
