/* Executor http, the half in the worker: writes a request file for `gantry-worker --http`, which runs as the run's process.
 *
 * metadata.http: {headers: {name: text}, body: text or object, expected_status: number or list of numbers}.
 * An object as body (or none, where there are parameters) is sent as JSON with the parameters merged in; a text goes as it is.
 */
#include "worker/executors/executor.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "worker/executors/http.h"
#include "worker/value.h"

static struct str http_part(const struct plan *plan, const char *name)
{
    struct str http, value;
    if (!value_find(plan->run->spec.metadata, STR_LIT("http"), &http) || !value_find(http, str_of(name), &value))
        return (struct str){0};
    return value;
}

static bool first_token(struct str value, struct token *token)
{
    struct reader reader = {.at = value.ptr, .end = value.ptr + value.len};
    return value.len && reader_next(&reader, token) == 0 && token->kind != TOKEN_NIL;
}

static int field(struct buf *out, const char *name, struct str value, struct err *err)
{
    if (value.len && memchr(value.ptr, '\0', value.len))
        return err_set(err, ERR_INVALID, "metadata.http holds a NUL byte");
    buf_text(out, name);
    buf_text(out, "=");
    if (value.len)
        buf_add(out, value.ptr, value.len);
    return buf_add(out, "", 1) < 0 ? err_set(err, ERR_NO_MEMORY, "no memory for an HTTP request") : 0;
}

/* `METHOD URL` or a URL. */
static int write_target(const struct plan *plan, bool has_body, struct buf *out, struct err *err)
{
    struct str command = plan->run->spec.command, method = has_body ? STR_LIT("POST") : STR_LIT("GET");
    const char *space = command.len ? memchr(command.ptr, ' ', command.len) : NULL;
    if (space) {
        method = (struct str){command.ptr, (uint32_t)(space - command.ptr)};
        while (*space == ' ' && space + 1 < command.ptr + command.len)
            space++;
        command = (struct str){space, command.len - (uint32_t)(space - command.ptr)};
    }
    if (method.len == 0 || method.len > HTTP_METHOD_MAX)
        return err_set(err, ERR_INVALID, "command is to be a URL, or METHOD URL");
    for (uint32_t i = 0; i < method.len; i++)
        if (method.ptr[i] < 'A' || method.ptr[i] > 'Z')
            return err_set(err, ERR_INVALID, "not an HTTP method: %.*s", (int)method.len, method.ptr);
    return field(out, "method", method, err) < 0 ? -1 : field(out, "url", command, err);
}

static int write_headers(const struct plan *plan, bool json, struct buf *out, struct err *err)
{
    struct pairs pairs;
    struct str name, value;
    bool typed = false;
    if (!pairs_begin(&pairs, http_part(plan, "headers")))
        return err_set(err, ERR_INVALID, "metadata.http.headers is to be an object");
    while (pairs_next(&pairs, &name, &value)) {
        struct buf line = {0};
        buf_add(&line, name.ptr, name.len);
        buf_text(&line, ": ");
        int rc = value_text(&line, value);
        if (rc < 0 || memchr(line.data, '\n', line.len) || memchr(line.data, '\r', line.len))
            rc = err_set(err, ERR_INVALID,
                         "a header of metadata.http.headers cannot be sent: it holds a line break, or is too long");
        else
            rc = field(out, "header", buf_str(&line), err);
        buf_free(&line);
        if (rc < 0)
            return -1;
        typed = typed || (name.len == 12 && strncasecmp(name.ptr, "content-type", 12) == 0);
    }
    return json && !typed ? field(out, "header", STR_LIT("Content-Type: application/json"), err) : 0;
}

static int write_status(const struct plan *plan, struct buf *out, struct err *err)
{
    struct str expected = http_part(plan, "expected_status");
    struct reader reader = {.at = expected.ptr, .end = expected.ptr + expected.len};
    struct token token;
    uint32_t count = 1;
    if (!first_token(expected, &token))
        return 0;
    if (token.kind == TOKEN_ARRAY) {
        reader_next(&reader, &token);
        count = token.u.count;
    }
    for (uint32_t i = 0; i < count; i++) {
        char text[24];
        if (reader_next(&reader, &token) < 0 || token.kind != TOKEN_UINT || token.u.natural < 100 || token.u.natural > 599)
            return err_set(err, ERR_INVALID,
                           "metadata.http.expected_status is to be a status from 100 to 599, or a list of them");
        snprintf(text, sizeof(text), "%" PRIu64, token.u.natural);
        if (field(out, "status", str_of(text), err) < 0)
            return -1;
    }
    return 0;
}

/* One object out of two: the parameters replace what the body has under the same name. */
static int merged_body(struct str body, struct str parameters, struct buf *out, struct err *err)
{
    const struct str parts[] = {body, parameters};
    struct str name, value, other;
    bool first = true;
    buf_text(out, "{");
    for (int i = 0; i < 2; i++) {
        struct pairs pairs;
        if (!pairs_begin(&pairs, parts[i]))
            return err_set(err, ERR_INVALID, "metadata.http.body is to be a text or an object");
        while (pairs_next(&pairs, &name, &value)) {
            if (i == 0 && value_find(parameters, name, &other))
                continue;
            buf_text(out, first ? "" : ",");
            first = false;
            value_json_text(out, name);
            buf_text(out, ":");
            if (value_json(out, value) < 0)
                return err_set(err, out->starved ? ERR_NO_MEMORY : ERR_INVALID, "the body cannot be written as JSON");
        }
    }
    return buf_text(out, "}") < 0 ? err_set(err, ERR_NO_MEMORY, "no memory for an HTTP request") : 0;
}

static int write_request(const struct plan *plan, struct buf *out, struct err *err)
{
    struct str body = http_part(plan, "body"), parameters = plan->run->parameters;
    struct token token;
    struct pairs pairs;
    bool has_parameters = pairs_begin(&pairs, parameters) && pairs.left > 0;
    bool has_body = first_token(body, &token), text = has_body && token.kind == TOKEN_STR;
    bool json = !text && (has_body || has_parameters);
    struct buf merged = {0};
    int rc = -1;
    if (write_target(plan, has_body || has_parameters, out, err) < 0 || write_headers(plan, json, out, err) < 0 ||
        write_status(plan, out, err) < 0)
        goto error;
    if (json && merged_body(has_body ? body : (struct str){0}, parameters, &merged, err) < 0)
        goto error;
    if (json || text)
        rc = field(out, "body", text ? token.u.text : buf_str(&merged), err);
    else
        rc = 0;
error:
    buf_free(&merged);
    return rc;
}

int executor_http(struct plan *plan, struct err *err)
{
    struct buf request = {.limit = HTTP_REQUEST_MAX};
    char path[PATH_MAX];
    int rc = write_request(plan, &request, err);
    if (rc == 0)
        rc = plan_file(plan, "request", buf_str(&request), path, err);
    buf_free(&request);
    if (rc < 0 || plan_arg(plan, str_of(plan->place.self), err) < 0 || plan_arg(plan, STR_LIT("--http"), err) < 0)
        return -1;
    return plan_arg(plan, str_of(path), err);
}
