/* Files that go: those that nothing needs, once nobody has used them for a while. A sweep goes through all by their ids, some in each message, so
 * that it holds up nobody; what it forgets is committed before it is answered, and only then does the gateway remove files. Whoever dies in between
 * leaves a file without a record, never a record without a file.
 *
 * Needed is what a farm says it needs (needs.h: tasks that are kept), what a run or a task of anybody's names by its MD5, and a scene that is being
 * read. A path keeps its file while somebody may look for it.
 */
#include <stdlib.h>

#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/needs.h"
#include "scheduler/queue.h"
#include "scheduler/run.h"
#include "scheduler/task.h"

#define LOOK 10000u /* ids looked at in one message */
#define DROP 1000u  /* records that go in one message; a file's paths go before it */

struct sweep {
    struct assets *assets;
    struct core *core;
    uint64_t grace_ms;
    struct needs needs;
    bool asked; /* needs are known */
};

/* ---- what is needed ---- */

/* Of those that handle files of the store by their MD5. */
static bool reads_files(const struct queue_class *class)
{
    return !class->farm && (str_is(class->executor, "render") || str_is(class->executor, "scene"));
}

/* Runs and tasks that belong to no farm. Only where there are any of that kind is anything looked through. */
static void needs_of_core(struct core *core, struct needs *needs)
{
    bool some = false;
    for (size_t i = 0; i < core->classes.size && !some; i++)
        some = core->classes.slots[i] && reads_files(core->classes.slots[i]);
    for (size_t i = 0; some && i < core->runs.size; i++) {
        const struct run *run = core->runs.slots[i];
        if (!run || !reads_files(run->class))
            continue;
        needs_text(needs, text_str(run->parameters));
        if (run->task)
            needs_text(needs, text_str(run->task->rules.spec));
    }
    for (const struct task *task = some ? core->first_task : NULL; task; task = task->next)
        if (task->rules.class && reads_files(task->rules.class))
            needs_text(needs, text_str(task->rules.spec));
}

static void ask(struct sweep *sweep)
{
    sweep->asked = true;
    needs_open(&sweep->needs, sweep->assets->seed);
    for (size_t i = 0; sweep->core->farms[i]; i++) {
        const struct farm *farm = sweep->core->farms[i];
        if (farm->needs)
            farm->needs(farm->self, &sweep->needs);
    }
    needs_of_core(sweep->core, &sweep->needs);
}

static bool is_idle(const struct sweep *sweep, const struct asset *asset)
{
    uint64_t now = sweep->core->wall_ms;
    return asset->used_at <= now && now - asset->used_at >= sweep->grace_ms;
}

static bool is_needed(struct sweep *sweep, const struct asset *asset)
{
    char hex[ASSET_HEX];
    if (index_text(&sweep->assets->reading, asset->key))
        return true;
    if (!sweep->asked)
        ask(sweep);
    md5_hex(asset->md5, hex);
    if (needs_has(&sweep->needs, str_of(hex)))
        return true;
    for (const struct asset_name *name = asset->names; name; name = name->next)
        if (needs_has_path(&sweep->needs, text_str(name->unionid)))
            return true;
    return false;
}

static void sweep_close(struct sweep *sweep)
{
    if (sweep->asked)
        needs_close(&sweep->needs);
}

/* ---- some of them ---- */

struct found { /* what is to go */
    struct asset *assets[DROP];
    uint32_t count, ops;
    struct asset *many; /* has more paths than go at once: some of them go now, and it is looked at again */
    struct msg_asset_swept swept;
};

static void count(struct found *found, const struct asset *asset)
{
    found->swept.files++;
    found->swept.paths += asset->name_count;
    found->swept.bytes += asset->size;
}

/* False: it goes with the next message. */
static bool take(struct found *found, struct asset *asset)
{
    uint32_t ops = asset->name_count < DROP ? asset->name_count + 2 : DROP;
    if (found->count == DROP || (found->ops && found->ops + ops > 2 * DROP))
        return false;
    found->ops += ops;
    if (asset->name_count >= DROP) {
        found->many = asset;
        return false;
    }
    found->assets[found->count++] = asset;
    count(found, asset);
    return true;
}

static void look(struct sweep *sweep, uint64_t after, bool dry, struct found *found)
{
    struct core *core = sweep->core;
    uint64_t end = core->next_id[TYPE_ASSET];
    found->swept.after = after;
    for (uint32_t i = 0; i < LOOK && found->swept.after + 1 < end; i++) {
        struct asset *asset = index_id(&sweep->assets->ids, found->swept.after + 1);
        if (asset && is_idle(sweep, asset) && !is_needed(sweep, asset)) {
            if (dry)
                count(found, asset);
            else if (!take(found, asset))
                return;
        }
        found->swept.after++;
    }
    found->swept.done = found->swept.after + 1 >= end;
}

static void forget(struct sweep *sweep, struct found *found)
{
    for (uint32_t i = 0; i < found->count; i++)
        asset_forget(sweep->assets, sweep->core, found->assets[i]);
    for (uint32_t i = 0; found->many && i < DROP; i++) {
        asset_name_forget(sweep->assets, sweep->core, found->many->names);
        found->swept.paths++;
    }
}

void asset_on_sweep(struct core *core, const struct core_call *call)
{
    const struct msg_asset_sweep *asked = &call->msg->u.asset_sweep;
    struct sweep sweep = {.assets = assets_of(core), .core = core, .grace_ms = asked->grace_ms};
    struct found *found = arena_alloc(core->arena, sizeof *found);
    struct fault fault;

    if (!found) {
        fault_memory(&fault);
        goto error;
    }
    look(&sweep, asked->after, asked->dry, found);
    if (sweep.asked && sweep.needs.failed) {
        fault_memory(&fault);
        goto error;
    }
    if (core_reserve(core, 0, 64, found->ops + 1, &fault) != 0)
        goto error;
    forget(&sweep, found);
    core_answer(core, call, &shape_msg_asset_swept, &found->swept);
    sweep_close(&sweep);
    return;
error:
    sweep_close(&sweep);
    core_refuse(core, call, &fault);
}

/* ---- which are known ---- */

void asset_on_held(struct core *core, const struct core_call *call)
{
    const struct msg_asset_held *asked = &call->msg->u.asset_held;
    struct sweep sweep = {.assets = assets_of(core), .core = core, .grace_ms = asked->grace_ms};
    uint32_t count = asked->md5s.len / ASSET_MD5;
    struct msg_asset_checked answer = {.ids = {arena_alloc(core->arena, (count + 1) * sizeof(uint64_t)), count}};
    struct fault fault;

    if (!answer.ids.items) {
        fault_memory(&fault);
        goto error;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct asset *asset = asset_find(sweep.assets, (struct str){asked->md5s.ptr + (size_t)i * ASSET_MD5, ASSET_MD5});
        bool stays = asset && (!asked->dry || !is_idle(&sweep, asset) || is_needed(&sweep, asset));
        answer.ids.items[i] = stays ? asset->id : 0;
    }
    if (core_reserve(core, 0, 64 + 9 * (size_t)count, 1, &fault) != 0)
        goto error;
    core_answer(core, call, &shape_msg_asset_checked, &answer);
    sweep_close(&sweep);
    return;
error:
    sweep_close(&sweep);
    core_refuse(core, call, &fault);
}
