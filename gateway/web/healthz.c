#include "gateway/web/healthz.h"

#include "gateway/health.h"
#include "gateway/reply.h"

static void on_health(struct request *request, const struct health_view *view)
{
    bool works = view->state != HEALTH_UNHEALTHY;

    request->retry_after = works ? 0 : 1;
    reply_text(request, works ? 200 : 503, works ? "ok\n" : "unavailable\n");
}

void healthz(struct request *request)
{
    health_ask(request, on_health);
}
