#include "gateway/recorder_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/ask.h"
#include "gateway/files.h"
#include "gateway/recordings_keep.h"
#include "gateway/surfaces/recorder.h"
#include "proto/clock.h"
#include "proto/log.h"

#define EVERY_MS 10000
#define ASK_MS 5000 /* a question may take */
#define ARENA ((size_t)16 << 20)
#define SWEEP 200 /* videos that go before others who want the helper thread have their turn */

struct recorder_keep {
    struct file_job job;
    struct gateway *gateway;
    int timer;
    bool asking, working, more;
    enum ask_whom whom;
    uint64_t corr;
    char folder[4096], report[256];
    char before[RECORDINGS_NAME];
    struct recordings_limits limits;
    uint64_t free_bytes; /* that are to stay; 0: none */
    bool first;          /* of the sweeps that follow each other */
    struct recordings_room room;
    int cause, told; /* errno of what was in the way; told last */
};

static void ask(struct recorder_keep *keep, enum ask_whom whom, const struct shape *shape, const void *value, bus_reply *reply)
{
    keep->asking = true;
    keep->whom = whom;
    keep->corr = bus_ask(ask_client(keep->gateway->ask, whom), shape, value, (struct str){NULL, 0}, ASK_MS, reply, keep);
}

/* ---- in the helper thread ---- */

static void keep_work(struct file_job *of)
{
    struct recorder_keep *keep = (struct recorder_keep *)(void *)of;
    struct recordings *recordings = keep->gateway->recordings;
    struct recordings_gone gone = {0};
    keep->cause = 0;
    keep->more = false;
    if (recordings_look(recordings, keep->folder) != 0) {
        keep->cause = errno;
        return;
    }
    if (keep->first)
        recordings_room_begin(&keep->room, keep->folder, recordings->count ? keep->free_bytes : 0, clock_mono_ms());
    keep->first = false;
    keep->limits.lacking = keep->room.lacking;
    keep->cause = recordings_keep(recordings, &keep->limits, &gone) == 0 ? gone.cause : ENOMEM;
    recordings_room_went(&keep->room, gone.bytes, clock_mono_ms());
    keep->more = gone.more && !gone.cause;
}

/* ---- on the loop ---- */

/* Looks, and removes what is too much; on the loop, when it is not doing so. */
static void sweep(struct recorder_keep *keep);

static void keep_done(struct file_job *of)
{
    struct recorder_keep *keep = (struct recorder_keep *)(void *)of;
    keep->working = false;
    if (keep->cause && keep->cause != keep->told)
        log_warn("GTY-RECORDER-KEEP", "%s: what is too old or too much cannot be removed: %s", keep->folder,
                 strerror(keep->cause));
    keep->told = keep->cause;
    if (keep->more && !keep->gateway->stopping)
        sweep(keep); /* what others asked meanwhile goes before it */
}

void recorder_keep_before(uint64_t now_ms, const struct msg_recorder_view *view, char before[RECORDINGS_NAME])
{
    time_t at = (time_t)(now_ms / 1000);
    struct tm tm;
    localtime_r(&at, &tm);
    if (strftime(before, RECORDINGS_NAME, "%Y%m%d_%H%M%S", &tm) == 0)
        before[0] = '\0';
    struct str name = view->cycle.name;
    if (view->state.cycle && name.len == RECORDINGS_NAME - 1 && memcmp(name.ptr, before, name.len) < 0)
        str_copy(before, RECORDINGS_NAME, name);
}

void recorder_keep_rules(const struct settings *settings, struct recorder_rules *rules)
{
    rules->days = (uint64_t)settings_count_of(settings, SET_RECORDER_KEEP_DAYS) * 1000;
    rules->gb = (uint64_t)settings_count_of(settings, SET_RECORDER_KEEP_GB);
    rules->free_gb = (uint64_t)settings_count_of(settings, SET_RECORDER_FREE_GB);
}

void recorder_keep_limits(const struct recorder_rules *rules, uint64_t now_ms, struct recordings_limits *limits)
{
    *limits =
        (struct recordings_limits){.now_ms = now_ms, .keep_ms = rules->days * MILLI_DAY_MS, .keep_bytes = rules->gb * MILLI_GB};
}

static void sweep(struct recorder_keep *keep)
{
    keep->job = (struct file_job){.work = keep_work, .done = keep_done};
    keep->working = true;
    files_do(keep->gateway->files, &keep->job);
}

static void on_view(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder_keep *keep = arg;
    const struct settings *settings = keep->gateway->settings;
    (void)err;
    keep->asking = false;
    if (!msg || msg->shape->id != MSG_RECORDER_VIEW || keep->gateway->stopping)
        return;
    uint64_t now_ms = clock_wall_ms();
    struct recorder_rules rules;
    recorder_keep_rules(settings, &rules);
    recorder_keep_limits(&rules, now_ms, &keep->limits);
    recorder_keep_before(now_ms, &msg->u.recorder_view, keep->before);
    keep->limits.before = str_of(keep->before);
    keep->limits.report = keep->report;
    keep->limits.most = SWEEP;
    keep->free_bytes = rules.free_gb * MILLI_GB;
    keep->first = true;
    sweep(keep);
}

static void on_config(void *arg, const struct msg *msg, const struct err *why)
{
    struct recorder_keep *keep = arg;
    const struct msg_recorder_ask asked = {.brief = true};
    struct rec_recorder_config config;
    struct arena *arena = arena_new(ARENA);
    struct err err;
    (void)why;
    keep->asking = false;
    if (arena && msg && msg->shape->id == MSG_QUERY_ROWS && msg->u.query_rows.rows.count > 0 &&
        rec_decode_recorder_config(arena, msg->u.query_rows.rows.items[0].value, &config, &err) == 0 &&
        str_copy(keep->folder, sizeof keep->folder, config.folder) && keep->folder[0] &&
        str_copy(keep->report, sizeof keep->report, config.global.report_filename) && !keep->gateway->stopping)
        ask(keep, ASK_SCHEDULER, &shape_msg_recorder_ask, &asked, on_view);
    arena_free(arena);
}

static void on_timer(void *arg)
{
    struct recorder_keep *keep = arg;
    const struct settings *settings = keep->gateway->settings;
    uint64_t one = 1;
    const struct msg_get get = {.type = TYPE_RECORDER_CONFIG, .ids = {&one, 1}};
    if (!settings_count_of(settings, SET_RECORDER_KEEP_DAYS) && !settings_count_of(settings, SET_RECORDER_KEEP_GB) &&
        !settings_count_of(settings, SET_RECORDER_FREE_GB))
        return;
    if (keep->asking || keep->working || keep->gateway->stopping ||
        !bus_client_is_up(ask_client(keep->gateway->ask, ASK_STORE)) ||
        !bus_client_is_up(ask_client(keep->gateway->ask, ASK_SCHEDULER)))
        return;
    ask(keep, ASK_STORE, &shape_msg_get, &get, on_config);
}

struct recorder_keep *recorder_keep_new(struct gateway *gateway, struct err *err)
{
    struct recorder_keep *keep = calloc(1, sizeof *keep);
    if (!keep || (keep->timer = loop_every(gateway->loop, EVERY_MS, on_timer, keep)) < 0) {
        free(keep);
        err_set(err, ERR_NO_MEMORY, "no memory for the recorder");
        return NULL;
    }
    keep->gateway = gateway;
    return keep;
}

void recorder_keep_free(struct recorder_keep *keep)
{
    if (!keep)
        return;
    if (keep->asking)
        bus_forget(ask_client(keep->gateway->ask, keep->whom), keep->corr);
    loop_cancel(keep->gateway->loop, keep->timer);
    free(keep);
}
