/* The request target, taken apart: checked as it arrived, decoded once, refused when it is not clean.
 *
 * libmicrohttpd cuts an address at %00 and decodes before anybody can look: so this reads the raw target.
 */
#ifndef GANTRY_GATEWAY_URI_H
#define GANTRY_GATEWAY_URI_H

#include "proto/str.h"

#define URI_MAX 8192    /* bytes of a target */
#define URI_SEGMENTS 16 /* path segments */
#define URI_PARAMS 32   /* query parameters */

struct uri_param {
    struct str name;
    struct str value;
};

struct uri {
    struct str authority;              /* of an absolute target (http://host/…), else empty */
    struct str path;                   /* as it arrived, without the query: for logs and keys */
    struct str query;                  /* as it arrived, without its '?' */
    struct str segments[URI_SEGMENTS]; /* decoded; "/" has none */
    uint32_t segment_count;
    struct uri_param params[URI_PARAMS]; /* decoded */
    uint32_t param_count;
    bool asterisk; /* the target is "*" */
};

/* Takes text apart into out. scratch (as many bytes as text has) holds what is decoded; out borrows from both.
 * -1 with err (ERR_BAD_REQUEST): no '/' in front, characters that must be escaped, bad escapes, NUL or control characters, an escaped
 * '/' or a backslash in the path, "." or ".." as a segment, invalid UTF-8, too many segments or parameters. */
int uri_parse(struct str text, char *scratch, struct uri *out, struct err *err);

/* How often name is in the query; the first value goes to *value (may be NULL). */
unsigned uri_param(const struct uri *uri, const char *name, struct str *value);

/* Reads 1..2^63-1 in decimal digits and nothing else. */
bool uri_number(struct str text, uint64_t *out);

#endif
