#include "proto/url.h"

#include <string.h>
#include <strings.h>

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool url_is_secret(const char *start, const char *at)
{
    static const char *const names[] = {"password", "passwd", "pwd", "pass", "token", "secret"};
    size_t before = (size_t)(at - start);
    for (size_t i = 0; before > 0 && at[-1] == '=' && i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i]) + 1;
        const char *name = before >= len ? at - len : NULL;
        if (name && strncasecmp(name, names[i], len - 1) == 0 && (name == start || !is_word(name[-1])))
            return true;
    }
    return false;
}

/* User and password; empty: there are none. */
static struct str user_of(struct str url)
{
    const char *scheme = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    uint32_t from = scheme ? (uint32_t)(scheme - url.ptr) + 3 : 0, at = from;
    for (uint32_t i = from; i < url.len && url.ptr[i] != '/'; i++)
        if (url.ptr[i] == '@')
            at = i;
    return (struct str){url.ptr + from, at - from};
}

/* What is secret at or behind that place. False: nothing. */
static bool secret_next(struct str url, uint32_t from, struct str *secret)
{
    *secret = from == 0 ? user_of(url) : (struct str){0};
    for (uint32_t i = from; !secret->len && i < url.len; i++) {
        if (!url_is_secret(url.ptr, url.ptr + i))
            continue;
        const char *end = memchr(url.ptr + i, '&', url.len - i); /* whatever else it has, it may be of the password */
        *secret = (struct str){url.ptr + i, end ? (uint32_t)(end - url.ptr) - i : url.len - i};
    }
    return secret->len > 0;
}

void url_mask(struct buf *out, struct str url)
{
    struct str secret;
    uint32_t done = 0;
    while (secret_next(url, done, &secret)) {
        buf_add(out, url.ptr + done, (size_t)(secret.ptr - url.ptr) - done);
        buf_add(out, URL_MASK, sizeof URL_MASK - 1);
        done = (uint32_t)(secret.ptr - url.ptr) + secret.len;
    }
    buf_add(out, url.ptr + done, url.len - done);
}

size_t url_mask_len(struct str url)
{
    struct str secret;
    size_t len = url.len;
    for (uint32_t done = 0; secret_next(url, done, &secret); done = (uint32_t)(secret.ptr - url.ptr) + secret.len)
        len = len + sizeof URL_MASK - 1 - secret.len;
    return len;
}

bool url_is_masked(struct str url)
{
    struct str secret;
    for (uint32_t done = 0; secret_next(url, done, &secret); done = (uint32_t)(secret.ptr - url.ptr) + secret.len)
        if (str_is(secret, URL_MASK))
            return true;
    return false;
}
