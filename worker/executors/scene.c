#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/settings.h"
#include "worker/executors/executor.h"
#include "worker/value.h"
#include "worker/video/words.h"

/* Uploaded scenes lie among the blobs, if this machine has those. 1; 0: it has not; -1 with err. */
static int blobs_add(struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    const struct settings *settings = plan->place.settings;
    const char *folder = settings ? settings_text(settings, SET_BLOB_DIR) : "";
    int len = folder[0] ? snprintf(path, sizeof(path), "%s", folder)
                        : snprintf(path, sizeof(path), "%s/blobs", settings ? settings_text(settings, SET_DATA) : "");
    if (len >= (int)sizeof(path) || path[0] != '/' || access(path, X_OK) < 0)
        return 0;
    return plan_arg(plan, STR_LIT("--root"), err) < 0 || plan_arg(plan, str_of(path), err) < 0 ? -1 : 1;
}

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
    int blobs = blobs_add(plan, err);
    if (blobs < 0)
        return -1;
    return count || blobs ? 0 : err_set(err, ERR_INVALID, "this worker has no folders of scenes (scene.root)");
}

/* Where all of the answer goes: the run's output, where it has one. -1 with err. */
static int report_path(const struct plan *plan, char path[PATH_MAX], struct err *err)
{
    const char *output = plan->place.output;
    int len = output ? snprintf(path, PATH_MAX, "%s", output) : snprintf(path, PATH_MAX, "%s/scene.json", plan->place.folder);
    return len < PATH_MAX ? 0 : err_set(err, ERR_INVALID, "the name of the run's folder is too long");
}

/* The run's result has 64 KiB of it. */
static int answers_add(struct plan *plan, const char *report, struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/result", plan->place.folder) >= (int)sizeof(path))
        return err_set(err, ERR_INVALID, "the name of the run's folder is too long");
    return plan_arg(plan, STR_LIT("--result"), err) < 0 || plan_arg(plan, str_of(path), err) < 0 ||
                   plan_arg(plan, STR_LIT("--output"), err) < 0 || plan_arg(plan, str_of(report), err) < 0
               ? -1
               : 0;
}

/* It is run by gantry-worker, which tells the farm of the files. */
static int teller_add(struct plan *plan, const char *report, struct err *err)
{
    plan->channel = true;
    return plan_arg(plan, str_of(plan->place.self), err) < 0 || plan_arg(plan, STR_LIT("--scene"), err) < 0 ||
                   words_add_number(plan, "run", plan->run->run_id, err) < 0 ||
                   words_add_number(plan, "attempt", plan->run->attempt, err) < 0 ||
                   words_add(plan, "report", str_of(report), err) < 0 || plan_arg(plan, STR_LIT("--"), err) < 0
               ? -1
               : 0;
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
    char program[PATH_MAX], report[PATH_MAX];
    if (report_path(plan, report, err) < 0 || teller_add(plan, report, err) < 0 ||
        plan_sibling(plan, "gantry-scene", program, err) < 0 || plan_arg(plan, str_of(program), err) < 0)
        return -1;
    return roots_add(plan, err) < 0 || answers_add(plan, report, err) < 0 || path_add(plan, err) < 0 ? -1 : 0;
}
