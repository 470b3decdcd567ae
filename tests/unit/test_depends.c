/* Dependencies as they are shown: the names of now, ids where a name would not do. */
#include "unit.h"

#include "proto/depends.h"

static bool name_of(void *self, uint64_t id, struct str *name)
{
    const char *const *names = self; /* of the tasks 1, 2, …; NULL: deleted */
    if (id > 4 || !names[id - 1])
        return false;
    *name = str_of(names[id - 1]);
    return true;
}

struct shown {
    struct rec_task_spec spec;
    bool changed;
    int rc;
};

static struct shown show(struct arena *arena, const char *const *typed, uint32_t typed_count, uint64_t *ids, uint64_t *whens,
                         uint32_t count, const char *const *names)
{
    static struct str items[8];
    struct shown shown = {.spec = {.dependencies = {items, typed_count}, .dependency_conditions = STR_LIT("\x80")}};
    const struct uint_list id_list = {ids, count}, when_list = {whens, whens ? count : 0};
    const struct depends_names lookup = {name_of, (void *)(uintptr_t)names};
    for (uint32_t i = 0; i < typed_count; i++)
        items[i] = str_of(typed[i]);
    shown.rc = depends_show(arena, &shown.spec, &id_list, &when_list, &lookup, &shown.changed);
    return shown;
}

static void expect(const struct shown *shown, const char *const *texts)
{
    assert_int_equal(shown->rc, 0);
    for (uint32_t i = 0; i < shown->spec.dependencies.count; i++) {
        assert_non_null(texts[i]);
        if (!str_is(shown->spec.dependencies.items[i], texts[i]))
            fail_msg("%u: %.*s is not %s", i, (int)shown->spec.dependencies.items[i].len, shown->spec.dependencies.items[i].ptr,
                     texts[i]);
    }
    assert_null(texts[shown->spec.dependencies.count]);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_names(void **unused)
{
    (void)unused;
    struct arena *arena = arena_new(1 << 16);
    uint64_t ids[] = {1, 2, 3, 4};
    struct shown shown = show(arena, TEXTS("a", "b", "3", "d"), 4, ids, NULL, 4, TEXTS("a", "b", "c", "d"));
    assert_false(shown.changed);
    expect(&shown, TEXTS("a", "b", "3", "d"));
    assert_true(str_is(shown.spec.dependency_conditions, "\x80"));
    /* Another name; one that was typed as an id; a name that reads as an id; one that was deleted. */
    shown = show(arena, TEXTS("a", "0003", "c", "d"), 4, (uint64_t[]){1, 3, 2, 4}, NULL, 4, TEXTS("new a", "17", "c", NULL));
    assert_true(shown.changed);
    expect(&shown, TEXTS("new a", "0003", "2", "4"));
    /* A task that is called by the number of another one. */
    shown = show(arena, TEXTS("2"), 1, ids, NULL, 1, TEXTS("2", "b", "c", "d"));
    expect(&shown, TEXTS("1"));
    arena_free(arena);
}

/* What was typed twice is there once, so the places differ. */
static void test_typed_twice(void **unused)
{
    (void)unused;
    struct arena *arena = arena_new(1 << 16);
    uint64_t ids[] = {1, 2, 3};
    struct shown shown = show(arena, TEXTS("a", "a", "b", "3", "c"), 5, ids, NULL, 3, TEXTS("x", "y", "z", "d"));
    assert_true(shown.changed);
    expect(&shown, TEXTS("x", "y", "3"));
    shown = show(arena, TEXTS("a"), 1, ids, NULL, 0, TEXTS("a", "b", "c", "d"));
    assert_false(shown.changed);
    expect(&shown, TEXTS("a"));
    arena_free(arena);
}

static void test_conditions(void **unused)
{
    (void)unused;
    struct arena *arena = arena_new(1 << 16);
    uint64_t ids[] = {1, 2, 3, 4}, whens[] = {2, 0, 3, 1};
    struct shown shown = show(arena, TEXTS("a", "b", "3", "d"), 4, ids, whens, 4, TEXTS("one", "two", "three", NULL));
    struct str word;
    struct token token;
    assert_true(shown.changed);
    expect(&shown, TEXTS("one", "two", "3", "4"));
    assert_true(map_valid(shown.spec.dependency_conditions));
    assert_true(map_text(shown.spec.dependency_conditions, STR_LIT("one"), &word) && str_is(word, "failure"));
    assert_false(map_find(shown.spec.dependency_conditions, "two", &token));
    assert_true(map_text(shown.spec.dependency_conditions, STR_LIT("3"), &word) && str_is(word, "any"));
    assert_true(map_text(shown.spec.dependency_conditions, STR_LIT("4"), &word) && str_is(word, "success"));
    whens[0] = 99; /* of a later version */
    shown = show(arena, TEXTS("a", "b", "3", "d"), 4, ids, whens, 4, TEXTS("one", "two", "three", NULL));
    assert_int_equal(shown.rc, 0);
    assert_false(map_find(shown.spec.dependency_conditions, "one", &token));
    arena_free(arena);
}

static void test_no_room(void **unused)
{
    (void)unused;
    uint64_t ids[] = {1, 2, 3, 4}, whens[] = {2, 0, 3, 1};
    bool done = false;
    for (size_t limit = 1; !done; limit += 16) {
        struct arena *arena = arena_new(limit);
        if (!arena)
            continue;
        struct shown shown = show(arena, TEXTS("a", "b", "c", "d"), 4, ids, whens, 4, TEXTS("one", "two", "three", NULL));
        done = shown.rc == 0;
        if (!done)
            assert_true(str_is(shown.spec.dependencies.items[0], "a") && str_is(shown.spec.dependency_conditions, "\x80"));
        arena_free(arena);
    }
}

static void test_number(void **unused)
{
    (void)unused;
    assert_int_equal(depends_number(STR_LIT("12")), 12);
    assert_int_equal(depends_number(STR_LIT("999999999999999999")), 999999999999999999);
    assert_int_equal(depends_number(STR_LIT("1000000000000000000")), 0);
    assert_int_equal(depends_number(STR_LIT("")), 0);
    assert_int_equal(depends_number(STR_LIT("0")), 0);
    assert_int_equal(depends_number(STR_LIT("1a")), 0);
    assert_int_equal(depends_number(STR_LIT("-1")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_typed_twice), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_no_room), cmocka_unit_test(test_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
