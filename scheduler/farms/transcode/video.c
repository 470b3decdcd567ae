/* Videos: found by id and by path, and in sets of those that wait. */
#include "scheduler/farms/transcode/video.h"

#include <stdlib.h>

#define HARDWARE_LONG 1920
#define HARDWARE_SHORT 1080
#define HARDWARE_FPS 31.0
#define BUMP (UINT64_C(1) << 40) /* above any bitrate */

int texts_copy(char **text, struct str *const *strs, size_t count)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += (size_t)strs[i]->len + 1;
    char *at = malloc(bytes);
    if (!at)
        return -1;
    *text = at;
    for (size_t i = 0; i < count; i++) {
        if (strs[i]->len)
            memcpy(at, strs[i]->ptr, strs[i]->len);
        at[strs[i]->len] = '\0';
        *strs[i] = (struct str){at, strs[i]->len};
        at += strs[i]->len + 1;
    }
    return 0;
}

/* ---- folders ---- */

struct root *root_of(struct transcode *farm, struct str path)
{
    for (size_t i = 0; i < TRANSCODE_ROOTS; i++)
        if (farm->roots[i].path && str_eq(farm->roots[i].path->str, path))
            return &farm->roots[i];
    return NULL;
}

struct root *root_get(struct transcode *farm, struct str path)
{
    struct root *root = root_of(farm, path);
    for (size_t i = 0; !root && i < TRANSCODE_ROOTS; i++) {
        if (farm->roots[i].path)
            continue;
        farm->roots[i] = (struct root){.path = text_new(path)};
        return farm->roots[i].path ? &farm->roots[i] : NULL;
    }
    return root;
}

/* ---- found ---- */

struct video *video_find(const struct transcode *farm, uint64_t id)
{
    return index_id(&farm->videos, id);
}

struct video *video_at(const struct transcode *farm, const struct root *root, struct str path)
{
    char key[2 * 4096];
    size_t len = (size_t)root->path->str.len + 1;
    if (len + path.len > sizeof key)
        return NULL;
    memcpy(key, root->path->data, len); /* with its NUL */
    if (path.len)
        memcpy(key + len, path.ptr, path.len);
    return index_text(&farm->video_keys, (struct str){key, (uint32_t)(len + path.len)});
}

/* ---- made and changed ---- */

/* Its texts in one block that begins with its key: root and path lie one behind the other, with a NUL between. */
static int describe(struct video *video, const struct rec_video *record)
{
    struct rec_video copy = *record;
    struct str *const strs[] = {&copy.root,  &copy.path,      &copy.codec,  &copy.hash,
                                &copy.error, &copy.container, &copy.reason, &copy.made};
    char *text;
    if (texts_copy(&text, strs, sizeof strs / sizeof *strs))
        return -1;
    free(video->text);
    video->text = text;
    video->record = copy;
    video->key = (struct str){text, copy.root.len + 1 + copy.path.len};
    video->node.id = copy.id;
    return 0;
}

void video_free(struct video *video)
{
    if (!video)
        return;
    free(video->text);
    free(video);
}

static int order_reserve(struct transcode *farm)
{
    if (farm->order_count < farm->order_size)
        return 0;
    size_t size = farm->order_size ? farm->order_size * 2 : 256;
    struct video_place *order = realloc(farm->order, size * sizeof *order);
    if (!order)
        return -1;
    farm->order = order;
    farm->order_size = size;
    return 0;
}

/* A video may get into any set, when nothing may fail any more. */
static int sets_reserve(struct transcode *farm, size_t count)
{
    struct heap *sets = &farm->sets[0][0][0];
    for (size_t i = 0; i < sizeof farm->sets / sizeof *sets; i++)
        if (heap_reserve(&sets[i], count))
            return -1;
    return 0;
}

bool video_waits(const struct transcode *farm)
{
    const struct heap *sets = &farm->sets[0][0][0];
    for (size_t i = 0; i < sizeof farm->sets / sizeof *sets; i++)
        if (sets[i].count)
            return true;
    return false;
}

struct video *video_make(struct transcode *farm, struct root *root, const struct rec_video *record)
{
    struct video *video = calloc(1, sizeof *video);
    if (!video || describe(video, record) || index_reserve(&farm->videos, 1) || index_reserve(&farm->video_keys, 1) ||
        order_reserve(farm) || sets_reserve(farm, farm->videos.count + 1)) {
        video_free(video);
        return NULL;
    }
    video->root = root;
    return video;
}

void video_join(struct transcode *farm, struct video *video)
{
    index_add(&farm->videos, video);
    index_add(&farm->video_keys, video);
    farm->order[farm->order_count++] = (struct video_place){video->node.id, video};
    video_place(farm, video);
}

size_t video_behind(const struct transcode *farm, uint64_t after)
{
    size_t low = 0, high = farm->order_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (farm->order[middle].id <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void order_drop(struct transcode *farm, uint64_t id)
{
    size_t at = video_behind(farm, id - 1), kept = 0;
    farm->order[at].video = NULL;
    if (++farm->order_gone < 64 || farm->order_gone * 2 < farm->order_count)
        return;
    for (size_t i = 0; i < farm->order_count; i++)
        if (farm->order[i].video)
            farm->order[kept++] = farm->order[i];
    farm->order_count = kept;
    farm->order_gone = 0;
}

/* Out of its set. */
static void video_lift(struct video *video)
{
    if (video->set)
        heap_remove(video->set, &video->node);
    video->set = NULL;
}

void video_leave(struct transcode *farm, struct video *video)
{
    video_lift(video);
    index_remove(&farm->videos, video);
    index_remove(&farm->video_keys, video);
    order_drop(farm, video->node.id);
    video_free(video);
}

int video_describe(struct transcode *farm, struct video *video, const struct rec_video *record)
{
    struct rec_video next = *record;
    next.id = video->record.id;
    next.root = video->record.root;
    next.created_at = video->record.created_at;
    video_lift(video); /* its bitrate orders it there */
    index_remove(&farm->video_keys, video);
    int result = describe(video, &next);
    index_add(&farm->video_keys, video); /* there is room: it was in there */
    video_place(farm, video);
    return result;
}

/* ---- sets ---- */

bool video_fits_hardware(const struct rec_video *record)
{
    uint64_t longer = record->width > record->height ? record->width : record->height;
    uint64_t shorter = record->width > record->height ? record->height : record->width;
    return str_is(record->codec, "h264") && longer <= HARDWARE_LONG && shorter <= HARDWARE_SHORT && record->fps <= HARDWARE_FPS;
}

static struct heap *set_of(struct transcode *farm, const struct video *video)
{
    const struct rec_video *record = &video->record;
    bool failed = record->transcode_status == VIDEO_FAILED;
    if (!video->root->configured || (!failed && record->transcode_status != VIDEO_WAITING) ||
        (failed && (record->given_up || record->attempts >= farm->config.attempts)))
        return NULL;
    return &farm->sets[failed][record->is_vr != 0][video_fits_hardware(record)];
}

void video_place(struct transcode *farm, struct video *video)
{
    struct heap *set = set_of(farm, video);
    if (video->set == set)
        return;
    video_lift(video);
    video->set = set;
    uint64_t bitrate = video->record.bitrate_k < BUMP ? video->record.bitrate_k : BUMP - 1;
    video->node.key = -(int64_t)(bitrate + (video->record.bumped ? BUMP : 0));
    if (set)
        heap_push(set, &video->node);
}

static void better(const struct heap *set, struct heap_node **best)
{
    struct heap_node *top = heap_top(set);
    if (top && (!*best || heap_before(top, *best)))
        *best = top;
}

struct video *video_pick(const struct transcode *farm, unsigned type, int vr)
{
    struct heap_node *best = NULL;
    bool again = type == TRANSCODE_CPU || type == TRANSCODE_QSV;
    for (unsigned failed = 0; !best && failed <= again; failed++) {
        for (int is_vr = 0; is_vr < 2; is_vr++) {
            if (vr >= 0 && is_vr != vr)
                continue;
            better(&farm->sets[failed][is_vr][1], &best);
            if (type == TRANSCODE_CPU)
                better(&farm->sets[failed][is_vr][0], &best);
        }
    }
    return best ? heap_of(best, struct video, node) : NULL;
}

/* ---- its record ---- */

bool video_wanted(const struct rec_video *record)
{
    double limit = (double)record->pixels / (1920.0 * 1080.0) * record->fps / 30.0 * 3500.0;
    limit = limit < 2000 ? 2000 : limit > 25000 ? 25000 : limit;
    if (record->error.len)
        return false;
    if (str_is(record->codec, "h264"))
        return true;
    return (str_is(record->codec, "hevc") || str_is(record->codec, "av1")) && !record->is_vr &&
           (double)record->bitrate_k >= limit;
}

void video_renew(struct rec_video *record)
{
    record->attempts = record->looks = 0;
    record->given_up = false;
}

void video_exclude(struct rec_video *record)
{
    record->excluded = true;
    if (record->transcode_status == VIDEO_CREATED || record->transcode_status == VIDEO_RUNNING)
        return;
    record->transcode_status = VIDEO_NOT_NEEDED;
    record->reason.len = 0;
    video_renew(record);
}

size_t video_bytes(const struct video *video)
{
    const struct rec_video *record = &video->record;
    return 320 + (size_t)record->root.len + record->path.len + record->codec.len + record->error.len + record->container.len +
           record->reason.len + record->made.len;
}

void video_put(struct core *core, struct video *video)
{
    video->record.updated_at = core->wall_ms;
    journal_put(core->journal, TYPE_VIDEO, video->record.id, &video->record);
}

int video_load(struct transcode *farm, const struct rec_video *record, struct err *err)
{
    struct root *root = root_get(farm, record->root);
    struct video *video = root ? video_make(farm, root, record) : NULL;
    if (!video)
        return err_set(err, ERR_NO_MEMORY, "out of memory, or of places for the library's folders");
    if (index_text(&farm->video_keys, video->key)) {
        video_free(video);
        return err_set(err, ERR_INVALID, "video %llu is there twice", (unsigned long long)record->id);
    }
    video_join(farm, video);
    return 0;
}

/* ---- queued, excluded and put first by hand ---- */

static int set_check(const struct video *video, const struct msg_video_set *asked, struct fault *fault)
{
    static const struct str none = {0};
    if (!video)
        return fault_set(fault, ERR_NOT_FOUND, "id", "video_missing", none, "the id of a video", "there is no video %llu",
                         (unsigned long long)asked->id);
    if (!HAS(asked, msg_video_set, transcode_status))
        return 0;
    if (video->record.transcode_status == VIDEO_CREATED || video->record.transcode_status == VIDEO_RUNNING)
        return fault_set(fault, ERR_CONFLICT, "transcode_status", "video_busy", none, NULL, "video %llu is being transcoded",
                         (unsigned long long)asked->id);
    if (asked->transcode_status == VIDEO_WAITING && video->record.error.len)
        return fault_set(fault, ERR_CONFLICT, "transcode_status", "video_broken", str_cut(video->record.error, 200), NULL,
                         "video %llu cannot be read", (unsigned long long)asked->id);
    return 0;
}

static void set_status(struct rec_video *record, uint64_t status)
{
    record->transcode_status = status;
    record->excluded = status == VIDEO_NOT_NEEDED;
    video_renew(record);
    record->reason.len = 0;
}

void video_on_set(struct core *core, const struct core_call *call)
{
    const struct msg_video_set *asked = &call->msg->u.video_set;
    struct transcode *farm = transcode_of(core);
    struct video *video = video_find(farm, asked->id);
    struct fault fault;
    if (set_check(video, asked, &fault) || core_reserve(core, video_bytes(video), video_bytes(video), 2, &fault)) {
        core_refuse(core, call, &fault);
        return;
    }
    if (HAS(asked, msg_video_set, transcode_status))
        set_status(&video->record, asked->transcode_status);
    if (HAS(asked, msg_video_set, bumped))
        video->record.bumped = asked->bumped;
    video_lift(video); /* its place in the set may be another */
    video_place(farm, video);
    video_put(core, video);
    struct msg_video_answer answer = {.video = video->record};
    core_answer(core, call, &shape_msg_video_answer, &answer);
}
