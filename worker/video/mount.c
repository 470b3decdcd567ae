#include "worker/video/mount.h"

/* The next of a list of folders, without slashes at its end; false: there is none. */
static bool folder_next(struct str *list, struct str *folder)
{
    if (!list->len)
        return false;
    const char *end = memchr(list->ptr, ':', list->len);
    uint32_t len = end ? (uint32_t)(end - list->ptr) : list->len, step = end ? len + 1 : len;
    *folder = (struct str){list->ptr, len};
    *list = (struct str){list->ptr + step, list->len - step};
    while (folder->len > 1 && folder->ptr[folder->len - 1] == '/')
        folder->len--;
    return true;
}

struct str mount_of(struct str library, struct str prefix, struct str root)
{
    struct str theirs, ours = {0}, rest = prefix;
    bool more = true;
    while (folder_next(&library, &theirs)) {
        more = more && folder_next(&rest, &ours);
        if (str_eq(theirs, root))
            return more && ours.len ? ours : root;
    }
    bool one = folder_next(&prefix, &ours) && ours.len && !prefix.len;
    return one ? ours : root;
}
