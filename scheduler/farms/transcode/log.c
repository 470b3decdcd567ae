/* The transcode farm's log: lines that workers send, errors of tasks, and what runs of its own write. */
#include <stdio.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define LINE_BYTES (16u << 10)
#define DROPS (TRANSCODE_LOG_OPS - 1)
#define PREFIX_BYTES 16 /* of what FARM_LOGGED_BYTES has room for */

void transcode_log(struct transcode *farm, struct core *core, uint64_t task_id, uint64_t level, struct str text,
                   struct rec_transcode_log *out)
{
    struct rec_transcode_log line = {.id = core_new_id(core, TYPE_TRANSCODE_LOG),
                                     .task_id = task_id,
                                     .at = core->wall_ms,
                                     .level = level,
                                     .text = str_cut(text, LINE_BYTES)};
    journal_put(core->journal, TYPE_TRANSCODE_LOG, line.id, &line);
    if (!farm->oldest_log)
        farm->oldest_log = line.id;
    for (unsigned i = 0; i < DROPS && line.id - farm->oldest_log >= farm->config.logs_max; i++)
        journal_delete(core->journal, TYPE_TRANSCODE_LOG, farm->oldest_log++);
    if (out)
        *out = line;
}

/* Lines of several segments, and of joining them, stand in their task's log: each says whose it is. */
static struct str line_of(struct core *core, const char *prefix, struct str text)
{
    size_t len = strlen(prefix);
    char *line = len ? arena_alloc(core->arena, len + text.len) : NULL;
    if (!line)
        return text;
    memcpy(line, prefix, len);
    if (text.len)
        memcpy(line + len, text.ptr, text.len);
    return (struct str){line, (uint32_t)len + text.len};
}

void transcode_logged(void *self, struct core *core, const struct run *run, const struct rec_log_chunk *chunk)
{
    struct transcode *farm = self;
    uint32_t segment = 0;
    const struct transcode_cut *cut = cut_of_segment(farm, run->node.id, &segment);
    uint64_t task = cut ? cut->id : run->node.id;
    char prefix[PREFIX_BYTES] = "";
    if (cut)
        snprintf(prefix, sizeof prefix, "[%u/%u] ", segment + 1, cut_count(cut));
    else if (cut_find(farm, task))
        snprintf(prefix, sizeof prefix, "[join] ");
    for (uint32_t i = 0; i < chunk->lines.count; i++)
        transcode_log(farm, core, task, chunk->lines.items[i].level, line_of(core, prefix, chunk->lines.items[i].text), NULL);
}

/* Into the run's own log, too, as long as it runs: its attempt counts what it has. */
static void run_log(struct core *core, struct run *run, struct rec_attempt *attempt, const struct rec_task_spec *spec,
                    const struct msg_transcode_log *log)
{
    struct rec_log_line line = {
        .seq = ++attempt->lines, .at = core->wall_ms, .level = log->level, .stream = STREAM_STDOUT, .text = log->text};
    struct rec_log_chunk chunk = {.run_id = run->node.id, .attempt = run->attempt, .lines = {&line, 1}};
    struct rec_run record;
    journal_log(core->journal, &chunk);
    run_record(run, spec, &record);
    run_put(core, &record);
}

/* Who may add a line: whoever may speak for the task, which may have ended. numbered: a worker of the API has it. -1 with fault. */
static int log_check(const struct msg_transcode_log *log, const struct transcode_task *task, bool numbered, struct fault *fault)
{
    if (task && !numbered && log->whose.len)
        return fault_owner(fault, task->record.worker_name);
    if (task || HAS(log, msg_transcode_log, known))
        return task_owned(task ? &task->record : &log->known, log->whose, fault);
    fault_task(fault, log->task_id);
    fault->rule = FAULT_FETCH;
    return -1;
}

void transcode_on_log(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_log *log = &call->msg->u.transcode_log;
    struct transcode *farm = transcode_of(core);
    const struct transcode_task *task = transcode_task_find(farm, log->task_id);
    struct run *run = task ? run_find(core, log->task_id) : NULL;
    /* A worker with a session numbers the lines of its runs itself. */
    bool numbered = run && run->lease && run->lease->worker->kept;
    struct rec_attempt *attempt = numbered ? run_attempt(run, run->attempt) : NULL;
    struct rec_task_spec *spec = NULL;
    struct msg_transcode_logged answer;
    struct fault fault;
    if (log_check(log, run ? task : NULL, numbered, &fault))
        goto error;
    if (run && run_own_spec(core, run, &spec)) {
        fault_memory(&fault);
        goto error;
    }
    size_t line = TRANSCODE_LOG_BYTES(log->text);
    if (core_reserve(core, 2 * line + (run ? run_bytes(run) + 4096 : 0), line, 4 + TRANSCODE_LOG_OPS, &fault))
        goto error;
    if (attempt)
        run_log(core, run, attempt, spec, log);
    transcode_log(farm, core, log->task_id, log->level, log->text, &answer.log);
    answer.has = 0;
    core_answer(core, call, &shape_msg_transcode_logged, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
