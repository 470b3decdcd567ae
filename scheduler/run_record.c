/* A run as a record: written, read back, and made anew. */
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/depend.h"
#include "scheduler/farms/farm_host.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"
#include "scheduler/worker.h"

static void record_more(const struct run_more *more, struct rec_run *record)
{
    record->farm_data = text_str(more->farm_data);
    record->error_message = text_str(more->error);
    record->restart_of = more->restart_of;
    record->started_at = more->started_at;
    record->attempts = (struct rec_attempt_list){more->attempts, more->attempt_count};
    if (more->attempt_count) {
        const struct rec_attempt *newest = &more->attempts[more->attempt_count - 1];
        if (newest->outcome == OUTCOME_OPEN)
            record->progress = newest->progress;
        record->worker_id = newest->worker_id;
        record->worker_name = newest->worker_name;
        record->worker_hostname = text_str(more->hostname);
    }
    if (more->published.attempt) {
        record->published = more->published;
        record->published.hash.ptr = (const char *)more->hash;
        SET_HAS(record, rec_run, published);
    }
}

int run_own_spec(struct core *core, const struct run *run, struct rec_task_spec **spec)
{
    struct err err;
    *spec = NULL;
    if (!run->more || !run->more->spec)
        return 0;
    *spec = arena_alloc(core->arena, sizeof **spec);
    return *spec ? rec_decode_task_spec(core->arena, run->more->spec->str, *spec, &err) : -1;
}

void run_record(const struct run *run, const struct rec_task_spec *spec, struct rec_run *record)
{
    *record = (struct rec_run){
        .id = run->node.id,
        .task_id = run->task ? task_id(run->task) : 0,
        .task_name = text_str(run->name),
        .status = run_waits(run) ? RUN_PENDING : RUN_RUNNING,
        .priority = run->priority,
        .created_at = run->created_at,
        .due_at = run->due_at,
        .attempt = run->attempt,
        .retries = run->retries,
        .losses = run->losses,
        .retry_count = run->retry_count,
        .timeout_seconds = run->timeout_seconds,
        .farm = str_of(run->class->farm ? run->class->farm->name : ""),
    };
    record->parameters = text_str(run->parameters);
    if (run->more)
        record_more(run->more, record);
    if (spec) {
        record->spec = *spec;
        SET_HAS(record, rec_run, spec);
    }
}

void run_brief(struct rec_run *record)
{
    const struct str none = {0};
    record->parameters = record->result = record->farm_data = none;
    record->attempts = (struct rec_attempt_list){0};
    CLEAR_HAS(record, rec_run, result);
    CLEAR_HAS(record, rec_run, published);
    CLEAR_HAS(record, rec_run, spec);
}

size_t run_bytes(const struct run *run)
{
    size_t bytes = 640 + text_str(run->name).len + text_str(run->parameters).len;
    const struct run_more *more = run->more;
    if (!more)
        return bytes;
    bytes += text_str(more->farm_data).len + text_str(more->error).len + text_str(more->hostname).len + text_str(more->spec).len;
    if (more->published.attempt)
        bytes += more->published.path.len + more->published.temporary.len + 112;
    for (uint32_t i = 0; i < more->attempt_count; i++)
        bytes += 136 + more->attempts[i].worker_name.len + more->attempts[i].error.len;
    return bytes;
}

size_t run_change_bytes(const struct run *run)
{
    return run_bytes(run) + 576 + (run->task ? task_bytes(run->task) + TASK_STAT_BYTES : 0) + (size_t)2 * RUN_EVENT_BYTES;
}

void run_put(struct core *core, const struct rec_run *record)
{
    journal_put(core->journal, TYPE_RUN, record->id, record);
    journal_note_run(core->journal, record->id);
}

size_t run_create_bytes(const struct task *task, struct str parameters)
{
    return 1024 + parameters.len + (task ? task->rules.name->str.len + TASK_STAT_BYTES + 200 : 0) + RUN_EVENT_BYTES;
}

void run_announce(struct core *core, struct run *run, const struct rec_task_spec *spec)
{
    struct task *task = run->task;
    struct rec_run record;
    run_record(run, spec, &record);
    run_put(core, &record);
    struct rec_event event = {.type = STR_LIT("task.triggered"),
                              .task_id = record.task_id,
                              .task_name = record.task_name,
                              .run_id = record.id,
                              .status = STR_LIT("pending")};
    uint64_t number = core_event(core, &event);
    if (!task)
        return;
    task->stat.total++;
    if (run->node.id > task->stat.last_run_id)
        task->stat.last_run_id = run->node.id;
    task->stat.last_created_at = run->created_at;
    task->stat.begun_event = number;
    task_stat_put(core, task);
    depend_began(task);
}

struct run *run_create(struct core *core, const struct run_plan *plan)
{
    struct run *run = run_new(core, plan);
    if (!run)
        return NULL;
    run_join(core, run);
    run_announce(core, run, NULL);
    return run;
}

/* ---- read back ---- */

static int load_attempts(struct run *run, const struct rec_run *record)
{
    for (uint32_t i = 0; i < record->attempts.count; i++) {
        const struct rec_attempt *from = &record->attempts.items[i];
        char *error = NULL;
        if (run_attempt_reserve(run, from->worker_name))
            return -1;
        if (from->error.len) {
            error = malloc((size_t)from->error.len + 1);
            if (!error)
                return -1;
            str_copy(error, (size_t)from->error.len + 1, from->error);
        }
        struct rec_attempt *to = run_attempt_add(run);
        struct str name = to->worker_name;
        *to = *from;
        to->worker_name = name;
        to->error = (struct str){error, from->error.len};
    }
    return 0;
}

static int load_published(struct run_more *more, const struct rec_published *published)
{
    if (published->hash.len > sizeof more->hash || text_set(&more->path, published->path) ||
        text_set(&more->temporary, published->temporary))
        return -1;
    more->published = *published;
    more->published.path = text_str(more->path);
    more->published.temporary = text_str(more->temporary);
    memcpy(more->hash, published->hash.ptr, published->hash.len);
    more->published.hash = (struct str){(const char *)more->hash, published->hash.len};
    return 0;
}

int run_publish_set(struct run *run, const struct rec_published *published)
{
    struct run_more *more = run->more, kept = *more;
    more->path = more->temporary = NULL;
    if (load_published(more, published)) {
        text_drop(more->path);
        text_drop(more->temporary);
        *more = kept;
        return -1;
    }
    text_drop(kept.path);
    text_drop(kept.temporary);
    return 0;
}

static int load_more(struct run *run, const struct rec_run *record)
{
    if (!record->attempts.count && !record->error_message.len && !HAS(record, rec_run, published) && !record->started_at)
        return 0;
    if (run_more_reserve(run) || load_attempts(run, record))
        return -1;
    run->more->started_at = record->started_at;
    if (text_set(&run->more->error, record->error_message) || text_set(&run->more->hostname, record->worker_hostname))
        return -1;
    return HAS(record, rec_run, published) ? load_published(run->more, &record->published) : 0;
}

/* What the record says as a plan; the class and name in it are the caller's to drop. */
static int load_plan(struct core *core, const struct rec_run *record, struct run_plan *plan, struct buf *spec, struct err *err)
{
    struct task *task = record->task_id ? task_find(core, record->task_id) : NULL;
    const struct farm *farm = record->farm.len ? farm_find(core, record->farm) : NULL;
    *plan = (struct run_plan){.task = task,
                              .parameters = record->parameters,
                              .farm_data = record->farm_data,
                              .due_at = record->due_at,
                              .restart_of = record->restart_of,
                              .timeout_seconds = (uint32_t)record->timeout_seconds,
                              .priority = (uint8_t)record->priority,
                              .retry_count = (uint8_t)record->retry_count};
    if (HAS(record, rec_run, spec)) {
        if (rec_encode_task_spec(spec, &record->spec, err))
            return -1;
        plan->spec = buf_str(spec);
        plan->class = queue_class_get(core, &record->spec, farm);
    } else if (task) {
        plan->class = task->rules.class;
        queue_class_keep(plan->class);
    }
    plan->name =
        task && str_eq(task->rules.name->str, record->task_name) ? text_keep(task->rules.name) : text_new(record->task_name);
    return plan->class && plan->name ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

int run_load(struct core *core, const struct rec_run *record, struct err *err)
{
    struct run_plan plan = {0};
    struct buf spec = {0};
    struct run *run = NULL;
    int result = -1;
    if (run_status_final(record->status))
        return 0;
    if (record->id >= RUN_ID_MAX || run_find(core, record->id))
        return err_set(err, ERR_INVALID, "run %llu is there twice, or its id is out of range", (unsigned long long)record->id);
    if (record->status == RUN_RUNNING && (!record->attempts.count || !record->attempt || !record->worker_id))
        return err_set(err, ERR_INVALID, "run %llu runs without an attempt", (unsigned long long)record->id);
    if (!HAS(record, rec_run, spec) && !task_find(core, record->task_id)) {
        /* It can never run, and everything else can: not a reason to stay away. */
        log_error("GTY-RUN-ORPHAN", "run=%llu task=%llu its task is not there", (unsigned long long)record->id,
                  (unsigned long long)record->task_id);
        return 0;
    }
    if (load_plan(core, record, &plan, &spec, err))
        goto error;
    run = run_new(core, &plan);
    if (!run || load_more(run, record)) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        run_free(core, run);
        goto error;
    }
    run->node.id = record->id;
    run->created_at = record->created_at;
    run->attempt = (uint32_t)record->attempt;
    run->retries = (uint8_t)record->retries;
    run->losses = (uint32_t)record->losses;
    run_link(core, run);
    if (record->status == RUN_PENDING)
        run_move(core, run, CHANGE_PLACE);
    result = 0;
error:
    queue_class_drop(core, plan.class);
    text_drop(plan.name);
    buf_free(&spec);
    return result;
}
