/* A core with the transcode farm, a library that a worker looks through, and what workers of the API and with a session say. */
#ifndef GANTRY_TESTS_TRANSCODE_FIXTURE_H
#define GANTRY_TESTS_TRANSCODE_FIXTURE_H

#include "scheduler/farms/transcode/library.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define ROOT "/library"
#define SCANNER 7 /* the peer that scans */

struct farm *transcode_farm(void);

static inline void farm_made(struct farm *farm)
{
    struct transcode *self = farm->self;
    self->config.scan_ms = 0; /* on demand only */
    assert_true(library_configure(self, STR_LIT(ROOT ":/other/")));
}

static inline struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    return fixture;
}

/* ---- short forms ---- */

static inline struct rec_video_found h264(const char *path, uint64_t bitrate_k)
{
    return (struct rec_video_found){.path = str_of(path),
                                    .size = 1000000 + bitrate_k,
                                    .mtime_ns = 5,
                                    .codec = STR_LIT("h264"),
                                    .bitrate_k = bitrate_k,
                                    .fps = 30,
                                    .width = 1920,
                                    .height = 1080,
                                    .duration_ms = 60000};
}

static inline const struct msg *hello(struct fixture *fixture, unsigned peer, const char *ident, const char *type,
                                      struct str labels)
{
    struct str types[] = {str_of(type)};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("studio"),
                              .task_types = {types, 1},
                              .executors = {types, 1},
                              .slots = 4,
                              .credit = 4,
                              .labels = labels};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, peer, corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

/* A scan of ROOT in the hands of SCANNER. */
static inline struct rec_lease scan(struct fixture *fixture)
{
    struct msg_library_scan ask = {.idem = fixture_key(fixture), .root = STR_LIT(ROOT)};
    hello(fixture, SCANNER, "scanner", "scan", (struct str){0});
    const struct msg *answer = fixture_ask(fixture, &shape_msg_library_scan, &ask);
    assert_int_equal(answer->shape->id, MSG_LIBRARY_SCANNING);
    struct rec_lease lease = fixture_begin(fixture, SCANNER);
    assert_int_equal(lease.run_id, answer->u.library_scanning.run_ids.items[0]);
    return lease;
}

static inline const struct msg *found(struct fixture *fixture, struct rec_lease lease, struct rec_video_found *videos,
                                      uint32_t count, const uint64_t *gone, uint32_t gone_count)
{
    static uint64_t seq;
    struct msg_library_found say = {.run_id = lease.run_id,
                                    .attempt = lease.attempt,
                                    .seq = ++seq,
                                    .root = STR_LIT(ROOT),
                                    .videos = {videos, count},
                                    .gone = {(uint64_t *)(uintptr_t)gone, gone_count},
                                    .walked = gone_count};
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, SCANNER, corr, &shape_msg_library_found, &say);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

static inline void find_one(struct fixture *fixture, struct rec_lease lease, struct rec_video_found video)
{
    assert_int_equal(found(fixture, lease, &video, 1, NULL, 0)->shape->id, MSG_LIBRARY_FOUND_ACK);
}

static inline uint64_t enlist(struct fixture *fixture, const char *name, unsigned type, bool old)
{
    struct msg_transcode_register ask = {.idem = fixture_key(fixture), .name = str_of(name), .type = type, .old = old};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_register, &ask);
    return answer->shape->id == MSG_TRANSCODE_WORKER ? answer->u.transcode_worker.worker.id : 0;
}

static inline const struct msg *pull(struct fixture *fixture, uint64_t worker)
{
    struct msg_transcode_pull ask = {.idem = fixture_key(fixture), .worker_id = worker};
    return fixture_ask(fixture, &shape_msg_transcode_pull, &ask);
}

/* The task that it is given; 0: none. */
static inline uint64_t pulled(struct fixture *fixture, uint64_t worker)
{
    const struct msg *answer = pull(fixture, worker);
    assert_int_equal(answer->shape->id, MSG_TRANSCODE_PULLED);
    return answer->u.transcode_pulled.task.id;
}

static inline uint64_t report(struct fixture *fixture, uint64_t task, uint64_t worker, uint64_t status, double progress)
{
    struct msg_transcode_report say = {
        .idem = fixture_key(fixture), .task_id = task, .worker_id = worker, .status = status, .progress = progress};
    say.elapsed_time = 7;
    SET_HAS(&say, msg_transcode_report, elapsed_time);
    if (status == TRANSCODE_FAILED)
        say.error_message = STR_LIT("ffmpeg gave up");
    const struct msg *answer = fixture_ask(fixture, &shape_msg_transcode_report, &say);
    return answer->shape->id == MSG_ERROR ? answer->u.error.code : 0;
}

static inline struct rec_transcode_task task_of(struct fixture *fixture, uint64_t id)
{
    struct rec_transcode_task task;
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_TASK, id, &task));
    return task;
}

static inline struct rec_video video_of(struct fixture *fixture, uint64_t id)
{
    struct rec_video video;
    assert_true(fixture_stored(fixture, TYPE_VIDEO, id, &video));
    return video;
}

static inline void assert_video(struct fixture *fixture, uint64_t id, uint64_t status, uint64_t attempts)
{
    struct rec_video video = video_of(fixture, id);
    assert_int_equal(video.transcode_status, status);
    assert_int_equal(video.attempts, attempts);
}

static inline struct str labels(const char *encoders, const char *slots)
{
    return fixture_map((const char *[]){"transcode.encoders", encoders, "transcode.slots", slots, NULL});
}

#endif
