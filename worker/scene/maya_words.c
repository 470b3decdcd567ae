#include "worker/scene/maya_words.h"

#include <ctype.h>

static void blanks_pass(struct maya_words *words)
{
    while (words->at < words->end && (isspace((unsigned char)*words->at) || *words->at == '(' || *words->at == ')'))
        words->at++;
}

static char unescaped(char c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
}

/* Behind the first quote. */
static size_t quoted_read(struct maya_words *words, size_t len)
{
    while (words->at < words->end && *words->at != '"') {
        char c = *words->at++;
        if (c == '\\' && words->at < words->end)
            c = unescaped(*words->at++);
        if (len < sizeof(words->text))
            words->text[len++] = c;
    }
    words->at += words->at < words->end;
    return len;
}

/* "…" + "…" is one text. */
static bool continues(struct maya_words *words)
{
    const char *before = words->at;
    blanks_pass(words);
    if (words->at < words->end && *words->at == '+') {
        words->at++;
        blanks_pass(words);
        if (words->at < words->end && *words->at == '"') {
            words->at++;
            return true;
        }
    }
    words->at = before;
    return false;
}

bool maya_words_next(struct maya_words *words, struct maya_word *word)
{
    blanks_pass(words);
    if (words->at == words->end)
        return false;
    word->quoted = *words->at == '"';
    if (word->quoted) {
        size_t len = 0;
        words->at++;
        do
            len = quoted_read(words, len);
        while (continues(words));
        word->text = (struct str){words->text, (uint32_t)len};
        return true;
    }
    const char *from = words->at;
    while (words->at < words->end && !isspace((unsigned char)*words->at) && *words->at != '"' && *words->at != '(' &&
           *words->at != ')')
        words->at++;
    word->text = (struct str){from, (uint32_t)(words->at - from)};
    return true;
}
