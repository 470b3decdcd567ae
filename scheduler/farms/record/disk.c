/* The recorder's disk, which the gateway looks at: while it is full, or is not the one that it was, nothing new is recorded. */
#include "proto/log.h"
#include "scheduler/farms/record/record.h"

#define DISK_ARENA ((size_t)512 << 10)
#define OWN_BYTES 256 /* of its record beside its texts */

static const char *const words[] = {
    [RECORDER_DISK_WELL] = "well", [RECORDER_DISK_FULL] = "full", [RECORDER_DISK_UNMOUNTED] = "unmounted"};

static const char *const reasons[] = {
    [RECORDER_DISK_FULL] = "disk_full: there is too little room on the disk (recorder.min_free_mb)",
    [RECORDER_DISK_UNMOUNTED] = "unmounted: the output folder has lost its marker " RECORDER_MARKER ": its disk is not mounted"};

const char *recorder_barred(const struct recorder *farm, struct str folder)
{
    const struct rec_recorder_disk *disk = &farm->disk;
    return disk->id && disk->state <= RECORDER_DISK_UNMOUNTED && str_eq(disk->folder, folder) ? reasons[disk->state] : NULL;
}

bool recorder_is_marked(const struct recorder *farm, struct str folder)
{
    const struct str_list *marked = &farm->disk.marked;
    for (uint32_t i = 0; i < marked->count; i++)
        if (str_eq(marked->items[i], folder))
            return true;
    return false;
}

struct str recorder_past(const struct recorder *farm)
{
    unsigned char folder[IDENT_HASH];
    if (recorder_is_marked(farm, farm->config.folder))
        return (struct str){0};
    ident_hash(folder, &farm->config.folder, 1);
    for (size_t i = farm->kept_count; i-- > 0;)
        if (farm->kept[i].reported && memcmp(farm->kept[i].folder, folder, sizeof folder) == 0)
            return str_of(farm->kept[i].name);
    return (struct str){0};
}

/* What is recorded to, or will be: the folder of a cycle under way may be another than the configuration's by now. */
static bool is_used(const struct recorder *farm, struct str folder)
{
    return str_eq(folder, farm->config.folder) || (farm->state.cycle && str_eq(folder, farm->cycle.folder));
}

/* A copy in memory of its own. -1 when out of memory. */
static int disk_copy(const struct rec_recorder_disk *disk, struct arena **arena, struct rec_recorder_disk *copy)
{
    *arena = arena_new(DISK_ARENA);
    *copy = *disk;
    if (!*arena)
        return -1;
    copy->folder = arena_str(*arena, disk->folder);
    copy->marked.items = arena_alloc(*arena, disk->marked.count * sizeof *copy->marked.items);
    bool well = copy->folder.ptr && copy->marked.items;
    for (uint32_t i = 0; well && i < disk->marked.count; i++) {
        copy->marked.items[i] = arena_str(*arena, disk->marked.items[i]);
        well = copy->marked.items[i].ptr != NULL;
    }
    if (well)
        return 0;
    arena_free(*arena);
    *arena = NULL;
    return -1;
}

int recorder_disk_load(struct recorder *farm, const struct rec_recorder_disk *disk, struct err *err)
{
    struct rec_recorder_disk copy;
    struct arena *arena;
    if (disk_copy(disk, &arena, &copy))
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    arena_free(farm->disk_arena);
    farm->disk_arena = arena;
    farm->disk = copy;
    return 0;
}

/* What is known then; its list is in marked. Whether that is anything new. */
static bool disk_next(const struct recorder *farm, const struct core *core, const struct msg_recorder_disk *told,
                      struct str marked[RECORDER_MARKED], struct rec_recorder_disk *next)
{
    const struct rec_recorder_disk *before = &farm->disk;
    bool mark = told->marked && !recorder_is_marked(farm, told->folder);
    bool same = before->id && before->state == told->state && str_eq(before->folder, told->folder);
    uint32_t full = before->marked.count >= RECORDER_MARKED, count = 0;
    *next = (struct rec_recorder_disk){
        .id = RECORD_ONE, .state = told->state, .folder = told->folder, .since = same ? before->since : core->wall_ms};
    for (uint32_t i = mark ? full : 0; i < before->marked.count; i++) /* the oldest goes where there is no room */
        marked[count++] = before->marked.items[i];
    if (mark)
        marked[count++] = told->folder;
    next->marked = (struct str_list){marked, count};
    return mark || !same;
}

static size_t disk_bytes(const struct rec_recorder_disk *disk)
{
    size_t bytes = OWN_BYTES + disk->folder.len;
    for (uint32_t i = 0; i < disk->marked.count; i++)
        bytes += disk->marked.items[i].len + 8;
    return bytes;
}

void recorder_on_disk(struct core *core, const struct core_call *call)
{
    const struct msg_recorder_disk *told = &call->msg->u.recorder_disk;
    struct recorder *farm = recorder_of(core);
    const struct msg_done done = {0};
    struct str marked[RECORDER_MARKED];
    struct rec_recorder_disk next, copy;
    struct arena *arena = NULL;
    struct fault fault;
    bool news = disk_next(farm, core, told, marked, &next) && farm->config.id && is_used(farm, told->folder);
    if (core_reserve(core, news ? disk_bytes(&next) : 64, 64, 2, &fault))
        goto error;
    if (news && disk_copy(&next, &arena, &copy)) {
        fault_memory(&fault);
        goto error;
    }
    if (news) {
        if (farm->disk.state != next.state)
            log_warn("GTY-RECORD-DISK", "state=%s folder=%.*s", words[next.state], (int)next.folder.len, next.folder.ptr);
        arena_free(farm->disk_arena);
        farm->disk_arena = arena;
        farm->disk = copy;
        journal_put(core->journal, TYPE_RECORDER_DISK, RECORD_ONE, &farm->disk);
    }
    core_answer(core, call, &shape_msg_done, &done);
    return;
error:
    core_refuse(core, call, &fault);
}
