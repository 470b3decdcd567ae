/* The worker's session against a farm whose every step is the test's. Runs are real processes. */
#include "tests/unit/link_fixture.h"

/* Every message that the table sends to workers has a row. */
static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        bool row = false;
        if (shape->to != PARTY_WORKER)
            continue;
        for (const struct worker_route *route = link_routes; route->id; route++)
            row = row || route->id == shape->id;
        if (!row)
            fail_msg("%s has no row", shape->name);
    }
}

static void test_plain(void **state)
{
    (void)state;
    char path[PATH_MAX + 8];
    assign(assignment(5, 1, "echo percent=20 >&3; echo one; echo two"));
    UNTIL(has("RESULT:5/1"));
    UNTIL(roster.count == 0);
    const char *log = strstr(heard.words, "LOG:5/1"), *accept = strstr(heard.words, "ACCEPT:5/1"),
               *result = strstr(heard.words, "RESULT:5/1");
    assert_true(accept && log && accept < log && log < result);
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_string_equal(heard.result, "two");
    snprintf(path, sizeof(path), "%s/5-1", home.runs);
    assert_int_equal(access(path, F_OK), -1); /* its folder goes with the acknowledgement */
}

static void test_progress(void **state)
{
    (void)state;
    assign(assignment(5, 1, "echo percent=20 >&3; echo percent=30 >&3; while [ ! -e $HOME/go ]; do sleep 0.02; done"));
    UNTIL(has("PROGRESS"));
    assert_true(heard.percent > 29 && heard.percent < 31);
    lease_message(&shape_msg_cancel, 5, 1);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_ABORTED);
    lease_message(&shape_msg_cancel, 5, 1); /* may come again */
    UNTIL(roster.count == 0);
}

/* What was not confirmed is said again in the next session: lines first, then the result. */
static void test_new_session(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "echo line"));
    UNTIL(has("RESULT:5/1"));
    bus_server_free(farm);
    farm = NULL;
    heard.words[0] = '\0';
    farm_opens();
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 1);
    assert_false(has("RESULT"));
    heard.acks = true;
    welcome();
    UNTIL(has("RESULT:5/1"));
    assert_true(strstr(heard.words, "LOG:5/1") < strstr(heard.words, "RESULT:5/1"));
    assert_int_equal(heard.log_first, 1);
    UNTIL(roster.count == 0);
}

/* One LOG of a run is under way at a time; the result follows when all are out; lines that no one confirmed outlive the result. */
static void test_log_in_order(void **state)
{
    (void)state;
    heard.acks = false;
    assign(assignment(5, 1, "i=0; while [ $i -lt 1500 ]; do echo $i; i=$((i+1)); done"));
    UNTIL(roster.first && roster.first->state == SLOT_ENDED && has("LOG:5/1"));
    assert_false(has("RESULT"));
    UNTIL(strstr(strstr(heard.words, "LOG:5/1") + 1, "LOG:5/1")); /* the same again */
    assert_int_equal(heard.log_first, 1);
    uint64_t rounds = 0;
    while (!has("RESULT")) {
        uint64_t last = heard.log_last;
        assert_true(++rounds < 1000);
        confirm_log(5, 1, last);
        UNTIL(has("RESULT") || heard.log_last > last);
    }
    assert_int_equal(heard.log_last, 1500);
    lease_message(&shape_msg_result_ack, 5, 1);
    heard.words[0] = '\0';
    UNTIL(has("LOG:5/1"));
    assert_int_equal(roster.count, 1);
    confirm_log(5, 1, 1500);
    UNTIL(roster.count == 0);
}

/* The scheduler forgot the session while the connection stood. */
static void test_hello_again(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_PROTOCOL, .rule = STR_LIT("hello"), .text = STR_LIT("who are you")};
    UNTIL(has("HELLO"));
    assign(assignment(5, 1, "sleep 600; true"));
    UNTIL(has("ACCEPT:5/1"));
    heard.words[0] = '\0';
    say(&shape_msg_error, &error);
    UNTIL(has("HELLO"));
    assert_int_equal(heard.hello_held, 1);
    struct rec_lease lease = {.run_id = 5, .attempt = 1};
    struct msg_welcome message = {.worker_id = 1,
                                  .name = STR_LIT("worker-001"),
                                  .protocol = 1,
                                  .heartbeat_ms = 60000,
                                  .lease_ms = 30000,
                                  .drop = {&lease, 1}};
    say(&shape_msg_welcome, &message);
    UNTIL(roster.count == 0);
    assert_false(has("RESULT"));
    wait_marked(mark, 0);
}

/* An older farm: what it answers is no reason to begin anew, and lines are not sent to it again in this session. */
static void test_a_farm_without_log_lines(void **state)
{
    (void)state;
    const struct rec_log_entry entry = {.service = STR_LIT("worker"), .text = STR_LIT("line")};
    struct ship *ship = ship_new(loop);
    assert_non_null(ship);
    link_ship(session, ship);
    ship_put(ship, &entry);
    uint64_t unsent = log_counts().unsent;
    UNTIL((ship_flush(ship), log_counts().unsent > unsent)); /* the answer has come */
    heard.words[0] = '\0';
    assign(assignment(5, 1, "echo line"));
    UNTIL(has("RESULT:5/1"));
    assert_false(has("HELLO"));
    ship_put(ship, &entry); /* counted, not sent */
    assert_int_equal(log_counts().unsent, unsent + 2);
    link_ship(session, NULL);
    ship_free(ship);
}

static void test_superseded(void **state)
{
    (void)state;
    struct msg_error error = {.code = ERR_CONFLICT, .rule = STR_LIT("superseded"), .text = STR_LIT("a newer one stands")};
    say(&shape_msg_error, &error);
    UNTIL(heard.over);
    assert_non_null(strstr(heard.over_err.text, "a newer one stands"));
}

static void test_refused(void **state)
{
    (void)state;
    assign(assignment(5, 1, "trap '' TERM; echo up; setsid sleep 600 & sleep 600; sleep 600"));
    UNTIL(has("LOG:5/1"));
    heard.words[0] = '\0';
    lease_message(&shape_msg_refused, 5, 1);
    UNTIL(roster.count == 0);
    assert_int_equal(marked_processes(mark), 0);
    assert_false(has("5/1"));
}

/* A newer attempt ends the older one, and begins only when that is gone. */
static void test_newer_attempt(void **state)
{
    (void)state;
    assign(assignment(5, 1, "sleep 600; true"));
    UNTIL(roster_processes(&roster) == 1 && marked_processes(mark) > 0);
    assign(assignment(5, 2, "echo second"));
    UNTIL(has("RESULT:5/2"));
    assert_false(has("RESULT:5/1"));
    assert_string_equal(heard.result, "second");
    heard.words[0] = '\0';
    assign(assignment(6, 2, "sleep 600; true"));
    UNTIL(has("ACCEPT:6/2"));
    assign(assignment(6, 1, "echo older")); /* came late */
    UNTIL(has("REJECT:6/1"));
    lease_message(&shape_msg_cancel, 6, 2);
    UNTIL(has("RESULT:6/2"));
}

static void test_repeated_assign(void **state)
{
    (void)state;
    const char *script = until_let_go("echo once");
    assign(assignment(5, 1, script));
    UNTIL(has("ACCEPT:5/1"));
    assign(assignment(5, 1, script));
    UNTIL(strstr(strstr(heard.words, "ACCEPT:5/1") + 1, "ACCEPT:5/1"));
    let_go();
    UNTIL(has("RESULT:5/1"));
    UNTIL(roster.count == 0);
    assert_null(strstr(strstr(heard.words, "RESULT:5/1") + 1, "RESULT:5/1"));
}

static void test_failures(void **state)
{
    (void)state;
    struct rec_assignment item = assignment(5, 1, "true");
    item.spec.executor = STR_LIT("cobol");
    assign(item);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "cobol"));
    assign(assignment(6, 1, "echo why >&2; exit 7"));
    UNTIL(has("RESULT:6/1"));
    assert_string_equal(heard.error, "exit code 7: why");
    item = assignment(7, 1, "true");
    item.spec.run_as = STR_LIT("daemon");
    SET_HAS(&item.spec, rec_task_spec, run_as);
    assign(item);
    UNTIL(has("RESULT:7/1"));
    assert_non_null(strstr(heard.error, "worker.run_as"));
    item = assignment(8, 1, "sleep 600; true");
    item.timeout_seconds = 1;
    assign(item);
    UNTIL(has("RESULT:8/1"));
    assert_int_equal(heard.outcome, OUTCOME_TIMEOUT);
    assert_string_equal(heard.error, "timeout: it ran for its limit of 1 s");
    assign(assignment(9, 1, "kill -9 $$"));
    UNTIL(has("RESULT:9/1"));
    assert_non_null(strstr(heard.error, "killed by signal 9"));
    item = assignment(10, 1, "while :; do :; done");
    item.spec.limits.cpu_seconds = 1;
    SET_HAS(&item.spec, rec_task_spec, limits);
    assign(item);
    UNTIL(has("RESULT:10/1"));
    assert_non_null(strstr(heard.error, "CPU limit"));
    item = assignment(11, 1, "true");
    item.spec.cwd = STR_LIT("/no/such");
    SET_HAS(&item.spec, rec_task_spec, cwd);
    assign(item);
    UNTIL(has("RESULT:11/1"));
    assert_non_null(strstr(heard.error, "working folder /no/such"));
}

/* ---- outputs ---- */

static void test_publish(void **state)
{
    (void)state;
    struct msg_publish_grant grant = {.run_id = 5, .attempt = 1};
    assign_output(5, 1, "printf content > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:5/1"));
    assert_int_equal(heard.publish_size, 7);
    assert_int_equal(access(final, F_OK), -1); /* not before the grant */
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:5/1"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_int_equal(access(final, F_OK), 0);
    assert_int_equal(access(heard.publish_temporary, F_OK), -1);
    say(&shape_msg_publish_grant, &grant); /* late repeats do nothing */
    /* another run's output of the same name */
    assign_output(6, 1, "printf x > $GANTRY_OUTPUT", NULL);
    UNTIL(has("RESULT:6/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "is there already"));
}

static void test_publish_failures(void **state)
{
    (void)state;
    assign_output(5, 1, "true", NULL);
    UNTIL(has("RESULT:5/1"));
    assert_non_null(strstr(heard.error, "did not write its output"));
    /* a failed run leaves no half of a file */
    assign_output(6, 1, "printf half > $GANTRY_OUTPUT; echo $GANTRY_OUTPUT; exit 1", NULL);
    UNTIL(has("RESULT:6/1"));
    char temporary[PATH_MAX + 32];
    snprintf(temporary, sizeof(temporary), "%s/.gantry-6-1.out.txt", folder);
    assert_int_equal(access(temporary, F_OK), -1);
    /* nor a folder, whatever is in it; what a link in it names stays */
    assign_output(8, 1,
                  "mkdir -p $GANTRY_OUTPUT/a/b && touch $GANTRY_OUTPUT/a/b/c && mkdir ${GANTRY_OUTPUT%/*}/kept && "
                  "ln -s ../kept $GANTRY_OUTPUT/link",
                  NULL);
    UNTIL(has("RESULT:8/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    snprintf(temporary, sizeof(temporary), "%s/.gantry-8-1.out.txt", folder);
    assert_int_equal(access(temporary, F_OK), -1);
    snprintf(temporary, sizeof(temporary), "%s/kept", folder);
    assert_int_equal(access(temporary, F_OK), 0);
    /* somebody else's file comes to be while the run goes on */
    assign_output(7, 1, "printf mine > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:7/1"));
    unit_write(final, "theirs");
    struct msg_publish_grant grant = {.run_id = 7, .attempt = 1};
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:7/1"));
    assert_int_equal(heard.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(heard.error, "not this run's"));
    assert_int_equal(access(heard.publish_temporary, F_OK), -1);
}

/* A later attempt may take over what was asked to be published, unless the farm says that none will. */
static void test_publish_refused(void **state)
{
    (void)state;
    struct rec_lease lease = {.run_id = 5, .attempt = 1, .reason = STR_LIT("not yours any more")};
    struct msg_refused refused = {.leases = {&lease, 1}};
    assign_output(5, 1, "printf kept > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:5/1"));
    say(&shape_msg_refused, &refused);
    UNTIL(!roster_find(&roster, 5, 1));
    assert_int_equal(access(heard.publish_temporary, F_OK), 0);
    assign_output(6, 1, "printf spent > $GANTRY_OUTPUT", NULL);
    UNTIL(has("PUBLISH:6/1"));
    assert_int_equal(access(heard.publish_temporary, F_OK), 0);
    lease.run_id = 6;
    lease.spent = true;
    say(&shape_msg_refused, &refused);
    UNTIL(!roster_find(&roster, 6, 1));
    assert_int_equal(access(heard.publish_temporary, F_OK), -1);
}

/* An attempt whose predecessor had a grant: with its temporary file complete, and then with the final one. */
static void test_publish_found(void **state)
{
    (void)state;
    struct err err = {0};
    struct publish_file file;
    char temporary[PATH_MAX];
    snprintf(final, sizeof(final), "%s/out.txt", folder);
    snprintf(temporary, sizeof(temporary), "%s/.gantry-5-1.out.txt", folder);
    unit_write(temporary, "complete");
    assert_int_equal(publish_verify(temporary, &file, &err), 0);
    struct rec_published known = {.attempt = 1,
                                  .path = str_of(final),
                                  .temporary = str_of(temporary),
                                  .size = file.size,
                                  .hash = {(char *)file.hash, PUBLISH_HASH}};
    assign_output(5, 2, "echo it ran; exit 1", &known);
    UNTIL(has("PUBLISH:5/2"));
    assert_string_equal(heard.publish_temporary, temporary);
    struct msg_publish_grant grant = {.run_id = 5, .attempt = 2};
    say(&shape_msg_publish_grant, &grant);
    UNTIL(has("RESULT:5/2"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_int_equal(access(final, F_OK), 0);
    assign_output(5, 3, "echo it ran; exit 1", &known);
    UNTIL(has("RESULT:5/3"));
    assert_int_equal(heard.outcome, OUTCOME_COMPLETED);
    assert_false(has("PUBLISH:5/3"));
}

/* What is taken away between two of its processes holds its slot no longer: there is no end to wait for. */
static void test_dropped_between_processes(void **state)
{
    (void)state;
    struct rlimit before = starve();
    lease_message(&shape_msg_refused, 5, 1);
    UNTIL(roster.count == 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(has("RESULT"));
    assign(assignment(6, 1, "echo next"));
    UNTIL(has("RESULT:6/1"));
}

/* A worker at work learns how often it is to report when that changes. */
static void test_heartbeat_changes(void **state)
{
    (void)state;
    struct msg_heartbeat_ack ack = {.heartbeat_ms = 50}, same = {0};
    say(&shape_msg_heartbeat_ack, &ack);
    UNTIL(has("HEARTBEAT HEARTBEAT HEARTBEAT"));
    say(&shape_msg_heartbeat_ack, &same);
    heard.words[0] = '\0';
    UNTIL(has("HEARTBEAT HEARTBEAT HEARTBEAT"));
}

/* The time to KILL has changed by a reload: the farm's backstop has to know. */
static void test_grace_changes(void **state)
{
    (void)state;
    struct msg_heartbeat_ack ack = {.heartbeat_ms = 50};
    say(&shape_msg_heartbeat_ack, &ack);
    UNTIL(heard.beat_grace == 10000);
    roster.context.grace_ms = 120000;
    UNTIL(heard.beat_grace == 120000);
}

/* ---- credit ---- */

static void test_credit(void **state)
{
    (void)state;
    assert_int_equal(heard.hello_credit, 1);
    for (uint64_t run = 100; run < 110 || (heard.beat_credit <= 1 && run < 190); run++) { /* one of them may have taken long */
        char name[32];
        assign(assignment(run, 1, "true"));
        snprintf(name, sizeof(name), "RESULT:%lu/1", run);
        UNTIL(has(name));
    }
    UNTIL(heard.beat_credit > 1); /* short runs: more of them ahead */
    assign(assignment(200, 1, "sleep 600; true"));
    assign(assignment(201, 1, "true"));
    UNTIL(has("REJECT:201/1")); /* asked for ahead, and now in the way */
    UNTIL(heard.beat_credit == 1);
    assert_non_null(strstr(heard.reason, "longer runs"));
    lease_message(&shape_msg_cancel, 200, 1);
    UNTIL(has("RESULT:200/1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes), TEST(test_plain),           TEST(test_progress),      TEST(test_new_session),
        TEST(test_log_in_order),       TEST(test_hello_again),     TEST(test_superseded),    TEST(test_refused),
        TEST(test_newer_attempt),      TEST(test_repeated_assign), TEST(test_failures),      TEST(test_publish),
        TEST(test_publish_failures),   TEST(test_publish_refused), TEST(test_publish_found), TEST(test_dropped_between_processes),
        TEST(test_heartbeat_changes),  TEST(test_grace_changes),   TEST(test_credit),        TEST(test_a_farm_without_log_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
