/* Pools: never more at once than their limit, and nobody kept from what he may have. */
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "scheduler/pool.h"
#include "scheduler/queue.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

static const struct msg *put(struct fixture *fixture, const char *name, uint64_t limit)
{
    struct msg_pool_put put = {.idem = fixture_key(fixture), .name = str_of(name), .limit = limit};
    SET_HAS(&put, msg_pool_put, limit);
    return fixture_ask(fixture, &shape_msg_pool_put, &put);
}

static struct rec_pool pool(struct fixture *fixture, const char *name)
{
    struct msg_pool_list list = {.name = str_of(name), .page = 1, .size = 10};
    const struct msg_pool_rows *rows = &fixture_ask(fixture, &shape_msg_pool_list, &list)->u.pool_rows;
    return rows->pools.count ? rows->pools.items[0] : (struct rec_pool){0};
}

static const struct msg *remove_pool(struct fixture *fixture, const char *name)
{
    struct msg_pool_delete delete = {.idem = fixture_key(fixture), .name = str_of(name)};
    return fixture_ask(fixture, &shape_msg_pool_delete, &delete);
}

static const struct msg *create(struct fixture *fixture, const char *name, const char *type, const char *pool)
{
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec(name, type)};
    create.spec.pool = str_of(pool);
    SET_HAS(&create.spec, rec_task_spec, pool);
    return fixture_ask(fixture, &shape_msg_task_create, &create);
}

static uint64_t pooled(struct fixture *fixture, const char *name, const char *type, const char *pool)
{
    const struct msg *answer = create(fixture, name, type, pool);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    return answer->u.task_answer.task.id;
}

static const struct msg *move(struct fixture *fixture, uint64_t task, const char *pool)
{
    struct msg_task_update update = {.idem = fixture_key(fixture), .id = task, .spec = {.pool = str_of(pool)}};
    SET_HAS(&update.spec, rec_task_spec, pool);
    return fixture_ask(fixture, &shape_msg_task_update, &update);
}

static void test_put(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_pool_put change = {.idem = fixture_key(fixture), .name = STR_LIT("db")};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_pool_put, &change);
    assert_int_equal(answer->u.error.code, ERR_INVALID); /* a new one needs its limit */
    assert_true(str_is(answer->u.error.field, "limit") && str_is(answer->u.error.rule, "required"));
    answer = put(fixture, "no good", 1);
    assert_true(str_is(answer->u.error.field, "name") && str_is(answer->u.error.rule, "format"));
    answer = put(fixture, "db", 2);
    assert_true(answer->u.pool_answer.created);
    assert_int_equal(answer->u.pool_answer.pool.limit, 2);
    fixture_wait(fixture, 1000);
    change = (struct msg_pool_put){.idem = fixture_key(fixture), .name = STR_LIT("db"), .description = STR_LIT("words")};
    SET_HAS(&change, msg_pool_put, description);
    answer = fixture_ask(fixture, &shape_msg_pool_put, &change);
    assert_false(answer->u.pool_answer.created);
    assert_int_equal(answer->u.pool_answer.pool.limit, 2);
    assert_true(str_is(answer->u.pool_answer.pool.description, "words"));
    assert_true(answer->u.pool_answer.pool.updated_at > answer->u.pool_answer.pool.created_at);
    fixture_rebuild(fixture);
    struct rec_pool kept = pool(fixture, "db");
    assert_int_equal(kept.limit, 2);
    assert_true(str_is(kept.description, "words"));
    answer = put(fixture, "db", 3); /* the same one after a restart, with what is not given as it was */
    assert_false(answer->u.pool_answer.created);
    assert_int_equal(answer->u.pool_answer.pool.id, kept.id);
    assert_true(str_is(answer->u.pool_answer.pool.description, "words"));
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_limit_of_pools(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    char name[16];
    for (unsigned i = 0; i < POOLS_MAX; i++) {
        snprintf(name, sizeof name, "p%u", i);
        assert_int_equal(put(fixture, name, 1)->shape->id, MSG_POOL_ANSWER);
        fixture_forget_letters(fixture);
    }
    assert_int_equal(put(fixture, "more", 1)->u.error.code, ERR_LIMIT);
    assert_int_equal(put(fixture, "p7", 9)->shape->id, MSG_POOL_ANSWER); /* it is there already */
    assert_int_equal(remove_pool(fixture, "p7")->shape->id, MSG_DONE);
    assert_int_equal(put(fixture, "more", 1)->shape->id, MSG_POOL_ANSWER);
    fixture_free(fixture);
}

static void test_unknown(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    const struct msg *answer = create(fixture, "task", "shell", "nobody");
    assert_int_equal(answer->u.error.code, ERR_INVALID);
    assert_true(str_is(answer->u.error.field, "pool") && str_is(answer->u.error.rule, "unknown_pool"));
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    submit.spec.pool = STR_LIT("nobody");
    SET_HAS(&submit.spec, rec_task_spec, pool);
    assert_true(str_is(fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.error.rule, "unknown_pool"));
    uint64_t task = fixture_task(fixture, "task", "shell");
    assert_true(str_is(move(fixture, task, "nobody")->u.error.rule, "unknown_pool"));
    put(fixture, "somebody", 1);
    assert_int_equal(move(fixture, task, "somebody")->shape->id, MSG_TASK_ANSWER);
    assert_int_equal(move(fixture, task, "")->shape->id, MSG_TASK_ANSWER);
    assert_int_equal(remove_pool(fixture, "nobody")->u.error.code, ERR_NOT_FOUND);
    assert_int_equal(remove_pool(fixture, "somebody")->shape->id, MSG_DONE);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* Two tasks of different types share the places; workers have room all the time. */
static void test_holds(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 2);
    uint64_t a = pooled(fixture, "a", "shell", "db"), b = pooled(fixture, "b", "python", "db");
    uint64_t runs[6];
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    fixture_hello(fixture, 2, "w2", "b", "python", 10, NULL, 0);
    for (int i = 0; i < 6; i++)
        runs[i] = fixture_trigger(fixture, i % 2 ? b : a);
    struct rec_lease first = fixture_begin(fixture, 1), second = fixture_begin(fixture, 2);
    assert_int_equal(first.run_id, runs[0]);
    assert_int_equal(second.run_id, runs[1]);
    assert_int_equal(fixture_assigned(fixture, 1).run_id + fixture_assigned(fixture, 2).run_id, 0);
    assert_string_equal(fixture_reason(fixture, runs[2]), "pool db is full: 2 of 2 run");
    assert_int_equal(pool(fixture, "db").running, 2);
    assert_int_equal(pool(fixture, "db").waiting, 4);
    core_check(fixture->core);
    uint64_t plain = fixture_trigger(fixture, fixture_task(fixture, "plain", "shell")); /* not its concern */
    assert_int_equal(fixture_begin(fixture, 1).run_id, plain);
    fixture_result(fixture, 1, first, OUTCOME_COMPLETED);
    struct rec_lease third = fixture_begin(fixture, 1);
    assert_int_equal(third.run_id, runs[2]); /* the best of both classes */
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_result(fixture, 1, third, OUTCOME_COMPLETED);
    assert_int_equal(fixture_begin(fixture, 2).run_id, runs[3]);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_limit_changes(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 0);
    uint64_t task = pooled(fixture, "a", "shell", "db");
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    for (int i = 0; i < 5; i++)
        fixture_trigger(fixture, task);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    put(fixture, "db", 3);
    struct rec_lease leases[3];
    for (int i = 0; i < 3; i++)
        leases[i] = fixture_begin(fixture, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    put(fixture, "db", 1); /* nothing is stopped, and nothing starts until there is a place */
    assert_null(fixture_take(fixture, 1, MSG_CANCEL));
    for (int i = 0; i < 2; i++) {
        fixture_result(fixture, 1, leases[i], OUTCOME_COMPLETED);
        assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    }
    fixture_result(fixture, 1, leases[2], OUTCOME_COMPLETED);
    assert_int_not_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A class that no worker serves does not keep the pool's places from the others. */
static void test_no_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 1);
    uint64_t nobody = pooled(fixture, "a", "cobol", "db"), task = pooled(fixture, "b", "shell", "db");
    fixture_trigger(fixture, nobody);
    fixture_trigger(fixture, nobody);
    uint64_t first = fixture_trigger(fixture, task), second = fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, first);
    core_check(fixture->core);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_int_equal(fixture_begin(fixture, 1).run_id, second);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* Failed attempts, lost and returned leases give the place back, and take another. */
static void test_ends(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 1);
    uint64_t task = pooled(fixture, "a", "shell", "db");
    uint64_t first = fixture_trigger(fixture, task), second = fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, first);
    fixture_result(fixture, 1, lease, OUTCOME_FAILED); /* it waits for its retry */
    lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, second);
    fixture_hello(fixture, 2, "w1", "b2", "shell", 10, NULL, 0); /* what it held is lost, and given out anew */
    lease = fixture_begin(fixture, 2);
    fixture_wait(fixture, 2000); /* the other one's backoff is over */
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    assert_int_equal(pool(fixture, "db").running, 1);
    struct msg_reject reject = {.leases = {&lease, 1}};
    fixture_send(fixture, DOOR_WORKERS, 2, 0, &shape_msg_reject, &reject);
    fixture_settle(fixture);
    core_check(fixture->core);
    fixture_heartbeat(fixture, 2, NULL, 0);
    fixture_wait(fixture, 2000);
    fixture_begin(fixture, 2);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* The process of an aborted run may still work: its place is free when its worker says so. */
static void test_abort(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 1);
    uint64_t task = pooled(fixture, "a", "shell", "db");
    uint64_t first = fixture_trigger(fixture, task), second = fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    struct rec_lease lease = fixture_begin(fixture, 1);
    assert_int_equal(lease.run_id, first);
    assert_int_equal(fixture_abort(fixture, first), 0);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_int_equal(pool(fixture, "db").running, 1);
    core_check(fixture->core);
    fixture_result(fixture, 1, lease, OUTCOME_ABORTED);
    assert_int_equal(fixture_begin(fixture, 1).run_id, second);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_restart(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 2);
    uint64_t task = pooled(fixture, "a", "shell", "db");
    for (int i = 0; i < 4; i++)
        fixture_trigger(fixture, task);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    struct rec_lease leases[2] = {fixture_begin(fixture, 1), fixture_begin(fixture, 1)};
    fixture_rebuild(fixture);
    core_check(fixture->core);
    assert_int_equal(pool(fixture, "db").running, 2);
    assert_int_equal(pool(fixture, "db").waiting, 2);
    fixture_hello(fixture, 2, "w1", "b", "shell", 10, leases, 2);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    fixture_result(fixture, 2, leases[0], OUTCOME_COMPLETED);
    assert_int_not_equal(fixture_assigned(fixture, 2).run_id, 0);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, 0);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A task goes to another pool with what runs of it. */
static void test_move(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "one", 1);
    put(fixture, "two", 2);
    uint64_t task = pooled(fixture, "a", "shell", "one"), other = pooled(fixture, "b", "shell", "one");
    fixture_trigger(fixture, task);
    fixture_trigger(fixture, task);
    uint64_t waits = fixture_trigger(fixture, other);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    fixture_begin(fixture, 1);
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    move(fixture, task, "two");
    core_check(fixture->core);
    uint64_t got[2] = {fixture_begin(fixture, 1).run_id, fixture_begin(fixture, 1).run_id};
    assert_true(got[0] == waits || got[1] == waits);
    assert_int_equal(pool(fixture, "one").running, 1);
    assert_int_equal(pool(fixture, "two").running, 2);
    assert_int_equal(remove_pool(fixture, "two")->u.error.code, ERR_CONFLICT);
    fixture_rebuild(fixture);
    assert_int_equal(pool(fixture, "two").running, 2);
    core_check(fixture->core);
    fixture_free(fixture);
}

/* A one-shot task that has left memory may name a pool that has been deleted meanwhile: it waits for that to be there. */
static void test_deleted_meanwhile(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "db", 1);
    struct msg_run_submit submit = {.idem = fixture_key(fixture), .spec = fixture_spec("once", "shell")};
    submit.spec.pool = STR_LIT("db");
    SET_HAS(&submit.spec, rec_task_spec, pool);
    uint64_t task = fixture_ask(fixture, &shape_msg_run_submit, &submit)->u.run_answer.run.task_id;
    assert_int_equal(remove_pool(fixture, "db")->u.error.code, ERR_CONFLICT);
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    fixture_result(fixture, 1, fixture_begin(fixture, 1), OUTCOME_COMPLETED);
    assert_int_equal(remove_pool(fixture, "db")->shape->id, MSG_DONE);
    struct msg_run_trigger trigger = {.idem = fixture_key(fixture), .task_id = task};
    assert_true(fixture_stored(fixture, TYPE_TASK, task, &trigger.known));
    SET_HAS(&trigger, msg_run_trigger, known);
    uint64_t run = fixture_ask(fixture, &shape_msg_run_trigger, &trigger)->u.run_answer.run.id;
    assert_int_equal(fixture_assigned(fixture, 1).run_id, 0);
    assert_string_equal(fixture_reason(fixture, run), "there is no pool db");
    struct msg_pool_list list = {.page = 1, .size = 10};
    assert_int_equal(fixture_ask(fixture, &shape_msg_pool_list, &list)->u.pool_rows.total, 0);
    core_check(fixture->core);
    fixture_rebuild(fixture);
    fixture_hello(fixture, 2, "w1", "b", "shell", 10, NULL, 0);
    assert_true(put(fixture, "db", 1)->u.pool_answer.created);
    assert_int_equal(fixture_assigned(fixture, 2).run_id, run);
    core_check(fixture->core);
    fixture_free(fixture);
}

static void test_list(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    put(fixture, "b", 5);
    fixture_wait(fixture, 5);
    put(fixture, "a", 7);
    fixture_wait(fixture, 5);
    put(fixture, "c", 6);
    struct msg_pool_list list = {.page = 1, .size = 2, .sort = STR_LIT("limit"), .descending = true};
    const struct msg_pool_rows *rows = &fixture_ask(fixture, &shape_msg_pool_list, &list)->u.pool_rows;
    assert_int_equal(rows->total, 3);
    assert_int_equal(rows->pools.count, 2);
    assert_true(str_is(rows->pools.items[0].name, "a") && str_is(rows->pools.items[1].name, "c"));
    list = (struct msg_pool_list){.page = 2, .size = 2, .sort = STR_LIT("name")};
    rows = &fixture_ask(fixture, &shape_msg_pool_list, &list)->u.pool_rows;
    assert_int_equal(rows->pools.count, 1);
    assert_true(str_is(rows->pools.items[0].name, "c"));
    list = (struct msg_pool_list){.page = 9, .size = 2};
    assert_int_equal(fixture_ask(fixture, &shape_msg_pool_list, &list)->u.pool_rows.pools.count, 0);
    list = (struct msg_pool_list){.page = 1, .size = 2, .sort = STR_LIT("colour")};
    assert_true(str_is(fixture_ask(fixture, &shape_msg_pool_list, &list)->u.error.rule, "sort"));
    fixture_free(fixture);
}

/* Looks are few, however many classes wait for one pool. */
static void test_looks(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    char name[32], type[32];
    put(fixture, "db", 1);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "t%d", i);
        snprintf(type, sizeof type, "type-%d", i);
        fixture_trigger(fixture, pooled(fixture, name, i % 2 ? "shell" : type, "db"));
    }
    fixture_hello(fixture, 1, "w1", "b", "shell", 10, NULL, 0);
    for (int i = 0; i < 150; i++) {
        struct rec_lease lease = fixture_begin(fixture, 1);
        assert_true(fixture->core->ready.count <= 2);
        fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    }
    core_check(fixture->core);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),   cmocka_unit_test(test_limit_of_pools), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_holds), cmocka_unit_test(test_limit_changes),  cmocka_unit_test(test_no_worker),
        cmocka_unit_test(test_ends),  cmocka_unit_test(test_abort),          cmocka_unit_test(test_restart),
        cmocka_unit_test(test_move),  cmocka_unit_test(test_list),           cmocka_unit_test(test_deleted_meanwhile),
        cmocka_unit_test(test_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
