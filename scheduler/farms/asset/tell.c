/* Which files scenes need, told page by page by who reads one: a run that does just that, or one that renders a frame. A list counts once all of
 * it was told; what was begun and not ended is told again from its beginning by the next, and is the same, as it is of the same content. */
#include <stdlib.h>

#include "scheduler/farms/asset/asset.h"
#include "scheduler/lease.h"
#include "scheduler/queue.h"
#include "scheduler/report.h"
#include "scheduler/run.h"
#include "scheduler/worker.h"

#define LIST_BYTES 96
#define FILE_BYTES 16 /* beside its texts */

const struct scene_list *scene_list_find(const struct assets *assets, struct str md5)
{
    const struct scene_list *list = index_text(&assets->lists, md5);

    return list && list->whole ? list : NULL;
}

/* ---- versions ---- */

static unsigned number_read(struct str *text)
{
    unsigned number = 0;

    while (text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9') {
        number = number < 100000 ? number * 10 + (unsigned)(text->ptr[0] - '0') : number;
        *text = (struct str){text->ptr + 1, text->len - 1};
    }
    return number;
}

struct scene_version scene_version_read(struct str text)
{
    struct scene_version version = {.major = number_read(&text)};

    if (version.major && text.len && text.ptr[0] == '.') {
        text = (struct str){text.ptr + 1, text.len - 1};
        version.minor = number_read(&text);
    }
    return version;
}

struct scene_version scene_made(const struct core *core, struct str md5)
{
    const struct assets *assets = assets_of(core);
    unsigned char bytes[ASSET_MD5];
    const struct scene_list *list =
        assets && md5_read(md5, bytes) ? index_text(&assets->lists, (struct str){(const char *)bytes, ASSET_MD5}) : NULL;

    return list ? list->made : (struct scene_version){0};
}

/* ---- lists ---- */

/* One in no table, with room for it there. */
static struct scene_list *list_make(struct assets *assets, struct str md5)
{
    struct scene_list *list = index_reserve(&assets->lists, 1) == 0 ? calloc(1, sizeof *list) : NULL;

    if (!list)
        return NULL;
    memcpy(list->md5, md5.ptr, ASSET_MD5);
    list->key = (struct str){(const char *)list->md5, ASSET_MD5};
    return list;
}

static void list_join(struct assets *assets, struct scene_list *list, uint64_t id)
{
    list->id = id;
    index_add(&assets->lists, list);
    if (assets->last_list)
        assets->last_list->newer = list;
    else
        assets->first_list = list;
    assets->last_list = list;
}

int scene_list_load(struct assets *assets, const struct rec_scene_needs *record, struct err *err)
{
    struct scene_list *list = list_make(assets, record->md5);

    if (!list)
        return err_set(err, ERR_NO_MEMORY, "no memory for what scenes need");
    list->pages = (uint32_t)record->pages;
    list->whole = record->whole;
    list->left_out = record->left_out;
    list->made = scene_version_read(record->version);
    assets->pages += list->pages;
    list_join(assets, list, record->id);
    return 0;
}

void scene_lists_free(struct assets *assets)
{
    for (struct scene_list *list = assets->first_list, *newer; list; list = newer) {
        newer = list->newer;
        free(list);
    }
}

/* The oldest goes where there are too many, but not the one that is being told. Room has been reserved. */
static void lists_trim(struct assets *assets, struct core *core, const struct scene_list *but)
{
    struct scene_list *list = assets->first_list;

    if ((assets->lists.count <= SCENES_MAX && assets->pages <= SCENE_PAGES_MAX) || list == but || list == assets->last_list)
        return;
    for (uint32_t page = 0; page < list->pages; page++)
        journal_delete(core->journal, TYPE_SCENE_PAGE, list->id << SCENE_PAGE_BITS | page);
    journal_delete(core->journal, TYPE_SCENE_NEEDS, list->id);
    assets->first_list = list->newer;
    assets->pages -= list->pages;
    index_remove(&assets->lists, list);
    free(list);
}

/* ---- told ---- */

/* Whether this run is about the scene with that hash, and the farm's own. */
static bool is_about(const struct run *run, struct str md5)
{
    struct str parameters = text_str(run->parameters), hex;
    unsigned char own[ASSET_MD5];

    return run->class->farm && (map_text(parameters, STR_LIT("scene_md5"), &hex) || map_text(parameters, STR_LIT("md5"), &hex)) &&
           md5_read(hex, own) && memcmp(own, md5.ptr, ASSET_MD5) == 0;
}

static size_t page_bytes(const struct msg_scene_tell *told)
{
    size_t bytes = LIST_BYTES + told->version.len;

    for (uint32_t i = 0; i < told->files.count; i++)
        bytes += FILE_BYTES + told->files.items[i].path.len + told->files.items[i].type.len;
    return bytes;
}

static void list_put(struct core *core, struct scene_list *list, struct str version)
{
    list->made = scene_version_read(version);
    const struct rec_scene_needs record = {.id = list->id,
                                           .md5 = list->key,
                                           .pages = list->pages,
                                           .whole = list->whole,
                                           .left_out = list->left_out,
                                           .at = core->wall_ms,
                                           .version = version};
    journal_put(core->journal, TYPE_SCENE_NEEDS, list->id, &record);
}

static void page_put(struct assets *assets, struct core *core, struct scene_list *list, const struct msg_scene_tell *told)
{
    const struct rec_scene_page page = {.id = list->id << SCENE_PAGE_BITS | told->page, .files = told->files};

    journal_put(core->journal, TYPE_SCENE_PAGE, page.id, &page);
    if (told->page >= list->pages) {
        assets->pages += told->page + 1 - list->pages;
        list->pages = (uint32_t)told->page + 1;
    }
    list->whole = told->last;
    list->left_out = told->left_out;
    list_put(core, list, told->version);
}

/* What can be kept of it is. -1 with fault: for now it cannot; *enough: no more of it can. */
static int take(struct assets *assets, struct core *core, const struct msg_scene_tell *told, bool *enough, struct fault *fault)
{
    struct scene_list *list = index_text(&assets->lists, told->md5);
    bool fresh = !list && told->page == 0;

    *enough = (list && list->whole) || told->page >= SCENE_PAGES || (!fresh && (!list || told->page > list->pages));
    if (*enough) {
        bool learnt = list && list->whole && !list->made.major && told->version.len; /* of before versions were told */
        if (core_reserve(core, LIST_BYTES + 64 + told->version.len, 0, 2, fault) != 0)
            return -1;
        if (learnt)
            list_put(core, list, told->version);
        return 0;
    }
    if (fresh && !(list = list_make(assets, told->md5)))
        return fault_memory(fault);
    if (core_reserve(core, page_bytes(told) + LIST_BYTES + 64, 0, SCENE_PAGES + 4, fault) != 0) {
        if (fresh)
            free(list);
        return -1;
    }
    if (fresh)
        list_join(assets, list, core_new_id(core, TYPE_SCENE_NEEDS));
    page_put(assets, core, list, told);
    lists_trim(assets, core, list);
    return 0;
}

void scene_on_tell(struct core *core, const struct core_call *call)
{
    const struct msg_scene_tell *told = &call->msg->u.scene_tell;
    const struct worker *worker = worker_of_call(core, call);
    const struct lease *lease = worker ? lease_claim(core, worker, told->run_id, told->attempt) : NULL;
    struct msg_scene_told answer = {.run_id = told->run_id, .page = told->page};
    struct fault fault;

    if (!worker)
        return;
    if (!lease || !lease->run) {
        report_refuse(core, call, told->run_id, told->attempt, LEASE_WHY_STALE);
        return;
    }
    if (!is_about(lease->run, told->md5)) {
        fault_set(&fault, ERR_NOT_FOUND, "md5", "scene_unknown", (struct str){0}, NULL, "run %llu is about no such scene",
                  (unsigned long long)told->run_id);
        core_refuse(core, call, &fault);
    } else if (take(assets_of(core), core, told, &answer.enough, &fault) != 0) {
        core_refuse(core, call, &fault); /* it tells again */
    } else {
        journal_send(core->journal, &call->from, &shape_msg_scene_told, &answer);
    }
}
