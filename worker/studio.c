#include "worker/studio.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "proto/clock.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "worker/sweep.h"
#include "worker/value.h"
#include "worker/video/encoders.h"
#include "worker/video/hours.h"
#include "worker/video/replace.h"
#include "worker/video/share.h"
#include "worker/video/transcode.h"

#define LOOK_MS 20000     /* at the clock */
#define TMP_BUDGET 100000 /* entries of the folder for what is being made */

static unsigned minute_now(void)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm local;
    return localtime_r(&now, &local) ? (unsigned)(local.tm_hour * 60 + local.tm_min) : 0;
}

static bool is_open(const struct studio *studio)
{
    uint64_t most = (uint64_t)settings_count_of(studio->settings, SET_TRANSCODE_COUNT);
    return hours_hold(settings_text(studio->settings, SET_TRANSCODE_HOURS), minute_now()) && (most == 0 || studio->done < most);
}

static bool path_of(const struct studio *studio, const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", studio->home->path, name) < PATH_MAX;
}

static void expire(const struct studio *studio)
{
    char kept[PATH_MAX];
    unsigned removed = path_of(studio, "kept", kept) ? replace_expire(kept, clock_wall_ms()) : 0;
    if (removed)
        log_info("GTY-TRANSCODE-EXPIRED", "originals=%u their time is over", removed);
}

static void look(struct studio *studio)
{
    bool open = is_open(studio), apart = share_apart(studio->settings);
    if (open == studio->open && apart == studio->apart)
        return;
    if (open != studio->open)
        log_info("GTY-TRANSCODE-HOURS", "%s", open ? "transcodes are taken from now on" : "no transcodes are taken from now on");
    studio->open = open;
    studio->apart = apart;
    studio->changed(studio->self);
}

static void on_timer(void *arg)
{
    struct studio *studio = arg;
    look(studio);
    expire(studio);
}

/* One that was begun is made to its end, by this worker alone if there is no other: its segments count for nothing. */
static bool is_segment(const struct rec_assignment *assignment)
{
    return map_number(assignment->parameters, "segment") != 0;
}

const char *studio_refusal(const struct studio *studio, const struct rec_assignment *assignment, uint32_t held)
{
    uint64_t most = studio->serves ? (uint64_t)settings_count_of(studio->settings, SET_TRANSCODE_COUNT) : 0;
    if (!studio->serves || !str_is(assignment->spec.executor, "transcode"))
        return NULL;
    if (!hours_hold(settings_text(studio->settings, SET_TRANSCODE_HOURS), minute_now()))
        return "these are not the hours in which this worker transcodes";
    return most && !is_segment(assignment) && studio->done + held >= most ? "this worker has done as many transcodes as it should"
                                                                          : NULL;
}

void studio_count(struct studio *studio, const struct rec_assignment *assignment)
{
    if (!studio->serves || !str_is(assignment->spec.executor, "transcode") || is_segment(assignment))
        return;
    studio->done++;
    look(studio);
}

static bool serves(const struct setup *setup)
{
    for (uint32_t i = 0; i < setup->type_count; i++)
        if (str_is(setup->types[i], "transcode"))
            return true;
    return false;
}

/* What the worker before had begun is ended, and what it was making goes. */
static int folders_open(struct studio *studio, struct err *err)
{
    char journal[PATH_MAX], kept[PATH_MAX], tmp[PATH_MAX];
    if (!path_of(studio, "replace", journal) || !path_of(studio, "kept", kept))
        return err_set(err, ERR_INVALID, "the name of the worker's folder is too long");
    if (ident_make_dirs(journal, 0700, err) < 0 || ident_make_dirs(kept, 0700, err) < 0)
        return -1;
    replace_recover(journal, kept);
    if (!transcode_tmp(studio->settings, studio->home->ident, tmp))
        return 0;
    sweep_folder(tmp, TMP_BUDGET, err);
    return ident_make_dirs(tmp, 0700, err);
}

int studio_open(struct studio *studio, struct loop *loop, const struct settings *settings, const struct home *home,
                const struct setup *setup, struct err *err)
{
    void (*changed)(void *) = studio->changed;
    *studio = (struct studio){
        .serves = serves(setup), .settings = settings, .home = home, .timer = -1, .changed = changed, .self = studio->self};
    if (hours_check(settings_text(settings, SET_TRANSCODE_HOURS), err) < 0)
        return -1;
    if (!studio->serves)
        return 0;
    bool av1 = strcmp(settings_text(settings, SET_TRANSCODE_CODEC), "av1") == 0;
    if (folders_open(studio, err) < 0 ||
        encoders_probe(settings_text(settings, SET_TRANSCODE_ENCODERS), av1, studio->encoders, err) < 0)
        return -1;
    if (studio->encoders[0])
        share_label(settings, studio->joins);
    studio->open = is_open(studio);
    studio->apart = share_apart(settings);
    expire(studio);
    studio->loop = loop;
    studio->timer = loop_every(loop, LOOK_MS, on_timer, studio);
    return studio->timer < 0 ? err_set(err, ERR_NO_MEMORY, "no memory") : 0;
}

void studio_close(struct studio *studio)
{
    if (studio->loop)
        loop_cancel(studio->loop, studio->timer);
    studio->loop = NULL;
}

int studio_labels(const struct studio *studio, struct str *items)
{
    const char *vr = settings_text(studio->settings, SET_TRANSCODE_VR);
    int count = 0;
    if (!studio->serves)
        return 0;
    items[2 * count] = STR_LIT("transcode.encoders");
    items[2 * count + 1] = str_of(studio->open ? studio->encoders : "");
    count++;
    items[2 * count] = STR_LIT("transcode.slots");
    items[2 * count + 1] = str_of(settings_text(studio->settings, SET_TRANSCODE_SLOTS));
    count++;
    if (studio->joins[0] && !studio->apart) {
        items[2 * count] = STR_LIT("transcode.joins");
        items[2 * count + 1] = str_of(studio->joins);
        count++;
    }
    if (strcmp(vr, "both") != 0) {
        items[2 * count] = STR_LIT("transcode.vr");
        items[2 * count + 1] = strcmp(vr, "only") == 0 ? STR_LIT("1") : STR_LIT("0");
        count++;
    }
    return count;
}
