/* A task is made, and ends: the run, the task's record and the video's change in one batch.
 *
 * A run of this farm belongs to the worker it was made for. When its attempt ends in whatever way the run has ended, and the video
 * waits for a new one, or has failed: with another worker another encoder may be right, and others may have come before it. The exception is
 * a run that may publish: its output may have its name, and the next attempt finds it (rule 6). And that of a video that is encoded in
 * segments: it waits for them, and whoever has room joins them (cut.h).
 */
#include "scheduler/farms/transcode/task.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/dispatch.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/health.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/farms/transcode/made.h"
#include "scheduler/farms/transcode/pace.h"
#include "scheduler/farms/transcode/saved.h"
#include "scheduler/farms/transcode/told.h"
#include "scheduler/farms/transcode/worker.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define NAME_BYTES 200

static const char *const type_names[] = {"cpu", "nvenc", "qsv", "vpu"};

const char *encoder_name(unsigned type)
{
    return type < sizeof type_names / sizeof *type_names ? type_names[type] : "";
}

struct transcode_task *transcode_task_find(const struct transcode *farm, uint64_t id)
{
    return index_id(&farm->tasks, id);
}

int task_owned(const struct rec_transcode_task *record, struct str whose, struct fault *fault)
{
    if (!whose.len || !record->owner.len || str_eq(record->owner, whose))
        return 0;
    return fault_owner(fault, record->worker_name);
}

void transcode_task_free(struct transcode_task *task)
{
    if (!task)
        return;
    free(task->text);
    free(task);
}

/* One of this record, in no table, with room for it; NULL when out of memory. */
static struct transcode_task *task_make(struct transcode *farm, const struct rec_transcode_task *record)
{
    struct transcode_task *task = calloc(1, sizeof *task);
    struct rec_transcode_task copy = *record;
    struct str *const strs[] = {&copy.root, &copy.video_path, &copy.dest_path, &copy.worker_name, &copy.owner};
    copy.error_message = copy.output = (struct str){0};
    if (!task || texts_copy(&task->text, strs, sizeof strs / sizeof *strs) || index_reserve(&farm->tasks, 1) ||
        heap_reserve(&farm->dues, farm->tasks.count + 1)) {
        transcode_task_free(task);
        return NULL;
    }
    task->record = copy;
    return task;
}

static void task_join(struct transcode *farm, struct transcode_task *task, uint64_t id)
{
    task->id = task->record.id = task->due.id = id;
    index_add(&farm->tasks, task);
    task->next = farm->first_task;
    if (task->next)
        task->next->prev = task;
    farm->first_task = task;
}

static void task_leave(struct transcode *farm, struct transcode_task *task)
{
    heap_remove(&farm->dues, &task->due);
    index_remove(&farm->tasks, task);
    if (task->prev)
        task->prev->next = task->next;
    else
        farm->first_task = task->next;
    if (task->next)
        task->next->prev = task->prev;
    transcode_task_free(task);
}

/* ---- how many are kept ---- */

#define KEPT_DROPS 2

/* Of those beyond the limit the oldest go, some with each new one. */
static void kept_trim(struct transcode *farm, struct core *core)
{
    for (unsigned i = 0; i < KEPT_DROPS && farm->kept.count > farm->config.tasks_max; i++) {
        journal_delete(core->journal, TYPE_TRANSCODE_TASK, kept_oldest(&farm->kept));
        kept_drop(&farm->kept);
    }
}

int transcode_task_load(struct transcode *farm, const struct rec_transcode_task *record, struct err *err)
{
    bool open = record->status <= TRANSCODE_RUNNING;
    struct transcode_task *task = open ? task_make(farm, record) : NULL;
    if (kept_reserve(&farm->kept, farm->kept.count + 1) || (open && !task)) {
        transcode_task_free(task);
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (open)
        task_join(farm, task, record->id);
    else
        kept_add(&farm->kept, record->id);
    return 0;
}

/* ---- what its run carries ---- */

/* What a worker needs to know of the video, as parameters of its run. */
static void pack_video(struct buf *out, const struct rec_video *video, unsigned type, uint64_t segment_ms)
{
    msgpack_packer packer;
    char hash[2 * 16 + 1], made[MADE_TEXT];
    sodium_bin2hex(hash, sizeof hash, (const unsigned char *)video->hash.ptr, video->hash.len < 16 ? video->hash.len : 16);
    parameters_begin(&packer, out, 16);
    parameters_uint(&packer, "video_id", video->id);
    parameters_text(&packer, "root", video->root);
    parameters_text(&packer, "path", video->path);
    parameters_uint(&packer, "size", video->size);
    parameters_uint(&packer, "mtime_ns", video->mtime_ns);
    parameters_text(&packer, "hash", str_of(hash));
    parameters_text(&packer, "made", str_of(made_text(video->made, made)));
    parameters_uint(&packer, "is_vr", video->is_vr);
    parameters_text(&packer, "codec", video->codec);
    parameters_uint(&packer, "bitrate_k", video->bitrate_k);
    parameters_real(&packer, "fps", video->fps);
    parameters_uint(&packer, "width", video->width);
    parameters_uint(&packer, "height", video->height);
    parameters_uint(&packer, "duration_ms", video->duration_ms);
    parameters_text(&packer, "encoder", str_of(type_names[type]));
    parameters_uint(&packer, "segment_ms", segment_ms); /* it is to be cut, where it can be; 0: it is made whole */
}

static struct run *run_of(struct transcode *farm, struct core *core, const struct rec_video *video, unsigned type,
                          uint64_t segment_ms)
{
    struct rec_task_spec spec =
        parameters_spec(str_cut(video->path, NAME_BYTES), STR_LIT(TRANSCODE_TYPE), video->path, TASK_SECONDS);
    struct buf parameters = {0};
    struct err err = {0};
    spec.output = video->path; /* so that it may publish; its worker knows where */
    SET_HAS(&spec, rec_task_spec, output);
    pack_video(&parameters, video, type, segment_ms);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    return run;
}

/* ---- made ---- */

size_t task_record_bytes(const struct rec_transcode_task *record)
{
    return 256 + (size_t)record->root.len + record->video_path.len + record->dest_path.len + record->worker_name.len +
           record->error_message.len + record->output.len; /* the owner is in the 256 */
}

static struct rec_transcode_task task_record_of(const struct core *core, const struct video *video, const struct task_wish *wish)
{
    return (struct rec_transcode_task){.id = 1,
                                       .video_id = video->record.id,
                                       .root = video->record.root,
                                       .video_path = video->record.path,
                                       .dest_path = wish->dest_path,
                                       .worker_id = wish->worker->id,
                                       .worker_name = wish->api ? wish->api->name->str : session_name(wish->worker),
                                       .status = TRANSCODE_RUNNING,
                                       .started_at = core->wall_ms,
                                       .encoder = wish->type,
                                       .owner = worker_owner(wish->worker),
                                       .size = video->record.size};
}

/* The video is in its worker's hands. */
static void video_taken(struct transcode *farm, struct core *core, struct video *video, uint64_t task, bool runs)
{
    video->record.transcode_status = runs ? VIDEO_RUNNING : VIDEO_CREATED;
    video->record.task_id = task;
    video->record.attempts++;
    video_place(farm, video);
    video_put(core, video);
}

int task_give(struct transcode *farm, struct core *core, struct video *video, const struct task_wish *wish, struct fault *fault)
{
    struct rec_transcode_task record = task_record_of(core, video, wish);
    struct transcode_task *task = task_make(farm, &record);
    uint64_t segment_ms = wish->api ? 0 : cut_length(farm, video, wish->worker);
    struct run *run = task && kept_reserve(&farm->kept, farm->kept.count + 1) == 0
                          ? run_of(farm, core, &video->record, wish->type, segment_ms)
                          : NULL;
    size_t bytes = task_record_bytes(&record);
    const struct dispatch_room room = {
        .bytes = bytes + video_bytes(video) + 256, .answer = wish->call ? bytes + 64 : 0, .ops = 4 + KEPT_DROPS};
    if (!run) {
        fault_memory(fault);
        goto error;
    }
    if (dispatch_made(core, wish->worker, run, &room, fault))
        goto error;
    task_join(farm, task, run->node.id);
    if (wish->api) {
        lease_claim(core, wish->worker, task->id, run->attempt);
        run->lease->started_at = core->wall_ms;
        task->heard = core->mono_ms;
        task_expect(farm, task);
    }
    journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
    kept_trim(farm, core);
    video_taken(farm, core, video, task->id, !wish->api);
    if (wish->call) {
        struct msg_transcode_pulled answer = {.task = task->record};
        SET_HAS(&answer, msg_transcode_pulled, task);
        core_answer(core, wish->call, &shape_msg_transcode_pulled, &answer);
    }
    log_info("GTY-TRANSCODE-TASK", "task=%llu video=%llu worker=%s encoder=%s", (unsigned long long)task->id,
             (unsigned long long)video->record.id, wish->worker->name->data, type_names[wish->type]);
    return 0;
error:
    run_free(core, run);
    transcode_task_free(task);
    return -1;
}

/* ---- pulled by workers with a session ---- */

static uint32_t held_of(const struct worker *worker, const struct farm *farm)
{
    uint32_t held = 0;
    for (const struct lease *lease = worker->leases; lease; lease = lease->next)
        held += lease->run && lease->run->class->farm == farm && str_is(lease->run->class->type, TRANSCODE_TYPE);
    return held;
}

static uint32_t slots_of(const struct worker *worker)
{
    struct str text;
    uint32_t slots = 0;
    if (!map_text(worker->kind->labels, STR_LIT("transcode.slots"), &text))
        return 1;
    for (uint32_t i = 0; i < text.len && i < 5 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        slots = slots * 10 + (uint32_t)(text.ptr[i] - '0');
    return slots ? slots : 1;
}

static int type_of(struct str name)
{
    for (unsigned i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (str_is(name, type_names[i]))
            return (int)i;
    return -1;
}

/* It can decode for a sweep. Outside of its hours, and when it has had as many as it is to have, it offers no encoders. */
static bool decodes(const struct worker *worker)
{
    struct str encoders;
    return text_list_has(worker->executors, worker->executor_count, STR_LIT(TRANSCODE_HEALTH)) &&
           map_text(worker->kind->labels, STR_LIT("transcode.encoders"), &encoders) && encoders.len > 0;
}

/* The next name of a list; -1: it is none of ours. */
static int encoder_next(struct str *names)
{
    const char *end = memchr(names->ptr, ',', names->len);
    uint32_t len = end ? (uint32_t)(end - names->ptr) : names->len, step = end ? len + 1 : len;
    int type = type_of(str_trim((struct str){names->ptr, len}, " "));
    *names = (struct str){names->ptr + step, names->len - step};
    return type;
}

bool encoder_listed(struct str names, unsigned type)
{
    while (names.len)
        if (encoder_next(&names) == (int)type)
            return true;
    return false;
}

/* The first of its encoders that has something to do decides. */
static struct video *pick_for(const struct transcode *farm, const struct worker *worker, unsigned *type)
{
    struct str encoders, vr = {0};
    struct video *video = NULL;
    if (!map_text(worker->kind->labels, STR_LIT("transcode.encoders"), &encoders))
        return NULL;
    int wanted = map_text(worker->kind->labels, STR_LIT("transcode.vr"), &vr) && vr.len == 1 ? vr.ptr[0] - '0' : -1;
    while (!video && encoders.len) {
        int one = encoder_next(&encoders);
        if (one < 0)
            continue;
        *type = (unsigned)one;
        video = video_pick(farm, *type, wanted);
    }
    return video;
}

bool transcode_offers(const void *self)
{
    return cuts_wait(self) || video_waits(self) || health_offers(self);
}

enum farm_pull transcode_pull(void *self, struct core *core, struct worker *worker)
{
    struct transcode *farm = self;
    struct task_wish wish = {.worker = worker};
    struct fault fault;
    if (!text_list_has(worker->types, worker->type_count, STR_LIT(TRANSCODE_TYPE)))
        return FARM_NONE;
    uint32_t segment;
    bool passed;
    struct transcode_cut *cut = cut_pick(farm, core, worker, &segment, &passed); /* what was begun comes first */
    struct video *video = cut ? NULL : pick_for(farm, worker, &wish.type);
    if (!cut && !video && !(decodes(worker) && health_offers(farm)))
        return passed ? FARM_FULL : FARM_NONE; /* others of its kind may have it */
    if (held_of(worker, &farm->farm) >= slots_of(worker))
        return FARM_FULL;
    if (cut)
        return cut_give(farm, core, cut, segment, worker, &fault) ? FARM_LATER : FARM_GAVE;
    if (video)
        return task_give(farm, core, video, &wish, &fault) ? FARM_LATER : FARM_GAVE;
    enum farm_pull pulled = health_pull(farm, core, worker);
    return passed && pulled == FARM_NONE ? FARM_FULL : pulled;
}

bool transcode_again(void *self, const struct core *core, const struct run *run)
{
    (void)core;
    bool transcodes = str_is(run->class->executor, TRANSCODE_TYPE); /* others look through folders, decode, and remove files */
    return !transcodes || (run->more && run->more->published.attempt) || cut_find(self, run->node.id);
}

/* ---- ended ---- */

static uint64_t last_outcome(const struct rec_run *run)
{
    return run->attempts.count ? run->attempts.items[run->attempts.count - 1].outcome : OUTCOME_OPEN;
}

/* Whether the file became another one while it was worked on: a new version of it has had no attempt, also where it has the size of
 * the one before. In place of it may stand what was made of it. */
static bool changed_since(const struct video *video, const struct transcode_task *task)
{
    bool other = video->record.size != task->record.size || video->record.attempts == 0;
    return other && video->record.size != task->record.size_after;
}

#define LOOKS 3

/* Its worker was lost before it encoded anything, where it looks for places to cut the video at: that is no attempt, unless it happens again
 * and again, which may be the file's doing. */
static bool lost_looking(const struct rec_run *run, const struct transcode_task *task, const struct video *video)
{
    return !task->record.segments && map_number(run->parameters, "segment_ms") > 0 && run->progress <= 0 &&
           video->record.looks < LOOKS;
}

/* What the video is now. One that its worker gave back, or that was lost with a worker of ours, waits again; through the API a
 * worker that is gone fails it, as that API says. One that was cut had several: what came of one attempt says nothing of it. */
static void video_after(struct transcode *farm, struct core *core, const struct rec_run *run, struct transcode_task *task,
                        const struct told *told)
{
    struct video *video = video_find(farm, task->record.video_id);
    uint64_t outcome = task->record.segments ? (uint64_t)OUTCOME_FAILED : last_outcome(run);
    const struct worker *worker = worker_find(core, task->record.worker_id);
    bool ours = !worker || !worker->asks;
    if (!video || video->record.task_id != task->id ||
        (video->record.transcode_status != VIDEO_CREATED && video->record.transcode_status != VIDEO_RUNNING))
        return;
    video->record.transcode_status = VIDEO_FAILED;
    if (changed_since(video, task)) { /* this version has had no task yet */
        video->record.transcode_status = video_wanted(&video->record) ? VIDEO_WAITING : VIDEO_NOT_NEEDED;
        video_renew(&video->record);
        video->record.rules = 0; /* the next scan judges it */
    } else if (run->status == RUN_COMPLETED) {
        video->record.transcode_status = told->skipped.len ? VIDEO_NOT_NEEDED : VIDEO_COMPLETED;
    } else if (run->status == RUN_ABORTED) {
        video->record.attempts = farm->config.attempts; /* somebody does not want it now */
        video->record.given_up = true;
    } else if (outcome == OUTCOME_RETURNED) {
        video->record.transcode_status = VIDEO_WAITING;
        video->record.attempts -= video->record.attempts > 0;
    } else if (outcome == OUTCOME_LOST && ours && lost_looking(run, task, video)) {
        video->record.transcode_status = VIDEO_WAITING;
        video->record.attempts -= video->record.attempts > 0;
        video->record.looks++;
    } else if (outcome == OUTCOME_LOST && ours && video->record.attempts < farm->config.attempts) {
        video->record.transcode_status = VIDEO_WAITING;
    }
    if (video->record.excluded && video->record.transcode_status == VIDEO_WAITING)
        video->record.transcode_status = VIDEO_NOT_NEEDED;
    if (HAS(run, rec_run, published) && made_add(farm, video, run->published.size, run->published.hash))
        log_warn("GTY-TRANSCODE-MADE", "video=%llu no memory for what was made of it", (unsigned long long)video->record.id);
    if (told->skipped.len) {
        struct rec_video record = video->record;
        record.reason = told->skipped;
        if (video_describe(farm, video, &record))
            log_warn("GTY-TRANSCODE-REASON", "video=%llu no memory for why it was skipped", (unsigned long long)record.id);
    }
    video_place(farm, video);
    video_put(core, video);
}

/* It is whose it was in the end: another worker may have joined its segments, or taken over what was published. */
static void task_owner(struct transcode_task *task, const struct core *core, const struct rec_run *run)
{
    const struct worker *worker = run->worker_id != task->record.worker_id ? worker_find(core, run->worker_id) : NULL;
    if (!worker || worker->asks)
        return;
    task->record.worker_id = worker->id;
    task->record.worker_name = session_name(worker);
}

static void task_final(struct transcode_task *task, const struct core *core, const struct rec_run *run, const struct told *told)
{
    struct rec_transcode_task *record = &task->record;
    bool completed = run->status == RUN_COMPLETED;
    record->status = completed ? TRANSCODE_COMPLETED : TRANSCODE_FAILED;
    record->ended_at = core->wall_ms;
    record->progress = completed ? 100 : run->progress > record->progress ? run->progress : record->progress;
    record->rank = (uint64_t)(record->progress * 1000);
    record->error_message = completed ? (struct str){0} : run->error_message;
    record->remaining_time = 0;
    if (completed)
        SET_HAS(record, rec_transcode_task, remaining_time);
    else
        CLEAR_HAS(record, rec_transcode_task, remaining_time);
    record->output = told->dest;
    if (told->size_after || !completed) /* of a result that came over HTTP it is known already */
        record->size_after = told->size_after;
}

/* What its end says of others: how fast its worker is, and how much is saved. */
static void task_counts(struct transcode *farm, struct core *core, const struct rec_run *run, const struct transcode_task *task,
                        const struct told *told)
{
    struct video *video = video_find(farm, task->record.video_id);
    struct pace_film film = {.worker_id = task->record.worker_id,
                             .pixels = map_number(run->parameters, "width") * map_number(run->parameters, "height"),
                             .fps = parameters_number_real(run->parameters, "fps"),
                             .seconds = (double)map_number(run->parameters, "duration_ms") / 1000};
    if (run->status != RUN_COMPLETED || told->skipped.len)
        return;
    if (!map_text(run->parameters, STR_LIT("codec"), &film.codec))
        film.codec = (struct str){0};
    if (!task->record.segments) /* they have told theirs */
        pace_learn(farm, core, &film, task->record.encoder, told->preset, told->json ? told->seconds : told_attempt_seconds(run));
    if (task->record.size_after)
        saved_accept(farm, core, video && video->record.task_id == task->id ? video : NULL, task->record.size,
                     task->record.size_after, told->replaced);
}

/* A run of the farm's that is no task. */
static void ended_other(struct transcode *farm, struct core *core, const struct rec_run *run)
{
    uint32_t segment;
    struct transcode_cut *cut = cut_of_segment(farm, run->id, &segment);
    if (cut)
        cut_segment_ended(farm, core, cut, segment, run);
    else if ((cut = cut_of_clear(farm, run->id)))
        cut_clear_ended(farm, core, cut, run);
    else
        library_ended(farm, core, run);
}

void transcode_ended(void *self, struct core *core, const struct farm_run *view)
{
    struct transcode *farm = self;
    const struct rec_run *run = view->run;
    struct transcode_task *task = transcode_task_find(farm, run->id);
    struct transcode_cut *cut = cut_find(farm, run->id);
    const struct msg_transcode_report *report = farm->report;
    struct told told;
    if (!task) {
        if (!health_ended(farm, core, run))
            ended_other(farm, core, run);
        return;
    }
    told_read(run, &told);
    if (report && HAS(report, msg_transcode_report, elapsed_time)) {
        task->record.elapsed_time = report->elapsed_time;
        SET_HAS(&task->record, rec_transcode_task, elapsed_time);
    }
    if (report && report->progress > task->record.progress)
        task->record.progress = report->progress;
    task_owner(task, core, run);
    task_final(task, core, run, &told);
    journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
    struct str said = report && report->error_message.len ? report->error_message : task->record.error_message;
    if (said.len)
        transcode_log(farm, core, task->id, LOG_ERROR, said, NULL);
    task_counts(farm, core, run, task, &told);
    video_after(farm, core, run, task, &told);
    told_clear(&told);
    if (cut)
        cut_task_ended(core, cut);
    if (kept_reserve(&farm->kept, farm->kept.count + 1) == 0)
        kept_add(&farm->kept, task->id);
    task_leave(farm, task);
}
