#include "gateway/credential.h"

#include <strings.h>

#define PARAMETER "api_key"
#define SCHEME "Bearer "

void credential_note(struct credentials *credentials, struct str *slot, struct str value)
{
    if (slot->ptr && !str_eq(*slot, value))
        credentials->differ = true;
    *slot = value.ptr ? value : (struct str){"", 0};
}

/* Whether the raw piece of a query is the parameter at `index`; pieces that are empty are no parameter. */
static bool piece_named(const struct uri *uri, uint32_t index)
{
    return str_is(uri->params[index].name, PARAMETER);
}

/* The raw query without its pieces of that name, which may be spelt with escapes: the n-th piece that is not empty is the n-th parameter. */
static void query_cut(struct uri *uri)
{
    char *to = (char *)(uintptr_t)uri->query.ptr;
    const char *at = uri->query.ptr, *end = at + uri->query.len;
    uint32_t index = 0, left = 0;

    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        if (len > 0 && !piece_named(uri, index++)) {
            if (left > 0)
                to[left++] = '&';
            memmove(to + left, at, len);
            left += (uint32_t)len;
        }
        at += len + 1;
    }
    uri->query.len = left;
}

void credential_cut(struct credentials *credentials, struct uri *uri)
{
    uint32_t kept = 0;

    if (uri_param(uri, PARAMETER, NULL) == 0)
        return;
    query_cut(uri);
    for (uint32_t i = 0; i < uri->param_count; i++) {
        if (piece_named(uri, i))
            credential_note(credentials, &credentials->parameter, uri->params[i].value);
        else
            uri->params[kept++] = uri->params[i];
    }
    uri->param_count = kept;
}

enum credential credential_find(const struct credentials *credentials, struct str *out)
{
    const uint32_t scheme = sizeof SCHEME - 1;
    struct str bearer = credentials->bearer;
    bool foreign = bearer.ptr && (bearer.len <= scheme || strncasecmp(bearer.ptr, SCHEME, scheme) != 0);
    struct str found = {NULL, 0};

    if (credentials->differ)
        return CREDENTIAL_MANY;
    if (foreign)
        return CREDENTIAL_FOREIGN;
    if (bearer.ptr)
        bearer = str_trim((struct str){bearer.ptr + scheme, bearer.len - scheme}, " ");
    const struct str all[] = {bearer, credentials->api_key, credentials->parameter};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].ptr)
            continue;
        if (found.ptr && !str_eq(found, all[i]))
            return CREDENTIAL_MANY;
        found = all[i];
    }
    *out = found;
    return found.ptr ? CREDENTIAL_ONE : CREDENTIAL_NONE;
}
