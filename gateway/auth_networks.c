#include "gateway/auth_networks.h"

#include "gateway/surfaces/surface.h"
#include "proto/messages.h"

#define BLANKS " \t"

/* 10.0.0.0/8, fd00::/8, or a plain address. */
static bool cidr_parse(struct str text, struct network *out)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    uint32_t len = slash ? (uint32_t)(slash - text.ptr) : text.len;
    struct str digits = slash ? (struct str){slash + 1, text.len - len - 1} : (struct str){NULL, 0};

    if (!peer_parse((struct str){text.ptr, len}, &out->address))
        return false;
    out->prefix = out->address.bits;
    if (!slash)
        return true;
    /* A mapped address would have a prefix of another kind. */
    if (digits.len < 1 || digits.len > 3 || (memchr(text.ptr, ':', len) != NULL) != (out->address.bits == 128))
        return false;
    out->prefix = 0;
    for (uint32_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        out->prefix = out->prefix * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    return out->prefix <= out->address.bits;
}

/* 10.1.2.3/8 is somebody's mistake: the network is 10.0.0.0/8, or the address 10.1.2.3. */
static bool tail_is_zero(const struct network *network)
{
    struct peer zero = network->address;

    for (unsigned bit = network->prefix; bit < network->address.bits; bit++)
        zero.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    return memcmp(zero.bytes, network->address.bytes, sizeof zero.bytes) == 0;
}

bool network_parse(struct str text, struct network *out)
{
    *out = (struct network){0};
    return cidr_parse(text, out) && tail_is_zero(out);
}

static const char *surface_named(struct str name)
{
    for (const struct surface *const *surface = surfaces_all; *surface; surface++) {
        if (str_is(name, (*surface)->name))
            return (*surface)->name;
    }
    return NULL;
}

static int row_parse(struct str text, struct network *out, struct err *err)
{
    const char *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;

    *out = (struct network){0};
    if (!equals)
        return err_set(err, ERR_INVALID, "\"%.*s\" is not CIDR=role or surface:CIDR=role", (int)text.len, text.ptr);
    struct str where = {text.ptr, (uint32_t)(equals - text.ptr)};
    struct str role = {equals + 1, text.len - where.len - 1};
    where = str_trim(where, BLANKS);
    if (!role_parse(str_trim(role, BLANKS), &out->role))
        return err_set(err, ERR_INVALID, "\"%.*s\": the role is one of " ROLE_WORDS, (int)text.len, text.ptr);
    /* An IPv6 address has colons too: what reads as one is one. */
    const char *colon = where.len ? memchr(where.ptr, ':', where.len) : NULL;
    if (!cidr_parse(where, out) && colon) {
        struct str name = {where.ptr, (uint32_t)(colon - where.ptr)};
        out->surface = surface_named(name);
        if (!out->surface)
            return err_set(err, ERR_INVALID, "\"%.*s\": there is no surface of that name here", (int)text.len, text.ptr);
        where = (struct str){colon + 1, where.len - name.len - 1};
    }
    if (!cidr_parse(where, out))
        return err_set(err, ERR_INVALID, "\"%.*s\" does not name a network, as 10.0.0.0/8 or fd00::/8", (int)text.len, text.ptr);
    if (!tail_is_zero(out))
        return err_set(err, ERR_INVALID, "\"%.*s\": the address has bits set behind its prefix", (int)text.len, text.ptr);
    return 0;
}

static bool same_place(const struct network *a, const struct network *b)
{
    return a->prefix == b->prefix && a->surface == b->surface && a->address.bits == b->address.bits &&
           memcmp(a->address.bytes, b->address.bytes, sizeof a->address.bytes) == 0;
}

int networks_parse(struct str text, struct networks *out, struct err *err)
{
    struct networks fresh = {0};
    struct network row;
    struct str part;

    while (str_item(&text, &part)) {
        if (row_parse(part, &row, err) != 0)
            return -1;
        for (unsigned i = 0; i < fresh.count; i++) {
            if (same_place(&fresh.rows[i], &row))
                return err_set(err, ERR_INVALID, "\"%.*s\": that network has a role already", (int)part.len, part.ptr);
        }
        if (fresh.count == NETWORKS_MAX)
            return err_set(err, ERR_LIMIT, "more than %d networks", NETWORKS_MAX);
        fresh.rows[fresh.count++] = row;
    }
    *out = fresh;
    return 0;
}

enum role networks_role(const struct networks *networks, const char *surface, const struct peer *peer)
{
    const struct network *best = NULL;

    for (unsigned i = 0; i < networks->count; i++) {
        const struct network *row = &networks->rows[i];
        if ((row->surface && strcmp(row->surface, surface) != 0) || !peer_within(peer, &row->address, row->prefix))
            continue;
        if (!best || row->prefix > best->prefix || (row->prefix == best->prefix && row->surface))
            best = row;
    }
    return best ? best->role : ROLE_NONE;
}
