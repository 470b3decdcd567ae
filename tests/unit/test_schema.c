#include "sound_fixture.h"

#include "store/key.h"

static void put_version(struct kv *kv, uint64_t version)
{
    unsigned char bytes[8];
    struct err err = {0};
    key_write_u64(bytes, version);
    struct kv_txn *batch = kv_batch(kv, &err);
    assert_non_null(batch);
    assert_int_equal(kv_put(batch, TABLE_META, STR_LIT("schema"), (struct str){(char *)bytes, 8}, false), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
}

static uint64_t version_of(struct kv *kv)
{
    struct str value;
    struct kv_txn *txn = kv_snapshot(kv, NULL);
    assert_int_equal(kv_get(txn, TABLE_META, STR_LIT("schema"), &value), KV_OK);
    uint64_t version = key_read_u64(value.ptr);
    kv_end(txn);
    return version;
}

static int steps_run[10];

static int step(struct kv_txn *batch, int number)
{
    char name[8];
    snprintf(name, sizeof name, "step%d", number);
    steps_run[number]++;
    return kv_put(batch, TABLE_META, str_of(name), STR_LIT("done"), false) == KV_OK ? 0 : -1;
}

static int step_1(struct kv_txn *batch, struct err *err)
{
    (void)err;
    return step(batch, 1);
}

static int step_2(struct kv_txn *batch, struct err *err)
{
    (void)err;
    return step(batch, 2);
}

static int step_fails(struct kv_txn *batch, struct err *err)
{
    step(batch, 2);
    return err_set(err, ERR_INTERNAL, "it does not go");
}

static const struct migration good[] = {{.from = 1, .run = step_1, .doc = "one"}, {.from = 2, .run = step_2, .doc = "two"}, {0}};
static const struct migration bad[] = {
    {.from = 1, .run = step_1, .doc = "one"}, {.from = 2, .run = step_fails, .doc = "two"}, {0}};
static const struct migration holes[] = {{.from = 2, .run = step_2, .doc = "two"}, {0}};

static int setup(void **state)
{
    memset(steps_run, 0, sizeof steps_run);
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void test_new_database_has_the_version(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(version_of(fx->kv), SCHEMA_VERSION);
}

static void test_migrates_forward_once(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    put_version(fx->kv, 1);
    assert_int_equal(schema_open(fx->kv, good, 3, &err), 0);
    assert_int_equal(version_of(fx->kv), 3);
    assert_int_equal(schema_open(fx->kv, good, 3, &err), 0);
    assert_int_equal(steps_run[1], 1);
    assert_int_equal(steps_run[2], 1);
}

static void test_failed_step_leaves_the_one_before(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    struct str value;
    put_version(fx->kv, 1);
    assert_int_equal(schema_open(fx->kv, bad, 3, &err), -1);
    assert_string_equal(err.text, "it does not go");
    assert_int_equal(version_of(fx->kv), 2);
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    assert_int_equal(kv_get(txn, TABLE_META, STR_LIT("step1"), &value), KV_OK);
    assert_int_equal(kv_get(txn, TABLE_META, STR_LIT("step2"), &value), KV_NONE);
    kv_end(txn);
    assert_int_equal(schema_open(fx->kv, good, 3, &err), 0);
    assert_int_equal(version_of(fx->kv), 3);
}

static void test_no_way(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    put_version(fx->kv, 1);
    assert_int_equal(schema_open(fx->kv, holes, 3, &err), -1);
    assert_int_equal(version_of(fx->kv), 1);
}

static void test_newer_is_refused_untouched(void **state)
{
    struct fixture *fx = *state;
    struct err err = {0};
    char path[128], before[400], after[400];
    put_version(fx->kv, SCHEMA_VERSION + 1);
    fixture_stop(fx);
    snprintf(path, sizeof path, "%s/data.mdb", fx->folder);
    snprintf(before, sizeof before, "cp %s %s.before", path, path);
    assert_int_equal(system(before), 0);
    struct kv_options options = {.folder = fx->folder, .tables = record_tables, .table_count = TABLE_ALL, .map_bytes = 1 << 30};
    fx->kv = kv_open(&options, &err);
    assert_non_null(fx->kv);
    assert_int_equal(schema_open(fx->kv, schema_migrations, SCHEMA_VERSION, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_non_null(strstr(err.text, "newer"));
    kv_close(fx->kv);
    snprintf(after, sizeof after, "cmp -s %s %s.before", path, path);
    assert_int_equal(system(after), 0);
    fx->kv = kv_open(&options, &err);
    put_version(fx->kv, SCHEMA_VERSION);
    kv_close(fx->kv);
    fixture_start(fx);
}

/* An index that records.def has and the database has not: as if this version had brought it. */
static void index_forget(struct fixture *fx, unsigned type, unsigned number)
{
    struct err err = {0};
    struct key prefix;
    struct kv_pair pair;
    key_begin(&prefix, type, number);
    struct kv_txn *batch = kv_batch(fx->kv, &err);
    const unsigned in[] = {TABLE_INDEX, TABLE_COUNT};
    for (int i = 0; i < 2; i++) {
        struct kv_cursor *cursor = kv_cursor_new(batch, in[i]);
        enum kv_result result = kv_seek(cursor, key_str(&prefix), &pair);
        while (result == KV_OK && key_starts(pair.key, key_str(&prefix))) {
            assert_int_equal(kv_cursor_delete(cursor), KV_OK);
            result = kv_next(cursor, &pair);
        }
        kv_cursor_free(cursor);
    }
    assert_int_equal(kv_commit(batch, &err), KV_OK);
}

static void index_grows(struct fixture *fx, unsigned type, unsigned number)
{
    const struct migration steps[] = {{.from = 1, .doc = "a new index", .index = {(uint8_t)type, (uint8_t)number}}, {0}};
    struct findings findings;
    struct err err = {0};
    index_forget(fx, type, number);
    put_version(fx->kv, 1);
    assert_true(sound_look(fx->kv, &findings, NULL) > 0);
    if (schema_open(fx->kv, steps, 2, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(version_of(fx->kv), 2);
    put_version(fx->kv, SCHEMA_VERSION); /* what the look knows */
    sound_expect(fx->kv);
}

static void test_a_new_index_is_filled(void **state)
{
    struct fixture *fx = *state;
    sound_fill(fx);
    index_grows(fx, TYPE_RUN, 1);  /* counted */
    index_grows(fx, TYPE_RUN, 9);  /* sorted, not counted */
    index_grows(fx, TYPE_TASK, 5); /* of a list */
    index_grows(fx, TYPE_TASK, 7); /* of words */
    assert_int_equal(fixture_total(fx, TYPE_RUN, "status", RUN_PENDING, ""), SOUND_RUNS / 3);
}

/* What an interrupted step has left, and an older program has made untrue since, goes first. */
static void test_a_half_filled_index_begins_again(void **state)
{
    struct fixture *fx = *state;
    struct key key;
    struct err err = {0};
    sound_fill(fx);
    key_begin(&key, TYPE_RUN, 1);
    key_number(&key, RUN_ABORTED);
    key_id(&key, 4);
    struct kv_txn *batch = kv_batch(fx->kv, &err);
    assert_int_equal(kv_put(batch, TABLE_INDEX, key_str(&key), (struct str){"", 0}, false), KV_OK);
    assert_int_equal(kv_commit(batch, &err), KV_OK);
    const struct migration steps[] = {{.from = 1, .doc = "a new index", .index = {TYPE_RUN, 1}}, {0}};
    put_version(fx->kv, 1);
    assert_int_equal(schema_open(fx->kv, steps, 2, &err), 0);
    put_version(fx->kv, SCHEMA_VERSION);
    sound_expect(fx->kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_database_has_the_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_migrates_forward_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_step_leaves_the_one_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_index_is_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_half_filled_index_begins_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_is_refused_untouched, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
