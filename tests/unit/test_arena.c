#include "unit.h"

#include <stdalign.h>

#include "proto/arena.h"

static void test_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);

    for (size_t size = 0; size < 300; size++) {
        unsigned char *at = arena_alloc(arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(at[i], 0);
            at[i] = 0xff;
        }
    }
    arena_reset(arena);
    for (size_t size = 0; size < 300; size++) { /* and again, in the memory of before */
        const unsigned char *at = arena_alloc(arena, size);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(at[i], 0);
        }
    }
    arena_free(arena);
}

static void test_limit(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1000);

    assert_null(arena_alloc(arena, 1001));
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_non_null(arena_alloc(arena, 1000)); /* a refusal costs nothing */
    assert_null(arena_alloc(arena, 1));
    arena_reset(arena);
    assert_non_null(arena_alloc(arena, 500));
    assert_null(arena_alloc(arena, 501));
    arena_free(arena);

    arena = arena_new(0);
    assert_null(arena_alloc(arena, 1));
    assert_non_null(arena_alloc(arena, 0));
    arena_free(arena);
}

static void test_large_blocks(void **state)
{
    (void)state;
    struct arena *arena = arena_new((size_t)64 << 20);
    unsigned char *small = arena_alloc(arena, 10);
    unsigned char *large = arena_alloc(arena, (size_t)8 << 20);

    assert_non_null(small);
    assert_non_null(large);
    memset(large, 1, (size_t)8 << 20);
    assert_int_equal(small[9], 0);
    arena_reset(arena);
    for (int i = 0; i < 1000; i++) {
        assert_non_null(arena_alloc(arena, 60000));
    }
    assert_null(arena_alloc(arena, (size_t)8 << 20));
    arena_free(arena);
}

static void test_text(void **state)
{
    (void)state;
    struct arena *arena = arena_new(64);
    struct str copy = arena_str(arena, STR_LIT("hello"));

    assert_true(str_is(copy, "hello"));
    assert_string_equal(copy.ptr, "hello");
    copy = arena_str(arena, (struct str){NULL, 0});
    assert_non_null(copy.ptr);
    assert_string_equal(copy.ptr, "");
    assert_null(arena_str(arena, str_of("a text that is far longer than what is left of sixty-four bytes")).ptr);
    arena_free(arena);
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed_and_aligned),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
