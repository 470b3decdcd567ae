/* A trivial farm: a task of its own is a row of frames, each a run; workers with an odd name like odd frames; when all frames
 * have ended a last run follows. It shows farms/farm.h, and is all that the core knows of any farm. */
#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define FRAMES 4

struct frames { /* the farm's memory; rebuilt from records by a real one */
    unsigned ended, completed, broken, expanded, extra;
    uint64_t priority; /* of the trigger */
    uint64_t last;
    unsigned asked; /* choose */
    bool picky;     /* no run is for any worker, but for the one that is wanted */
    uint64_t wanted;
};

static struct frames memory;
extern const struct farm frames_farm;

static uint64_t frame_add(struct core *core, uint64_t task_id, const char *name, unsigned frame, struct err *err)
{
    struct rec_task_spec spec = fixture_spec(name, "frame");
    char data = (char)frame;
    spec.retry_count = 0;
    SET_HAS(&spec, rec_task_spec, retry_count);
    spec.timeout_seconds = 60;
    return farm_add_run(core, &frames_farm, task_id, &spec, (struct str){&data, 1}, err);
}

static int frames_expand(void *self, struct core *core, const struct rec_task *task, const struct rec_trigger *trigger,
                         struct err *err)
{
    struct frames *frames = self;
    char name[32];
    frames->expanded++;
    frames->priority = HAS(trigger, rec_trigger, priority) ? trigger->priority : 99;
    for (unsigned frame = 0; frame < FRAMES + frames->extra; frame++) {
        snprintf(name, sizeof name, "frame %u", frame);
        if (!frame_add(core, task->id, name, frame, err))
            return -1;
        if (frames->broken && frame == 2)
            return err_set(err, ERR_INVALID, "frame 2 is broken");
    }
    return 0;
}

static int64_t frames_choose(void *self, const struct rec_worker *worker, const struct farm_run *run)
{
    struct frames *frames = self;
    frames->asked++;
    if (frames->picky)
        return run->run->id == frames->wanted ? 1 : -1;
    bool odd_worker = (worker->name.ptr[worker->name.len - 1] - '0') % 2, odd_frame = run->run->farm_data.ptr[0] % 2;
    if (str_is(worker->hostname, "nothing"))
        return -1;
    return odd_worker == odd_frame ? 10 : 1;
}

static void frames_ended(void *self, struct core *core, const struct farm_run *run)
{
    struct frames *frames = self;
    struct err err;
    frames->ended++;
    frames->completed += run->run->status == RUN_COMPLETED;
    if (frames->ended == FRAMES)
        frames->last = frame_add(core, run->run->task_id, "last", 99, &err);
}

const struct farm frames_farm = {
    .name = "frames", .expand = frames_expand, .choose = frames_choose, .ended = frames_ended, .self = &memory};
static const struct farm *const farms[] = {&frames_farm, NULL};

static struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    memory = (struct frames){0};
    fixture->farms = farms;
    fixture_start(fixture);
    return fixture;
}

static uint64_t farm_task(struct fixture *fixture)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("movie", "frame")};
    create.spec.metadata = fixture_map((const char *[]){"farm", "frames", NULL});
    SET_HAS(&create.spec, rec_task_spec, metadata);
    return fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
}

static void test_frames(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_run run;
    uint64_t task = farm_task(fixture), first = fixture_trigger(fixture, task);
    assert_int_equal(fixture->disk_count[TYPE_RUN], FRAMES);
    fixture_rebuild(fixture); /* runs of a farm are read back with what they carry */
    fixture_hello(fixture, 1, "w1", "b", "frame", 1, NULL, 0);
    fixture_hello(fixture, 2, "w2", "b", "frame", 1, NULL, 0);
    const struct msg *assign = fixture_take(fixture, 1, MSG_ASSIGN); /* worker-001 likes odd frames */
    assert_int_equal(assign->u.assign.runs.items[0].run_id, first + 1);
    assert_true(str_is(assign->u.assign.runs.items[0].spec.name, "frame 1"));
    struct rec_lease lease = {.run_id = first + 1, .attempt = 1};
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    lease = fixture_begin(fixture, 2);
    assert_int_equal(lease.run_id, first);
    fixture_result(fixture, 2, lease, OUTCOME_FAILED);
    lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, first + 3);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    lease = fixture_begin(fixture, 2);
    assert_int_equal(memory.ended, 3);
    fixture_result(fixture, 2, lease, OUTCOME_COMPLETED);
    assert_int_equal(memory.ended, 4);
    assert_int_equal(memory.completed, 3);
    assert_true(fixture_run(fixture, memory.last, &run));
    assert_true(str_is(run.farm, "frames"));
    assert_true(HAS(&run, rec_run, spec));
    assert_int_equal(run.status, RUN_RUNNING);
    fixture_free(fixture);
}

static void test_expand_fails_whole(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture);
    memory.broken = 1;
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.text, "frame 2 is broken"));
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    memory.broken = 0;
    assert_int_equal(fixture_trigger(fixture, task), 1); /* and no gap in the numbers */
    assert_int_equal(fixture->disk_count[TYPE_RUN], FRAMES);
    fixture_free(fixture);
}

/* More than a farm may make at once: that will not be less in a while, so it is no "come back". */
static void test_too_many(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture);
    memory.extra = 1000;
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger, &trigger);
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.rule, "farm"));
    memory.extra = 0;
    assert_int_equal(fixture_trigger(fixture, task), 1);
    fixture_free(fixture);
}

static struct rec_trigger urgent(struct fixture *fixture)
{
    struct rec_trigger trigger = {.parameters = fixture_map((const char *[]){"shot", "7", NULL}),
                                  .priority = PRIORITY_HIGH,
                                  .timeout_seconds = 33,
                                  .run_at = fixture->wall + 5000};
    SET_HAS(&trigger, rec_trigger, parameters);
    SET_HAS(&trigger, rec_trigger, priority);
    SET_HAS(&trigger, rec_trigger, timeout_seconds);
    SET_HAS(&trigger, rec_trigger, run_at);
    return trigger;
}

static void assert_urgent(struct fixture *fixture, uint64_t first, uint64_t count, uint64_t due_at)
{
    struct rec_run run;
    for (uint64_t id = first; id < first + count; id++) {
        assert_true(fixture_run(fixture, id, &run));
        assert_int_equal(run.priority, PRIORITY_HIGH);
        assert_int_equal(run.timeout_seconds, 33);
        assert_int_equal(run.due_at, due_at);
        assert_int_equal(run.parameters.len, fixture_map((const char *[]){"shot", "7", NULL}).len);
        assert_true(HAS(&run, rec_run, spec));
    }
}

/* Whatever way a task is triggered, its farm makes its runs, and each is as the trigger says. */
static void test_triggers(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture), due_at = fixture->wall + 5000;
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task, .trigger = urgent(fixture)};
    uint64_t first = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    assert_int_equal(memory.priority, PRIORITY_HIGH);
    assert_urgent(fixture, first, FRAMES, due_at);

    struct rec_trigger items[3] = {urgent(fixture), urgent(fixture), urgent(fixture)};
    for (unsigned i = 0; i < 3; i++) {
        items[i].idem = fixture_key_of(i ? 501 : 500, 1); /* the last two are the same wish */
        SET_HAS(&items[i], rec_trigger, idem);
    }
    struct msg_run_trigger_batch batch = {.idem = fixture_key(fixture), .task_id = task, .items = {items, 3}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch);
    assert_int_equal(answer->u.run_batch_answer.run_ids.count, 3);
    assert_int_equal(answer->u.run_batch_answer.run_ids.items[0], first + FRAMES);
    assert_int_equal(answer->u.run_batch_answer.run_ids.items[1], first + 2 * FRAMES);
    assert_int_equal(answer->u.run_batch_answer.run_ids.items[2], first + 2 * FRAMES);
    assert_urgent(fixture, first + FRAMES, 2 * FRAMES, due_at);
    batch.idem = fixture_key(fixture);
    answer = fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch); /* their keys know them */
    assert_int_equal(answer->u.run_batch_answer.run_ids.items[0], first + FRAMES);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 3 * FRAMES);

    struct msg_run_submit submit = {
        .idem = fixture_key(fixture), .spec = fixture_spec("once", "frame"), .trigger = urgent(fixture)};
    submit.spec.metadata = fixture_map((const char *[]){"farm", "frames", NULL});
    SET_HAS(&submit.spec, rec_task_spec, metadata);
    uint64_t once = fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.run_answer.run.id;
    assert_urgent(fixture, once, FRAMES, due_at);
    core_check(fixture->core);
    fixture_rebuild(fixture);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* What a farm refuses leaves nothing behind. */
static void test_refused_whole(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture);
    memory.broken = 1;
    struct rec_trigger items[2] = {{0}, {0}};
    struct msg_run_trigger_batch batch = {.idem = fixture_key(fixture), .task_id = task, .items = {items, 2}};
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch)->u.error.code, ERR_INVALID);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "frame")};
    submit.spec.metadata = fixture_map((const char *[]){"farm", "frames", NULL});
    SET_HAS(&submit.spec, rec_task_spec, metadata);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.error.code, ERR_INVALID);
    fixture->config.queue_max = FRAMES + 1; /* the second item's frames find no room */
    core_configure(fixture->core, &fixture->config);
    memory.broken = 0;
    batch.idem = fixture_key(fixture);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_trigger_batch, &batch)->u.error.code, ERR_LIMIT);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 0);
    assert_int_equal(fixture->disk_count[TYPE_TASK], 1);
    assert_int_equal(fixture_task(fixture, "next", "shell"), task + 1); /* and no gap in the numbers */
    core_check(fixture->core);
    fixture_free(fixture);
}

/* The only run that a worker is for waits behind a hundred that it is not for. */
static void test_looks_on(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture);
    memory.picky = true;
    for (int i = 0; i < 25; i++)
        fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "frame", 1, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    memory.wanted = 99; /* of a hundred */
    fixture_hello(fixture, 2, "w2", "b", "frame", 1, NULL, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id + fixture_assigned(fixture, 2).run_id, 99);
    fixture_free(fixture);
}

static void hello_unsettled(struct fixture *fixture, unsigned peer, const char *type)
{
    char ident[16];
    struct str types[1] = {str_of(type)};
    snprintf(ident, sizeof ident, "w%u", peer);
    struct msg_hello hello = {.protocol = 1,
                              .ident = str_of(ident),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("host"),
                              .task_types = {types, 1},
                              .slots = 1,
                              .credit = 1};
    fixture_send(fixture, DOOR_WORKERS, peer, 0, &shape_msg_hello, &hello);
}

/* Thousands of runs that a farm wants for none of many workers: each wake-up looks at some of them, and others do not wait for that. */
static void test_looks_in_parts(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    uint64_t task = farm_task(fixture), plain = fixture_task(fixture, "plain", "shell");
    memory.picky = true;
    memory.wanted = 2999;
    for (int i = 0; i < 750; i++)
        fixture_trigger(fixture, task);
    fixture_trigger(fixture, plain);
    for (unsigned i = 1; i <= 40; i++)
        hello_unsettled(fixture, i, "frame");
    hello_unsettled(fixture, 41, "shell");
    for (unsigned last = 0, parts = 0; parts < 3; parts++, last = memory.asked) {
        core_settle(fixture->core);
        assert_in_range(memory.asked - last, 15000, 20000 + 40 * 64);
        core_check(fixture->core);
    }
    fixture_settle(fixture);
    assert_int_equal(fixture_assigned(fixture, 41).attempt, 1);
    fixture_wait(fixture, 100);
    struct rec_run run;
    assert_true(fixture_run(fixture, 2999, &run));
    assert_int_equal(run.status, RUN_RUNNING);
    /* All others have been passed over. A new run is offered alone. */
    fixture_wait(fixture, 1000);
    memory.asked = 0;
    fixture_wait(fixture, 1000);
    assert_int_equal(memory.asked, 0);
    memory.wanted = fixture_trigger(fixture, task) + 3;
    fixture_wait(fixture, 100);
    assert_in_range(memory.asked, 1, 4 * 39);
    core_check(fixture->core);
    memory.wanted = 17; /* passed over: it is offered when somebody has room anew */
    for (uint64_t id = 1; id < 17; id++)
        assert_int_equal(fixture_abort(fixture, id), 0);
    core_check(fixture->core);
    fixture->config.lift_ms = 1000;
    core_configure(fixture->core, &fixture->config);
    core_check(fixture->core);
    fixture_wait(fixture, 100);
    assert_true(fixture_run(fixture, 17, &run));
    assert_int_equal(run.status, RUN_PENDING);
    hello_unsettled(fixture, 42, "frame");
    fixture_wait(fixture, 1000);
    assert_true(fixture_run(fixture, 17, &run));
    assert_int_equal(run.status, RUN_RUNNING);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A schedule whose farm refuses does not hold up the others. */
static void test_refused_schedule(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    memory.broken = 1;
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("movie", "frame")};
    create.spec.metadata = fixture_map((const char *[]){"farm", "frames", NULL});
    create.spec.schedule = STR_LIT("* * * * *");
    SET_HAS(&create.spec, rec_task_spec, metadata);
    SET_HAS(&create.spec, rec_task_spec, schedule);
    uint64_t movie = fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
    create.idem = fixture_key(fixture);
    create.spec.name = STR_LIT("plain");
    create.spec.metadata = fixture_map((const char *[]){NULL});
    fixture_ask(fixture, &shape_msg_task_create, &create);
    fixture_wait(fixture, 120000);
    struct rec_task_stat stat;
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, movie, &stat));
    assert_true(stat.next_run_at > fixture->wall);
    fixture_free(fixture);
}

static uint64_t dependent(struct fixture *fixture, const char *name, const char *on, bool by_farm)
{
    struct str names[1] = {str_of(on)};
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, "shell")};
    create.spec.dependencies = (struct str_list){names, 1};
    SET_HAS(&create.spec, rec_task_spec, dependencies);
    if (by_farm) {
        create.spec.metadata = fixture_map((const char *[]){"farm", "frames", NULL});
        SET_HAS(&create.spec, rec_task_spec, metadata);
    }
    return fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
}

/* Many tasks could run by themselves, and the queue has no room: one tries in a wake-up, and each in its turn. */
static void test_full_queue_is_tried_once(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_task_stat stat;
    char name[16];
    uint64_t first = fixture_task(fixture, "first", "shell"), plain = 0;
    for (unsigned i = 0; i < 21; i++) {
        snprintf(name, sizeof name, "t%u", i);
        plain = dependent(fixture, name, "first", i < 20);
    }
    fixture_hello(fixture, 1, "w1", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, first);
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture->config.queue_max = FRAMES - 1; /* room for a plain run, and for none of the farm's tasks */
    core_configure(fixture->core, &fixture->config);
    unsigned before = memory.expanded;
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED); /* settled four times by the fixture */
    assert_in_range(memory.expanded - before, 1, 4);
    fixture_wait(fixture, 300);
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, plain, &stat));
    assert_int_not_equal(stat.last_run_id, 0);
    fixture->config.queue_max = 1000;
    core_configure(fixture->core, &fixture->config);
    fixture_wait(fixture, 20);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2 + 20 * FRAMES);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A worker that its farm wants nothing for gets nothing; another gets it. */
static void test_refused_by_choice(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    fixture_trigger(fixture, farm_task(fixture));
    struct str types[1] = {STR_LIT("frame")};
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("w"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("nothing"),
                              .task_types = {types, 1},
                              .slots = 8,
                              .credit = 8};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_hello, &hello);
    fixture_settle(fixture);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_string_equal(fixture_reason(fixture, 1), "frames wants no free worker of type frame for it");
    fixture_hello(fixture, 2, "w2", "b", "frame", 8, NULL, 0);
    assert_int_not_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames),           cmocka_unit_test(test_expand_fails_whole),
                                       cmocka_unit_test(test_refused_schedule), cmocka_unit_test(test_refused_by_choice),
                                       cmocka_unit_test(test_triggers),         cmocka_unit_test(test_refused_whole),
                                       cmocka_unit_test(test_looks_on),         cmocka_unit_test(test_too_many),
                                       cmocka_unit_test(test_looks_in_parts),   cmocka_unit_test(test_full_queue_is_tried_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
