/* HTTP headers: those that matter, read in one pass; and those a browser asks for. */
#ifndef GANTRY_GATEWAY_HEADERS_H
#define GANTRY_GATEWAY_HEADERS_H

#include "gateway/request.h"

struct MHD_Connection;
struct MHD_Response;

/* Fills method, headers, language and request id of the request. */
void headers_read(struct request *request, struct MHD_Connection *mhd, const char *method);

/* Any other header of the request, as it was sent; empty: it has none. Borrowed from libmicrohttpd. */
struct str headers_find(const struct request *request, const char *name);

/* The request id: the client's if it is a valid one, else a new one. */
void headers_name_request(struct request *request);

/* The answer's headers. stopping: the connection is not kept. -1: no memory for all of them. */
int headers_write(const struct request *request, struct MHD_Response *response, bool stopping);

#endif
