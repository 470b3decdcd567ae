/* One HTTP request on its way: what a handler reads, and where its answer is gathered.
 *
 * http.c makes it when a request line has arrived, and takes it back when the answer has been sent or the client is gone:
 * a handler's pointers into it are good until then, and an answer that comes later finds bus_forget already called.
 */
#ifndef GANTRY_GATEWAY_REQUEST_H
#define GANTRY_GATEWAY_REQUEST_H

#include <jansson.h>

#include "gateway/actor.h"
#include "gateway/credential.h"
#include "gateway/problem.h"
#include "gateway/rate.h"
#include "gateway/route.h"
#include "gateway/uri.h"
#include "proto/bus.h"

struct gateway;
struct connection;

enum request_state {
    REQUEST_HEADERS,  /* its request line has arrived */
    REQUEST_BODY,     /* headers have been looked at; the body is coming */
    REQUEST_WAITING,  /* handled, the answer is not there yet: the connection is suspended */
    REQUEST_ANSWERED, /* the answer is there, and libmicrohttpd has yet to ask for it: its client may be gone */
    REQUEST_SENDING,  /* the answer is with libmicrohttpd */
};

/* Bytes that are produced over time: server-sent events. */
struct stream {
    /* Writes at most max bytes to out; 0: nothing now, http_wake will say when; -1: the end. */
    long (*read)(void *self, char *out, size_t max);
    void (*closed)(void *self); /* the client is gone or all is sent; called once. May be NULL */
    void *self;
    uint64_t length; /* of all of it, if that is known: ending before is a failure to the client. 0: it is not */
};

/* Where a body goes that is not gathered: a file. */
struct sink {
    void (*take)(void *self, const char *data, size_t size); /* a piece of it */
    void (*whole)(void *self);                               /* it is there; answers the request, now or later */
    void (*closed)(void *self);                              /* the request ends; called once */
    void *self;
};

/* An answer that is a part of a file, or all of it. */
struct file_part {
    bool there;
    int fd; /* taken by libmicrohttpd with the answer */
    uint64_t offset, length, total;
    char tag[48]; /* ETag */
};

struct request_headers { /* borrowed from libmicrohttpd for the request's life */
    struct str method;   /* as it was sent */
    struct str host, origin, content_type, accept_language, idempotency_key, last_event_id, request_id;
    struct str range, if_range, content_range, content_sha256;
    uint64_t content_length;
    unsigned hosts, lengths; /* how often they were there */
    bool chunked, sized, expects;
    bool coded;      /* Transfer-Encoding says something else than chunked, once */
    bool broken;     /* some name or value is none that HTTP allows: who passed it on may have read it in another way */
    bool needs_host; /* its version of HTTP demands one */
};

struct request {
    struct gateway *gateway;
    struct connection *connection;
    enum request_state state;

    /* what was asked */
    enum method method;
    bool head;
    char rid[65];
    enum text_lang lang;
    struct uri uri;
    struct request_headers headers;
    struct route_match match; /* match.surface is never NULL */
    struct credentials credentials;
    struct actor actor; /* who is asking; see admit.h */
    struct buf body;
    json_t *json;  /* the body, while a handler works that has called request_read_json; NULL for an empty one */
    size_t parsed; /* what that takes of the gateway's budget */
    size_t held;   /* what body and answer do */

    /* the answer; see reply.h */
    bool answered;
    unsigned status;
    const char *content_type;
    struct buf out;
    unsigned allow;         /* methods for Allow; 0 for none */
    unsigned retry_after;   /* seconds; 0 for none */
    const char *challenge;  /* for WWW-Authenticate; NULL for none */
    struct rate_state rate; /* what is left of its sender's requests */
    struct buf more;        /* headers that only some surface has: name and value, each with its NUL (reply_header) */
    bool cross_origin;      /* a listed Origin: say so to the browser */
    bool page;              /* HTML: add what keeps a browser from doing more than show it */
    bool close;             /* the connection ends with this answer */
    struct stream stream;   /* read is NULL: out is the answer */
    struct file_part file;  /* or this is */
    struct sink sink;       /* take is NULL: the body is gathered */
    bool opening, opened;   /* its handler works before the body comes; it has said that it may */

    /* a question to the scheduler or the store; see ask.h */
    struct bus_client *asked;
    uint64_t corr;
    void (*on_answer)(struct request *request, const struct msg *msg);
    bool (*on_error)(struct request *request, const struct msg_error *error); /* true: it goes on by itself. May be NULL */
    void (*again)(struct request *request); /* asks a command again that the scheduler cannot take yet; NULL: its handler */
    int asked_whom;
    uint16_t answer_id; /* of the message that answers it */
    bool asked_soft, asking;
    bool retrying; /* a command that waits to be asked again; see ask.c */
    struct request *retry_next;
    uint64_t retry_until_ms;  /* when asking again ends; 0: it was never refused so */
    uint64_t ask_deadline_ms; /* of the command, over all its askings */
    uint64_t wait_ms;         /* that the answer may take beside: it waits for something */
    bool polling;             /* it waits for runs: counts in gateway->polls */
    bool streaming;           /* counts in gateway->streams */

    /* the handler's own */
    void *own;             /* goes with arena */
    unsigned subject_type; /* what a command is about: an enum record_type … */
    uint64_t subject;      /* … and its id */
    uint8_t key_scope[16], key_body[16];
    bool keyed;    /* key_scope is made: a command that is asked again keeps it */
    bool has_line; /* in the audit log, should it be refused now, or needs none */

    /* http.c's */
    struct arena *arena; /* use request_arena */
    struct buf target;   /* the raw target and what was decoded of it */
    uint64_t started_us;
    uint64_t discarded; /* bytes of a body that is too large or not wanted */
    bool too_large, out_of_memory;
    struct request *next; /* in the list of unused ones */
};

/* Memory that goes with the request; NULL at its limit. */
struct arena *request_arena(struct request *request);
void *request_alloc(struct request *request, size_t size);

/* Calls the route's handler, also when a command is to be asked again. What it has parsed goes when it returns: the answer is written
 * then, or the bus has the message. */
void request_handle(struct request *request);

/* What the body holds at a path of names ("metadata.timezone"); NULL when there is nothing. Until request_forget. */
const json_t *request_given(struct request *request, struct str path);

/* Gives back what the handler worked with, once the answer is written. */
void request_forget(struct request *request);

/* Reads the body into request->json: nothing, or an object. -1 with problem. */
int request_read_json(struct request *request, struct problem *problem);

/* The number that stands at the path's index-th {…}. -1 with problem. */
int request_id(const struct request *request, unsigned index, uint64_t *out, struct problem *problem);

/* The one value of a query parameter: false if it is absent or empty; -1 in *fault with problem if it was given twice. */
bool request_param(const struct request *request, const char *name, struct str *value, struct problem *problem, int *fault);

/* Stands for the caller's credential. Empty where he has none: in a network that is trusted, or where none is asked for. */
struct str request_whose(const struct request *request);
/* Stands for it in messages about workers; empty for whoever may act on all of them. A worker's role acts on the workers of its credential;
 * those that a network lets in without one are as one. -1 with problem. */
int request_owner(struct request *request, struct str *owner, struct problem *problem);
/* The scope of a key that the client has chosen (rule 4), for `what`: two callers may choose the same one. Callers without a credential
 * are told apart by their addresses, 127.0.0.1 and ::1 being one. out: IDENT_HASH bytes. */
void request_scope(const struct request *request, const char *what, struct str key, uint8_t *out);
/* The key of this write: the client's Idempotency-Key or a new one. -1 with problem when the client's is malformed.
 * idem borrows from the request. */
int request_idem(struct request *request, struct rec_idem *idem, struct problem *problem);
/* What follows is another command than the one that the client's key is for: it gets a new one. */
void request_key_anew(struct request *request);

#endif
