/* Whether a request is let in: who is asking, how often, and whether they may. One step of dispatch.h. */
#ifndef GANTRY_GATEWAY_ADMIT_H
#define GANTRY_GATEWAY_ADMIT_H

#include "gateway/request.h"

/* Fills request->actor and request->rate. 0, or -1 with problem: 401, 403 or 429. Its route has been looked for; a request without one
 * is let in if its sender is known, and hears elsewhere that there is none. */
int admit_request(struct request *request, struct problem *problem);

/* Whether an answer that goes on for long may go on. */
bool admit_holds(const struct request *request);
/* Refuses one that may not, and was let in: its credential was revoked, or has expired. */
void admit_refuse(struct request *request);

#endif
