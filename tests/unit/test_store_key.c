/* What keys promise: the order of their bytes is the order of what they say; words; kept counts; reading of fields. */
#include "store_fixture.h"

#include "store/count.h"
#include "store/key.h"
#include "store/words.h"

static int order_of(const struct key *a, const struct key *b)
{
    int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void test_numbers_in_order(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 2, 127, 128, 255, 256, 257, 65535, 65536, 1700000000000, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i + 1 < sizeof numbers / sizeof numbers[0]; i++) {
        struct key a, b;
        key_begin(&a, 3, 1);
        key_begin(&b, 3, 1);
        key_number(&a, numbers[i]);
        key_number(&b, numbers[i + 1]);
        key_id(&a, INT64_MAX);
        key_id(&b, 1);
        assert_true(order_of(&a, &b) < 0);
    }
}

static void test_texts_in_order_and_apart(void **state)
{
    (void)state;
    static const struct str texts[] = {{"", 0},    {"\0", 1},   {"\0a", 2},   {"\x01", 1}, {"a", 1},
                                       {"a\0", 2}, {"a\0b", 3}, {"a\x01", 2}, {"ab", 2},   {"b", 1}};
    for (size_t i = 0; i + 1 < sizeof texts / sizeof texts[0]; i++) {
        struct key a, b;
        key_begin(&a, 1, 1);
        key_begin(&b, 1, 1);
        key_text(&a, texts[i]);
        key_text(&b, texts[i + 1]);
        assert_false(key_starts(key_str(&b), key_str(&a))); /* or one text's group would hold the other's */
        key_id(&a, INT64_MAX);
        key_id(&b, 1);
        assert_true(order_of(&a, &b) < 0);
    }
}

static void test_long_texts_fit_and_differ(void **state)
{
    (void)state;
    static char text[CODEC_STRING_MAX];
    struct key a, b;
    key_begin(&a, 1, 1);
    key_begin(&b, 1, 1);
    key_text(&a, (struct str){text, sizeof text}); /* all NUL: the longest form */
    key_number(&a, UINT64_MAX);
    key_id(&a, 1);
    assert_true(a.len <= KV_KEY_MAX);
    text[sizeof text - 1] = 'x';
    key_text(&b, (struct str){text, sizeof text});
    assert_int_not_equal(memcmp(a.bytes, b.bytes, b.len), 0);
}

static void test_step_over(void **state)
{
    (void)state;
    struct key key = {.len = 3, .bytes = {1, 0xff, 0xff}};
    assert_true(key_step_over(&key));
    assert_int_equal(key.len, 1);
    assert_int_equal(key.bytes[0], 2);
    key = (struct key){.len = 1, .bytes = {0xff}};
    assert_false(key_step_over(&key));
}

static void expect_words(const char *text, const char *expected)
{
    struct str rest = str_of(text);
    struct word word;
    char all[512] = "";
    size_t len = 0;
    while (words_next(&rest, &word))
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%.*s", len ? "|" : "", (int)word.len, word.bytes);
    assert_string_equal(all, expected);
}

static void test_words(void **state)
{
    (void)state;
    expect_words("", "");
    expect_words(" -- !", "");
    expect_words("Data_Processing v2", "data|processing|v2");
    expect_words("处理daily数据。", "处|理|daily|数|据");
    expect_words("ÄRGER Привет ΣΟΦΙΑ", "ärger|привет|σοφια");
    expect_words("a\xff"
                 "b\xe4\xbd",
                 "a|b"); /* broken UTF-8 separates */
    expect_words("0123456789012345678901234567890123456789012345678901234567890123456789",
                 "0123456789012345678901234567890123456789012345678901234567890123");
}

static void test_counts(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    struct counts *counts = counts_new();
    struct err err = {0};
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 1000; i++) {
            struct key key;
            key_begin(&key, 9, 1);
            key_number(&key, i % 300);
            assert_int_equal(counts_add(counts, key_str(&key), i % 300 == 7 ? 0 : 2), 0);
        }
        struct kv_txn *batch = kv_batch(fx->kv, &err);
        assert_int_equal(counts_flush(counts, batch), KV_OK);
        assert_int_equal(kv_commit(batch, &err), KV_OK);
    }
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    for (uint64_t i = 0; i < 300; i++) {
        struct key key;
        key_begin(&key, 9, 1);
        key_number(&key, i);
        assert_int_equal(count_get(txn, key_str(&key)), i == 7 ? 0 : i < 100 ? 16 : 12);
    }
    kv_end(txn);
    counts_free(counts);
    fixture_free(fx);
}

static void test_fields_of_a_record(void **state)
{
    (void)state;
    struct err err = {0};
    struct str tags[] = {STR_LIT("a"), STR_LIT("b")};
    struct rec_task task = {.id = 5, .created_at = 9, .updated_at = 10, .status = 2};
    task.spec.name = STR_LIT("name");
    task.spec.tags = (struct str_list){tags, 2};
    SET_HAS(&task.spec, rec_task_spec, name);
    SET_HAS(&task.spec, rec_task_spec, tags);
    struct buf buf = {0};
    assert_int_equal(rec_encode_task(&buf, &task, &err), 0);
    static const char *const paths[] = {"spec.tags", "status", "spec.name", "updated_at", "spec.command", "id"};
    struct column columns[6];
    struct value values[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(column_resolve(&shape_rec_task, str_of(paths[i]), &columns[i]), 0);
    assert_int_equal(record_read(columns, 6, buf_str(&buf), values), 0);
    assert_int_equal(values[0].count, 2);
    assert_int_equal(values[1].number, 2);
    assert_true(str_is(values[2].text, "name"));
    assert_int_equal(values[3].number, 10);
    assert_false(values[4].there);
    assert_int_equal(values[5].number, 5);
    for (uint32_t len = 0; len < buf.len; len++) /* cut anywhere: never more than is there is read */
        record_read(columns, 6, (struct str){buf.data, len}, values);
    buf_free(&buf);
    static const char *const wrong[] = {
        "", ".", "spec", "spec.", "spec.limits", "spec.name.x", "name", "spec.limits.cpu_seconds.x.y"};
    for (int i = 0; i < 8; i++)
        assert_int_equal(column_resolve(&shape_rec_task, str_of(wrong[i]), &columns[0]), -1);
    assert_int_equal(column_resolve(&shape_rec_task, STR_LIT("spec.limits.cpu_seconds"), &columns[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_in_order),
        cmocka_unit_test(test_texts_in_order_and_apart),
        cmocka_unit_test(test_long_texts_fit_and_differ),
        cmocka_unit_test(test_step_over),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_fields_of_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
