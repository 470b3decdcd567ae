#include "gateway/recorder_disk.h"

#include <stdlib.h>

#include "gateway/ask.h"
#include "gateway/files.h"
#include "proto/log.h"

#define EVERY_MS 2000
#define ASK_MS 5000 /* a question may take */
#define MB UINT64_C(1000000)

struct recorder_disk {
    struct file_job job;
    struct gateway *gateway;
    int timer;
    bool asking, working;
    uint64_t corr;
    char folder[4096];
    struct recordings_disk look;
    int told;    /* errno told last */
    bool looked; /* at that folder; until then its disk may be away */
    bool away;   /* that folder's disk was, at the last look */

    /* what the scheduler knows */
    bool heard, has;
    enum recorder_disk_state state;
    bool same; /* that is of this folder */
    uint32_t marked_count;
    char marked[RECORDER_MARKED][4096];
};

static void ask(struct recorder_disk *disk, const struct shape *shape, const void *value, bus_reply *reply)
{
    disk->asking = true;
    disk->corr = bus_ask(ask_client(disk->gateway->ask, ASK_SCHEDULER), shape, value, (struct str){NULL, 0}, ASK_MS, reply, disk);
}

static bool listed(const struct rec_recorder_disk *disk, struct str folder)
{
    for (uint32_t i = 0; i < disk->marked.count; i++)
        if (str_eq(disk->marked.items[i], folder))
            return true;
    return false;
}

struct str recorder_disk_folder(const struct msg_recorder_view *view)
{
    return view->state.cycle && HAS(view, msg_recorder_view, cycle) ? view->cycle.folder : view->folder;
}

void recorder_disk_ask(const struct gateway *gateway, const struct msg_recorder_view *view, struct str folder,
                       struct recordings_disk *look)
{
    bool same = HAS(view, msg_recorder_view, disk) && str_eq(view->disk.folder, folder);
    *look = (struct recordings_disk){
        .known = HAS(view, msg_recorder_view, disk) && listed(&view->disk, folder),
        .use = view->state.running || view->state.cycle || view->past.len,
        .was_full = same && view->disk.state == RECORDER_DISK_FULL,
        .min_free = (uint64_t)settings_count_of(gateway->settings, SET_RECORDER_MIN_FREE_MB) * MB,
    };
    if (str_eq(folder, view->folder))
        str_copy(look->past, sizeof look->past, view->past);
}

bool recorder_disk_is_marked(const struct recorder_disk *disk, struct str folder, bool *known)
{
    *known = disk->heard && (disk->looked || !str_is(folder, disk->folder));
    if (disk->away && str_is(folder, disk->folder))
        return true;
    for (uint32_t i = 0; i < disk->marked_count; i++)
        if (str_is(folder, disk->marked[i]))
            return true;
    return false;
}

/* ---- in the helper thread ---- */

static void look(struct file_job *of)
{
    struct recorder_disk *disk = (struct recorder_disk *)(void *)of;
    recordings_disk_look(disk->folder, &disk->look);
}

/* ---- on the loop ---- */

static void on_told(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder_disk *disk = arg;
    (void)msg; /* else the next look tells it again */
    (void)err;
    disk->asking = false;
}

static void log_look(struct recorder_disk *disk)
{
    const struct recordings_disk *look = &disk->look;
    if (look->cause && look->cause != disk->told)
        log_warn("GTY-RECORDER-DISK", "%s: %s", disk->folder, strerror(look->cause));
    disk->told = look->cause;
    if (disk->same && disk->state == look->state)
        return;
    if (look->state == RECORDER_DISK_FULL)
        log_error("GTY-RECORDER-DISK",
                  "%s: disk_full: %llu MB are free, fewer than recorder.min_free_mb; nothing new is recorded", disk->folder,
                  (unsigned long long)(look->free / MB));
    else if (look->state == RECORDER_DISK_UNMOUNTED)
        log_error("GTY-RECORDER-DISK",
                  "%s: unmounted: its marker " RECORDER_MARKER
                  " is not there; nothing is recorded until its disk is mounted again "
                  "(if this is the right folder, make that file anew)",
                  disk->folder);
    else if (disk->same)
        log_info("GTY-RECORDER-DISK", "%s: it can be recorded to again", disk->folder);
}

static void looked(struct file_job *of)
{
    struct recorder_disk *disk = (struct recorder_disk *)(void *)of;
    const struct recordings_disk *look = &disk->look;
    bool news = look->marked && !look->known;
    disk->working = false;
    disk->looked = true;
    disk->away = look->state == RECORDER_DISK_UNMOUNTED;
    if (disk->gateway->stopping)
        return;
    log_look(disk);
    if (!news && disk->same && disk->state == look->state)
        return;
    if (!news && !disk->has && look->state == RECORDER_DISK_WELL)
        return; /* as nobody has thought otherwise */
    const struct msg_recorder_disk told = {.folder = str_of(disk->folder), .state = look->state, .marked = look->marked};
    ask(disk, &shape_msg_recorder_disk, &told, on_told);
}

static void hear(struct recorder_disk *disk, const struct msg_recorder_view *view)
{
    const struct rec_recorder_disk *known = &view->disk;
    disk->heard = true;
    disk->has = HAS(view, msg_recorder_view, disk);
    disk->marked_count = 0;
    disk->same = false;
    if (!disk->has)
        return;
    for (uint32_t i = 0; i < known->marked.count && i < RECORDER_MARKED; i++)
        if (str_copy(disk->marked[disk->marked_count], sizeof disk->marked[0], known->marked.items[i]))
            disk->marked_count++;
    disk->state = known->state;
    disk->same = str_eq(known->folder, recorder_disk_folder(view));
}

static void on_view(void *arg, const struct msg *msg, const struct err *err)
{
    struct recorder_disk *disk = arg;
    (void)err;
    disk->asking = false;
    if (!msg || msg->shape->id != MSG_RECORDER_VIEW || disk->gateway->stopping)
        return;
    const struct msg_recorder_view *view = &msg->u.recorder_view;
    hear(disk, view);
    struct str folder = recorder_disk_folder(view);
    bool same = str_is(folder, disk->folder);
    if (!view->loaded || !folder.len || !str_copy(disk->folder, sizeof disk->folder, folder))
        return;
    disk->looked = disk->looked && same;
    disk->away = disk->away && same;
    recorder_disk_ask(disk->gateway, view, folder, &disk->look);
    disk->job = (struct file_job){.work = look, .done = looked};
    disk->working = true;
    files_do(disk->gateway->files, &disk->job);
}

static void on_timer(void *arg)
{
    struct recorder_disk *disk = arg;
    const struct msg_recorder_ask asked = {.brief = true};
    if (!disk->asking && !disk->working && !disk->gateway->stopping &&
        bus_client_is_up(ask_client(disk->gateway->ask, ASK_SCHEDULER)))
        ask(disk, &shape_msg_recorder_ask, &asked, on_view);
}

struct recorder_disk *recorder_disk_new(struct gateway *gateway, struct err *err)
{
    struct recorder_disk *disk = calloc(1, sizeof *disk);
    if (!disk || (disk->timer = loop_every(gateway->loop, EVERY_MS, on_timer, disk)) < 0) {
        free(disk);
        err_set(err, ERR_NO_MEMORY, "no memory for the recorder");
        return NULL;
    }
    disk->gateway = gateway;
    return disk;
}

void recorder_disk_free(struct recorder_disk *disk)
{
    if (!disk)
        return;
    if (disk->asking)
        bus_forget(ask_client(disk->gateway->ask, ASK_SCHEDULER), disk->corr);
    loop_cancel(disk->gateway->loop, disk->timer);
    free(disk);
}
