/* A kind of workers: those that serve the same types with the same executors and have the same labels. */
#include "scheduler/kind.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "scheduler/poll.h"
#include "scheduler/queue.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

/* ---- matches ---- */

bool kind_serves_type(const struct kind *kind, const struct queue_class *class)
{
    return text_list_has(kind->types, kind->type_count, class->type);
}

bool kind_serves_executor(const struct kind *kind, const struct queue_class *class)
{
    if (kind->executor_count)
        return text_list_has(kind->executors, kind->executor_count, class->executor);
    return !kind->asks || !task_executor_known(class->executor) || text_list_has(kind->types, kind->type_count, class->executor);
}

static bool kind_has_labels(const struct kind *kind, struct str labels)
{
    struct reader reader = {labels.ptr, labels.ptr + labels.len};
    struct token map, name, value;
    if (!labels.len)
        return true;
    if (reader_next(&reader, &map) || map.kind != TOKEN_MAP)
        return false;
    for (uint32_t i = 0; i < map.u.count; i++) {
        struct str has;
        if (reader_next(&reader, &name) || reader_next(&reader, &value) || value.kind != TOKEN_STR)
            return false;
        if (!map_text(kind->labels, name.u.text, &has) || !str_eq(has, value.u.text))
            return false;
    }
    return true;
}

/* Makes a match if there is one; -1 when out of memory. */
static int match_make(struct kind *kind, struct queue_class *class)
{
    if (!kind_serves_type(kind, class) || !kind_serves_executor(kind, class) || !kind_has_labels(kind, class->labels))
        return 0;
    struct match *match = malloc(sizeof *match);
    if (!match)
        return -1;
    *match = (struct match){.kind = kind, .class = class, .next_kind = class->matches, .next_class = kind->matches};
    if (class->matches)
        class->matches->prev_kind = match;
    class->matches = match;
    if (kind->matches)
        kind->matches->prev_class = match;
    kind->matches = match;
    kind->aside += class->aside;
    return 0;
}

static void match_free(struct match *match)
{
    if (match->prev_kind)
        match->prev_kind->next_kind = match->next_kind;
    else
        match->class->matches = match->next_kind;
    if (match->next_kind)
        match->next_kind->prev_kind = match->prev_kind;
    if (match->prev_class)
        match->prev_class->next_class = match->next_class;
    else
        match->kind->matches = match->next_class;
    if (match->next_class)
        match->next_class->prev_class = match->prev_class;
    match->kind->aside -= match->class->aside;
    free(match);
}

int kind_match_class(struct core *core, struct queue_class *class)
{
    for (size_t i = 0; i < core->kinds.size; i++)
        if (core->kinds.slots[i] && match_make(core->kinds.slots[i], class)) {
            kind_forget_class(class);
            return -1;
        }
    return 0;
}

void kind_forget_class(struct queue_class *class)
{
    while (class->matches)
        match_free(class->matches);
}

/* ---- made ---- */

static int names_add(struct buf *key, const struct str_list *names)
{
    int result = buf_add(key, &names->count, sizeof names->count);
    for (uint32_t i = 0; i < names->count && result == 0; i++)
        result = buf_add(key, &names->items[i].len, sizeof names->items[i].len) ||
                 buf_add(key, names->items[i].ptr, names->items[i].len);
    return result;
}

static int kind_key(struct buf *key, const struct rec_worker *record)
{
    return buf_add(key, record->asks ? "r" : "s", 1) || names_add(key, &record->task_types) ||
                   names_add(key, &record->executors) || buf_add(key, record->labels.ptr, record->labels.len)
               ? -1
               : 0;
}

void kind_free(struct kind *kind)
{
    if (!kind)
        return;
    text_drop(kind->text);
    free(kind->types);
    free(kind->executors);
    heap_free(&kind->room);
    free(kind);
}

static struct kind *kind_new(struct core *core, struct str key, const struct rec_worker *record)
{
    struct kind *kind = calloc(1, sizeof *kind);
    if (!kind)
        return NULL;
    kind->text = text_new(key);
    if (!kind->text || text_list_copy(&kind->types, &record->task_types) ||
        text_list_copy(&kind->executors, &record->executors) || index_reserve(&core->kinds, 1))
        goto error;
    kind->key = kind->text->str;
    kind->labels = (struct str){kind->key.ptr + kind->key.len - record->labels.len, record->labels.len};
    kind->asks = record->asks;
    kind->type_count = record->task_types.count;
    kind->executor_count = record->executors.count;
    for (size_t i = 0; i < core->classes.size; i++)
        if (core->classes.slots[i] && match_make(kind, core->classes.slots[i]))
            goto error;
    index_add(&core->kinds, kind);
    return kind;
error:
    while (kind->matches)
        match_free(kind->matches);
    kind_free(kind);
    return NULL;
}

struct kind *kind_get(struct core *core, const struct rec_worker *record)
{
    struct buf key = {0};
    struct kind *kind = NULL;
    if (kind_key(&key, record) == 0) {
        kind = index_text(&core->kinds, buf_str(&key));
        if (!kind)
            kind = kind_new(core, buf_str(&key), record);
    }
    buf_free(&key);
    if (!kind)
        return NULL;
    kind->refs++;
    if (heap_reserve(&kind->room, kind->refs) == 0)
        return kind;
    kind_drop(core, kind);
    return NULL;
}

void kind_drop(struct core *core, struct kind *kind)
{
    struct kind **at = &core->woken;
    if (!kind || --kind->refs > 0)
        return;
    while (*at && *at != kind)
        at = &(*at)->next_woken;
    if (*at)
        *at = kind->next_woken;
    while (kind->matches)
        match_free(kind->matches);
    index_remove(&core->kinds, kind);
    kind_free(kind);
}

/* ---- its workers ---- */

/* Its classes that were set aside are to be looked at again. */
static void kind_wake(struct core *core, struct kind *kind)
{
    if (kind->woken || !kind->aside)
        return;
    kind->woken = true;
    kind->next_woken = core->woken;
    core->woken = kind;
}

static enum kind_place place_of(const struct core *core, const struct worker *worker)
{
    if (!worker->present || worker->status != WORKER_ACTIVE)
        return PLACE_NONE;
    if (worker->held + worker->plan_count >= worker->credit || (worker->asks && !poll_takes(worker)))
        return PLACE_BUSY;
    return core->mono_ms < worker->rest_until ? PLACE_RESTS : PLACE_ROOM;
}

/* Its share of slots that is taken, as a number: with at most 4096 slots two shares that differ do so by more than 2^-25. */
static int64_t share_of(const struct worker *worker)
{
    return (int64_t)(((uint64_t)worker->held + worker->plan_count) << 25) / (worker->slots ? worker->slots : 1);
}

void kind_refresh(struct core *core, struct worker *worker)
{
    struct kind *kind = worker->kind;
    if (!kind)
        return;
    enum kind_place before = (enum kind_place)worker->place, now = place_of(core, worker);
    kind->places[before]--;
    kind->places[now]++;
    worker->place = (uint8_t)now;
    if (now != PLACE_ROOM) {
        heap_remove(&kind->room, &worker->room);
        return;
    }
    int64_t share = share_of(worker);
    bool more = before != PLACE_ROOM || share < worker->room.key; /* a farm may think otherwise of an emptier one */
    worker->room.key = share;
    worker->room.id = worker->turn;
    if (before == PLACE_ROOM)
        heap_moved(&kind->room, &worker->room);
    else
        heap_push(&kind->room, &worker->room);
    if (more)
        kind_wake(core, kind);
}

void kind_join(struct core *core, struct worker *worker, struct kind *kind)
{
    kind_leave(core, worker);
    worker->kind = kind;
    worker->place = PLACE_NONE;
    kind->places[PLACE_NONE]++;
    kind_refresh(core, worker);
}

void kind_leave(struct core *core, struct worker *worker)
{
    struct kind *kind = worker->kind;
    if (!kind)
        return;
    heap_remove(&kind->room, &worker->room);
    kind->places[worker->place]--;
    worker->place = PLACE_NONE;
    worker->kind = NULL;
    kind_drop(core, kind);
}
