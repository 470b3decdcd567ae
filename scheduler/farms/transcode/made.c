#include "scheduler/farms/transcode/made.h"

#include <inttypes.h>
#include <stdio.h>

#include "scheduler/farms/transcode/task.h"
#include "scheduler/farms/transcode/worker.h"
#include "scheduler/lease.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define HASH 16u

int made_add(struct transcode *farm, struct video *video, uint64_t size, struct str hash)
{
    unsigned char item[MADE_ITEM * MADE_MAX];
    const struct str before = video->record.made;
    uint32_t len = MADE_ITEM;
    if (hash.len != HASH)
        return 0;
    for (unsigned i = 0; i < 8; i++)
        item[i] = (unsigned char)(size >> (56 - 8 * i));
    memcpy(item + 8, hash.ptr, HASH);
    for (uint32_t at = 0; at + MADE_ITEM <= before.len && len < sizeof item; at += MADE_ITEM) {
        if (memcmp(before.ptr + at, item, MADE_ITEM) == 0)
            continue;
        memcpy(item + len, before.ptr + at, MADE_ITEM);
        len += MADE_ITEM;
    }
    struct rec_video record = video->record;
    record.made = (struct str){(const char *)item, len};
    return video_describe(farm, video, &record);
}

const char *made_text(struct str made, char out[MADE_TEXT])
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t at = 0; at + MADE_ITEM <= made.len && at < MADE_ITEM * MADE_MAX; at += MADE_ITEM) {
        uint64_t size = 0;
        for (unsigned i = 0; i < 8; i++)
            size = size << 8 | (unsigned char)made.ptr[at + i];
        used += (size_t)snprintf(out + used, MADE_TEXT - used, "%s%" PRIu64 "-", at ? "," : "", size);
        for (unsigned i = 8; i < MADE_ITEM; i++)
            used += (size_t)snprintf(out + used, MADE_TEXT - used, "%02x", (unsigned char)made.ptr[at + i]);
    }
    return out;
}

/* ---- results that come over HTTP ---- */

static int refuse(const struct msg_transcode_publish *asked, const char *rule, struct fault *fault)
{
    return fault_set(fault, ERR_CONFLICT, "task_id", rule, (struct str){0}, NULL,
                     "the result of task %" PRIu64 " is not to be named (%s)", asked->task_id, rule);
}

/* A worker with a session has its grant already (PUBLISH), for what it hashed. */
static int granted_check(const struct run *run, const struct msg_transcode_publish *asked, struct fault *fault)
{
    const struct rec_published *published = run->more ? &run->more->published : NULL;
    if (run->state != STATE_PUBLISHING || run->attempt != asked->attempt || !published)
        return refuse(asked, "task_owner", fault);
    return published->size == asked->size && str_eq(published->hash, asked->hash) ? 0 : refuse(asked, "upload_hash", fault);
}

/* Whether the task is still in the hands that it was in; that its caller's credential is theirs, the gateway has looked at. One that gives its result lives, and so does its task: neither ends in silence
 * while the gateway renames. -1 with fault. */
static int holder_check(struct transcode *farm, struct core *core, const struct run *run,
                        const struct msg_transcode_publish *asked, struct fault *fault)
{
    if (!run)
        return refuse(asked, "task_final", fault);
    if (!run->lease || run->lease->worker->kept == (asked->attempt != 0))
        return refuse(asked, "task_owner", fault);
    return asked->attempt ? granted_check(run, asked, fault)
                          : api_attend(farm, core, run->lease->worker->id, (struct str){0}, fault);
}

void transcode_on_publish(struct core *core, const struct core_call *call)
{
    const struct msg_transcode_publish *asked = &call->msg->u.transcode_publish;
    struct transcode *farm = transcode_of(core);
    struct transcode_task *task = transcode_task_find(farm, asked->task_id);
    struct run *run = task ? run_find(core, asked->task_id) : NULL;
    struct video *video = task ? video_find(farm, task->record.video_id) : NULL;
    struct msg_transcode_published answer = {0};
    unsigned char before[MADE_ITEM * MADE_MAX];
    struct fault fault;
    if (holder_check(farm, core, run, asked, &fault))
        goto error;
    size_t bytes = task_record_bytes(&task->record) + (video ? video_bytes(video) + MADE_ITEM : 0) + 64;
    if (core_reserve(core, bytes, sizeof before + 64, 4, &fault))
        goto error;
    if (video && video->record.made.len <= sizeof before) {
        answer.made = (struct str){(const char *)before, video->record.made.len};
        if (answer.made.len)
            memcpy(before, video->record.made.ptr, answer.made.len);
    }
    if (!asked->attempt) {
        if (video && made_add(farm, video, asked->size, asked->hash)) {
            fault_memory(&fault);
            goto error;
        }
        task_heard(farm, core, task);
        task->record.size_after = asked->size; /* its end says nothing of it */
        journal_put(core->journal, TYPE_TRANSCODE_TASK, task->id, &task->record);
        if (video)
            video_put(core, video);
    }
    core_answer(core, call, &shape_msg_transcode_published, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
