#include "gateway/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "gateway/json.h"
#include "gateway/writer.h"

static const struct {
    unsigned status;
    enum text_id text;
} kinds[PROBLEM_COUNT] = {
#define PROBLEM(kind, status) [PROBLEM_##kind] = {(status), TEXT_##kind},
#include "gateway/problem.def"
#undef PROBLEM
};

static void fill(struct problem *problem, enum problem_kind kind, const char *field, const char *rule)
{
    *problem = (struct problem){.kind = kind, .rule = str_of(rule)};
    if (field) {
        str_copy(problem->field_room, sizeof problem->field_room, str_of(field));
        problem->field = str_cut(str_of(problem->field_room), sizeof problem->field_room); /* between characters */
    }
}

static void expect(struct problem *problem, const char *format, va_list args)
{
    if (!format)
        return;
    vsnprintf(problem->expected_room, sizeof problem->expected_room, format, args);
    problem->expected = str_cut(str_of(problem->expected_room), sizeof problem->expected_room);
}

int problem_set(struct problem *problem, enum problem_kind kind, const char *field, const char *rule)
{
    fill(problem, kind, field, rule);
    return -1;
}

int problem_value(struct problem *problem, enum problem_kind kind, const char *field, const char *rule, struct str value,
                  const char *expected, ...)
{
    va_list args;

    fill(problem, kind, field, rule);
    problem->has_value = value.ptr && str_utf8(value); /* headers may hold any bytes; an answer may not */
    if (problem->has_value)
        problem->value = value;
    va_start(args, expected);
    expect(problem, expected, args);
    va_end(args);
    return -1;
}

int problem_json(struct problem *problem, const char *field, const char *rule, const json_t *given, const char *expected, ...)
{
    va_list args;

    fill(problem, PROBLEM_INVALID, field, rule);
    problem->given = given;
    problem->has_value = true;
    va_start(args, expected);
    expect(problem, expected, args);
    va_end(args);
    return -1;
}

unsigned problem_status(enum problem_kind kind)
{
    return kinds[kind].status;
}

unsigned problem_retry_after(enum problem_kind kind)
{
    return kinds[kind].status == 503 || kinds[kind].status == 429 ? 1 : 0;
}

bool problem_rule_sentence(struct buf *out, const struct problem *problem, enum text_lang lang)
{
    struct buf given = {.limit = 2 * PROBLEM_VALUE_MAX + 8}, expected = {.limit = 2 * sizeof problem->expected_room};
    struct text_words words = {problem->field, str_cut(problem->value, PROBLEM_VALUE_MAX), problem->expected};
    const char *sentence = problem->rule.len ? text_rule(problem->rule, lang) : NULL;

    if (!sentence)
        return false;
    if (problem->given) {
        json_brief(&given, problem->given, PROBLEM_VALUE_MAX);
        words.value = buf_str(&given);
    }
    text_phrase(&expected, problem->expected, lang);
    words.expected = buf_str(&expected);
    text_fill(out, sentence, &words);
    buf_free(&given);
    buf_free(&expected);
    return true;
}

void problem_sentence(struct buf *out, const struct problem *problem, enum text_lang lang)
{
    bool more = problem->sentence.len > 0 || (problem->rule.len && text_rule(problem->rule, lang));

    buf_text(out, text_of(kinds[problem->kind].text, lang));
    if (more)
        buf_text(out, lang == LANG_EN ? ": " : "：");
    if (!problem_rule_sentence(out, problem, lang) && more)
        buf_add(out, problem->sentence.ptr, problem->sentence.len);
}

void problem_value_write(struct writer *w, const char *key, const struct problem *problem)
{
    struct buf given = {.limit = 2 * PROBLEM_VALUE_MAX + 8};

    if (problem->given) {
        json_brief(&given, problem->given, PROBLEM_VALUE_MAX);
        writer_json(w, key, buf_str(&given));
    } else if (problem->has_value) {
        writer_text(w, key, str_cut(problem->value, PROBLEM_VALUE_MAX));
    } else {
        writer_null(w, key);
    }
    buf_free(&given);
}
