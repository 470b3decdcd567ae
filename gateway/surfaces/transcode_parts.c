#include "gateway/surfaces/transcode_parts.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/files.h"
#include "gateway/surfaces/transcode_upload.h"
#include "proto/bus.h"
#include "proto/clock.h"

#define PARTS_MAX 1000 /* looked after at a time: as many ids as one GET takes */
#define PART_SECONDS 86400
#define WALK_MS 3600000
#define LOOK_MS 5000
#define ANSWER_MS 5000
#define ARENA_MAX ((size_t)32 << 20)

struct part {
    uint64_t task;
    char *path;
    bool gone; /* its task has ended */
};

struct list {
    struct part *items;
    size_t count;
};

struct parts {
    struct gateway *gateway;
    struct list list;
    int walk_timer, look_timer;
    bool asking;
    size_t asked; /* of the first of list; what was noted since has not been asked for */
    uint64_t corr;
};

/* Takes path; false: there is no room for it, and it is freed. */
static bool list_add(struct list *list, uint64_t task, char *path)
{
    for (size_t i = 0; path && i < list->count; i++) {
        if (list->items[i].task == task && strcmp(list->items[i].path, path) == 0) {
            free(path);
            return true;
        }
    }
    if (!list->items)
        list->items = calloc(PARTS_MAX, sizeof *list->items);
    if (!path || !list->items || list->count == PARTS_MAX) {
        free(path);
        return false;
    }
    list->items[list->count++] = (struct part){.task = task, .path = path};
    return true;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
    *list = (struct list){0};
}

void parts_note(struct parts *parts, uint64_t task, const char *path)
{
    if (parts)
        list_add(&parts->list, task, strdup(path));
}

/* ---- those whose task has ended, in the helper thread ---- */

struct removal {
    struct file_job job;
    struct list list;
};

static void removal_work(struct file_job *job)
{
    struct removal *removal = (struct removal *)(void *)job;

    for (size_t i = 0; i < removal->list.count; i++)
        unlink(removal->list.items[i].path); /* or it has its name */
}

static void removal_done(struct file_job *job)
{
    struct removal *removal = (struct removal *)(void *)job;

    list_free(&removal->list);
    free(removal);
}

static void remove_gone(struct parts *parts)
{
    struct removal *removal = calloc(1, sizeof *removal);
    size_t kept = 0;

    for (size_t i = 0; removal && i < parts->list.count; i++) {
        struct part *part = &parts->list.items[i];
        if (part->gone)
            list_add(&removal->list, part->task, part->path); /* without memory it is found in an hour */
        else
            parts->list.items[kept++] = *part;
    }
    if (!removal)
        return;
    parts->list.count = kept;
    removal->job = (struct file_job){.work = removal_work, .done = removal_done};
    files_do(parts->gateway->files, &removal->job);
}

/* ---- which ones those are ---- */

/* Open tasks have a record; of those that have ended it may be gone. */
static bool is_open(struct arena *arena, const struct rec_row_list *rows, uint64_t task)
{
    struct rec_transcode_task record;

    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->items[i].id != task)
            continue;
        return rec_decode_transcode_task(arena, rows->items[i].value, &record, NULL) != 0 || record.status <= TRANSCODE_RUNNING;
    }
    return false;
}

static void on_rows(void *arg, const struct msg *msg, const struct err *err)
{
    struct parts *parts = arg;
    struct arena *arena = msg && msg->shape->id == MSG_QUERY_ROWS ? arena_new(ARENA_MAX) : NULL;
    bool some = false;
    (void)err;

    parts->asking = false;
    for (size_t i = 0; arena && i < parts->asked; i++) {
        struct part *part = &parts->list.items[i];
        arena_reset(arena);
        part->gone = part->gone || !is_open(arena, &msg->u.query_rows.rows, part->task);
        some = some || part->gone;
    }
    arena_free(arena);
    if (some)
        remove_gone(parts);
}

static void look(void *arg)
{
    struct parts *parts = arg;
    uint64_t ids[PARTS_MAX];
    struct msg_get get = {.type = TYPE_TRANSCODE_TASK, .ids = {ids, 0}};

    if (parts->asking || parts->list.count == 0 || parts->gateway->stopping)
        return;
    for (size_t i = 0; i < parts->list.count; i++)
        ids[get.ids.count++] = parts->list.items[i].task;
    parts->asked = get.ids.count;
    parts->asking = true;
    uint64_t corr =
        bus_ask(ask_client(parts->gateway->ask, ASK_STORE), &shape_msg_get, &get, (struct str){0}, ANSWER_MS, on_rows, parts);
    if (parts->asking)
        parts->corr = corr;
}

/* ---- what is there ---- */

struct walk {
    struct file_job job;
    struct parts *parts;
    struct list list;
    char folder[4096];
};

static struct walk *walking; /* nftw has no place for it; the helper thread walks once at a time */

static int walk_look(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    unsigned long long task = 0, attempt = 0;
    const char *name = path + where->base;
    int len = 0, plain = 0;

    if (kind != FTW_F)
        return 0;
    if (sscanf(name, ".gantry-%llu-%llu.part%n", &task, &attempt, &len) < 2 || len == 0)
        sscanf(name, ".gantry-%llu.part%n", &task, &plain);
    if (task == 0 || (size_t)(len ? len : plain) != strlen(name))
        return 0;
    if (stat->st_mtime + PART_SECONDS < time(NULL))
        unlink(path);
    else
        list_add(&walking->list, task, strdup(path));
    return 0;
}

static void walk_work(struct file_job *job)
{
    walking = (struct walk *)(void *)job;
    nftw(walking->folder, walk_look, 16, FTW_PHYS);
}

static void walk_begin(void *arg);

static void walk_done(struct file_job *job)
{
    struct walk *walk = (struct walk *)(void *)job;
    struct parts *parts = walk->parts;

    for (size_t i = 0; i < walk->list.count; i++) {
        parts_note(parts, walk->list.items[i].task, walk->list.items[i].path);
    }
    list_free(&walk->list);
    free(walk);
}

static void walk_begin(void *arg)
{
    struct parts *parts = arg;
    struct walk *walk = calloc(1, sizeof *walk);

    if (!walk || !upload_save(parts->gateway, walk->folder)) {
        free(walk);
        return;
    }
    walk->parts = parts;
    walk->job = (struct file_job){.work = walk_work, .done = walk_done};
    files_do(parts->gateway->files, &walk->job);
}

/* ---- life ---- */

struct parts *parts_new(struct gateway *gateway)
{
    struct parts *parts = calloc(1, sizeof *parts);

    if (!parts)
        return NULL;
    parts->gateway = gateway;
    parts->walk_timer = loop_every(gateway->loop, WALK_MS, walk_begin, parts);
    parts->look_timer = loop_every(gateway->loop, LOOK_MS, look, parts);
    if (parts->walk_timer < 0 || parts->look_timer < 0) {
        parts_free(parts);
        return NULL;
    }
    walk_begin(parts);
    return parts;
}

void parts_free(struct parts *parts)
{
    if (!parts)
        return;
    if (parts->asking)
        bus_forget(ask_client(parts->gateway->ask, ASK_STORE), parts->corr);
    loop_cancel(parts->gateway->loop, parts->walk_timer);
    loop_cancel(parts->gateway->loop, parts->look_timer);
    list_free(&parts->list);
    free(parts);
}
