/* What the files about S3-compatible stores share: one request. */
#ifndef GANTRY_GATEWAY_S3_ASK_H
#define GANTRY_GATEWAY_S3_ASK_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "gateway/s3.h"
#include "proto/buf.h"

#define S3_NAME (sizeof "assets/" + BLOB_HEX)

struct s3 {
    struct s3_place place;
    uint64_t part;                    /* bytes that are sent in one piece */
    long silence_s;                   /* a connection on which nothing moves for so long is given up */
    atomic_uint_least64_t away_until; /* monotonic ms: it was mute, and is not asked again before */
    struct {
        struct files *files;
        CURL *curl; /* its thread's */
    } lanes[S3_LANES];
    atomic_bool stopping;
};

struct s3_ask { /* zeroed but for what is said of it; answer is freed by who asks */
    struct s3 *s3;
    unsigned lane;
    const char *method, *name, *more; /* as s3_sign has them */
    char header[96];                  /* one more; "" */
    const char *text;                 /* of a POST */
    int from;                         /* of a PUT: what is sent, … */
    uint64_t first, length;           /* … which bytes of it */
    int into;                         /* what comes; -1: into answer */
    struct buf answer;
    long status;
    /* its own */
    CURL *curl;
    bool linked; /* there was a connection to ask on, … */
    bool kept;   /* … of a request before */
    bool fresh;  /* no such one is to be used */
    uint64_t sent, came;
    int cause; /* errno of a file of ours */
    char trouble[CURL_ERROR_SIZE];
};

/* 1: there is no such object. -1 with why, once it was tried some times. */
int s3_ask(struct s3_ask *ask, char why[S3_WHY]);

void s3_name(const unsigned char md5[BLOB_MD5], char out[S3_NAME]);
/* An answer to a list: what of it is a file below this prefix. -1: there are further ones, by a token that does not fit. */
int s3_list_read(const char *prefix, struct str answer, struct s3_page *page);
/* The next <tag>…</tag> of the text, which is behind it then. */
bool s3_tag(struct str *rest, const char *tag, struct str *value);

#endif
