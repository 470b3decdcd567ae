/* What is on disk of the library, and what must hold whenever a batch has been applied: a video that is being transcoded names an open task
 * about it, and no other open task is about it; task, run and video say the same; no version has more tasks than the setting allows. At the
 * end: the list is what the folder has, and nothing waits or is under way. */
#include <stdlib.h>

#include "scheduler/run.h"
#include "tests/sim/sim.h"

#define SILENT "任务超过" /* how a task's failure begins that comes of its worker's silence */
#define AWAY "Worker离线"

struct video {
    uint64_t task, size, content, mtime, attempts;
    uint32_t name, open; /* open: tasks about it that have not ended */
    uint8_t status;
    bool there, error;
};

struct task {
    uint64_t video, heard;
    uint64_t content; /* of its video when it was made */
    uint32_t given;   /* the place of the worker of the API that was told of it, and 1 */
    uint8_t status;
    bool there;
};

struct table { /* by id */
    void *rows;
    uint64_t size;
};

struct touched {
    uint64_t *ids;
    uint32_t count, size;
};

static struct table videos, tasks, names; /* names: the video of a file's name */
static struct touched videos_touched, tasks_touched;

static void *row_of(struct table *table, uint64_t id, size_t each)
{
    if (id >= table->size) {
        uint64_t more = table->size ? table->size : 1024;
        while (more <= id)
            more *= 2;
        table->rows = realloc(table->rows, more * each);
        memset((char *)table->rows + table->size * each, 0, (more - table->size) * each);
        table->size = more;
    }
    return (char *)table->rows + id * each;
}

static struct video *video_of(uint64_t id)
{
    return row_of(&videos, id, sizeof(struct video));
}

static struct task *task_of(uint64_t id)
{
    return row_of(&tasks, id, sizeof(struct task));
}

static uint64_t *name_of(uint32_t name)
{
    return row_of(&names, name, sizeof(uint64_t));
}

void shelf_reset(void)
{
    struct table *tables[] = {&videos, &tasks, &names};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        free(tables[i]->rows);
        *tables[i] = (struct table){0};
    }
    videos_touched.count = tasks_touched.count = 0;
}

static void touch(struct touched *touched, uint64_t id)
{
    if (touched->count == touched->size) {
        touched->size = touched->size ? touched->size * 2 : 64;
        touched->ids = realloc(touched->ids, touched->size * sizeof *touched->ids);
    }
    touched->ids[touched->count++] = id;
}

/* ---- what is written ---- */

static bool open_status(uint64_t status)
{
    return status <= TRANSCODE_RUNNING;
}

static bool busy(const struct video *video)
{
    return video->status == VIDEO_CREATED || video->status == VIDEO_RUNNING;
}

void shelf_video(uint64_t id, struct str value)
{
    struct rec_video now;
    struct err err = {0};
    struct video *video = video_of(id);
    arena_reset(sim.arena);
    if (rec_decode_video(sim.arena, value, &now, &err) || now.id != id)
        broken(0, "video %lu cannot be decoded: %s", (unsigned long)id, err.text);
    if (video->there && *name_of(video->name) == id)
        *name_of(video->name) = 0;
    *video = (struct video){.task = now.task_id,
                            .size = now.size,
                            .content = film_content_of(now.hash),
                            .mtime = now.mtime_ns,
                            .attempts = now.attempts,
                            .name = film_name_of(now.path),
                            .open = video->open,
                            .status = (uint8_t)now.transcode_status,
                            .there = true,
                            .error = now.error.len > 0};
    *name_of(video->name) = id;
    touch(&videos_touched, id);
}

static bool begins(struct str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

/* Silence is told only where there was some. */
static void check_silence(uint64_t id, const struct task *task, const struct rec_transcode_task *now)
{
    if (begins(now->error_message, SILENT) && task->heard && sim.now < task->heard + sim.report_ms)
        broken(id, "it has failed for its worker's silence, and that was heard %lu ms before",
               (unsigned long)(sim.now - task->heard));
    if (begins(now->error_message, AWAY) && task->given && !api_silent(task->given - 1))
        broken(id, "it has failed as worker %u of the API is away, and that was heard just now", task->given - 1);
}

void shelf_task(uint64_t id, struct str value)
{
    struct rec_transcode_task now;
    struct err err = {0};
    struct task *task = task_of(id);
    arena_reset(sim.arena);
    if (rec_decode_transcode_task(sim.arena, value, &now, &err) || now.id != id)
        broken(id, "its task cannot be decoded: %s", err.text);
    if (task->there && !open_status(task->status))
        broken(id, "its task had ended and is written again");
    struct video *video = video_of(now.video_id);
    if (!task->there && open_status(now.status)) {
        video->open++;
        task->content = video->content;
    }
    if (task->there && !open_status(now.status)) {
        video->open--;
        check_silence(id, task, &now);
        sim.films_completed += now.status == TRANSCODE_COMPLETED;
        sim.films_failed += now.status == TRANSCODE_FAILED;
    }
    task->there = true;
    task->video = now.video_id;
    task->status = (uint8_t)now.status;
    touch(&tasks_touched, id);
}

void shelf_gone(uint64_t type, uint64_t id)
{
    if (type == TYPE_VIDEO) {
        struct video *video = video_of(id);
        uint32_t open = video->open;
        if (video->there && *name_of(video->name) == id)
            *name_of(video->name) = 0;
        *video = (struct video){.open = open};
    } else if (type == TYPE_TRANSCODE_TASK) {
        struct task *task = task_of(id);
        if (task->there && open_status(task->status))
            broken(id, "its task is deleted, and had not ended");
        task->there = false;
    }
}

void shelf_run(const struct rec_run *run)
{
    if (str_is(run->farm, "transcode") && HAS(run, rec_run, spec) && str_is(run->spec.task_type, "transcode"))
        touch(&tasks_touched, run->id);
}

/* ---- what must hold of it ---- */

static void check_task(uint64_t id)
{
    const struct task *task = task_of(id);
    const struct srun *run = run_of(id);
    if (!task->there && run->there && !run_status_final(run->status))
        broken(id, "it is a run of the transcode farm, and has no task");
    if (!task->there)
        return;
    if (!run->there)
        broken(id, "it is a task, and there is no such run");
    bool same = open_status(task->status)             ? !run_status_final(run->status)
                : task->status == TRANSCODE_COMPLETED ? run->status == RUN_COMPLETED
                                                      : run->status == RUN_FAILED || run->status == RUN_ABORTED;
    if (!same)
        broken(id, "its task is %u, and its run is %s", task->status, run_status_name(run->status));
    const struct video *video = video_of(task->video);
    if (open_status(task->status) && video->there && (video->task != id || !busy(video)))
        broken(id, "it is under way, and its video %lu is %u and names task %lu", (unsigned long)task->video, video->status,
               (unsigned long)video->task);
}

static void check_video(uint64_t id)
{
    const struct video *video = video_of(id);
    if (video->open > 1)
        broken(video->task, "%u tasks about video %lu are under way at once", video->open, (unsigned long)id);
    if (!video->there)
        return;
    if (video->attempts > sim.film_attempts)
        broken(video->task, "video %lu has %lu attempts, and %lu are allowed", (unsigned long)id, (unsigned long)video->attempts,
               (unsigned long)sim.film_attempts);
    const struct task *task = task_of(video->task);
    bool open = task->there && open_status(task->status) && task->video == id;
    if (video->status == VIDEO_COMPLETED && task->content != video->content && !film_was_made(video->content))
        broken(video->task, "video %lu is completed, and nobody has worked on what it is now", (unsigned long)id);
    if (busy(video) != open)
        broken(video->task, "video %lu is %u, and its task %s", (unsigned long)id, video->status,
               open ? "is under way" : "is not");
}

void shelf_batch(void)
{
    for (uint32_t i = 0; i < tasks_touched.count; i++)
        check_task(tasks_touched.ids[i]);
    for (uint32_t i = 0; i < videos_touched.count; i++)
        check_video(videos_touched.ids[i]);
    videos_touched.count = tasks_touched.count = 0;
}

void shelf_heard(uint64_t id, uint32_t who)
{
    if (shelf_is_of(id, who))
        task_of(id)->heard = sim.now;
}

bool shelf_is_of(uint64_t id, uint32_t who)
{
    return task_of(id)->given == who + 1;
}

void shelf_given(uint64_t id, uint32_t who)
{
    struct task *task = task_of(id);
    if (!task->there && id >= disk_top(TYPE_TRANSCODE_TASK))
        broken(id, "a worker is given a task that is not on disk");
    if (task->given && task->given != who + 1)
        broken(id, "workers %u and %u of the API are given one task", task->given - 1, who);
    task->given = who + 1;
    sim.newest_film = id;
}

bool shelf_open(uint64_t id)
{
    return task_of(id)->there && open_status(task_of(id)->status);
}

uint64_t shelf_status(uint64_t id)
{
    return task_of(id)->status;
}

uint64_t shelf_any(void)
{
    uint64_t top = disk_top(TYPE_VIDEO);
    return top > 1 ? 1 + below(top - 1) : 0;
}

/* ---- at the end ---- */

/* What is not as it is to be; false: all is. */
static bool differs(char *text, size_t size, uint64_t *task)
{
    uint32_t there = 0, listed = 0;
    const struct film *film;
    for (uint32_t i = 0; (film = film_at(i)); i++) {
        const struct video *video = film->there ? video_of(*name_of(film->name)) : NULL;
        there += film->there;
        if (video &&
            (!video->there || video->size != film->size || video->content != film->content || video->mtime != film->mtime)) {
            snprintf(text, size, "film-%u is there, and is not listed as it is", film->name);
            return true;
        }
    }
    for (uint64_t id = 1; id < disk_top(TYPE_VIDEO); id++) {
        const struct video *video = video_of(id);
        listed += video->there;
        if (!video->there || video->status == VIDEO_NOT_NEEDED || video->status == VIDEO_COMPLETED ||
            (video->status == VIDEO_FAILED && video->attempts >= sim.film_attempts))
            continue;
        *task = video->task;
        snprintf(text, size, "video %lu is %u with %lu attempts", (unsigned long)id, video->status,
                 (unsigned long)video->attempts);
        return true;
    }
    snprintf(text, size, "%u files are there, and %u listed", there, listed);
    return there != listed;
}

bool shelf_settled(void)
{
    char text[128];
    uint64_t task;
    return !differs(text, sizeof text, &task);
}

void shelf_check(void)
{
    char text[128];
    uint64_t task = 0;
    if (differs(text, sizeof text, &task))
        broken(task, "the library is not settled: %s", text);
    for (uint64_t id = 1; id < tasks.size; id++)
        if (shelf_open(id))
            broken(id, "its task never ended");
}
