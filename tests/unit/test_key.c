/* Idempotency keys: found again, forgotten in order, within their limits. */
#include "tests/unit/unit.h"

#include <sodium.h>

#include "scheduler/key.h"

#define DAY_MS UINT64_C(86400000)

struct world {
    struct journal *journal;
    struct keys *keys;
    struct arena *arena;
    uint64_t seq;     /* sealed so far */
    struct buf frame; /* the newest */
};

static struct world world;

static int send_batch(void *self, struct str frame)
{
    (void)self;
    world.seq++;
    buf_reset(&world.frame);
    return buf_add(&world.frame, frame.ptr, frame.len);
}

static void deliver(void *self, const struct address *to, struct str frame)
{
    (void)self, (void)to, (void)frame;
}

static void committed(void *self, uint64_t last_event, const uint64_t *runs, uint32_t count)
{
    (void)self, (void)last_event, (void)runs, (void)count;
}

static int setup(void **state)
{
    (void)state;
    const struct journal_port port = {.send_batch = send_batch, .deliver = deliver, .committed = committed};
    world = (struct world){0};
    world.journal = journal_new(&port);
    world.keys = keys_new(1000, DAY_MS);
    world.arena = arena_new((size_t)16 << 20);
    journal_begin(world.journal, 1);
    return world.journal == NULL || world.keys == NULL || world.arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    keys_free(world.keys);
    journal_free(world.journal);
    arena_free(world.arena);
    buf_free(&world.frame);
    return 0;
}

/* What the forming batch holds, sealed and acknowledged. */
static struct msg_batch flush(void)
{
    struct msg msg = {0};
    uint64_t before = world.seq;

    journal_seal(world.journal);
    if (world.seq == before) {
        return (struct msg_batch){0};
    }
    journal_acked(world.journal, 1, world.seq);
    arena_reset(world.arena);
    assert_int_equal(msg_decode(world.arena, buf_str(&world.frame), &msg, NULL), 0);
    return msg.u.batch;
}

struct given { /* a key by number */
    uint8_t scope[16], body[16];
    char answer[64];
    struct rec_idem idem;
};

static struct given *given(uint64_t number)
{
    static struct given out;

    memset(&out, 0, sizeof out);
    crypto_generichash(out.scope, 16, (const uint8_t *)&number, sizeof number, NULL, 0);
    memcpy(out.body, &number, sizeof number);
    snprintf(out.answer, sizeof out.answer, "answer %llu%.*s", (unsigned long long)number, (int)(number % 20),
             "....................");
    out.idem = (struct rec_idem){.scope = {(char *)out.scope, 16}, .body = {(char *)out.body, 16}};
    return &out;
}

static void store(uint64_t number, uint64_t now_ms)
{
    struct given *key = given(number);

    assert_int_equal(journal_reserve(world.journal, 1000, 3, NULL), 0);
    assert_int_equal(keys_reserve(world.keys), 0);
    keys_store(world.keys, world.journal, &key->idem, str_of(key->answer), now_ms);
}

static bool known(uint64_t number)
{
    struct given *key = given(number);
    struct str answer = {0};
    enum key_verdict verdict = keys_find(world.keys, &key->idem, &answer);

    if (verdict == KEY_KNOWN) {
        assert_true(str_is(answer, key->answer));
        key->body[15] ^= 1;
        assert_int_equal(keys_find(world.keys, &key->idem, &answer), KEY_REUSED);
    } else {
        assert_int_equal(verdict, KEY_NEW);
    }
    return verdict == KEY_KNOWN;
}

static void test_found_again(void **state)
{
    (void)state;
    assert_false(known(1));
    store(1, 5000);
    assert_true(known(1));
    assert_false(known(2));
    assert_int_equal(keys_count(world.keys), 1);

    struct msg_batch batch = flush();
    assert_int_equal(batch.ops.count, 1);
    const struct rec_op *op = &batch.ops.items[0];
    struct rec_key record;
    assert_true(op->op == OP_PUT && op->type == TYPE_KEY && op->id == 1);
    assert_int_equal(rec_decode_key(world.arena, op->value, &record, NULL), 0);
    struct given *key = given(1);
    assert_true(str_eq(record.scope, key->idem.scope) && str_eq(record.body, key->idem.body));
    assert_true(str_is(record.answer, key->answer));
    assert_int_equal(record.created_at, 5000);
    assert_int_equal(record.id, 1);
}

static void test_newest_are_kept(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 5000; number++) {
        store(number, number);
        struct msg_batch batch = flush();
        assert_int_equal(batch.ops.count, number <= 1000 ? 1 : 2);
        if (number > 1000) {
            assert_true(batch.ops.items[1].op == OP_DELETE && batch.ops.items[1].type == TYPE_KEY);
            assert_int_equal(batch.ops.items[1].id, number - 1000);
        }
    }
    assert_int_equal(keys_count(world.keys), 1000);
    for (uint64_t number = 1; number <= 5000; number++) {
        assert_true(known(number) == (number > 4000));
    }
}

static void test_age(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 700; number++) {
        store(number, 1000 + number);
    }
    flush();
    keys_expire(world.keys, world.journal, 1000 + DAY_MS);
    assert_int_equal(flush().ops.count, 0);
    keys_expire(world.keys, world.journal, 1001 + DAY_MS);
    assert_int_equal(flush().ops.count, 1);
    assert_false(known(1));
    assert_true(known(2));
    /* All at once, but a bounded number a call. */
    uint64_t left = 699;
    int calls = 0;
    while (left > 0) {
        keys_expire(world.keys, world.journal, 10000 + DAY_MS);
        struct msg_batch batch = flush();
        assert_true(batch.ops.count > 0 && batch.ops.count <= 256);
        left -= batch.ops.count;
        assert_int_equal(keys_count(world.keys), left);
        calls++;
    }
    assert_true(calls >= 3);
    keys_expire(world.keys, world.journal, 10000 + DAY_MS);
    assert_int_equal(flush().ops.count, 0);
    store(9, 20000); /* and it goes on */
    assert_true(known(9));
}

static void test_nothing_expires_while_the_store_is_away(void **state)
{
    (void)state;
    store(1, 1000);
    flush();
    journal_disconnected(world.journal);
    keys_expire(world.keys, world.journal, 10 * DAY_MS);
    assert_true(known(1));
}

static void test_lower_limit(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 1000; number++) {
        store(number, 1000);
    }
    flush();
    keys_limits(world.keys, 10, DAY_MS);
    for (int i = 0; i < 4; i++) {
        keys_expire(world.keys, world.journal, 2000);
    }
    assert_int_equal(keys_count(world.keys), 10);
    assert_true(known(991) && !known(990));
    assert_int_equal(flush().ops.count, 990);
}

static void test_rebuilt(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 100; number++) {
        struct given *key = given(number);
        struct rec_key record = {.id = number * 3,
                                 .scope = key->idem.scope,
                                 .body = key->idem.body,
                                 .answer = str_of(key->answer),
                                 .created_at = 1000};
        assert_int_equal(keys_load(world.keys, &record), 0);
    }
    assert_true(known(1) && known(100) && !known(101));
    store(101, 2000);
    struct msg_batch batch = flush();
    assert_int_equal(batch.ops.items[0].id, 301);
    keys_next_id(world.keys, 500);
    keys_next_id(world.keys, 400);
    store(102, 2000);
    batch = flush();
    assert_int_equal(batch.ops.items[0].id, 500);
}

/* Rebuilt from a store that still held an expired key beside the newer one of its scope. */
static void test_same_scope_twice(void **state)
{
    (void)state;
    struct given *key = given(1);
    struct rec_key old = {
        .id = 1, .scope = key->idem.scope, .body = {"bbbbbbbbbbbbbbbb", 16}, .answer = STR_LIT("old"), .created_at = 1};
    struct rec_key new = {
        .id = 2, .scope = key->idem.scope, .body = key->idem.body, .answer = str_of(key->answer), .created_at = DAY_MS};
    assert_int_equal(keys_load(world.keys, &old), 0);
    assert_int_equal(keys_load(world.keys, &new), 0);
    assert_true(known(1));
    keys_expire(world.keys, world.journal, DAY_MS + 1);
    assert_int_equal(keys_count(world.keys), 1);
    assert_true(known(1));
}

static void test_large_answers(void **state)
{
    (void)state;
    size_t size = (size_t)512 << 10;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'a', size + 1);
    for (uint64_t number = 1; number <= 20; number++) {
        struct given *key = given(number);
        struct str answer = {text, (uint32_t)(size - number)};
        assert_int_equal(journal_reserve(world.journal, size + 1000, 3, NULL), 0);
        assert_int_equal(keys_reserve(world.keys), 0);
        keys_store(world.keys, world.journal, &key->idem, answer, 1000);
        struct str found = {0};
        assert_int_equal(keys_find(world.keys, &key->idem, &found), KEY_KNOWN);
        assert_true(str_eq(found, answer));
        flush();
    }
    struct given *key = given(21); /* beyond what a record holds: not remembered */
    keys_store(world.keys, world.journal, &key->idem, (struct str){text, (uint32_t)size + 1}, 1000);
    keys_store(world.keys, world.journal, &key->idem, (struct str){NULL, 0}, 1000);
    assert_int_equal(keys_count(world.keys), 20);
    free(text);
}

static void test_many_at_once(void **state)
{
    (void)state;
    assert_int_equal(journal_reserve(world.journal, 300000, 1000, NULL), 0);
    assert_int_equal(keys_reserve_many(world.keys, 900), 0);
    for (uint64_t number = 1; number <= 900; number++) {
        struct given *key = given(number);
        keys_store(world.keys, world.journal, &key->idem, str_of(key->answer), 1000);
    }
    assert_int_equal(keys_count(world.keys), 900);
    assert_int_equal(flush().ops.count, 900);
    for (uint64_t number = 1; number <= 900; number++) {
        assert_true(known(number));
    }
}

/* A hundred thousand come and go against the simplest model: a window of numbers. */
static void test_long_life(void **state)
{
    (void)state;
    uint64_t oldest = 1, next = 1, random = 88172645463325252U;

    keys_limits(world.keys, 20000, DAY_MS);
    for (int step = 0; step < 100000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (random % 1000 == 0) {
            uint64_t max = 1 + random / 1000 % 20000;
            keys_limits(world.keys, max, DAY_MS);
            for (int i = 0; i < 100; i++) {
                keys_expire(world.keys, world.journal, 1000);
            }
            oldest = next - oldest > max ? next - max : oldest;
            keys_limits(world.keys, 20000, DAY_MS);
            flush();
        }
        store(next++, 1000);
        oldest = next - oldest > 20000 ? next - 20000 : oldest;
        if (step % 64 == 0) {
            flush();
            assert_int_equal(keys_count(world.keys), next - oldest);
            uint64_t probe = 1 + random / 7 % next;
            assert_true(known(probe) == (probe >= oldest && probe < next));
        }
    }
}

/* A client on the bus may count its keys: where in the scope it does must not matter, or each costs a walk over all others. */
static void test_counted_keys(void **state)
{
    (void)state;
    const uint64_t count = 200000;
    struct given *key = given(1);
    struct str answer;

    for (int end = 0; end < 2; end++) {
        keys_free(world.keys);
        world.keys = keys_new(count, DAY_MS);
        assert_non_null(world.keys);
        for (uint64_t i = 1; i <= count; i++) {
            memset(key->scope, 7, sizeof key->scope);
            for (int byte = 0; byte < 8; byte++) {
                key->scope[end ? 15 - byte : byte] = (uint8_t)(i >> 8 * byte);
            }
            struct rec_key record = {.id = i, .scope = key->idem.scope, .body = key->idem.body, .answer = str_of("x")};
            assert_int_equal(keys_load(world.keys, &record), 0);
            assert_int_equal(keys_find(world.keys, &key->idem, &answer), KEY_KNOWN);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found_again),
        TEST(test_newest_are_kept),
        TEST(test_age),
        TEST(test_nothing_expires_while_the_store_is_away),
        TEST(test_lower_limit),
        TEST(test_rebuilt),
        TEST(test_same_scope_twice),
        TEST(test_large_answers),
        TEST(test_many_at_once),
        TEST(test_long_life),
        TEST(test_counted_keys),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
