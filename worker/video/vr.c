#include "worker/video/vr.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define WIDE 3840

static bool frame_is(const struct probe_stream *film)
{
    return film->width >= WIDE && film->height && (film->width == 2 * film->height || film->width == film->height);
}

static bool name_has(const char *path, const char *token, size_t len)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *end = strrchr(name, '.') ? strrchr(name, '.') : name + strlen(name);
    for (const char *at = name; at + len <= end; at++) {
        bool before = at == name || !isalnum((unsigned char)at[-1]), behind = at + len == end || !isalnum((unsigned char)at[len]);
        if (before && behind && strncasecmp(at, token, len) == 0)
            return true;
    }
    return false;
}

bool vr_is(const char *rules, const struct probe *probe, const char *path)
{
    const struct probe_stream *film = probe_film(probe);
    for (const char *at = rules; film && *at; at += *at == ',') {
        at += strspn(at, " ");
        size_t len = strcspn(at, ", ");
        if (len == 9 && strncmp(at, "spherical", len) == 0) {
            if (film->spherical)
                return true;
        } else if (len == 5 && strncmp(at, "frame", len) == 0) {
            if (frame_is(film))
                return true;
        } else if (len && name_has(path, at, len))
            return true;
        at += len;
        at += strspn(at, " ");
        if (*at && *at != ',')
            return false; /* blanks within a token: no rule of ours */
    }
    return false;
}
