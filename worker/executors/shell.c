#include "worker/executors/executor.h"

/* The command's text is the script and stays as it is: a parameter must never become shell syntax. Scripts read $1… and
 * GANTRY_PARAM_…. */
int executor_shell(struct plan *plan, struct err *err)
{
    const struct rec_task_spec *spec = &plan->run->spec;
    if (plan_arg(plan, STR_LIT("/bin/sh"), err) < 0 || plan_arg(plan, STR_LIT("-c"), err) < 0 ||
        plan_arg(plan, spec->command, err) < 0 || plan_arg(plan, STR_LIT("sh"), err) < 0)
        return -1;
    return plan_args_filled(plan, &spec->arguments, err);
}
