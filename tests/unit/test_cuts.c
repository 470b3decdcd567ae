/* Where a video is cut into segments, and what ffmpeg is told about one, and about all of them. */
#include "tests/unit/unit.h"

#include "worker/video/cuts.h"
#include "worker/video/recipe.h"

static struct cut_places places;
static uint64_t starts[CUTS_MAX];

/* A key frame every `every` units, from `first` on. */
static void keys(int64_t first, int64_t every, int64_t length)
{
    places = (struct cut_places){.base_num = 1, .base_den = 1000, .length = length};
    for (int64_t at = 0; at < length && places.count < CUTS_KEYS; at += every)
        places.keys[places.count++] = first + at;
}

static void test_length(void **state)
{
    (void)state;
    assert_int_equal(cuts_length(600001, 600000), 300001); /* two halves, not a whole and a rest */
    assert_int_equal(cuts_length(7200000, 600000), 600001);
    assert_int_equal(cuts_length(5, 600000), 6);
    assert_int_equal(cuts_length(0, 600000), 1);
    assert_int_equal(cuts_length(1000, 0), 1001);
    assert_int_equal(cuts_length(UINT64_C(1000000000), 1), UINT64_C(1000000000) / CUTS_MAX + 1); /* too many: longer ones */
}

static void test_plan(void **state)
{
    (void)state;
    keys(-5, 10, 100);
    assert_int_equal(cuts_plan(&places, 25, starts), 4);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[1], 30); /* the first behind 25 */
    assert_int_equal(starts[2], 50); /* and behind 50: what one is too long does not move the others */
    assert_int_equal(starts[3], 80);
    keys(0, 10, 104);
    assert_int_equal(cuts_plan(&places, 50, starts), 2); /* a last one of four units is none */
    assert_int_equal(starts[1], 50);
}

static void test_plan_of_few_keys(void **state)
{
    (void)state;
    keys(0, 1000, 100); /* one */
    assert_int_equal(cuts_plan(&places, 25, starts), 1);
    places = (struct cut_places){.length = 100, .count = 3, .keys = {0, 70, 75}}; /* a long way without one */
    assert_int_equal(cuts_plan(&places, 25, starts), 2);
    assert_int_equal(starts[1], 70);
    assert_int_equal(cuts_plan(&places, 0, starts), 1);
    assert_int_equal(cuts_plan(&places, INT64_MAX, starts), 1);
    places.length = 75;
    assert_int_equal(cuts_plan(&places, 1, starts), 2); /* none begins at its end */
    places.count = 0;
    assert_int_equal(cuts_plan(&places, 25, starts), 1);
}

static void test_plan_of_many(void **state)
{
    (void)state;
    keys(0, 1, CUTS_KEYS);
    uint32_t count = cuts_plan(&places, 1, starts);
    assert_int_equal(count, CUTS_MAX);
    for (uint32_t i = 1; i < count; i++)
        assert_true(starts[i] > starts[i - 1]);
}

static void test_line(void **state)
{
    (void)state;
    static struct cut_places back;
    struct buf line = {0};
    struct err err = {0};
    keys(-40, 7, 300);
    places.offset_us = -12;
    assert_int_equal(cuts_write(&places, &line), 0);
    assert_int_equal(cuts_parse(buf_str(&line), &back, &err), 0);
    assert_memory_equal(&back, &places, sizeof(back));
    buf_reset(&line);
    snprintf(places.error, sizeof(places.error), "no film");
    assert_int_equal(cuts_write(&places, &line), 0);
    assert_int_equal(cuts_parse(buf_str(&line), &back, &err), -1);
    assert_string_equal(err.text, "no film");
    buf_free(&line);
}

static void test_lines_refused(void **state)
{
    (void)state;
    static struct cut_places back;
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[]}",
        "{\"base_num\":1,\"base_den\":0,\"offset_us\":0,\"length\":9,\"keys\":[0]}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":0,\"keys\":[0]}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[0,0]}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[3,2]}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[0,9223372036854775807]}",
        "{\"base_num\":1,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[0,\"1\"]}",
        "{\"base_num\":4294967296,\"base_den\":25,\"offset_us\":0,\"length\":9,\"keys\":[0]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err err = {0};
        assert_int_equal(cuts_parse(str_of(wrong[i]), &back, &err), -1);
        assert_true(err.text[0] != '\0');
    }
}

/* ---- told to ffmpeg ---- */

static struct probe probe;
static struct recipe recipe;

static void film(void)
{
    static const char *const codecs[] = {"h264", "aac", "subrip"};
    static const enum probe_kind kinds[] = {PROBE_VIDEO, PROBE_AUDIO, PROBE_SUBTITLE};
    probe = (struct probe){.duration = 100, .count = 3};
    for (unsigned i = 0; i < 3; i++) {
        probe.streams[i].index = i;
        probe.streams[i].kind = kinds[i];
        snprintf(probe.streams[i].codec, sizeof(probe.streams[i].codec), "%s", codecs[i]);
    }
    snprintf(probe.streams[0].pixels, sizeof(probe.streams[0].pixels), "yuv420p");
}

static void has(const char *words)
{
    static char line[16384];
    strcpy(line, " ");
    for (unsigned i = 0; i < recipe.count; i++)
        strcat(strcat(line, recipe.argv[i]), " ");
    if (!strstr(line, words))
        fail_msg("'%s' is not in '%s'", words, line);
}

static void test_segment(void **state)
{
    (void)state;
    const struct wish wish = {.joins = true};
    const struct recipe_part middle = {.from = 1000, .to = 2500, .base_num = 1, .base_den = 500};
    const struct recipe_part last = {.from = -4, .last = true, .first = true, .base_num = 1, .base_den = 500};
    film();
    assert_int_equal(recipe_segment(&recipe, &probe, &wish, &middle, "/in/a.mkv", "/out/1.mp4"), 0);
    has(" -copyts -seek_timestamp 1 -noaccurate_seek -ss 1.500000 -protocol_whitelist file -i file:/in/a.mkv -map 0:0 "
        "-filter:v:0 trim=start_pts=1000:end_pts=2500,setpts=PTS-(1000) -c:v:0 libx265 ");
    has(" log-level=error:info=0 ");
    has(" -map_metadata -1 -map_chapters -1 -max_muxing_queue_size 9999 -strict unofficial -f mp4 -y file:/out/1.mp4 ");
    recipe_clear(&recipe);
    assert_int_equal(recipe_segment(&recipe, &probe, &wish, &last, "/in/a.mkv", "/out/1.mp4"), 0);
    has(" -copyts -protocol_whitelist file -i file:/in/a.mkv -map 0:0 -filter:v:0 trim=start_pts=-4,setpts=PTS-(-4) ");
    recipe_clear(&recipe);
}

static void test_join(void **state)
{
    (void)state;
    const struct wish wish = {0};
    film();
    assert_int_equal(recipe_join(&recipe, &probe, &wish, "/tmp/list", -200000, "/in/a.mkv", "/out/a.mp4"), 0);
    has(" -itsoffset -0.200000 -f concat -safe 0 -protocol_whitelist file -i file:/tmp/list -protocol_whitelist file -i "
        "file:/in/a.mkv "
        "-map 0:v:0 -map_metadata:s:0 1:s:0 -map 1:1 -map_metadata:s:1 1:s:1 -map 1:2 -map_metadata:s:2 1:s:2 "
        "-c:a:0 copy -c:s:0 mov_text -c:v:0 copy -tag:v:0 hvc1 -map_metadata 1 -map_chapters 1 ");
    has(" -movflags +faststart ");
    assert_true(recipe.joined);
    assert_int_equal(recipe.audio, 1);
    assert_int_equal(recipe.subtitles, 1);
    recipe_clear(&recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),       cmocka_unit_test(test_plan), cmocka_unit_test(test_plan_of_few_keys),
        cmocka_unit_test(test_plan_of_many), cmocka_unit_test(test_line), cmocka_unit_test(test_lines_refused),
        cmocka_unit_test(test_segment),      cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
