/* The conditions of a query, and whether a record meets them. */
#ifndef GANTRY_STORE_MATCH_H
#define GANTRY_STORE_MATCH_H

#include "store/key.h"
#include "store/state.h"

#define MATCH_MAX 32 /* 16 filters, 16 words less one for what is hidden */
#define MATCH_WORDS 15

enum condition_kind {
    CONDITION_FIELD,  /* compares a field */
    CONDITION_WORD,   /* the word's entry is in the index of words */
    CONDITION_VISIBLE /* the run's task is not being purged */
};

struct condition {
    enum condition_kind kind;
    uint8_t column; /* place in match.columns */
    uint8_t op;     /* enum filter_op */
    int64_t number;
    struct str text;
    struct str_list texts; /* borrowed from the question */
    bool grouped;          /* an index has all records that meet it as one group */
    bool counted;          /* and their number is kept: it is `count` */
    uint64_t count;
    struct key group;         /* without the id; with FILTER_IN there are some: see match_group */
    uint8_t index;            /* of those */
    struct kv_cursor *cursor; /* of a word: where the last id was looked for; NULL before */
};

struct match {
    struct kv_txn *txn;
    const struct record *record;
    unsigned count, column_count;
    struct condition conditions[MATCH_MAX];
    struct column columns[MATCH_MAX];
};

/* Adds the conditions; a wrong one fills error (field, rule, value, expected; texts in arena or static) and answers -1. */
int match_filter(struct match *match, struct arena *arena, const struct rec_filter *filter, struct msg_error *error);
/* Adds the words of a search; *none is set when it has no word, so that nothing is found. */
int match_search(struct match *match, struct str search, bool *none, struct msg_error *error);
/* The group of one of the numbers that a condition with FILTER_IN asks for. */
struct key match_group(const struct match *match, const struct condition *condition, uint64_t number);
/* Leaves out runs of tasks that are being purged. */
void match_visible(struct match *match);

/* Whether a record meets every condition but `except` (-1: none). value: its bytes, or ptr NULL to have them fetched. */
bool match_record(struct match *match, uint64_t id, struct str value, int except);
void match_end(struct match *match); /* frees what it holds of the snapshot */

#endif
