/* Workers of the transcode API: registered, heard, offline.
 *
 * The core's worker and this farm's record of it have one id and are written together. The core knows its hostname by the name it
 * registered with; its ident is made up, as a name may have any characters.
 */
#include "scheduler/farms/transcode/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/task.h"
#include "scheduler/kind.h"
#include "scheduler/lease.h"
#include "scheduler/rest.h"
#include "scheduler/worker.h"

#define RECORD_BYTES 320 /* of its own, encoded */
#define CHANGE_BYTES(worker) (worker_bytes(worker) + RECORD_BYTES + EVENT_BYTES + 512)
#define CHANGE_OPS (EVENT_OPS + 6)

struct api_worker *api_find(const struct transcode *farm, uint64_t id)
{
    return index_id(&farm->workers, id);
}

void api_free(struct api_worker *api)
{
    if (!api)
        return;
    text_drop(api->name);
    free(api);
}

/* ---- by when they were heard ---- */

static void list_remove(struct transcode *farm, struct api_worker *api)
{
    struct api_list *list = &farm->here[api->old];
    if (!api->listed)
        return;
    if (api->quieter)
        api->quieter->livelier = api->livelier;
    else
        list->quiet = api->livelier;
    if (api->livelier)
        api->livelier->quieter = api->quieter;
    else
        list->lively = api->quieter;
    api->quieter = api->livelier = NULL;
    api->listed = false;
}

static void list_append(struct transcode *farm, struct api_worker *api)
{
    struct api_list *list = &farm->here[api->old];
    api->quieter = list->lively;
    if (list->lively)
        list->lively->livelier = api;
    else
        list->quiet = api;
    list->lively = api;
    api->listed = true;
}

static void api_heard(struct transcode *farm, struct core *core, struct api_worker *api)
{
    api->worker->last_heartbeat = core->wall_ms;
    api->heard = core->mono_ms;
    list_remove(farm, api);
    list_append(farm, api);
}

void api_renew(struct transcode *farm, const struct core *core)
{
    for (size_t i = 0; i < 2; i++)
        for (struct api_worker *api = farm->here[i].quiet; api; api = api->livelier)
            api->heard = core->mono_ms;
}

/* ---- its record ---- */

static struct rec_transcode_worker api_record(const struct api_worker *api)
{
    return (struct rec_transcode_worker){.id = api->id,
                                         .name = api->name->str,
                                         .type = api->type,
                                         .support_vr = api->support_vr,
                                         .directive = api->directive,
                                         .old = api->old};
}

static void api_put(struct core *core, const struct api_worker *api)
{
    struct rec_transcode_worker record = api_record(api);
    journal_put(core->journal, TYPE_TRANSCODE_WORKER, api->id, &record);
}

static struct api_worker *api_make(struct transcode *farm, const struct rec_transcode_worker *record)
{
    struct api_worker *api = calloc(1, sizeof *api);
    if (!api || !(api->name = text_new(record->name)) || index_reserve(&farm->workers, 1) ||
        index_reserve(&farm->worker_names, 1)) {
        api_free(api);
        return NULL;
    }
    api->name_key = api->name->str;
    api->id = record->id;
    api->type = (uint8_t)record->type;
    api->support_vr = (uint8_t)record->support_vr;
    api->directive = (uint8_t)record->directive;
    api->old = record->old;
    return api;
}

static void api_join(struct transcode *farm, struct core *core, struct api_worker *api, struct worker *worker)
{
    api->worker = worker;
    api->id = worker->id;
    index_add(&farm->workers, api);
    index_add(&farm->worker_names, api);
    worker_keep(core, worker);
}

int api_load(struct transcode *farm, struct core *core, const struct rec_transcode_worker *record, struct err *err)
{
    struct worker *worker = worker_find(core, record->id);
    if (!worker || !worker->asks || index_text(&farm->worker_names, record->name))
        return err_set(err, ERR_INVALID, "worker %llu of the transcode API is no worker, or there twice",
                       (unsigned long long)record->id);
    struct api_worker *api = api_make(farm, record);
    if (!api)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    api_join(farm, core, api, worker);
    if (worker->present)
        api_heard(farm, core, api);
    return 0;
}

void transcode_forgot(void *self, struct core *core, uint64_t worker_id)
{
    struct transcode *farm = self;
    struct api_worker *api = api_find(farm, worker_id);
    if (!api)
        return;
    journal_delete(core->journal, TYPE_TRANSCODE_WORKER, worker_id);
    list_remove(farm, api);
    index_remove(&farm->workers, api);
    index_remove(&farm->worker_names, api);
    api_free(api);
}

/* ---- here and offline ---- */

/* All of them are alike. NULL when out of memory. */
static struct kind *api_kind(struct core *core)
{
    static struct str types[] = {{TRANSCODE_TYPE, sizeof TRANSCODE_TYPE - 1}};
    const struct rec_worker record = {.task_types = {types, 1}, .executors = {types, 1}, .asks = true};
    return kind_get(core, &record);
}

int api_attend(struct transcode *farm, struct core *core, uint64_t id, struct str whose, struct fault *fault)
{
    struct api_worker *api = api_find(farm, id);
    if (!api)
        return fault_worker(fault);
    if (!rest_owns(api->worker, whose))
        return fault_owner(fault, api->name->str);
    if (!api->worker->present) {
        if (core_reserve(core, CHANGE_BYTES(api->worker), 0, CHANGE_OPS, fault))
            return -1;
        struct kind *kind = api_kind(core);
        if (!kind)
            return fault_memory(fault);
        worker_arrive(core, api->worker, kind);
        log_info("GTY-WORKER-BACK", "worker=%s it is heard of again", api->worker->name->data);
    }
    api_heard(farm, core, api);
    rest_forget(core, api->worker); /* what somebody aborted: it hears so by a 409, and does not say that it stopped */
    return 0;
}

/* Its tasks fail, and it is offline. -1: no room now. */
static int api_leaves(struct transcode *farm, struct core *core, struct api_worker *api)
{
    struct fault fault;
    if (lease_take_all(core, api->worker, OUTCOME_LOST, TASK_OFFLINE) ||
        core_reserve(core, CHANGE_BYTES(api->worker), 0, CHANGE_OPS, &fault))
        return -1;
    list_remove(farm, api);
    worker_part(core, api->worker, "it was not heard of for too long");
    if (api->directive != DIRECTIVE_NONE) {
        api->directive = DIRECTIVE_NONE;
        api_put(core, api);
    }
    return 0;
}

uint64_t api_expire(struct transcode *farm, struct core *core)
{
    uint64_t wait = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        uint64_t term = i ? farm->config.offline_old_ms : farm->config.offline_ms;
        struct api_worker *api;
        while ((api = farm->here[i].quiet) && core->mono_ms >= api->heard + term)
            if (api_leaves(farm, core, api))
                return 100; /* once the store is there */
        if (api && api->heard + term - core->mono_ms < wait)
            wait = api->heard + term - core->mono_ms;
    }
    return wait;
}

/* ---- registered ---- */

static struct worker *core_worker_new(struct core *core, const struct msg_transcode_register *asked)
{
    char name[32], ident[48];
    struct rec_worker record = {.id = core->next_id[TYPE_WORKER], .hostname = asked->name, .slots = TRANSCODE_HELD, .asks = true};
    static struct str types[] = {{TRANSCODE_TYPE, sizeof TRANSCODE_TYPE - 1}};
    snprintf(name, sizeof name, "worker-%03llu", (unsigned long long)record.id);
    do
        snprintf(ident, sizeof ident, "transcode-%016llx", (unsigned long long)core->clock.random(core->clock.self));
    while (index_text(&core->worker_idents, str_of(ident)));
    record.name = str_of(name);
    record.ident = str_of(ident);
    record.ip_address = asked->address;
    record.task_types = record.executors = (struct str_list){types, 1};
    struct worker *worker = worker_make(core, &record);
    if (!worker)
        return NULL;
    core_new_id(core, TYPE_WORKER);
    worker->registered_at = core->wall_ms;
    worker->status = WORKER_OFFLINE;
    worker->credit = worker->slots;
    worker->grace_ms = WORKER_ASKS_GRACE_MS;
    worker_join(core, worker);
    return worker;
}

static int register_check(const struct core *core, const struct api_worker *api, const struct msg_transcode_register *asked,
                          struct fault *fault)
{
    if (api && api->worker->present && !asked->old)
        return fault_set(fault, ERR_CONFLICT, "worker_name", "worker_online", asked->name, NULL, "worker %.*s is online",
                         (int)asked->name.len, asked->name.ptr);
    /* One that is away may come back with another credential: keys are renewed. */
    if (api && api->worker->present && !rest_owns(api->worker, asked->whose))
        return fault_owner(fault, api->name->str);
    if (!api && core->workers.count >= core->config.workers_max && !worker_oldest(core))
        return fault_set(fault, ERR_LIMIT, "worker_name", "limit", asked->name, NULL, "there are too many workers");
    return 0;
}

/* A new one, with the core's worker; one that has been away for longest may have to go. NULL when out of memory. */
static struct api_worker *register_new(struct transcode *farm, struct core *core, const struct msg_transcode_register *asked)
{
    struct rec_transcode_worker record = {.name = asked->name};
    struct worker *oldest = core->workers.count >= core->config.workers_max ? worker_oldest(core) : NULL;
    struct api_worker *api = api_make(farm, &record);
    struct worker *worker = api ? core_worker_new(core, asked) : NULL;
    if (!worker) {
        api_free(api);
        return NULL;
    }
    api_join(farm, core, api, worker);
    if (oldest)
        worker_forget(core, oldest);
    return api;
}

static void answer_worker(struct core *core, const struct core_call *call, const struct api_worker *api)
{
    struct msg_transcode_worker answer = {.worker = api_record(api)};
    answer.worker.status = api->worker->present;
    answer.worker.last_heartbeat = api->worker->last_heartbeat;
    core_answer(core, call, &shape_msg_transcode_worker, &answer);
}

void transcode_on_register(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_register *asked = &call->msg->u.transcode_register;
    struct transcode *farm = transcode_of(core);
    struct api_worker *api = index_text(&farm->worker_names, asked->name);
    struct kind *kind = NULL;
    struct fault fault;
    if (register_check(core, api, asked, &fault))
        goto error;
    if (api && lease_take_all(core, api->worker, OUTCOME_LOST, TASK_OFFLINE)) {
        fault_away(&fault);
        goto error;
    }
    size_t bytes = (api ? CHANGE_BYTES(api->worker) : EVENT_BYTES + 2048) + asked->name.len * (size_t)4 + WORKER_FORGET_BYTES;
    if (core_reserve(core, bytes, RECORD_BYTES, CHANGE_OPS + WORKER_FORGET_OPS, &fault))
        goto error;
    fault_memory(&fault);
    if (!(kind = api_kind(core)) || (!api && !(api = register_new(farm, core, asked))))
        goto error;
    list_remove(farm, api); /* from that of how it registered before */
    api->type = (uint8_t)asked->type;
    api->support_vr = (uint8_t)asked->support_vr;
    api->directive = DIRECTIVE_NONE;
    api->old = asked->old;
    worker_set_owner(api->worker, asked->whose);
    worker_arrive(core, api->worker, kind);
    api_heard(farm, core, api);
    api_put(core, api);
    answer_worker(core, call, api);
    log_info("GTY-WORKER-REGISTERED", "worker=%s through the transcode API", api->worker->name->data);
    return;
error:
    kind_drop(core, kind);
    core_refuse(core, call, &fault);
}

/* ---- heard ---- */

void transcode_on_beat(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_beat *beat = &call->msg->u.transcode_beat;
    struct transcode *farm = transcode_of(core);
    /* It is who its name says. One that nobody has is what it was called before somebody renamed it: then its number counts. */
    const struct api_worker *api = index_text(&farm->worker_names, beat->name);
    struct msg_done done = {.id = api ? api->id : beat->id};
    struct fault fault;
    if (api_attend(farm, core, done.id, beat->whose, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    journal_send_now(core->journal, &call->from, &shape_msg_done, &done);
}
