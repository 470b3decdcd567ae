/* A farm whose library is not mounted here: what a transcode reads comes from its gateway over HTTP, and what it makes goes there.
 *
 * A connection that breaks is made again, and the work goes on where it was. What the gateway refuses for good is an error at once;
 * while nothing moves it is asked again, for as long as REMOTE_PATIENCE_MS.
 */
#ifndef GANTRY_WORKER_VIDEO_REMOTE_H
#define GANTRY_WORKER_VIDEO_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

#define REMOTE_PATIENCE_MS 3600000u
#define REMOTE_CHANGED "the source has changed since it was looked at; it is left as it is"
#define REMOTE_LAST 65536u /* bytes of the last part of a result, at most: it is what gives it its name */

struct remote {
    const char *gateway;  /* http://host:port */
    const char *key_file; /* of the API key; empty: none */
    const char *ca_file;  /* PEM; empty: the system's */
    uint64_t task, attempt;
    const char *extension; /* of the result */
    void (*progress)(void *self, uint64_t done, uint64_t total);
    void *self;
    uint64_t patience_ms; /* 0: REMOTE_PATIENCE_MS */
    long silence_s;       /* a connection on which nothing moves for so long is given up; 0: a minute */

    char tag[64]; /* of the source, once a part of it came: another tag is another file */
    char key[320];
};

/* Writes the source to fd, from its beginning. size: that it has to have. -1 with err (ERR_CONFLICT: it is another file now). */
int remote_fetch(struct remote *remote, int fd, uint64_t size, struct err *err);
/* Whether the source is still what was fetched. */
int remote_same(struct remote *remote, struct err *err);

/* Sends all of the file but its last part, which remote_finish sends: then the result has its name. */
int remote_send(struct remote *remote, int fd, uint64_t size, struct err *err);
/* hash: XXH3 128 of all of it, hexadecimal. */
int remote_finish(struct remote *remote, int fd, uint64_t size, const char *hash, struct err *err);
/* Whether a result of this size and hash stands there. -1 with err: that cannot be learned. */
int remote_stands(struct remote *remote, uint64_t size, const char *hash, bool *stands, struct err *err);

#endif
