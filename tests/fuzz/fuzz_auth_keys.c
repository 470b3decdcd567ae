/* The keys file and the one beside it, and auth.trusted_networks: whatever the bytes, they are taken or refused with a message; what is taken
 * is written back and read as the same, and no text but a key of its own matches one. */
#include <stdlib.h>

#include "gateway/auth_keys.h"
#include "gateway/auth_networks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void round_trip(const struct auth_keys *keys)
{
    struct auth_keys back = {0};
    struct buf text = {0}, again = {0};
    struct err err = {0};

    check(auth_keys_write(keys, &text) == 0);
    check(auth_keys_parse(buf_str(&text), &back, &err) == 0 && back.count == keys->count);
    check(auth_keys_write(&back, &again) == 0 && str_eq(buf_str(&text), buf_str(&again)));
    buf_free(&text);
    buf_free(&again);
    auth_keys_free(&back);
}

static void take_keys(struct str text)
{
    struct auth_keys keys = {0};
    struct err err = {0};

    if (auth_keys_parse(text, &keys, &err) != 0) {
        check(err.text[0] != '\0' && keys.count == 0);
        return;
    }
    round_trip(&keys);
    auth_used_parse(text, &keys);
    for (size_t i = 0; i < keys.count; i++) {
        check(keys.rows[i].role >= ROLE_READONLY && keys.rows[i].role <= ROLE_ADMIN && keys.rows[i].rate <= AUTH_RATE_MAX);
        check(auth_keys_match(&keys, (struct str){text.ptr, text.len < AUTH_KEY_TEXT ? text.len : AUTH_KEY_TEXT}) == NULL);
    }
    auth_keys_free(&keys);
}

static void take_networks(struct str text)
{
    static struct networks networks;
    struct peer peer;
    struct err err = {0};

    networks.count = 0;
    if (networks_parse(text, &networks, &err) != 0) {
        check(err.text[0] != '\0' && networks.count == 0);
        return;
    }
    for (unsigned i = 0; i < networks.count; i++) { /* who has a network's own address is in it */
        const struct network *row = &networks.rows[i];
        check(row->prefix <= row->address.bits);
        check(networks_role(&networks, row->surface ? row->surface : "web", &row->address) != ROLE_NONE);
    }
    check(peer_parse(STR_LIT("203.0.113.7"), &peer));
    check(networks_role(&networks, "scheduler", &peer) <= ROLE_ADMIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > UINT32_MAX)
        return 0;
    take_keys((struct str){(const char *)data, (uint32_t)size});
    take_networks((struct str){(const char *)data, (uint32_t)size});
    return 0;
}
