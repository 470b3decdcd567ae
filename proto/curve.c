#include "proto/curve.h"

#include <czmq.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>

#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/curve_gate.h"
#include "proto/curve_keys.h"
#include "proto/ident.h"
#include "proto/messages.h"

#define AWAIT_MS 10000 /* for the other side's certificate */

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

static int path_put(char out[CURVE_PATH], struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int path_put(char out[CURVE_PATH], struct err *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(out, CURVE_PATH, format, args);
    va_end(args);
    return len > 0 && len < CURVE_PATH ? 0 : err_set(err, ERR_INVALID, "bus.curve_dir: the path is too long");
}

/* Makes a certificate unless it exists; the secret half is readable by its owner only (czmq writes it 0600). It gets its names when it
 * is whole, so that a crash in between leaves nothing half-written behind. */
static int cert_ensure(const char *path, struct err *err)
{
    char fresh[CURVE_PATH], fresh_secret[CURVE_PATH], secret[CURVE_PATH];
    zcert_t *cert = zcert_load(path);
    int rc = 0;

    if (cert == NULL && access(path, F_OK) == 0) {
        return err_set(err, ERR_IO, "%s: not a certificate", path);
    }
    if (cert == NULL) {
        cert = zcert_new();
        rc = cert == NULL || path_put(fresh, err, "%s.new", path) != 0 ||
                     path_put(fresh_secret, err, "%s.new_secret", path) != 0 || path_put(secret, err, "%s_secret", path) != 0 ||
                     zcert_save(cert, fresh) != 0 || rename(fresh_secret, secret) != 0 || rename(fresh, path) != 0
                 ? -1
                 : 0;
    } else if (access(path, F_OK) != 0) {
        rc = zcert_save_public(cert, path);
    }
    zcert_destroy(&cert);
    return rc == 0 ? 0 : err_set(err, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

/* A listening side makes its own certificate, and lets in the clients of its own machine, which share the folder. */
static int server_ensure(const char *dir, enum curve_side side, struct curve_paths *paths, struct err *err)
{
    const char *list = side == CURVE_LISTENS_TO_WORKERS ? "allowed" : "trusted";
    char client[CURVE_PATH];

    if (path_put(paths->own, err, "%s/server.key", dir) != 0 || path_put(paths->allowed, err, "%s/%s", dir, list) != 0 ||
        path_put(client, err, "%s/client.key", dir) != 0 || ident_make_dirs(paths->allowed, 0700, err) != 0 ||
        cert_ensure(paths->own, err) != 0 || cert_ensure(client, err) != 0) {
        return -1;
    }
    zcert_t *cert = zcert_load(client);
    int rc = cert != NULL ? curve_keys_put(paths->allowed, "local", zcert_public_txt(cert), err)
                          : err_set(err, ERR_IO, "%s: not a certificate", client);
    zcert_destroy(&cert);
    return rc;
}

/* 1 when the listening side's certificate is not there (yet). */
static int client_ensure(const char *dir, struct curve_paths *paths, struct err *err)
{
    if (path_put(paths->own, err, "%s/client.key", dir) != 0 || path_put(paths->server, err, "%s/server.key", dir) != 0 ||
        cert_ensure(paths->own, err) != 0) {
        return -1;
    }
    return access(paths->server, F_OK) == 0 ? 0 : 1;
}

/* Does it with the folder locked: the processes of a machine start together and share it. */
static int certs_ensure(const char *dir, enum curve_side side, struct curve_paths *paths, struct err *err)
{
    char path[CURVE_PATH];

    if (ident_make_dirs(dir, 0700, err) != 0 || path_put(path, err, "%s/lock", dir) != 0) {
        return -1;
    }
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        err_set(err, ERR_IO, "%s: cannot be locked: %s", path, strerror(errno));
        if (lock >= 0) {
            close(lock);
        }
        return -1;
    }
    int rc = side == CURVE_CONNECTS ? client_ensure(dir, paths, err) : server_ensure(dir, side, paths, err);
    close(lock);
    return rc;
}

/* As certs_ensure; a connecting side that was started first waits for the listening side of its machine to make its own. */
static int certs_await(const char *dir, enum curve_side side, struct curve_paths *paths, struct err *err)
{
    const struct timespec moment = {0, 50 * 1000 * 1000};
    uint64_t until = clock_mono_ms() + AWAIT_MS;
    sigset_t ends;
    int rc;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    while ((rc = certs_ensure(dir, side, paths, err)) == 1) {
        if (clock_mono_ms() >= until || sigtimedwait(&ends, NULL, &moment) > 0) {
            return err_set(err, ERR_INVALID, "%s: missing: copy the public certificate of the listening side there",
                           paths->server);
        }
    }
    return rc;
}

static bool curve_wanted(const struct settings *settings, const char *endpoint)
{
    bool always = strcmp(settings_text(settings, SET_BUS_CURVE), "always") == 0;

    return strncmp(endpoint, "tcp://", 6) == 0 && (always || !curve_endpoint_local(endpoint));
}

/* The folder of certificates. */
static int curve_folder(const struct settings *settings, char out[CURVE_PATH], struct err *err)
{
    const char *set = settings_text(settings, SET_BUS_CURVE_DIR);

    return set[0] != '\0' ? path_put(out, err, "%s", set) : path_put(out, err, "%s/curve", settings_text(settings, SET_DATA));
}

bool curve_ready(const struct settings *settings, const char *endpoint)
{
    static const char *const files[] = {"server.key", "client.key", "client.key_secret"};
    char dir[CURVE_PATH], path[CURVE_PATH];

    if (!curve_wanted(settings, endpoint) || strcmp(settings_text(settings, SET_BUS_CURVE), "never") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (curve_folder(settings, dir, NULL) != 0 || path_put(path, NULL, "%s/%s", dir, files[i]) != 0 ||
            access(path, F_OK) != 0) {
            return false;
        }
    }
    return true;
}

int curve_prepare(const struct settings *settings, const char *endpoint, enum curve_side side, struct curve_paths *paths,
                  struct bus_curve *curve, struct err *err)
{
    bool listens = side != CURVE_CONNECTS;
    char dir[CURVE_PATH];

    *curve = (struct bus_curve){0};
    if (!curve_wanted(settings, endpoint)) {
        return 0;
    }
    if (strcmp(settings_text(settings, SET_BUS_CURVE), "never") == 0) {
        return listens ? err_set(err, ERR_INVALID, "%s: listening beyond loopback needs CURVE, and bus.curve is never", endpoint)
                       : 0;
    }
    if (curve_folder(settings, dir, err) != 0 || certs_await(dir, side, paths, err) != 0) {
        return -1;
    }
    curve->own = paths->own;
    curve->server = listens ? NULL : paths->server;
    curve->allowed = listens ? paths->allowed : NULL;
    return 0;
}

int curve_apply_server(void *zmq_socket, const struct bus_curve *curve, struct err *err)
{
    int on = 1;
    char domain[CURVE_DOMAIN];
    zcert_t *cert = zcert_load(curve->own);

    if (cert == NULL) {
        return err_set(err, ERR_IO, "%s: not a certificate", curve->own);
    }
    if (curve_gate_open(socket_context(), curve->allowed, domain, err) != 0) {
        zcert_destroy(&cert);
        return -1;
    }
    int rc = zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVER, &on, sizeof on) |
             zmq_setsockopt(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(cert), 32) |
             zmq_setsockopt(zmq_socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) |
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
