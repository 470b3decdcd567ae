/* Requests that are not in use, with the buffers they have grown: so that a request usually costs no allocation of its own. */
#ifndef GANTRY_GATEWAY_POOL_H
#define GANTRY_GATEWAY_POOL_H

#include "gateway/request.h"

struct pool { /* zeroed is ready for use */
    struct request *first;
    unsigned count;
};

struct request *pool_take(struct pool *pool); /* zeroed but for its buffers; NULL when out of memory */
/* Forgets its question, closes its stream, frees what it holds, and keeps it for the next. */
void pool_give_back(struct pool *pool, struct request *request);
void pool_free(struct pool *pool);

#endif
