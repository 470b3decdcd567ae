/* Text and bytes that several objects share. */
#include "scheduler/text.h"

#include <stdlib.h>

struct text *text_new(struct str str)
{
    struct text *text = malloc(sizeof *text + str.len + 1);
    if (!text)
        return NULL;
    text->refs = 1;
    if (str.len)
        memcpy(text->data, str.ptr, str.len);
    text->data[str.len] = '\0';
    text->str = (struct str){text->data, str.len};
    return text;
}

struct text *text_keep(struct text *text)
{
    if (text)
        text->refs++;
    return text;
}

void text_drop(struct text *text)
{
    if (text && --text->refs == 0)
        free(text);
}
