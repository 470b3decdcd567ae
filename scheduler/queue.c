/* The queue: classes of runs that the same workers can take, each a heap by rank. */
#include "scheduler/queue.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "scheduler/farms/farm.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

/* An empty map in any spelling is no labels. */
static struct str labels_plain(struct str labels)
{
    struct reader reader = {labels.ptr, labels.ptr + labels.len};
    struct token token;
    if (labels.len && reader_next(&reader, &token) == 0 && token.kind == TOKEN_MAP && token.u.count == 0)
        labels.len = 0;
    return labels;
}

/* Lengths first, as a name may hold any byte. */
static int class_key(struct buf *key, const struct rec_task_spec *spec, struct str labels, const struct farm *farm)
{
    struct str name = str_of(farm ? farm->name : "");
    uint32_t lengths[3] = {spec->task_type.len, spec->executor.len, name.len};
    return buf_add(key, lengths, sizeof lengths) || buf_add(key, spec->task_type.ptr, spec->task_type.len) ||
                   buf_add(key, spec->executor.ptr, spec->executor.len) || buf_add(key, name.ptr, name.len) ||
                   buf_add(key, labels.ptr, labels.len)
               ? -1
               : 0;
}

static struct queue_class *class_new(struct core *core, struct str key, const struct rec_task_spec *spec, struct str labels,
                                     const struct farm *farm)
{
    struct queue_class *class = calloc(1, sizeof *class);
    if (!class)
        return NULL;
    class->text = text_new(key);
    if (!class->text || index_reserve(&core->classes, 1) || heap_reserve(&core->ready, core->classes.count + 1)) {
        text_drop(class->text);
        free(class);
        return NULL;
    }
    class->key = class->text->str;
    class->type = (struct str){class->key.ptr + 3 * sizeof(uint32_t), spec->task_type.len};
    class->executor = (struct str){class->type.ptr + class->type.len, spec->executor.len};
    class->labels = (struct str){class->key.ptr + class->key.len - labels.len, labels.len};
    class->farm = farm;
    index_add(&core->classes, class);
    return class;
}

struct queue_class *queue_class_get(struct core *core, const struct rec_task_spec *spec, const struct farm *farm)
{
    struct buf key = {0};
    struct queue_class *class = NULL;
    struct str labels = labels_plain(spec->labels);
    if (class_key(&key, spec, labels, farm) == 0) {
        class = index_text(&core->classes, buf_str(&key));
        if (!class)
            class = class_new(core, buf_str(&key), spec, labels, farm);
    }
    buf_free(&key);
    queue_class_keep(class);
    return class;
}

void queue_class_keep(struct queue_class *class)
{
    if (class)
        class->refs++;
}

static void class_free(struct queue_class *class)
{
    heap_free(&class->queue);
    text_drop(class->text);
    free(class->matches);
    free(class);
}

static void class_leave_aside(struct core *core, struct queue_class *class)
{
    struct queue_class **at = &core->set_aside;
    while (*at && *at != class)
        at = &(*at)->next_aside;
    if (*at)
        *at = class->next_aside;
    class->place = CLASS_EMPTY;
}

void queue_class_drop(struct core *core, struct queue_class *class)
{
    if (!class || --class->refs > 0)
        return;
    if (class->place == CLASS_ASIDE)
        class_leave_aside(core, class);
    heap_remove(&core->ready, &class->node);
    index_remove(&core->classes, class);
    class_free(class);
}

static int64_t queue_rank(const struct core *core, const struct run *run)
{
    uint64_t ready = run->due_at > run->created_at ? run->due_at : run->created_at;
    if (ready > core->wall_ms)
        ready = core->wall_ms; /* the clock was set back since */
    return (int64_t)ready - (int64_t)(run->priority * core->config.lift_ms);
}

int queue_reserve(struct core *core, struct queue_class *class, uint32_t runs)
{
    (void)core;
    return heap_reserve(&class->queue, (size_t) class->runs + runs);
}

/* The class stands in core->ready as its best run does. */
static void class_refresh(struct core *core, struct queue_class *class)
{
    const struct heap_node *head = heap_top(&class->queue);
    if (class->place == CLASS_ASIDE)
        return;
    if (!head) {
        heap_remove(&core->ready, &class->node);
        class->place = CLASS_EMPTY;
        return;
    }
    class->node.key = head->key;
    class->node.id = head->id;
    if (class->place == CLASS_READY) {
        heap_moved(&core->ready, &class->node);
    } else {
        heap_push(&core->ready, &class->node);
        class->place = CLASS_READY;
    }
}

void queue_add(struct core *core, struct run *run)
{
    struct queue_class *class = run->class;
    run->node.key = queue_rank(core, run);
    heap_push(&class->queue, &run->node);
    /* A farm may want this one for a worker that it wanted none of the others for. */
    if (class->place == CLASS_ASIDE && class->farm && class->farm->choose)
        class_leave_aside(core, class);
    class_refresh(core, class);
}

void queue_remove(struct core *core, struct run *run)
{
    heap_remove(&run->class->queue, &run->node);
    class_refresh(core, run->class);
}

void queue_set_aside(struct core *core, struct queue_class *class)
{
    heap_remove(&core->ready, &class->node);
    class->place = CLASS_ASIDE;
    class->next_aside = core->set_aside;
    core->set_aside = class;
}

void queue_wake(struct core *core)
{
    while (core->set_aside) {
        struct queue_class *class = core->set_aside;
        core->set_aside = class->next_aside;
        class->place = CLASS_EMPTY;
        class_refresh(core, class);
    }
}

void queue_rerank(struct core *core)
{
    for (size_t i = 0; i < core->classes.size; i++) {
        struct queue_class *class = core->classes.slots[i];
        if (!class)
            continue;
        uint32_t count = class->queue.count;
        class->queue.count = 0;
        for (uint32_t k = 0; k < count; k++) {
            struct run *run = heap_of(class->queue.nodes[k], struct run, node);
            run->node.key = queue_rank(core, run);
            heap_push(&class->queue, &run->node);
        }
        class_refresh(core, class);
    }
}

static bool listed(const struct str *names, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(names[i], name))
            return true;
    return false;
}

bool queue_serves_type(const struct worker *worker, const struct queue_class *class)
{
    return listed(worker->types, worker->type_count, class->type);
}

bool queue_serves_executor(const struct worker *worker, const struct queue_class *class)
{
    return !worker->executor_count || listed(worker->executors, worker->executor_count, class->executor);
}

static bool queue_serves(const struct worker *worker, const struct queue_class *class)
{
    if (!queue_serves_type(worker, class) || !queue_serves_executor(worker, class))
        return false;
    if (!class->labels.len)
        return true;
    struct reader reader = {class->labels.ptr, class->labels.ptr + class->labels.len};
    struct token map, name, value;
    if (reader_next(&reader, &map) || map.kind != TOKEN_MAP)
        return false;
    for (uint32_t i = 0; i < map.u.count; i++) {
        struct str has;
        if (reader_next(&reader, &name) || reader_next(&reader, &value) || value.kind != TOKEN_STR)
            return false;
        if (!map_text(text_str(worker->labels), name.u.text, &has) || !str_eq(has, value.u.text))
            return false;
    }
    return true;
}

static bool queue_takes(const struct worker *worker, const struct queue_class *class)
{
    return worker->present && worker->status == WORKER_ACTIVE && queue_serves(worker, class);
}

int queue_matches(struct core *core, struct queue_class *class)
{
    if (class->matched)
        return 0;
    uint32_t count = 0;
    for (struct worker *worker = core->first_worker; worker; worker = worker->next)
        count += queue_takes(worker, class);
    struct worker **matches = realloc(class->matches, (count + 1) * sizeof(struct worker *));
    if (!matches)
        return -1;
    class->matches = matches;
    class->match_count = 0;
    class->match_size = count + 1;
    for (struct worker *worker = core->first_worker; worker; worker = worker->next)
        if (queue_takes(worker, class))
            matches[class->match_count++] = worker;
    class->matched = true;
    return 0;
}

/* Puts the worker into the class's list or takes it out; without memory the list is made anew when it is wanted. */
static void class_follow(struct queue_class *class, struct worker *worker)
{
    bool takes = queue_takes(worker, class);
    uint32_t at = 0;
    while (at < class->match_count && class->matches[at] != worker)
        at++;
    if (takes == (at < class->match_count))
        return;
    if (!takes) {
        memmove(&class->matches[at], &class->matches[at + 1], (--class->match_count - at) * sizeof(struct worker *));
        return;
    }
    if (class->match_count == class->match_size) {
        uint32_t size = class->match_size * 2;
        struct worker **matches = realloc(class->matches, size * sizeof(struct worker *));
        if (!matches) {
            class->matched = false;
            return;
        }
        class->matches = matches;
        class->match_size = size;
    }
    class->matches[class->match_count++] = worker;
}

void queue_worker_changed(struct core *core, struct worker *worker)
{
    for (size_t i = 0; i < core->classes.size; i++) {
        struct queue_class *class = core->classes.slots[i];
        if (class && class->matched)
            class_follow(class, worker);
    }
}
