/* What is asked about workers of the transcode farm: lists, changes, directives; and what they ask for: a task. */
#include "proto/log.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/worker.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/worker.h"

#define ROOM_BYTES(worker) (worker_bytes(worker) + EVENT_BYTES + 1024)
#define ROOM_OPS (EVENT_OPS + 6)

/* ---- lists ---- */

/* One with a session takes part when it serves the farm's type. */
static bool takes_part(const struct transcode *farm, const struct worker *worker)
{
    return api_find(farm, worker->id) ||
           (!worker->asks && text_list_has(worker->types, worker->type_count, STR_LIT(TRANSCODE_TYPE)));
}

struct str session_name(const struct worker *worker)
{
    return str_cut(text_str(worker->hostname).len ? text_str(worker->hostname) : worker->name->str, 200);
}

static uint64_t type_by_labels(struct str labels)
{
    static const char *const names[] = {"cpu", "nvenc", "qsv", "vpu"};
    struct str encoders = {0};
    if (!map_text(labels, STR_LIT("transcode.encoders"), &encoders))
        return TRANSCODE_CPU;
    const char *end = memchr(encoders.ptr, ',', encoders.len);
    struct str first = {encoders.ptr, end ? (uint32_t)(end - encoders.ptr) : encoders.len};
    for (uint64_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(first, names[i]))
            return i;
    return TRANSCODE_CPU;
}

static struct rec_transcode_worker row_of(const struct transcode *farm, const struct worker *worker)
{
    const struct api_worker *api = api_find(farm, worker->id);
    struct rec_transcode_worker row = {
        .id = worker->id, .status = worker->present, .session = !worker->asks, .last_heartbeat = worker->last_heartbeat};
    struct str vr;
    if (api) {
        row.name = api->name->str;
        row.type = api->type;
        row.support_vr = api->support_vr;
        row.directive = api->directive;
        row.old = api->old;
        return row;
    }
    row.name = session_name(worker);
    row.type = type_by_labels(text_str(worker->labels));
    row.support_vr = !map_text(text_str(worker->labels), STR_LIT("transcode.vr"), &vr) || str_is(vr, "1");
    row.directive = worker->order == WORKER_DRAINING ? DIRECTIVE_OFFLINE : DIRECTIVE_NONE;
    return row;
}

void transcode_on_workers(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_workers *asked = &call->msg->u.transcode_workers;
    const struct transcode *farm = transcode_of(core);
    struct rec_transcode_worker *rows = arena_alloc(core->arena, asked->size * sizeof *rows);
    struct msg_transcode_worker_rows answer = {.workers = {rows, 0}};
    struct fault fault;
    uint64_t skip = asked->page - 1 < INT64_MAX / asked->size ? (asked->page - 1) * asked->size : INT64_MAX;
    if (!rows) {
        fault_memory(&fault);
        core_refuse(core, call, &fault);
        return;
    }
    for (const struct worker *worker = core->last_worker; worker; worker = worker->prev) {
        if (!takes_part(farm, worker) || (asked->id && asked->id != worker->id))
            continue;
        if (answer.total >= skip && answer.workers.count < asked->size)
            rows[answer.workers.count++] = row_of(farm, worker);
        answer.total++;
    }
    journal_send_now(core->journal, &call->from, &shape_msg_transcode_worker_rows, &answer);
}

/* ---- changed ---- */

/* The worker of this id that takes part; *api is NULL for one with a session. NULL with fault. */
static struct worker *find(struct core *core, uint64_t id, struct api_worker **api, struct fault *fault)
{
    const struct transcode *farm = transcode_of(core);
    struct worker *worker = worker_find(core, id);
    *api = api_find(farm, id);
    if (worker && takes_part(farm, worker))
        return worker;
    fault_worker(fault);
    return NULL;
}

static int refuse_session(const struct worker *worker, struct fault *fault)
{
    return fault_set(fault, ERR_CONFLICT, "worker_id", "worker_session", worker->name->str, NULL,
                     "worker %s has a session of the worker protocol, and says that itself", worker->name->data);
}

/* Its name is what it is known by, here and as the core's hostname. -1 with fault. */
static int rename_to(struct transcode *farm, struct api_worker *api, struct str name, struct fault *fault)
{
    const struct api_worker *other = index_text(&farm->worker_names, name);
    if (other == api)
        return 0;
    if (other)
        return fault_set(fault, ERR_CONFLICT, "worker_name", "worker_name", name, NULL, "there is a worker of that name");
    struct text *text = text_new(name);
    if (!text)
        return fault_memory(fault);
    index_remove(&farm->worker_names, api);
    text_drop(api->name);
    text_drop(api->worker->hostname);
    api->name = text;
    api->worker->hostname = text_keep(text);
    api->name_key = text->str;
    index_add(&farm->worker_names, api); /* there is room: it was in there */
    return 0;
}

void transcode_on_update(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_worker_update *asked = &call->msg->u.transcode_worker_update;
    struct transcode *farm = transcode_of(core);
    struct api_worker *api;
    struct fault fault;
    struct worker *worker = find(core, asked->id, &api, &fault);
    if (!worker || (!api && refuse_session(worker, &fault)))
        goto error;
    if (core_reserve(core, ROOM_BYTES(worker) + call->frame.len, 1024, ROOM_OPS, &fault) ||
        (HAS(asked, msg_transcode_worker_update, name) && rename_to(farm, api, asked->name, &fault)))
        goto error;
    if (HAS(asked, msg_transcode_worker_update, type))
        api->type = (uint8_t)asked->type;
    if (HAS(asked, msg_transcode_worker_update, support_vr))
        api->support_vr = (uint8_t)asked->support_vr;
    struct msg_transcode_worker answer = {.worker = row_of(farm, worker)};
    struct rec_transcode_worker record = answer.worker;
    record.status = record.last_heartbeat = 0;
    worker_put(core, worker);
    journal_put(core->journal, TYPE_TRANSCODE_WORKER, api->id, &record);
    core_answer(core, call, &shape_msg_transcode_worker, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}

void transcode_on_remove(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_worker_remove *asked = &call->msg->u.transcode_worker_remove;
    struct api_worker *api;
    struct fault fault;
    struct worker *worker = find(core, asked->id, &api, &fault);
    struct msg_done done = {.id = asked->id};
    if (!worker || (worker->bound && refuse_session(worker, &fault)))
        goto error;
    if (lease_take_all(core, worker, OUTCOME_LOST, TASK_OFFLINE)) {
        fault_away(&fault);
        goto error;
    }
    if (core_reserve(core, ROOM_BYTES(worker) + WORKER_FORGET_BYTES, 64, ROOM_OPS + WORKER_FORGET_OPS, &fault))
        goto error;
    worker_part(core, worker, "unregistered");
    worker_forget(core, worker);
    core_answer(core, call, &shape_msg_done, &done);
    return;
error:
    core_refuse(core, call, &fault);
}

/* One with a session is kept from getting anything new instead: it cannot be told to go. */
void transcode_on_direct(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_direct *asked = &call->msg->u.transcode_direct;
    struct transcode *farm = transcode_of(core);
    struct api_worker *api;
    struct fault fault;
    struct worker *worker = find(core, asked->id, &api, &fault);
    struct msg_done done = {.id = asked->id};
    if (!worker || core_reserve(core, ROOM_BYTES(worker), 64, ROOM_OPS, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    if (api) {
        struct rec_transcode_worker record = row_of(farm, worker);
        api->directive = (uint8_t)asked->directive;
        record.directive = asked->directive;
        record.status = record.last_heartbeat = 0;
        journal_put(core->journal, TYPE_TRANSCODE_WORKER, api->id, &record);
    } else {
        worker->order = asked->directive ? WORKER_DRAINING : WORKER_ACTIVE;
        if (worker->present) {
            worker->status = worker_standing(worker);
            kind_refresh(core, worker);
        }
        worker_put(core, worker);
    }
    core_answer(core, call, &shape_msg_done, &done);
}

/* ---- a task, please ---- */

static struct api_worker *puller(const struct transcode *farm, const struct msg_transcode_pull *asked)
{
    struct api_worker *api = asked->worker_name.len ? index_text(&farm->worker_names, asked->worker_name) : NULL;
    return api ? api : api_find(farm, asked->worker_id);
}

void transcode_on_pull(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_pull *asked = &call->msg->u.transcode_pull;
    struct transcode *farm = transcode_of(core);
    struct api_worker *api = puller(farm, asked);
    struct msg_transcode_pulled answer = {0};
    struct fault fault;
    if (!api) {
        fault_worker(&fault);
        goto error;
    }
    if (api_attend(farm, core, api->id, asked->whose, &fault))
        goto error;
    unsigned type = HAS(asked, msg_transcode_pull, type) ? (unsigned)asked->type : api->type;
    int vr = HAS(asked, msg_transcode_pull, support_vr) ? (int)asked->support_vr : api->support_vr;
    struct video *video = api->directive ? NULL : video_pick(farm, type, vr);
    answer.directive = api->directive;
    if (!video) { /* asked each second: nothing is kept of that */
        journal_send_now(core->journal, &call->from, &shape_msg_transcode_pulled, &answer);
        return;
    }
    if (api->worker->held >= TRANSCODE_HELD) {
        fault_set(&fault, ERR_LIMIT, "worker_id", "worker_full", (struct str){0}, "at most 64 tasks", "worker %s has %u tasks",
                  api->worker->name->data, api->worker->held);
        goto error;
    }
    struct task_wish wish = {.worker = api->worker, .api = api, .type = type, .dest_path = asked->dest_path, .call = call};
    if (task_give(farm, core, video, &wish, &fault))
        goto error;
    return;
error:
    core_refuse(core, call, &fault);
}
