/* From a request to its handler: what every endpoint demands is checked here, once, in a fixed order. */
#ifndef GANTRY_GATEWAY_DISPATCH_H
#define GANTRY_GATEWAY_DISPATCH_H

#include "gateway/request.h"

/* Keeps the raw target; its errors are told once the headers are known. */
void dispatch_target(struct request *request, const char *target);

enum dispatch {
    DISPATCH_READ, /* read the body, whether or not there is an answer already */
    DISPATCH_NOW,  /* answered: do not read it */
    DISPATCH_OPEN, /* it is a file: dispatch_open, before it is read */
};

/* The headers are there. refused: the connection is one too many. Order: target, framing, Host, Origin, connections, who is
 * asking (admit.h), path, method, size, media type. */
enum dispatch dispatch_headers(struct request *request, bool refused);

/* The body is there: refuses it, or calls the handler. Does nothing when the request is answered already. */
void dispatch_request(struct request *request);

/* Calls the handler of a route that takes a file. */
void dispatch_open(struct request *request);

/* Refuses a request in any state before its answer. */
void dispatch_refuse(struct request *request, const struct problem *problem);

#endif
