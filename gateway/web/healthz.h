/* /healthz: whether this farm can take work, in one word, for who may know no more. */
#ifndef GANTRY_GATEWAY_WEB_HEALTHZ_H
#define GANTRY_GATEWAY_WEB_HEALTHZ_H

struct request;

void healthz(struct request *request);

#endif
