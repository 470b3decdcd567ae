/* Where webhooks may be sent: not into the machine's own link, where clouds keep their secrets, and not where the settings forbid it.
 *
 * What counts is the address that is connected to, not the name: a name may mean another address with each look.
 */
#ifndef GANTRY_GATEWAY_TARGET_H
#define GANTRY_GATEWAY_TARGET_H

#include "gateway/peer.h"

#define TARGETS_MAX 128

struct targets { /* zeroed: only what is always refused */
    struct target_row {
        struct peer address;
        unsigned prefix;
    } denied[TARGETS_MAX];
    unsigned count;
};

/* Reads CIDRs separated by commas. -1 with err; out is as it was. */
int targets_parse(struct str text, struct targets *out, struct err *err);

/* False for link-local and unspecified addresses, also inside IPv6 ones, and for those that are denied. */
bool target_allowed(const struct targets *targets, const struct peer *peer);

enum target_fault { TARGET_FINE, TARGET_MALFORMED, TARGET_SCHEME, TARGET_USER, TARGET_ADDRESS };
/* Looks at an address as a client gives it. A host in figures, in whatever way they are written, is looked at here already. */
enum target_fault target_check(const struct targets *targets, struct str url);

#endif
