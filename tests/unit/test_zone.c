/* Zones: dates, rules as text, spans and instants around changes of the clock, files that are damaged. */
#include "tests/unit/unit.h"

#include "proto/clock.h"
#include "proto/messages.h"
#include "scheduler/zone_rule.h"

static int64_t at(const char *text)
{
    uint64_t ms = 0;
    assert_int_equal(clock_parse_iso(text, strlen(text), &ms), 0);
    return (int64_t)(ms / 1000);
}

static struct zone *zone(const char *name)
{
    struct err err = {0};
    struct zone *found = zone_get(str_of(name), &err);
    if (found == NULL) {
        fail_msg("%s", err.text);
    }
    return found;
}

static void test_utc(void **state)
{
    (void)state;
    struct zone *utc = zone("");
    struct zone_span span = zone_span(utc, 0);
    assert_true(span.offset == 0 && span.from == INT64_MIN && span.until == INT64_MAX);
    assert_int_equal(zone_instant(utc, 12345), 12345);
    struct zone *again = zone("UTC");
    assert_ptr_equal(utc, again); /* shared */
    zone_put(again);
    zone_put(utc);
    zone_put(NULL);
}

static void check_span(const char *name, const char *when, const char *from, const char *until, int32_t offset)
{
    struct zone *here = zone(name);
    struct zone_span span = zone_span(here, at(when));
    assert_int_equal(span.offset, offset);
    assert_int_equal(span.from, at(from));
    assert_int_equal(span.until, at(until));
    zone_put(here);
}

static void test_spans(void **state)
{
    (void)state;
    check_span("Europe/Berlin", "2024-01-01T00:00:00Z", "2023-10-29T01:00:00Z", "2024-03-31T01:00:00Z", 3600);
    check_span("Europe/Berlin", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z", 7200);
    check_span("Europe/Berlin", "2024-10-27T00:59:59Z", "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z", 7200);
    /* by the rule, in the north and in the south */
    check_span("Europe/Berlin", "2399-07-01T00:00:00Z", "2399-03-28T01:00:00Z", "2399-10-31T01:00:00Z", 7200);
    check_span("Australia/Sydney", "2399-01-01T00:00:00Z", "2398-10-03T16:00:00Z", "2399-04-03T16:00:00Z", 39600);
    /* where the table meets the rule */
    check_span("Europe/Berlin", "2037-12-31T00:00:00Z", "2037-10-25T01:00:00Z", "2038-03-28T01:00:00Z", 3600);
}

static void test_instants(void **state)
{
    (void)state;
    struct zone *berlin = zone("Europe/Berlin");
    assert_int_equal(zone_instant(berlin, at("2024-07-01T12:00:00Z")), at("2024-07-01T10:00:00Z"));
    assert_int_equal(zone_instant(berlin, at("2024-03-31T01:59:59Z")), at("2024-03-31T00:59:59Z"));
    assert_int_equal(zone_instant(berlin, at("2024-03-31T02:00:00Z")), at("2024-03-31T01:00:00Z")); /* skipped */
    assert_int_equal(zone_instant(berlin, at("2024-03-31T02:59:59Z")), at("2024-03-31T01:00:00Z"));
    assert_int_equal(zone_instant(berlin, at("2024-03-31T03:00:00Z")), at("2024-03-31T01:00:00Z"));
    assert_int_equal(zone_instant(berlin, at("2024-10-27T02:30:00Z")), at("2024-10-27T00:30:00Z")); /* the first of two */
    assert_int_equal(zone_instant(berlin, at("2024-10-27T03:00:00Z")), at("2024-10-27T02:00:00Z"));
    zone_put(berlin);
    struct zone *apia = zone("Pacific/Apia"); /* went from behind the date line to before it */
    assert_int_equal(zone_instant(apia, at("2011-12-30T12:00:00Z")), at("2011-12-30T10:00:00Z"));
    assert_int_equal(zone_instant(apia, at("2011-12-31T00:00:00Z")), at("2011-12-30T10:00:00Z"));
    zone_put(apia);
}

static void test_rules(void **state)
{
    (void)state;
    struct zone_rule rule;
    assert_int_equal(rule_parse(STR_LIT("CET-1CEST,M3.5.0,M10.5.0/3"), &rule), 0);
    assert_true(rule.saves && rule.standard == 3600 && rule.summer == 7200);
    assert_true(rule.start.kind == 'M' && rule.start.month == 3 && rule.start.week == 5 && rule.start.time == 7200);
    assert_int_equal(rule.end.time, 10800);
    assert_int_equal(rule_parse(STR_LIT("<+0330>-3:30"), &rule), 0);
    assert_true(!rule.saves && rule.standard == 12600);
    assert_int_equal(rule_parse(STR_LIT("EST5EDT4:30:15,J60/-1,365/167"), &rule), 0);
    assert_true(rule.standard == -18000 && rule.summer == -16215 && rule.start.time == -3600 && rule.end.time == 167 * 3600);

    /* 1 March whatever the year, as J60 says; day 59 is 29 February in leap years */
    assert_int_equal(rule_parse(STR_LIT("AAA0BBB,J60/0,J300/0"), &rule), 0);
    assert_int_equal(rule_span(&rule, at("2024-06-01T00:00:00Z")).from, at("2024-03-01T00:00:00Z"));
    assert_int_equal(rule_span(&rule, at("2023-06-01T00:00:00Z")).from, at("2023-03-01T00:00:00Z"));
    assert_int_equal(rule_parse(STR_LIT("AAA0BBB,59/0,300/0"), &rule), 0);
    assert_int_equal(rule_span(&rule, at("2024-06-01T00:00:00Z")).from, at("2024-02-29T00:00:00Z"));

    /* summer all year: its end is the next one's start */
    assert_int_equal(rule_parse(STR_LIT("XXX3EDT4,0/0,J365/23"), &rule), 0);
    for (int64_t when = at("2024-12-01T00:00:00Z"); when < at("2025-02-01T00:00:00Z"); when += 3600) {
        assert_int_equal(rule_span(&rule, when).offset, -14400);
    }

    static const char *const wrong[] = {"",
                                        "A1",
                                        "AAA",
                                        "AAA25",
                                        "AAA1BBB",
                                        "AAA1BBB,M3.5.0",
                                        "AAA1BBB,M13.5.0,M10.5.0",
                                        "AAA1BBB,M3.6.0,M10.5.0",
                                        "AAA1BBB,M3.5.7,M10.5.0",
                                        "AAA1BBB,J0,J5",
                                        "AAA1BBB,366,5",
                                        "AAA1BBB,M3.5.0/168,M10.5.0",
                                        "AAA1BBB,M3.5.0,M10.5.0x",
                                        "<AAA1",
                                        "<>1",
                                        "AAA1:60",
                                        "AAA--1",
                                        "AAA1BBB,M3.5.0 ,M10.5.0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (rule_parse(str_of(wrong[i]), &rule) == 0) {
            fail_msg("\"%s\" was taken for a rule", wrong[i]);
        }
    }
}

/* A file cut at every byte is refused, or is the same zone still. */
static void test_cut_files(void **state)
{
    (void)state;
    static unsigned char bytes[65536];
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t cut = 0; cut <= size; cut++) {
        unsigned char *copy = malloc(cut > 0 ? cut : 1); /* so that a sanitizer sees a byte too far */
        struct err err = {0};
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        struct zone *read = zone_read(copy, cut, &err);
        assert_true((read != NULL) == (cut == size));
        assert_true(read != NULL || err.code == ERR_INVALID);
        zone_put(read);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utc),   cmocka_unit_test(test_spans),     cmocka_unit_test(test_instants),
        cmocka_unit_test(test_rules), cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
