/* HTTP by libmicrohttpd, inside our loop: its epoll descriptor is one of the loop's, and it has no threads.
 *
 * A request that waits for an answer is suspended. All answers of one wake-up are handed over together when the loop settles,
 * so that a hundred of them cost one pass and no descriptor to wake ourselves by.
 */
#ifndef GANTRY_GATEWAY_HTTP_H
#define GANTRY_GATEWAY_HTTP_H

#include "gateway/request.h"

struct http;

/* Serves what connects to listener (taken). NULL with err. */
struct http *http_new(struct gateway *gateway, int listener, unsigned max_connections, struct err *err);
/* Serves what connects to another listener, too (taken); at most HTTP_ALSO. -1: out of memory. */
#define HTTP_ALSO 15
int http_also(struct http *http, int listener);
/* Ends what is open: requests that wait get a 503, streams end. Takes NULL. */
void http_free(struct http *http);

void http_settle(struct http *http);            /* from loop_on_settle */
void http_quiesce(struct http *http);           /* no new connections */
unsigned http_waiting(const struct http *http); /* requests without an answer yet */

/* The request's answer is complete: it leaves now, or when the loop settles. */
void http_answer(struct request *request);
/* The request's sink is there: its body may come. Its handler has been called before that (surface.h: uploads). */
void http_receive(struct request *request);
/* The request's stream has something to read again. */
void http_wake(struct request *request);

#endif
