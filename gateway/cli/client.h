/* The farm over HTTP: one keep-alive connection, JSON in and out, and sentences for what goes wrong. */
#ifndef GANTRY_CLI_CLIENT_H
#define GANTRY_CLI_CLIENT_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

struct client;

/* url: "http://host:port", without a path; key: sent as a bearer token, or NULL. Both copied. NULL with err. */
struct client *client_new(const char *url, const char *key, struct err *err);
void client_free(struct client *client); /* takes NULL */
/* Over https:// the farm is known by a certificate of this file instead of the system's. -1: no memory. */
int client_trust(struct client *client, const char *file);
/* The same for the farm of this machine, known by its own certificate (file) under whatever name it has. "": nothing changes. */
int client_trust_own(struct client *client, const char *file);
/* No certificate is looked at: for a question without a key to a farm that this process has started. */
void client_trust_any(struct client *client);
const char *client_url(const struct client *client);
/* Whether any try of the last call sent something to a farm: otherwise nothing has happened. */
bool client_reached(const struct client *client);

/* How long an answer may take. */
void client_set_timeout(struct client *client, long timeout_ms);
/* How long a farm is asked again: one that cannot be reached, and one that answers that it cannot work just now (503). 0 at first. */
void client_set_patience(struct client *client, uint64_t unreachable_ms, uint64_t unavailable_ms);
#define CLIENT_FOR_EVER UINT64_MAX
/* Called with why when a request is about to be tried again, and with NULL when one went through after that. */
void client_on_retry(struct client *client, void (*tell)(void *arg, const struct err *why), void *arg);
/* While *flag is set (by a signal handler), requests end at once. Borrowed; NULL for none. */
void client_set_interrupt(struct client *client, const volatile sig_atomic_t *flag);
/* What the paths of the API that is meant begin with: a literal, "/api" at first. */
void client_set_base(struct client *client, const char *base);
/* That API's answers have no envelope: one that is no error is the data. */
void client_set_bare(struct client *client);
/* The Idempotency-Key of the next request; borrowed for it. */
void client_use_key(struct client *client, const char *key);

/* Sends a request below the API's base ("/tasks/1"). body is borrowed, NULL for none. A POST has an Idempotency-Key, made here and kept over
 * its retries. 0: *data (may be NULL) receives the answer's "data", owned by the caller.
 * -1 with err: ERR_UNAVAILABLE when the farm could not be reached in time, ERR_UNKNOWN_OUTCOME when a write may have happened,
 * ERR_NOT_FOUND, ERR_CONFLICT, ERR_INVALID, … as the farm answered. */
int client_call(struct client *client, const char *method, const char *path, const json_t *body, json_t **data, struct err *err);
/* client_call with a path made as by printf. */
int client_get(struct client *client, json_t **data, struct err *err, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
int client_post(struct client *client, const json_t *body, json_t **data, struct err *err, const char *path, ...)
    __attribute__((format(printf, 5, 6)));

/* GETs an endless answer (server-sent events) below /api, from behind last_id ("": its beginning), and calls take with what arrives, until
 * take answers other than 0, the request is interrupted, or the connection ends, by whatever: 0. -1 with err when there was no answer, or
 * another one, as client_call; nothing is tried again. */
int client_stream(struct client *client, const char *path, const char *last_id,
                  int (*take)(void *arg, const char *bytes, size_t len), void *arg, struct err *err);

/* A request whose body or answer is a file. It is tried once: whoever asks knows best how to go on. */
struct client_field {
    const char *name; /* NULL ends a form */
    const char *value;
};
#define CLIENT_HEADERS 6
struct client_transfer {
    const char *method;                  /* GET, POST, PATCH */
    const char *path;                    /* below the API's base */
    const char *headers[CLIENT_HEADERS]; /* whole lines; NULL: no more */
    const struct client_field *form;     /* fields of a form that is sent, or NULL */
    const char *file;                    /* name of the file that is sent; in a form as its field `file`. NULL: none */
    uint64_t from, length;               /* which bytes of it; of a form all are sent */
    /* Called with what a 200 or a 206 brings, until it answers other than 0. NULL: it is JSON. */
    int (*take)(void *arg, long status, const char *bytes, size_t len);
    void (*moved)(void *arg, uint64_t bytes); /* how much was sent and has come so far, now and then; may be NULL */
    void *arg;
    /* what came of it */
    long status;         /* of HTTP; 0: there was none */
    char location[1024]; /* the header; "" */
};
/* As client_call. *data (may be NULL) is NULL where nothing was answered, or went to take. */
int client_move(struct client *client, struct client_transfer *transfer, json_t **data, struct err *err);

/* GETs a path that is not below /api and whose answer is no JSON, without the key: 0 when the answer is a 200. */
int client_probe(struct client *client, const char *path);

/* Waits; a signal ends it early. */
void client_pause(uint64_t ms);

/* Adds name=value to a query, escaped, with the '?' or '&' it needs. -1 when it does not fit. */
int client_query_add(char *path, size_t size, const char *name, const char *value);

#endif
