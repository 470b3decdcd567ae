/* Text and bytes that several objects share: kept once, counted. */
#ifndef GANTRY_SCHEDULER_TEXT_H
#define GANTRY_SCHEDULER_TEXT_H

#include "proto/codec.h"

struct text {
    struct str str; /* of the bytes behind it */
    uint32_t refs;
    char data[];
};

struct text *text_new(struct str str); /* a copy with one reference; NULL when out of memory */
/* A copy in *out, which is left alone when there is nothing to copy; -1 when out of memory. */
int text_set(struct text **out, struct str str);
struct text *text_keep(struct text *text); /* one more reference; takes NULL */
void text_drop(struct text *text);         /* takes NULL */

/* A copy of a list in one block, the array and then its texts: *out is for free(). -1 when out of memory. */
int text_list_copy(struct str **out, const struct str_list *list);
bool text_list_has(const struct str *items, uint32_t count, struct str text);

static inline struct str text_str(const struct text *text)
{
    return text ? text->str : (struct str){"", 0};
}

#endif
