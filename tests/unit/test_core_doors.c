/* What may come in by the workers' door: what workers say, and what clients ask where they may. A worker's key opens it, and is no more. */
#include "tests/unit/core_fixture.h"

#include "tests/unit/unit.h"

static const struct shape *shape_of(uint16_t id)
{
    for (size_t i = 0; i < messages_count; i++)
        if (messages_all[i]->id == id)
            return messages_all[i];
    return NULL;
}

/* Hands it over as the doors do; answers the code of the error that comes back, 0 for another answer or none. */
static uint64_t say(struct fixture *fixture, const struct msg *msg, const char *key)
{
    struct core_call call = {
        .from = {.door = DOOR_WORKERS, .peer = fixture_peer(7), .corr = msg->corr}, .msg = msg, .key = str_of(key)};
    core_handle(fixture->core, &call);
    fixture_settle(fixture);
    const struct msg *answer = fixture_answer(fixture, msg->corr);
    return answer && answer->shape->id == MSG_ERROR ? answer->u.error.code : 0;
}

/* Only what is marked so: pools, webhooks with their secrets, workers over REST and purges are the gateway's to ask for, which knows who asks. */
static void test_the_gateways_commands(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    unsigned seen = 0;
    fixture->config.clients = CLIENTS_ALWAYS;
    core_configure(fixture->core, &fixture->config);
    for (const struct core_route *route = core_routes; route->id; route++) {
        struct msg msg = {.shape = shape_of(route->id), .corr = ++fixture->corr};
        if (route->door != DOOR_COMMANDS)
            continue;
        assert_non_null(msg.shape);
        if (say(fixture, &msg, "a worker's key") != ERR_PROTOCOL)
            fail_msg("%s is taken from the workers' door", msg.shape->name);
        seen++;
    }
    assert_true(seen >= 25);
    fixture_free(fixture);
}

static uint64_t submit(struct fixture *fixture, const char *key)
{
    struct msg msg = {.shape = &shape_msg_run_submit, .corr = ++fixture->corr};
    msg.u.run_submit = (struct msg_run_submit){.idem = fixture_key(fixture), .spec = fixture_spec(NULL, "shell")};
    return say(fixture, &msg, key);
}

static void test_clients(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_hello(fixture, 1, "w", "b", "shell", 1, NULL, 0);
    assert_int_equal(submit(fixture, ""), 0);
    assert_int_equal(submit(fixture, "a worker's key"), ERR_FORBIDDEN);
    assert_true(str_is(fixture_answer(fixture, fixture->corr)->u.error.rule, "clients"));
    assert_int_equal(fixture->disk_count[TYPE_RUN], 1);
    fixture->config.clients = CLIENTS_ALWAYS;
    core_configure(fixture->core, &fixture->config);
    assert_int_equal(submit(fixture, "a worker's key"), 0);
    fixture->config.clients = CLIENTS_NEVER;
    core_configure(fixture->core, &fixture->config);
    assert_int_equal(submit(fixture, ""), ERR_FORBIDDEN);
    assert_int_equal(submit(fixture, "a worker's key"), ERR_FORBIDDEN);
    assert_int_equal(fixture->disk_count[TYPE_RUN], 2);
    /* Work goes on. */
    struct rec_lease lease = fixture_begin(fixture, 1);
    fixture_result(fixture, 1, lease, OUTCOME_COMPLETED);
    assert_non_null(fixture_take(fixture, 1, MSG_RESULT_ACK));
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_gateways_commands),
        cmocka_unit_test(test_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
