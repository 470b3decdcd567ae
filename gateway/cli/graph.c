/* `gantry graph`: tasks that wait for each other, as an indented tree or for Graphviz.
 *
 * A task stands below each task that it waits for (or, upwards, that waits for it). Below it once only: where it comes again it is marked, so
 * that the tree is no longer than the graph has edges. Nothing recurses, as a chain may be ten thousand tasks long.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "gateway/cli/task.h"
#include "gateway/cli/term.h"
#include "proto/messages.h"
#include "proto/str.h"

#define INDENT_MOST 40 /* levels that are indented; what is deeper says how deep it is */

struct node {
    const json_t *json;
    long long id;
    size_t first, count; /* of its edges in graph.edges */
    bool shown;
};

struct edge {
    size_t from, to; /* places of nodes, in the direction of the tree */
    const json_t *json;
};

struct graph {
    struct node *nodes; /* by id */
    struct edge *edges; /* by from */
    size_t node_count, edge_count;
};

static int node_compare(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int edge_compare(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    int order = (x->from > y->from) - (x->from < y->from);
    return order != 0 ? order : (x->to > y->to) - (x->to < y->to);
}

static struct node *node_find(const struct graph *graph, long long id)
{
    const struct node key = {.id = id};
    return graph->node_count > 0 ? bsearch(&key, graph->nodes, graph->node_count, sizeof key, node_compare) : NULL;
}

static void graph_free(struct graph *graph)
{
    free(graph->nodes);
    free(graph->edges);
}

/* up: a task stands below those that wait for it. -1: no memory. */
static int graph_read(struct graph *graph, const json_t *data, bool up)
{
    const json_t *nodes = json_object_get(data, "nodes"), *edges = json_object_get(data, "edges"), *json;
    size_t index;

    *graph = (struct graph){.nodes = calloc(json_array_size(nodes) + 1, sizeof *graph->nodes),
                            .edges = calloc(json_array_size(edges) + 1, sizeof *graph->edges)};
    if (graph->nodes == NULL || graph->edges == NULL) {
        return -1;
    }
    json_array_foreach(nodes, index, json)
    {
        graph->nodes[graph->node_count++] = (struct node){.json = json, .id = show_number(json, "id")};
    }
    qsort(graph->nodes, graph->node_count, sizeof *graph->nodes, node_compare);
    json_array_foreach(edges, index, json)
    {
        const struct node *from = node_find(graph, show_number(json, up ? "to" : "from"));
        const struct node *to = node_find(graph, show_number(json, up ? "from" : "to"));
        if (from != NULL && to != NULL) {
            graph->edges[graph->edge_count++] = (struct edge){(size_t)(from - graph->nodes), (size_t)(to - graph->nodes), json};
        }
    }
    qsort(graph->edges, graph->edge_count, sizeof *graph->edges, edge_compare);
    for (size_t i = graph->edge_count; i-- > 0;) {
        graph->nodes[graph->edges[i].from].first = i;
        graph->nodes[graph->edges[i].from].count++;
    }
    return 0;
}

/* ---- the tree ---- */

static void node_print(const struct node *node, size_t level, const json_t *edge)
{
    const char *on = edge != NULL ? show_text(edge, "on") : "success";
    char line[512];
    size_t indent = level < INDENT_MOST ? level : INDENT_MOST;
    size_t len = str_clean(line, sizeof line - TERM_LINE(0), str_of(show_text(node->json, "name")));
    char clean[sizeof line];

    line[len] = '\0';
    term_clean(line, false, clean);

    for (size_t i = 0; i < indent; i++) {
        fputs("  ", stdout);
    }
    if (level > INDENT_MOST) {
        printf("[%zu] ", level);
    }
    printf("%lld %s  %s", node->id, clean, show_text(node->json, "status"));
    if (!json_is_null(json_object_get(node->json, "last_run_status"))) {
        printf(", last run %s", show_text(node->json, "last_run_status"));
    }
    if (strcmp(on, "success") != 0) {
        printf("  (on %s)", on);
    }
    if (edge != NULL && json_is_false(json_object_get(edge, "met"))) {
        fputs("  waits", stdout);
    }
    puts(node->shown && node->count > 0 ? "  (see above)" : "");
}

struct step {
    size_t edge; /* to be taken */
    size_t level;
};

/* Depth first from one task. -1: no memory. */
static int tree_print(struct graph *graph, struct node *root)
{
    struct step *steps = calloc(graph->edge_count + 1, sizeof *steps);
    size_t depth = 0;

    if (steps == NULL) {
        return -1;
    }
    node_print(root, 0, NULL);
    root->shown = true;
    for (size_t i = root->count; i-- > 0;) {
        steps[depth++] = (struct step){root->first + i, 1};
    }
    while (depth > 0) {
        const struct step step = steps[--depth];
        struct node *node = &graph->nodes[graph->edges[step.edge].to];
        node_print(node, step.level, graph->edges[step.edge].json);
        for (size_t i = node->shown ? 0 : node->count; i-- > 0;) {
            steps[depth++] = (struct step){node->first + i, step.level + 1};
        }
        node->shown = true;
    }
    free(steps);
    return 0;
}

/* From every task that waits for none of the others (upwards: that none of them waits for). */
static int trees_print(struct graph *graph)
{
    bool *below = calloc(graph->node_count + 1, sizeof *below);
    int result = below != NULL ? 0 : -1;

    for (size_t i = 0; below != NULL && i < graph->edge_count; i++) {
        below[graph->edges[i].to] = true;
    }
    for (size_t i = 0; result == 0 && i < graph->node_count; i++) {
        if (!below[i]) {
            result = tree_print(graph, &graph->nodes[i]);
        }
    }
    free(below);
    return result;
}

/* ---- Graphviz ---- */

static void dot_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        if ((unsigned char)*text >= ' ' && *text != 0x7f) {
            putchar(*text);
        }
    }
}

static void dot_print(const json_t *data)
{
    const json_t *json;
    size_t index;

    puts("digraph tasks {\n  rankdir=LR;\n  node [shape=box];");
    json_array_foreach(json_object_get(data, "nodes"), index, json)
    {
        printf("  t%lld [label=\"", show_number(json, "id"));
        dot_text(show_text(json, "name"));
        printf("\\n%lld %s\"];\n", show_number(json, "id"), show_text(json, "status"));
    }
    json_array_foreach(json_object_get(data, "edges"), index, json)
    {
        const char *on = show_text(json, "on");
        printf("  t%lld -> t%lld", show_number(json, "from"), show_number(json, "to"));
        printf(strcmp(on, "success") == 0 ? ";\n" : " [label=\"%s\"];\n", on);
    }
    puts("}");
}

int graph_command(struct cli *cli)
{
    const char *direction = args_text(cli->args, "direction"), *depth = args_text(cli->args, "depth");
    struct err err = {0};
    struct graph graph = {0};
    char path[256];
    json_t *data = NULL;
    long long id = task_find(cli, args_at(cli->args, 0), &err);

    snprintf(path, sizeof path, "/tasks/%lld/graph", id);
    if (id == 0 || client_query_add(path, sizeof path, "direction", direction != NULL ? direction : "both") != 0 ||
        (depth != NULL && client_query_add(path, sizeof path, "depth", depth) != 0) ||
        client_call(cli->client, "GET", path, NULL, &data, &err) != 0) {
        return err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err);
    }
    int code = EXIT_FINE;
    bool up = direction != NULL && strcmp(direction, "up") == 0;
    if (cli->json) {
        code = show_json(data);
    } else if (args_has(cli->args, "dot")) {
        dot_print(data);
    } else if (graph_read(&graph, data, up) != 0 || trees_print(&graph) != 0) {
        err_set(&err, ERR_NO_MEMORY, "out of memory");
        code = show_error(&err);
    }
    if (!cli->json && json_is_true(json_object_get(data, "truncated"))) {
        fprintf(stderr, "gantry: the graph is larger than what is shown\n");
    }
    graph_free(&graph);
    json_decref(data);
    return code;
}
