#include "gateway/route.h"

#include <stdlib.h>

#include "gateway/surfaces/surface.h"
#include "proto/messages.h"

#define ROUTE_METHODS 6

struct node {
    struct str name;       /* of a literal segment; borrows from the table */
    struct node *next;     /* another literal below the same parent */
    struct node *children; /* literals */
    struct node *any;      /* {…} */
    const struct route *routes[ROUTE_METHODS];
    const struct surface *surface; /* a prefix ends here */
};

struct router {
    struct node root;
    const struct surface *first;
};

static const struct {
    enum method method;
    const char *name;
} methods[] = {
    {METHOD_GET, "GET"},       {METHOD_POST, "POST"},   {METHOD_PUT, "PUT"},
    {METHOD_DELETE, "DELETE"}, {METHOD_PATCH, "PATCH"}, {METHOD_OPTIONS, "OPTIONS"},
};

enum method method_parse(struct str word)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (str_is(word, methods[i].name))
            return methods[i].method;
    }
    return str_is(word, "HEAD") ? METHOD_GET : METHOD_OTHER;
}

const char *method_name(enum method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (methods[i].method == method)
            return methods[i].name;
    }
    return "?";
}

const char *method_list(unsigned set, char out[64])
{
    char *at = out;

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!(set & methods[i].method))
            continue;
        if (at > out)
            at = stpcpy(at, ", ");
        at = stpcpy(at, methods[i].name);
        if (methods[i].method == METHOD_GET)
            at = stpcpy(at, ", HEAD");
    }
    *at = '\0';
    return out;
}

static int method_index(enum method method)
{
    for (int i = 0; i < ROUTE_METHODS; i++) {
        if (methods[i].method == method)
            return i;
    }
    return -1;
}

struct router *router_new(void)
{
    return calloc(1, sizeof(struct router));
}

static void node_free_below(struct node *node)
{
    while (node->children) {
        struct node *child = node->children;
        node->children = child->next;
        node_free_below(child);
        free(child);
    }
    if (node->any) {
        node_free_below(node->any);
        free(node->any);
    }
}

void router_free(struct router *router)
{
    if (!router)
        return;
    node_free_below(&router->root);
    free(router);
}

static struct node *node_literal(const struct node *node, struct str name)
{
    struct node *child = node->children;
    while (child && !str_eq(child->name, name))
        child = child->next;
    return child;
}

/* The node of a path below node, made if missing. */
static struct node *node_path(struct node *node, const char *path, unsigned *args, struct err *err)
{
    while (*path == '/' && path[1]) {
        struct str name = {path + 1, (uint32_t)strcspn(path + 1, "/")};
        struct node *child = name.ptr[0] == '{' ? node->any : node_literal(node, name);
        if (!child) {
            child = calloc(1, sizeof *child);
            if (!child) {
                err_set(err, ERR_NO_MEMORY, "no memory for the routes");
                return NULL;
            }
            child->name = name;
            if (name.ptr[0] == '{') {
                node->any = child;
            } else {
                child->next = node->children;
                node->children = child;
            }
        }
        *args += name.ptr[0] == '{';
        node = child;
        path += 1 + name.len;
    }
    return node;
}

int router_add(struct router *router, const struct surface *surface, const char *prefix, struct err *err)
{
    unsigned args = 0;
    struct node *top = node_path(&router->root, prefix, &args, err);

    if (!top)
        return -1;
    if (!router->first)
        router->first = surface;
    if (!top->surface)
        top->surface = surface;
    for (const struct route *route = surface->routes; route->handle; route++) {
        args = 0;
        struct node *node = node_path(top, route->path, &args, err);
        if (!node)
            return -1;
        int index = method_index(route->method);
        if (index < 0 || args > ROUTE_ARGS || node->routes[index])
            return err_set(err, ERR_INTERNAL, "route %s %s%s is wrong or given twice", method_name(route->method), prefix,
                           route->path);
        node->routes[index] = route;
    }
    return 0;
}

void router_match(const struct router *router, enum method method, const struct str *segments, uint32_t count,
                  struct route_match *out)
{
    const struct node *node = &router->root;
    unsigned args = 0;

    *out = (struct route_match){.surface = router->first};
    if (node->surface && count == 0)
        out->surface = node->surface;
    for (uint32_t i = 0; i < count; i++) {
        if (segments[i].len == 0 && i + 1 == count && out->surface && out->surface->slash)
            break;
        const struct node *child = node_literal(node, segments[i]);
        if (!child && node->any && segments[i].len > 0 && args < ROUTE_ARGS) {
            child = node->any;
            out->args[args++] = segments[i];
        }
        if (!child)
            return;
        if (child->surface)
            out->surface = child->surface;
        node = child;
    }
    for (int i = 0; i < ROUTE_METHODS; i++) {
        if (!node->routes[i])
            continue;
        out->methods |= methods[i].method;
        if (methods[i].method == method)
            out->route = node->routes[i];
    }
    if (out->methods)
        out->methods |= METHOD_OPTIONS;
}

void route_markdown(const struct surface *const *surfaces, FILE *out)
{
    fputs("# HTTP endpoints\n\nMade from the route tables in `gateway/surfaces` (a test holds this page against them; "
          "`GANTRY_WRITE_DOCS=1` makes it write the page anew).\nEvery path also answers `OPTIONS`, and `HEAD` where it answers "
          "`GET`. Roles matter once keys are asked for.\n",
          out);
    for (; *surfaces; surfaces++) {
        fprintf(out, "\n## %s\n\n%s\n", (*surfaces)->name, (*surfaces)->doc);
        if ((*surfaces)->own)
            fprintf(out, "On the surface's own port `%s` stands for `%s`.\n", (*surfaces)->own, (*surfaces)->prefix);
        for (const struct route *route = (*surfaces)->routes; route->handle; route++)
            fprintf(out, "\n### `%s %s%s`\n\n%s\nRole: %s.\n", method_name(route->method), (*surfaces)->prefix, route->path,
                    route->doc, role_name(route->role));
    }
}
