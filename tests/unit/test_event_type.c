/* Sets of events' types. */
#include "tests/unit/unit.h"

#include "gateway/event_type.h"

static bool has(const char *word, const char *type)
{
    uint64_t types = 0;
    assert_true(event_types_add(&types, str_of(word)));
    return types & event_type_bit(str_of(type));
}

static void words_become_sets(void **state)
{
    uint64_t types = 0;
    (void)state;

    assert_true(has("task.failed", "task.failed"));
    assert_false(has("task.failed", "task.completed"));
    assert_true(has("task.*", "task.deleted"));
    assert_false(has("task.*", "run.started"));
    assert_true(has("worker.*", "worker.registered"));
    assert_true(has("*", "system.health_check"));
    static const char *const wrong[] = {"", "task", "task.", ".*", "tas*", "task.explode", "task.*x", "**", "webhook.ping"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(event_types_add(&types, str_of(wrong[i])));
    assert_int_equal(types, 0);
}

/* Neither heartbeats nor pings come with a set; the first are had by name. */
static void some_are_had_by_name_only(void **state)
{
    static const char *const words[] = {"*", "worker.*"};
    (void)state;

    for (size_t i = 0; i < 2; i++)
        assert_false(has(words[i], EVENT_HEARTBEAT));
    assert_true(has(EVENT_HEARTBEAT, EVENT_HEARTBEAT));
    assert_false(event_types_default() & event_type_bit(STR_LIT(EVENT_HEARTBEAT)));
    assert_false(event_types_default() & event_type_bit(STR_LIT("webhook.ping")));
    assert_true(event_types_default() & event_type_bit(STR_LIT("of.later")));
    assert_true(event_types_beat(event_type_bit(STR_LIT(EVENT_HEARTBEAT))));
    assert_false(event_types_beat(event_types_default()));
}

static void every_type_is_known(void **state)
{
    const char *name;
    unsigned count = 0;
    uint64_t seen = 0;
    (void)state;

    for (; (name = event_type_name(count)); count++) {
        uint64_t bit = event_type_bit(str_of(name));
        assert_false(seen & bit);
        seen |= bit;
        assert_non_null(strstr(event_types_known(), name));
    }
    assert_in_range(count, 10, 60);
    assert_int_equal(event_types_of(&(struct str_list){0}), event_types_default());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_become_sets), cmocka_unit_test(some_are_had_by_name_only),
                                       cmocka_unit_test(every_type_is_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
