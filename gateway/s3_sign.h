/* Addresses of objects in an S3-compatible store that carry their own signature (AWS Signature Version 4, in the query): what whoever holds one may
 * do, once or often, until it expires. The gateway's own requests are such, too. libcurl 7.88 cannot make them, and does not sort parameters. */
#ifndef GANTRY_GATEWAY_S3_SIGN_H
#define GANTRY_GATEWAY_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define S3_ADDRESS 4000

struct s3_place {   /* where a store is, and who asks it */
    char url[512];  /* http://host:port, and a path if it is below one; no slash at its end */
    char host[256]; /* as the header Host says it */
    char path[512]; /* of the bucket: /bucket, behind the path of the address */
    char region[64], key[129], secret[257];
};

/* Takes an address and a bucket apart. -1 with err: they are none. */
int s3_place_read(struct s3_place *place, const char *url, const char *bucket, const char *region, struct err *err);

/* The address of an object (name: what needs no escaping) for this method. more: further parameters, escaped and sorted, their names in small
 * letters; "". False: it does not fit. */
bool s3_sign(const struct s3_place *place, const char *method, const char *name, const char *more, uint64_t now_s,
             unsigned expires_s, char out[S3_ADDRESS]);

#endif
