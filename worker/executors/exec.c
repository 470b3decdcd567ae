#include "worker/executors/executor.h"

#include <string.h>

static struct str base_name(struct str path)
{
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;
    return slash ? (struct str){slash + 1, path.len - (uint32_t)(slash + 1 - path.ptr)} : path;
}

static bool has_argument(const struct str_list *arguments, const char *word)
{
    for (uint32_t i = 0; i < arguments->count; i++)
        if (str_is(arguments->items[i], word))
            return true;
    return false;
}

/* ffmpeg says how far it is when it is told where. Global options may stand first, so the task's own follow behind. */
static int ffmpeg_arguments(struct plan *plan, struct err *err)
{
    plan->ffmpeg = true;
    return plan_arg(plan, STR_LIT("-progress"), err) < 0 || plan_arg(plan, STR_LIT("pipe:3"), err) < 0 ||
                   plan_arg(plan, STR_LIT("-nostats"), err) < 0 || plan_arg(plan, STR_LIT("-nostdin"), err) < 0
               ? -1
               : 0;
}

_Static_assert(JOB_FD_PROGRAM == 3, "the pipe named to ffmpeg");

int executor_exec(struct plan *plan, struct err *err)
{
    const struct rec_task_spec *spec = &plan->run->spec;
    if (plan_arg(plan, spec->command, err) < 0)
        return -1;
    if (str_is(base_name(spec->command), "ffmpeg") && !has_argument(&spec->arguments, "-progress") &&
        ffmpeg_arguments(plan, err) < 0)
        return -1;
    return plan_args_filled(plan, &spec->arguments, err);
}
