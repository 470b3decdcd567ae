/* Why a request is refused, before it has become a surface's words. */
#ifndef GANTRY_GATEWAY_PROBLEM_H
#define GANTRY_GATEWAY_PROBLEM_H

#include <jansson.h>

#include "gateway/text.h"
#include "proto/messages.h"

enum problem_kind {
#define PROBLEM(kind, status) PROBLEM_##kind,
#include "gateway/problem.def"
#undef PROBLEM
    PROBLEM_COUNT
};

/* Everything is borrowed and lives as long as the request; texts made for the occasion stand in room. */
struct problem {
    enum problem_kind kind;
    struct str field; /* empty: none */
    struct str rule;  /* a RULE of texts.def; empty: none */
    struct str value; /* what was given, as text; used when given is NULL */
    bool has_value;
    const json_t *given; /* what was given, as JSON */
    struct str expected;
    unsigned retry_after;        /* seconds; 0: as its kind has it */
    struct str sentence;         /* another process's words, for a rule the catalogue does not know */
    const struct str_list *each; /* NULL, or what it is about one by one: values of its field */
    char field_room[128];
    char expected_room[320];
};

/* Each fills problem and answers -1, so that `return problem_…(…)` reads well. */
int problem_set(struct problem *problem, enum problem_kind kind, const char *field, const char *rule);
/* The same with what was given (left out unless it is UTF-8) and what was expected (a format). */
int problem_value(struct problem *problem, enum problem_kind kind, const char *field, const char *rule, struct str value,
                  const char *expected, ...) __attribute__((format(printf, 6, 7)));
int problem_json(struct problem *problem, const char *field, const char *rule, const json_t *given, const char *expected, ...)
    __attribute__((format(printf, 5, 6)));

unsigned problem_status(enum problem_kind kind);
/* Seconds for a Retry-After header; 0 for none. */
unsigned problem_retry_after(enum problem_kind kind);

/* Appends the sentence for people: the kind's text, a colon, the rule's with field, value and expected. */
void problem_sentence(struct buf *out, const struct problem *problem, enum text_lang lang);
/* The sentence of its rule alone; false: the rule has none, and nothing is appended. */
bool problem_rule_sentence(struct buf *out, const struct problem *problem, enum text_lang lang);
struct writer;
/* What was given, cut short; null if that is not known. */
void problem_value_write(struct writer *w, const char *key, const struct problem *problem);

#define PROBLEM_VALUE_MAX 256 /* bytes of a value that are shown again */

#endif
