#include "worker/executors/executor.h"

/* PYTHONUNBUFFERED: a log is to be seen while the run goes on. A task's own env has the last word. */
int executor_python(struct plan *plan, struct err *err)
{
    const struct rec_task_spec *spec = &plan->run->spec;
    bool chosen = false;
    for (size_t i = 0; i < plan->env.count; i++)
        chosen = chosen || strncmp(plan->env.items[i], "PYTHONUNBUFFERED=", 17) == 0;
    if (!chosen && plan_env(plan, STR_LIT("PYTHONUNBUFFERED"), STR_LIT("1"), err) < 0)
        return -1;
    if (plan_arg(plan, STR_LIT("python3"), err) < 0 || plan_arg(plan, spec->command, err) < 0)
        return -1;
    return plan_args_filled(plan, &spec->arguments, err);
}
