/* The words of a text, for searching: what separates them is everything but letters, digits and marks; capitals do not count;
 * a character of a script written without spaces (Chinese, Japanese, Korean) is a word of its own. */
#ifndef GANTRY_STORE_WORDS_H
#define GANTRY_STORE_WORDS_H

#include "proto/str.h"

#define WORD_MAX 64 /* bytes; what is longer is cut */

struct word {
    uint32_t len;
    char bytes[WORD_MAX];
};

/* Takes the next word off the front of text; false at its end. */
bool words_next(struct str *text, struct word *word);

#endif
