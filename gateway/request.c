#include "gateway/request.h"

#include <stdio.h>

#include "gateway/audit.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "gateway/json.h"
#include "gateway/surfaces/surface.h"
#include "proto/ident.h"

#define REQUEST_MEMORY ((size_t)64 << 20)
#define IDEMPOTENCY_KEY_MAX 255

struct arena *request_arena(struct request *request)
{
    if (!request->arena)
        request->arena = arena_new(REQUEST_MEMORY);
    return request->arena;
}

void *request_alloc(struct request *request, size_t size)
{
    struct arena *arena = request_arena(request);
    return arena ? arena_alloc(arena, size) : NULL;
}

static bool blank(struct str text)
{
    for (uint32_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r\n", text.ptr[i]) || text.ptr[i] == '\0')
            return false;
    }
    return true;
}

static void tree_drop(struct request *request)
{
    json_decref(request->json);
    request->json = NULL;
    budget_release(&request->gateway->budget, &request->parsed);
}

void request_handle(struct request *request)
{
    request->match.route->handle(request);
    tree_drop(request);
}

void request_forget(struct request *request)
{
    tree_drop(request);
    if (request->body.size > BUDGET_SMALL)
        buf_free(&request->body);
    arena_free(request->arena);
    request->arena = NULL;
    request->own = NULL;
}

int request_read_json(struct request *request, struct problem *problem)
{
    struct err err = {0};

    if (request->json || blank(buf_str(&request->body)))
        return 0;
    if (!budget_hold(&request->gateway->budget, &request->parsed, json_cost(buf_str(&request->body))))
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    request->json = json_parse(buf_str(&request->body), &err);
    if (!request->json && err.code == ERR_NO_MEMORY)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    if (!request->json) {
        problem_value(problem, PROBLEM_BAD_REQUEST, "body", "json", (struct str){NULL, 0}, "%s", err.text);
        problem->value = problem->expected; /* what is wrong with it stands in for it */
        return -1;
    }
    if (!json_is_object(request->json))
        return problem_json(problem, "body", "json_object", request->json, "object");
    return 0;
}

int request_id(const struct request *request, unsigned index, uint64_t *out, struct problem *problem)
{
    if (uri_number(request->match.args[index], out))
        return 0;
    return problem_value(problem, PROBLEM_BAD_REQUEST, "id", "format", request->match.args[index], "1..%lld",
                         (long long)INT64_MAX);
}

bool request_param(const struct request *request, const char *name, struct str *value, struct problem *problem, int *fault)
{
    unsigned found = uri_param(&request->uri, name, value);

    if (found > 1)
        *fault = problem_value(problem, PROBLEM_BAD_REQUEST, name, "repeated", *value, NULL);
    return found == 1 && value->len > 0;
}

static bool key_valid(struct str key)
{
    if (key.len > IDEMPOTENCY_KEY_MAX)
        return false;
    for (uint32_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < 0x20 || key.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

const json_t *request_given(struct request *request, struct str path)
{
    struct problem problem;
    const json_t *at = request_read_json(request, &problem) == 0 ? request->json : NULL;

    while (at && path.len > 0) {
        const char *dot = memchr(path.ptr, '.', path.len);
        uint32_t len = dot ? (uint32_t)(dot - path.ptr) : path.len;
        at = json_object_getn(at, path.ptr, len);
        path.ptr += len + (dot ? 1 : 0);
        path.len -= len + (dot ? 1 : 0);
    }
    return at;
}

/* A scope nobody else has: the bus sends the same bytes when it asks again, so a minted key is safe to repeat too. */
static void key_mint(uint8_t scope[16])
{
    static char process[2 * 16 + 1];
    static uint64_t count;

    if (!process[0])
        ident_random(process, 16);
    count++;
    const struct str parts[] = {str_of(process), {(const char *)&count, sizeof count}};
    ident_hash(scope, parts, 2);
}

struct str request_whose(const struct request *request)
{
    return (struct str){(const char *)request->actor.scope, request->actor.scoped ? IDENT_HASH : 0};
}

int request_owner(struct request *request, struct str *owner, struct problem *problem)
{
    const struct str parts[] = {STR_LIT("worker"), request_whose(request)};

    *owner = (struct str){NULL, 0};
    if (request->actor.role == ROLE_ADMIN)
        return 0;
    unsigned char *hash = request_alloc(request, IDENT_HASH);
    if (!hash)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, NULL);
    ident_hash(hash, parts, 2);
    *owner = (struct str){(const char *)hash, IDENT_HASH};
    return 0;
}

/* Who has no credential is told from others of his network by his address. A machine may call itself by either of its own. */
static struct str caller_address(const struct request *request)
{
    static const struct peer self4 = {.bits = 32, .bytes = {127, 0, 0, 1}}, self6 = {.bits = 128, .bytes = {[15] = 1}};
    const struct peer *peer = request->connection ? &request->connection->peer : &self4;
    bool apart = !request->actor.scoped && !peer_within(peer, &self4, 32) && !peer_within(peer, &self6, 128);

    return (struct str){(const char *)peer->bytes, apart ? peer->bits / 8 : 0};
}

void request_scope(const struct request *request, const char *what, struct str key, uint8_t *out)
{
    struct str address = caller_address(request);
    const struct port *port = request->connection ? request->connection->port : NULL; /* one path is two on two ports */
    const struct str scope[] = {
        request_whose(request), str_of(what), request->uri.path, key, address, str_of(port ? port->surface->name : "")};

    ident_hash(out, scope, port ? 6 : address.len > 0 ? 5 : 4);
}

int request_idem(struct request *request, struct rec_idem *idem, struct problem *problem)
{
    struct str key = request->headers.idempotency_key;

    if (!key_valid(key))
        return problem_value(problem, PROBLEM_BAD_REQUEST, "Idempotency-Key", "idempotency_key", key,
                             "1..%d printable characters", IDEMPOTENCY_KEY_MAX);
    if (request->keyed) {
        ; /* the same command, asked again */
    } else if (key.len > 0) {
        request_scope(request, method_name(request->method), key, request->key_scope);
    } else {
        key_mint(request->key_scope);
    }
    const struct str body[] = {buf_str(&request->body), request->uri.query};
    ident_hash(request->key_body, body, 2);
    request->keyed = true;
    idem->scope = (struct str){(const char *)request->key_scope, sizeof request->key_scope};
    idem->body = (struct str){(const char *)request->key_body, sizeof request->key_body};
    audit_sign(request, idem);
    return 0;
}

void request_key_anew(struct request *request)
{
    key_mint(request->key_scope);
    request->keyed = true;
}
