#include "gateway/guard.h"

#include <strings.h>

static bool same(struct str a, struct str b)
{
    return a.len == b.len && a.len > 0 && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* True when word is one of a comma-separated list. */
static bool listed(const char *list, struct str word)
{
    while (list && *list) {
        list += strspn(list, ", ");
        struct str item = {list, (uint32_t)strcspn(list, ", ")};
        if (same(item, word))
            return true;
        list += item.len;
    }
    return false;
}

/* Takes the port off; the brackets of an IPv6 address too. False when what is left or the port is malformed. */
static bool host_name(struct str *host)
{
    struct str port;

    if (host->len > 0 && host->ptr[0] == '[') {
        const char *close = memchr(host->ptr, ']', host->len);
        if (!close)
            return false;
        port = (struct str){close + 1, (uint32_t)(host->ptr + host->len - close - 1)};
        *host = (struct str){host->ptr + 1, (uint32_t)(close - host->ptr - 1)};
    } else {
        const char *colon = host->len ? memchr(host->ptr, ':', host->len) : NULL;
        const char *end = host->ptr + host->len;
        port = colon ? (struct str){colon, (uint32_t)(end - colon)} : (struct str){NULL, 0};
        host->len -= port.len;
    }
    if (port.len > 0 && port.ptr[0] != ':')
        return false;
    for (uint32_t i = 1; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9' || i > 5)
            return false;
    }
    return host->len > 0;
}

bool guard_host(const struct guard *guard, struct str host, struct str local)
{
    if (!host_name(&host))
        return false;
    if (same(host, STR_LIT("localhost")) || same(host, STR_LIT("127.0.0.1")) || same(host, STR_LIT("::1")))
        return true;
    struct str bound = str_of(guard->bound);
    bool any = str_is(bound, "0.0.0.0") || str_is(bound, "::");
    if (any ? same(host, local) : same(host, bound))
        return true;
    return listed(guard->names, host);
}

enum guard_origin guard_origin(const struct guard *guard, struct str origin, struct str host)
{
    if (origin.len == 0)
        return ORIGIN_NONE;
    if (listed(guard->origins, origin))
        return ORIGIN_LISTED;
    uint32_t scheme = 0;
    if (origin.len > 7 && strncasecmp(origin.ptr, "http://", 7) == 0)
        scheme = 7;
    else if (origin.len > 8 && strncasecmp(origin.ptr, "https://", 8) == 0)
        scheme = 8;
    if (scheme && same((struct str){origin.ptr + scheme, origin.len - scheme}, host))
        return ORIGIN_SAME;
    return ORIGIN_FOREIGN;
}
