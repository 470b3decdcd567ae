#include "gateway/target.h"

#include <curl/curl.h>

#include "gateway/auth_networks.h"
#include "proto/messages.h"

static bool link_local(const struct peer *peer)
{
    static const struct {
        struct peer network;
        unsigned prefix;
    } rows[] = {
        {{32, {169, 254}}, 16},
        {{128, {0xfe, 0x80}}, 10},
        {{32, {0}}, 8}, /* this machine, as an address of nobody */
        {{128, {0}}, 128},
        /* Where clouds answer that do not use 169.254.169.254, each on every machine of theirs: */
        {{128, {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54}}, 128}, /* Amazon */
        {{128, {0xfd, 0x20, 0, 0xce, [14] = 0x02, 0x54}}, 128}, /* Google */
        {{32, {168, 63, 129, 16}}, 32},                         /* Azure */
        {{32, {100, 100, 100, 200}}, 32},                       /* Alibaba */
        {{32, {192, 0, 0, 192}}, 32},                           /* Oracle */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (peer_within(peer, &rows[i].network, rows[i].prefix))
            return true;
    }
    return false;
}

/* The IPv4 address that an IPv6 one leads to: ::a.b.c.d, NAT64 (64:ff9b::/96, and 64:ff9b:1::/48 of RFC 8215 with a /96 below), 6to4 (2002::/16). False if it does not. */
static bool inner_of(const struct peer *peer, struct peer *out)
{
    static const struct peer compatible = {128, {0}}, nat64 = {128, {0, 0x64, 0xff, 0x9b}},
                             local_nat64 = {128, {0, 0x64, 0xff, 0x9b, 0, 1}}, six_to_four = {128, {0x20, 0x02}};
    bool last = peer_within(peer, &compatible, 96) || peer_within(peer, &nat64, 96) || peer_within(peer, &local_nat64, 48);

    if (!last && !peer_within(peer, &six_to_four, 16))
        return false;
    *out = (struct peer){.bits = 32};
    memcpy(out->bytes, peer->bytes + (last ? 12 : 2), 4);
    return true;
}

static bool denied(const struct targets *targets, const struct peer *peer)
{
    for (unsigned i = 0; i < targets->count; i++) {
        if (peer_within(peer, &targets->denied[i].address, targets->denied[i].prefix))
            return true;
    }
    return link_local(peer);
}

bool target_allowed(const struct targets *targets, const struct peer *peer)
{
    static const struct peer loopback_v6 = {128, {[15] = 1}};
    struct peer inner;

    if (peer->bits == 0 || denied(targets, peer))
        return false;
    if (peer_within(peer, &loopback_v6, 128)) /* is no IPv4 address, though it looks like ::0.0.0.1 */
        return true;
    return !inner_of(peer, &inner) || !denied(targets, &inner);
}

int targets_parse(struct str text, struct targets *out, struct err *err)
{
    struct targets fresh = {0};
    struct network row;
    struct str part;

    while (str_item(&text, &part)) {
        if (!network_parse(part, &row))
            return err_set(err, ERR_INVALID, "\"%.*s\" does not name a network, as 10.0.0.0/8 or fd00::/8", (int)part.len,
                           part.ptr);
        if (fresh.count == TARGETS_MAX)
            return err_set(err, ERR_LIMIT, "more than %d networks", TARGETS_MAX);
        fresh.denied[fresh.count++] = (struct target_row){row.address, row.prefix};
    }
    *out = fresh;
    return 0;
}

/* ---- addresses as clients give them ---- */

static enum target_fault host_check(const struct targets *targets, const char *host)
{
    size_t len = strlen(host);
    struct peer peer;

    if (len > 2 && host[0] == '[') { /* without its brackets and zone */
        host++;
        len = strcspn(host, "%]");
    }
    if (!peer_parse((struct str){host, (uint32_t)len}, &peer))
        return TARGET_FINE; /* a name: looked at when it is connected to */
    return target_allowed(targets, &peer) ? TARGET_FINE : TARGET_ADDRESS;
}

/* Whether two slashes are behind the scheme, as RFC 3986 has it: libcurl reads one or three as two. */
static bool two_slashes(const char *url)
{
    const char *colon = strchr(url, ':');
    return colon && strncmp(colon, "://", 3) == 0 && colon[3] != '/';
}

enum target_fault target_check(const struct targets *targets, struct str url)
{
    char text[2049], *scheme = NULL, *host = NULL, *user = NULL;
    enum target_fault fault = TARGET_MALFORMED;
    CURLU *parts = curl_url();

    if (!parts || memchr(url.ptr, '\0', url.len) || !str_copy(text, sizeof text, url) || !two_slashes(text) ||
        curl_url_set(parts, CURLUPART_URL, text, 0))
        goto error;
    for (uint32_t i = 0; i < url.len; i++) {
        if ((unsigned char)url.ptr[i] <= ' ' || (unsigned char)url.ptr[i] >= 0x7f)
            goto error;
    }
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(parts, CURLUPART_HOST, &host, 0))
        goto error;
    fault = TARGET_SCHEME;
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        goto error;
    fault = curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK ? TARGET_USER : host_check(targets, host);
error:
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(parts);
    return fault;
}
