/* An address with user and password, shown to who may not see these. */
#ifndef GANTRY_PROTO_URL_H
#define GANTRY_PROTO_URL_H

#include "proto/buf.h"

/* An address with *** in the place of user and password; any other address as it is. All of the farm masks by this, as a masked
 * address that comes back is known by it. out->failed: there was no memory. */
void url_mask(struct buf *out, struct str url);

#endif
