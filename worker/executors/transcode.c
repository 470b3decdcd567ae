#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/executors/executor.h"
#include "worker/value.h"
#include "worker/video/made.h"
#include "worker/video/transcode.h"
#include "worker/video/words.h"

/* What of the run, of what is known of its video, and of the worker's settings its program is told. */
static const char *const parameters[] = {"root",    "video_id", "size", "mtime_ns", "hash",       "made",       "is_vr",
                                         "encoder", "source",   "dest", "bak",      "size_after", "task",       "segment_ms",
                                         "segment", "segments", "base", "from",     "to",         "size_before"};
/* All segments of a video are made alike, whatever their workers' settings say. Of two words of a name the first counts. */
static const struct {
    const char *parameter, *word;
} alike[] = {{"as_codec", "codec"}, {"as_crf", "crf"}, {"as_preset", "preset"}, {"as_rate", "rate"}};
static const struct {
    const char *name;
    int setting;
} settings[] = {
    {"codec", SET_TRANSCODE_CODEC},
    {"crf", SET_TRANSCODE_CRF},
    {"preset", SET_TRANSCODE_PRESET},
    {"rate", SET_TRANSCODE_RATE},
    {"threads", SET_TRANSCODE_THREADS},
    {"pools", SET_TRANSCODE_POOLS},
    {"verify", SET_TRANSCODE_VERIFY},
    {"stall", SET_TRANSCODE_STALL},
    {"keep_days", SET_TRANSCODE_KEEP_DAYS},
    {"rules", SET_TRANSCODE_RULES},
    {"vr", SET_LIBRARY_VR},
    {"gateway", SET_WORKER_GATEWAY},
    {"gateway_key", SET_WORKER_GATEWAY_KEY},
    {"gateway_ca", SET_WORKER_GATEWAY_CA},
};

static int add_flag(struct plan *plan, const char *name, int setting, struct err *err)
{
    bool set = plan->place.settings && settings_count_of(plan->place.settings, setting) != 0;
    return words_add_number(plan, name, set, err);
}

/* <home>/runs/<attempt> is the run's folder: journals stand in <home>. */
static int add_home(struct plan *plan, const char *name, struct err *err)
{
    char path[PATH_MAX + 32];
    const char *last = strrchr(plan->place.folder, '/'), *at = last;
    while (at && at > plan->place.folder && at[-1] != '/')
        at--;
    if (!at)
        return 0;
    snprintf(path, sizeof(path), "%.*s%s", (int)(at - plan->place.folder), plan->place.folder, name);
    return words_add(plan, name, str_of(path), err);
}

/* Where a run writes what has no other place. */
static int add_work(struct plan *plan, struct err *err)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s/work", plan->place.folder);
    return words_add(plan, "work", str_of(path), err);
}

/* `save`, where it puts what it makes (empty: <data>/transcoded); `results`, where its farm's gateway puts what is sent there. */
static int add_save(struct plan *plan, struct err *err)
{
    char real[PATH_MAX], path[PATH_MAX + 16];
    const char *save = plan->place.settings ? settings_text(plan->place.settings, SET_TRANSCODE_SAVE) : "";
    if (*save && *save != '!')
        return words_add(plan, "save", str_of(save), err) < 0 ? -1 : words_add(plan, "results", str_of(save), err);
    if (!plan->place.settings || !realpath(settings_text(plan->place.settings, SET_DATA), real))
        return err_set(err, ERR_IO, "the data folder cannot be found");
    snprintf(path, sizeof(path), "%s/transcoded", real);
    return words_add(plan, "save", str_of(*save ? save : path), err) < 0 ? -1 : words_add(plan, "results", str_of(path), err);
}

/* Runs of one worker do not meet in it, and what a dead one left goes with the folder. */
static int add_tmp(struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    if (!transcode_tmp(plan->place.settings, plan->place.ident, path))
        return 0;
    return words_add(plan, "tmp", str_of(path), err);
}

/* root is the farm's name of the folder. */
static int add_prefix(struct plan *plan, struct err *err)
{
    struct str packed;
    struct buf root = {.limit = PATH_MAX};
    bool well = value_find(plan->run->parameters, STR_LIT("root"), &packed) && value_text(&root, packed) == 0;
    int rc = well ? words_add_prefix(plan, buf_str(&root), err) : 0;
    buf_free(&root);
    return rc;
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

static int add_all(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        if (words_add_parameter(plan, parameters[i], err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
        if (words_add_parameter_as(plan, alike[i].parameter, alike[i].word, err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (words_add_setting(plan, settings[i].name, settings[i].setting, err) < 0)
            return -1;
    if (words_add(plan, "path", run->spec.command, err) < 0 || words_add_number(plan, "run", run->run_id, err) < 0 ||
        words_add_number(plan, "attempt", run->attempt, err) < 0 || plan_probe(plan, err) < 0)
        return -1;
    if (add_flag(plan, "hardware_decode", SET_TRANSCODE_HARDWARE_DECODE, err) < 0 ||
        add_flag(plan, "remove_original", SET_TRANSCODE_REMOVE_ORIGINAL, err) < 0 || add_prefix(plan, err) < 0 ||
        add_published(plan, err) < 0)
        return -1;
    return add_save(plan, err) < 0 || add_tmp(plan, err) < 0 || add_work(plan, err) < 0 || add_home(plan, "replace", err) < 0 ||
                   add_home(plan, "kept", err) < 0
               ? -1
               : 0;
}

static int prepare(struct plan *plan, const char *step, struct err *err)
{
    plan->channel = true;
    if (plan_arg(plan, str_of(plan->place.self), err) < 0 || plan_arg(plan, STR_LIT("--transcode"), err) < 0 ||
        plan_arg(plan, str_of(step), err) < 0)
        return -1;
    return add_all(plan, err);
}

int executor_transcode(struct plan *plan, struct err *err)
{
    return prepare(plan, "run", err);
}

int executor_health(struct plan *plan, struct err *err)
{
    return prepare(plan, "health", err);
}

int executor_undo(struct plan *plan, struct err *err)
{
    return prepare(plan, "undo", err);
}

int executor_clear(struct plan *plan, struct err *err)
{
    return prepare(plan, "clear", err);
}
