/* The catalogue: every sentence for people, in Chinese (the default) and English. */
#ifndef GANTRY_GATEWAY_TEXT_H
#define GANTRY_GATEWAY_TEXT_H

#include "proto/buf.h"
#include "proto/str.h"

enum text_lang { LANG_ZH, LANG_EN };

enum text_id {
#define TEXT(id, zh, en) TEXT_##id,
#define RULE(name, zh, en)
#include "gateway/texts.def"
#undef TEXT
#undef RULE
    TEXT_COUNT
};

const char *text_of(enum text_id id, enum text_lang lang);

/* The sentence of a rule; NULL when the catalogue has none. */
const char *text_rule(struct str rule, enum text_lang lang);

/* Appends what was expected, as whoever refused said it in English: in the wanted language where the catalogue has the phrase. */
void text_phrase(struct buf *out, struct str phrase, enum text_lang lang);

/* What stands in a sentence's {field}, {value} and {expected}. */
struct text_words {
    struct str field;
    struct str value;
    struct str expected;
};

/* Appends sentence to out with its words filled in; an empty word becomes "-". */
void text_fill(struct buf *out, const char *sentence, const struct text_words *words);

/* The language an Accept-Language header prefers: English only if it ranks above Chinese. */
enum text_lang text_language(struct str accept_language);

#endif
