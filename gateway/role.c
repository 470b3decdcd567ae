#include "gateway/role.h"

static const char *const names[] = {
    [ROLE_NONE] = "nobody", [ROLE_READONLY] = "readonly", [ROLE_USER] = "user",          [ROLE_WORKER] = "worker",
    [ROLE_ADMIN] = "admin", [ROLE_KNOWN] = "any",         [ROLE_ANYONE] = "none needed",
};

const char *role_name(enum role role)
{
    return names[role];
}

bool role_parse(struct str word, enum role *out)
{
    for (enum role role = ROLE_READONLY; role <= ROLE_ADMIN; role++) {
        if (str_is(word, names[role])) {
            *out = role;
            return true;
        }
    }
    return false;
}

#define BIT(role) (1u << ROLE_##role)

bool role_may(enum role who, enum role wanted)
{
    static const unsigned may[] = {
        [ROLE_NONE] = 0,
        [ROLE_READONLY] = BIT(READONLY) | BIT(USER) | BIT(ADMIN),
        [ROLE_USER] = BIT(USER) | BIT(ADMIN),
        [ROLE_WORKER] = BIT(WORKER) | BIT(ADMIN),
        [ROLE_ADMIN] = BIT(ADMIN),
        [ROLE_KNOWN] = BIT(READONLY) | BIT(USER) | BIT(WORKER) | BIT(ADMIN),
        [ROLE_ANYONE] = ~0u,
    };
    return (may[wanted] >> who & 1) != 0;
}
