/* Process trees, found through /proc: who descends from whom, and signals to all of them. */
#ifndef GANTRY_WORKER_TREE_H
#define GANTRY_WORKER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Sends a signal to every living descendant of root, root itself excepted. spare: children of root that are left alone with all
 * that descends from them. Signal 0 only counts. Answers how many there were, -1 with errno when /proc cannot be read.
 * What forks meanwhile can be missed: call again until it answers 0. */
int tree_signal(pid_t root, int signal, const pid_t *spare, size_t spare_count);

/* True for a process that a signal has stopped; one that a debugger holds is not. */
bool tree_stopped(pid_t pid);

#endif
