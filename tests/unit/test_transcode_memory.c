/* Memory runs out at every place where the transcode farm asks for some, one after the other: what cannot be done is refused with nothing
 * changed, and the same wish succeeds when it is asked again. */
#include "tests/unit/unit.h"

#include "scheduler/farms/transcode/cut.h"
#include "scheduler/farms/transcode/library.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"
#include "tests/unit/memory_fault.h"

#define ROOT "/library"

struct farm *transcode_farm(void);

static struct fixture *fixture;
static struct rec_lease scan;
static uint64_t key, seq;
static void (*at_work)(void);

static void around(bool in)
{
    memory_watched = in;
}

static void farm_made(struct farm *farm)
{
    struct transcode *self = farm->self;
    self->config.scan_ms = 0;
    assert_true(library_configure(self, STR_LIT(ROOT)));
}

static void checked(void)
{
    fixture_forget_letters(fixture);
    at_work();
    core_check(fixture->core);
    assert_false(journal_failed(fixture->journal));
}

/* Every step is one wish: repeated with the same key until memory is enough, and once more. */
static void hard(void (*step)(void))
{
    at_work = step;
    key++;
    seq++;
    memory_hard(checked);
}

static const struct msg *ask(enum door door, unsigned peer, const struct shape *shape, const void *value)
{
    uint64_t corr = ++fixture->corr;
    fixture_send(fixture, door, peer, corr, shape, value);
    fixture_settle(fixture);
    return fixture_answer(fixture, corr);
}

static void expect(const struct msg *answer, uint16_t id)
{
    if (answer && answer->shape->id == MSG_ERROR && memory_short())
        assert_true(answer->u.error.code == ERR_NO_MEMORY || answer->u.error.code == ERR_UNAVAILABLE);
    else if (answer || !memory_short())
        assert_int_equal(answer->shape->id, id);
}

static void step_register(void)
{
    struct msg_transcode_register say = {.idem = fixture_key_of((unsigned)key, 1), .name = STR_LIT("w")};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_register, &say), MSG_TRANSCODE_WORKER);
}

static void step_scan(void)
{
    struct msg_library_scan say = {.idem = fixture_key_of((unsigned)key, 1), .root = STR_LIT(ROOT)};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_library_scan, &say), MSG_LIBRARY_SCANNING);
}

static struct rec_video_found found(const char *path)
{
    return (struct rec_video_found){.path = str_of(path),
                                    .size = seq,
                                    .mtime_ns = seq,
                                    .codec = STR_LIT("h264"),
                                    .bitrate_k = 9,
                                    .hash = STR_LIT("0123456789abcdef")};
}

static void step_found(void)
{
    struct rec_video_found videos[] = {found("a.mp4"), found("b.mp4")};
    struct msg_library_found say = {
        .run_id = scan.run_id, .attempt = scan.attempt, .seq = seq, .root = STR_LIT(ROOT), .videos = {videos, 2}, .walked = 2};
    expect(ask(DOOR_WORKERS, 7, &shape_msg_library_found, &say), MSG_LIBRARY_FOUND_ACK);
}

static void step_known(void)
{
    struct msg_library_known say = {.run_id = scan.run_id, .attempt = scan.attempt, .root = STR_LIT(ROOT), .limit = 10};
    expect(ask(DOOR_WORKERS, 7, &shape_msg_library_known, &say), MSG_LIBRARY_KNOWN_ROWS);
}

static uint64_t task;

static void step_pull(void)
{
    struct msg_transcode_pull say = {.idem = fixture_key_of((unsigned)key, 1), .worker_id = 1};
    const struct msg *answer = ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_pull, &say);
    expect(answer, MSG_TRANSCODE_PULLED);
    if (answer && answer->shape->id == MSG_TRANSCODE_PULLED)
        task = answer->u.transcode_pulled.task.id;
}

static void report(uint64_t status)
{
    struct msg_transcode_report say = {.idem = fixture_key_of((unsigned)key, 1),
                                       .task_id = task,
                                       .worker_id = 1,
                                       .status = status,
                                       .progress = 50,
                                       .error_message = STR_LIT("words")};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_report, &say), MSG_DONE);
}

static void step_running(void)
{
    report(TRANSCODE_RUNNING);
}

static void step_publish(void)
{
    struct msg_transcode_publish say = {.task_id = task, .size = 5, .hash = STR_LIT("0123456789abcdef")};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_publish, &say), MSG_TRANSCODE_PUBLISHED);
}

static void step_failed(void)
{
    report(TRANSCODE_FAILED);
}

static void step_log(void)
{
    struct msg_transcode_log say = {.idem = fixture_key_of((unsigned)key, 1), .task_id = task, .text = STR_LIT("a line")};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_log, &say), MSG_TRANSCODE_LOGGED);
}

static uint64_t video = 1, status = VIDEO_WAITING;

static void step_set(void)
{
    struct msg_video_set say = {.idem = fixture_key_of((unsigned)key, 1), .id = video, .transcode_status = status};
    SET_HAS(&say, msg_video_set, transcode_status);
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_video_set, &say), MSG_VIDEO_ANSWER);
}

static void step_rename(void)
{
    struct msg_transcode_worker_update say = {.idem = fixture_key_of((unsigned)key, 1), .id = 1, .name = STR_LIT("x")};
    SET_HAS(&say, msg_transcode_worker_update, name);
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_worker_update, &say), MSG_TRANSCODE_WORKER);
}

static void step_list(void)
{
    struct msg_transcode_workers say = {.page = 1, .size = 10};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_workers, &say), MSG_TRANSCODE_WORKER_ROWS);
}

static void step_check(void)
{
    struct msg_video_check say = {.idem = fixture_key_of((unsigned)key, 1), .id = 1};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_video_check, &say), MSG_VIDEO_CHECKING);
}

static void step_sweep(void)
{
    struct msg_health_sweep say = {.idem = fixture_key_of((unsigned)key, 1)};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_health_sweep, &say), MSG_HEALTH_STATE);
}

static void step_silence(void)
{
    fixture_wait(fixture, 31000);
}

static void step_remove(void)
{
    struct msg_transcode_worker_remove say = {.idem = fixture_key_of((unsigned)key, 1), .id = 1};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_worker_remove, &say), MSG_DONE);
}

static void hello(unsigned peer, const char *ident, const char *type, struct str labels)
{
    struct str types[] = {str_of(type)}, executors[] = {str_of(type), STR_LIT("health")};
    struct msg_hello say = {.protocol = 1,
                            .ident = str_of(ident),
                            .boot = STR_LIT("b"),
                            .hostname = STR_LIT("h"),
                            .task_types = {types, 1},
                            .executors = {executors, 2},
                            .slots = 2,
                            .credit = 2,
                            .labels = labels};
    ask(DOOR_WORKERS, peer, &shape_msg_hello, &say);
}

/* ---- in segments ---- */

static struct rec_lease cutter;

static void step_cut(void)
{
    uint64_t starts[] = {0, 50};
    struct msg_transcode_cut say = {
        .run_id = cutter.run_id,
        .attempt = cutter.attempt,
        .cut = {
            .id = cutter.run_id, .starts = {starts, 2}, .length = 100, .base_num = 1, .base_den = 1, .codec = STR_LIT("hevc")}};
    SET_HAS(&say, msg_transcode_cut, cut);
    ask(DOOR_WORKERS, 8, &shape_msg_transcode_cut, &say);
    const struct transcode *farm = fixture->made[0]->self;
    assert_int_equal(farm->tasks.count, 1);
    assert_true(farm->cuts.count == 1 || memory_short());
}

static void step_estimate(void)
{
    uint64_t id = 1;
    struct msg_transcode_estimate say = {.video_ids = {&id, 1}};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_transcode_estimate, &say), MSG_TRANSCODE_ESTIMATES);
}

static void step_live(void)
{
    struct msg_run_live say = {.ids = {&cutter.run_id, 1}};
    expect(ask(DOOR_COMMANDS, 1000, &shape_msg_run_live, &say), MSG_RUN_LIVE_ROWS);
}

/* A worker with room is given a segment, now or at a later wake-up. */
static void step_wake(void)
{
    fixture_wait(fixture, 1);
    fixture_settle(fixture);
}

static struct rec_lease segment;

static void step_made(void)
{
    struct rec_outcome item = {
        .run_id = segment.run_id, .attempt = segment.attempt, .outcome = OUTCOME_COMPLETED, .result = STR_LIT("{\"seconds\":3}")};
    SET_HAS(&item, rec_outcome, result);
    struct msg_result message = {.items = {&item, 1}};
    fixture_send(fixture, DOOR_WORKERS, 8, 0, &shape_msg_result, &message);
    fixture_settle(fixture);
}

static void test_segments(void **state)
{
    (void)state;
    struct rec_video_found found = {.path = STR_LIT("long.mkv"),
                                    .size = 9,
                                    .codec = STR_LIT("h264"),
                                    .width = 64,
                                    .height = 64,
                                    .fps = 25,
                                    .duration_ms = 3600000,
                                    .container = STR_LIT("matroska")};
    fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    fixture->around = around;
    memory_watched = false;
    key++;
    step_scan();
    hello(7, "scanner", "scan", (struct str){0});
    scan = fixture_begin(fixture, 7);
    struct msg_library_found say = {
        .run_id = scan.run_id, .attempt = scan.attempt, .seq = ++seq, .root = STR_LIT(ROOT), .videos = {&found, 1}, .walked = 1};
    ask(DOOR_WORKERS, 7, &shape_msg_library_found, &say);
    hello(8, "coder", "transcode", fixture_map((const char *[]){"transcode.encoders", "cpu", "transcode.joins", "x", NULL}));
    cutter = fixture_begin(fixture, 8);
    hard(step_cut);
    fixture_result(fixture, 8, cutter, OUTCOME_ABORTED);
    hard(step_wake);
    hard(step_live);
    for (unsigned i = 0; i < 2; i++) {
        fixture_rebuild(fixture);
        fixture_forget_letters(fixture);
        hello(8, "coder", "transcode", fixture_map((const char *[]){"transcode.encoders", "cpu", "transcode.joins", "x", NULL}));
        hard(step_wake);
        const struct transcode *farm = fixture->made[0]->self;
        segment = (struct rec_lease){.run_id = cut_find(farm, cutter.run_id)->runs[i]};
        assert_int_not_equal(segment.run_id, 0);
        segment.attempt = 1;
        fixture_accept(fixture, 8, segment);
        hard(step_made);
        assert_int_equal(cut_made(cut_find(farm, cutter.run_id)), i + 1);
    }
    hard(step_estimate);
    fixture->around = NULL;
    memory_watched = true;
    fixture_rebuild(fixture);
    fixture_free(fixture);
}

/* ---- a task whose run is gone ---- */

static char long_root[4096], long_path[4096];

static void long_made(struct farm *farm)
{
    struct transcode *self = farm->self;
    self->config.scan_ms = 0;
    self->config.first_report_ms = 10; /* before anything else happens that would make room */
    assert_true(library_configure(self, str_of(long_root)));
}

static void run_lost(uint64_t id)
{
    struct stored *runs = fixture->disk[TYPE_RUN];
    size_t at = 0, count = fixture->disk_count[TYPE_RUN];
    while (at < count && runs[at].id != id)
        at++;
    assert_true(at < count);
    free(runs[at].bytes);
    memmove(runs + at, runs + at + 1, (count - at - 1) * sizeof *runs);
    fixture->disk_count[TYPE_RUN]--;
}

static void step_orphan(void)
{
    fixture_wait(fixture, 1100); /* also until it is tried again */
}

/* Its records are as long as they can be: there is room for them, or it ends later. */
static void test_orphan(void **state)
{
    (void)state;
    memset(long_root, 'r', 4095);
    memset(long_path, 'p', 4095);
    long_root[0] = '/';
    fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = long_made;
    fixture_start(fixture);
    memory_watched = false;
    key++;
    step_register();
    key++;
    seq++;
    struct msg_library_scan walk = {.idem = fixture_key_of((unsigned)key, 1), .root = str_of(long_root)};
    ask(DOOR_COMMANDS, 1000, &shape_msg_library_scan, &walk);
    hello(7, "scanner", "scan", (struct str){0});
    scan = fixture_begin(fixture, 7);
    struct rec_video_found one = found(long_path);
    struct msg_library_found say = {
        .run_id = scan.run_id, .attempt = scan.attempt, .seq = seq, .root = str_of(long_root), .videos = {&one, 1}, .walked = 1};
    ask(DOOR_WORKERS, 7, &shape_msg_library_found, &say);
    fixture_result(fixture, 7, scan, OUTCOME_COMPLETED);
    key++;
    step_pull();
    assert_int_not_equal(task, 0);
    run_lost(task);
    fixture_rebuild(fixture);
    fixture->around = around;
    hard(step_orphan);
    fixture->around = NULL;
    memory_watched = true;
    struct rec_transcode_task record;
    assert_true(fixture_stored(fixture, TYPE_TRANSCODE_TASK, task, &record));
    assert_int_equal(record.status, TRANSCODE_FAILED);
    assert_true(str_is(record.error_message, "its run is gone"));
    fixture_rebuild(fixture);
    fixture_free(fixture);
}

static void test_all(void **state)
{
    (void)state;
    fixture = fixture_new();
    fixture->make_farm = transcode_farm;
    fixture->farm_made = farm_made;
    fixture_start(fixture);
    fixture->around = around;
    memory_watched = false;
    hard(step_register);
    hard(step_scan);
    hello(7, "scanner", "scan", (struct str){0});
    scan = fixture_begin(fixture, 7);
    hard(step_found);
    hard(step_found); /* other versions of the same files */
    hard(step_known);
    hard(step_pull);
    assert_int_not_equal(task, 0);
    hard(step_log);
    hard(step_running);
    hard(step_publish);
    hard(step_failed);
    hard(step_set);
    hard(step_rename);
    hard(step_list);
    status = VIDEO_NOT_NEEDED;
    hard(step_set);
    video = 2;
    hard(step_set);
    hello(8, "coder", "transcode", fixture_map((const char *[]){"transcode.encoders", "cpu", NULL}));
    status = VIDEO_WAITING;
    hard(step_set); /* a worker with a session has room for it: it is given the video, or was at an earlier wake-up */
    assert_int_equal(((struct transcode *)fixture->made[0]->self)->tasks.count, 1);
    video = 1;
    hard(step_set);
    hard(step_pull);
    hard(step_silence);
    hard(step_check);
    hello(9, "decoder", "transcode", fixture_map((const char *[]){"transcode.encoders", "cpu", "transcode.slots", "3", NULL}));
    hard(step_sweep); /* its video is given out as soon as there is memory for that */
    fixture_settle(fixture);
    assert_true(((struct transcode *)fixture->made[0]->self)->checks.count >= 1);
    hard(step_remove);
    assert_true(memory_refused > 40);
    fixture->around = NULL;
    memory_watched = true;
    fixture_rebuild(fixture);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_segments),
                                       cmocka_unit_test(test_orphan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
