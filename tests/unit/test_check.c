#include "sound_fixture.h"

#include "store/count.h"
#include "store/key.h"
#include "store/reindex.h"

static int setup(void **state)
{
    struct fixture *fx = fixture_new();
    sound_fill(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static struct kv_txn *begin(struct fixture *fx)
{
    struct kv_txn *batch = kv_batch(fx->kv, NULL);
    assert_non_null(batch);
    return batch;
}

static void end(struct kv_txn *batch)
{
    struct err err = {0};
    assert_int_equal(kv_commit(batch, &err), KV_OK);
}

/* The look finds something of this kind, which making indexes and counts anew mends, or does not. */
static void expect_finding(struct fixture *fx, const char *words, bool mends)
{
    struct findings findings;
    struct err err = {0};
    uint64_t derived = 0, count = sound_look(fx->kv, &findings, &derived);
    if (count == 0 || !strstr(findings.first, words))
        fail_msg("%lu findings, the first: %s, not: %s", (unsigned long)count, findings.first, words);
    assert_true(derived > 0 || !mends);
    assert_int_equal(reindex(fx->kv, 0, 0, &err), 0);
    if (mends)
        sound_expect(fx->kv);
    else
        assert_true(sound_look(fx->kv, &findings, NULL) > 0);
}

static void test_sound(void **state)
{
    struct fixture *fx = *state;
    sound_expect(fx->kv);
    fixture_restart(fx);
    sound_expect(fx->kv);
}

static void test_empty(void **state)
{
    struct fixture *fx = fixture_new();
    (void)state;
    sound_expect(fx->kv);
    fixture_free(fx);
}

static void test_entry_missing(void **state)
{
    struct fixture *fx = *state;
    struct kv_pair pair;
    struct kv_txn *batch = begin(fx);
    struct kv_cursor *cursor = kv_cursor_new(batch, TABLE_INDEX);
    assert_int_equal(kv_last(cursor, &pair), KV_OK);
    assert_int_equal(kv_cursor_delete(cursor), KV_OK);
    kv_cursor_free(cursor);
    end(batch);
    expect_finding(fx, "is missing", true);
}

static void test_entry_too_many(void **state)
{
    struct fixture *fx = *state;
    struct key key;
    struct kv_txn *batch = begin(fx);
    key_begin(&key, TYPE_RUN, 4); /* by started_at, not counted */
    key_number(&key, 77);
    key_id(&key, 5);
    assert_int_equal(kv_put(batch, TABLE_INDEX, key_str(&key), (struct str){"", 0}, false), KV_OK);
    end(batch);
    expect_finding(fx, "should not have", true);
}

static void test_entry_of_nothing(void **state)
{
    struct fixture *fx = *state;
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_put(batch, TABLE_INDEX, STR_LIT("\x02\x1fxyz"), (struct str){"", 0}, false), KV_OK);
    end(batch);
    expect_finding(fx, "belongs to no index", true);
}

static void test_count_wrong(void **state)
{
    struct fixture *fx = *state;
    unsigned char bytes[8];
    struct key key;
    key_begin(&key, TYPE_RUN, 1);
    key_number(&key, RUN_COMPLETED);
    key_write_u64(bytes, 12345);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_put(batch, TABLE_COUNT, key_str(&key), (struct str){(char *)bytes, 8}, false), KV_OK);
    end(batch);
    expect_finding(fx, "12345", true);
}

static void test_count_missing_and_of_nothing(void **state)
{
    struct fixture *fx = *state;
    unsigned char bytes[8] = {0};
    struct key key;
    key_begin(&key, TYPE_RUN, 1);
    key_number(&key, RUN_COMPLETED);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_delete(batch, TABLE_COUNT, key_str(&key)), KV_OK);
    end(batch);
    expect_finding(fx, "is missing", true);
    key_begin(&key, TYPE_RUN, 1);
    key_number(&key, RUN_ABORTED);
    batch = begin(fx);
    assert_int_equal(kv_put(batch, TABLE_COUNT, key_str(&key), (struct str){(char *)bytes, 8}, false), KV_OK);
    end(batch);
    expect_finding(fx, "counts nothing", true);
}

static void test_total_wrong(void **state)
{
    struct fixture *fx = *state;
    struct key key;
    key_begin(&key, TYPE_KEY, 0);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_delete(batch, TABLE_COUNT, key_str(&key)), KV_OK);
    end(batch);
    expect_finding(fx, "the kept count is 0", true);
}

static void test_record_gone(void **state)
{
    struct fixture *fx = *state;
    struct key key = key_of_id(10);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_delete(batch, TABLE_RECORDS + TYPE_RUN, key_str(&key)), KV_OK);
    end(batch);
    expect_finding(fx, "the kept count", false); /* its log and the statistics stay behind */
}

static void test_record_damaged(void **state)
{
    struct fixture *fx = *state;
    struct key key = key_of_id(7);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_put(batch, TABLE_RECORDS + TYPE_EVENT, key_str(&key), STR_LIT("\xde\xad\xbe\xef"), false), KV_OK);
    end(batch);
    expect_finding(fx, "cannot be read", false);
}

static void test_record_of_another_id(void **state)
{
    struct fixture *fx = *state;
    struct key from = key_of_id(7), to = key_of_id(8);
    struct str value;
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_get(batch, TABLE_RECORDS + TYPE_EVENT, key_str(&from), &value), KV_OK);
    char copy[512];
    memcpy(copy, value.ptr, value.len);
    assert_int_equal(kv_put(batch, TABLE_RECORDS + TYPE_EVENT, key_str(&to), (struct str){copy, value.len}, false), KV_OK);
    end(batch);
    expect_finding(fx, "it says that it is 7", false);
}

static void test_log_without_its_run_and_info(void **state)
{
    struct fixture *fx = *state;
    struct key key = key_of_id(20);
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_delete(batch, TABLE_LOG_INFO, key_str(&key)), KV_OK);
    end(batch);
    expect_finding(fx, "is not said", false);
}

static void test_state_behind_the_records(void **state)
{
    struct fixture *fx = *state;
    struct kv_txn *batch = begin(fx);
    struct state at = fx->group.state;
    at.next[TYPE_RUN] = 5;
    assert_int_equal(state_save(batch, &at), KV_OK);
    end(batch);
    expect_finding(fx, "new ones would begin at 5", false);
}

static void test_statistics(void **state)
{
    struct fixture *fx = *state;
    struct rec_task_stat stat = {.id = 2, .total = 9, .failed = 1};
    fixture_op(fx, OP_PUT, TYPE_TASK_STAT, 2, &shape_rec_task_stat, &stat);
    fixture_commit(fx);
    expect_finding(fx, "statistics of task 2", false);
}

/* Making indexes anew that was cut short is noted, and done by whoever opens the database. */
static void test_reindex_goes_on_after_a_crash(void **state)
{
    struct fixture *fx = *state;
    struct findings findings;
    struct kv_txn *batch = begin(fx);
    assert_int_equal(kv_put(batch, TABLE_META, STR_LIT("reindex"), STR_LIT("all"), false), KV_OK);
    assert_int_equal(kv_clear(batch, TABLE_INDEX), KV_OK);
    assert_int_equal(kv_clear(batch, TABLE_COUNT), KV_OK);
    end(batch);
    assert_true(reindex_pending(fx->kv));
    assert_true(sound_look(fx->kv, &findings, NULL) > 0);
    fixture_restart(fx);
    assert_false(reindex_pending(fx->kv));
    sound_expect(fx->kv);
    assert_int_equal(fixture_total(fx, TYPE_RUN, "status", RUN_PENDING, ""), SOUND_RUNS / 3);
}

static void ledger_put(struct fixture *fx, const struct rec_fire *fire)
{
    fixture_op(fx, OP_PUT, TYPE_FIRE, fire->id, &shape_rec_fire, fire);
    fixture_commit(fx);
}

static void test_ledger(void **state)
{
    struct fixture *fx = *state;
    struct rec_fire fire = {
        .id = 1, .task_id = 1, .due_at = 5, .last_due_at = 9, .count = 3, .outcome = FIRE_SKIPPED, .decided_at = 9};
    ledger_put(fx, &fire);
    sound_expect(fx->kv);
    fire.last_due_at = 4;
    ledger_put(fx, &fire);
    expect_finding(fx, "fire 1: it contradicts itself", false);
    fire.last_due_at = 9;
    fire.task_id = 77;
    ledger_put(fx, &fire);
    expect_finding(fx, "fire 1: its task 77 is not there", false);
}

static void test_histories(void **state)
{
    struct rec_attempt attempts[3] = {{.number = 1, .outcome = OUTCOME_FAILED},
                                      {.number = 2, .outcome = OUTCOME_LOST},
                                      {.number = 3, .worker_id = 4, .outcome = OUTCOME_OPEN}};
    struct rec_run run = {.id = 1,
                          .status = RUN_RUNNING,
                          .attempt = 3,
                          .worker_id = 4,
                          .retries = 1,
                          .retry_count = 2,
                          .losses = 1,
                          .attempts = {attempts, 3}};
    (void)state;
    assert_null(check_history(&run));
    run.losses = 0;
    assert_non_null(check_history(&run));
    run.losses = 1;
    run.retries = 3;
    assert_non_null(check_history(&run));
    run.retries = 1;
    run.status = RUN_PENDING; /* an open attempt of a run that waits */
    assert_non_null(check_history(&run));
    run.status = RUN_COMPLETED;
    run.completed_at = 9;
    assert_non_null(check_history(&run));
    attempts[2].outcome = OUTCOME_COMPLETED;
    assert_null(check_history(&run));
    run.completed_at = 0;
    assert_non_null(check_history(&run));
    run.completed_at = 9;
    attempts[0].outcome = OUTCOME_COMPLETED; /* twice */
    assert_non_null(check_history(&run));
    attempts[0].outcome = OUTCOME_FAILED;
    attempts[1].number = 3; /* not in order */
    assert_non_null(check_history(&run));
    attempts[1].number = 2;
    run.status = RUN_FAILED;
    assert_non_null(check_history(&run));
    attempts[2].outcome = OUTCOME_RETURNED;
    run.status = RUN_PENDING;
    run.completed_at = 0;
    run.attempt = 1003; /* restored */
    assert_null(check_history(&run));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, setup, teardown),
        cmocka_unit_test(test_empty),
        cmocka_unit_test_setup_teardown(test_entry_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count_missing_and_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_total_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record_of_another_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_without_its_run_and_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state_behind_the_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statistics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reindex_goes_on_after_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ledger, setup, teardown),
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
