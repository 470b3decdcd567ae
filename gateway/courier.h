/* Sends webhooks: libcurl inside our loop, many at a time, none of which holds up another.
 *
 * Its sockets are in an epoll descriptor of their own, which is one of the loop's: hundreds of slow targets cost a wake-up nothing.
 * http and https only; no proxy, no redirects; certificates are looked at; what is answered is read up to a bound and forgotten.
 */
#ifndef GANTRY_GATEWAY_COURIER_H
#define GANTRY_GATEWAY_COURIER_H

#include "gateway/target.h"
#include "proto/loop.h"

#define COURIER_MAX 1200 /* under way at a time */

struct courier;
struct parcel; /* one that is under way */

struct parcel_spec { /* copied */
    const char *url;
    const char *id;        /* webhook-id */
    const char *signature; /* webhook-signature */
    uint64_t seconds;      /* webhook-timestamp */
    struct str body;
    uint64_t timeout_ms;
};

struct receipt {
    bool arrived;  /* it was answered by a 2xx */
    bool starved;  /* it was not tried: memory is short */
    unsigned code; /* HTTP status; 0: there was no answer */
    uint64_t ms;
    const char *error; /* why it has not arrived; "" */
};

/* targets: borrowed, looked at with each connection. NULL with err. */
struct courier *courier_new(struct loop *loop, const struct targets *targets, struct err *err);
void courier_free(struct courier *courier); /* takes NULL; what is under way ends without a call */

/* The targets are others: connections made before are not used any more. */
void courier_retarget(struct courier *courier);
unsigned courier_load(const struct courier *courier);

/* done is called once, later, unless courier_forget comes first. NULL: COURIER_MAX are under way, or memory is short. */
struct parcel *courier_send(struct courier *courier, const struct parcel_spec *spec,
                            void (*done)(void *arg, const struct receipt *receipt), void *arg);
void courier_forget(struct courier *courier, struct parcel *parcel);

#endif
