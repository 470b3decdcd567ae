/* What a worker of the transcode API costs the scheduler's core, with so many videos waiting: an empty pull, a heartbeat, a pull that gives a
 * task with the report that fails it, so that as many wait as before; and what a start from the store's records takes.
 *
 *   pull [VIDEOS]      prints microseconds of CPU of each; no sockets, no disk
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/log.h"
#include "scheduler/farms/transcode/library.h"
#include "scheduler/farms/transcode/transcode.h"

#define WORKERS 2000
#define ROUNDS 20000

struct farm *transcode_farm(void);

static struct core *core;
static struct journal *journal;
static struct arena *arena;
static struct buf out;
static uint64_t batches, corr, keys;
static uint64_t given; /* the task of the newest answer that gave one */

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "pull: %s\n", what);
    exit(1);
}

static uint64_t wall(void *self)
{
    (void)self;
    return UINT64_C(1700000000000);
}

static uint64_t mono(void *self)
{
    (void)self;
    return 1000000;
}

static uint64_t dice(void *self)
{
    static uint64_t state = 1;
    (void)self;
    return state = state * 6364136223846793005U + 1442695040888963407U;
}

static int take_batch(void *self, struct str frame)
{
    (void)self, (void)frame;
    batches++;
    return 0;
}

static void take_letter(void *self, const struct address *to, struct str frame)
{
    static struct msg msg;
    struct err err;
    (void)self, (void)to;
    arena_reset(arena);
    if (msg_decode(arena, frame, &msg, &err) == 0 && msg.shape->id == MSG_TRANSCODE_PULLED)
        given = msg.u.transcode_pulled.task.id;
}

static void take_commit(void *self, uint64_t event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)event, (void)runs, (void)count;
}

static void tell(const struct shape *shape, const void *value)
{
    static struct msg msg;
    static struct arena *mine;
    struct err err = {0};
    struct core_call call = {.from = {.door = DOOR_COMMANDS, .peer = {.len = 5, .id = {1}}}, .msg = &msg};
    if (!mine)
        mine = arena_new((size_t)16 << 20);
    buf_reset(&out);
    arena_reset(mine);
    require(codec_encode(&out, shape, value, ++corr, (struct str){0}, &err) == 0, err.text);
    call.frame = buf_str(&out);
    require(msg_decode(mine, call.frame, &msg, &err) == 0, err.text);
    call.from.corr = msg.corr;
    core_handle(core, &call);
    core_settle(core);
    journal_acked(journal, 1, batches);
}

static struct rec_idem key(void)
{
    static char scope[16];
    keys++;
    memcpy(scope, &keys, sizeof keys);
    return (struct rec_idem){.scope = {scope, 16}, .body = {scope, 16}};
}

static void load(uint64_t videos)
{
    struct buf record = {0};
    struct err err = {0};
    char path[64];
    for (uint64_t id = 1; id <= videos; id++) {
        struct rec_video video = {.id = id,
                                  .root = STR_LIT("/library"),
                                  .codec = STR_LIT("h264"),
                                  .bitrate_k = 1000 + dice(NULL) % 50000,
                                  .size = 1000000000,
                                  .fps = 30,
                                  .width = 1920,
                                  .height = 1080,
                                  .pixels = 1920 * 1080,
                                  .transcode_status = VIDEO_WAITING,
                                  .created_at = 1,
                                  .updated_at = 1};
        snprintf(path, sizeof path, "folder %03u/a film with a name %08u.mp4", (unsigned)(id % 1000), (unsigned)id);
        video.path = str_of(path);
        buf_reset(&record);
        require(rec_encode_video(&record, &video, &err) == 0 && core_load(core, TYPE_VIDEO, buf_str(&record), &err) == 0,
                err.text);
    }
    buf_free(&record);
}

static void open_core(uint64_t videos)
{
    static const struct journal_port port = {NULL, take_batch, take_letter, take_commit};
    static const struct core_clock time = {NULL, wall, mono, dice};
    static const struct core_config config = {.lease_ms = 30000,
                                              .accept_ms = 10000,
                                              .heartbeat_ms = 5000,
                                              .lift_ms = 600000,
                                              .max_losses = 3,
                                              .queue_max = 2000000,
                                              .queue_bytes = (uint64_t)1 << 40,
                                              .tasks_max = 1000000,
                                              .workers_max = 100000,
                                              .workers_ms = UINT64_C(604800000),
                                              .keys_max = 1000000,
                                              .keys_ms = 86400000,
                                              .events_max = 1000000};
    static const struct farm *farms[2];
    uint64_t next[TYPE_MAX] = {0};
    struct err err = {0};
    struct farm *farm = transcode_farm();
    require(farm && library_configure(farm->self, STR_LIT("/library")), "memory");
    ((struct transcode *)farm->self)->config.scan_ms = 0;
    ((struct transcode *)farm->self)->config.attempts = UINT64_MAX;
    farms[0] = farm;
    arena = arena_new((size_t)16 << 20);
    journal = journal_new(&port);
    core = core_new(&config, &time, journal, farms);
    require(arena && journal && core, "memory");
    load(videos);
    for (int i = 0; i < TYPE_MAX; i++)
        next[i] = 1;
    next[TYPE_VIDEO] = videos + 1;
    journal_begin(journal, 1);
    require(core_loaded(core, next, TYPE_MAX, &err) == 0, err.text);
}

static void enlist(void)
{
    char name[32];
    for (unsigned i = 0; i < WORKERS; i++) {
        struct msg_transcode_register ask = {.idem = key(), .type = TRANSCODE_CPU};
        snprintf(name, sizeof name, "worker %u", i);
        ask.name = str_of(name);
        tell(&shape_msg_transcode_register, &ask);
    }
}

static uint64_t pull(uint64_t worker, uint64_t vr)
{
    struct msg_transcode_pull ask = {.idem = key(), .worker_id = worker, .support_vr = vr};
    SET_HAS(&ask, msg_transcode_pull, support_vr);
    given = 0;
    tell(&shape_msg_transcode_pull, &ask);
    return given;
}

static void beat(uint64_t worker)
{
    char name[32];
    struct msg_transcode_beat ask = {.id = worker};
    snprintf(name, sizeof name, "worker %u", (unsigned)worker - 1);
    ask.name = str_of(name);
    tell(&shape_msg_transcode_beat, &ask);
}

static uint64_t cpu_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (uint64_t)at.tv_sec * 1000000 + (uint64_t)at.tv_nsec / 1000;
}

static void print_each(const char *what, uint64_t began_us, uint64_t count)
{
    printf("%s_us %.2f\n", what, (double)(cpu_us() - began_us) / (double)count);
}

int main(int argc, char **argv)
{
    uint64_t videos = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t began = cpu_us();
    log_init("pull", LOG_WARN);
    open_core(videos);
    printf("videos %llu\nload_ms %llu\n", (unsigned long long)videos, (unsigned long long)((cpu_us() - began) / 1000));
    enlist();
    began = cpu_us();
    for (unsigned i = 0; i < ROUNDS; i++)
        require(pull(i % WORKERS + 1, 1) == 0, "there is no VR video");
    print_each("empty_pull", began, ROUNDS);
    began = cpu_us();
    for (unsigned i = 0; i < ROUNDS; i++)
        beat(i % WORKERS + 1);
    print_each("heartbeat", began, ROUNDS);
    began = cpu_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct msg_transcode_report done = {.worker_id = i % WORKERS + 1, .status = TRANSCODE_FAILED, .progress = 1};
        done.task_id = pull(done.worker_id, 0);
        require(done.task_id != 0, "a pull gave nothing");
        done.idem = key();
        tell(&shape_msg_transcode_report, &done);
    }
    print_each("task", began, ROUNDS);
    return 0;
}
