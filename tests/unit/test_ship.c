/* Log lines on their way: order, one message at a time, bounds, what is dropped and told. */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "proto/ship.h"

static struct loop *loop;
static struct ship *ship;

static struct {
    bool there; /* takes messages */
    int asked;
    char texts[64][64]; /* of the newest message, the first of them */
    char codes[64][16];
    uint32_t count;
    uint64_t dropped, last_level;
    bus_reply *reply;
    void *arg;
} port;

static bool on_ask(void *self, const struct msg_log_lines *lines, bus_reply *reply, void *arg)
{
    struct buf frame = {0};
    struct err err = {0};
    (void)self;

    if (!port.there)
        return false;
    if (msg_encode_log_lines(&frame, lines, 1, (struct str){0}, &err) != 0) /* it keeps to the table */
        fail_msg("%s", err.text);
    assert_true(frame.len < 2 * SHIP_BYTES);
    buf_free(&frame);
    port.asked++;
    port.count = lines->entries.count;
    port.dropped = lines->dropped;
    port.last_level = lines->entries.items[lines->entries.count - 1].level;
    for (uint32_t i = 0; i < lines->entries.count && i < 64; i++) {
        str_copy(port.texts[i], sizeof port.texts[i], str_cut(lines->entries.items[i].text, sizeof port.texts[i] - 1));
        str_copy(port.codes[i], sizeof port.codes[i], lines->entries.items[i].code);
    }
    port.reply = reply;
    port.arg = arg;
    return true;
}

static void answer(const struct shape *shape, uint64_t code)
{
    struct msg msg = {.shape = shape};
    bus_reply *reply = port.reply;

    assert_non_null(reply);
    port.reply = NULL;
    if (shape == &shape_msg_error)
        msg.u.error.code = code;
    reply(port.arg, shape ? &msg : NULL, NULL);
}

static void taken(void)
{
    answer(&shape_msg_log_taken, 0);
}

static enum log_level level = LOG_INFO;

static void put(const char *format, int number)
{
    char text[64];

    snprintf(text, sizeof text, format, number);
    const struct rec_log_entry entry = {
        .at = 5, .level = level, .service = STR_LIT("store"), .code = STR_LIT("GTY-A"), .text = str_of(text)};
    ship_put(ship, &entry);
}

static void on_stop(void *arg)
{
    loop_stop(arg);
}

static int setup(void **state)
{
    const struct ship_port to = {.ask = on_ask};
    (void)state;

    memset(&port, 0, sizeof port);
    port.there = true;
    level = LOG_INFO;
    loop = loop_new();
    ship = ship_new(loop);
    assert_non_null(ship);
    ship_attach(ship, &to);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ship_free(ship);
    loop_free(loop);
    return 0;
}

static void test_in_order_one_at_a_time(void **state)
{
    (void)state;
    ship_flush(ship);
    assert_int_equal(port.asked, 0); /* nothing to say */
    put("line %d", 1);
    put("line %d", 2);
    ship_flush(ship);
    assert_int_equal(port.count, 2);
    assert_string_equal(port.texts[0], "line 1");
    assert_string_equal(port.texts[1], "line 2");
    assert_int_equal(port.dropped, 0);
    put("line %d", 3);
    ship_flush(ship);
    assert_int_equal(port.asked, 1); /* the first is under way */
    taken();
    ship_flush(ship);
    assert_int_equal(port.asked, 2);
    assert_string_equal(port.texts[0], "line 3");
    taken();
    ship_flush(ship);
    assert_int_equal(port.asked, 2);
}

/* The last words go behind what is under way, though it is not answered any more. */
static void test_the_end(void **state)
{
    (void)state;
    put("line %d", 1);
    ship_flush(ship);
    bus_reply *first = port.reply;
    put("line %d", 2);
    put("line %d", 3);
    ship_end(ship);
    assert_int_equal(port.asked, 2);
    assert_int_equal(port.count, 2);
    assert_string_equal(port.texts[0], "line 2");
    assert_string_equal(port.texts[1], "line 3");
    uint64_t lost = log_counts().unsent;
    first(port.arg, NULL, NULL); /* as the port closes */
    taken();
    assert_int_equal(log_counts().unsent, lost);
    put("line %d", 4);
    loop_after(loop, 1500, on_stop, loop); /* longer than lines wait for others */
    loop_run(loop);
    assert_int_equal(port.asked, 2);
}

static void test_waits_for_its_port(void **state)
{
    const struct ship_port to = {.ask = on_ask};
    (void)state;

    port.there = false;
    put("line %d", 1);
    ship_flush(ship);
    put("line %d", 2);
    ship_attach(ship, NULL);
    ship_flush(ship);
    port.there = true;
    ship_attach(ship, &to);
    ship_flush(ship);
    assert_string_equal(port.texts[0], "line 1");
    taken();
    ship_flush(ship);
    assert_string_equal(port.texts[0], "line 2");
    taken();
    assert_int_equal(port.dropped, 0);
}

/* Takes all there is; answers the number of the first line, and how many were told as dropped. */
static int drain(uint64_t *dropped)
{
    int first = -1;

    *dropped = 0;
    for (;;) {
        int before = port.asked;
        ship_flush(ship);
        if (port.asked == before)
            return first;
        *dropped += port.dropped;
        if (first < 0)
            first = atoi(port.texts[port.dropped > 0 ? 1 : 0] + 5);
        taken();
    }
}

static void test_the_oldest_are_dropped(void **state)
{
    uint64_t dropped, lost = log_counts().unsent;
    (void)state;

    level = LOG_WARN;
    port.there = false;
    for (int i = 0; i < 20000; i++)
        put("line %d", i);
    port.there = true;
    ship_flush(ship);
    assert_string_equal(port.codes[0], "GTY-LOG-DROPPED");
    assert_true(port.count <= 1000);
    uint64_t told = port.dropped;
    int first = atoi(port.texts[1] + 5);
    assert_true(told > 1000);
    assert_int_equal(first, told); /* nothing else is missing */
    assert_int_equal(log_counts().unsent - lost, told);
    taken();
    drain(&dropped);
    assert_int_equal(dropped, 0);
}

/* A flood of small talk leaves room for what matters. */
static void test_warnings_find_room(void **state)
{
    uint64_t dropped, lost = log_counts().unsent;
    bool found = false;
    (void)state;

    port.there = false;
    for (int i = 0; i < 20000; i++)
        put("line %d", i);
    level = LOG_ERROR;
    put("error %d", 1);
    level = LOG_INFO;
    put("line %d", 20000);
    assert_true(log_counts().unsent - lost > 10000);
    port.there = true;
    for (int i = 0; i < 10 && !found; i++) {
        ship_flush(ship);
        found = port.last_level == LOG_ERROR;
        taken();
    }
    assert_true(found); /* the last one there is */
    drain(&dropped);
    assert_int_equal(dropped, 0);
}

static void test_what_the_store_drops_is_told(void **state)
{
    struct msg msg = {.shape = &shape_msg_log_taken, .u.log_taken = {.dropped = 2}};
    (void)state;

    put("line %d", 1);
    put("line %d", 2);
    ship_flush(ship);
    port.reply(port.arg, &msg, NULL);
    put("line %d", 3);
    ship_flush(ship);
    assert_string_equal(port.texts[0], "lines=2 were dropped");
    taken();
}

static void test_what_is_not_taken_is_told(void **state)
{
    (void)state;
    put("line %d", 1);
    put("line %d", 2);
    ship_flush(ship);
    answer(NULL, 0); /* nobody answered */
    ship_flush(ship);
    assert_int_equal(port.asked, 1); /* nothing to tell it with yet */
    put("line %d", 3);
    ship_flush(ship);
    assert_int_equal(port.dropped, 2);
    assert_int_equal(port.count, 2);
    assert_string_equal(port.texts[0], "lines=2 were dropped");
    answer(&shape_msg_error, ERR_NO_MEMORY);
    put("line %d", 4);
    ship_flush(ship);
    assert_int_equal(port.dropped, 3);
    taken();
}

static void test_who_does_not_know_it_is_left_alone(void **state)
{
    const struct ship_port to = {.ask = on_ask};
    (void)state;

    put("line %d", 1);
    ship_flush(ship);
    answer(&shape_msg_error, ERR_PROTOCOL);
    put("line %d", 2);
    ship_flush(ship);
    assert_int_equal(port.asked, 1);
    ship_attach(ship, &to); /* another session */
    put("line %d", 3);
    ship_flush(ship);
    assert_int_equal(port.asked, 2);
    assert_int_equal(port.dropped, 2);
    assert_string_equal(port.texts[1], "line 3");
    taken();
}

static void test_long_texts_are_cut(void **state)
{
    static char text[4 * SHIP_TEXT];
    (void)state;

    memset(text, 'x', sizeof text);
    memcpy(text + SHIP_TEXT - 1, "\xc3\xa4", 2); /* a character is not split */
    const struct rec_log_entry entry = {
        .service = {text, 40}, .code = {text, 80}, .request_id = {text, 80}, .source = {text, 80}, .text = {text, sizeof text}};
    ship_put(ship, &entry);
    ship_flush(ship); /* encoding checks the bounds */
    assert_int_equal(port.asked, 1);
    taken();
}

static void test_hurries_when_much_has_gathered(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++)
        put("line %d", i);
    loop_after(loop, 20, on_stop, loop);
    loop_run(loop);
    assert_int_equal(port.asked, 1);
    taken();
}

static void *thread_puts(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5000; i++)
        put("line %d", i);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[2];
    uint64_t dropped, lost = log_counts().unsent, lines = 0;
    (void)state;

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_puts, NULL), 0);
    for (int i = 0; i < 100; i++) {
        int before = port.asked;
        ship_flush(ship);
        if (port.asked > before) {
            lines += port.count - (port.dropped > 0);
            taken();
        }
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int before = -1; before != port.asked;) {
        before = port.asked;
        ship_flush(ship);
        if (port.asked > before) {
            lines += port.count - (port.dropped > 0);
            taken();
        }
    }
    drain(&dropped);
    assert_int_equal(lines + (log_counts().unsent - lost), 10000);
}

static void test_lines_of_the_log(void **state)
{
    (void)state;
    log_init("store", LOG_INFO);
    log_on_line(ship_keep, ship);
    log_request(STR_LIT("req-1"));
    log_info("GTY-A", "run=%d it\nis", 7);
    log_debug("GTY-B", "not written");
    log_request((struct str){0});
    log_on_line(NULL, NULL);
    log_info("GTY-C", "not kept");
    ship_flush(ship);
    assert_int_equal(port.count, 1);
    assert_string_equal(port.codes[0], "GTY-A");
    assert_string_equal(port.texts[0], "run=7 it\\nis");
    taken();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_its_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_oldest_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warnings_find_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_store_drops_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_taken_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_know_it_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_texts_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hurries_when_much_has_gathered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_the_log, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
