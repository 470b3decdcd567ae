/* What was made stays until others take its room. */
#include "tests/unit/unit.h"

#include "gateway/still_cache.h"

static struct still_key key_of(uint64_t number)
{
    return (struct still_key){.device = 1, .inode = number, .size = 10, .changed_ns = 5};
}

static bool has(struct still_cache *cache, uint64_t number)
{
    const struct still_key key = key_of(number);
    return still_cache_find(cache, &key).len > 0;
}

static void put(struct still_cache *cache, uint64_t number, struct str bytes)
{
    const struct still_key key = key_of(number);
    still_cache_put(cache, &key, bytes);
}

static void test_a_file_as_it_was(void **state)
{
    struct still_cache *cache = still_cache_new();
    struct still_key key = key_of(1);
    (void)state;
    assert_false(has(cache, 1));
    put(cache, 1, STR_LIT("jpeg"));
    put(cache, 1, STR_LIT("again")); /* two asked for it at once */
    assert_true(str_is(still_cache_find(cache, &key), "jpeg"));
    key.changed_ns++;
    assert_int_equal(still_cache_find(cache, &key).len, 0);
    put(cache, 2, (struct str){0});
    assert_false(has(cache, 2));
    still_cache_free(cache);
    still_cache_free(NULL);
}

static void test_bounds(void **state)
{
    struct still_cache *cache = still_cache_new();
    size_t large = STILL_CACHE_BYTES / 4;
    char *bytes = calloc(1, STILL_CACHE_BYTES + 1);
    (void)state;
    for (uint64_t i = 1; i <= 4; i++)
        put(cache, i, (struct str){bytes, (uint32_t)large});
    assert_true(has(cache, 1)); /* used last, now */
    put(cache, 5, (struct str){bytes, (uint32_t)large});
    assert_true(has(cache, 1) && has(cache, 5) && !has(cache, 2));
    put(cache, 6, (struct str){bytes, (uint32_t)(STILL_CACHE_BYTES + 1)});
    assert_true(!has(cache, 6) && has(cache, 1));
    put(cache, 7, (struct str){bytes, (uint32_t)STILL_CACHE_BYTES});
    assert_true(has(cache, 7) && !has(cache, 1) && !has(cache, 5));
    for (uint64_t i = 100; i < 100 + 2 * STILL_CACHE_ENTRIES; i++)
        put(cache, i, STR_LIT("x"));
    assert_true(has(cache, 99 + 2 * STILL_CACHE_ENTRIES) && has(cache, 100 + STILL_CACHE_ENTRIES) &&
                !has(cache, 99 + STILL_CACHE_ENTRIES));
    free(bytes);
    still_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_file_as_it_was), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
