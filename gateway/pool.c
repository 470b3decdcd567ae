#include "gateway/pool.h"

#include <stdlib.h>
#include <unistd.h>

#include "gateway/ask.h"
#include "gateway/gateway.h"

#define POOL_MAX 256
#define POOL_BYTES (64u << 10) /* a larger buffer is not kept */

struct request *pool_take(struct pool *pool)
{
    struct request *request = pool->first;

    if (!request)
        return calloc(1, sizeof *request);
    pool->first = request->next;
    pool->count--;
    request->next = NULL;
    return request;
}

static void buffer_keep(struct buf *buf)
{
    if (buf->size > POOL_BYTES)
        buf_free(buf);
    else
        buf_reset(buf);
}

static void request_free(struct request *request)
{
    buf_free(&request->body);
    buf_free(&request->out);
    buf_free(&request->target);
    free(request);
}

void pool_give_back(struct pool *pool, struct request *request)
{
    if (request->asking)
        bus_forget(request->asked, request->corr);
    if (request->retrying)
        ask_forget(request);
    if (request->polling)
        request->gateway->polls--;
    if (request->streaming)
        request->gateway->streams--;
    if (request->stream.closed)
        request->stream.closed(request->stream.self);
    if (request->sink.closed)
        request->sink.closed(request->sink.self);
    if (request->file.there && request->file.fd >= 0) /* an answer that was never given */
        close(request->file.fd);
    buf_free(&request->more);
    request_forget(request); /* an answer that nobody came for has it still */
    budget_release(&request->gateway->budget, &request->held);
    if (pool->count == POOL_MAX) {
        request_free(request);
        return;
    }
    buffer_keep(&request->body);
    buffer_keep(&request->out);
    buffer_keep(&request->target);
    const struct buf body = request->body, out = request->out, target = request->target;
    memset(request, 0, sizeof *request);
    request->body = body;
    request->out = out;
    request->target = target;
    request->next = pool->first;
    pool->first = request;
    pool->count++;
}

void pool_free(struct pool *pool)
{
    while (pool->first) {
        struct request *request = pool->first;
        pool->first = request->next;
        request_free(request);
    }
    pool->count = 0;
}
