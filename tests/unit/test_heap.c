/* The heap against sorting, and taking out of its middle. */
#include "tests/unit/unit.h"

#include "scheduler/heap.h"

#define COUNT 2000

static uint64_t state = 7;

static uint64_t next(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return state >> 33;
}

static void test_order(void **unused)
{
    (void)unused;
    static struct heap_node nodes[COUNT];
    struct heap heap = {0};
    assert_int_equal(heap_reserve(&heap, COUNT), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        nodes[i] = (struct heap_node){.key = (int64_t)(next() % 50) - 25, .id = i};
        heap_push(&heap, &nodes[i]);
    }
    for (int i = 0; i < 500; i++) { /* any of them can leave, or move */
        struct heap_node *node = &nodes[next() % COUNT];
        if (i % 2 && node->place) {
            heap_remove(&heap, node);
            heap_remove(&heap, node);
        } else if (node->place) {
            node->key = (int64_t)(next() % 50) - 25;
            heap_moved(&heap, node);
        }
    }
    const struct heap_node *last = NULL;
    while (heap_top(&heap)) {
        struct heap_node *top = heap_top(&heap);
        if (last)
            assert_true(last->key < top->key || (last->key == top->key && last->id < top->id));
        heap_remove(&heap, top);
        assert_int_equal(top->place, 0);
        last = top;
    }
    heap_free(&heap);
}

/* How many stand before a node, against counting them all. */
static void test_count_before(void **unused)
{
    (void)unused;
    static struct heap_node nodes[COUNT];
    struct heap heap = {0};
    assert_int_equal(heap_reserve(&heap, COUNT), 0);
    for (uint32_t size = 0; size < COUNT; size++) {
        struct heap_node stranger = {.key = (int64_t)(next() % 50), .id = COUNT};
        const struct heap_node *of = size % 3 && size ? &nodes[next() % size] : &stranger;
        uint32_t before = 0;
        for (uint32_t i = 0; i < size; i++)
            before += heap_before(&nodes[i], of);
        assert_int_equal(heap_count_before(&heap, of, COUNT), before);
        assert_int_equal(heap_count_before(&heap, of, 7), before < 7 ? before : 7);
        nodes[size] = (struct heap_node){.key = (int64_t)(next() % 50), .id = size};
        heap_push(&heap, &nodes[size]);
    }
    heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_count_before)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
