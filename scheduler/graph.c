/* The graph around a task: who waits for whom, as it is now.
 *
 * Breadth first from the task, along edges one way or both, marking what it has seen (edge.h): nothing recurses, and what is looked at is
 * bounded, so that the widest graph keeps the loop for some milliseconds only.
 */
#include "scheduler/graph.h"

#include "scheduler/run.h"
#include "scheduler/task.h"

#define GRAPH_NODES 10000u
#define GRAPH_EDGES 100000u
#define GRAPH_LOOKS 1000000u /* edges looked at */

struct graph {
    uint64_t walk;
    uint32_t depth, looks, count;
    uint64_t direction;
    struct task *first, **last;
    bool cut;
};

static void graph_add(struct graph *graph, struct task *task, uint32_t level)
{
    if (!task || task->visit.number == graph->walk)
        return;
    if (graph->count == GRAPH_NODES) {
        graph->cut = true;
        return;
    }
    task->visit = (struct visit){.number = graph->walk, .place = level};
    *graph->last = task;
    graph->last = &task->visit.next;
    graph->count++;
}

static bool graph_looks(struct graph *graph)
{
    if (graph->looks == GRAPH_LOOKS) {
        graph->cut = true;
        return false;
    }
    graph->looks++;
    return true;
}

/* All that is to be shown, in the order of its distance. */
static void graph_walk(struct graph *graph, struct task *start)
{
    graph->last = &graph->first;
    graph_add(graph, start, 0);
    for (struct task *task = graph->first; task; task = task->visit.next) {
        uint32_t level = task->visit.place;
        if (graph->depth && level >= graph->depth)
            break; /* and all behind it are as far */
        for (uint32_t i = 0; graph->direction != GRAPH_DOWN && i < task->rules.dep_count && graph_looks(graph); i++)
            graph_add(graph, task->rules.edges[i].on, level + 1);
        for (uint32_t i = 0; graph->direction != GRAPH_UP && i < task->dependent_count && graph_looks(graph); i++)
            graph_add(graph, task->dependents[i].task, level + 1);
    }
}

static void node_fill(const struct core *core, const struct task *task, struct rec_graph_node *node)
{
    const struct rec_task_stat *stat = &task->stat;
    const struct run *newest = run_find(core, stat->last_run_id);
    *node = (struct rec_graph_node){.id = task_id(task),
                                    .name = task->rules.name->str,
                                    .status = task->status,
                                    .distance = task->visit.place,
                                    .live = task->live,
                                    .unmet = task->edge_states[DEPEND_WAITS] + task->edge_states[DEPEND_FAILED]};
    if (!stat->last_run_id)
        return;
    SET_HAS(node, rec_graph_node, last_status);
    node->last_status = newest ? (run_waits(newest) ? RUN_PENDING : RUN_RUNNING) : stat->last_status;
}

/* The edges between nodes, by the node that waits; places of nodes stand in their marks. */
static void edges_fill(struct graph *graph, struct rec_graph_edge_list *edges)
{
    uint32_t place = 0;
    for (struct task *task = graph->first; task; task = task->visit.next)
        task->visit.place = place++;
    for (struct task *task = graph->first; task; task = task->visit.next) {
        for (uint32_t i = 0; i < task->rules.dep_count; i++) {
            const struct edge *edge = &task->rules.edges[i];
            if (edges->count == GRAPH_EDGES || graph->looks == 2 * GRAPH_LOOKS) {
                graph->cut = true;
                return;
            }
            graph->looks++;
            if (edge->on && edge->on->visit.number == graph->walk)
                edges->items[edges->count++] = (struct rec_graph_edge){.from = edge->on->visit.place,
                                                                       .to = task->visit.place,
                                                                       .when = edge_when(&task->rules, i),
                                                                       .unmet = edge->state != DEPEND_MET};
        }
    }
}

/* How many edges there may be between the nodes, at most GRAPH_EDGES. */
static uint32_t edges_most(const struct graph *graph)
{
    uint64_t most = 0;
    for (const struct task *task = graph->first; task; task = task->visit.next)
        most += task->rules.dep_count;
    return most < GRAPH_EDGES ? (uint32_t)most : GRAPH_EDGES;
}

void graph_on_ask(struct core *core, const struct core_call *call)
{
    const struct msg_task_graph *ask = &call->msg->u.task_graph;
    const struct rec_task *known = HAS(ask, msg_task_graph, known) ? &ask->known : NULL;
    struct graph graph = {.walk = ++core->visits, .depth = (uint32_t)ask->depth, .direction = ask->direction};
    struct msg_task_graph_rows rows = {0};
    struct fault fault;
    struct task *task = task_get(core, ask->id, known, HAS(ask, msg_task_graph, known_stat) ? &ask->known_stat : NULL, &fault);
    if (!task)
        goto error;
    graph_walk(&graph, task);
    rows.nodes.items = arena_alloc(core->arena, graph.count * sizeof *rows.nodes.items);
    rows.edges.items = arena_alloc(core->arena, edges_most(&graph) * sizeof *rows.edges.items + 1);
    if (!rows.nodes.items || !rows.edges.items) {
        fault_memory(&fault);
        goto error;
    }
    for (const struct task *node = graph.first; node; node = node->visit.next)
        node_fill(core, node, &rows.nodes.items[rows.nodes.count++]);
    edges_fill(&graph, &rows.edges);
    rows.cut = graph.cut;
    journal_send_now(core->journal, &call->from, &shape_msg_task_graph_rows, &rows);
    task_let_go(core, task);
    return;
error:
    if (task)
        task_let_go(core, task);
    core_refuse(core, call, &fault);
}
