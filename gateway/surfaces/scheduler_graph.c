/* /api/tasks/{id}/graph */
#include "gateway/surfaces/scheduler.h"

static const char *const conditions[] = {"success", "success", "failure", "any"}; /* by rec_graph_edge.when */

static int parse_direction(struct str word)
{
    return str_is(word, "both") ? 0 : str_is(word, "up") ? 1 : str_is(word, "down") ? 2 : -1;
}

/* A node, with the edges from *at on that lead to it: they stand in the order of the nodes. */
static void node_write(struct writer *w, const struct msg_task_graph_rows *rows, uint32_t place, uint32_t *at)
{
    const struct rec_graph_node *node = &rows->nodes.items[place];

    writer_open(w, NULL, '{');
    writer_uint(w, "id", node->id);
    writer_text(w, "name", node->name);
    writer_text(w, "status", str_of(task_status_name(node->status)));
    if (HAS(node, rec_graph_node, last_status))
        writer_text(w, "last_run_status", str_of(run_status_name(node->last_status)));
    else
        writer_null(w, "last_run_status");
    writer_uint(w, "distance", node->distance);
    writer_uint(w, "open_runs", node->live);
    writer_open(w, "waits_for", '[');
    for (; *at < rows->edges.count && rows->edges.items[*at].to <= place; ++*at) {
        const struct rec_graph_edge *edge = &rows->edges.items[*at];
        if (edge->unmet && edge->from < rows->nodes.count)
            writer_uint(w, NULL, rows->nodes.items[edge->from].id);
    }
    writer_close(w, ']');
    writer_close(w, '}');
}

static void edge_write(struct writer *w, const struct msg_task_graph_rows *rows, const struct rec_graph_edge *edge)
{
    if (edge->from >= rows->nodes.count || edge->to >= rows->nodes.count)
        return;
    writer_open(w, NULL, '{');
    writer_uint(w, "from", rows->nodes.items[edge->from].id);
    writer_uint(w, "to", rows->nodes.items[edge->to].id);
    writer_text(w, "on", str_of(conditions[edge->when & 3]));
    writer_bool(w, "met", !edge->unmet);
    writer_close(w, '}');
}

static void on_graph(struct request *request, const struct msg *msg)
{
    const struct msg_task_graph_rows *rows = &msg->u.task_graph_rows;
    uint32_t at = 0;
    struct writer w;

    envelope_open(request, &w);
    writer_open(&w, "data", '{');
    writer_uint(&w, "task_id", request->subject);
    writer_open(&w, "nodes", '[');
    for (uint32_t i = 0; i < rows->nodes.count; i++)
        node_write(&w, rows, i, &at);
    writer_close(&w, ']');
    writer_open(&w, "edges", '[');
    for (uint32_t i = 0; i < rows->edges.count; i++)
        edge_write(&w, rows, &rows->edges.items[i]);
    writer_close(&w, ']');
    writer_bool(&w, "truncated", rows->cut);
    writer_close(&w, '}');
    envelope_close(request, &w, 200);
}

void tasks_graph(struct request *request)
{
    struct msg_task_graph graph = {0};
    struct problem problem;
    int fault = request_id(request, 0, &graph.id, &problem);

    page_number(request, "depth", 1, &graph.depth, &problem, &fault);
    page_word(request, "direction", parse_direction, "up|down|both", &graph.direction, &problem, &fault);
    if (fault) {
        reply_problem(request, &problem);
        return;
    }
    if (graph.depth > 10000)
        graph.depth = 0; /* farther than any graph that is shown */
    command_send(request, TYPE_TASK, graph.id, &shape_msg_task_graph, &graph, on_graph);
}
