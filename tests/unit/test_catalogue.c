/* The sentences for people, and which language a request wants. */
#include "tests/unit/unit.h"

#include "gateway/text.h"

static const char *const rules[] = {
#define TEXT(id, zh, en)
#define RULE(name, zh, en) name,
#include "gateway/texts.def"
#undef TEXT
#undef RULE
};

static const char *const phrases[][2] = {
#define TEXT(id, zh, en)
#define RULE(name, zh, en)
#define PHRASE(zh, en) {(zh), (en)},
#include "gateway/texts.def"
#undef TEXT
#undef RULE
};

/* True when every { begins one of the three marks. */
static bool marks_known(const char *sentence)
{
    for (const char *at = strchr(sentence, '{'); at; at = strchr(at + 1, '{')) {
        if (strncmp(at, "{field}", 7) != 0 && strncmp(at, "{value}", 7) != 0 && strncmp(at, "{expected}", 10) != 0)
            return false;
    }
    return true;
}

static bool ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80)
        text++;
    return !*text;
}

static void test_everything_is_said_in_both(void **state)
{
    (void)state;
    for (int id = 0; id < TEXT_COUNT; id++) {
        assert_true(text_of((enum text_id)id, LANG_ZH)[0] != '\0');
        assert_true(ascii(text_of((enum text_id)id, LANG_EN)));
        assert_true(str_utf8(str_of(text_of((enum text_id)id, LANG_ZH))));
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char *zh = text_rule(str_of(rules[i]), LANG_ZH), *en = text_rule(str_of(rules[i]), LANG_EN);
        assert_non_null(zh);
        assert_non_null(en);
        assert_true(ascii(en));
        assert_false(ascii(zh));
        if (!marks_known(zh) || !marks_known(en))
            fail_msg("rule %s has an unknown mark", rules[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(rules[i], rules[j]);
    }
    assert_null(text_rule(STR_LIT("no such rule"), LANG_ZH));
}

static void assert_phrase(const char *english, enum text_lang lang, const char *expected)
{
    struct buf out = {0};

    text_phrase(&out, str_of(english), lang);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static int numbers_in(const char *phrase)
{
    int count = 0;

    for (; *phrase; phrase++)
        count += *phrase == '$';
    return count;
}

static void test_what_was_expected_is_said_in_both(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        assert_true(ascii(phrases[i][1]));
        assert_false(ascii(phrases[i][0]));
        assert_int_equal(numbers_in(phrases[i][0]), numbers_in(phrases[i][1]));
        assert_phrase(phrases[i][1], LANG_EN, phrases[i][1]);
    }
    assert_phrase("list of strings", LANG_ZH, "字符串列表");
    assert_phrase("1..200 bytes", LANG_ZH, "1..200 字节");
    assert_phrase("1..200 bytes", LANG_EN, "1..200 bytes");
    assert_phrase("at most 32", LANG_ZH, "至多 32 项");
    assert_phrase("low|normal|high", LANG_ZH, "low|normal|high");
    assert_phrase("1..", LANG_ZH, "1..");
    assert_phrase("1..20", LANG_ZH, "1..20");
    assert_phrase(" bytes", LANG_ZH, " bytes");
    assert_phrase("", LANG_ZH, "");
}

static void test_fills_words_in(void **state)
{
    struct buf out = {0};
    struct text_words words = {STR_LIT("name"), STR_LIT("{expected}"), {NULL, 0}};
    (void)state;

    text_fill(&out, "{field}: {value}, {expected} {other {", &words);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, "name: {expected}, - {other {");
    buf_free(&out);
}

static void test_chooses_the_language(void **state)
{
    static const struct {
        const char *header;
        enum text_lang lang;
    } cases[] = {
        {"", LANG_ZH},
        {"en", LANG_EN},
        {"en-US,en;q=0.9,zh;q=0.8", LANG_EN},
        {"zh-CN,zh;q=0.9,en;q=0.8", LANG_ZH},
        {"zh;q=0.5, en;q=0.6", LANG_EN},
        {"en,zh", LANG_EN},
        {"zh,en", LANG_ZH},
        {"fr,de;q=0.9", LANG_ZH},
        {"fr, en;q=0.1", LANG_EN},
        {"*", LANG_ZH},
        {"en;q=0", LANG_ZH},
        {"en;q=0.001", LANG_EN},
        {"EN-gb", LANG_EN},
        {"eng", LANG_ZH},
        {"en;q=", LANG_EN}, /* a weight that says nothing */
        {",,;;q=1,en;;", LANG_EN},
        {"en ; q=0.3, zh;q=0.4", LANG_ZH},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (text_language(str_of(cases[i].header)) != cases[i].lang)
            fail_msg("%s", cases[i].header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_said_in_both),
        cmocka_unit_test(test_what_was_expected_is_said_in_both),
        cmocka_unit_test(test_fills_words_in),
        cmocka_unit_test(test_chooses_the_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
