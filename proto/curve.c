#include "proto/curve.h"

#include <czmq.h>

#include "proto/ident.h"
#include "proto/messages.h"

#define CURVE_DOMAIN "gantry"

/* libzmq 4.3.4 has the option, its header shows it to draft builds only: without it a missing authenticator lets everybody in. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* True for tcp://127.x.x.x, tcp://localhost, tcp://[::1] and everything that is not tcp. */
static bool curve_endpoint_local(const char *endpoint)
{
    static const char *const local[] = {"tcp://127.", "tcp://localhost:", "tcp://[::1]:"};

    if (strncmp(endpoint, "tcp://", 6) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (strncmp(endpoint, local[i], strlen(local[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int path_join(char *out, size_t size, const char *dir, const char *name, struct err *err)
{
    int len = snprintf(out, size, "%s/%s", dir, name);

    return len > 0 && (size_t)len < size ? 0 : err_set(err, ERR_INVALID, "bus.curve_dir: the path is too long");
}

/* Makes a certificate unless it exists; the secret half is readable by its owner only (czmq writes it 0600). */
static int cert_ensure(const char *path, struct err *err)
{
    zcert_t *cert = zcert_load(path);

    if (cert == NULL) {
        if (access(path, F_OK) == 0) {
            return err_set(err, ERR_IO, "%s: not a certificate", path);
        }
        cert = zcert_new();
        if (cert == NULL || zcert_save(cert, path) != 0) {
            zcert_destroy(&cert);
            return err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        }
    }
    zcert_destroy(&cert);
    return 0;
}

/* A listening side makes its own certificate, and lets in the clients of its own machine, which share the folder. */
static int server_ensure(const char *dir, struct curve_paths *paths, struct err *err)
{
    char client[sizeof paths->own];
    char welcome[sizeof paths->own];

    if (path_join(paths->own, sizeof paths->own, dir, "server.key", err) != 0 ||
        path_join(paths->allowed, sizeof paths->allowed, dir, "allowed", err) != 0 ||
        path_join(client, sizeof client, dir, "client.key", err) != 0 ||
        path_join(welcome, sizeof welcome, dir, "allowed/local.key", err) != 0 ||
        ident_make_dirs(paths->allowed, 0700, err) != 0 || cert_ensure(paths->own, err) != 0) {
        return -1;
    }
    if (access(client, F_OK) != 0 && cert_ensure(client, err) != 0) {
        return -1;
    }
    zcert_t *cert = zcert_load(client);
    int rc = cert != NULL ? zcert_save_public(cert, welcome) : -1;
    zcert_destroy(&cert);
    return rc == 0 ? 0 : err_set(err, ERR_IO, "%s: cannot be written: %s", welcome, strerror(errno));
}

static int client_ensure(const char *dir, struct curve_paths *paths, struct err *err)
{
    if (path_join(paths->own, sizeof paths->own, dir, "client.key", err) != 0 ||
        path_join(paths->server, sizeof paths->server, dir, "server.key", err) != 0 || ident_make_dirs(dir, 0700, err) != 0 ||
        cert_ensure(paths->own, err) != 0) {
        return -1;
    }
    if (access(paths->server, F_OK) != 0) {
        return err_set(err, ERR_INVALID, "%s: missing: copy the public certificate of the listening side there", paths->server);
    }
    return 0;
}

int curve_prepare(const struct settings *settings, const char *endpoint, bool listens, struct curve_paths *paths,
                  struct bus_curve *curve, struct err *err)
{
    const char *mode = settings_text(settings, SET_BUS_CURVE);
    const char *dir = settings_text(settings, SET_BUS_CURVE_DIR);
    char in_data[sizeof paths->own];
    bool local = curve_endpoint_local(endpoint);

    *curve = (struct bus_curve){0};
    if (strncmp(endpoint, "tcp://", 6) != 0 || (local && strcmp(mode, "always") != 0)) {
        return 0;
    }
    if (strcmp(mode, "never") == 0) {
        return listens ? err_set(err, ERR_INVALID, "%s: listening beyond loopback needs CURVE, and bus.curve is never", endpoint)
                       : 0;
    }
    if (dir[0] == '\0') {
        if (path_join(in_data, sizeof in_data, settings_text(settings, SET_DATA), "curve", err) != 0) {
            return -1;
        }
        dir = in_data;
    }
    if ((listens ? server_ensure : client_ensure)(dir, paths, err) != 0) {
        return -1;
    }
    curve->own = paths->own;
    curve->server = listens ? NULL : paths->server;
    curve->allowed = listens ? paths->allowed : NULL;
    return 0;
}

void *curve_context(void)
{
    zsys_handler_set(NULL);
    return zsys_init();
}

/* The authenticator of this process: one ZAP handler serves all its sockets. */
static zactor_t *authenticator;

static void authenticator_end(void)
{
    zactor_destroy(&authenticator);
}

int curve_apply_server(void *zmq_socket, const struct bus_curve *curve, struct err *err)
{
    int on = 1;
    zcert_t *cert = zcert_load(curve->own);

    if (cert == NULL) {
        return err_set(err, ERR_IO, "%s: not a certificate", curve->own);
    }
    if (authenticator == NULL) {
        authenticator = zactor_new(zauth, NULL);
        if (authenticator == NULL) {
            zcert_destroy(&cert);
            return err_set(err, ERR_NO_MEMORY, "the authenticator cannot be started");
        }
        atexit(authenticator_end);
    }
    zstr_sendx(authenticator, "CURVE", curve->allowed, NULL);
    zsock_wait(authenticator);
    int rc = zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVER, &on, sizeof on) |
             zmq_setsockopt(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(cert), 32) |
             zmq_setsockopt(zmq_socket, ZMQ_ZAP_DOMAIN, CURVE_DOMAIN, strlen(CURVE_DOMAIN)) |
             zmq_setsockopt(zmq_socket, ZMQ_ZAP_ENFORCE_DOMAIN, &on, sizeof on);
    zcert_destroy(&cert);
    return rc == 0 ? 0 : err_set(err, ERR_IO, "CURVE cannot be set up: %s", zmq_strerror(errno));
}

int curve_apply_client(void *zmq_socket, const struct bus_curve *curve, struct err *err)
{
    zcert_t *own = zcert_load(curve->own);
    zcert_t *server = zcert_load(curve->server);
    int rc = -1;

    if (own == NULL || server == NULL) {
        err_set(err, ERR_IO, "%s: not a certificate", own == NULL ? curve->own : curve->server);
    } else {
        rc = zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVERKEY, zcert_public_key(server), 32) |
             zmq_setsockopt(zmq_socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(own), 32) |
             zmq_setsockopt(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(own), 32);
        if (rc != 0) {
            err_set(err, ERR_IO, "CURVE cannot be set up: %s", zmq_strerror(errno));
        }
    }
    zcert_destroy(&own);
    zcert_destroy(&server);
    return rc;
}
