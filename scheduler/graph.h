/* The graph around a task, for people: TASK_GRAPH. */
#ifndef GANTRY_SCHEDULER_GRAPH_H
#define GANTRY_SCHEDULER_GRAPH_H

#include "scheduler/core_state.h"

enum graph_direction { GRAPH_BOTH, GRAPH_UP, GRAPH_DOWN }; /* as in msg_task_graph.direction */

core_handler graph_on_ask;

#endif
