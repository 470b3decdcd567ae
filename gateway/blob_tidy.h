/* Files that were on their way into the blob store and will not arrive: those that a gateway left behind when it died, and uploads that nobody
 * goes on with (blob.expire_hours). */
#ifndef GANTRY_GATEWAY_BLOB_TIDY_H
#define GANTRY_GATEWAY_BLOB_TIDY_H

#include "gateway/gateway.h"

#define BLOB_RESUMED "tus-" /* what the name of an upload that may be gone on with begins with */
#define BLOB_INFO ".info"   /* what the name of the file beside it ends in, which says what it is */

struct blob_tidy;

/* Looks at its start, and every ten minutes. NULL: no memory. The helper thread is there already, and goes first. */
struct blob_tidy *blob_tidy_new(struct gateway *gateway);
void blob_tidy_free(struct blob_tidy *tidy); /* takes NULL */

#endif
