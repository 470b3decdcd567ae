#include "gateway/limit.h"

#define SKIP_MAX ((uint64_t)8 << 20)

bool limit_overdue(const struct limits *limits, enum limit_phase phase, uint64_t since_ms, uint64_t now_ms)
{
    uint64_t age = now_ms > since_ms ? now_ms - since_ms : 0;

    switch (phase) {
    case LIMIT_IDLE:
    case LIMIT_SENDING:
        return age > limits->idle_ms + limits->request_ms;
    case LIMIT_RECEIVING:
        return age > limits->request_ms;
    case LIMIT_WORKING:
    case LIMIT_STREAMING:
        break;
    }
    return false;
}

enum limit_body limit_body(const struct limits *limits, uint64_t length, bool expects)
{
    if (length <= limits->body)
        return LIMIT_BODY_TAKE;
    if (expects || length > limits->body + SKIP_MAX)
        return LIMIT_BODY_REFUSE;
    return LIMIT_BODY_SKIP;
}
