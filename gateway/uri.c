#include "gateway/uri.h"

#include <strings.h>

#include "proto/messages.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes text to *scratch and moves it on. plus: '+' is a space, as in queries. */
static int decode(struct str text, bool plus, char **scratch, struct str *out, struct err *err)
{
    char *to = *scratch;

    for (uint32_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
            if (low < 0)
                return err_set(err, ERR_BAD_REQUEST, "%% followed by two hexadecimal digits");
            c = (char)(high * 16 + low);
            i += 2;
            if (c == '\0')
                return err_set(err, ERR_BAD_REQUEST, "no NUL character");
        } else if (plus && c == '+') {
            c = ' ';
        }
        *to++ = c;
    }
    *out = (struct str){*scratch, (uint32_t)(to - *scratch)};
    *scratch = to;
    if (!str_utf8(*out))
        return err_set(err, ERR_BAD_REQUEST, "UTF-8");
    return 0;
}

static int segment_check(struct str segment, struct err *err)
{
    if (str_is(segment, ".") || str_is(segment, ".."))
        return err_set(err, ERR_BAD_REQUEST, "no \".\" or \"..\" in the path");
    for (uint32_t i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return err_set(err, ERR_BAD_REQUEST, "no control characters, backslashes or escaped slashes in the path");
    }
    return 0;
}

static int path_split(struct uri *out, char **scratch, struct err *err)
{
    const char *end = out->path.ptr + out->path.len;
    const char *at = out->path.ptr + 1;

    if (out->path.len == 1)
        return 0;
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        if (out->segment_count == URI_SEGMENTS)
            return err_set(err, ERR_BAD_REQUEST, "at most %d segments", URI_SEGMENTS);
        struct str *segment = &out->segments[out->segment_count++];
        if (decode((struct str){at, (uint32_t)(stop - at)}, false, scratch, segment, err) != 0)
            return -1;
        if (segment_check(*segment, err) != 0)
            return -1;
        if (!slash)
            return 0;
        at = slash + 1;
    }
}

static int query_split(struct uri *out, char **scratch, struct err *err)
{
    const char *at = out->query.ptr;
    const char *end = at + out->query.len;

    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (!stop)
            stop = end;
        if (stop > at) {
            const char *equals = memchr(at, '=', (size_t)(stop - at));
            const char *name_end = equals ? equals : stop;
            const char *value = equals ? equals + 1 : stop;
            if (out->param_count == URI_PARAMS)
                return err_set(err, ERR_BAD_REQUEST, "at most %d query parameters", URI_PARAMS);
            struct uri_param *param = &out->params[out->param_count++];
            if (decode((struct str){at, (uint32_t)(name_end - at)}, true, scratch, &param->name, err) != 0)
                return -1;
            if (decode((struct str){value, (uint32_t)(stop - value)}, true, scratch, &param->value, err) != 0)
                return -1;
        }
        at = stop + 1;
    }
    return 0;
}

/* http://host[:port]/path: the authority counts as the Host (RFC 9112). */
static struct str authority_cut(struct str *text)
{
    uint32_t scheme = 0;

    if (text->len >= 7 && strncasecmp(text->ptr, "http://", 7) == 0)
        scheme = 7;
    else if (text->len >= 8 && strncasecmp(text->ptr, "https://", 8) == 0)
        scheme = 8;
    else
        return (struct str){NULL, 0};
    struct str authority = {text->ptr + scheme, 0};
    while (scheme + authority.len < text->len && !strchr("/?", authority.ptr[authority.len]))
        authority.len++;
    text->ptr += scheme + authority.len;
    text->len -= scheme + authority.len;
    return authority;
}

int uri_parse(struct str text, char *scratch, struct uri *out, struct err *err)
{
    out->segment_count = out->param_count = 0;
    out->asterisk = false;
    out->authority = out->path = out->query = (struct str){"", 0};

    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c == 0x7f || c == '#')
            return err_set(err, ERR_BAD_REQUEST, "spaces, '#' and control characters escaped");
    }
    if (!str_utf8(text)) /* halves of a character, the rest of it escaped, would be UTF-8 once decoded */
        return err_set(err, ERR_BAD_REQUEST, "UTF-8");
    if (str_is(text, "*")) {
        out->asterisk = true;
        out->path = text;
        return 0;
    }
    out->authority = authority_cut(&text);
    if (text.len == 0 || text.ptr[0] != '/')
        return err_set(err, ERR_BAD_REQUEST, "a path that begins with /");
    const char *mark = memchr(text.ptr, '?', text.len);
    out->path = (struct str){text.ptr, mark ? (uint32_t)(mark - text.ptr) : text.len};
    if (mark)
        out->query = (struct str){mark + 1, text.len - out->path.len - 1};
    if (path_split(out, &scratch, err) != 0)
        return -1;
    return query_split(out, &scratch, err);
}

unsigned uri_param(const struct uri *uri, const char *name, struct str *value)
{
    unsigned found = 0;

    for (uint32_t i = 0; i < uri->param_count; i++) {
        if (!str_is(uri->params[i].name, name))
            continue;
        if (found++ == 0 && value)
            *value = uri->params[i].value;
    }
    return found;
}

bool uri_number(struct str text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.len == 0 || text.len > 19)
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (number == 0 || number > INT64_MAX)
        return false;
    *out = number;
    return true;
}
