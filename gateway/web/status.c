/* `/`: a plain page for people: health, workers, queue, newest runs. It asks what the API asks, and shows what it can get. */
#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/health.h"
#include "gateway/surfaces/surface.h"
#include "gateway/web/docs.h"
#include "gateway/web/healthz.h"
#include "gateway/web/html.h"
#include "proto/clock.h"

#define PAGE_WORKERS 100
#define PAGE_RUNS 20
#define PAGE_BYTES ((size_t)4 << 20)
#define CELL 60 /* characters of a cell */

struct view { /* what came before the last answer; in the request's memory */
    struct health_view health;
    struct str workers; /* HTML of their table; empty if it cannot be had */
};

static const char *say(const struct request *request, enum text_id id)
{
    return text_of(id, request->lang);
}

static void cell(struct buf *out, struct str text)
{
    buf_text(out, "<td>");
    html_text(out, text, CELL);
    buf_text(out, "</td>");
}

static void cell_word(struct buf *out, const char *word)
{
    buf_printf(out, "<td class=\"%s\">%s</td>", word, word);
}

static void cell_time(struct buf *out, uint64_t wall_ms)
{
    char iso[CLOCK_ISO_SIZE];
    cell(out, wall_ms ? str_of(clock_iso(wall_ms, 0, iso)) : STR_LIT("–"));
}

static void head_row(const struct request *request, struct buf *out, const enum text_id *ids, size_t count)
{
    buf_text(out, "<tr>");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "<th>%s</th>", say(request, ids[i]));
    buf_text(out, "</tr>\n");
}

/* ---- parts ---- */

static void page_begin(const struct request *request, struct buf *out)
{
    static const char style[] =
        "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;background:#fff}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .8em .25em 0;"
        "border-bottom:1px solid #ddd;vertical-align:top}th{font-weight:600;color:#555}h1{font-size:1.5em}"
        "h2{font-size:1.1em;margin-top:1.8em}.state{padding:.1em .6em;border-radius:.3em;color:#fff}"
        ".state.healthy{background:#2a7d3f}.state.degraded{background:#a86a00}.state.unhealthy{background:#b3261e}"
        "td.failed,td.offline{color:#b3261e}td.completed,td.active{color:#2a7d3f}td.running{color:#1a56b0}"
        "small{color:#777}"
        "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,small{color:#999}"
        "th,td{border-color:#333}td.failed,td.offline{color:#ff8a80}td.completed,td.active{color:#6fcf87}td.running{color:#"
        "7fb0ff}}"
        "@media(max-width:50em){table{display:block;overflow-x:auto}}";

    buf_printf(out,
               "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">",
               say(request, TEXT_PAGE_LANG));
    buf_printf(out, "<meta name=\"viewport\" content=\"width=device-width\"><title>%s</title><style>%s</style></head><body>\n",
               say(request, TEXT_PAGE_TITLE), style);
}

static void part_line(const struct request *request, struct buf *out, enum text_id name, const struct health_part *part)
{
    enum text_id word = part->ready ? TEXT_PAGE_WORKS : part->answers ? TEXT_PAGE_FAILS : TEXT_PAGE_AWAY;

    buf_printf(out, "<tr><td>%s</td><td class=\"%s\">%s</td><td>", say(request, name), part->ready ? "active" : "failed",
               say(request, word));
    if (part->answers)
        buf_printf(out, "%.2f ms", part->seconds * 1000.0);
    buf_text(out, "</td>");
    cell(out, str_of(part->trouble));
    buf_text(out, "</tr>\n");
}

static void health_section(const struct request *request, struct buf *out, const struct health_view *health)
{
    static const enum text_id words[] = {TEXT_PAGE_HEALTHY, TEXT_PAGE_DEGRADED, TEXT_PAGE_UNHEALTHY};
    char iso[CLOCK_ISO_SIZE];

    buf_printf(out, "<h1>Gantry <small>%s</small> <span class=\"state %s\">%s</span></h1>\n<table>\n", GANTRY_VERSION,
               health_state_word(health->state), say(request, words[health->state]));
    part_line(request, out, TEXT_PAGE_DATABASE, &health->parts[ASK_STORE]);
    part_line(request, out, TEXT_PAGE_SCHEDULER, &health->parts[ASK_SCHEDULER]);
    buf_printf(out, "</table>\n<p><small>%s %s</small></p>\n", say(request, TEXT_PAGE_MEASURED),
               clock_iso(health->wall_ms, 0, iso));
}

static void queue_section(const struct request *request, struct buf *out, const struct health_part *scheduler)
{
    static const enum text_id heads[] = {TEXT_PAGE_CRITICAL, TEXT_PAGE_HIGH, TEXT_PAGE_NORMAL, TEXT_PAGE_LOW, TEXT_PAGE_RUNNING};
    static const char *const counts[] = {"pending_critical", "pending_high", "pending_normal", "pending_low", "runs_running"};

    buf_printf(out, "<h2>%s</h2>\n", say(request, TEXT_PAGE_QUEUE));
    if (!scheduler->answers) {
        buf_printf(out, "<p>%s</p>\n", say(request, TEXT_PAGE_UNKNOWN));
        return;
    }
    buf_text(out, "<table>\n");
    head_row(request, out, heads, 5);
    buf_text(out, "<tr>");
    for (int i = 0; i < 5; i++)
        buf_printf(out, "<td>%llu</td>", (unsigned long long)health_count(scheduler, counts[i]));
    buf_text(out, "</tr>\n</table>\n");
}

static void worker_row(struct buf *out, const struct rec_worker *worker, uint64_t current)
{
    buf_text(out, "<tr>");
    cell(out, worker->name);
    cell(out, worker->hostname);
    buf_text(out, "<td>");
    for (uint32_t i = 0; i < worker->task_types.count; i++) {
        buf_text(out, i ? ", " : "");
        html_text(out, worker->task_types.items[i], CELL);
    }
    buf_printf(out, "</td><td>%llu / %llu</td>", (unsigned long long)current, (unsigned long long)worker->slots);
    cell_word(out, worker_status_name(worker->status));
    buf_printf(out, "<td>%.2f</td>", worker->load_average);
    cell_time(out, worker->last_heartbeat);
    buf_text(out, "</tr>\n");
}

static void workers_table(const struct request *request, struct buf *out, const struct msg_worker_rows *rows)
{
    static const enum text_id heads[] = {TEXT_PAGE_NAME,   TEXT_PAGE_HOST, TEXT_PAGE_TYPES, TEXT_PAGE_SLOTS,
                                         TEXT_PAGE_STATUS, TEXT_PAGE_LOAD, TEXT_PAGE_SEEN};

    if (rows->workers.count == 0) {
        buf_printf(out, "<p>%s</p>\n", say(request, TEXT_PAGE_NONE));
        return;
    }
    buf_text(out, "<table>\n");
    head_row(request, out, heads, 7);
    for (uint32_t i = 0; i < rows->workers.count; i++)
        worker_row(out, &rows->workers.items[i], i < rows->current.count ? rows->current.items[i] : 0);
    buf_text(out, "</table>\n");
}

static void run_row(struct buf *out, const struct rec_run *run)
{
    buf_printf(out, "<tr><td>%llu</td>", (unsigned long long)run->id);
    cell(out, run->task_name);
    cell_word(out, run_status_name(run->status));
    if (run->status == RUN_COMPLETED || run->progress > 0)
        buf_printf(out, "<td>%.0f %%</td>", run->status == RUN_COMPLETED ? 100.0 : run->progress);
    else
        cell(out, STR_LIT("–"));
    cell(out, run->worker_name);
    cell_time(out, run->created_at);
    cell(out, run->error_message.len ? run->error_message : run->result);
    buf_text(out, "</tr>\n");
}

static void runs_section(struct request *request, struct buf *out, const struct msg *msg)
{
    static const enum text_id heads[] = {TEXT_PAGE_TASK,   TEXT_PAGE_STATUS,  TEXT_PAGE_PROGRESS,
                                         TEXT_PAGE_WORKER, TEXT_PAGE_CREATED, TEXT_PAGE_RESULT};
    struct arena *arena = request_arena(request);

    buf_printf(out, "<h2>%s</h2>\n", say(request, TEXT_PAGE_RUNS));
    if (!msg || !arena || msg->u.query_rows.rows.count == 0) {
        buf_printf(out, "<p>%s</p>\n", say(request, msg ? TEXT_PAGE_NONE : TEXT_PAGE_UNKNOWN));
        return;
    }
    buf_text(out, "<table>\n<tr><th>#</th>");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        buf_printf(out, "<th>%s</th>", say(request, heads[i]));
    buf_text(out, "</tr>\n");
    for (uint32_t i = 0; i < msg->u.query_rows.rows.count; i++) {
        struct rec_run run;
        struct err err;
        if (rec_decode_run(arena, msg->u.query_rows.rows.items[i].value, &run, &err) == 0)
            run_row(out, &run);
    }
    buf_text(out, "</table>\n");
}

/* ---- gathering ---- */

static void on_runs(struct request *request, const struct msg *msg)
{
    struct view *view = request->own;
    struct buf *out = &request->out;

    buf_reset(out);
    page_begin(request, out);
    health_section(request, out, &view->health);
    queue_section(request, out, &view->health.parts[ASK_SCHEDULER]);
    buf_printf(out, "<h2>%s</h2>\n", say(request, TEXT_PAGE_WORKERS));
    if (view->workers.len > 0)
        buf_add(out, view->workers.ptr, view->workers.len);
    else
        buf_printf(out, "<p>%s</p>\n", say(request, TEXT_PAGE_UNKNOWN));
    runs_section(request, out, msg);
    buf_text(out, "</body></html>\n");
    reply_html(request, 200);
}

static void on_workers(struct request *request, const struct msg *msg)
{
    struct view *view = request->own;
    struct msg_query query = {.type = TYPE_RUN, .descending = true, .page = 1, .size = PAGE_RUNS};

    if (msg) {
        struct buf table = {.limit = PAGE_BYTES};
        workers_table(request, &table, &msg->u.worker_rows);
        view->workers = table.failed ? (struct str){NULL, 0} : arena_str(request_arena(request), buf_str(&table));
        buf_free(&table);
    }
    ask_soft(request, ASK_STORE, &shape_msg_query, &query, on_runs);
}

static void on_health(struct request *request, const struct health_view *health)
{
    struct msg_worker_list list = {.page = 1, .size = PAGE_WORKERS};
    struct view *view = request->own = request_alloc(request, sizeof *view);

    if (!view) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    view->health = *health;
    ask_soft(request, ASK_SCHEDULER, &shape_msg_worker_list, &list, on_workers);
}

static void status_page(struct request *request)
{
    health_ask(request, on_health);
}

/* ---- the surface ---- */

static void write_problem(struct request *request, const struct problem *problem)
{
    surface_scheduler.write_problem(request, problem);
}

static const struct route routes[] = {
    {METHOD_GET, "/", status_page, ROLE_READONLY,
     "The status page: health, workers, waiting runs by priority, newest runs. HTML for people, without scripts; refreshes "
     "itself every five seconds."},
    {METHOD_GET, "/healthz", healthz, ROLE_ANYONE,
     "For load balancers, without a credential: 200 and `ok`, or 503 and `unavailable` while writes cannot work. Plain text, and "
     "nothing else of what `/api/system/health` says."},
    {METHOD_GET, "/docs", docs_page, ROLE_KNOWN,
     "What the API is, as a page for people: every operation with its parameters, bodies, answers and a curl line. HTML without "
     "scripts, whole in one file: it needs no network. A browser that has no other way says who it is with `/docs?api_key=KEY`."},
    {METHOD_GET, "/docs/scheduler.yaml", docs_document, ROLE_KNOWN, "The same for programs: an OpenAPI 3.1 document."},
    {0},
};

const struct surface surface_web = {
    .name = "web",
    .prefix = "",
    .routes = routes,
    .write_problem = write_problem,
    .doc = "For people with a browser.",
};
