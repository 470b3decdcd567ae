#include "fill.h"

static void test_lookup(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        assert_ptr_equal(message_shape(shape->id), shape);
        assert_int_not_equal(shape->id, 0);
        assert_true(shape->size <= sizeof(((struct msg *)NULL)->u));
        assert_true(shape->from <= PARTY_WORKER && shape->to <= PARTY_WORKER);
    }
    assert_null(message_shape(0));
    assert_null(message_shape(0xffff));
    assert_null(message_shape(UINT64_MAX));
    assert_null(message_shape(UINT64_C(0x10000) + MSG_PING)); /* only its low bits are PING's */
    for (size_t i = 0; i < records_count; i++) {
        assert_int_equal(records_all[i]->id, 0);
    }
}

/* What the engine relies on, and what people read. */
static void check_shape(const struct shape *shape)
{
    uint64_t required = 0;

    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        assert_true(field->key >= 1 && field->key <= 59);
        assert_true(i == 0 || field->key > shape->fields[i - 1].key);
        assert_true(field->offset >= sizeof(uint64_t) && field->offset < shape->size);
        assert_true(field->high <= UINT32_MAX || field->kind == CODEC_UINT || field->kind == CODEC_INT);
        assert_true(field->low >= 0 || field->kind == CODEC_INT);
        assert_int_equal(field->record != NULL, field->kind == CODEC_NEST || field->kind == CODEC_LIST);
        assert_null(strchr(field->doc, '|')); /* docs/messages.md holds tables */
        assert_ptr_equal(shape_field(shape, str_of(field->name)), field);
        required |= field->presence == CODEC_REQ ? UINT64_C(1) << field->key : 0;
    }
    assert_true(shape->required == required);
    assert_null(shape_field(shape, STR_LIT("no_such_field")));
    assert_non_null(shape->doc);
}

static void test_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count; i++) {
        check_shape(messages_all[i]);
    }
    for (size_t i = 0; i < records_count; i++) {
        check_shape(records_all[i]);
    }
    assert_int_equal(shape_rec_lease.size, sizeof(struct rec_lease));
    assert_int_equal(shape_rec_lease.fields[1].offset, offsetof(struct rec_lease, attempt));
    assert_int_equal(shape_rec_lease.fields[1].high, 1 << 20);
    assert_ptr_equal(shape_msg_batch.fields[2].record, &shape_rec_op);
    assert_int_equal(shape_msg_ping.count, 0);
}

/* What tells the keys of a map apart has room for the largest field. */
static void test_maps_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count + records_count; i++) {
        const struct shape *shape = i < messages_count ? messages_all[i] : records_all[i - messages_count];
        for (size_t k = 0; k < shape->count; k++) {
            assert_true(shape->fields[k].kind != CODEC_MAP || shape->fields[k].high <= CODEC_MAP_MAX);
        }
    }
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *(*name)(uint64_t);
        int (*parse)(struct str);
        uint64_t first, last;
    } sets[] = {
        {priority_name, priority_parse, PRIORITY_LOW, PRIORITY_CRITICAL},
        {task_status_name, task_status_parse, TASK_ACTIVE, TASK_FAILED},
        {run_status_name, run_status_parse, RUN_PENDING, RUN_ABORTED},
        {worker_status_name, worker_status_parse, WORKER_ACTIVE, WORKER_OFFLINE},
        {outcome_name, NULL, OUTCOME_OPEN, OUTCOME_RETURNED},
        {error_code_name, NULL, ERR_BAD_REQUEST, ERR_IO},
    };

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        for (uint64_t number = sets[i].first; number <= sets[i].last; number++) {
            const char *word = sets[i].name(number);
            assert_string_not_equal(word, "?");
            assert_true(sets[i].parse == NULL || sets[i].parse(str_of(word)) == (int)number);
        }
        assert_string_equal(sets[i].name(sets[i].last + 1), "?");
        assert_string_equal(sets[i].name(UINT64_MAX), "?");
        assert_true(sets[i].parse == NULL || sets[i].parse(STR_LIT("?")) == -1);
        assert_true(sets[i].parse == NULL || sets[i].parse(STR_LIT("")) == -1);
    }
    assert_string_equal(error_code_name(0), "?");
    assert_string_equal(run_status_name(RUN_PENDING), "pending");
    assert_int_equal(priority_parse(STR_LIT("High")), -1);
}

static void test_has(void **state)
{
    (void)state;
    struct rec_task_spec spec = {0};

    assert_false(HAS(&spec, rec_task_spec, output));
    SET_HAS(&spec, rec_task_spec, output);
    assert_true(HAS(&spec, rec_task_spec, output));
    assert_true(spec.has == UINT64_C(1) << KEY_rec_task_spec_output);
    CLEAR_HAS(&spec, rec_task_spec, output);
    assert_true(spec.has == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup), cmocka_unit_test(test_descriptors), cmocka_unit_test(test_maps_fit),
        cmocka_unit_test(test_words),  cmocka_unit_test(test_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
