/* The table of a run's life: the paths through it, and that no pair which can happen is a hole. */
#include "tests/unit/unit.h"

#include "worker/slot.h"

static enum slot_state walk(enum slot_state state, const enum slot_event *events, const enum slot_action *actions, int count)
{
    for (int i = 0; i < count; i++) {
        struct slot_step step = slot_step(state, events[i]);
        if (step.action != actions[i])
            fail_msg("state %s event %s: action %d, not %d", slot_state_name(state), slot_event_name(events[i]), step.action,
                     actions[i]);
        state = step.next;
    }
    return state;
}

#define WALK(from, events, actions) walk(from, events, actions, (int)(sizeof(events) / sizeof(events[0])))

static void test_plain_life(void **state)
{
    (void)state;
    const enum slot_event events[] = {SLOT_EV_ACCEPT, SLOT_EV_START, SLOT_EV_UP, SLOT_EV_DONE, SLOT_EV_ACK};
    const enum slot_action actions[] = {SLOT_NOTHING, SLOT_START, SLOT_NOTHING, SLOT_REPORT, SLOT_FREE};
    assert_int_equal(WALK(SLOT_ASSIGNED, events, actions), SLOT_GONE);
}

static void test_life_with_output(void **state)
{
    (void)state;
    const enum slot_event events[] = {SLOT_EV_ACCEPT, SLOT_EV_CHECK,  SLOT_EV_UP,    SLOT_EV_START, SLOT_EV_UP,   SLOT_EV_OUTPUT,
                                      SLOT_EV_UP,     SLOT_EV_OUTPUT, SLOT_EV_GRANT, SLOT_EV_UP,    SLOT_EV_DONE, SLOT_EV_ACK};
    const enum slot_action actions[] = {SLOT_NOTHING, SLOT_CHECK, SLOT_NOTHING, SLOT_START,   SLOT_NOTHING, SLOT_VERIFY,
                                        SLOT_NOTHING, SLOT_ASK,   SLOT_NAME,    SLOT_NOTHING, SLOT_REPORT,  SLOT_FREE};
    assert_int_equal(WALK(SLOT_ASSIGNED, events, actions), SLOT_GONE);
}

static void test_output_found(void **state)
{
    (void)state;
    const enum slot_event stands[] = {SLOT_EV_CHECK, SLOT_EV_DONE}, adopt[] = {SLOT_EV_CHECK, SLOT_EV_OUTPUT};
    const enum slot_action reports[] = {SLOT_CHECK, SLOT_REPORT}, asks[] = {SLOT_CHECK, SLOT_ASK};
    assert_int_equal(WALK(SLOT_ACCEPTED, stands, reports), SLOT_ENDED);
    assert_int_equal(WALK(SLOT_ACCEPTED, adopt, asks), SLOT_PUBLISHING);
}

/* What the worker cannot start goes back, and was no attempt that failed. */
static void test_unable(void **state)
{
    (void)state;
    const enum slot_event check[] = {SLOT_EV_CHECK, SLOT_EV_UNABLE}, start[] = {SLOT_EV_START, SLOT_EV_UNABLE};
    const enum slot_action checks[] = {SLOT_CHECK, SLOT_REJECT}, starts[] = {SLOT_START, SLOT_REJECT};
    assert_int_equal(WALK(SLOT_ACCEPTED, check, checks), SLOT_GONE);
    assert_int_equal(WALK(SLOT_ACCEPTED, start, starts), SLOT_GONE);
    assert_string_equal(slot_event_name(SLOT_EV_UNABLE), "unable");
}

/* The farm may cancel or take away a run at any time, and the worker may have to leave at any time. */
static void test_no_holes(void **state)
{
    (void)state;
    const enum slot_event any_time[] = {SLOT_EV_CANCEL, SLOT_EV_DROP, SLOT_EV_LEAVE};
    for (enum slot_state at = SLOT_ASSIGNED; at < SLOT_GONE; at++)
        for (int i = 0; i < 3; i++)
            assert_int_not_equal(slot_step(at, any_time[i]).action, SLOT_ILLEGAL);
    /* a process ends in some way; from every state that may have one, every end leads to a state */
    for (enum slot_state at = SLOT_ASSIGNED; at < SLOT_GONE; at++) {
        if (!slot_busy(at) || at == SLOT_PUBLISHING)
            continue;
        assert_int_not_equal(slot_step(at, SLOT_EV_BAD).action, SLOT_ILLEGAL);
        if (at != SLOT_RUNNING) /* it is up already */
            assert_int_not_equal(slot_step(at, SLOT_EV_UP).action, SLOT_ILLEGAL);
    }
    for (enum slot_event event = 0; event < SLOT_EVENTS; event++)
        assert_int_equal(slot_step(SLOT_GONE, event).action, SLOT_ILLEGAL);
}

/* A dropped run never reports; a cancelled one always does, as aborted; nothing leaves ENDED but an answer. */
static void test_what_must_not_be(void **state)
{
    (void)state;
    for (enum slot_event event = 0; event < SLOT_EVENTS; event++) {
        struct slot_step dropped = slot_step(SLOT_DROPPING, event), stopped = slot_step(SLOT_STOPPING, event);
        assert_true(dropped.next == SLOT_DROPPING || dropped.next == SLOT_GONE);
        assert_int_not_equal(dropped.action, SLOT_REPORT);
        assert_int_not_equal(dropped.action, SLOT_ABORT);
        assert_int_not_equal(stopped.action, SLOT_REPORT);
        assert_int_not_equal(stopped.action, SLOT_START);
        if (slot_step(SLOT_ENDED, event).next != SLOT_ENDED)
            assert_true(event == SLOT_EV_ACK || event == SLOT_EV_DROP);
    }
    /* the name is given once, and only for a grant */
    for (enum slot_state at = 0; at < SLOT_STATES; at++)
        for (enum slot_event event = 0; event < SLOT_EVENTS; event++)
            if (slot_step(at, event).action == SLOT_NAME)
                assert_true(at == SLOT_PUBLISHING && event == SLOT_EV_GRANT);
    /* a hole changes nothing */
    assert_int_equal(slot_step(SLOT_ASSIGNED, SLOT_EV_ACK).next, SLOT_ASSIGNED);
}

static void test_slots_held(void **state)
{
    (void)state;
    assert_false(slot_busy(SLOT_ASSIGNED) || slot_busy(SLOT_ACCEPTED) || slot_busy(SLOT_ENDED) || slot_busy(SLOT_GONE));
    assert_true(slot_busy(SLOT_CHECKING) && slot_busy(SLOT_RUNNING) && slot_busy(SLOT_PUBLISHING) && slot_busy(SLOT_DROPPING));
    assert_string_equal(slot_state_name(SLOT_GONE), "gone");
    assert_string_equal(slot_event_name(SLOT_EV_ACK), "ack");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_life), cmocka_unit_test(test_life_with_output), cmocka_unit_test(test_output_found),
        cmocka_unit_test(test_unable),     cmocka_unit_test(test_no_holes),         cmocka_unit_test(test_what_must_not_be),
        cmocka_unit_test(test_slots_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
