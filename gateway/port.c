#include "gateway/port.h"

#include <string.h>

#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/listen.h"
#include "gateway/surfaces/surface.h"
#include "proto/log.h"
#include "proto/messages.h"

/* Its sockets: one, or two where the host has two addresses. */
static int port_listen(struct gateway *gateway, const char *host, int listener, unsigned *number, struct err *err)
{
    if (http_also(gateway->http, listener) != 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for port %u", *number);
    int also = listen_also(host, *number, err);
    if (err->code)
        return -1;
    return also < 0 || http_also(gateway->http, also) == 0 ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for port %u", *number);
}

/* One that nobody has asked for may be another program's: what it serves is on the main port, too. */
static int port_taken(const struct gateway *gateway, const struct port_row *row, struct err *err)
{
    if (err->code != ERR_IO || strcmp(settings_source(gateway->settings, row->setting), "default") != 0)
        return -1;
    log_warn("GTY-HTTP-PORT-TAKEN", "surface=%s is below %s on the main port: %s", row->surface->name, row->surface->prefix,
             err->text);
    *err = (struct err){0};
    return 0;
}

static int port_open(struct gateway *gateway, const struct port_row *row, bool guarded, struct err *err)
{
    struct port *port = &gateway->ports.rows[gateway->ports.count];
    const char *host = settings_text(gateway->settings, SET_HTTP_HOST);

    *port = (struct port){.number = (unsigned)settings_count_of(gateway->settings, row->setting), .surface = row->surface};
    if (port->number == 0)
        return 0;
    int listener = listen_open(host, &port->number, guarded, err);
    if (listener < 0)
        return port_taken(gateway, row, err);
    port->router = router_new();
    gateway->ports.count++;
    if (!port->router)
        return err_set(err, ERR_NO_MEMORY, "no memory for the routes");
    if (router_add(port->router, row->surface, row->surface->own, err) != 0)
        return -1;
    if (port_listen(gateway, host, listener, &port->number, err) != 0 && port_taken(gateway, row, err) != 0)
        return -1;
    log_info("GTY-HTTP-LISTEN", "port=%u host=%s tls=%d surface=%s", port->number, host, tls_is_on(&gateway->tls),
             row->surface->name);
    return 0;
}

int ports_open(struct gateway *gateway, bool guarded, struct err *err)
{
    for (const struct port_row *row = ports_all; row->surface && gateway->ports.count < PORTS_MAX; row++) {
        if (port_open(gateway, row, guarded, err) != 0)
            return -1;
    }
    return 0;
}

void ports_close(struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->ports.count; i++)
        router_free(gateway->ports.rows[i].router);
    gateway->ports.count = 0;
}

const struct port *port_of(const struct ports *ports, unsigned number)
{
    for (unsigned i = 0; i < ports->count; i++) {
        if (ports->rows[i].number == number)
            return &ports->rows[i];
    }
    return NULL;
}
