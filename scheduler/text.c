/* Text and bytes that several objects share. */
#include "scheduler/text.h"

#include <stdlib.h>
#include <string.h>

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

int text_set(struct text **out, struct str str)
{
    if (!str.len)
        return 0;
    *out = text_new(str);
    return *out ? 0 : -1;
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

int text_list_copy(struct str **out, const struct str_list *list)
{
    size_t bytes = list->count * sizeof(struct str) + 1;
    for (uint32_t i = 0; i < list->count; i++)
        bytes += list->items[i].len;
    struct str *items = malloc(bytes);
    if (!items)
        return -1;
    char *at = (char *)(items + list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].len)
            memcpy(at, list->items[i].ptr, list->items[i].len);
        items[i] = (struct str){at, list->items[i].len};
        at += list->items[i].len;
    }
    *out = items;
    return 0;
}

bool text_list_has(const struct str *items, uint32_t count, struct str text)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(items[i], text))
            return true;
    return false;
}
