/* Signed addresses of objects in an S3-compatible store (AWS Signature Version 4, in the query). Whoever has one may do with the object what it was
 * signed for (GET, PUT, …), any number of times until it expires. The gateway's own requests go to such addresses, too: libcurl 7.88 signs in headers
 * only, and does not sort the parameters, as S3 wants them. */
#ifndef GANTRY_GATEWAY_S3_SIGN_H
#define GANTRY_GATEWAY_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define S3_ADDRESS 4000
#define S3_PREFIX 128

struct s3_place {               /* where a store is, and who asks it */
    char url[512];              /* http://host:port, or https; no slash at its end */
    char host[256];             /* as the header Host says it: without a port that is the usual one */
    char path[512];             /* of the bucket: that of the address, if it has one, and /bucket */
    char prefix[S3_PREFIX + 1]; /* that the name of each object begins with */
    char region[64], key[129], secret[257];
};

/* Takes an address and a bucket apart. -1 with err: they are none. */
int s3_place_read(struct s3_place *place, const char *url, const char *bucket, const char *prefix, const char *region,
                  struct err *err);

/* The address, signed for this method until expires_s behind now_s (wall clock, seconds), of the object that is called name behind the prefix, or of
 * the bucket (""). name needs no escaping. more: further parameters of the query, escaped, in the order of their names, which begin with small
 * letters, joined by &; "". False: it does not fit. */
bool s3_sign(const struct s3_place *place, const char *method, const char *name, const char *more, uint64_t now_s,
             unsigned expires_s, char out[S3_ADDRESS]);

#endif
