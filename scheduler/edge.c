#include "scheduler/edge.h"

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/task.h"

#define CYCLE_NAME 40 /* bytes of a name in the path of a cycle */
#define CYCLE_ENDS 3  /* names at either end of a long one */

/* ---- how an edge stands ---- */

enum phase { PHASE_OPEN, PHASE_SUCCESS, PHASE_FAILURE }; /* of a task's newest run; one that never ran is open */

static enum phase phase_of(const struct rec_task_stat *stat)
{
    if (!stat->last_run_id || stat->last_final_id != stat->last_run_id)
        return PHASE_OPEN;
    return stat->last_status == RUN_COMPLETED ? PHASE_SUCCESS : PHASE_FAILURE;
}

enum edge_when edge_when(const struct task_rules *rules, uint32_t index)
{
    uint64_t own = rules->whens ? rules->whens[index] : WHEN_DEFAULT;
    return own > WHEN_DEFAULT && own < WHEN_COUNT ? (enum edge_when)own : (enum edge_when)rules->when;
}

enum depend_state edge_judge(const struct task_rules *rules, uint32_t index)
{
    const struct task *on = rules->edges[index].on;
    enum edge_when when = edge_when(rules, index);
    enum phase phase = on ? phase_of(&on->stat) : PHASE_SUCCESS;
    if (!on)
        return DEPEND_MET;
    if (phase == PHASE_OPEN)
        return DEPEND_WAITS;
    if (when == WHEN_ANY || (when == WHEN_SUCCESS) == (phase == PHASE_SUCCESS) || rules->on_failure == ON_FAILURE_IGNORE)
        return DEPEND_MET;
    return rules->on_failure == ON_FAILURE_WAIT ? DEPEND_WAITS : DEPEND_FAILED;
}

static void edge_set(struct task *task, uint32_t index)
{
    struct edge *edge = &task->rules.edges[index];
    task->edge_states[edge->state]--;
    edge->state = (uint8_t)edge_judge(&task->rules, index);
    task->edge_states[edge->state]++;
}

void edge_tell(struct task *task)
{
    uint8_t phase = (uint8_t)phase_of(&task->stat);
    if (task->phase == phase)
        return;
    task->phase = phase;
    for (uint32_t i = 0; i < task->dependent_count; i++)
        edge_set(task->dependents[i].task, task->dependents[i].edge);
}

const struct edge *edge_first(const struct task *task, enum depend_state state)
{
    for (uint32_t i = 0; task->edge_states[state] && i < task->rules.dep_count; i++)
        if (task->rules.edges[i].state == state)
            return &task->rules.edges[i];
    return NULL;
}

/* By the numbers of events: a clock may be set back, or stand still between two of them. Only what an earlier version wrote has
 * nothing but times, and those of completions only. */
static bool ended_since(const struct rec_task_stat *on, const struct rec_task_stat *stat, enum edge_when when)
{
    uint64_t since = stat->last_run_at > stat->last_created_at ? stat->last_run_at : stat->last_created_at;
    bool completed =
        on->completed_event || stat->begun_event ? on->completed_event > stat->begun_event : on->last_completed_at > since;
    bool failed = on->failed_event > stat->begun_event;
    return (completed && when != WHEN_FAILURE) || (failed && when != WHEN_SUCCESS);
}

/* Ends only come to be newer, so those that were looked at once need no second look until a run of its own begins. */
bool edge_ended_all(struct task *task)
{
    const struct task_rules *rules = &task->rules;
    if (task->ended_since != task->stat.begun_event) {
        task->ended_since = task->stat.begun_event;
        task->ended = 0;
    }
    while (task->ended < rules->dep_count && rules->edges[task->ended].on &&
           ended_since(&rules->edges[task->ended].on->stat, &task->stat, edge_when(rules, task->ended)))
        task->ended++;
    return task->ended == rules->dep_count;
}

/* ---- joining and leaving ---- */

int edge_reserve(struct core *core, const struct task_rules *rules)
{
    for (uint32_t i = 0; i < rules->dep_count; i++) {
        struct task *on = task_find(core, rules->deps[i]);
        if (!on || on->dependent_count < on->dependent_size)
            continue;
        uint32_t size = on->dependent_size ? on->dependent_size * 2 : 4;
        struct dependent *dependents = realloc(on->dependents, size * sizeof *dependents);
        if (!dependents)
            return -1;
        on->dependents = dependents;
        on->dependent_size = size;
    }
    return 0;
}

void edge_join(struct core *core, struct task *task)
{
    memset(task->edge_states, 0, sizeof task->edge_states);
    task->ended = 0;
    for (uint32_t i = 0; i < task->rules.dep_count; i++) {
        struct edge *edge = &task->rules.edges[i];
        struct task *on = task_find(core, task->rules.deps[i]);
        edge->on = on && on->dependent_count < on->dependent_size ? on : NULL;
        if (edge->on) {
            edge_tell(on);
            edge->place = on->dependent_count++;
            on->dependents[edge->place] = (struct dependent){task, i};
        }
        edge->state = (uint8_t)edge_judge(&task->rules, i);
        task->edge_states[edge->state]++;
    }
}

void edge_leave(struct task *task)
{
    for (uint32_t i = 0; i < task->rules.dep_count; i++) {
        struct edge *edge = &task->rules.edges[i];
        struct task *on = edge->on;
        if (!on)
            continue;
        struct dependent last = on->dependents[--on->dependent_count];
        on->dependents[edge->place] = last;
        last.task->rules.edges[last.edge].place = edge->place;
        edge->on = NULL;
    }
}

void edge_orphan(struct task *task)
{
    for (uint32_t i = 0; i < task->dependent_count; i++) {
        struct dependent *dependent = &task->dependents[i];
        dependent->task->rules.edges[dependent->edge].on = NULL;
        dependent->task->ended = 0;
        edge_set(dependent->task, dependent->edge);
    }
    task->dependent_count = 0;
}

/* ---- rules ---- */

void edge_clear(struct task_rules *rules)
{
    free(rules->deps);
    free(rules->edges);
    rules->deps = rules->whens = NULL;
    rules->edges = NULL;
    rules->dep_count = 0;
}

size_t edge_bytes(const struct task_rules *rules)
{
    return rules->dep_count * (sizeof *rules->deps + sizeof *rules->edges + sizeof(struct dependent));
}

/* Room for count; with whens at zero when some edge has a condition of its own. */
static int edge_room(struct task_rules *rules, uint32_t count, bool own, struct fault *fault)
{
    rules->deps = calloc((size_t)count * (own ? 2 : 1), sizeof *rules->deps);
    rules->edges = calloc(count, sizeof *rules->edges);
    if (!rules->deps || !rules->edges) {
        edge_clear(rules);
        return fault_memory(fault);
    }
    rules->whens = own ? rules->deps + count : NULL;
    return 0;
}

int edge_load(struct task_rules *rules, const struct uint_list *ids, const struct uint_list *whens, struct fault *fault)
{
    bool own = whens->count == ids->count;
    if (!ids->count)
        return 0;
    if (edge_room(rules, ids->count, own, fault))
        return -1;
    rules->dep_count = ids->count;
    memcpy(rules->deps, ids->items, ids->count * sizeof *rules->deps);
    if (own)
        memcpy(rules->whens, whens->items, ids->count * sizeof *rules->whens);
    return 0;
}

static struct task *edge_find(const struct core *core, struct str text)
{
    uint64_t id = depends_number(text);
    struct task *task = id ? task_find(core, id) : NULL;
    if (!task)
        task = task_find_name(core, text);
    return task && !task->oneshot ? task : NULL; /* ended one-shot tasks are not kept, so nothing can wait for them */
}

/* A task that was deleted and that self waits for by its id; 0: it is none. */
static uint64_t edge_dead(const struct core *core, const struct task *self, struct str text)
{
    uint64_t id = depends_number(text);
    for (uint32_t i = 0; id && self && i < self->rules.dep_count; i++)
        if (self->rules.deps[i] == id && !task_find(core, id))
            return id;
    return 0;
}

/* The place in rules of one that resolve_names has found; -1: it is none of them. */
static int64_t edge_place(const struct core *core, const struct task_rules *rules, struct str text)
{
    uint64_t id = depends_number(text);
    for (uint32_t i = 0; id && i < rules->dep_count; i++)
        if (rules->deps[i] == id && !rules->edges[i].on)
            return i;
    const struct task *task = edge_find(core, text);
    return task && task->visit.number == core->visits ? (int64_t)task->visit.place : -1;
}

/* Each task that is named, once, in the order they are named in; marked with its place. */
static int resolve_names(struct core *core, const struct rec_task_spec *spec, const struct task *self, struct task_rules *rules,
                         struct fault *fault)
{
    uint64_t walk = ++core->visits;
    for (uint32_t i = 0; i < spec->dependencies.count; i++) {
        struct str name = spec->dependencies.items[i], shown = str_cut(name, 60);
        uint64_t id = edge_dead(core, self, name);
        struct task *task = id ? NULL : edge_find(core, name);
        id = task ? task_id(task) : id;
        if (!id && str_eq(name, spec->name))
            return fault_set(fault, ERR_INVALID, "dependencies", "cycle", name, "no circle of tasks that wait for each other",
                             "the task waits for itself: %.*s -> %.*s", (int)shown.len, shown.ptr, (int)shown.len, shown.ptr);
        if (!id)
            return fault_set(fault, ERR_INVALID, "dependencies", "unknown_dependency", name, "ids or names of tasks that exist",
                             "there is no task \"%.*s\" to wait for", (int)name.len, name.ptr);
        if (task ? task->visit.number == walk : edge_place(core, rules, name) >= 0)
            continue;
        if (task)
            task->visit = (struct visit){.number = walk, .place = rules->dep_count};
        rules->deps[rules->dep_count] = id;
        rules->edges[rules->dep_count++].on = task;
    }
    return 0;
}

static int condition_refuse(const char *rule, struct str name, struct str value, const char *expected, struct fault *fault)
{
    char field[128];
    name = str_cut(name, 60);
    snprintf(field, sizeof field, "dependency_conditions.%.*s", (int)name.len, name.len ? name.ptr : "");
    return fault_set(fault, ERR_INVALID, field, rule, value, expected, "%s must be %s", field, expected);
}

/* Conditions that single dependencies have, by the marks that resolve_names has left. */
static int resolve_conditions(struct core *core, struct str map, struct task_rules *rules, struct fault *fault)
{
    struct reader reader = {map.ptr, map.ptr + map.len};
    struct token token, name;
    if (!map.len || reader_next(&reader, &token) || token.kind != TOKEN_MAP)
        return 0;
    for (uint32_t left = token.u.count; left; left--) {
        uint64_t when = WHEN_SUCCESS;
        if (reader_next(&reader, &name) || reader_next(&reader, &token) || name.kind != TOKEN_STR)
            return 0; /* cannot be: it has been read before */
        struct str word = token.kind == TOKEN_STR ? token.u.text : (struct str){0};
        while (when < WHEN_COUNT && !str_is(word, depends_words[when - WHEN_SUCCESS]))
            when++;
        if (when == WHEN_COUNT)
            return condition_refuse("enum", name.u.text, word, "success, failure or any", fault);
        int64_t place = edge_place(core, rules, name.u.text);
        if (place < 0)
            return condition_refuse("dependency_condition", name.u.text, name.u.text, "of one of the dependencies", fault);
        uint64_t *own = &rules->whens[place];
        if (*own && *own != when)
            return condition_refuse("dependency_condition", name.u.text, name.u.text, "the same wherever the task is named",
                                    fault);
        *own = when;
    }
    return 0;
}

/* ---- cycles ---- */

/* From `task` back to where the walk began, turned round: the first of a path to it, each with the one behind it in visit.from. */
static struct task *path_turn(struct task *task)
{
    struct task *behind = NULL;
    while (task) {
        struct task *before = task->visit.from;
        task->visit.from = behind;
        behind = task;
        task = before;
    }
    return behind;
}

static size_t path_add(char *path, size_t size, size_t at, struct str name)
{
    name = str_cut(name, CYCLE_NAME);
    int len = at < size ? snprintf(path + at, size - at, "%s%.*s", at ? " -> " : "", (int)name.len, name.ptr) : 0;
    return at + (len > 0 ? (size_t)len : 0);
}

/* first: what self would wait for, and from there on back to self. */
static int cycle_say(struct fault *fault, const struct task *self, const struct task *first)
{
    char path[320];
    uint32_t length = 0, place = 0;
    size_t at = path_add(path, sizeof path, 0, self->rules.name->str);
    for (const struct task *task = first; task; task = task->visit.from)
        length++;
    for (const struct task *task = first; task; task = task->visit.from, place++) {
        if (length <= 2 * CYCLE_ENDS || place < CYCLE_ENDS || place >= length - CYCLE_ENDS)
            at = path_add(path, sizeof path, at, task->rules.name->str);
        else if (place == CYCLE_ENDS && at < sizeof path)
            at += (size_t)snprintf(path + at, sizeof path - at, " -> (%u more)", length - 2 * CYCLE_ENDS);
    }
    path_add(path, sizeof path, at, self->rules.name->str);
    return fault_set(fault, ERR_INVALID, "dependencies", "cycle", str_of(path), "no circle of tasks that wait for each other",
                     "the dependencies go round in a circle: %s", path);
}

/* Breadth first from what self would wait for, to self: so the path is a shortest one. */
static int cycle_check(struct core *core, const struct task *self, const struct task_rules *rules, struct fault *fault)
{
    struct task *first = NULL, **last = &first;
    for (uint32_t i = 0; i < rules->dep_count; i++)
        if (rules->edges[i].on == self)
            return cycle_say(fault, self, NULL);
    if (!self->dependent_count)
        return 0;
    uint64_t walk = ++core->visits;
    for (uint32_t i = 0; i < rules->dep_count; i++) {
        struct task *on = rules->edges[i].on;
        if (!on)
            continue;
        on->visit = (struct visit){.number = walk};
        *last = on;
        last = &on->visit.next;
    }
    for (struct task *task = first; task; task = task->visit.next) {
        for (uint32_t i = 0; i < task->rules.dep_count; i++) {
            struct task *on = task->rules.edges[i].on;
            if (on == self)
                return cycle_say(fault, self, path_turn(task));
            if (!on || on->visit.number == walk)
                continue;
            on->visit = (struct visit){.number = walk, .from = task};
            *last = on;
            last = &on->visit.next;
        }
    }
    return 0;
}

int edge_resolve(struct core *core, const struct rec_task_spec *spec, const struct task *self, struct task_rules *rules,
                 struct fault *fault)
{
    bool own = spec->dependency_conditions.len > 1;
    if (!spec->dependencies.count && !own)
        return 0;
    if (edge_room(rules, spec->dependencies.count + 1, own, fault))
        return -1;
    if (resolve_names(core, spec, self, rules, fault) || resolve_conditions(core, spec->dependency_conditions, rules, fault) ||
        (self && cycle_check(core, self, rules, fault))) {
        edge_clear(rules);
        return -1;
    }
    return 0;
}

/* ---- as they are shown ---- */

static bool name_of(void *self, uint64_t id, struct str *name)
{
    const struct task *task = task_find(self, id);
    if (task)
        *name = task->rules.name->str;
    return task != NULL;
}

int edge_show(struct core *core, const struct task_rules *rules, struct rec_task_spec *spec)
{
    const struct uint_list ids = task_deps(rules), whens = task_whens(rules);
    const struct depends_names names = {name_of, core};
    bool changed;
    return depends_show(core->arena, spec, &ids, &whens, &names, &changed);
}
