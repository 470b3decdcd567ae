/* Webhooks in the core: commands, the claim, reports, backoff, what is kept, and a rebuild. */
#include "tests/unit/core_fixture.h"
#include "tests/unit/unit.h"

#include "scheduler/core_state.h"
#include "scheduler/webhook.h"

static uint64_t make(struct fixture *fixture)
{
    struct msg_webhook_create create = {.idem = fixture_key(fixture), .ident = STR_LIT("abc")};
    create.spec.url = STR_LIT("http://example.com/hook");
    create.spec.secret = STR_LIT("whsec_x");
    SET_HAS(&create.spec, rec_webhook_spec, url);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_webhook_create, &create);
    assert_int_equal(answer->shape->id, MSG_WEBHOOK_ANSWER);
    assert_true(answer->u.webhook_answer.webhook.spec.active);
    return answer->u.webhook_answer.webhook.id;
}

static const struct msg_webhook_work *claim(struct fixture *fixture, const char *boot, uint64_t version)
{
    struct msg_webhook_claim message = {.boot = str_of(boot), .version = version};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_webhook_claim, &message);
    assert_int_equal(answer->shape->id, MSG_WEBHOOK_WORK);
    return &answer->u.webhook_work;
}

/* Reports one result; answers the error's rule, "" when it was taken. */
static const char *report(struct fixture *fixture, const char *boot, struct rec_webhook_report row)
{
    struct msg_webhook_report message = {.boot = str_of(boot), .reports = {&row, 1}};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_webhook_report, &message);
    static char rule[65];
    rule[0] = '\0';
    if (answer->shape->id == MSG_ERROR)
        str_copy(rule, sizeof rule, answer->u.error.rule);
    else
        assert_int_equal(answer->shape->id, MSG_WEBHOOK_REPORTED);
    return rule;
}

static struct rec_delivery_result fresh(uint64_t event, bool arrived)
{
    struct rec_delivery_result result = {
        .event = {.id = event, .type = STR_LIT("task.created"), .at = 5}, .arrived = arrived, .code = 500};
    SET_HAS(&result, rec_delivery_result, event);
    return result;
}

static void test_commands(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    fixture_task(fixture, "before", "shell");
    uint64_t id = make(fixture);
    struct rec_webhook stored;
    assert_true(fixture_stored(fixture, TYPE_WEBHOOK, id, &stored));
    assert_int_equal(stored.cursor, fixture->disk_count[TYPE_EVENT]); /* what was before is none of its */
    struct msg_webhook_update update = {.idem = fixture_key(fixture), .id = id};
    update.spec.description = STR_LIT("words");
    SET_HAS(&update.spec, rec_webhook_spec, description);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_webhook_update, &update);
    assert_true(str_is(answer->u.webhook_answer.webhook.spec.description, "words"));
    assert_true(str_is(answer->u.webhook_answer.webhook.spec.url, "http://example.com/hook"));
    update = (struct msg_webhook_update){.idem = fixture_key(fixture), .id = 99};
    assert_int_equal(fixture_ask(fixture, &shape_msg_webhook_update, &update)->u.error.code, ERR_NOT_FOUND);
    struct msg_webhook_delete delete = {.idem = fixture_key(fixture), .id = id};
    assert_int_equal(fixture_ask(fixture, &shape_msg_webhook_delete, &delete)->shape->id, MSG_DONE);
    assert_false(fixture_stored(fixture, TYPE_WEBHOOK, id, &stored));
    fixture->config.webhooks_max = 1;
    fixture_rebuild(fixture);
    make(fixture);
    struct msg_webhook_create more = {.idem = fixture_key(fixture), .ident = STR_LIT("x")};
    more.spec = (struct rec_webhook_spec){.url = STR_LIT("http://b"), .secret = STR_LIT("s")};
    SET_HAS(&more.spec, rec_webhook_spec, url);
    assert_int_equal(fixture_ask(fixture, &shape_msg_webhook_create, &more)->u.error.code, ERR_LIMIT);
    fixture_free(fixture);
}

static void test_claim(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = make(fixture);
    const struct msg_webhook_work *work = claim(fixture, "one", 0);
    assert_true(work->granted);
    assert_int_equal(work->webhooks.count, 1);
    assert_int_equal(work->webhooks.items[0].id, id);
    uint64_t version = work->version;
    assert_int_equal(claim(fixture, "one", version)->webhooks.count, 0); /* it knows them */
    assert_false(claim(fixture, "two", 0)->granted);
    make(fixture);
    assert_int_equal(claim(fixture, "one", version)->webhooks.count, 2);
    fixture_wait(fixture, WEBHOOK_CLAIM_MS + 1);
    assert_true(claim(fixture, "two", 0)->granted);
    assert_false(claim(fixture, "one", 0)->granted);
    struct msg_webhook_claim release = {.boot = STR_LIT("two"), .release = true};
    fixture_ask(fixture, &shape_msg_webhook_claim, &release);
    assert_true(claim(fixture, "one", 0)->granted);
    fixture->wall++;
    fixture_rebuild(fixture); /* the claim is in memory only; who knows the webhooks of before must ask anew */
    assert_int_equal(claim(fixture, "two", version)->webhooks.count, 2);
    fixture_free(fixture);
}

static void test_reports(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = make(fixture);
    struct rec_delivery_result results[] = {fresh(1, true), fresh(2, false)};
    struct rec_webhook_report row = {.webhook_id = id, .to = 2, .results = {results, 2}};
    assert_string_equal(report(fixture, "one", row), "claim"); /* it does not hold it */
    assert_int_equal(fixture->disk_count[TYPE_DELIVERY], 0);
    claim(fixture, "one", 0);
    assert_string_equal(report(fixture, "one", row), "");
    struct rec_delivery delivery;
    assert_true(fixture_stored(fixture, TYPE_DELIVERY, 1, &delivery));
    assert_int_equal(delivery.status, DELIVERY_DELIVERED);
    assert_int_equal(delivery.next_at, 0);
    assert_true(fixture_stored(fixture, TYPE_DELIVERY, 2, &delivery));
    assert_int_equal(delivery.status, DELIVERY_PENDING);
    assert_in_range(delivery.next_at, fixture->wall + 4500, fixture->wall + 5500);
    struct rec_webhook stored;
    assert_true(fixture_stored(fixture, TYPE_WEBHOOK, id, &stored));
    assert_int_equal(stored.cursor, 2);
    assert_int_equal(stored.delivered, 1);
    assert_int_equal(stored.pending, 1);
    /* The same once more, as after a lost answer: the cursor is elsewhere, nothing is counted twice. */
    assert_string_equal(report(fixture, "one", row), "claim");
    assert_int_equal(fixture->disk_count[TYPE_DELIVERY], 2);
    fixture_free(fixture);
}

/* Each try that fails is tried again later, and at last given up. */
static void test_backoff(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = make(fixture), waited = 0;
    fixture_task(fixture, "an event", "shell");
    claim(fixture, "one", 0);
    struct rec_delivery_result first = fresh(1, false);
    assert_string_equal(report(fixture, "one", (struct rec_webhook_report){.webhook_id = id, .to = 1, .results = {&first, 1}}),
                        "");
    struct rec_delivery delivery;
    uint64_t tries = 1;
    for (;; tries++) {
        assert_true(fixture_stored(fixture, TYPE_DELIVERY, 1, &delivery));
        assert_int_equal(delivery.attempts, tries);
        if (delivery.status != DELIVERY_PENDING)
            break;
        assert_true(delivery.next_at > fixture->wall);
        waited += delivery.next_at - fixture->wall;
        fixture_jump(fixture, delivery.next_at - fixture->wall);
        fixture_rebuild(fixture);
        claim(fixture, "one", 0);
        struct rec_delivery_result again = {.delivery = delivery, .error = STR_LIT("nobody there")};
        SET_HAS(&again, rec_delivery_result, delivery);
        assert_string_equal(
            report(fixture, "one", (struct rec_webhook_report){.webhook_id = id, .from = 1, .to = 1, .results = {&again, 1}}),
            "");
    }
    assert_int_equal(tries, 8);
    assert_int_equal(delivery.status, DELIVERY_FAILED);
    assert_in_range(waited, UINT64_C(20) * 3600000, UINT64_C(26) * 3600000); /* about a day */
    struct rec_webhook stored;
    assert_true(fixture_stored(fixture, TYPE_WEBHOOK, id, &stored));
    assert_int_equal(stored.failed, 1);
    assert_int_equal(stored.pending, 0);
    /* A client may begin it anew. */
    struct msg_delivery_again anew = {.idem = fixture_key(fixture), .known = delivery};
    assert_int_equal(fixture_ask(fixture, &shape_msg_delivery_again, &anew)->shape->id, MSG_DELIVERY_ANSWER);
    assert_true(fixture_stored(fixture, TYPE_DELIVERY, 1, &delivery));
    assert_int_equal(delivery.status, DELIVERY_PENDING);
    assert_int_equal(delivery.next_at, fixture->wall);
    assert_int_equal(delivery.attempts, 8);
    fixture_free(fixture);
}

/* Those that are over are bounded in number and age; those of a deleted webhook go, also over a restart. */
static void test_kept(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->config.webhooks_keep = 3;
    fixture_start(fixture);
    uint64_t id = make(fixture);
    claim(fixture, "one", 0);
    for (uint64_t i = 1; i <= 6; i++) {
        struct rec_delivery_result result = fresh(i, i != 2);
        struct rec_webhook_report row = {.webhook_id = id, .from = i - 1, .to = i, .results = {&result, 1}};
        assert_string_equal(report(fixture, "one", row), "");
    }
    assert_int_equal(fixture->disk_count[TYPE_DELIVERY], 4); /* three that are over and the one that is not */
    struct rec_delivery delivery;
    assert_true(fixture_stored(fixture, TYPE_DELIVERY, 2, &delivery));
    fixture_rebuild(fixture);
    fixture_wait(fixture, fixture->config.webhooks_keep_ms + 5000);
    assert_int_equal(fixture->disk_count[TYPE_DELIVERY], 1);
    struct msg_webhook_delete delete = {.idem = fixture_key(fixture), .id = id};
    fixture_ask(fixture, &shape_msg_webhook_delete, &delete);
    fixture_rebuild(fixture);
    fixture_wait(fixture, 3000);
    assert_int_equal(fixture->disk_count[TYPE_DELIVERY], 0);
    fixture_free(fixture);
}

/* A restored database has no events, and its ids begin far behind those that were: nobody has missed what lies between. */
static void test_restored(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    make(fixture);
    while (fixture->disk_count[TYPE_EVENT])
        free(fixture->disk[TYPE_EVENT][--fixture->disk_count[TYPE_EVENT]].bytes);
    fixture->next_ids[TYPE_EVENT] = 5000;
    fixture_rebuild(fixture);
    assert_int_equal(claim(fixture, "one", 0)->webhooks.items[0].cursor, 4999);
    fixture_free(fixture);
}

static void test_ping(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_webhook_ping ping = {.idem = fixture_key(fixture), .id = make(fixture)};
    const struct msg *answer = fixture_ask(fixture, &shape_msg_webhook_ping, &ping);
    assert_int_equal(answer->shape->id, MSG_DELIVERY_ANSWER);
    assert_true(str_is(answer->u.delivery_answer.delivery.event.type, "webhook.ping"));
    assert_int_equal(claim(fixture, "one", 0)->webhooks.items[0].pending, 1);
    assert_int_equal(fixture_count_events(fixture, "webhook.ping"), 1);
    fixture_free(fixture);
}

static struct str notify_map(const char *key, uint64_t id)
{
    static char bytes[64];
    size_t at = 0;
    bytes[at++] = (char)0x81;
    bytes[at++] = (char)0xa6;
    memcpy(bytes + at, "notify", 6);
    at += 6;
    bytes[at++] = (char)0x81;
    bytes[at++] = (char)(0xa0 | strlen(key));
    memcpy(bytes + at, key, strlen(key));
    at += strlen(key);
    bytes[at++] = (char)0x91;
    bytes[at++] = (char)id;
    return (struct str){bytes, (uint32_t)at};
}

static void test_notify(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    uint64_t id = make(fixture);
    struct msg_task_create create = {.idem = fixture_key(fixture), .spec = fixture_spec("told", "shell")};
    create.spec.metadata = notify_map("failed", 77);
    SET_HAS(&create.spec, rec_task_spec, metadata);
    assert_true(str_is(fixture_ask(fixture, &shape_msg_task_create, &create)->u.error.rule, "unknown_webhook"));
    create.idem = fixture_key(fixture);
    create.spec.metadata = notify_map("completed", id);
    const struct msg *answer = fixture_ask(fixture, &shape_msg_task_create, &create);
    assert_int_equal(answer->shape->id, MSG_TASK_ANSWER);
    uint64_t task = answer->u.task_answer.task.id;
    fixture_rebuild(fixture);
    fixture_hello(fixture, 5, "w", "b", "shell", 1, NULL, 0);
    fixture_trigger(fixture, task);
    struct rec_lease lease = fixture_begin(fixture, 5);
    fixture_result(fixture, 5, lease, OUTCOME_COMPLETED);
    struct rec_event event;
    uint64_t last = fixture->disk[TYPE_EVENT][fixture->disk_count[TYPE_EVENT] - 1].id;
    assert_true(fixture_stored(fixture, TYPE_EVENT, last, &event));
    assert_true(str_is(event.type, "task.completed"));
    assert_int_equal(event.notify.count, 1);
    assert_int_equal(event.notify.items[0], id);
    fixture_free(fixture);
}

static void test_health(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_ready();
    struct msg_health_changed changed = {.status = STR_LIT("healthy")};
    fixture_ask(fixture, &shape_msg_health_changed, &changed);
    assert_int_equal(fixture_count_events(fixture, "system.health_check"), 0); /* as it was */
    changed.status = STR_LIT("degraded");
    fixture_ask(fixture, &shape_msg_health_changed, &changed);
    fixture_ask(fixture, &shape_msg_health_changed, &changed); /* another gateway has seen it too */
    assert_int_equal(fixture_count_events(fixture, "system.health_check"), 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_claim),  cmocka_unit_test(test_reports),
        cmocka_unit_test(test_backoff),  cmocka_unit_test(test_kept),   cmocka_unit_test(test_restored),
        cmocka_unit_test(test_ping),     cmocka_unit_test(test_notify), cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
