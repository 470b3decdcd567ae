/* CURVE for tcp endpoints: certificates as files, and who is let in.
 *
 * In the folder (setting bus.curve_dir): server.key, server.key_secret of the listening side; client.key, client.key_secret of the
 * connecting side; two folders with the public certificates of clients let in, read again whenever they change: allowed/ for the
 * workers' door, trusted/ for what the farm's own processes listen on to each other.
 */
#ifndef GANTRY_PROTO_CURVE_H
#define GANTRY_PROTO_CURVE_H

#include "proto/bus.h"
#include "proto/settings.h"

#define CURVE_PATH 4200

struct curve_paths { /* storage behind a struct bus_curve */
    char own[CURVE_PATH];
    char server[CURVE_PATH];
    char allowed[CURVE_PATH];
};

enum curve_side { CURVE_CONNECTS, CURVE_LISTENS_TO_WORKERS, CURVE_LISTENS_TO_PROCESSES };

/* Decides by endpoint and settings whether CURVE is used, and makes missing certificates: a listening side its own and one for the
 * clients of its machine (let in at once), a connecting side its own. *curve is all NULL for plain. -1 with err: the endpoint would
 * listen beyond loopback in plain text, or a certificate cannot be had. */
int curve_prepare(const struct settings *settings, const char *endpoint, enum curve_side side, struct curve_paths *paths,
                  struct bus_curve *curve, struct err *err);

/* Whether a connecting side would find all it needs there already: then curve_prepare makes nothing, and waits for nobody. */
bool curve_ready(const struct settings *settings, const char *endpoint);

/* Puts the certificates on a socket before it binds or connects (for bus_socket.c). */
int curve_apply_server(void *zmq_socket, const struct bus_curve *curve, struct err *err);
int curve_apply_client(void *zmq_socket, const struct bus_curve *curve, struct err *err);

#endif
