/* What a scan asks and finds. A worker that looks through a folder keeps nothing: it asks what is known of it, walks, and says what is new,
 * changed, moved or gone. Each message names its lease, so that what a lost worker still says changes nothing; each may come twice.
 *
 * A version of a file is its size and sampled hash: while that stays, so do status, attempts and task of its video, wherever the file
 * is moved. Nothing is gone while a walk has met no file: an empty folder is one that is not mounted.
 */
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/health.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/farms/transcode/saved.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/report.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define KNOWN_BYTES ((size_t)1 << 20) /* of one answer */
#define DETAIL_ROOM 64

/* Scans and transcodes are the farm's own runs; one that gives an original its place back is submitted like any other. */
static bool speaks_of_videos(const struct transcode *farm, const struct run *run)
{
    return run->class->farm == &farm->farm || str_is(run->class->executor, "undo");
}

struct lease *library_lease(struct transcode *farm, struct core *core, const struct core_call *call, uint64_t run_id,
                            uint64_t attempt)
{
    const struct worker *worker = worker_of_call(core, call);
    struct lease *lease = worker ? lease_claim(core, worker, run_id, attempt) : NULL;
    if (!worker || (lease && lease->run && speaks_of_videos(farm, lease->run)))
        return lease;
    report_refuse(core, call, run_id, attempt, LEASE_WHY_STALE);
    return NULL;
}

/* ---- what is known ---- */

void library_on_known(struct core *core, const struct core_call *call)
{
    const struct msg_library_known *asked = &call->msg->u.library_known;
    struct transcode *farm = transcode_of(core);
    if (!library_lease(farm, core, call, asked->run_id, asked->attempt))
        return;
    const struct root *root = root_of(farm, asked->root);
    struct rec_video_known *rows = arena_alloc(core->arena, asked->limit * sizeof *rows);
    struct msg_library_known_rows answer = {.run_id = asked->run_id, .after = asked->after, .videos = {rows, 0}};
    struct fault fault;
    size_t bytes = 0, at = video_behind(farm, asked->after);
    if (!rows) {
        fault_memory(&fault);
        core_refuse(core, call, &fault);
        return;
    }
    for (; root && at < farm->order_count && answer.videos.count < asked->limit && bytes < KNOWN_BYTES; at++) {
        const struct video *video = farm->order[at].video;
        if (!video || video->root != root)
            continue;
        rows[answer.videos.count++] = (struct rec_video_known){.id = video->record.id,
                                                               .path = video->record.path,
                                                               .size = video->record.size,
                                                               .mtime_ns = video->record.mtime_ns,
                                                               .hash = video->record.hash,
                                                               .rules = video->record.rules};
        bytes += video->record.path.len + (size_t)64;
    }
    answer.end = !root || at == farm->order_count;
    journal_send_now(core->journal, &call->from, &shape_msg_library_known_rows, &answer);
}

/* ---- what is found ---- */

static bool same_version(const struct rec_video *video, const struct rec_video_found *found)
{
    if (video->size != found->size)
        return false;
    return video->hash.len && found->hash.len ? str_eq(video->hash, found->hash) : video->mtime_ns == found->mtime_ns;
}

static void record_found(struct rec_video *record, const struct rec_video_found *found)
{
    record->path = found->path;
    record->size = found->size;
    record->mtime_ns = found->mtime_ns;
    record->hash = found->hash;
    record->codec = found->codec;
    record->bitrate_k = found->bitrate_k;
    record->fps = found->fps;
    record->width = found->width;
    record->height = found->height;
    record->pixels = found->width * found->height;
    record->is_vr = found->is_vr;
    record->duration_ms = found->duration_ms;
    record->container = found->container;
    record->error = found->error;
    record->rules = found->rules;
}

/* Its status, by what was found of it and what became of it before. same: it is the version that is known; judged: by the same rules. Where
 * a worker has said of this version that it needs nothing, and why, that stands as long as the rules do, wherever the file is moved. */
static void record_judge(const struct transcode *farm, struct rec_video *record, const struct rec_video_found *found, bool same,
                         bool judged)
{
    bool busy = record->transcode_status == VIDEO_CREATED || record->transcode_status == VIDEO_RUNNING;
    bool wanted = HAS(found, rec_video_found, wanted) ? found->wanted : video_wanted(record);
    bool skipped = same && judged && record->transcode_status == VIDEO_NOT_NEEDED && record->attempts && record->reason.len;
    if (!same)
        video_renew(record);
    if (found->error.len || record->excluded || record->attempts >= farm->config.attempts)
        wanted = false;
    if (busy)
        return; /* its task says what comes of it */
    if (found->made) {
        record->transcode_status = VIDEO_COMPLETED;
    } else if (!same || (record->transcode_status <= VIDEO_WAITING && !skipped)) {
        record->transcode_status = wanted ? VIDEO_WAITING : VIDEO_NOT_NEEDED;
        record->reason = wanted ? (struct str){0} : found->reason;
    }
}

/* The video that is meant: the one that moved, or the one at that path; NULL: a new one. */
static struct video *meant(const struct transcode *farm, const struct root *root, const struct rec_video_found *found)
{
    struct video *video = found->id ? video_find(farm, found->id) : NULL;
    return video && video->root == root ? video : video_at(farm, root, found->path);
}

static void video_drop(struct transcode *farm, struct core *core, struct video *video)
{
    health_forget(core, &video->record);
    journal_delete(core->journal, TYPE_VIDEO, video->record.id);
    journal_delete(core->journal, TYPE_VIDEO_DETAIL, video->record.id);
    video_leave(farm, video);
}

static void put_detail(struct core *core, uint64_t id, const struct rec_video_found *found)
{
    struct rec_video_detail detail = {.id = id, .detail = found->detail};
    if (HAS(found, rec_video_found, detail))
        journal_put(core->journal, TYPE_VIDEO_DETAIL, id, &detail);
}

/* ---- undone ---- */

enum undone { UNDONE_NOT, UNDONE_BESIDE, UNDONE_IN_PLACE }; /* where the result stood that is gone again */

static struct str folder_of(struct str path)
{
    while (path.len && path.ptr[path.len - 1] != '/')
        path.len--;
    return path;
}

static enum undone undone_by(const struct run *run)
{
    struct str parameters = text_str(run->parameters), source = {0}, dest = {0}, bak = {0};
    if (!str_is(run->class->executor, "undo"))
        return UNDONE_NOT;
    bool moved = map_text(parameters, STR_LIT("bak"), &bak) && bak.len && map_text(parameters, STR_LIT("source"), &source) &&
                 map_text(parameters, STR_LIT("dest"), &dest);
    return moved && str_eq(folder_of(source), folder_of(dest)) ? UNDONE_IN_PLACE : UNDONE_BESIDE;
}

/* -1 when out of memory: what was taken so far stands, and comes again unharmed. */
static int take_new(struct transcode *farm, struct core *core, struct root *root, const struct rec_video_found *found)
{
    struct rec_video record = {.id = core->next_id[TYPE_VIDEO], .root = root->path->str, .created_at = core->wall_ms};
    if (farm->videos.count >= farm->config.videos_max) {
        log_warn("GTY-LIBRARY-FULL", "library.videos_max=%llu path=%.*s is left out", (unsigned long long)farm->config.videos_max,
                 (int)found->path.len, found->path.ptr);
        return 0;
    }
    record_found(&record, found);
    record_judge(farm, &record, found, false, false);
    struct video *video = video_make(farm, root, &record);
    if (!video)
        return -1;
    core_new_id(core, TYPE_VIDEO);
    video_join(farm, video);
    video_put(core, video);
    put_detail(core, record.id, found);
    return 0;
}

static int take(struct transcode *farm, struct core *core, struct root *root, const struct rec_video_found *found,
                enum undone undone)
{
    struct video *video = meant(farm, root, found);
    if (!video)
        return take_new(farm, core, root, found);
    struct video *other = video_at(farm, root, found->path);
    struct rec_video record = video->record;
    bool same = same_version(&record, found), judged = record.rules == found->rules;
    record_found(&record, found);
    record_judge(farm, &record, found, same, judged);
    if (!same)
        health_forget(core, &record);
    if (undone) { /* it would be transcoded again at once */
        saved_undo(farm, core, &record, undone == UNDONE_IN_PLACE, !same);
        video_exclude(&record);
    }
    if (other && other != video) /* what was at that path is not any more */
        video_drop(farm, core, other);
    if (video_describe(farm, video, &record))
        return -1;
    video_put(core, video);
    put_detail(core, record.id, found);
    return 0;
}

static void take_gone(struct transcode *farm, struct core *core, const struct root *root, const struct uint_list *gone)
{
    for (uint32_t i = 0; i < gone->count; i++) {
        struct video *video = video_find(farm, gone->items[i]);
        if (video && video->root == root)
            video_drop(farm, core, video);
    }
}

/* A run speaks of the folder that it was made for, and only one that has walked it says what is gone. */
static int found_check(const struct msg_library_found *found, const struct run *run, struct fault *fault)
{
    static const struct str none = {0};
    struct str its = {0};
    map_text(text_str(run->parameters), STR_LIT("root"), &its);
    if (!str_eq(its, found->root))
        return fault_set(fault, ERR_INVALID, "root", "library_root", found->root, NULL, "the run is not about this folder");
    if (found->gone.count && (!found->walked || !str_is(run->class->type, TRANSCODE_SCAN)))
        return fault_set(fault, ERR_INVALID, "gone", "walked", none, "a walk that met files",
                         "nothing is gone before a scan has met files");
    for (uint32_t i = 0; i < found->videos.count; i++)
        if (memchr(found->videos.items[i].path.ptr, '\0', found->videos.items[i].path.len))
            return fault_set(fault, ERR_INVALID, "path", "path", none, "a path without NUL", "a path has no NUL");
    return 0;
}

void library_on_found(struct core *core, const struct core_call *call)
{
    const struct msg_library_found *found = &call->msg->u.library_found;
    struct transcode *farm = transcode_of(core);
    struct msg_library_found_ack ack = {.run_id = found->run_id, .attempt = found->attempt, .seq = found->seq};
    struct fault fault;
    const struct lease *lease = library_lease(farm, core, call, found->run_id, found->attempt);
    if (!lease)
        return;
    struct root *root = NULL;
    uint32_t count = found->videos.count, ops = 7 * count + 3 * found->gone.count + 2;
    size_t each = 1024 + SAVED_BYTES + 2 * (size_t)found->root.len; /* beside what the message has of it */
    size_t bytes = 2 * (size_t)call->frame.len + count * (each + 1280) + DETAIL_ROOM;
    if (found_check(found, lease->run, &fault))
        goto error;
    if (!(root = root_get(farm, found->root))) {
        fault_set(&fault, ERR_LIMIT, "root", "limit", found->root, NULL, "the library has too many folders");
        goto error;
    }
    if (core_reserve(core, bytes, 128, ops, &fault))
        goto error;
    fault_memory(&fault);
    enum undone undone = undone_by(lease->run);
    for (uint32_t i = 0; i < count; i++)
        if (take(farm, core, root, &found->videos.items[i], undone))
            goto error;
    take_gone(farm, core, root, &found->gone);
    journal_send(core->journal, &call->from, &shape_msg_library_found_ack, &ack);
    return;
error:
    core_refuse(core, call, &fault);
}
