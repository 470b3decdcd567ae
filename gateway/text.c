#include "gateway/text.h"

#include <strings.h>

static const char *const texts[TEXT_COUNT][2] = {
#define TEXT(id, zh, en) [TEXT_##id] = {(zh), (en)},
#define RULE(name, zh, en)
#include "gateway/texts.def"
#undef TEXT
#undef RULE
};

static const struct {
    const char *name;
    const char *sentence[2];
} rules[] = {
#define TEXT(id, zh, en)
#define RULE(name, zh, en) {name, {(zh), (en)}},
#include "gateway/texts.def"
#undef TEXT
#undef RULE
};

const char *text_of(enum text_id id, enum text_lang lang)
{
    return texts[id][lang == LANG_EN];
}

const char *text_rule(struct str rule, enum text_lang lang)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (str_is(rule, rules[i].name))
            return rules[i].sentence[lang == LANG_EN];
    }
    return NULL;
}

/* Chinese, then English. */
static const char *const phrases[][2] = {
#define TEXT(id, zh, en)
#define RULE(name, zh, en)
#define PHRASE(zh, en) {(zh), (en)},
#include "gateway/texts.def"
#undef TEXT
#undef RULE
};

#define NUMBERS_MAX 4

static uint32_t digits(struct str text, uint32_t at)
{
    uint32_t count = 0;

    while (at + count < text.len && text.ptr[at + count] >= '0' && text.ptr[at + count] <= '9')
        count++;
    return count;
}

/* Whether text is the phrase; its numbers are then in numbers. */
static bool phrase_is(const char *phrase, struct str text, struct str numbers[NUMBERS_MAX])
{
    uint32_t at = 0;
    int found = 0;

    for (; *phrase; phrase++) {
        uint32_t len = *phrase == '$' ? digits(text, at) : 1;
        if (len == 0 || at >= text.len || (*phrase == '$' && found == NUMBERS_MAX) || (*phrase != '$' && text.ptr[at] != *phrase))
            return false;
        if (*phrase == '$')
            numbers[found++] = (struct str){text.ptr + at, len};
        at += len;
    }
    return at == text.len;
}

void text_phrase(struct buf *out, struct str phrase, enum text_lang lang)
{
    struct str numbers[NUMBERS_MAX];
    size_t i = 0;
    int used = 0;

    while (i < sizeof phrases / sizeof *phrases && !phrase_is(phrases[i][1], phrase, numbers))
        i++;
    if (lang == LANG_EN || i == sizeof phrases / sizeof *phrases) {
        buf_add(out, phrase.ptr, phrase.len);
        return;
    }
    for (const char *at = phrases[i][0]; *at; at++) {
        if (*at == '$')
            buf_add(out, numbers[used].ptr, numbers[used].len);
        else
            buf_add(out, at, 1);
        used += *at == '$';
    }
}

static void word_add(struct buf *out, struct str word)
{
    if (word.len > 0)
        buf_add(out, word.ptr, word.len);
    else
        buf_text(out, "-");
}

void text_fill(struct buf *out, const char *sentence, const struct text_words *words)
{
    const struct {
        const char *mark;
        size_t len;
        struct str word;
    } marks[] = {
        {"{field}", 7, words->field},
        {"{value}", 7, words->value},
        {"{expected}", 10, words->expected},
    };

    while (*sentence) {
        size_t plain = strcspn(sentence, "{");
        buf_add(out, sentence, plain);
        sentence += plain;
        if (!*sentence)
            return;
        size_t i = 0;
        while (i < 3 && strncmp(sentence, marks[i].mark, marks[i].len) != 0)
            i++;
        if (i < 3) {
            word_add(out, marks[i].word);
            sentence += marks[i].len;
        } else {
            buf_add(out, sentence++, 1);
        }
    }
}

/* The weight of one range ("en-US;q=0.8"), in thousandths. */
static int range_weight(struct str range)
{
    const char *semicolon = memchr(range.ptr, ';', range.len);
    if (!semicolon)
        return 1000;
    const char *end = range.ptr + range.len;
    const char *at = semicolon + 1;
    while (at < end && *at == ' ')
        at++;
    if (end - at < 3 || (*at != 'q' && *at != 'Q') || at[1] != '=')
        return 1000;
    at += 2;
    int weight = *at == '1' ? 1000 : 0;
    if (++at < end && *at == '.' && weight == 0) {
        int unit = 100;
        for (at++; at < end && unit > 0 && *at >= '0' && *at <= '9'; at++, unit /= 10)
            weight += (*at - '0') * unit;
    }
    return weight;
}

enum text_lang text_language(struct str accept_language)
{
    enum text_lang lang = LANG_ZH;
    int best = 0;
    uint32_t at = 0;

    while (at < accept_language.len) {
        while (at < accept_language.len &&
               (accept_language.ptr[at] == ' ' || accept_language.ptr[at] == ',' || accept_language.ptr[at] == '\t'))
            at++;
        struct str range = {accept_language.ptr + at, 0};
        while (at < accept_language.len && accept_language.ptr[at] != ',') {
            at++;
            range.len++;
        }
        bool english = range.len >= 2 && strncasecmp(range.ptr, "en", 2) == 0;
        bool chinese = range.len >= 2 && strncasecmp(range.ptr, "zh", 2) == 0;
        if ((!english && !chinese) || (range.len > 2 && !strchr("-; ", range.ptr[2])))
            continue;
        int weight = range_weight(range);
        if (weight > best) { /* of two that weigh the same the first counts */
            best = weight;
            lang = english ? LANG_EN : LANG_ZH;
        }
    }
    return lang;
}
