#include "scheduler/farms/needs.h"

#include <stddef.h>

#define ARENA ((size_t)512 << 20)
#define HEX 32

struct need {
    struct str key;
};

void needs_open(struct needs *needs, uint64_t seed)
{
    *needs = (struct needs){.arena = arena_new(ARENA)};
    needs->failed = !needs->arena;
    index_init(&needs->files, offsetof(struct need, key), true, seed);
    index_init(&needs->whose, offsetof(struct need, key), true, seed);
}

void needs_close(struct needs *needs)
{
    index_free(&needs->files);
    index_free(&needs->whose);
    arena_free(needs->arena);
}

static void add(struct needs *needs, struct index *to, struct str key)
{
    if (needs->failed || index_text(to, key))
        return;
    struct need *need = index_reserve(to, 1) == 0 ? arena_alloc(needs->arena, sizeof *need) : NULL;
    needs->failed = !need;
    if (!need)
        return;
    need->key = key;
    index_add(to, need);
}

void needs_file(struct needs *needs, struct str hex)
{
    if (hex.len == HEX)
        add(needs, &needs->files, hex);
}

void needs_paths(struct needs *needs, struct str unionid)
{
    needs->anybody = true;
    add(needs, &needs->whose, unionid);
}

static char digit(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
        return c;
    return c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : '\0';
}

/* Of digits that are more than a hash has, each 32 may be one: where it begins is not known. */
void needs_text(struct needs *needs, struct str bytes)
{
    uint32_t digits = 0;
    for (uint32_t i = 0; i < bytes.len && !needs->failed; i++) {
        digits = digit(bytes.ptr[i]) ? digits + 1 : 0;
        if (digits < HEX)
            continue;
        char hex[HEX];
        for (uint32_t at = 0; at < HEX; at++)
            hex[at] = digit(bytes.ptr[i + 1 - HEX + at]);
        if (index_text(&needs->files, (struct str){hex, HEX})) /* many runs name the same file */
            continue;
        struct str kept = arena_str(needs->arena, (struct str){hex, HEX});
        needs->failed = !kept.ptr;
        if (kept.ptr)
            add(needs, &needs->files, kept);
    }
}

bool needs_has(const struct needs *needs, struct str hex)
{
    return needs->failed || index_text(&needs->files, hex);
}

bool needs_has_path(const struct needs *needs, struct str unionid)
{
    return needs->failed || (needs->anybody && (!unionid.len || index_text(&needs->whose, unionid)));
}
