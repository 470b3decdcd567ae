/* How a worker drains and leaves: what it still says, what it waits for, and how long. */
#include "tests/unit/link_fixture.h"

/* The clock of loop and worker (tests/worker.cmake): a test may set it; then it goes by being looked at, however fast the machine is. */
static uint64_t set_to;
uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return set_to ? ++set_to : __real_clock_mono_ms();
}

static void test_drain(void **state)
{
    (void)state;
    assign(assignment(5, 1, until_let_go("echo done")));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    link_drain(session);
    UNTIL(has("REJECT:6/1"));
    assert_true(has("DRAIN"));
    assign(assignment(7, 1, "echo never"));
    UNTIL(has("REJECT:7/1"));
    let_go();
    UNTIL(heard.over);
    assert_int_equal(heard.over_err.code, 0);
    assert_true(strstr(heard.words, "RESULT:5/1") < strstr(heard.words, "BYE"));
    assert_string_equal(heard.result, "done");
}

static bool noticed;

static void on_line(void *self, const struct log_said *said)
{
    (void)self;
    noticed = noticed || strcmp(said->code, "GTY-WORKER-DOWN") == 0;
}

/* The farm is gone, and the worker knows. */
static void farm_closes(void)
{
    noticed = false;
    log_on_line(on_line, NULL);
    bus_server_free(farm);
    farm = NULL;
    UNTIL(noticed);
    log_on_line(NULL, NULL);
}

/* What goes back while there is no session is held until the farm has its REJECT: it costs the run nothing then. */
static void test_reject_unconnected(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    farm_closes();
    heard.words[0] = '\0';
    link_drain(session);
    farm_opens();
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 2);
    assign(assignment(6, 1, "echo never"));
    welcome();
    UNTIL(has("REJECT:6/1"));
    assert_string_equal(heard.reason, "the worker is draining");
    assert_false(has("ACCEPT:6/1"));
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(heard.over);
    assert_true(strstr(heard.words, "REJECT:6/1") < strstr(heard.words, "BYE"));
}

/* Nor does it make a worker that has nothing left to do wait for a farm that is gone. */
static void test_drain_unconnected(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    assign(assignment(6, 1, "echo never"));
    UNTIL(has("ACCEPT:6/1") && has("LOG:5/1"));
    farm_closes();
    link_drain(session);
    run_event(roster.first, SLOT_EV_DROP);
    UNTIL(heard.over); /* for the farm it would wait without end */
}

/* A lease that is on its way back is not taken again. */
static void test_given_back(void **state)
{
    (void)state;
    struct err err = {0};
    struct rec_assignment item = assignment(5, 1, "echo never");
    assert_int_equal(roster_assign(&roster, &item, &err), 0);
    run_event(roster.first, SLOT_EV_LEAVE);
    assert_int_equal(roster_assign(&roster, &item, &err), -1);
    assert_string_equal(err.text, "it was given back");
    item.attempt = 2;
    assert_int_equal(roster_assign(&roster, &item, &err), 0);
}

/* DRAIN may fall between HELLO and WELCOME, or be refused: it is said again until the worker goes. */
static void test_drain_again(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_PROTOCOL, .rule = STR_LIT("hello"), .text = STR_LIT("who are you")};
    assign(assignment(5, 1, "echo up; sleep 600; true"));
    UNTIL(has("LOG:5/1"));
    heard.words[0] = '\0';
    say(&shape_msg_error, &error);
    UNTIL(has("HELLO"));
    link_drain(session);
    assert_false(has("DRAIN"));
    welcome_beating(50);
    UNTIL(has("DRAIN"));
    heard.words[0] = '\0';
    UNTIL(has("HEARTBEAT") && has("DRAIN"));
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(heard.over);
}

static void test_leave(void **state)
{
    (void)state;
    assign(assignment(5, 1, "trap '' TERM; echo up; while :; do sleep 0.05; done"));
    UNTIL(has("LOG:5/1"));
    link_drain(session);
    link_leave(session, 500);
    UNTIL(heard.over);
    assert_true(has("BYE"));
    assert_false(has("RESULT"));
    assert_int_equal(marked_processes(mark), 0);
}

/* What has ended by itself is reported before the worker goes, however many lines stand before its result, and however slowly they are taken. */
static void test_leave_with_results(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "seq 1 5000; echo end"));
    UNTIL(roster.first && roster.first->state == SLOT_ENDED && has("LOG:5/1"));
    set_to = clock_mono_ms();
    link_drain(session);
    link_leave(session, 0);
    uint64_t last = 0;
    while (!has("RESULT:5/1")) {
        UNTIL(has("RESULT:5/1") || heard.log_last > last);
        assert_false(has("BYE"));
        last = heard.log_last;
        set_to += 1500;
        confirm_log(5, 1, last);
    }
    lease_message(&shape_msg_result_ack, 5, 1);
    UNTIL(heard.over);
    set_to = 0;
    assert_string_equal(heard.result, "end");
    assert_true(has("BYE"));
}

/* But not for ever, when nobody answers. */
static void test_leave_unheard(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "echo end"));
    UNTIL(has("RESULT:5/1"));
    uint64_t before = clock_mono_ms();
    link_leave(session, 0);
    UNTIL(heard.over);
    assert_true(clock_mono_ms() - before >= 1900);
    assert_true(has("BYE"));
}

/* A name that cannot be given for want of descriptors is the next attempt's to give. */
static void test_leave_between_processes(void **state)
{
    (void)state;
    struct rlimit before = starve();
    link_leave(session, 0);
    UNTIL(heard.over);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(has("RESULT"));
    assert_int_equal(access(heard.publish_temporary, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drain),
        TEST(test_reject_unconnected),
        TEST(test_drain_unconnected),
        TEST(test_given_back),
        TEST(test_drain_again),
        TEST(test_leave),
        TEST(test_leave_with_results),
        TEST(test_leave_unheard),
        TEST(test_leave_between_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
