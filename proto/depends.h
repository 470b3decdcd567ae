/* What a task waits for, as it is shown: by the names of now, or by id.
 *
 * A task's spec has its dependencies as they were typed, and beside it are their ids (rec_task.dependency_ids), which alone count. A name is
 * only good for the moment: its task may be given another one, and another task this one. So who shows a spec writes names of this moment
 * over it. A dependency stays an id where it was typed as one, and becomes one where a name would not lead back to it: when it reads as
 * an id, and when the task was deleted. What is shown can be put again and means the same.
 */
#ifndef GANTRY_PROTO_DEPENDS_H
#define GANTRY_PROTO_DEPENDS_H

#include "proto/messages.h"

/* The words of dependency_conditions; NULL behind the last. The first stands for 1 in rec_task.dependency_whens. */
extern const char *const depends_words[];

/* The id that text reads as; 0: none. */
uint64_t depends_number(struct str text);

struct depends_names {
    bool (*name_of)(void *self, uint64_t id, struct str *name); /* false: there is no such task */
    void *self;
};

/* Writes dependencies and dependency_conditions of spec anew, in the arena and with names that are borrowed. *changed: whether they may be
 * others than before. -1 when the arena has no room; spec is as it was then. */
int depends_show(struct arena *arena, struct rec_task_spec *spec, const struct uint_list *ids, const struct uint_list *whens,
                 const struct depends_names *names, bool *changed);

#endif
