/* Paths that differ only in the numbers of their last names, side by side: what a pattern stands for is found among them, however many paths are
 * known. A group is there as long as one of its paths is; what has no number in its name is in none. */
#include <stdlib.h>

#include "proto/pattern.h"
#include "proto/place.h"
#include "scheduler/farms/asset/asset.h"

/* The key of the group of a place, into out (ASSET_KEY bytes); empty: it is in none. */
static struct str group_key(const char *place, bool pattern, struct str unionid, char *out)
{
    const char *name = asset_last(place);
    size_t folder = (size_t)(name - place), len = folder + strlen(name) + 1 + unionid.len;

    if (len > ASSET_KEY)
        return (struct str){out, 0};
    memcpy(out, place, folder);
    if (!pattern_shape(name, pattern, out + folder))
        return (struct str){out, 0};
    len = strlen(out) + 1;
    if (unionid.len)
        memcpy(out + len, unionid.ptr, unionid.len);
    return (struct str){out, (uint32_t)len + unionid.len};
}

const char *asset_last(const char *place)
{
    const char *slash = strrchr(place, '/');

    return slash ? slash + 1 : place;
}

const struct asset_group *group_find(const struct assets *assets, const char *place, struct str unionid)
{
    char room[ASSET_KEY];
    struct str key = group_key(place, true, unionid, room);

    return key.len ? index_text(&assets->groups, key) : NULL;
}

int group_want(struct assets *assets, struct asset_name *name)
{
    char room[ASSET_KEY];
    struct str key = name->key.len ? group_key(name->path.ptr, false, text_str(name->unionid), room) : name->key;

    if (!key.len)
        return 0;
    name->group = index_text(&assets->groups, key);
    if (name->group)
        return 0;
    struct asset_group *group = index_reserve(&assets->groups, 1) == 0 ? calloc(1, sizeof *group + key.len) : NULL;
    if (!group)
        return -1;
    memcpy(group->bytes, key.ptr, key.len);
    group->key = (struct str){group->bytes, key.len};
    name->group = group;
    return 0;
}

void group_join(struct assets *assets, struct asset_name *name)
{
    struct asset_group *group = name->group;

    if (!group)
        return;
    if (!group->first)
        index_add(&assets->groups, group);
    name->before = group->last;
    *(group->last ? &group->last->behind : &group->first) = name;
    group->last = name;
}

void group_leave(struct assets *assets, struct asset_name *name)
{
    struct asset_group *group = name->group;

    if (!group)
        return;
    *(name->before ? &name->before->behind : &group->first) = name->behind;
    *(name->behind ? &name->behind->before : &group->last) = name->before;
    if (!group->first)
        index_remove(&assets->groups, group);
}

void group_drop(struct asset_name *name)
{
    if (name->group && !name->group->first)
        free(name->group);
    name->group = NULL;
}
