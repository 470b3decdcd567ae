/* A render task: in memory, as a record, and what its status is. */
#include <stdlib.h>

#include "proto/log.h"
#include "scheduler/farms/render/render.h"
#include "scheduler/retry.h"
#include "scheduler/run.h"

#define RETRIES_MAX 31 /* that a byte holds: more are counted no more */
#define DROP_FRAMES 500
#define AGAIN_MS 1000
#define RUN_BYTES 3 /* of the record's `frames`: how many, and what they are */

struct render_task *render_find(const struct render *farm, uint64_t id)
{
    return index_id(&farm->tasks, id);
}

/* ---- made ---- */

/* Its texts in one block. */
static int texts_keep(struct render_task *task)
{
    struct rec_render_task *record = &task->record;
    struct str *const texts[] = {&record->unionid,        &record->oss_file_path, &record->render_engine, &record->renderer,
                                 &record->source_dir,     &record->project_dir,   &record->renders_dir,   &record->test_frames,
                                 &record->config_id,      &record->config_name,   &record->cg_version,    &record->plugins,
                                 &record->celery_task_id, &record->scene_md5,     &record->image_format,  &record->map,
                                 &record->sequence,       &record->preset,        &record->error};
    const size_t count = sizeof texts / sizeof *texts;
    size_t bytes = 512 + 1; /* an error may come: it has its own place at the end */
    for (size_t i = 0; i < count; i++)
        bytes += texts[i]->len;
    char *at = task->text = malloc(bytes);
    if (!at)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->len)
            memcpy(at, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = at;
        at += texts[i]->len;
    }
    return 0;
}

/* Numbers of the list that the task has, each once; the gateway has looked at the text. */
static void tests_read(struct render_task *task)
{
    struct str list = task->record.test_frames, item;
    while (task->test_count < RENDER_TESTS && str_item(&list, &item)) {
        uint64_t number = 0;
        uint32_t place;
        for (uint32_t i = 0; i < item.len && i < 9; i++)
            number = number * 10 + (uint64_t)(item.ptr[i] - '0');
        if (render_place(task, number, &place) && !render_is_test(task, place))
            task->tests[task->test_count++] = (uint16_t)place;
    }
}

static void frames_read(struct render_task *task, struct str runs)
{
    uint32_t place = 0, total = (uint32_t)task->record.total_frames;
    for (uint32_t at = 0; at + RUN_BYTES <= runs.len; at += RUN_BYTES) {
        const unsigned char *run = (const unsigned char *)runs.ptr + at;
        uint32_t many = (uint32_t)run[0] << 8 | run[1];
        unsigned state = run[2] & 7u;
        while (many-- && place < total)
            task->frames[place++] = state <= FRAME_STARVED ? run[2] : FRAME_FAILED;
    }
    for (place = 0; place < total; place++)
        task->counts[render_state(task, place)]++;
}

struct render_task *render_make(struct render *farm, const struct rec_render_task *record)
{
    struct render_task *task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    task->record = *record;
    task->record.frames = (struct str){0};
    task->frames = calloc(1, record->total_frames);
    if (!task->frames || texts_keep(task) || index_reserve(&farm->tasks, 1) || heap_reserve(&farm->dues, farm->tasks.count + 1) ||
        kept_reserve(&farm->kept, farm->tasks.count + 1)) {
        render_free(task);
        return NULL;
    }
    frames_read(task, record->frames);
    tests_read(task);
    return task;
}

void render_free(struct render_task *task)
{
    if (!task)
        return;
    while (task->busy) {
        struct render_busy *busy = task->busy;
        task->busy = busy->next;
        free(busy);
    }
    free(task->hosts);
    free(task->frames);
    free(task->text);
    free(task);
}

/* ---- lists ---- */

static void list_remove(struct render *farm, struct render_task *task)
{
    struct render_list *list = &farm->lists[task->record.priority];
    if (!task->listed)
        return;
    *(task->prev ? &task->prev->next_open : &list->first) = task->next_open;
    *(task->next_open ? &task->next_open->prev : &list->last) = task->prev;
    task->prev = task->next_open = NULL;
    task->listed = false;
}

/* By id: who came first goes first, also when it comes back. */
static void list_add(struct render *farm, struct render_task *task)
{
    struct render_list *list = &farm->lists[task->record.priority];
    struct render_task *before = list->last;
    if (task->listed)
        return;
    while (before && before->id > task->id)
        before = before->prev;
    task->prev = before;
    task->next_open = before ? before->next_open : list->first;
    *(before ? &before->next_open : &list->first) = task;
    *(task->next_open ? &task->next_open->prev : &list->last) = task;
    task->listed = true;
}

static void place_in_lists(struct render *farm, struct render_task *task)
{
    if (render_gives(task))
        list_add(farm, task);
    else
        list_remove(farm, task);
}

/* When its time is over; it begins with its first frame. */
static void due_set(struct render *farm, struct render_task *task)
{
    uint64_t from = task->record.timed_from;
    heap_remove(&farm->dues, &task->due);
    if (!from || render_status_final(task->record.status))
        return;
    task->due.id = task->id;
    task->due.key = (int64_t)(from + task->record.task_timeout * 1000);
    heap_push(&farm->dues, &task->due);
}

void render_join(struct render *farm, struct render_task *task, uint64_t id)
{
    task->id = task->record.id = id;
    index_add(&farm->tasks, task);
    due_set(farm, task);
    place_in_lists(farm, task);
}

int render_load(struct render *farm, const struct rec_render_task *record, struct err *err)
{
    struct render_task *task = render_make(farm, record);
    if (!task)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    render_join(farm, task, record->id);
    if (render_status_final(record->status))
        kept_add(&farm->kept, task->id);
    return 0;
}

/* ---- frames ---- */

bool render_place(const struct render_task *task, uint64_t number, uint32_t *place)
{
    uint64_t first = task->record.start_frame;
    if (number < first || number - first >= task->record.total_frames)
        return false;
    *place = (uint32_t)(number - first);
    return true;
}

bool render_is_test(const struct render_task *task, uint32_t place)
{
    for (uint32_t i = 0; i < task->test_count; i++)
        if (task->tests[i] == place)
            return true;
    return false;
}

void render_set(struct render_task *task, uint32_t place, enum render_frame_status state, bool again)
{
    uint32_t retries = render_retries(task, place);
    task->counts[render_state(task, place)]--;
    task->counts[state]++;
    retries += again && retries < RETRIES_MAX;
    task->frames[place] = (uint8_t)(state | retries << 3);
    if ((state == FRAME_PENDING || state == FRAME_STARVED) && place < task->next)
        task->next = place;
}

static uint32_t tests_in(const struct render_task *task, enum render_frame_status state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < task->test_count; i++)
        count += render_state(task, task->tests[i]) == state;
    return count;
}

/* As a whole: failed if one has, rendering if one is or some are finished and others are to come. What was cancelled has neither failed nor
 * been rendered: it is pending, as it would be if somebody wanted it after all. */
static uint64_t test_status(const struct render_task *task)
{
    if (!task->test_count)
        return 0;
    uint32_t done = tests_in(task, FRAME_COMPLETED), open = tests_in(task, FRAME_PENDING) + tests_in(task, FRAME_STARVED);
    if (tests_in(task, FRAME_FAILED))
        return 1 + FRAME_FAILED;
    if (done == task->test_count)
        return 1 + FRAME_COMPLETED;
    return tests_in(task, FRAME_RENDERING) || (done && open) ? 1 + FRAME_RENDERING : 1 + FRAME_PENDING;
}

/* Some of its test frames have not ended: nothing else is given out. */
static bool testing(const struct render_task *task)
{
    return tests_in(task, FRAME_PENDING) + tests_in(task, FRAME_STARVED) + tests_in(task, FRAME_RENDERING) > 0;
}

bool render_gives(const struct render_task *task)
{
    const struct rec_render_task *record = &task->record;
    if (record->status == RENDER_PAUSED || render_status_final(record->status))
        return false;
    if (testing(task))
        return tests_in(task, FRAME_PENDING) + tests_in(task, FRAME_STARVED) > 0;
    return task->counts[FRAME_PENDING] + task->counts[FRAME_STARVED] > 0;
}

/* ---- its status ---- */

static void end(struct render *farm, const struct core *core, struct render_task *task, enum render_status status)
{
    task->record.status = status;
    task->record.completed_at = core->wall_ms;
    kept_add(&farm->kept, task->id);
    log_info("GTY-RENDER-END", "task=%llu status=%d completed=%u failed=%u", (unsigned long long)task->id, (int)status,
             task->counts[FRAME_COMPLETED], task->counts[FRAME_FAILED]);
}

static void error_set(struct render_task *task, const char *error)
{
    struct str *kept = &task->record.error; /* the last text of the block, with room behind it */
    *kept = (struct str){kept->ptr, error ? (uint32_t)strlen(error) : 0};
    if (kept->len > 512)
        kept->len = 512;
    if (error && kept->len)
        memcpy((char *)(uintptr_t)kept->ptr, error, kept->len);
}

void render_finish(struct render *farm, const struct core *core, struct render_task *task, enum render_status status,
                   const char *error)
{
    for (uint32_t place = 0; place < task->record.total_frames; place++)
        if (render_state(task, place) == FRAME_PENDING || render_state(task, place) == FRAME_STARVED)
            render_set(task, place, FRAME_CANCELLED, false);
    error_set(task, error);
    end(farm, core, task, status);
    farm->ending += !task->ending && task->busy;
    task->ending = task->ending || task->busy;
    task->record.test_status = test_status(task);
    due_set(farm, task);
    place_in_lists(farm, task);
}

static enum render_status status_ended(const struct render_task *task)
{
    if (task->counts[FRAME_FAILED])
        return RENDER_FAILED;
    return task->counts[FRAME_CANCELLED] ? RENDER_CANCELLED : RENDER_COMPLETED;
}

void render_judge(struct render *farm, const struct core *core, struct render_task *task)
{
    struct rec_render_task *record = &task->record;
    uint32_t open = task->counts[FRAME_PENDING] + task->counts[FRAME_STARVED] + task->counts[FRAME_RENDERING];
    record->test_status = test_status(task);
    if (!render_status_final(record->status)) {
        if (!open)
            end(farm, core, task, status_ended(task));
        else if (record->status != RENDER_PAUSED)
            record->status = !record->started_at ? RENDER_QUEUED : testing(task) ? RENDER_TESTING : RENDER_RENDERING;
    }
    if (task->ending && !task->busy) {
        task->ending = false;
        farm->ending--;
    }
    due_set(farm, task);
    place_in_lists(farm, task);
}

void render_reopen(struct render *farm, const struct core *core, struct render_task *task)
{
    struct rec_render_task *record = &task->record;
    farm->ending -= task->ending; /* what is still being aborted of it ends by itself; what is begun now does not */
    task->ending = false;
    if (render_status_final(record->status)) {
        kept_remove(&farm->kept, task->id);
        record->status = RENDER_RENDERING;
        record->completed_at = 0;
        record->timed_from = record->started_at ? core->wall_ms : 0;
        error_set(task, NULL);
    }
    render_judge(farm, core, task);
}

/* ---- its record ---- */

static size_t frames_write(const struct render_task *task, unsigned char *out)
{
    uint32_t total = (uint32_t)task->record.total_frames;
    size_t len = 0;
    for (uint32_t place = 0, many; place < total; place += many) {
        for (many = 1; place + many < total && task->frames[place + many] == task->frames[place];)
            many++;
        if (!out) {
            len += RUN_BYTES;
            continue;
        }
        out[len++] = (unsigned char)(many >> 8);
        out[len++] = (unsigned char)many;
        out[len++] = task->frames[place];
    }
    return len;
}

size_t render_bytes(const struct render_task *task)
{
    const struct rec_render_task *record = &task->record;
    return 1024 + record->unionid.len + record->oss_file_path.len + record->source_dir.len + record->project_dir.len +
           record->renders_dir.len + record->test_frames.len + record->config_name.len + record->plugins.len + record->map.len +
           record->sequence.len + record->preset.len + 512 + frames_write(task, NULL) +
           4 * RUN_BYTES; /* a change makes some runs more */
}

void render_put(struct core *core, struct render_task *task)
{
    static unsigned char bytes[RENDER_FRAMES * RUN_BYTES];
    struct rec_render_task *record = &task->record;
    record->completed_frames = task->counts[FRAME_COMPLETED];
    record->failed_frames = task->counts[FRAME_FAILED];
    record->rendering_frames = task->counts[FRAME_RENDERING];
    record->cancelled_frames = task->counts[FRAME_CANCELLED];
    record->frames = (struct str){(const char *)bytes, (uint32_t)frames_write(task, bytes)};
    journal_put(core->journal, TYPE_RENDER_TASK, task->id, record);
    record->frames = (struct str){0};
}

/* ---- what is due ---- */

/* What still runs of one that has ended has nobody to be for. False: some of it does not end now. */
static bool abort_runs(struct core *core, struct render_task *task)
{
    bool well = true;
    for (struct render_busy *busy = task->busy, *next; busy; busy = next) {
        struct fault fault;
        struct run *run = run_find(core, busy->run_id);
        struct ending ending = {
            .outcome = OUTCOME_ABORTED, .error = STR_LIT("its task has ended"), .cancel = run && run->lease, .final = true};
        next = busy->next; /* this one is freed as its run ends */
        if (run && retry_end(core, run, &ending, &fault))
            well = false; /* it is publishing: it ends by itself */
    }
    return well;
}

static bool abort_all(struct render *farm, struct core *core)
{
    bool well = true;
    for (size_t i = 0; farm->ending && i < farm->tasks.size; i++) {
        struct render_task *task = farm->tasks.slots[i];
        if (task && task->ending && !abort_runs(core, task))
            well = false;
    }
    return well;
}

/* Some frames of the oldest that is too much, then the task itself. False: there is more to do. */
static bool drop_oldest(struct render *farm, struct core *core)
{
    struct fault fault;
    struct render_task *task = render_find(farm, kept_oldest(&farm->kept));
    if (!task || task->busy || farm->kept.count <= farm->config.tasks_max || core_reserve(core, 64, 0, DROP_FRAMES + 1, &fault))
        return true;
    for (uint32_t i = 0; i < DROP_FRAMES && task->gone < task->record.total_frames; i++)
        journal_delete(core->journal, TYPE_RENDER_FRAME, render_frame_id(task, task->gone++));
    if (task->gone < task->record.total_frames)
        return false;
    journal_delete(core->journal, TYPE_RENDER_TASK, task->id);
    kept_drop(&farm->kept);
    index_remove(&farm->tasks, task);
    render_free(task);
    return farm->kept.count <= farm->config.tasks_max;
}

/* The ms until the next task's time is over. */
static uint64_t times_end(struct render *farm, struct core *core)
{
    struct heap_node *top;
    struct fault fault;
    while ((top = heap_top(&farm->dues)) && top->key <= (int64_t)core->wall_ms) {
        struct render_task *task = heap_of(top, struct render_task, due);
        if (core_reserve(core, render_bytes(task) + 4096, 0, 2, &fault))
            return AGAIN_MS;
        render_finish(farm, core, task, RENDER_FAILED, "its time is over (task_timeout)");
        render_put(core, task);
    }
    return top ? (uint64_t)(top->key - (int64_t)core->wall_ms) : UINT64_MAX;
}

uint64_t render_tick(void *self, struct core *core)
{
    struct render *farm = self;
    if (!journal_writable(core->journal))
        return UINT64_MAX;
    uint64_t wait = times_end(farm, core);
    if (!abort_all(farm, core) && wait > AGAIN_MS)
        wait = AGAIN_MS;
    return drop_oldest(farm, core) ? wait : 0;
}
