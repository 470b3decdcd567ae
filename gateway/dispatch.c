#include "gateway/dispatch.h"

#include <strings.h>

#include "gateway/admit.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/reply.h"
#include "gateway/surfaces/surface.h"

/* Whose envelope answers what is refused before it is routed, as an address that cannot be read: the longest prefix decides. */
static const struct surface *surface_of(const struct connection *connection, const char *target)
{
    const struct surface *best = surfaces_all[0];

    if (connection->port)
        return connection->port->surface;
    for (size_t i = 1; surfaces_all[i]; i++) {
        size_t len = strlen(surfaces_all[i]->prefix);
        if (len > strlen(best->prefix) && strncmp(target, surfaces_all[i]->prefix, len) == 0 &&
            (target[len] == '\0' || strchr("/?", target[len])))
            best = surfaces_all[i];
    }
    return best;
}

void dispatch_target(struct request *request, const char *target)
{
    size_t len = strlen(target);

    request->match.surface = surface_of(request->connection, target);
    request->uri.path = STR_LIT("/");
    if (len > URI_MAX)
        return; /* told by dispatch_headers, as target stays empty */
    /* The raw target, and behind it room for what is decoded of it. */
    if (buf_add(&request->target, target, len) == 0)
        buf_add(&request->target, target, len);
}

void dispatch_refuse(struct request *request, const struct problem *problem)
{
    headers_name_request(request);
    reply_problem(request, problem);
}

static int check_target(struct request *request, struct problem *problem)
{
    struct err err = {0};
    struct buf *target = &request->target;
    uint32_t len = (uint32_t)(target->len / 2);

    if (target->failed)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    if (len == 0)
        return problem_value(problem, PROBLEM_URI_TOO_LONG, NULL, "uri_size", (struct str){NULL, 0}, "%d bytes", URI_MAX);
    struct str text = {target->data, len};
    if (uri_parse(text, target->data + len, &request->uri, &err) == 0) {
        credential_cut(&request->credentials, &request->uri);
        return 0;
    }
    request->uri.path = STR_LIT("/");
    const char *query = memchr(text.ptr, '?', text.len);
    if (query) /* it may hold a key, and is not shown */
        text.len = (uint32_t)(query - text.ptr);
    return problem_value(problem, PROBLEM_BAD_REQUEST, "uri", "uri", text, "%s", err.text);
}

static int check_framing(const struct request *request, struct problem *problem)
{
    const struct request_headers *headers = &request->headers;

    if (headers->broken)
        return problem_set(problem, PROBLEM_BAD_REQUEST, "headers", "header");
    if ((headers->chunked && headers->sized) || headers->lengths > 1)
        return problem_set(problem, PROBLEM_BAD_REQUEST, "Content-Length", "framing");
    if (headers->coded || (headers->chunked && !headers->needs_host)) /* HTTP/1.0 has none */
        return problem_set(problem, PROBLEM_BAD_REQUEST, "Transfer-Encoding", "coding");
    return 0;
}

static int check_guard(struct request *request, struct problem *problem)
{
    const struct guard *guard = &request->gateway->guard;
    struct str host = request->uri.authority.len ? request->uri.authority : request->headers.host;
    char local[64];
    struct str none = {NULL, 0};

    if (request->headers.needs_host && request->headers.host.len == 0)
        return problem_set(problem, PROBLEM_BAD_REQUEST, "Host", "required");
    if (request->headers.hosts > 1 || (host.len > 0 && !guard_host(guard, host, none) &&
                                       !guard_host(guard, host, connection_local(request->connection, local, sizeof local))))
        return problem_value(problem, PROBLEM_FORBIDDEN, "Host", "host", host, NULL);
    switch (guard_origin(guard, request->headers.origin, host)) {
    case ORIGIN_FOREIGN:
        if (request->match.surface->any_origin) {
            request->cross_origin = true;
            return 0;
        }
        if (request->method == METHOD_OPTIONS)
            return 0; /* answered, without the headers that would let the browser go on */
        return problem_value(problem, PROBLEM_FORBIDDEN, "Origin", "origin", request->headers.origin, NULL);
    case ORIGIN_LISTED:
        request->cross_origin = true;
        return 0;
    case ORIGIN_NONE:
    case ORIGIN_SAME:
        break;
    }
    return 0;
}

static int check_route(struct request *request, struct problem *problem)
{
    char list[64];

    if (request->uri.asterisk && request->method == METHOD_OPTIONS)
        request->match.methods = METHOD_GET | METHOD_POST | METHOD_PUT | METHOD_DELETE | METHOD_OPTIONS;
    if (request->match.methods == 0 || (request->uri.asterisk && request->method != METHOD_OPTIONS))
        return problem_value(problem, PROBLEM_NOT_FOUND, "path", "route", request->uri.path, NULL);
    if (request->match.route && request->method != METHOD_OPTIONS)
        return 0;
    request->allow = request->match.methods;
    if (request->method == METHOD_OPTIONS)
        return 0;
    return problem_value(problem, PROBLEM_METHOD, "method", "method", request->headers.method, "%s",
                         method_list(request->allow, list));
}

static bool media_type_json(struct str type)
{
    static const char json[] = "application/json";
    const uint32_t len = sizeof json - 1;

    return type.len >= len && strncasecmp(type.ptr, json, len) == 0 &&
           (type.len == len || type.ptr[len] == ';' || type.ptr[len] == ' ');
}

static int check_media_type(const struct request *request, struct problem *problem)
{
    struct str type = request->headers.content_type;

    if (media_type_json(type))
        return 0;
    return problem_value(problem, PROBLEM_MEDIA_TYPE, "Content-Type", "media_type", type, "application/json");
}

static int problem_too_large(const struct request *request, struct problem *problem)
{
    return problem_value(problem, PROBLEM_TOO_LARGE, "body", "body_size", (struct str){NULL, 0}, "%llu bytes",
                         (unsigned long long)request->gateway->limits.body);
}

/* Its body is a file of any size. */
static bool is_upload(const struct route_match *match)
{
    void (*const *upload)(struct request * request) = match->route ? match->surface->uploads : NULL;

    while (upload && *upload && *upload != match->route->handle)
        upload++;
    return upload && *upload;
}

enum dispatch dispatch_headers(struct request *request, bool refused)
{
    const struct request_headers *headers = &request->headers;
    enum limit_body size = limit_body(&request->gateway->limits, headers->content_length, headers->expects);
    struct problem problem;
    bool broken = true; /* what follows cannot be trusted to be this request's body */

    if (check_target(request, &problem) != 0 || check_framing(request, &problem) != 0)
        goto error;
    broken = false;
    if (check_guard(request, &problem) != 0)
        goto error;
    if (refused) {
        broken = true;
        problem_set(&problem, PROBLEM_OVERLOADED, NULL, "connections");
        goto error;
    }
    const struct port *port = request->connection->port;
    router_match(port ? port->router : request->gateway->router, request->method, request->uri.segments,
                 request->uri.segment_count, &request->match);
    if (admit_request(request, &problem) != 0 || check_route(request, &problem) != 0)
        goto error;
    if (is_upload(&request->match))
        return DISPATCH_OPEN;
    if (size != LIMIT_BODY_TAKE) {
        problem_too_large(request, &problem);
        goto error;
    }
    if (headers->content_length > 0 && check_media_type(request, &problem) != 0)
        goto error;
    return DISPATCH_READ;
error:
    dispatch_refuse(request, &problem);
    if (!broken && size != LIMIT_BODY_REFUSE && !headers->expects)
        return DISPATCH_READ;
    request->close = true;
    return DISPATCH_NOW;
}

void dispatch_open(struct request *request)
{
    request->opening = true;
    request_handle(request);
}

void dispatch_request(struct request *request)
{
    struct problem problem;

    if (request->answered)
        return;
    if (request->sink.take) {
        request->sink.whole(request->sink.self);
        return;
    }
    if (request->out_of_memory) {
        problem_set(&problem, PROBLEM_OVERLOADED, NULL, NULL);
        goto error;
    }
    if (request->too_large) {
        problem_too_large(request, &problem);
        goto error;
    }
    if (request->body.len > 0 && check_media_type(request, &problem) != 0)
        goto error;
    if (!request->match.route) {
        reply_empty(request, 204);
        return;
    }
    request_handle(request);
    return;
error:
    reply_problem(request, &problem);
}
