/* The ports of single surfaces, beside the main one: what their own clients know. The same routes stand on the main port too, below the
 * surface's prefix; who is let in, and how often, is the same for both.
 */
#ifndef GANTRY_GATEWAY_PORT_H
#define GANTRY_GATEWAY_PORT_H

#include "proto/settings.h"

struct gateway;
struct router;
struct surface;

/* A row of the table (surfaces/surfaces.c), which ends in surface NULL. */
struct port_row {
    enum setting_id setting; /* its number; 0: it is not served */
    const struct surface *surface;
};
extern const struct port_row ports_all[];

struct port { /* one that is served */
    unsigned number;
    const struct surface *surface; /* whose envelope answers for paths that are nobody's */
    struct router *router;
};

#define PORTS_MAX 7

struct ports { /* zeroed: none */
    struct port rows[PORTS_MAX];
    unsigned count;
};

/* Listens on those that the settings name, at the main port's host. guarded: as in listen_open. -1 with err: one that cannot be had. */
int ports_open(struct gateway *gateway, bool guarded, struct err *err);
void ports_close(struct gateway *gateway); /* behind http_free */

/* The port of this number; NULL: it is the main one. */
const struct port *port_of(const struct ports *ports, unsigned number);

#endif
