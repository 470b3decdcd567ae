/* The transcode farm with videos that are encoded in segments, and what workers that share a folder say of them. */
#ifndef GANTRY_TESTS_CUT_FIXTURE_H
#define GANTRY_TESTS_CUT_FIXTURE_H

#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/library.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define ROOT "/library"
#define SCANNER 7
#define MINUTES UINT64_C(60000)

struct farm *transcode_farm(void);

static inline void farm_made(struct farm *farm)
{
    struct transcode *self = farm->self;
    self->config.scan_ms = 0;
    assert_true(library_configure(self, STR_LIT(ROOT)));
}

static inline struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    return fixture;
}

static inline struct transcode *farm_of(struct fixture *fixture)
{
    return fixture->made[0]->self;
}

/* ---- short forms ---- */

static inline void hello(struct fixture *fixture, unsigned peer, const char *ident, const char *joins)
{
    const char *const pairs[] = {"transcode.encoders", "cpu", joins ? "transcode.joins" : NULL, joins, NULL};
    struct str types[] = {STR_LIT("transcode"), STR_LIT("scan")},
               executors[] = {STR_LIT("transcode"), STR_LIT("scan"), STR_LIT("clear")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = STR_LIT("b"),
                              .hostname = str_of(ident),
                              .task_types = {peer == SCANNER ? types + 1 : types, 1},
                              .executors = {executors, 3},
                              .slots = 4,
                              .credit = 4,
                              .labels = fixture_map(pairs)};
    fixture_send(fixture, DOOR_WORKERS, peer, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

static inline struct rec_video_found long_video(const char *path)
{
    return (struct rec_video_found){.path = str_of(path),
                                    .size = 1000000,
                                    .mtime_ns = 5,
                                    .codec = STR_LIT("h264"),
                                    .bitrate_k = 8000,
                                    .fps = 25,
                                    .width = 1920,
                                    .height = 1080,
                                    .container = STR_LIT("matroska"),
                                    .duration_ms = 30 * MINUTES};
}

static inline void find(struct fixture *fixture, struct rec_video_found video)
{
    struct msg_library_scan ask = {.idem = fixture_key(fixture), .root = STR_LIT(ROOT)};
    hello(fixture, SCANNER, "scanner", NULL);
    fixture_ask(fixture, &shape_msg_library_scan, &ask);
    struct rec_lease lease = fixture_begin(fixture, SCANNER);
    struct msg_library_found say = {
        .run_id = lease.run_id, .attempt = lease.attempt, .seq = 1, .root = STR_LIT(ROOT), .videos = {&video, 1}};
    fixture_send(fixture, DOOR_WORKERS, SCANNER, ++fixture->corr, &shape_msg_library_found, &say);
    fixture_settle(fixture);
    fixture_result(fixture, SCANNER, lease, OUTCOME_COMPLETED);
    fixture_settle(fixture);
}

/* What the worker of a task says; NULL when there is no answer but a CANCEL. */
static inline const struct msg *cut_say(struct fixture *fixture, unsigned peer, struct rec_lease lease, uint64_t *starts,
                                        uint32_t count)
{
    struct msg_transcode_cut say = {.run_id = lease.run_id, .attempt = lease.attempt};
    if (count) {
        say.cut = (struct rec_transcode_cut){.id = lease.run_id,
                                             .starts = {starts, count},
                                             .length = 1800,
                                             .base_num = 1,
                                             .base_den = 1,
                                             .codec = STR_LIT("hevc"),
                                             .preset = STR_LIT("medium"),
                                             .crf = 22};
        SET_HAS(&say, msg_transcode_cut, cut);
    }
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, DOOR_WORKERS, peer, corr, &shape_msg_transcode_cut, &say);
    fixture_settle(fixture);
    if (fixture_take(fixture, peer, MSG_CANCEL)) {
        fixture_result(fixture, peer, lease, OUTCOME_ABORTED); /* it has stopped */
        return NULL;
    }
    return fixture_answer(fixture, corr);
}

static inline bool cut_of(struct fixture *fixture, uint64_t task, struct rec_transcode_cut *cut)
{
    return fixture_stored(fixture, TYPE_TRANSCODE_CUT, task, cut);
}

static inline struct rec_transcode_task task_of(struct fixture *fixture, uint64_t id)
{
    struct rec_transcode_task task;
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_TASK, id, &task));
    return task;
}

static inline void assert_video(struct fixture *fixture, uint64_t status, uint64_t attempts)
{
    struct rec_video video;
    assert_true(fixture_stored(fixture, TYPE_VIDEO, 1, &video));
    assert_int_equal(video.transcode_status, status);
    assert_int_equal(video.attempts, attempts);
}

/* What a run is told. */
static inline uint64_t told(struct fixture *fixture, struct rec_lease lease, const char *name)
{
    struct rec_run run;
    struct token token;
    assert_true(fixture_run(fixture, lease.run_id, &run));
    return map_find(run.parameters, name, &token) && token.kind == TOKEN_UINT ? token.u.natural : 0;
}

static inline void ends(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *result)
{
    struct rec_outcome item = {
        .run_id = lease.run_id, .attempt = lease.attempt, .outcome = OUTCOME_COMPLETED, .result = str_of(result)};
    SET_HAS(&item, rec_outcome, result);
    struct msg_result message = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_result, &message);
    fixture_settle(fixture);
}

static inline void turn(struct fixture *fixture)
{
    fixture_wait(fixture, 1);
    fixture_settle(fixture);
    core_check(fixture->core);
}

/* Given to either worker of the two. */
static inline struct rec_lease begun(struct fixture *fixture, unsigned *peer)
{
    struct rec_lease lease = fixture_assigned(fixture, 1);
    *peer = lease.run_id ? 1 : 2;
    if (!lease.run_id)
        return fixture_begin(fixture, 2);
    fixture_accept(fixture, 1, lease);
    return lease;
}

/* The scheduler dies; its worker comes back and names nothing of what it held. */
static inline void restart(struct fixture *fixture)
{
    fixture_rebuild(fixture);
    fixture_forget_letters(fixture);
    hello(fixture, 1, "w1", "shared hevc");
    turn(fixture);
}

static uint64_t thirds[] = {0, 600, 1200};

/* A farm of workers 1 and 2, which share a folder, and 3, which does not; a video that is cut into three. Answers its task. */
static inline uint64_t cut_farm(struct fixture **out)
{
    struct fixture *fixture = *out = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    find(fixture, long_video("a.mkv"));
    hello(fixture, 1, "w1", "shared hevc");
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(told(fixture, lease, "segment_ms"), 10 * MINUTES);
    assert_null(cut_say(fixture, 1, lease, thirds, 3));
    turn(fixture);
    return lease.run_id;
}

static inline double live_progress(struct fixture *fixture, uint64_t run_id)
{
    struct msg_run_live live = {.ids = {&run_id, 1}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_live, &live);
    return answer->u.run_live_rows.runs.count ? answer->u.run_live_rows.runs.items[0].progress : -1;
}

static inline void fails(struct fixture *fixture, unsigned peer, struct rec_lease lease, const char *why)
{
    struct rec_outcome item = {.run_id = lease.run_id, .attempt = lease.attempt, .outcome = OUTCOME_FAILED, .error = str_of(why)};
    struct msg_result message = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_result, &message);
    fixture_settle(fixture);
    turn(fixture);
}

#endif
