#include "worker/render/place.h"

#include <ctype.h>
#include <string.h>

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static size_t step_len(const char *path)
{
    size_t len = 0;
    while (path[len] && !is_slash(path[len]))
        len++;
    return len;
}

bool place_below(const char *path, char *out, size_t size)
{
    size_t used = 0;
    bool drive = isalpha((unsigned char)path[0]) && path[1] == ':';
    for (bool first = true; *path; first = false) {
        size_t len = step_len(path), keep = first && drive ? 1 : len;
        bool nothing = len == 0 || (len == 1 && path[0] == '.');
        if (len == 2 && path[0] == '.' && path[1] == '.')
            return false;
        if (!nothing) {
            if (used + (used > 0) + keep + 1 > size)
                return false;
            if (used)
                out[used++] = '/';
            memcpy(out + used, path, keep);
            used += keep;
        }
        if (first && drive && len > 2) { /* C:textures */
            path += 2;
            continue;
        }
        path += len + (path[len] != '\0');
    }
    if (used == 0)
        return false;
    out[used] = '\0';
    return true;
}
