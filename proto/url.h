/* An address with user and password, shown to who may not see these. */
#ifndef GANTRY_PROTO_URL_H
#define GANTRY_PROTO_URL_H

#include "proto/buf.h"

#define URL_MASK "***"

/* An address with *** in the place of user and password, and of what parameters are that are named password, pass, pwd, passwd, token or
 * secret, as many cameras want them; any other address as it is. All of the farm masks by this, as a masked address that comes back is
 * known by it. out->failed: there was no memory. */
void url_mask(struct buf *out, struct str url);
size_t url_mask_len(struct str url); /* of what that would append */
bool url_is_masked(struct str url);  /* whether it was shown so: some of it is *** */

/* Whether what stands at that place of a text, which begins at start, is what such a parameter is: the name and = are before it. */
bool url_is_secret(const char *start, const char *at);

#endif
