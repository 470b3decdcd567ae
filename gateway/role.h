/* Who may do what: the roles a credential has, and what a route asks for. */
#ifndef GANTRY_GATEWAY_ROLE_H
#define GANTRY_GATEWAY_ROLE_H

#include "proto/str.h"

enum role {
    ROLE_NONE, /* nobody: no credential, or none that is known */
    ROLE_READONLY,
    ROLE_USER,
    ROLE_WORKER,
    ROLE_ADMIN,
    /* What only a route has: */
    ROLE_KNOWN,  /* any credential will do */
    ROLE_ANYONE, /* none is asked for */
};

const char *role_name(enum role role);

/* One of the four a credential may have; false for any other word. */
bool role_parse(struct str word, enum role *out);

/* Whether one of role `who` may call a route that asks for `wanted`: admin may all, user what readonly may, worker its own. */
bool role_may(enum role who, enum role wanted);

#define ROLE_WORDS "admin|user|worker|readonly"

#endif
