/* The hash table against an array, with many removals. */
#include "tests/unit/unit.h"

#include "scheduler/index.h"

#define COUNT 3000

struct thing {
    uint64_t id;
    struct str name;
    char text[16];
    bool in;
};

static struct thing things[COUNT];

static void fill(struct index *index, bool text)
{
    index_init(index, text ? offsetof(struct thing, name) : offsetof(struct thing, id), text, 99);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct thing *thing = &things[i];
        thing->id = i * 64 + 1;
        snprintf(thing->text, sizeof thing->text, "name-%u", (unsigned)i);
        thing->name = str_of(thing->text);
        thing->in = true;
        assert_int_equal(index_reserve(index, 1), 0);
        index_add(index, thing);
    }
}

static void check(const struct index *index, bool text)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        void *found = text ? index_text(index, things[i].name) : index_id(index, things[i].id);
        assert_ptr_equal(found, things[i].in ? &things[i] : NULL);
        count += things[i].in;
    }
    assert_int_equal(index->count, count);
}

static void churn(bool text)
{
    struct index index;
    uint64_t state = 5;
    fill(&index, text);
    check(&index, text);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 500; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            struct thing *thing = &things[(state >> 33) % COUNT];
            if (thing->in) {
                index_remove(&index, thing);
            } else {
                assert_int_equal(index_reserve(&index, 1), 0);
                index_add(&index, thing);
            }
            thing->in = !thing->in;
        }
        check(&index, text);
    }
    assert_null(text ? index_text(&index, STR_LIT("nobody")) : index_id(&index, UINT64_MAX));
    index_free(&index);
}

static void test_ids(void **unused)
{
    (void)unused;
    churn(false);
}

static void test_texts(void **unused)
{
    (void)unused;
    churn(true);
}

static void test_empty(void **unused)
{
    (void)unused;
    struct index index;
    index_init(&index, offsetof(struct thing, id), false, 1);
    assert_null(index_id(&index, 1));
    index_remove(&index, &things[0]);
    index_free(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_texts), cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
