/* Where webhooks may be sent, and what they are signed with (the input: a byte, then an address, a list of networks or a secret). What is
 * let through is http or https, and in figures it is no link-local address. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "gateway/event_type.h"
#include "gateway/hook_sign.h"
#include "gateway/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A name may begin with the same figures. */
static bool in_figures_link_local(struct str rest)
{
    char host[INET_ADDRSTRLEN];
    struct in_addr address;
    uint32_t len = 0;
    while (len < rest.len && !strchr("/:?#", rest.ptr[len]))
        len++;
    return str_copy(host, sizeof host, (struct str){rest.ptr, len}) && inet_pton(AF_INET, host, &address) == 1 &&
           ntohl(address.s_addr) >> 16 == 0xa9fe;
}

static void address(struct str text)
{
    static const struct targets none;
    if (target_check(&none, text) != TARGET_FINE)
        return;
    check(text.len > 7 && text.len <= 2048);
    check(strncasecmp(text.ptr, "http:", 5) == 0 || strncasecmp(text.ptr, "https:", 6) == 0);
    const char *host = memmem(text.ptr, text.len, "//", 2); /* what follows in a path is nobody's address */
    check(host && !in_figures_link_local((struct str){host + 2, (uint32_t)(text.ptr + text.len - host - 2)}));
    check(!memmem(text.ptr, text.len, "\n", 1));
}

static void networks(struct str text)
{
    static const struct peer metadata = {32, {169, 254, 169, 254}};
    struct targets targets = {0};
    struct err err;
    if (targets_parse(text, &targets, &err) == 0) {
        check(targets.count <= TARGETS_MAX);
        for (unsigned i = 0; i < targets.count; i++)
            check(!target_allowed(&targets, &targets.denied[i].address));
    }
    check(!target_allowed(&targets, &metadata));
}

static void secret(struct str text)
{
    char out[HOOK_SIGNATURE_SIZE];
    bool signs = hook_sign(text, "msg_1", 1, text, out)[0] != '\0';
    check(signs == hook_secret_valid(text));
    check(strlen(out) == (signs ? 3 + 44 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16)
        return 0;
    struct str text = {(const char *)data + 1, (uint32_t)size - 1};
    uint64_t types = 0;
    switch (data[0] % 4) {
    case 0:
        address(text);
        break;
    case 1:
        networks(text);
        break;
    case 2:
        secret(text);
        break;
    default:
        check(event_types_add(&types, text) == (types != 0));
    }
    return 0;
}
