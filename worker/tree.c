#include "worker/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

struct node {
    pid_t pid, parent;
    unsigned long long started; /* in ticks since boot: tells a reused pid from the process we saw */
    char state;                 /* as proc(5) names it */
    bool ours, spared;
};

struct forest {
    struct node *nodes;
    size_t count, size;
};

/* Reads /proc/<pid>/stat. The name in brackets may hold blanks and brackets, so the fields are counted from the last one. */
static int node_read(pid_t pid, struct node *node)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    const char *fields = strrchr(text, ')');
    char state = 0;
    int parent = 0;
    unsigned long long started = 0;
    if (!fields || sscanf(fields + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
                          &parent, &started) != 3)
        return -1;
    *node = (struct node){.pid = pid, .parent = (pid_t)parent, .started = started, .state = state};
    return 0;
}

static bool node_dead(const struct node *node)
{
    return node->state == 'Z' || node->state == 'X';
}

static int forest_add(struct forest *forest, const struct node *node)
{
    if (forest->count == forest->size) {
        size_t size = forest->size ? forest->size * 2 : 256;
        struct node *nodes = realloc(forest->nodes, size * sizeof(*nodes));
        if (!nodes)
            return -1;
        forest->nodes = nodes;
        forest->size = size;
    }
    forest->nodes[forest->count++] = *node;
    return 0;
}

static int forest_read(struct forest *forest)
{
    DIR *dir = opendir("/proc");
    if (!dir)
        return -1;
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir))) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        struct node node;
        if (*end == '\0' && pid > 0 && node_read((pid_t)pid, &node) == 0)
            rc = forest_add(forest, &node);
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

static int node_compare(const void *a, const void *b)
{
    const struct node *left = a, *right = b;
    return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static struct node *forest_find(struct forest *forest, pid_t pid)
{
    struct node key = {.pid = pid};
    return forest->count ? bsearch(&key, forest->nodes, forest->count, sizeof(key), node_compare) : NULL;
}

/* Marks what descends from root. A pass marks children of what is marked; most trees are done in a few. */
static void forest_mark(struct forest *forest, pid_t root, const pid_t *spare, size_t spare_count)
{
    if (forest->count)
        qsort(forest->nodes, forest->count, sizeof(*forest->nodes), node_compare);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < forest->count; i++) {
            struct node *node = &forest->nodes[i];
            if (node->ours || node->pid == root)
                continue;
            const struct node *parent = node->parent == root ? NULL : forest_find(forest, node->parent);
            if (node->parent != root && !(parent && parent->ours))
                continue;
            node->ours = changed = true;
            node->spared = parent && parent->spared;
            for (size_t k = 0; !parent && k < spare_count; k++)
                node->spared = node->spared || spare[k] == node->pid;
        }
    }
}

/* Through a pidfd, and only after a second look: a pid that was reused since the scan belongs to a stranger. */
static void node_signal(const struct node *node, int signal)
{
    int fd = pidfd_open(node->pid, 0);
    if (fd < 0)
        return;
    struct node now;
    if (node_read(node->pid, &now) == 0 && now.started == node->started)
        pidfd_send_signal(fd, signal, NULL, 0);
    close(fd);
}

int tree_signal(pid_t root, int signal, const pid_t *spare, size_t spare_count)
{
    struct forest forest = {0};
    int found = -1;
    if (forest_read(&forest) == 0) {
        forest_mark(&forest, root, spare, spare_count);
        found = 0;
        for (size_t i = 0; i < forest.count; i++) {
            const struct node *node = &forest.nodes[i];
            if (!node->ours || node->spared || node_dead(node))
                continue;
            found++;
            if (signal)
                node_signal(node, signal);
        }
    }
    int saved = errno;
    free(forest.nodes);
    errno = saved;
    return found;
}

bool tree_stopped(pid_t pid)
{
    struct node node;
    return node_read(pid, &node) == 0 && node.state == 'T';
}
