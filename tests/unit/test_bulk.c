/* Many runs restarted or aborted in one call. */
#include "tests/unit/unit.h"

#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define MOST 8

struct call {
    struct rec_bulk_item items[MOST];
    struct rec_run runs[MOST];
    struct msg_run_bulk bulk;
};

static struct rec_idem item_key(uint64_t call, uint64_t id)
{
    return fixture_key_of((unsigned)(1000000 + call * 1000 + id), 1);
}

static void call_begin(struct fixture *fixture, struct call *call, uint64_t number, uint64_t op, const uint64_t *ids,
                       uint32_t count)
{
    *call = (struct call){.bulk = {.idem = fixture_key_of((unsigned)(900000 + number), 1), .op = op, .last = true}};
    call->bulk.items = (struct rec_bulk_item_list){call->items, count};
    for (uint32_t i = 0; i < count; i++) {
        call->items[i] = (struct rec_bulk_item){.id = ids[i], .idem = item_key(number, ids[i])};
        if (op == 1)
            assert_true(fixture_run(fixture, ids[i], &call->runs[i]));
    }
    if (op == 1)
        call->bulk.runs = (struct rec_run_list){call->runs, count};
}

static const struct rec_bulk_result *ask(struct fixture *fixture, const struct call *call)
{
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_bulk, &call->bulk);
    assert_int_equal(answer->shape->id, MSG_RUN_BULK_ANSWER);
    assert_int_equal(answer->u.run_bulk_answer.results.count, call->bulk.items.count + call->bulk.before.count);
    core_check(fixture->core);
    return answer->u.run_bulk_answer.results.items;
}

/* A task whose runs fail at once, and some that did. */
static struct fixture *failed(uint64_t *ids, uint32_t count)
{
    struct fixture *fixture = fixture_ready();
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("t", "shell")};
    SET_HAS(&create.spec, rec_task_spec, retry_count);
    uint64_t task = fixture_ask(fixture, &shape_msg_task_create, &create)->u.task_answer.task.id;
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = fixture_trigger(fixture, task);
        fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
    }
    return fixture;
}

static void test_restart(void **unused)
{
    (void)unused;
    uint64_t ids[3];
    struct fixture *fixture = failed(ids, 3);
    struct call call;
    call_begin(fixture, &call, 1, 1, ids, 3);
    const struct rec_bulk_result *results = ask(fixture, &call);
    uint64_t first = results[0].new_run_id;
    for (uint32_t i = 0; i < 3; i++) {
        struct rec_run run;
        assert_int_equal(results[i].code, 0);
        assert_true(fixture_run(fixture, results[i].new_run_id, &run));
        assert_int_equal(run.restart_of, ids[i]);
    }
    /* Once more: the first answer, also after a start; and with the keys of the items alone. */
    size_t runs = fixture->disk_count[TYPE_RUN];
    fixture_rebuild(fixture);
    assert_int_equal(ask(fixture, &call)[0].new_run_id, first);
    call.bulk.idem = fixture_key(fixture);
    assert_int_equal(ask(fixture, &call)[0].new_run_id, first);
    assert_int_equal(fixture->disk_count[TYPE_RUN], runs);
    /* Statistics: each restart is a run of its own. */
    struct rec_task_stat stat;
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, 1, &stat));
    assert_int_equal(stat.total, 6);
    assert_int_equal(stat.failed, 3);
    fixture_free(fixture);
}

/* What cannot be restarted is told, and the others are. */
static void test_some_refused(void **unused)
{
    (void)unused;
    uint64_t ids[3];
    struct fixture *fixture = failed(ids, 2);
    struct call call;
    ids[2] = fixture_trigger(fixture, 1); /* it waits */
    call_begin(fixture, &call, 1, 1, ids, 3);
    call.runs[1].id = 77; /* not what it says */
    const struct rec_bulk_result *results = ask(fixture, &call);
    assert_int_equal(results[0].code, 0);
    assert_int_equal(results[1].code, ERR_NOT_FOUND);
    assert_int_equal(results[2].code, ERR_CONFLICT);
    assert_true(str_is(results[2].rule, "not_final"));
    fixture_free(fixture);
}

/* At the limit of the queue the rest is left, none of it is remembered, and the same call goes on later. */
static void test_limit(void **unused)
{
    (void)unused;
    uint64_t ids[3];
    struct fixture *fixture = failed(ids, 3);
    struct call call;
    struct msg_drain drain = {0};
    fixture_send(fixture, DOOR_WORKERS, 1, 0, &shape_msg_drain, &drain);
    fixture->config.queue_max = 2;
    core_configure(fixture->core, &fixture->config);
    call_begin(fixture, &call, 1, 1, ids, 3);
    const struct rec_bulk_result *results = ask(fixture, &call);
    uint64_t first = results[0].new_run_id;
    assert_int_equal(results[1].code, 0);
    assert_int_equal(results[2].code, ERR_LIMIT);
    fixture->config.queue_max = 10;
    core_configure(fixture->core, &fixture->config);
    results = ask(fixture, &call);
    assert_int_equal(results[0].new_run_id, first);
    assert_int_equal(results[2].code, 0);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 6);
    fixture_free(fixture);
}

static void test_abort(void **unused)
{
    (void)unused;
    uint64_t ids[4];
    struct fixture *fixture = failed(ids, 1);
    struct call call;
    for (int i = 1; i < 3; i++)
        ids[i] = fixture_trigger(fixture, 1);
    ids[3] = 99;
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, ids[1]);
    call_begin(fixture, &call, 1, 2, ids, 4);
    call.bulk.reason = STR_LIT("enough");
    const struct rec_bulk_result *results = ask(fixture, &call);
    assert_true(str_is(results[0].rule, "final"));
    assert_int_equal(results[1].code, 0);
    assert_int_equal(results[2].status, RUN_ABORTED);
    assert_true(str_is(results[3].rule, "not_found"));
    struct rec_run run;
    assert_true(fixture_run(fixture, ids[2], &run));
    assert_int_equal(run.status, RUN_ABORTED);
    assert_true(str_is(run.error_message, "enough"));
    assert_non_null(fixture_take(fixture, 1, MSG_CANCEL));
    /* A part that is brought again, by a call that broke off, says the same. */
    call.bulk.idem = fixture_key(fixture);
    assert_int_equal(ask(fixture, &call)[1].code, 0);
    fixture_free(fixture);
}

/* The task of a run that was submitted is not kept: it is asked for, and brought. */
static void test_task_not_kept(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    SET_HAS(&submit.spec, rec_task_spec, retry_count);
    uint64_t id = fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.run_answer.run.id;
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_FAILED);
    struct call call;
    call_begin(fixture, &call, 1, 1, &id, 1);
    call.bulk.last = false;
    assert_true(str_is(ask(fixture, &call)[0].rule, "fetch"));
    assert_true(fixture_stored(fixture, TYPE_TASK, call.runs[0].task_id, &call.bulk.task));
    SET_HAS(&call.bulk, msg_run_bulk, task);
    assert_true(fixture_stored(fixture, TYPE_TASK_STAT, call.runs[0].task_id, &call.bulk.stat));
    SET_HAS(&call.bulk, msg_run_bulk, stat);
    assert_int_equal(ask(fixture, &call)[0].code, 0);
    fixture_free(fixture);
}

/* The last part brings the results of those before it, and its answer is the call's. */
static void test_parts(void **unused)
{
    (void)unused;
    uint64_t ids[2];
    struct fixture *fixture = failed(ids, 2);
    struct call call;
    call_begin(fixture, &call, 1, 1, ids, 2);
    call.bulk.last = false;
    const struct rec_bulk_result *results = ask(fixture, &call);
    struct rec_bulk_result before[2] = {results[0], results[1]};
    call_begin(fixture, &call, 1, 1, ids, 0);
    call.bulk.before = (struct rec_bulk_result_list){before, 2};
    call.bulk.more = true;
    ask(fixture, &call);
    fixture_rebuild(fixture);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_run_bulk, &call.bulk);
    assert_true(answer->u.run_bulk_answer.end && answer->u.run_bulk_answer.more);
    assert_int_equal(answer->u.run_bulk_answer.results.items[1].new_run_id, before[1].new_run_id);
    fixture_free(fixture);
}

static uint64_t purges;
static struct rec_run_purge last_purge;

static void on_apply(void *self, const struct rec_op *op)
{
    (void)self;
    if (op->op != OP_PURGE_RUNS)
        return;
    purges++;
    assert_int_equal(rec_decode_run_purge(NULL, op->value, &last_purge, NULL), 0);
}

/* What is to be removed goes to the store, and a task that keeps few says so at each end, and at once when it comes to keep fewer. */
static void test_purges(void **unused)
{
    (void)unused;
    uint64_t ids[1];
    struct fixture *fixture = failed(ids, 1);
    fixture->on_apply = on_apply;
    struct msg_run_purge purge = {.idem = fixture_key(fixture),
                                  .purge = {.before = 5, .task_id = 1, .status = RUN_FAILED, .limit = 9}};
    SET_HAS(&purge.purge, rec_run_purge, status);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_purge, &purge)->shape->id, MSG_DONE);
    assert_int_equal(purges, 1);
    assert_int_equal(last_purge.before, 5);
    assert_int_equal(last_purge.status, RUN_FAILED);
    assert_int_equal(last_purge.limit, 0);
    assert_int_equal(fixture_ask(fixture, &shape_msg_run_purge, &purge)->shape->id, MSG_DONE);
    assert_int_equal(purges, 1);
    purge = (struct msg_run_purge){.idem = fixture_key(fixture)};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_purge, &purge)->u.error.rule, "required"));
    static const char map[] = "\x81\xa9keep_runs\x03";
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = 1, .spec = {.metadata = {map, sizeof map - 1}}};
    SET_HAS(&update.spec, rec_task_spec, metadata);
    assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
    assert_int_equal(purges, 2);
    assert_int_equal(last_purge.keep, 3);
    fixture_trigger(fixture, 1);
    fixture_trigger(fixture, 1);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    assert_int_equal(purges, 3);
    assert_int_equal(last_purge.task_id, 1);
    assert_int_equal(last_purge.keep, 3);
    assert_int_equal(last_purge.live, 1);
    static const char fewer[] = "\x81\xa9keep_runs\x02", more[] = "\x81\xa9keep_runs\x09", any[] = "\x80";
    static const struct str lower[] = {{fewer, sizeof fewer - 1}, {more, sizeof more - 1}, {any, 1}, {more, sizeof more - 1}};
    static const int after[] = {4, 4, 4, 5};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        update.idem = fixture_key(fixture);
        update.spec.metadata = lower[i];
        assert_int_equal(fixture_ask(fixture, &shape_msg_task_update, &update)->shape->id, MSG_TASK_ANSWER);
        assert_int_equal(purges, after[i]);
    }
    assert_int_equal(last_purge.keep, 9);
    assert_int_equal(last_purge.live, 1);
    static const char wrong[] = "\x81\xa9keep_runs\x00";
    update.idem = fixture_key(fixture);
    update.spec.metadata = (struct str){wrong, sizeof wrong - 1};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_task_update, &update)->u.error.field, "metadata.keep_runs"));
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart), cmocka_unit_test(test_some_refused),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_abort),   cmocka_unit_test(test_task_not_kept), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_purges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
