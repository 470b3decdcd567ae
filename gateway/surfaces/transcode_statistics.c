/* /api/v1/statistics */
#include "gateway/stats.h"
#include "gateway/surfaces/transcode.h"

static void on_stats(struct request *request, const struct stats_view *view)
{
    const struct stats_part *scheduler = &view->parts[ASK_SCHEDULER];
    uint64_t results, saved;
    struct writer w;

    if (!scheduler->answers) {
        reply_problem_kind(request, PROBLEM_SCHEDULER_AWAY);
        return;
    }
    stats_number(scheduler, "transcode_results", &results);
    stats_number(scheduler, "transcode_saved_bytes", &saved);
    api_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_uint(&w, "results", results);
    writer_uint(&w, "saved_bytes", saved);
    writer_close(&w, '}');
    api_close(request, &w, 200);
}

void api_statistics(struct request *request)
{
    stats_ask(request, on_stats);
}
