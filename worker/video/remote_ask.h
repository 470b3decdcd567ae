/* One request to the farm's gateway, and what to make of its answer. */
#ifndef GANTRY_WORKER_VIDEO_REMOTE_ASK_H
#define GANTRY_WORKER_VIDEO_REMOTE_ASK_H

#include <curl/curl.h>

#include "proto/buf.h"
#include "worker/video/remote.h"

enum remote_kind { REMOTE_GET, REMOTE_HEAD, REMOTE_FILE, REMOTE_UPLOAD };

enum remote_verdict {
    REMOTE_WELL,
    REMOTE_AGAIN,  /* later it may go better */
    REMOTE_RESYNC, /* the gateway is elsewhere than was thought */
    REMOTE_NEVER,
};

struct exchange { /* zeroed but for remote, fd, end, total */
    struct remote *remote;
    CURL *curl;
    int fd;            /* of the file that is read or written; -1: there is none */
    uint64_t at, end;  /* of it: where it goes on, and where that ends */
    uint64_t total;    /* bytes of the file */
    struct buf answer; /* of what is no file */
    char tag[64];      /* ETag of the answer to REMOTE_HEAD */
    long status;
    bool slow;    /* its answer may take long: the gateway reads all of a file for it */
    bool wants;   /* a file */
    bool file;    /* the answer is one */
    bool changed; /* it is another than the one before */
    bool longer;  /* than it should be */
    int error;    /* errno of the file here */
    char trouble[CURL_ERROR_SIZE];
};

/* header: one more of the request, NULL: none. err is set unless all is well. */
enum remote_verdict remote_ask(struct exchange *it, enum remote_kind kind, const char *url, const char *header, struct err *err);

#endif
