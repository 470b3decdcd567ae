/* The words of one statement of Maya's language, as far as scene files use it. */
#ifndef GANTRY_WORKER_SCENE_MAYA_WORDS_H
#define GANTRY_WORKER_SCENE_MAYA_WORDS_H

#include "worker/scene/scene.h"

struct maya_words {
    const char *at, *end;
    char text[SCENE_TEXT]; /* of the last word, if it was quoted: without its escapes, parts joined by + put together, cut here */
};

struct maya_word {
    struct str text; /* borrowed from the statement, or from words->text until the next call */
    bool quoted;
};

/* False at the end of the statement. */
bool maya_words_next(struct maya_words *words, struct maya_word *word);

#endif
