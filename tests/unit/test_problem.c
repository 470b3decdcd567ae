/* Refusals: status, and the sentence that names field, value and expectation. */
#include "tests/unit/unit.h"

#include "gateway/problem.h"

static void assert_sentence(const struct problem *problem, enum text_lang lang, const char *expected)
{
    struct buf out = {0};
    problem_sentence(&out, problem, lang);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void test_every_kind_has_status_and_text(void **state)
{
    struct problem problem;
    (void)state;

    for (int kind = 0; kind < PROBLEM_COUNT; kind++) {
        unsigned status = problem_status((enum problem_kind)kind);
        struct buf out = {0};
        assert_in_range(status, 400, 507);
        assert_int_equal(problem_retry_after((enum problem_kind)kind) > 0, status == 429 || status == 503);
        problem_set(&problem, (enum problem_kind)kind, NULL, NULL);
        problem_sentence(&out, &problem, LANG_EN);
        assert_true(out.len > 0);
        buf_free(&out);
    }
}

static void test_names_field_value_and_expectation(void **state)
{
    struct problem problem;
    json_t *given = json_string("soon");
    (void)state;

    assert_int_equal(problem_set(&problem, PROBLEM_INVALID, "name", "required"), -1);
    assert_sentence(&problem, LANG_ZH, "请求参数验证失败：字段 name 为必填项");
    assert_sentence(&problem, LANG_EN, "Request validation failed: name is required");
    assert_int_equal(problem_json(&problem, "timeout_seconds", "type", given, "%s", "integer"), -1);
    assert_sentence(&problem, LANG_EN,
                    "Request validation failed: timeout_seconds has the wrong type: \"soon\" was given, expected integer");
    assert_int_equal(problem_value(&problem, PROBLEM_BAD_REQUEST, "page", "range", STR_LIT("0"), ">= %d", 1), -1);
    assert_sentence(&problem, LANG_EN, "The request could not be understood: page is out of range: 0 was given, expected >= 1");
    json_decref(given);
}

/* Names of members are the client's, of any length. */
static void test_a_long_name_is_cut_between_characters(void **state)
{
    struct problem problem;
    char name[400];
    (void)state;

    for (size_t lead = 0; lead < 4; lead++) {
        memset(name, 'x', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        for (size_t at = lead; at + 4 < sizeof name; at += 3)
            memcpy(name + at, "数", 3);
        for (size_t len = 100; len < 140; len++) { /* callers cut, too */
            char given[400];
            snprintf(given, len, "%s", name);
            problem_value(&problem, PROBLEM_INVALID, given, "range", STR_LIT("1"), "%s", name);
            assert_true(problem.field.len > 96);
            assert_true(str_utf8(problem.field));
            assert_true(problem.expected.len > 300);
            assert_true(str_utf8(problem.expected));
        }
    }
    problem_set(&problem, PROBLEM_INVALID, "\xff\xff\xff\xff\xff", "range");
    assert_int_equal(problem.field.len, 0);
}

static void test_shows_another_process_words_for_unknown_rules(void **state)
{
    struct problem problem = {.kind = PROBLEM_CONFLICT, .rule = STR_LIT("brand new"), .sentence = STR_LIT("it is so")};
    (void)state;
    assert_sentence(&problem, LANG_EN, "Resource conflict: it is so");
}

static void test_cuts_long_values(void **state)
{
    struct problem problem;
    char longer[3 * PROBLEM_VALUE_MAX];
    struct buf out = {0};
    (void)state;

    for (size_t i = 0; i + 3 <= sizeof longer; i += 3)
        memcpy(longer + i, "\xe4\xb8\xad", 3);
    problem_value(&problem, PROBLEM_INVALID, "name", "length", (struct str){longer, sizeof longer}, "1..200");
    problem_sentence(&out, &problem, LANG_EN);
    assert_true(out.len < 2 * PROBLEM_VALUE_MAX);
    assert_true(str_utf8(buf_str(&out)));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_status_and_text),
        cmocka_unit_test(test_names_field_value_and_expectation),
        cmocka_unit_test(test_a_long_name_is_cut_between_characters),
        cmocka_unit_test(test_shows_another_process_words_for_unknown_rules),
        cmocka_unit_test(test_cuts_long_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
