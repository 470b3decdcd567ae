/* The queue: classes of runs that the same workers can take, each a heap by rank. */
#include "scheduler/queue.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "scheduler/farms/farm.h"
#include "scheduler/gate.h"
#include "scheduler/kind.h"
#include "scheduler/pool.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

/* An empty map in any spelling is no labels. */
static struct str labels_plain(struct str labels)
{
    struct reader reader = {labels.ptr, labels.ptr + labels.len};
    struct token token;
    if (labels.len && reader_next(&reader, &token) == 0 && token.kind == TOKEN_MAP && token.u.count == 0)
        labels.len = 0;
    return labels;
}

#define CLASS_PARTS 4 /* of its key, beside the labels */

/* Lengths first, as a name may hold any byte. */
static int class_key(struct buf *key, const struct rec_task_spec *spec, struct str labels, const struct farm *farm)
{
    struct str name = str_of(farm ? farm->name : "");
    uint32_t lengths[CLASS_PARTS] = {spec->task_type.len, spec->executor.len, name.len, spec->pool.len};
    return buf_add(key, lengths, sizeof lengths) || buf_add(key, spec->task_type.ptr, spec->task_type.len) ||
                   buf_add(key, spec->executor.ptr, spec->executor.len) || buf_add(key, name.ptr, name.len) ||
                   buf_add(key, spec->pool.ptr, spec->pool.len) || buf_add(key, labels.ptr, labels.len)
               ? -1
               : 0;
}

static void class_free(struct core *core, struct queue_class *class)
{
    if (class->pool)
        pool_leave(core, class->pool);
    heap_free(&class->queue);
    heap_free(&class->passed);
    text_drop(class->text);
    free(class);
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
    class->type = (struct str){class->key.ptr + CLASS_PARTS * sizeof(uint32_t), spec->task_type.len};
    class->executor = (struct str){class->type.ptr + class->type.len, spec->executor.len};
    class->labels = (struct str){class->key.ptr + class->key.len - labels.len, labels.len};
    class->farm = farm;
    if (spec->pool.len)
        class->pool = pool_join(core, spec->pool);
    if ((spec->pool.len && !class->pool) || kind_match_class(core, class)) {
        class_free(core, class);
        return NULL;
    }
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

/* Out of the heap it stands in. */
static void class_unplace(struct core *core, struct queue_class *class)
{
    if (class->place == CLASS_BLOCKED)
        heap_remove(&class->pool->blocked, &class->node);
    else
        heap_remove(&core->ready, &class->node);
}

void queue_class_drop(struct core *core, struct queue_class *class)
{
    if (!class || --class->refs > 0)
        return;
    kind_forget_class(class);
    class_unplace(core, class);
    index_remove(&core->classes, class);
    class_free(core, class);
}

static int64_t queue_rank(const struct core *core, const struct run *run)
{
    uint64_t ready = run->due_at > run->created_at ? run->due_at : run->created_at;
    if (ready > core->wall_ms)
        ready = core->wall_ms; /* the clock was set back since */
    return (int64_t)ready - (int64_t)(run->priority * core->config.lift_ms);
}

bool queue_chooses(const struct queue_class *class)
{
    return class->farm && class->farm->choose;
}

int queue_reserve(struct queue_class *class, uint32_t runs)
{
    size_t count = (size_t) class->runs + runs;
    return heap_reserve(&class->queue, count) || (queue_chooses(class) && heap_reserve(&class->passed, count)) ? -1 : 0;
}

static void class_count_aside(struct queue_class *class)
{
    bool aside = class->place == CLASS_ASIDE || class->passed.count;
    for (struct match *match = class->matches; match; match = match->next_kind)
        match->kind->aside += (uint32_t)aside - (uint32_t) class->aside;
    class->aside = aside;
}

/* Into the heap for this place, which its head's rank orders. */
static void class_place_in(struct core *core, struct queue_class *class, enum class_place place)
{
    const struct heap_node *head = heap_top(&class->queue);
    struct heap *heap = place == CLASS_BLOCKED ? &class->pool->blocked : &core->ready;
    bool moves = class->place != place;
    if (moves)
        class_unplace(core, class);
    class->node.key = head->key;
    class->node.id = head->id;
    class->place = place;
    if (moves)
        heap_push(heap, &class->node);
    else
        heap_moved(heap, &class->node);
}

void queue_admit(struct core *core, struct pool *pool)
{
    struct heap_node *top = pool_full(pool) ? NULL : heap_top(&pool->blocked);
    if (top)
        class_place_in(core, heap_of(top, struct queue_class, node), CLASS_READY);
}

void queue_block(struct core *core, struct queue_class *class)
{
    class_place_in(core, class, CLASS_BLOCKED);
}

/* The class stands in core->ready, or among those that its pool blocks, as its best run does. */
static void class_refresh(struct core *core, struct queue_class *class)
{
    if (class->again && !class->queue.count) {
        struct heap round = class->passed;
        class->passed = class->queue;
        class->queue = round;
        class->again = false;
    }
    const struct heap_node *head = heap_top(&class->queue);
    if (class->place == CLASS_ASIDE) {
        /* until it is woken */
    } else if (!head) {
        class_unplace(core, class);
        class->place = class->passed.count ? CLASS_ASIDE : CLASS_EMPTY;
    } else {
        class_place_in(core, class, class->pool && pool_full(class->pool) ? CLASS_BLOCKED : CLASS_READY);
    }
    class_count_aside(class);
    if (class->pool && class->place != CLASS_BLOCKED)
        queue_admit(core, class->pool);
}

void queue_enter(struct core *core, struct run *run)
{
    struct queue_class *class = run->class;
    if (class->place == CLASS_ASIDE && !class->queue.count)
        class->place = CLASS_EMPTY; /* what is aside was passed over: this one may be wanted */
    heap_push(&class->queue, &run->node);
    class_refresh(core, class);
}

static struct heap *heap_with(struct queue_class *class, const struct heap_node *node)
{
    const struct heap *queue = &class->queue;
    bool queued = node->place && node->place <= queue->count && queue->nodes[node->place - 1] == node;
    return queued ? &class->queue : &class->passed;
}

void queue_leave(struct core *core, struct run *run)
{
    heap_remove(heap_with(run->class, &run->node), &run->node);
    class_refresh(core, run->class);
}

/* The gate that the run has to pass; NULL: none. */
static struct gate *gate_of(const struct run *run)
{
    return run->task && run->task->gate && run->task->gate->rate ? run->task->gate : NULL;
}

void queue_add(struct core *core, struct run *run)
{
    struct gate *gate = gate_of(run);
    run->node.key = queue_rank(core, run);
    if (run->class->pool)
        run->class->pool->waiting++;
    if (gate)
        gate_add(core, gate, run);
    else
        queue_enter(core, run);
}

void queue_remove(struct core *core, struct run *run)
{
    struct gate *gate = gate_of(run);
    if (!run->node.place)
        return; /* it is being given to a worker */
    if (run->class->pool)
        run->class->pool->waiting--;
    if (gate)
        gate_remove(core, gate, run);
    else
        queue_leave(core, run);
}

void queue_plan(struct core *core, struct run *run)
{
    if (run->class->pool)
        run->class->pool->planned++;
    queue_leave(core, run);
}

void queue_unplan(struct core *core, struct run *run)
{
    if (run->class->pool)
        run->class->pool->planned--;
    queue_enter(core, run);
}

void queue_given(struct core *core, struct run *run)
{
    struct gate *gate = gate_of(run);
    if (run->class->pool) {
        run->class->pool->planned--; /* its lease takes the place */
        run->class->pool->waiting--;
    }
    if (gate)
        gate_start(core, gate, run);
}

void queue_set_aside(struct core *core, struct queue_class *class)
{
    heap_remove(&core->ready, &class->node);
    class->place = CLASS_ASIDE;
    class_count_aside(class);
    if (class->pool)
        queue_admit(core, class->pool);
}

void queue_pass(struct core *core, struct queue_class *class, uint32_t count)
{
    struct heap_node *nodes[QUEUE_LOOK];
    memcpy(nodes, class->queue.nodes, count * sizeof *nodes); /* their places change as they go */
    for (uint32_t i = 0; i < count; i++) {
        heap_remove(&class->queue, nodes[i]);
        heap_push(&class->passed, nodes[i]);
    }
    class_refresh(core, class);
}

void queue_wake(struct core *core)
{
    while (core->woken) {
        struct kind *kind = core->woken;
        core->woken = kind->next_woken;
        kind->woken = false;
        for (struct match *match = kind->matches; match && kind->aside; match = match->next_class) {
            struct queue_class *class = match->class;
            if (!class->aside)
                continue;
            class->again = class->passed.count > 0;
            if (class->place == CLASS_ASIDE)
                class->place = CLASS_EMPTY;
            class_refresh(core, class);
        }
    }
}

static void heap_rerank(const struct core *core, struct heap *heap)
{
    uint32_t count = heap->count;
    heap->count = 0;
    for (uint32_t i = 0; i < count; i++) { /* a place is read before it is written */
        struct run *run = heap_of(heap->nodes[i], struct run, node);
        run->node.key = queue_rank(core, run);
        heap_push(heap, &run->node);
    }
}

void queue_rerank(struct core *core)
{
    for (size_t i = 0; i < core->classes.size; i++) {
        struct queue_class *class = core->classes.slots[i];
        if (!class)
            continue;
        heap_rerank(core, &class->queue);
        heap_rerank(core, &class->passed);
        class_refresh(core, class);
    }
    for (const struct task *task = core->first_task; task; task = task->next)
        if (task->gate)
            heap_rerank(core, &task->gate->waiting);
}
