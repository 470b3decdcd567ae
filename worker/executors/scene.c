#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "proto/settings.h"
#include "worker/executors/executor.h"
#include "worker/value.h"

/* `--root` for each of the worker's folders of scenes. */
static int roots_add(struct plan *plan, struct err *err)
{
    const char *roots = plan->place.settings ? settings_text(plan->place.settings, SET_SCENE_ROOT) : "";
    unsigned count = 0;
    for (size_t len; *roots; roots += len + (roots[len] == ':')) {
        len = strcspn(roots, ":");
        if (len == 0)
            continue;
        if (plan_arg(plan, STR_LIT("--root"), err) < 0 || plan_arg(plan, (struct str){roots, (uint32_t)len}, err) < 0)
            return -1;
        count++;
    }
    return count ? 0 : err_set(err, ERR_INVALID, "this worker has no folders of scenes (scene.root)");
}

/* Where the answer goes: the run's result has 64 KiB; all of it is its output, where it has one. */
static int answers_add(struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    const char *output = plan->place.output;
    if (snprintf(path, sizeof(path), "%s/result", plan->place.folder) >= (int)sizeof(path))
        return err_set(err, ERR_INVALID, "the name of the run's folder is too long");
    if (plan_arg(plan, STR_LIT("--result"), err) < 0 || plan_arg(plan, str_of(path), err) < 0)
        return -1;
    return output && (plan_arg(plan, STR_LIT("--output"), err) < 0 || plan_arg(plan, str_of(output), err) < 0) ? -1 : 0;
}

static int path_add(struct plan *plan, struct err *err)
{
    struct str value;
    struct buf text = {.limit = PLAN_TEXT_MAX};
    if (plan_arg(plan, STR_LIT("--"), err) < 0)
        return -1;
    if (!value_find(plan->run->parameters, STR_LIT("path"), &value))
        return plan_arg(plan, plan->run->spec.command, err);
    int rc = value_text(&text, value) < 0 ? err_set(err, ERR_INVALID, "parameter path is to be a text")
                                          : plan_arg(plan, buf_str(&text), err);
    buf_free(&text);
    return rc;
}

int executor_scene(struct plan *plan, struct err *err)
{
    char program[PATH_MAX];
    if (plan_sibling(plan, "gantry-scene", program, err) < 0 || plan_arg(plan, str_of(program), err) < 0)
        return -1;
    return roots_add(plan, err) < 0 || answers_add(plan, err) < 0 || path_add(plan, err) < 0 ? -1 : 0;
}
