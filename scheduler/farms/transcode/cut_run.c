/* What becomes of a video that is encoded in segments: cut, its segments given out, ended, joined, and their files removed. */
#include <stdio.h>

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/dispatch.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/farms/transcode/pace.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/told.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define AGAIN_MS 1000     /* until what found no room is tried again */
#define NAME_PATH 160     /* of a segment's run: its name has 200 bytes */
#define CLEAR_SECONDS 600 /* to remove some files */
#define CLEAR_RETRIES 8

/* ---- cut ---- */

uint64_t cut_length(const struct transcode *farm, const struct video *video, const struct worker *worker)
{
    const struct rec_video *record = &video->record;
    struct str joins;
    /* In these files every frame has its time, and any place is found by an index. One that failed before is made whole. */
    bool fits = str_is(record->container, "mov") || str_is(record->container, "matroska");
    if (!farm->config.segment_ms || record->duration_ms <= farm->config.segment_ms || !fits || record->attempts > 0)
        return 0;
    return map_text(text_str(worker->labels), STR_LIT(CUT_JOINS), &joins) && joins.len ? farm->config.segment_ms : 0;
}

static int cut_check(const struct rec_transcode_cut *cut, struct fault *fault)
{
    const struct uint_list *starts = &cut->starts;
    bool well = starts->items[0] == 0 && starts->items[starts->count - 1] < cut->length;
    for (uint32_t i = 1; well && i < starts->count; i++)
        well = starts->items[i] > starts->items[i - 1];
    if (well)
        return 0;
    return fault_set(fault, ERR_INVALID, "starts", "order", (struct str){0}, "times that grow from 0, below length",
                     "these are no places to cut a video at");
}

/* What the scheduler knows of the video, beside what its worker says. */
static struct transcode_cut *cut_fill(struct transcode *farm, const struct transcode_task *task, const struct lease *lease,
                                      const struct rec_transcode_cut *said)
{
    const struct video *video = video_find(farm, task->record.video_id);
    struct rec_transcode_cut record = *said;
    if (!map_text(text_str(lease->worker->labels), STR_LIT(CUT_JOINS), &record.joins))
        record.joins = (struct str){0};
    record.mtime_ns = map_number(text_str(lease->run->parameters), "mtime_ns");
    record.id = task->id;
    record.encoder = task->record.encoder;
    record.video_id = task->record.video_id;
    record.root = task->record.root;
    record.path = task->record.video_path;
    record.size = task->record.size;
    record.made = record.tries = (struct uint_list){0};
    record.error = (struct str){0};
    record.aborted = record.over = false;
    record.clear = 0;
    if (video) {
        record.is_vr = video->record.is_vr;
        record.source_codec = video->record.codec;
        record.pixels = video->record.pixels;
        record.fps = video->record.fps;
    }
    return cut_make(farm, &record);
}

/* The run comes back to the queue, and its worker stops what it does of it. -1 with fault and nothing changed. */
static int cut_begin(struct transcode *farm, struct core *core, struct transcode_task *task, struct lease *lease,
                     const struct rec_transcode_cut *said, struct fault *fault)
{
    char text[64];
    struct run *run = lease->run;
    if (cut_check(said, fault))
        return -1;
    struct transcode_cut *cut = cut_fill(farm, task, lease, said);
    if (!cut)
        return fault_memory(fault);
    snprintf(text, sizeof text, "cut into %u segments", cut_count(cut));
    cut_join(farm, cut); /* so that its run comes again */
    struct ending ending = {.outcome = OUTCOME_RETURNED,
                            .error = str_of(text),
                            .cancel = true,
                            .extra = cut_bytes(cut) + task_record_bytes(&task->record)};
    if (retry_end(core, run, &ending, fault)) {
        cut_leave(farm, cut);
        return -1;
    }
    task->record.segments = cut_count(cut);
    cut_put(core, cut);
    journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
    log_info("GTY-TRANSCODE-CUT", "task=%llu video=%llu segments=%u", (unsigned long long)cut->id,
             (unsigned long long)cut->record.video_id, cut_count(cut));
    return 0;
}

void transcode_on_cut(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_cut *asked = &call->msg->u.transcode_cut;
    struct transcode *farm = transcode_of(core);
    struct lease *lease = library_lease(farm, core, call, asked->run_id, asked->attempt);
    struct transcode_task *task = transcode_task_find(farm, asked->run_id);
    const struct transcode_cut *cut = cut_find(farm, asked->run_id);
    struct msg_transcode_cut_known answer = {.run_id = asked->run_id};
    struct fault fault;
    if (!lease)
        return;
    if (!task) { /* a scan, a segment: nothing is cut of it */
        fault_task(&fault, asked->run_id);
        goto error;
    }
    if (cut) {
        answer.cut = cut->record;
        SET_HAS(&answer, msg_transcode_cut_known, cut);
    } else if (HAS(asked, msg_transcode_cut, cut) && farm->config.segment_ms && lease->run->state != STATE_PUBLISHING) {
        if (cut_begin(farm, core, task, lease, &asked->cut, &fault))
            goto error;
        return; /* it hears a CANCEL */
    }
    journal_send_now(core->journal, &call->from, &shape_msg_transcode_cut_known, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}

/* ---- given out ---- */

bool cut_shares(const struct transcode_cut *cut, struct str labels)
{
    struct str joins;
    return map_text(labels, STR_LIT(CUT_JOINS), &joins) && str_eq(joins, cut->record.joins);
}

bool cut_takes(const struct transcode_cut *cut, struct str labels)
{
    struct str encoders, vr;
    if (map_text(labels, STR_LIT("transcode.vr"), &vr) && !str_is(vr, cut->record.is_vr ? "1" : "0"))
        return false;
    return cut_shares(cut, labels) && map_text(labels, STR_LIT("transcode.encoders"), &encoders) &&
           encoder_listed(encoders, (unsigned)cut->record.encoder);
}

/* The first segment from `*segment` on that waits for a worker. */
static bool wants(const struct transcode_cut *cut, uint32_t *segment)
{
    if (cut->record.over || cut->record.error.len)
        return false;
    for (; *segment < cut_count(cut); ++*segment)
        if (!cut->runs[*segment] && !cut->record.made.items[*segment])
            return true;
    return false;
}

bool cuts_wait(const struct transcode *farm)
{
    for (const struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next) {
        uint32_t segment = 0;
        if (wants(cut, &segment))
            return true;
    }
    return false;
}

struct transcode_cut *cut_pick(const struct transcode *farm, const struct core *core, const struct worker *worker,
                               uint32_t *segment, bool *passed)
{
    *passed = false;
    for (struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next) {
        if (!cut_takes(cut, worker->kind->labels))
            continue;
        for (*segment = 0; wants(cut, segment); ++*segment) {
            if (!cut_avoids(cut, core, *segment, worker))
                return cut;
            *passed = true;
        }
    }
    return NULL;
}

static void text_number(msgpack_packer *packer, const char *key, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    parameters_text(packer, key, str_of(text));
}

/* What every run about the video is told: where it is, which version of it, and whose segments. */
static void pack_place(msgpack_packer *packer, const struct transcode_cut *cut)
{
    const struct rec_transcode_cut *record = &cut->record;
    parameters_uint(packer, "video_id", record->video_id);
    parameters_text(packer, "root", record->root);
    parameters_text(packer, "path", record->path);
    parameters_uint(packer, "task", cut->id);
}
#define PLACE_PAIRS 4

static void pack_segment(struct buf *out, const struct transcode_cut *cut, uint32_t segment)
{
    const struct rec_transcode_cut *record = &cut->record;
    msgpack_packer packer;
    char base[48];
    snprintf(base, sizeof base, "%llu/%llu", (unsigned long long)record->base_num, (unsigned long long)record->base_den);
    parameters_begin(&packer, out, PLACE_PAIRS + 13);
    pack_place(&packer, cut);
    parameters_uint(&packer, "size", record->size);
    parameters_uint(&packer, "mtime_ns", record->mtime_ns);
    parameters_uint(&packer, "is_vr", record->is_vr);
    parameters_text(&packer, "encoder", str_of(encoder_name((unsigned)record->encoder)));
    parameters_text(&packer, "as_codec", record->codec);
    parameters_uint(&packer, "as_crf", record->crf);
    parameters_text(&packer, "as_preset", record->preset);
    parameters_uint(&packer, "as_rate", 0);
    parameters_uint(&packer, "segment", segment + 1);
    parameters_uint(&packer, "segments", cut_count(cut));
    parameters_text(&packer, "base", str_of(base));
    text_number(&packer, "from", record->first + (int64_t)record->starts.items[segment]);
    if (segment + 1 < cut_count(cut))
        text_number(&packer, "to", record->first + (int64_t)record->starts.items[segment + 1]);
    else
        parameters_text(&packer, "to", (struct str){0});
}

static struct run *segment_run(struct transcode *farm, struct core *core, const struct transcode_cut *cut, uint32_t segment)
{
    char name[200];
    struct str path = str_cut(cut->record.path, NAME_PATH);
    struct buf parameters = {0};
    struct err err = {0};
    snprintf(name, sizeof name, "segment %u of %u: %.*s", segment + 1, cut_count(cut), (int)path.len, path.ptr);
    struct rec_task_spec spec = parameters_spec(str_of(name), STR_LIT(TRANSCODE_TYPE), cut->record.path, TASK_SECONDS);
    spec.output = cut->record.path; /* so that it may publish; its worker knows where */
    SET_HAS(&spec, rec_task_spec, output);
    pack_segment(&parameters, cut, segment);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    return run;
}

int cut_give(struct transcode *farm, struct core *core, struct transcode_cut *cut, uint32_t segment, struct worker *worker,
             struct fault *fault)
{
    struct run *run = segment_run(farm, core, cut, segment);
    const struct dispatch_room room = {.bytes = 256, .ops = 1};
    if (!run)
        return fault_memory(fault);
    if (dispatch_made(core, worker, run, &room, fault)) {
        run_free(core, run);
        return -1;
    }
    cut->runs[segment] = run->node.id;
    log_info("GTY-TRANSCODE-SEGMENT", "task=%llu segment=%u/%u run=%llu worker=%s", (unsigned long long)cut->id, segment + 1,
             cut_count(cut), (unsigned long long)run->node.id, worker->name->data);
    return 0;
}

/* ---- ended ---- */

static void cut_fails(struct transcode_cut *cut, uint32_t segment, struct str why)
{
    why = str_cut(why, 400);
    snprintf(cut->error, sizeof cut->error, "segment %u of %u: %.*s", segment + 1, cut_count(cut), (int)why.len,
             why.len ? why.ptr : "");
    cut->record.error = str_of(cut->error);
}

/* It was not encoded: again, or too often. */
static void segment_lacks(const struct transcode *farm, const struct core *core, struct transcode_cut *cut, uint32_t segment,
                          const struct rec_run *run)
{
    const struct rec_attempt_list *attempts = &run->attempts;
    uint64_t outcome = attempts->count ? attempts->items[attempts->count - 1].outcome : (uint64_t)OUTCOME_OPEN;
    if (run->status == RUN_ABORTED) {
        cut->record.aborted = true;
        cut_fails(cut, segment, STR_LIT("it was aborted"));
    } else if (outcome != OUTCOME_RETURNED) {
        cut_avoid(cut, core, segment, run->worker_id);
        if (++cut->record.tries.items[segment] >= farm->config.attempts)
            cut_fails(cut, segment, run->error_message);
    }
}

/* The task's own record says how far it is, and its run is wanted once all are there. */
static void task_advance(struct transcode *farm, struct core *core, const struct transcode_cut *cut)
{
    struct transcode_task *task = transcode_task_find(farm, cut->id);
    struct run *run = run_find(core, cut->id);
    if (!task)
        return;
    task->record.segments_made = cut_made(cut);
    task->record.progress = CUT_PERCENT * cut_share(cut, core, false);
    task->record.rank = (uint64_t)(task->record.progress * 1000);
    journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
    if (cut_whole(cut) && run && run->state == STATE_QUEUED)
        run_move(core, run, CHANGE_PLACE); /* offered anew to all that have room */
}

/* What it says of others. */
static void segment_learn(struct transcode *farm, struct core *core, const struct transcode_cut *cut, uint32_t segment,
                          const struct rec_run *run)
{
    struct told told;
    const struct pace_film film = {.worker_id = run->worker_id,
                                   .codec = cut->record.source_codec,
                                   .pixels = cut->record.pixels,
                                   .fps = cut->record.fps,
                                   .seconds = cut_seconds(cut, segment)};
    told_read(run, &told);
    pace_learn(farm, core, &film, cut->record.encoder, told.preset, told.seconds);
    told_clear(&told);
}

void cut_segment_ended(struct transcode *farm, struct core *core, struct transcode_cut *cut, uint32_t segment,
                       const struct rec_run *run)
{
    cut->runs[segment] = 0;
    if (cut->record.over)
        return;
    if (run->status == RUN_COMPLETED) {
        cut->record.made.items[segment] = 1;
        segment_learn(farm, core, cut, segment, run);
    } else
        segment_lacks(farm, core, cut, segment, run);
    cut_put(core, cut);
    task_advance(farm, core, cut);
}

void cut_task_ended(struct core *core, struct transcode_cut *cut)
{
    cut->record.over = true;
    cut_put(core, cut);
}

void cut_clear_ended(struct transcode *farm, struct core *core, struct transcode_cut *cut, const struct rec_run *run)
{
    if (run->status != RUN_COMPLETED)
        log_warn("GTY-TRANSCODE-SEGMENTS-LEFT", "task=%llu files .gantry-%llu.* of its segments stay beside its result: %.*s",
                 (unsigned long long)cut->id, (unsigned long long)cut->id, (int)run->error_message.len,
                 run->error_message.len ? run->error_message.ptr : "");
    journal_delete(core->journal, TYPE_TRANSCODE_CUT, cut->id);
    cut_leave(farm, cut);
}

/* ---- what is due ---- */

/* The task ends without a result. False: not now. */
static bool task_end(struct core *core, struct transcode_cut *cut)
{
    struct fault fault;
    struct run *run = run_find(core, cut->id);
    struct ending ending = {.outcome = cut->record.aborted ? OUTCOME_ABORTED : OUTCOME_FAILED,
                            .error = cut->record.error,
                            .cancel = run && run->lease,
                            .final = true};
    return run && retry_end(core, run, &ending, &fault) == 0;
}

/* What still runs of its segments has nobody to be for. False: some of it does not end now. */
static bool segments_abort(struct core *core, const struct transcode_cut *cut)
{
    bool well = true;
    for (uint32_t i = 0; i < cut_count(cut); i++) {
        struct fault fault;
        struct run *run = cut->runs[i] ? run_find(core, cut->runs[i]) : NULL;
        struct ending ending = {
            .outcome = OUTCOME_ABORTED, .error = STR_LIT("its task has ended"), .cancel = run && run->lease, .final = true};
        if (run && retry_end(core, run, &ending, &fault))
            well = false; /* it is publishing: it ends by itself */
        else if (!run)
            cut->runs[i] = 0;
    }
    return well;
}

/* The run that removes its files is made. False: not now. */
static bool clear_make(struct transcode *farm, struct core *core, struct transcode_cut *cut)
{
    char name[200];
    struct str path = str_cut(cut->record.path, NAME_PATH);
    struct buf parameters = {0};
    msgpack_packer packer;
    struct err err = {0};
    struct fault fault;
    snprintf(name, sizeof name, "remove segments: %.*s", (int)path.len, path.ptr);
    struct rec_task_spec spec = parameters_spec(str_of(name), STR_LIT(TRANSCODE_TYPE), cut->record.path, CLEAR_SECONDS);
    spec.executor = STR_LIT("clear");
    spec.retry_count = CLEAR_RETRIES;
    parameters_begin(&packer, &parameters, PLACE_PAIRS);
    pack_place(&packer, cut);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    if (!run || core_reserve(core, farm_run_bytes(run) + cut_bytes(cut), 0, FARM_RUN_OPS + 1, &fault)) {
        run_free(core, run);
        return false;
    }
    cut->record.clear = farm_submit(core, run);
    cut_put(core, cut);
    return true;
}

static bool cut_look(struct transcode *farm, struct core *core, struct transcode_cut *cut)
{
    bool idle = true;
    if (!cut->record.over && !cut->record.error.len)
        cut_watch(core, cut);
    if (!cut->record.over && cut->record.error.len && !task_end(core, cut))
        return false;
    if (cut->record.over && cut->record.clear)
        return cut_watch(core, cut); /* which may be the end of it */
    if (!cut->record.over)
        return true;
    if (!segments_abort(core, cut))
        return false;
    for (uint32_t i = 0; i < cut_count(cut); i++)
        idle = idle && !cut->runs[i];
    return !idle || clear_make(farm, core, cut);
}

uint64_t cuts_tick(struct transcode *farm, struct core *core)
{
    uint64_t wait = cuts_watch_wait(farm);
    for (struct transcode_cut *cut = farm->first_cut, *next; cut; cut = next) {
        next = cut->next;
        if (!cut_look(farm, core, cut))
            wait = AGAIN_MS;
    }
    return wait;
}

/* ---- behind a restart ---- */

static void segment_loaded(const struct transcode *farm, const struct run *run)
{
    struct str parameters = text_str(run->parameters);
    struct transcode_cut *cut = cut_find(farm, map_number(parameters, "task"));
    uint64_t number = map_number(parameters, "segment");
    if (cut && number >= 1 && number <= cut_count(cut))
        cut->runs[number - 1] = run->node.id;
}

void cuts_loaded(struct transcode *farm, struct core *core)
{
    for (size_t i = 0; i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (run && run->class->farm == &farm->farm && str_is(run->class->executor, TRANSCODE_TYPE))
            segment_loaded(farm, run);
    }
    for (struct transcode_cut *cut = farm->first_cut; cut; cut = cut->next) {
        if (!transcode_task_find(farm, cut->id))
            cut->record.over = true; /* the database was mended by hand */
        if (cut->record.clear && !run_find(core, cut->record.clear))
            cut->record.clear = 0;
    }
}
