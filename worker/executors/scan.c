#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "worker/executors/executor.h"
#include "worker/video/words.h"

int plan_sibling(const struct plan *plan, const char *program, char *path, struct err *err)
{
    const char *slash = strrchr(plan->place.self, '/');
    int folder = slash ? (int)(slash - plan->place.self) : 0;
    if (snprintf(path, PATH_MAX, "%.*s/%s", folder, plan->place.self, program) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "the path of %s is too long", program);
    return 0;
}

int plan_probe(struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    return plan_sibling(plan, "gantry-probe", path, err) < 0 ? -1 : words_add(plan, "probe", str_of(path), err);
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
