/* The library's folders and the runs that look through them: on a schedule, on demand, or because a worker saw a change. */
#include "scheduler/farms/transcode/library.h"

#include "proto/buf.h"
#include "proto/log.h"
#include "scheduler/farms/parameters.h"
#include "scheduler/queue.h"
#include "scheduler/room.h"
#include "scheduler/run.h"

#define FIRST_MS 1000  /* after a start */
#define HINT_MS 5000   /* after a change was seen: more may follow */
#define AGAIN_MS 10000 /* when there was no room */
#define SCAN_SECONDS 604800

/* ---- folders ---- */

bool library_configure(struct transcode *farm, struct str folders)
{
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++)
        farm->roots[i].configured = false;
    while (folders.len) {
        const char *end = memchr(folders.ptr, ':', folders.len);
        uint32_t len = end ? (uint32_t)(end - folders.ptr) : folders.len, step = end ? len + 1 : len;
        struct str path = {folders.ptr, len};
        folders = (struct str){folders.ptr + step, folders.len - step};
        while (path.len > 1 && path.ptr[path.len - 1] == '/')
            path.len--;
        if (!path.len)
            continue;
        struct root *root = root_get(farm, path);
        if (!root)
            return false;
        root->configured = true;
    }
    return true;
}

void library_loaded(struct transcode *farm, struct core *core)
{
    for (size_t i = 0; i < core->runs.size; i++) {
        struct run *run = core->runs.slots[i];
        struct str path;
        if (!run || run->class->farm != &farm->farm || !str_is(run->class->type, TRANSCODE_SCAN) ||
            !map_text(text_str(run->parameters), STR_LIT("root"), &path))
            continue;
        struct root *root = root_of(farm, path);
        if (root)
            root->scan = run->node.id;
    }
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++)
        if (farm->roots[i].configured && farm->config.scan_ms)
            farm->roots[i].due = core->mono_ms + FIRST_MS;
}

/* ---- scans ---- */

static struct run *scan_make(struct transcode *farm, struct core *core, const struct root *root)
{
    struct rec_task_spec spec = parameters_spec(STR_LIT("library scan"), STR_LIT(TRANSCODE_SCAN), root->path->str, SCAN_SECONDS);
    struct buf parameters = {0};
    struct err err = {0};
    msgpack_packer packer;
    parameters_begin(&packer, &parameters, 1);
    parameters_text(&packer, "root", root->path->str);
    struct run *run = parameters.failed ? NULL : farm_make(core, &farm->farm, &spec, buf_str(&parameters), &err);
    buf_free(&parameters);
    return run;
}

/* The run that looks through the folder, made if there is none under way. 0 with fault. */
static uint64_t scan_begin(struct transcode *farm, struct core *core, struct root *root, size_t answer, struct fault *fault)
{
    if (root->scan)
        return root->scan;
    if (room_runs(core, 1, root->path->str.len, fault))
        return 0;
    struct run *run = scan_make(farm, core, root);
    if (!run) {
        fault_memory(fault);
        return 0;
    }
    if (core_reserve(core, farm_run_bytes(run), answer, FARM_RUN_OPS, fault)) {
        run_free(core, run);
        return 0;
    }
    root->scan = farm_submit(core, run);
    root->due = 0;
    log_info("GTY-LIBRARY-SCAN", "run=%llu root=%s", (unsigned long long)root->scan, root->path->data);
    return root->scan;
}

uint64_t library_tick(struct transcode *farm, struct core *core)
{
    uint64_t wait = UINT64_MAX;
    struct fault fault;
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++) {
        struct root *root = &farm->roots[i];
        if (!root->due || !root->configured)
            continue;
        if (core->mono_ms >= root->due && !scan_begin(farm, core, root, 0, &fault))
            root->due = core->mono_ms + AGAIN_MS;
        if (root->scan)
            root->due = 0;
        else if (root->due - core->mono_ms < wait)
            wait = root->due - core->mono_ms;
    }
    return wait;
}

void library_ended(struct transcode *farm, struct core *core, const struct rec_run *run)
{
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++) {
        struct root *root = &farm->roots[i];
        if (!root->path || root->scan != run->id)
            continue;
        root->scan = 0;
        uint64_t wait = root->again ? HINT_MS : farm->config.scan_ms;
        root->due = wait ? core->mono_ms + wait : 0;
        root->again = false;
        log_info("GTY-LIBRARY-SCANNED", "run=%llu root=%s status=%s", (unsigned long long)run->id, root->path->data,
                 run_status_name(run->status));
    }
}

void library_on_hint(struct core *core, const struct core_call *call)
{
    struct transcode *farm = transcode_of(core);
    struct root *root = root_of(farm, call->msg->u.library_hint.root);
    if (root && root->scan)
        root->again = true;
    else if (root && root->configured && (!root->due || root->due > core->mono_ms + HINT_MS))
        root->due = core->mono_ms + HINT_MS;
}

void library_on_scan(struct core *core, const struct core_call *call)
{
    const struct msg_library_scan *asked = &call->msg->u.library_scan;
    struct transcode *farm = transcode_of(core);
    struct root *only = asked->root.len ? root_of(farm, asked->root) : NULL;
    uint64_t ids[TRANSCODE_ROOTS];
    struct msg_library_scanning answer = {.run_ids = {ids, 0}};
    struct fault fault;
    if (asked->root.len && (!only || !only->configured)) {
        fault_set(&fault, ERR_INVALID, "root", "library_root", asked->root, NULL, "that is none of the library's folders");
        goto error;
    }
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++) {
        struct root *root = &farm->roots[i];
        if (!root->configured || (only && root != only))
            continue;
        /* Each is a run of its own, so what was begun stands when there is no room for the next: a repeat goes on with it. */
        if (!(ids[answer.run_ids.count] = scan_begin(farm, core, root, 0, &fault)))
            goto error;
        answer.run_ids.count++;
    }
    if (!answer.run_ids.count) {
        fault_set(&fault, ERR_CONFLICT, "library", "library_none", (struct str){0}, NULL, "no library is configured");
        goto error;
    }
    if (core_reserve(core, 64, 64 + sizeof ids + TRANSCODE_ROOTS, 2, &fault))
        goto error;
    core_answer(core, call, &shape_msg_library_scanning, &answer);
    return;
error:
    core_refuse(core, call, &fault);
}
