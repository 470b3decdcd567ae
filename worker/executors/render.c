#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/executors/executor.h"
#include "worker/render/engine.h"
#include "worker/video/made.h"
#include "worker/video/words.h"

/* A folder by its setting, or of that name in the data folder. */
static int add_folder(struct plan *plan, const char *word, int setting, const char *name, struct err *err)
{
    char real[PATH_MAX], path[PATH_MAX + 16];
    const char *text = settings_text(plan->place.settings, setting);
    if (*text)
        return words_add(plan, word, str_of(text), err);
    if (!realpath(settings_text(plan->place.settings, SET_DATA), real))
        return err_set(err, ERR_IO, "the data folder cannot be found");
    snprintf(path, sizeof(path), "%s/%s", real, name);
    return words_add(plan, word, str_of(path), err);
}

static int add_settings(struct plan *plan, struct err *err)
{
    if (!plan->place.settings)
        return 0;
    for (const struct engine *row = engines; row->name; row++)
        if (words_add_setting(plan, row->name, row->setting, err) < 0)
            return -1;
    return words_add_setting(plan, "roots", SET_SCENE_ROOT, err) < 0 ||
                   words_add_setting(plan, "gateway_key", SET_WORKER_GATEWAY_KEY, err) < 0 ||
                   words_add_setting(plan, "gateway_ca", SET_WORKER_GATEWAY_CA, err) < 0 ||
                   words_add_setting(plan, "cache_gb", SET_WORKER_RENDER_CACHE_GB, err) < 0 ||
                   words_add_setting(plan, "threads", SET_WORKER_RENDER_THREADS, err) < 0 ||
                   add_folder(plan, "folder", SET_RENDER_OUTPUT, "render", err) < 0 ||
                   add_folder(plan, "blobs", SET_BLOB_DIR, "blobs", err) < 0
               ? -1
               : 0;
}

/* The gateway that has what is not here. On the farm's own machine files are, but their list is its gateway's, by the same settings. */
static int add_gateway(struct plan *plan, struct err *err)
{
    char url[64];
    const struct settings *settings = plan->place.settings;
    if (words_add_setting(plan, "gateway", SET_WORKER_GATEWAY, err) < 0)
        return -1;
    if (!settings || *settings_text(settings, SET_BUS_WORKERS) || *settings_text(settings, SET_HTTP_TLS_CERT) ||
        settings_count_of(settings, SET_HTTP_PORT) == 0)
        return 0;
    snprintf(url, sizeof(url), "http://localhost:%s", settings_text(settings, SET_HTTP_PORT));
    return words_add(plan, "near", str_of(url), err);
}

/* <home>/runs/<attempt> is the run's folder: what is kept for other frames stands in <home>. */
static int add_cache(struct plan *plan, struct err *err)
{
    char path[PATH_MAX + 16];
    const char *last = strrchr(plan->place.folder, '/'), *at = last;
    while (at && at > plan->place.folder && at[-1] != '/')
        at--;
    if (!at)
        return 0;
    snprintf(path, sizeof(path), "%.*sneeds", (int)(at - plan->place.folder), plan->place.folder);
    if (words_add(plan, "needs", str_of(path), err) < 0)
        return -1;
    snprintf(path, sizeof(path), "%.*sfiles", (int)(at - plan->place.folder), plan->place.folder);
    return words_add(plan, "cache", str_of(path), err);
}

/* What an earlier attempt was granted may stand already (rule 6). */
static int add_published(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    char word[MADE_WORD];
    if (!HAS(run, rec_assignment, published) || run->published.hash.len != PUBLISH_HASH)
        return 0;
    made_word(run->published.size, (const unsigned char *)run->published.hash.ptr, word);
    return words_add(plan, "published", str_of(word), err);
}

/* What keeps its engine for other frames, and for how many. */
static int add_keeper(struct plan *plan, struct err *err)
{
    if (!plan->place.keeper)
        return 0;
    return words_add(plan, "keeper", str_of(plan->place.keeper), err) < 0 ||
                   words_add_setting(plan, "chunk", SET_RENDER_CHUNK, err) < 0 ||
                   words_add_setting(plan, "keep_seconds", SET_RENDER_KEEP_SECONDS, err) < 0
               ? -1
               : 0;
}

int executor_render(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    char path[PATH_MAX], reader[PATH_MAX], work[PATH_MAX + 8];
    plan->channel = true;
    snprintf(work, sizeof(work), "%s/work", plan->place.folder);
    if (plan_arg(plan, str_of(plan->place.self), err) < 0 || plan_arg(plan, STR_LIT("--render"), err) < 0 ||
        plan_arg(plan, STR_LIT("run"), err) < 0 || plan_sibling(plan, "gantry-picture", path, err) < 0 ||
        words_add(plan, "picture", str_of(path), err) < 0 || plan_sibling(plan, "gantry-scene", reader, err) < 0 ||
        words_add(plan, "reader", str_of(reader), err) < 0)
        return -1;
    return words_add(plan, "scene", run->spec.command, err) < 0 || words_add(plan, "output", run->spec.output, err) < 0 ||
                   words_add_number(plan, "run", run->run_id, err) < 0 ||
                   words_add_number(plan, "attempt", run->attempt, err) < 0 || words_add(plan, "work", str_of(work), err) < 0 ||
                   add_published(plan, err) < 0 || add_settings(plan, err) < 0 || add_gateway(plan, err) < 0 ||
                   add_cache(plan, err) < 0 || add_keeper(plan, err) < 0
               ? -1
               : 0;
}
