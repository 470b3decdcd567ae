#include "gateway/headers.h"

#include <microhttpd.h>
#include <stdio.h>
#include <strings.h>

#include "gateway/auth.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "proto/clock.h"
#include "proto/ident.h"

/* A name that is a token and a value without control characters (RFC 9110). libmicrohttpd takes more: a name with a blank behind it, which is
 * then another name; a carriage return within a value, which others end the line at. */
static bool header_whole(const char *key, size_t key_size, struct str value)
{
    for (size_t i = 0; i < key_size; i++) {
        unsigned char c = (unsigned char)key[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    for (uint32_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return key_size > 0;
}

/* A line that goes on in the next one becomes, with libmicrohttpd, a header whose name ends in that: it would not be seen to be about the
 * body's length. */
static bool framing_folded(const char *key, size_t key_size)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i]);
        if (key_size > len && strncasecmp(key, names[i], len) == 0)
            return true;
    }
    return false;
}

#define LENGTH_MOST (UINT64_MAX / 10 - 1) /* what is more is too much, whatever it is */

static void length_read(struct request_headers *headers, struct str text)
{
    headers->lengths++;
    headers->sized = true;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            headers->broken = true;
        else if (headers->content_length < LENGTH_MOST)
            headers->content_length = headers->content_length * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    headers->broken = headers->broken || text.len == 0;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size, const char *value,
                                 size_t value_size)
{
    struct request *request = cls;
    struct request_headers *headers = &request->headers;
    struct str text = {value, (uint32_t)value_size};
    struct str *slot = NULL;
    (void)kind;

    headers->broken = headers->broken || !header_whole(key, key_size, text) || framing_folded(key, key_size);
    switch (key_size) {
    case 4:
        if (strcasecmp(key, "Host") == 0) {
            slot = &headers->host;
            headers->hosts++;
        }
        break;
    case 5:
        if (strcasecmp(key, "Range") == 0)
            slot = &headers->range;
        break;
    case 6:
        if (strcasecmp(key, "Origin") == 0)
            slot = &headers->origin;
        else if (strcasecmp(key, "Expect") == 0)
            headers->expects = true;
        break;
    case 8:
        if (strcasecmp(key, "If-Range") == 0)
            slot = &headers->if_range;
        break;
    case 9:
        if (strcasecmp(key, "X-API-Key") == 0)
            credential_note(&request->credentials, &request->credentials.api_key, text);
        break;
    case 12:
        if (strcasecmp(key, "Content-Type") == 0)
            slot = &headers->content_type;
        else if (strcasecmp(key, "X-Request-Id") == 0)
            slot = &headers->request_id;
        break;
    case 13:
        if (strcasecmp(key, "Last-Event-ID") == 0)
            slot = &headers->last_event_id;
        else if (strcasecmp(key, "Content-Range") == 0)
            slot = &headers->content_range;
        else if (strcasecmp(key, "Authorization") == 0)
            credential_note(&request->credentials, &request->credentials.bearer, text);
        break;
    case 14:
        if (strcasecmp(key, "Content-Length") == 0)
            length_read(headers, text);
        break;
    case 15:
        if (strcasecmp(key, "Accept-Language") == 0)
            slot = &headers->accept_language;
        else if (strcasecmp(key, "Idempotency-Key") == 0)
            slot = &headers->idempotency_key;
        break;
    case 16:
        if (strcasecmp(key, "X-Content-SHA256") == 0)
            slot = &headers->content_sha256;
        break;
    case 17:
        if (strcasecmp(key, "Transfer-Encoding") == 0) {
            headers->coded = headers->chunked || strcasecmp(value ? value : "", "chunked") != 0;
            headers->chunked = true;
        }
        break;
    default:
        break;
    }
    if (slot)
        *slot = text;
    return MHD_YES;
}

/* Random per process and counted within it: nothing is asked of the kernel for every request. */
static void mint(char out[65])
{
    static char process[2 * 8 + 1];
    static uint32_t count;

    if (!process[0])
        ident_random(process, 8);
    snprintf(out, 65, "req_%s%08x", process, ++count);
}

void headers_name_request(struct request *request)
{
    if (ident_valid(request->headers.request_id))
        str_copy(request->rid, sizeof request->rid, request->headers.request_id);
    else if (!request->rid[0])
        mint(request->rid);
}

void headers_read(struct request *request, struct MHD_Connection *mhd, const char *method)
{
    struct str word = str_of(method);

    request->method = method_parse(word);
    request->headers.method = word;
    request->head = str_is(word, "HEAD");
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_header, request);
    request->lang = text_language(request->headers.accept_language);
    headers_name_request(request);
}

struct str headers_find(const struct request *request, const char *name)
{
    const char *value = NULL;
    size_t size = 0;

    MHD_lookup_connection_value_n(request->connection->mhd, MHD_HEADER_KIND, name, strlen(name), &value, &size);
    return (struct str){value, value ? (uint32_t)size : 0};
}

struct head {
    struct MHD_Response *response;
    bool failed;
};

static void header(struct head *head, const char *name, const char *value)
{
    if (value[0]) /* an empty one is not taken */
        head->failed = MHD_add_response_header(head->response, name, value) != MHD_YES || head->failed;
}

static void allow_origin(const struct request *request, struct head *head)
{
    char origin[256], methods[64];

    if (!str_copy(origin, sizeof origin, request->headers.origin))
        return;
    header(head, "Access-Control-Allow-Origin", origin);
    header(
        head, "Access-Control-Expose-Headers",
        "X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Location, ETag, Tus-Resumable, "
        "Upload-Offset, Upload-Length, Upload-Metadata, Upload-Expires");
    if (request->method == METHOD_OPTIONS) {
        header(head, "Access-Control-Allow-Methods", method_list(request->allow, methods));
        header(head, "Access-Control-Allow-Headers",
               "Content-Type, Authorization, X-API-Key, Idempotency-Key, X-Request-Id, Accept-Language, Last-Event-ID, "
               "Tus-Resumable, "
               "Upload-Length, Upload-Offset, Upload-Metadata, Upload-Checksum");
        header(head, "Access-Control-Max-Age", "600");
    }
}

static void number(struct head *head, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    header(head, name, text);
}

/* Reset is the time, in seconds since 1970, at which nothing of what was used is missing any more. */
static void rate_write(const struct rate_state *rate, struct head *head)
{
    if (rate->limit == 0)
        return;
    number(head, "X-RateLimit-Limit", rate->limit);
    number(head, "X-RateLimit-Remaining", rate->remaining);
    number(head, "X-RateLimit-Reset", clock_wall_ms() / 1000 + rate->full_s);
}

/* What a client needs to go on where it was. */
static void file_write(const struct request *request, struct head *head)
{
    const struct file_part *file = &request->file;
    char text[96];

    header(head, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    header(head, MHD_HTTP_HEADER_ETAG, file->tag);
    if (request->status == 416)
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)file->total);
    else
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)file->offset,
                 (unsigned long long)(file->offset + file->length - 1), (unsigned long long)file->total);
    if (request->status != 200)
        header(head, MHD_HTTP_HEADER_CONTENT_RANGE, text);
}

static void more_write(const struct buf *more, struct head *head)
{
    const char *at = more->data, *end = at + more->len;

    head->failed = head->failed || more->failed;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        header(head, at, value);
        at = value + strlen(value) + 1;
    }
}

int headers_write(const struct request *request, struct MHD_Response *response, bool stopping)
{
    struct head head = {.response = response};
    char text[64];

    header(&head, "X-Request-Id", request->rid);
    if (request->content_type)
        header(&head, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
    if (request->allow)
        header(&head, MHD_HTTP_HEADER_ALLOW, method_list(request->allow, text));
    if (request->retry_after)
        number(&head, MHD_HTTP_HEADER_RETRY_AFTER, request->retry_after);
    if (request->challenge)
        header(&head, MHD_HTTP_HEADER_WWW_AUTHENTICATE, request->challenge);
    if (request->file.there || request->status == 416)
        file_write(request, &head);
    more_write(&request->more, &head);
    rate_write(&request->rate, &head);
    /* With credentials also because a cache between us knows of one header of theirs only. */
    if (request->stream.read || request->page || (request->gateway->auth && auth_is_on(request->gateway->auth)))
        header(&head, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (request->page) {
        header(&head, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        header(&head, "X-Content-Type-Options", "nosniff");
        header(&head, "Referrer-Policy", "no-referrer");
    }
    if (request->gateway->guard.origins[0])
        header(&head, MHD_HTTP_HEADER_VARY, "Origin");
    if (request->cross_origin)
        allow_origin(request, &head);
    if (request->close || stopping)
        header(&head, MHD_HTTP_HEADER_CONNECTION, "close");
    return head.failed ? -1 : 0;
}
