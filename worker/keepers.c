#include "worker/keepers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/log.h"
#include "proto/machine.h"
#include "worker/render/engine.h"
#include "worker/render/keep.h"

#define GRACE_MS 1000

/* ---- what a run wants ---- */

static uint64_t number_of(const struct rec_assignment *assignment, const char *name)
{
    return map_number(assignment->parameters, name);
}

/* The same for frames of one task; of runs that are of none, for those of one scene. */
static uint64_t wanted_by(const struct rec_assignment *assignment)
{
    struct str scene = assignment->spec.command;
    return XXH3_64bits_withSeed(scene.ptr, scene.len, number_of(assignment, "render_task"));
}

/* Memory that a frame's task asks for; 0: it does not say. */
static uint64_t needs_mb(const struct rec_assignment *assignment)
{
    uint64_t gb = str_is(assignment->spec.executor, "render") ? number_of(assignment, "ram") : 0;
    return gb < UINT64_MAX >> 10 ? gb << 10 : UINT64_MAX;
}

bool keepers_can(const struct rec_assignment *assignment)
{
    const struct rec_limits *limits = &assignment->spec.limits;
    struct str name;
    char engine[32];
    if (!str_is(assignment->spec.executor, "render") || limits->cpu_seconds || limits->memory_mb || limits->files ||
        !map_text(assignment->parameters, STR_LIT("engine"), &name) || !str_copy(engine, sizeof(engine), name))
        return false;
    const struct engine *row = engine_find(engine);
    return row && row->kept_args;
}

/* ---- their processes ---- */

static void on_output(void *self, enum log_stream stream, const char *data, size_t len)
{
    struct keeper *keeper = self;
    (void)stream;
    size_t cut = str_clean(keeper->line, sizeof(keeper->line) - 1, (struct str){data, (uint32_t)len});
    keeper->line[cut] = '\0';
    keeper->line[strcspn(keeper->line, "\n")] = '\0';
}

static void on_ended(void *self, const struct process_end *end)
{
    struct keeper *keeper = self;
    keeper->process = NULL;
    log_info("GTY-RENDER-KEEPER", "keeper=%u has ended: %s", keeper->number, keeper->line[0] ? keeper->line : end->failure);
    home_keep_remove(keeper->all->home, keeper->number);
}

static int keeper_start(struct keeper *keeper, const char *user, uid_t uid, gid_t gid, struct err *err)
{
    static const struct process_events events = {.output = on_output, .ended = on_ended};
    struct keepers *all = keeper->all;
    char folder[PATH_MAX + 16], most[32], mark[PATH_MAX + 32];
    keeper->line[0] = '\0';
    if (!str_copy(keeper->user, sizeof(keeper->user), str_of(user)))
        return err_set(err, ERR_INVALID, "the name of a user is too long");
    if (home_keep_make(all->home, keeper->number, uid, gid, keeper->folder, err) < 0)
        return -1;
    snprintf(folder, sizeof(folder), "folder=%s", keeper->folder);
    snprintf(most, sizeof(most), "most_mb=%" PRIu64, all->most_mb);
    snprintf(mark, sizeof(mark), "GANTRY_RESULT=%s/keep",
             all->home->runs); /* as of a run: by it a later worker finds what is left */
    char *argv[] = {(char *)all->self, (char *)"--render-keeper", folder, most, NULL}, *env[] = {mark, NULL};
    struct job job = {.argv = argv, .env = env, .cwd = "/", .user = keeper->user, .grace_ms = GRACE_MS};
    keeper->process = process_start(all->processes, &job, &events, keeper, err);
    if (!keeper->process)
        home_keep_remove(all->home, keeper->number);
    return keeper->process ? 0 : -1;
}

/* It calls nothing any more, and goes with all that is below it; its folder goes with all, or as the number gets the next one. */
static void keeper_stop(struct keeper *keeper)
{
    process_forget(keeper->process);
    keeper->process = NULL;
}

/* One whose number may get no other for long. */
static void keeper_end(struct keeper *keeper)
{
    keeper_stop(keeper);
    home_keep_remove(keeper->all->home, keeper->number);
}

/* ---- which one ---- */

/* Less is better: the engine that is wanted, then none at all, then what was used longest ago. */
static uint64_t worth(const struct keeper *keeper, uint64_t wanted, const char *user)
{
    bool same = keeper->process && keeper->wanted == wanted && strcmp(keeper->user, user) == 0;
    return same ? 0 : keeper->process ? 2 + keeper->used : 1;
}

struct keeper *keepers_take(struct keepers *keepers, const struct rec_assignment *assignment, const char *user, uid_t uid,
                            gid_t gid, struct err *err)
{
    struct keeper *best = NULL;
    uint64_t wanted = wanted_by(assignment);
    user = user ? user : "";
    for (uint32_t i = 0; i < keepers->count; i++) {
        struct keeper *keeper = &keepers->items[i];
        if (!keeper->busy && (!best || worth(keeper, wanted, user) < worth(best, wanted, user)))
            best = keeper;
    }
    if (!best) {
        err_set(err, ERR_LIMIT, "all keepers are busy");
        return NULL;
    }
    if (best->process && strcmp(best->user, user) != 0)
        keeper_stop(best);
    if (!best->process && keeper_start(best, user, uid, gid, err) < 0)
        return NULL;
    best->busy = true;
    best->wanted = wanted;
    best->used = ++keepers->used;
    return best;
}

void keepers_release(struct keeper *keeper)
{
    char hung[PATH_MAX + sizeof(KEEP_HUNG) + 1];
    if (!keeper)
        return;
    keeper->busy = false;
    snprintf(hung, sizeof(hung), "%s/" KEEP_HUNG, keeper->folder);
    if (!keeper->process || access(hung, F_OK) < 0)
        return;
    log_warn("GTY-RENDER-KEEPER", "keeper=%u does not answer; it is ended", keeper->number);
    keeper_end(keeper);
}

void keepers_yield(struct keepers *keepers, const struct rec_assignment *assignment)
{
    uint64_t need = needs_mb(assignment), wanted = wanted_by(assignment), used;
    if (!need || !machine_memory(&used) || (used < keepers->total_mb && need <= keepers->total_mb - used))
        return;
    for (uint32_t i = 0; i < keepers->count; i++) {
        struct keeper *keeper = &keepers->items[i];
        if (!keeper->process || keeper->busy || keeper->wanted == wanted)
            continue;
        log_info("GTY-RENDER-KEEPER", "keeper=%u makes room for run=%" PRIu64 ", which asks for %" PRIu64 " MB", keeper->number,
                 assignment->run_id, need);
        keeper_end(keeper);
    }
}

/* ---- all ---- */

int keepers_open(struct keepers *keepers, struct processes *processes, struct home *home, const char *self, uint32_t slots,
                 struct err *err)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    *keepers = (struct keepers){.processes = processes, .home = home, .self = self, .count = slots, .total_mb = bytes >> 20};
    keepers->most_mb = bytes / 2 / (slots ? slots : 1) >> 20;
    keepers->items = calloc(slots ? slots : 1, sizeof(*keepers->items));
    if (!keepers->items)
        return err_set(err, ERR_NO_MEMORY, "no memory");
    for (uint32_t i = 0; i < slots; i++) {
        keepers->items[i].all = keepers;
        keepers->items[i].number = i;
    }
    return 0;
}

void keepers_stop(struct keepers *keepers)
{
    for (uint32_t i = 0; keepers->items && i < keepers->count; i++)
        keeper_stop(&keepers->items[i]);
}

void keepers_close(struct keepers *keepers)
{
    if (keepers->items)
        home_keep_clear(keepers->home);
    free(keepers->items);
    *keepers = (struct keepers){0};
}
