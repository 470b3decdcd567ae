#include "gateway/blob_gc.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/ask.h"
#include "gateway/blob_owner.h"
#include "proto/clock.h"
#include "proto/log.h"

#define LOOK_MS 10000 /* whether it is time for one */
#define DAY_MS UINT64_C(86400000)
#define YOUNG_MS UINT64_C(600000)
#define ASK_MS 30000 /* a question may take */
#define AGAIN_MS 500
#define AGAIN 60 /* times that a question is asked again */

enum phase { PHASE_OWNER, PHASE_RECORDS, PHASE_FOLDER, PHASE_OBJECTS };

struct blob_gc {
    struct blob_gc_folder folder;    /* the first: what the helper thread knows */
    struct blob_gc_objects *objects; /* NULL: no store is walked */
    struct gateway *gateway;
    struct blob_owner owner;
    bool owner_working;
    uint64_t
        owner_again_ms; /* when the mark is looked for next, but for collections; UINT64_MAX: it is known whose the files are */
    enum phase phase;
    struct blob_gc_state state;
    struct blob_gc_watch *watches;
    unsigned char scope[16], body[16]; /* of the key that it was asked for with; … */
    bool keyed;                        /* … there is one */
    unsigned char own_scope[16], own_body[16];
    bool own_key;   /* the question under way has one of ours: it can be asked again */
    uint64_t after; /* files up to this id have been looked at */
    bool asking;
    uint64_t corr;
    unsigned again; /* times that the question was asked again */
    int look_timer, again_timer;
};

static void sweep(struct blob_gc *gc), held_ask(struct blob_gc *gc), objects_ask(struct blob_gc *gc);

/* ---- its end ---- */

static void end(struct blob_gc *gc)
{
    struct blob_gc_state *state = &gc->state;

    free(gc->folder.md5s);
    gc->folder.md5s = NULL;
    gc->folder.count = gc->folder.size = 0;
    free(gc->objects);
    gc->objects = NULL;
    state->running = false;
    state->ended_ms = clock_wall_ms();
    log_info("GTY-BLOB-GC", "dry=%d assets=%llu paths=%llu files=%llu bytes=%llu failed=%d", state->dry,
             (unsigned long long)state->assets, (unsigned long long)state->paths, (unsigned long long)state->files,
             (unsigned long long)state->bytes, state->failed != PROBLEM_COUNT);
    if (state->failed != PROBLEM_COUNT && state->failed != PROBLEM_CONFLICT) /* that has been said: GTY-BLOB-OWNER */
        log_warn("GTY-BLOB-GC-FAILED", "%s; the next one does the rest",
                 state->why[0]  ? state->why
                 : state->cause ? strerror(state->cause)
                                : "the scheduler or the store is away");
    while (gc->watches) {
        struct blob_gc_watch *watch = gc->watches;
        gc->watches = watch->next;
        watch->done(watch);
    }
}

static void fail(struct blob_gc *gc, enum problem_kind kind, int cause)
{
    gc->state.failed = kind;
    gc->state.cause = cause;
    end(gc);
}

/* ---- questions ---- */

static void ask(struct blob_gc *gc, const struct shape *shape, const void *value, bus_reply *reply)
{
    gc->asking = true;
    gc->corr = bus_ask(ask_client(gc->gateway->ask, ASK_SCHEDULER), shape, value, (struct str){NULL, 0}, ASK_MS, reply, gc);
}

static enum problem_kind kind_of(const struct msg *msg, const struct err *err)
{
    if (!msg)
        return err && err->code == ERR_LIMIT ? PROBLEM_OVERLOADED : PROBLEM_SCHEDULER_AWAY;
    if (msg->shape->id != MSG_ERROR)
        return PROBLEM_INTERNAL;
    switch (msg->u.error.code) {
    case ERR_UNAVAILABLE:
        return PROBLEM_STORE_AWAY;
    case ERR_KEY_REUSED:
        return PROBLEM_KEY_REUSED;
    case ERR_LIMIT:
    case ERR_NO_MEMORY:
        return PROBLEM_OVERLOADED;
    default:
        return PROBLEM_INTERNAL;
    }
}

static void on_again(void *arg)
{
    struct blob_gc *gc = arg;

    if (gc->phase == PHASE_RECORDS)
        sweep(gc);
    else if (gc->phase == PHASE_FOLDER)
        held_ask(gc);
    else
        objects_ask(gc);
}

/* The answer, when it is this one. NULL: it is asked again in a moment, or that was the end. */
static const struct msg *answered(struct blob_gc *gc, const struct msg *msg, const struct err *err, uint16_t id)
{
    gc->asking = false;
    if (msg && msg->shape->id == id) {
        gc->again = 0;
        return msg;
    }
    enum problem_kind kind = kind_of(msg, err);
    if (gc->own_key && kind != PROBLEM_INTERNAL && kind != PROBLEM_KEY_REUSED && gc->again++ < AGAIN && !gc->gateway->stopping)
        loop_set(gc->gateway->loop, gc->again_timer, AGAIN_MS, 0);
    else
        fail(gc, kind, 0);
    return NULL;
}

static void job_begin(struct blob_gc *gc, void (*work)(struct file_job *job), void (*done)(struct file_job *job))
{
    gc->folder.job = (struct file_job){.work = work, .done = done};
    files_do(gc->gateway->files, &gc->folder.job);
}

/* Of one whose job has ended. NULL: that was the end. */
static struct blob_gc *job_over(struct file_job *job)
{
    struct blob_gc *gc = (struct blob_gc *)(void *)job;

    gc->state.files += gc->folder.files;
    gc->state.bytes += gc->folder.bytes;
    gc->folder.files = gc->folder.bytes = 0;
    if (gc->gateway->stopping)
        fail(gc, PROBLEM_STOPPING, 0);
    else if (gc->folder.cause)
        fail(gc, PROBLEM_INTERNAL, gc->folder.cause);
    else
        return gc;
    return NULL;
}

/* ---- its end, noted ---- */

static void on_stamped(struct file_job *job)
{
    struct blob_gc *gc = job_over(job);

    if (gc)
        end(gc);
}

static void stamp(struct blob_gc *gc)
{
    if (gc->state.dry)
        end(gc);
    else
        job_begin(gc, blob_gc_stamp, on_stamped);
}

/* ---- objects of a store ---- */

static void fail_store(struct blob_gc *gc, const char *why)
{
    snprintf(gc->state.why, sizeof gc->state.why, "%s", why);
    fail(gc, PROBLEM_INTERNAL, 0);
}

static void page_begin(struct blob_gc *gc);

static void on_page(struct file_job *job)
{
    struct blob_gc *gc = ((struct blob_gc_objects *)(void *)job)->gc;

    if (gc->gateway->stopping)
        fail(gc, PROBLEM_STOPPING, 0);
    else if (gc->objects->why[0])
        fail_store(gc, gc->objects->why);
    else if (gc->objects->page.count > 0)
        objects_ask(gc);
    else if (gc->objects->page.next[0]) /* nothing in it is named as ours are */
        page_begin(gc);
    else
        stamp(gc);
}

static void page_begin(struct blob_gc *gc)
{
    gc->objects->job = (struct file_job){.work = blob_gc_objects_list, .done = on_page};
    files_do(s3_files(gc->objects->s3, 0), &gc->objects->job);
}

static void on_part(struct file_job *job)
{
    struct blob_gc_objects *objects = ((struct blob_gc_part *)(void *)job)->all;
    struct blob_gc *gc = objects->gc;
    const char *why = NULL;

    if (--objects->open > 0)
        return;
    for (unsigned lane = 0; lane < S3_LANES; lane++) {
        gc->state.files += objects->parts[lane].files;
        gc->state.bytes += objects->parts[lane].bytes;
        why = objects->parts[lane].why[0] ? objects->parts[lane].why : why;
    }
    if (gc->gateway->stopping)
        fail(gc, PROBLEM_STOPPING, 0);
    else if (why)
        fail_store(gc, why);
    else if (objects->page.next[0])
        page_begin(gc);
    else
        stamp(gc);
}

/* In all lanes at once: an upload that the scheduler hears of behind the question looks for its object behind that. */
static void on_objects_held(void *arg, const struct msg *said, const struct err *err)
{
    struct blob_gc *gc = arg;
    struct blob_gc_objects *objects = gc->objects;
    const struct msg *msg = answered(gc, said, err, MSG_ASSET_CHECKED);

    if (!msg)
        return;
    const struct uint_list *ids = &msg->u.asset_checked.ids;
    for (unsigned i = 0; i < objects->page.count; i++)
        objects->unknown[i] = i < ids->count && ids->items[i] == 0;
    objects->open = S3_LANES;
    for (unsigned lane = 0; lane < S3_LANES; lane++) {
        objects->parts[lane] = (struct blob_gc_part){.job = {.work = blob_gc_objects_remove, .done = on_part}, .all = objects};
        files_do(s3_files(objects->s3, lane), &objects->parts[lane].job);
    }
}

static void objects_ask(struct blob_gc *gc)
{
    const struct msg_asset_held held = {
        .md5s = {(const char *)gc->objects->page.md5s, gc->objects->page.count * BLOB_MD5},
        .dry = gc->state.dry,
        .grace_ms = gc->state.grace_ms,
    };

    gc->own_key = true;
    ask(gc, &shape_msg_asset_held, &held, on_objects_held);
}

static void objects_begin(struct blob_gc *gc)
{
    gc->phase = PHASE_OBJECTS;
    gc->objects = calloc(1, sizeof *gc->objects);
    if (!gc->objects) {
        fail(gc, PROBLEM_OVERLOADED, 0);
        return;
    }
    gc->objects->gc = gc;
    gc->objects->s3 = gc->gateway->s3;
    gc->objects->young_ms = gc->folder.young_ms;
    gc->objects->dry = gc->state.dry;
    page_begin(gc);
}

/* ---- the folder ---- */

static void on_listed(struct file_job *job)
{
    struct blob_gc *gc = job_over(job);

    if (gc)
        held_ask(gc);
}

static void shard_begin(struct blob_gc *gc)
{
    gc->phase = PHASE_FOLDER;
    if (gc->folder.shard < BLOB_SHARDS)
        job_begin(gc, blob_gc_list, on_listed);
    else if (gc->gateway->s3)
        objects_begin(gc);
    else
        stamp(gc);
}

static void on_removed(struct file_job *job)
{
    struct blob_gc *gc = job_over(job);

    if (!gc)
        return;
    gc->folder.from += gc->folder.asked;
    held_ask(gc);
}

static void on_held(void *arg, const struct msg *said, const struct err *err)
{
    struct blob_gc *gc = arg;
    struct blob_gc_folder *folder = &gc->folder;
    const struct msg *msg = answered(gc, said, err, MSG_ASSET_CHECKED);
    uint32_t unknown = 0;

    if (!msg)
        return;
    const struct uint_list *ids = &msg->u.asset_checked.ids;
    for (uint32_t i = 0; i < folder->asked; i++) {
        folder->unknown[i] = i < ids->count && ids->items[i] == 0;
        unknown += folder->unknown[i];
    }
    if (unknown) { /* at once: an upload that the scheduler hears of behind this question links its file behind this job */
        job_begin(gc, blob_gc_remove, on_removed);
    } else {
        folder->from += folder->asked;
        held_ask(gc);
    }
}

/* The next files of the shard, or the next shard. */
static void held_ask(struct blob_gc *gc)
{
    struct blob_gc_folder *folder = &gc->folder;
    uint32_t left = folder->count - folder->from;
    struct msg_asset_held held = {.dry = gc->state.dry, .grace_ms = gc->state.grace_ms};

    if (left == 0) {
        folder->shard++;
        shard_begin(gc);
        return;
    }
    folder->asked = left < BLOB_GC_ASK ? left : BLOB_GC_ASK;
    held.md5s = (struct str){(const char *)folder->md5s + (size_t)folder->from * BLOB_MD5, folder->asked * BLOB_MD5};
    gc->own_key = true;
    ask(gc, &shape_msg_asset_held, &held, on_held);
}

/* ---- the records ---- */

static void on_swept(void *arg, const struct msg *said, const struct err *err)
{
    struct blob_gc *gc = arg;
    const struct msg *msg = answered(gc, said, err, MSG_ASSET_SWEPT);

    if (!msg)
        return;
    const struct msg_asset_swept *swept = &msg->u.asset_swept;
    gc->state.assets += swept->files;
    gc->state.paths += swept->paths;
    gc->after = swept->after;
    if (gc->gateway->stopping) {
        fail(gc, PROBLEM_STOPPING, 0);
    } else if (swept->done) {
        shard_begin(gc);
    } else {
        gc->own_key = false;
        sweep(gc);
    }
}

static void sweep_ask(struct blob_gc *gc, const struct rec_idem *idem)
{
    const struct msg_asset_sweep asked = {
        .idem = *idem, .after = gc->after, .grace_ms = gc->state.grace_ms, .dry = gc->state.dry};

    ask(gc, &shape_msg_asset_sweep, &asked, on_swept);
}

/* With a key of its own, which stays when it is asked again. */
static void sweep(struct blob_gc *gc)
{
    if (!gc->own_key) {
        randombytes_buf(gc->own_scope, sizeof gc->own_scope);
        randombytes_buf(gc->own_body, sizeof gc->own_body);
    }
    gc->own_key = true;
    const struct rec_idem idem = {.scope = {(const char *)gc->own_scope, sizeof gc->own_scope},
                                  .body = {(const char *)gc->own_body, sizeof gc->own_body}};
    sweep_ask(gc, &idem);
}

static void sweep_begin(struct blob_gc *gc)
{
    gc->phase = PHASE_RECORDS;
    if (gc->keyed) {
        const struct rec_idem idem = {.scope = {(const char *)gc->scope, sizeof gc->scope},
                                      .body = {(const char *)gc->body, sizeof gc->body}};
        sweep_ask(gc, &idem);
    } else {
        sweep(gc);
    }
}

/* ---- whose the files are ---- */

/* When it is looked for next: a folder that is not there yet comes with the first upload. */
static uint64_t owner_again(const struct blob_owner *owner)
{
    if (owner->absent && !owner->s3)
        return 0;
    bool known = owner->anothers[0] || (blob_owner_well(owner) && !owner->full);
    return known ? UINT64_MAX : clock_mono_ms() + YOUNG_MS;
}

static void owner_told(struct blob_gc *gc)
{
    const struct blob_owner *owner = &gc->owner;

    gc->owner_working = false;
    if (!owner->look)
        gc->owner_again_ms = owner_again(owner);
    if (!gc->state.running || gc->phase != PHASE_OWNER) /* nobody waits for it: one that is further was told before */
        return;
    if (gc->gateway->stopping) {
        fail(gc, PROBLEM_STOPPING, 0);
    } else if (owner->anothers[0]) {
        snprintf(gc->state.why, sizeof gc->state.why, "%s", owner->anothers);
        fail(gc, PROBLEM_CONFLICT, 0);
    } else if (owner->why[0]) {
        fail_store(gc, owner->why);
    } else if (owner->cause) {
        fail(gc, PROBLEM_INTERNAL, owner->cause);
    } else {
        sweep_begin(gc);
    }
}

static void on_owner_store(struct file_job *job)
{
    owner_told(((struct blob_owner *)(void *)job)->self);
}

static void on_owner_folder(struct file_job *job)
{
    struct blob_gc *gc = ((struct blob_owner *)(void *)job)->self;

    if (!gc->owner.s3 || !blob_owner_well(&gc->owner) || gc->gateway->stopping) {
        owner_told(gc);
        return;
    }
    gc->owner.job = (struct file_job){.work = blob_owner_store, .done = on_owner_store};
    files_do(s3_files(gc->owner.s3, 0), &gc->owner.job);
}

/* Of one that is under way already the end does. */
static void owner_begin(struct blob_gc *gc, bool look)
{
    if (gc->owner_working)
        return;
    gc->owner_working = true;
    blob_owner_set(&gc->owner, gc->gateway->settings, gc->gateway->s3, look);
    gc->owner.self = gc;
    gc->owner.job = (struct file_job){.work = blob_owner_folder, .done = on_owner_folder};
    files_do(gc->gateway->files, &gc->owner.job);
}

/* ---- begun ---- */

static bool is_key(const unsigned char kept[16], struct str given)
{
    return given.len == 16 && memcmp(kept, given.ptr, 16) == 0;
}

/* It broke off for what may be over by now. */
static bool may_pass(const struct blob_gc_state *state)
{
    unsigned status = !state->running && state->failed != PROBLEM_COUNT ? problem_status(state->failed) : 0;

    return status >= 500 || status == 429;
}

enum blob_gc_begun blob_gc_begin(struct blob_gc *gc, uint64_t grace_ms, bool dry, const struct rec_idem *idem)
{
    struct blob_gc_folder *folder = &gc->folder;

    if (idem && gc->state.began_ms && is_key(gc->scope, idem->scope)) {
        if (!is_key(gc->body, idem->body))
            return BLOB_GC_REUSED;
        if (!may_pass(&gc->state))
            return BLOB_GC_REPEAT;
    }
    if (gc->state.running)
        return BLOB_GC_BUSY;
    gc->state = (struct blob_gc_state){
        .running = true, .dry = dry, .grace_ms = grace_ms, .began_ms = clock_wall_ms(), .failed = PROBLEM_COUNT};
    *folder = (struct blob_gc_folder){.dry = dry, .young_ms = grace_ms < YOUNG_MS ? grace_ms : YOUNG_MS};
    blob_root(gc->gateway->settings, folder->root);
    gc->phase = PHASE_OWNER;
    gc->after = 0;
    gc->again = 0;
    gc->own_key = false;
    gc->keyed = idem != NULL;
    randombytes_buf(gc->scope, sizeof gc->scope);
    if (idem) {
        memcpy(gc->scope, idem->scope.ptr, sizeof gc->scope);
        memcpy(gc->body, idem->body.ptr, sizeof gc->body);
    }
    owner_begin(gc, dry);
    return BLOB_GC_BEGUN;
}

/* The mark is left once there is a place for it, long before this farm's first collection: another's may come before that. */
static void owner_look(struct blob_gc *gc)
{
    char root[4096];

    if (clock_mono_ms() < gc->owner_again_ms || gc->gateway->stopping)
        return;
    if (gc->gateway->s3 || (blob_root(gc->gateway->settings, root) && access(root, F_OK) == 0))
        owner_begin(gc, false);
}

/* Once a day, if it is wanted. */
static void look(void *arg)
{
    struct blob_gc *gc = arg;

    owner_look(gc);
    uint64_t days = (uint64_t)settings_count_of(gc->gateway->settings, SET_BLOB_KEEP_DAYS), now = clock_wall_ms();
    char root[4096];
    bool there;

    if (!days || gc->state.running || gc->gateway->stopping || !blob_root(gc->gateway->settings, root) ||
        !bus_client_is_up(ask_client(gc->gateway->ask, ASK_SCHEDULER)))
        return;
    uint64_t last = blob_gc_stamped(root, &there);
    bool failed = gc->state.failed != PROBLEM_COUNT && now < gc->state.ended_ms + YOUNG_MS; /* tried again, but not at once */
    if (there && !failed && (last > now || now - last >= DAY_MS))
        blob_gc_begin(gc, days * DAY_MS, false, NULL);
}

/* ---- life ---- */

struct blob_gc *blob_gc_new(struct gateway *gateway, struct err *err)
{
    struct blob_gc *gc = calloc(1, sizeof *gc);

    if (gc) {
        gc->gateway = gateway;
        gc->state.failed = PROBLEM_COUNT;
        gc->again_timer = loop_timer(gateway->loop, on_again, gc);
        gc->look_timer = gc->again_timer < 0 ? -1 : loop_every(gateway->loop, LOOK_MS, look, gc);
    }
    if (gc && gc->look_timer >= 0)
        return gc;
    if (gc)
        loop_cancel(gateway->loop, gc->again_timer);
    free(gc);
    err_set(err, ERR_NO_MEMORY, "no memory for the blob store");
    return NULL;
}

void blob_gc_free(struct blob_gc *gc)
{
    if (!gc)
        return;
    if (gc->asking)
        bus_forget(ask_client(gc->gateway->ask, ASK_SCHEDULER), gc->corr);
    loop_cancel(gc->gateway->loop, gc->look_timer);
    loop_cancel(gc->gateway->loop, gc->again_timer);
    free(gc->folder.md5s);
    free(gc->objects);
    free(gc);
}

const struct blob_gc_state *blob_gc_state(const struct blob_gc *gc)
{
    return &gc->state;
}

void blob_gc_watch(struct blob_gc *gc, struct blob_gc_watch *watch)
{
    watch->next = gc->watches;
    gc->watches = watch;
}

void blob_gc_unwatch(struct blob_gc *gc, struct blob_gc_watch *watch)
{
    for (struct blob_gc_watch **at = &gc->watches; *at; at = &(*at)->next) {
        if (*at == watch) {
            *at = watch->next;
            return;
        }
    }
}
