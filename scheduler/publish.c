#include "scheduler/publish.h"

#include "scheduler/run.h"
#include "scheduler/task.h"

static bool same_output(const struct rec_published *a, const struct rec_published *b)
{
    return str_eq(a->path, b->path) && str_eq(a->temporary, b->temporary) && a->size == b->size && str_eq(a->hash, b->hash);
}

/* How long the folder of an absolute name of a file is, with its last slash; 0: it is none. */
static uint32_t folder_len(struct str path)
{
    uint32_t at = path.len;
    while (at && path.ptr[at - 1] != '/')
        at--;
    struct str base = {path.ptr + at, path.len - at};
    bool file = base.len && !str_is(base, ".") && !str_is(base, "..") && !memchr(path.ptr, '\0', path.len);
    return at && path.ptr[0] == '/' && file ? at : 0;
}

/* The final name itself is not compared with the spec's: it depends on parameters, which the worker fills in. */
static bool names_well(const struct rec_published *output)
{
    uint32_t folder = folder_len(output->path);
    return folder && folder == folder_len(output->temporary) && memcmp(output->path.ptr, output->temporary.ptr, folder) == 0 &&
           !str_eq(output->path, output->temporary);
}

/* Whether the run has an output, by its assignment; where that is forgotten, by an earlier grant or its spec as it is now. -1 when out
 * of memory. */
static int output_expected(struct core *core, const struct lease *lease, const struct rec_task_spec *own)
{
    const struct run *run = lease->run;
    struct rec_task_spec spec;
    struct err err;
    if (lease->output || (run->more && run->more->published.attempt) || (own && own->output.len))
        return 1;
    if (own || !run->task)
        return 0;
    return rec_decode_task_spec(core->arena, run->task->rules.spec->str, &spec, &err) ? -1 : spec.output.len > 0;
}

static int output_check(struct core *core, const struct lease *lease, const struct rec_published *output,
                        const struct rec_task_spec *own, struct fault *fault)
{
    int expected = output_expected(core, lease, own);
    if (expected < 0)
        return fault_memory(fault);
    if (!expected)
        return fault_set(fault, ERR_INVALID, "path", "no_output", output->path, "a run whose task has an output", "%s",
                         LEASE_WHY_NO_OUTPUT);
    if (!names_well(output))
        return fault_set(fault, ERR_INVALID, "temporary", "output_names", output->temporary,
                         "absolute names of two files in one folder", "%s", LEASE_WHY_OUTPUT_NAMES);
    return 0;
}

bool publish_refuses(const struct fault *fault)
{
    return fault->code == ERR_CONFLICT || fault->code == ERR_INVALID;
}

int publish_grant(struct core *core, struct lease *lease, const struct rec_published *output, size_t answer, struct fault *fault)
{
    struct run *run = lease->run;
    struct rec_task_spec *own;
    struct rec_run record;
    bool granted = run->state == STATE_PUBLISHING;
    if (granted && !same_output(output, &run->more->published)) /* one grant an attempt: its output may have its name already */
        return fault_set(fault, ERR_CONFLICT, "path", "granted", run->more->published.path, NULL, "%s", LEASE_WHY_STALE);
    if (run_own_spec(core, run, &own))
        return fault_memory(fault);
    if (!granted && output_check(core, lease, output, own, fault))
        return -1;
    size_t bytes = run_bytes(run) + output->path.len + output->temporary.len + 256;
    if (core_reserve(core, bytes, answer, 6, fault))
        return -1;
    if (granted)
        return 0;
    if (run_publish_set(run, output))
        return fault_memory(fault);
    run->more->published.at = core->wall_ms;
    run_move(core, run, CHANGE_GRANT);
    run_record(run, own, &record);
    run_put(core, &record);
    return 0;
}
