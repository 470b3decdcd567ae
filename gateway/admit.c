#include "gateway/admit.h"

#include "gateway/auth.h"
#include "gateway/connection.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/surfaces/surface.h"
#include "proto/clock.h"
#include "proto/log.h"

#define CHALLENGE "Bearer realm=\"gantry\""
#define CHALLENGE_AGAIN CHALLENGE ", error=\"invalid_token\""
#define REFUSED_MS 1000
#define HOST_BITS_V6 64 /* of an IPv6 address: one site's choice, and not to be counted as many callers */

/* Why a credential is not taken, as a rule of texts.def. */
static const char *const rules[] = {
    [AUTH_MISSING] = "credential_missing", [AUTH_DIFFER] = "credentials_differ", [AUTH_INVALID] = "credential_unknown",
    [AUTH_EXPIRED] = "credential_expired", [AUTH_EARLY] = "credential_early",    [AUTH_AUDIENCE] = "credential_audience",
    [AUTH_CLAIMS] = "credential_claims",
};

/* One line a second, however many try: every request has one of its own at `debug`. */
static void tell_refused(const struct request *request, enum auth_fault fault)
{
    static uint64_t told_ms, more;
    uint64_t now_ms = clock_mono_ms();
    char text[PEER_TEXT];

    if (told_ms != 0 && now_ms - told_ms < REFUSED_MS) {
        more++;
        return;
    }
    log_info("GTY-AUTH-REFUSED", "from=%s why=%s untold=%llu", peer_text(&request->connection->peer, text), rules[fault],
             (unsigned long long)more);
    told_ms = now_ms;
    more = 0;
}

static int refuse_unknown(struct request *request, enum auth_fault fault, struct problem *problem)
{
    if (fault == AUTH_NO_MEMORY)
        return problem_set(problem, PROBLEM_OVERLOADED, NULL, "memory");
    if (fault != AUTH_MISSING)
        tell_refused(request, fault);
    request->challenge = fault == AUTH_MISSING ? CHALLENGE : CHALLENGE_AGAIN;
    return problem_set(problem, PROBLEM_UNAUTHENTICATED, "Authorization", rules[fault]);
}

/* Whose bucket a request is taken from: the credential's, or the address's. */
static void rate_key(const struct request *request, uint8_t out[RATE_KEY])
{
    const struct peer *peer = &request->connection->peer;
    unsigned bits = peer->bits == 128 ? HOST_BITS_V6 : peer->bits;
    const struct str parts[] = {STR_LIT("address"), {(const char *)peer->bytes, bits / 8}};

    if (request->actor.scoped)
        memcpy(out, request->actor.scope, RATE_KEY);
    else
        ident_hash(out, parts, 2);
}

static int check_rate(struct request *request, struct problem *problem)
{
    struct gateway *gateway = request->gateway;
    struct rate_limit limit = gateway->rate_limit;
    uint8_t key[RATE_KEY];

    if (request->actor.rate)
        limit = (struct rate_limit){.per_minute = request->actor.rate};
    if (!gateway->rate || limit.per_minute == 0)
        return 0;
    rate_key(request, key);
    if (rate_take(gateway->rate, key, limit, clock_mono_ms(), &request->rate))
        return 0;
    problem_value(problem, PROBLEM_LIMIT, NULL, "rate", (struct str){NULL, 0}, "%u", limit.per_minute);
    problem->retry_after = request->rate.wait_s;
    return -1;
}

/* Verifying signatures is what strangers could make us do most of: nobody's address that has used up its requests has one verified. */
static int refuse_costly(struct request *request, struct problem *problem)
{
    struct gateway *gateway = request->gateway;
    uint8_t key[RATE_KEY];

    if (!gateway->rate || gateway->rate_limit.per_minute == 0 || !auth_is_costly(gateway->auth, &request->credentials))
        return 0;
    rate_key(request, key);
    if (rate_has(gateway->rate, key, gateway->rate_limit, clock_mono_ms(), &request->rate))
        return 0;
    problem_value(problem, PROBLEM_LIMIT, NULL, "rate", (struct str){NULL, 0}, "%u", gateway->rate_limit.per_minute);
    problem->retry_after = request->rate.wait_s;
    return -1;
}

/* The header that a browser asks with before it asks has no credential (OPTIONS), and a load balancer has none either. */
static bool asks_for_none(const struct request *request)
{
    return request->method == METHOD_OPTIONS || (request->match.route && request->match.route->role == ROLE_ANYONE);
}

int admit_request(struct request *request, struct problem *problem)
{
    const struct route *route = request->match.route;

    if (asks_for_none(request))
        return 0;
    if (refuse_costly(request, problem) != 0)
        return -1;
    enum auth_fault fault = auth_identify(request->gateway->auth, &request->credentials, request->match.surface->name,
                                          &request->connection->peer, &request->actor);
    /* Before the credential is judged, so that guessing has a limit too. */
    if (check_rate(request, problem) != 0)
        return -1;
    if (fault != AUTH_FINE)
        return refuse_unknown(request, fault, problem);
    if (!route || role_may(request->actor.role, route->role))
        return 0;
    return problem_value(problem, PROBLEM_FORBIDDEN, "role", "role", str_of(role_name(request->actor.role)), "%s",
                         role_name(route->role));
}

bool admit_holds(const struct request *request)
{
    return !request->gateway->auth ||
           auth_holds(request->gateway->auth, &request->actor, request->match.surface->name, &request->connection->peer);
}

void admit_refuse(struct request *request)
{
    struct problem problem;

    request->challenge = CHALLENGE_AGAIN;
    problem_set(&problem, PROBLEM_UNAUTHENTICATED, "Authorization", rules[AUTH_INVALID]);
    reply_problem(request, &problem);
}
