#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "worker/executors/executor.h"
#include "worker/video/words.h"

/* gantry-probe stands beside this program. */
int plan_probe(struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    const char *slash = strrchr(plan->place.self, '/');
    int folder = slash ? (int)(slash - plan->place.self) : 0;
    if (snprintf(path, sizeof(path), "%.*s/gantry-probe", folder, plan->place.self) >= (int)sizeof(path))
        return err_set(err, ERR_INVALID, "the path of gantry-probe is too long");
    return words_add(plan, "probe", str_of(path), err);
}

int executor_scan(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    plan->channel = true;
    if (plan_arg(plan, str_of(plan->place.self), err) < 0 || plan_arg(plan, STR_LIT("--scan"), err) < 0 ||
        words_add(plan, "root", run->spec.command, err) < 0 || words_add_prefix(plan, run->spec.command, err) < 0 ||
        words_add_number(plan, "run", run->run_id, err) < 0 || words_add_number(plan, "attempt", run->attempt, err) < 0 ||
        plan_probe(plan, err) < 0)
        return -1;
    return words_add_setting(plan, "rules", SET_TRANSCODE_RULES, err) < 0 ||
                   words_add_setting(plan, "vr", SET_LIBRARY_VR, err) < 0 ||
                   words_add_setting(plan, "extensions", SET_LIBRARY_EXTENSIONS, err) < 0 ||
                   words_add_setting(plan, "jobs", SET_LIBRARY_PROBES, err) < 0
               ? -1
               : 0;
}
