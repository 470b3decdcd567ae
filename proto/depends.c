#include "proto/depends.h"

#include <msgpack.h>
#include <stdio.h>

#include "proto/codec_parts.h"

#define ID_TEXT 24

const char *const depends_words[] = {"success", "failure", "any", NULL};

#define WORDS (sizeof depends_words / sizeof *depends_words - 1)

uint64_t depends_number(struct str text)
{
    uint64_t number = 0;
    if (!text.len || text.len > 18)
        return 0;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return number;
}

/* The text by which it was typed as an id; NULL: it was not. One that was typed twice is in ids once, so the places may differ. */
static const struct str *typed_id(const struct str_list *typed, const struct uint_list *ids, uint32_t i)
{
    if (typed->count == ids->count)
        return depends_number(typed->items[i]) == ids->items[i] ? &typed->items[i] : NULL;
    for (uint32_t k = 0; k < typed->count; k++)
        if (depends_number(typed->items[k]) == ids->items[i])
            return &typed->items[k];
    return NULL;
}

static int show_one(struct arena *arena, const struct str *typed, uint64_t id, const struct depends_names *names, struct str *out)
{
    char text[ID_TEXT];
    if (typed) {
        *out = *typed;
        return 0;
    }
    if (names->name_of(names->self, id, out) && !depends_number(*out))
        return 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    *out = arena_str(arena, str_of(text));
    return out->ptr ? 0 : -1;
}

/* The conditions of those that have one of their own. */
static int show_conditions(struct arena *arena, const struct str_list *shown, const struct uint_list *whens, struct str *out)
{
    struct buf bytes = {.limit = CODEC_MAP_MAX};
    msgpack_packer packer;
    uint32_t count = 0;
    for (uint32_t i = 0; i < shown->count; i++)
        count += whens->items[i] >= 1 && whens->items[i] <= WORDS;
    msgpack_packer_init(&packer, &bytes, pack_to);
    msgpack_pack_map(&packer, count);
    for (uint32_t i = 0; i < shown->count; i++) {
        if (whens->items[i] < 1 || whens->items[i] > WORDS)
            continue;
        struct str word = str_of(depends_words[whens->items[i] - 1]);
        msgpack_pack_str(&packer, shown->items[i].len);
        msgpack_pack_str_body(&packer, shown->items[i].ptr, shown->items[i].len);
        msgpack_pack_str(&packer, word.len);
        msgpack_pack_str_body(&packer, word.ptr, word.len);
    }
    *out = bytes.failed ? (struct str){0} : arena_str(arena, buf_str(&bytes));
    buf_free(&bytes);
    return out->ptr ? 0 : -1;
}

int depends_show(struct arena *arena, struct rec_task_spec *spec, const struct uint_list *ids, const struct uint_list *whens,
                 const struct depends_names *names, bool *changed)
{
    const struct str_list *typed = &spec->dependencies;
    struct str_list shown = {.count = ids->count};
    struct str conditions = spec->dependency_conditions;
    bool own = whens->count == ids->count && whens->count > 0;
    *changed = own || typed->count != ids->count;
    if (!ids->count) {
        *changed = false;
        return 0;
    }
    shown.items = arena_alloc(arena, ids->count * sizeof *shown.items);
    if (!shown.items)
        return -1;
    for (uint32_t i = 0; i < ids->count; i++) {
        if (show_one(arena, typed_id(typed, ids, i), ids->items[i], names, &shown.items[i]))
            return -1;
        *changed = *changed || !str_eq(shown.items[i], typed->items[i]);
    }
    if (own && show_conditions(arena, &shown, whens, &conditions))
        return -1;
    spec->dependencies = shown;
    spec->dependency_conditions = conditions;
    return 0;
}
