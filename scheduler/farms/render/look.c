/* A frame's worker asks which of its scene's files are there, or which a pattern stands for. What is another unionid's is not. */
#include "scheduler/farms/asset/asset.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/report.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

static void each_answer(struct core *core, const struct core_call *call, struct asset_look *look)
{
    const struct msg_render_look *asked = &call->msg->u.render_look;
    struct asset_page page;
    struct fault fault;
    size_t bytes = 64;

    asset_list(core, look, asked->paths.items[0], asked->after, &page);
    const struct msg_render_looked answer = {.run_id = asked->run_id,
                                             .md5s = {page.md5s, page.count * ASSET_MD5},
                                             .names = {page.names, page.count},
                                             .after = str_of(page.after)};
    for (uint32_t i = 0; i < page.count; i++)
        bytes += ASSET_MD5 + 5 + page.names[i].len;
    if (core_reserve(core, bytes + answer.after.len, 0, 1, &fault) == 0) /* else it asks again */
        journal_send(core->journal, &call->from, &shape_msg_render_looked, &answer);
}

static void paths_answer(struct core *core, const struct core_call *call, struct asset_look *look)
{
    const struct msg_render_look *asked = &call->msg->u.render_look;
    char md5s[ASSET_LOOKS * ASSET_MD5] = {0};
    const struct msg_render_looked answer = {.run_id = asked->run_id, .md5s = {md5s, asked->paths.count * ASSET_MD5}};
    struct fault fault;

    for (uint32_t i = 0; i < asked->paths.count; i++) {
        const struct asset *asset = asset_look(core, look, asked->paths.items[i]);
        if (asset)
            memcpy(md5s + (size_t)i * ASSET_MD5, asset->md5, ASSET_MD5);
    }
    if (core_reserve(core, sizeof md5s + 64, 0, 1, &fault) == 0)
        journal_send(core->journal, &call->from, &shape_msg_render_looked, &answer);
}

void render_on_look(struct core *core, const struct core_call *call)
{
    const struct msg_render_look *asked = &call->msg->u.render_look;
    const struct render *farm = render_of(core);
    const struct worker *worker = worker_of_call(core, call);
    const struct lease *lease = worker ? lease_claim(core, worker, asked->run_id, asked->attempt) : NULL;
    const struct run *run = lease ? lease->run : NULL;
    const struct render_task *task =
        run && run->class->farm == &farm->farm ? render_find(farm, map_number(text_str(run->parameters), "render_task")) : NULL;
    struct fault fault;
    if (!worker)
        return;
    if (!run) {
        report_refuse(core, call, asked->run_id, asked->attempt, LEASE_WHY_STALE);
        return;
    }
    if (!task) { /* submitted as any run is: it names its files itself */
        fault_set(&fault, ERR_NOT_FOUND, "run_id", "render_task", (struct str){0}, NULL, "run %llu is of no render task",
                  (unsigned long long)asked->run_id);
        core_refuse(core, call, &fault);
        return;
    }
    struct asset_look look = {task->record.unionid, task->record.oss_file_path, str_is(task->record.render_engine, "blender"),
                              asked->each ? ASSET_STEPS : ASSET_LOOK_STEPS, false};
    (asked->each ? each_answer : paths_answer)(core, call, &look);
}
