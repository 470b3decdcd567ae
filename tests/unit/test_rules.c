/* Which videos need transcoding. */
#include "tests/unit/unit.h"

#include "proto/settings.h"
#include "worker/video/rules.h"
#include "worker/video/scan.h"
#include "worker/video/vr.h"

static struct rules rules;
static struct probe probe;
static struct err err;

static void film(const char *codec, unsigned width, unsigned height, double fps, unsigned kbps)
{
    probe = (struct probe){.count = 1, .bitrate = (uint64_t)kbps * 1000, .size = 3u << 20, .duration = 60};
    snprintf(probe.streams[0].codec, sizeof(probe.streams[0].codec), "%s", codec);
    snprintf(probe.format, sizeof(probe.format), "matroska,webm");
    probe.streams[0].width = width;
    probe.streams[0].height = height;
    probe.streams[0].fps = fps;
}

static bool wanted(const char *text, bool vr)
{
    err = (struct err){0};
    if (rules_read(text, &rules, &err) < 0)
        fail_msg("%s", err.text);
    return rules_judge(&rules, &probe, "shows/One S01E02.mkv", vr).wanted;
}

static void test_default(void **state)
{
    (void)state;
    film("h264", 640, 360, 25, 1);
    assert_true(wanted(RULES_DEFAULT, false));
    assert_true(wanted(RULES_DEFAULT, true));
    film("hevc", 1920, 1080, 30, 3500);
    assert_true(wanted(RULES_DEFAULT, false));
    assert_false(wanted(RULES_DEFAULT, true));
    film("hevc", 1920, 1080, 30, 3499);
    assert_false(wanted(RULES_DEFAULT, false));
    film("av1", 640, 360, 25, 2000); /* never below 2000 */
    assert_true(wanted(RULES_DEFAULT, false));
    film("av1", 640, 360, 25, 1999);
    assert_false(wanted(RULES_DEFAULT, false));
    film("hevc", 7680, 4320, 120, 25000); /* never above 25000 */
    assert_true(wanted(RULES_DEFAULT, false));
    film("mpeg2video", 1920, 1080, 30, 50000);
    assert_false(wanted(RULES_DEFAULT, false));
}

static void test_words(void **state)
{
    (void)state;
    film("hevc", 1920, 1080, 30, 4000);
    probe.streams[0].bitrate = 3000000; /* what the container says of the film goes before that of the file */
    static const struct {
        const char *text;
        bool wanted;
    } rows[] = {
        {"yes", true},
        {"no", false},
        {"yes if bitrate == 3000", true},
        {"yes if 1 + 2 * 3 - 4 / 2 == 5", true},
        {"yes if (1 + 2) * 3 == 9", true},
        {"yes if 1 / 0 == 0", true},
        {"yes if min(3, 1, 2) == 1 and max(1, 3, 2) == 3", true},
        {"yes if clamp(5, 1, 3) == 3 and clamp(0, 1, 3) == 1", true},
        {"yes if codec in ('h264', \"HEVC\")", true},
        {"yes if width in (1, 2, 1920)", true},
        {"yes if codec != 'hevc'", false},
        {"yes if not codec == 'hevc' or width > 1000", true},
        {"yes if not not true", true},
        {"yes if path like '*s01e0[0-9]*'", true},
        {"yes if path like '*trailer*'", false},
        {"no if size < 4; yes", false},
        {"no if size > 4; yes", true},
        {"yes if container like '*matroska*' and duration >= 60 and audio == ''; no;", true},
        {"yes if vr", false},
        {"yes if hdr or interlaced", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (wanted(rows[i].text, false) != rows[i].wanted)
            fail_msg("%s", rows[i].text);
    assert_int_equal(rules_judge(&rules, &probe, "a", false).row, 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "maybe",
        "yes if",
        "yes if codec",
        "yes if codec == 1",
        "yes if width == 'a'",
        "yes if codec < 'a'",
        "yes if vr == vr",
        "yes if widht > 1",
        "yes if (width > 1",
        "yes if width > 1 no",
        "yes if 'x",
        "yes if min(1) == 1",
        "yes if clamp(1, 2) == 1",
        "yes if width like 'x'",
        "yes if vr in (1)",
        "yes if width in ()",
        "yes if not width",
        "yes;; no",
        "yes if width > 1234567890123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        err = (struct err){0};
        if (rules_read(texts[i], &rules, &err) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_non_null(strstr(err.text, "transcode.rules, at character "));
    }
    assert_int_equal(rules_read("yes if codec == 'x' and widht > 3", &rules, &err), -1);
    assert_string_equal(err.text, "transcode.rules, at character 25: there is no name widht");
}

static void test_bounds(void **state)
{
    char text[RULES_TEXT_MAX + 2] = "yes if ";
    (void)state;
    memset(text + 7, '(', 2000);
    strcpy(text + 2007, "vr");
    assert_int_equal(rules_read(text, &rules, &err), -1);
    assert_non_null(strstr(err.text, "too deep"));
    strcpy(text, "yes if 1");
    for (int i = 0; i < 600; i++)
        strcat(text, "+1");
    strcat(text, " == 2");
    assert_int_equal(rules_read(text, &rules, &err), -1);
    assert_non_null(strstr(err.text, "too long"));
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(rules_read(text, &rules, &err), -1);
    strcpy(text, "yes if width in (1");
    for (int i = 0; i < 100; i++)
        strcat(text, ",1");
    strcat(text, ")");
    assert_int_equal(rules_read(text, &rules, &err), -1);
    assert_non_null(strstr(err.text, "too deep"));
}

/* What programs do without a setting is what the settings' table says. */
static void test_defaults_of_settings(void **state)
{
    (void)state;
    assert_string_equal(settings_table[SET_TRANSCODE_RULES].initial, RULES_DEFAULT);
    assert_string_equal(settings_table[SET_LIBRARY_VR].initial, VR_DEFAULT);
    assert_string_equal(settings_table[SET_LIBRARY_EXTENSIONS].initial, SCAN_EXTENSIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_default), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_defaults_of_settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
