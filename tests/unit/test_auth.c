/* Who is let in, from settings, a keys file and what a request shows. */
#include "tests/unit/unit.h"

#include "gateway/auth.h"
#include "gateway/auth_list.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/messages.h"

struct ground {
    char folder[UNIT_FOLDER_SIZE];
    struct settings *settings;
    struct auth_paths paths;
    char text[AUTH_KEY_TEXT + 1];
};

static struct ground ground;

static int begin(void **state)
{
    (void)state;
    unit_forget_environment();
    log_init("test", (enum log_level)(LOG_ERROR + 1));
    ground = (struct ground){0};
    unit_folder(ground.folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    settings_free(ground.settings);
    unit_remove(ground.folder);
    return 0;
}

static void settle(const char *first, const char *second)
{
    char *argv[] = {"test", "--data", ground.folder, (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    struct err err = {0};

    ground.settings = settings_load(first ? second ? 5 : 4 : 3, argv, NULL, &err);
    if (!ground.settings)
        fail_msg("%s", err.text);
    assert_int_equal(auth_paths_of(ground.settings, &ground.paths, &err), 0);
}

static int add(struct auth_keys *keys, void *arg, struct err *err)
{
    return auth_keys_add(keys, arg, err);
}

static int take_away(struct auth_keys *keys, void *arg, struct err *err)
{
    return auth_keys_remove(keys, str_of(arg), err);
}

static void key_make(const char *name, enum role role, uint64_t expires_ms)
{
    struct auth_key key = {.role = role, .created_ms = 1, .expires_ms = expires_ms, .rate = 7};
    struct err err = {0};

    str_copy(key.name, sizeof key.name, str_of(name));
    auth_key_make(&key, ground.text);
    assert_int_equal(auth_file_change(ground.settings, &ground.paths, add, &key, &err), 0);
}

static struct auth *auth_open(void)
{
    struct err err = {0};
    struct auth *auth = auth_new(ground.settings, &err);

    if (!auth)
        fail_msg("%s", err.text);
    return auth;
}

static enum auth_fault identify(struct auth *auth, const char *key, const char *from, struct actor *actor)
{
    struct credentials credentials = {0};
    struct peer peer = {0};

    if (key)
        credential_note(&credentials, &credentials.api_key, str_of(key));
    if (from)
        assert_true(peer_parse(str_of(from), &peer));
    return auth_identify(auth, &credentials, "scheduler", &peer, actor);
}

static const struct peer nowhere;

static void test_off_lets_everybody_in(void **state)
{
    struct actor actor;
    (void)state;

    assert_int_equal(identify(NULL, "nonsense", NULL, &actor), AUTH_FINE);
    settle(NULL, NULL);
    struct auth *auth = auth_open();
    assert_false(auth_has_source(auth));
    auth_decide(auth, false);
    assert_false(auth_is_on(auth));
    assert_int_equal(identify(auth, "nonsense", NULL, &actor), AUTH_FINE);
    assert_int_equal(actor.kind, ACTOR_OPEN);
    assert_int_equal(actor.role, ROLE_ADMIN);
    assert_false(actor.scoped);
    assert_true(auth_holds(auth, &actor, "scheduler", &nowhere));
    auth_decide(auth, true);
    assert_true(auth_is_on(auth));
    assert_int_equal(identify(auth, NULL, "127.0.0.1", &actor), AUTH_MISSING);
    assert_int_equal(actor.role, ROLE_NONE);
    auth_free(auth);
}

static void test_insecure_and_always(void **state)
{
    (void)state;
    settle("--insecure", NULL);
    struct auth *auth = auth_open();
    auth_decide(auth, true);
    assert_false(auth_is_on(auth));
    auth_free(auth);
    settings_free(ground.settings);
    settle("--insecure", "--auth-required=always");
    auth = auth_open();
    auth_decide(auth, false);
    assert_true(auth_is_on(auth));
    auth_free(auth);
}

static void test_keys(void **state)
{
    struct actor actor, other;
    struct err err = {0};
    char first[AUTH_KEY_TEXT + 1];
    (void)state;

    settle("--auth-required=always", NULL);
    key_make("ci", ROLE_USER, 0);
    str_copy(first, sizeof first, str_of(ground.text));
    key_make("old", ROLE_ADMIN, clock_wall_ms() - 1);
    struct auth *auth = auth_open();
    auth_decide(auth, false);
    assert_true(auth_has_source(auth));
    assert_int_equal(identify(auth, first, NULL, &actor), AUTH_FINE);
    assert_int_equal(actor.kind, ACTOR_KEY);
    assert_int_equal(actor.role, ROLE_USER);
    assert_string_equal(actor.name, "ci");
    assert_int_equal(actor.rate, 7);
    assert_true(actor.scoped);
    assert_int_equal(identify(auth, ground.text, NULL, &other), AUTH_EXPIRED);
    assert_int_equal(other.role, ROLE_NONE);
    first[30] = first[30] == '0' ? '1' : '0';
    assert_int_equal(identify(auth, first, NULL, &other), AUTH_INVALID);
    assert_int_equal(identify(auth, "a.b.c", NULL, &other), AUTH_INVALID); /* no tokens are taken here */
    assert_int_equal(identify(auth, "", NULL, &other), AUTH_INVALID);
    /* Made later, it has another scope; and what was let in does not hold once its key is gone. */
    key_make("later", ROLE_READONLY, 0);
    uint64_t until = clock_mono_ms() + 120000;
    while (identify(auth, ground.text, NULL, &other) != AUTH_FINE && clock_mono_ms() < until)
        ;
    assert_string_equal(other.name, "later");
    assert_memory_not_equal(actor.scope, other.scope, sizeof actor.scope);
    assert_true(auth_holds(auth, &actor, "scheduler", &nowhere));
    assert_int_equal(auth_file_change(ground.settings, &ground.paths, take_away, "ci", &err), 0);
    while (auth_holds(auth, &actor, "scheduler", &nowhere) && clock_mono_ms() < until)
        ;
    assert_false(auth_holds(auth, &actor, "scheduler", &nowhere));
    assert_true(auth_holds(auth, &other, "scheduler", &nowhere));
    other.until_ms = clock_wall_ms() - 1;
    assert_false(auth_holds(auth, &other, "scheduler", &nowhere));
    auth_free(auth);
}

static void test_networks(void **state)
{
    struct actor actor;
    (void)state;

    settle("--auth-required=always", "--auth-trusted-networks=10.0.0.0/8=user");
    struct auth *auth = auth_open();
    auth_decide(auth, false);
    assert_true(auth_has_source(auth));
    assert_int_equal(identify(auth, NULL, "10.9.8.7", &actor), AUTH_FINE);
    assert_int_equal(actor.kind, ACTOR_NETWORK);
    assert_int_equal(actor.role, ROLE_USER);
    struct peer inside;
    assert_true(peer_parse(STR_LIT("10.9.8.7"), &inside));
    assert_true(auth_holds(auth, &actor, "scheduler", &inside));
    assert_false(auth_holds(auth, &actor, "scheduler", &nowhere)); /* the network was taken away */
    assert_int_equal(identify(auth, NULL, "11.9.8.7", &actor), AUTH_MISSING);
    assert_int_equal(identify(auth, "wrong", "10.9.8.7", &actor), AUTH_INVALID);
    auth_free(auth);
}

static void test_damage_opens_nothing(void **state)
{
    struct err err = {0};
    (void)state;

    settle(NULL, NULL);
    key_make("ci", ROLE_USER, 0);
    unit_write(ground.paths.keys, "nonsense\n");
    assert_null(auth_new(ground.settings, &err));
    assert_non_null(strstr(err.text, ground.paths.keys));
}

static struct auth_list *list_open(void)
{
    struct err err = {0};
    struct auth_list *list = auth_list_new(ground.settings, &err);

    assert_non_null(list);
    return list;
}

/* Two gateways with one file: neither takes from what the other has seen. */
static void test_last_use_of_two_gateways(void **state)
{
    struct auth_keys keys = {0};
    struct err err = {0};
    char first[AUTH_KEY_TEXT + 1];
    (void)state;

    settle(NULL, NULL);
    key_make("ci", ROLE_USER, 0);
    str_copy(first, sizeof first, str_of(ground.text));
    key_make("ops", ROLE_ADMIN, 0);
    struct auth_list *one = list_open(), *two = list_open();
    auth_list_used(one, auth_list_match(one, str_of(first)));
    auth_list_used(two, auth_list_match(two, str_of(ground.text)));
    auth_list_flush(one);
    auth_list_flush(two);
    auth_list_free(one);
    auth_list_free(two);
    assert_int_equal(auth_file_keys(&ground.paths, &keys, &err), 0);
    auth_file_used(&ground.paths, &keys);
    assert_int_equal(keys.count, 2);
    assert_true(keys.rows[0].used_ms > 0 && keys.rows[1].used_ms > 0);
    auth_keys_free(&keys);
    /* And it is known again at the next start. */
    one = list_open();
    assert_true(auth_list_match(one, str_of(first))->used_ms > 0);
    auth_list_free(one);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_off_lets_everybody_in), TEST(test_insecure_and_always),      TEST(test_keys), TEST(test_networks),
        TEST(test_damage_opens_nothing),  TEST(test_last_use_of_two_gateways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
