/* API keys: what one is, the text of the file, and the file itself under two writers, damage and change. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gateway/auth_file.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/messages.h"
#include "proto/watch.h"

static struct auth_key key_of(const char *name, char text[AUTH_KEY_TEXT + 1])
{
    struct auth_key key = {.role = ROLE_USER, .created_ms = 1700000000123};

    str_copy(key.name, sizeof key.name, str_of(name));
    auth_key_make(&key, text);
    return key;
}

/* ---- keys ---- */

static void test_a_key_matches_itself_alone(void **state)
{
    struct auth_keys keys = {0};
    struct err err = {0};
    char text[AUTH_KEY_TEXT + 1], other[AUTH_KEY_TEXT + 1];
    struct auth_key key = key_of("ci", text), second = key_of("ops", other);
    (void)state;

    assert_int_equal(strlen(text), AUTH_KEY_TEXT);
    assert_string_not_equal(text, other);
    assert_int_equal(auth_keys_add(&keys, &key, &err), 0);
    assert_int_equal(auth_keys_add(&keys, &second, &err), 0);
    assert_string_equal(auth_keys_match(&keys, str_of(text))->name, "ci");
    assert_string_equal(auth_keys_match(&keys, str_of(other))->name, "ops");
    for (size_t i = 0; i < AUTH_KEY_TEXT; i++) { /* each character counts, those of the id too */
        char kept = text[i];
        text[i] = kept == 'a' ? 'b' : 'a';
        assert_null(auth_keys_match(&keys, str_of(text)));
        text[i] = kept;
    }
    assert_null(auth_keys_match(&keys, (struct str){text, AUTH_KEY_TEXT - 1}));
    assert_null(auth_keys_match(&keys, (struct str){NULL, 0}));
    assert_int_equal(auth_keys_remove(&keys, str_of("ci"), &err), 0);
    assert_null(auth_keys_match(&keys, str_of(text)));
    assert_string_equal(auth_keys_match(&keys, str_of(other))->name, "ops");
    assert_int_equal(auth_keys_remove(&keys, str_of("ci"), &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    auth_keys_free(&keys);
}

static void test_names_are_taken_once(void **state)
{
    struct auth_keys keys = {0};
    struct err err = {0};
    char text[AUTH_KEY_TEXT + 1], name[16];
    struct auth_key key = key_of("ci", text), same = key_of("ci", text), none = key_of("two words", text);
    (void)state;

    assert_int_equal(auth_keys_add(&keys, &key, &err), 0);
    assert_int_equal(auth_keys_add(&keys, &same, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(auth_keys_add(&keys, &none, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    for (int i = 1; i < AUTH_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "k%d", i);
        key = key_of(name, text);
        assert_int_equal(auth_keys_add(&keys, &key, &err), 0);
    }
    key = key_of("more", text);
    assert_int_equal(auth_keys_add(&keys, &key, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    auth_keys_free(&keys);
}

/* ---- the text ---- */

static void test_text_comes_back(void **state)
{
    struct auth_keys keys = {0}, back = {0};
    struct buf text = {0}, again = {0};
    struct err err = {0};
    char first[AUTH_KEY_TEXT + 1], second[AUTH_KEY_TEXT + 1];
    struct auth_key key = key_of("ci", first), other = key_of("ops", second);
    (void)state;

    other.role = ROLE_ADMIN;
    other.expires_ms = 1800000000000;
    other.rate = 600;
    auth_keys_add(&keys, &key, &err);
    auth_keys_add(&keys, &other, &err);
    assert_int_equal(auth_keys_write(&keys, &text), 0);
    assert_int_equal(auth_keys_parse(buf_str(&text), &back, &err), 0);
    assert_int_equal(back.count, 2);
    assert_memory_equal(&back.rows[0], &keys.rows[0], sizeof *keys.rows);
    assert_memory_equal(&back.rows[1], &keys.rows[1], sizeof *keys.rows);
    assert_null(memmem(text.data, text.len, first + 20, 64)); /* the secret is not in it */
    auth_keys_write(&back, &again);
    assert_true(str_eq(buf_str(&text), buf_str(&again)));
    buf_free(&text);
    buf_free(&again);
    auth_keys_free(&keys);
    auth_keys_free(&back);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD "gantry-keys 1\n"
#define GOOD "0123456789ab user 2026-01-01T00:00:00Z - - " HASH " ci\n"

static void test_damage_is_refused_whole(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "gantry-keys 1",
        "gantry-keys 2\n",
        HEAD GOOD "x",
        HEAD "\n",
        HEAD GOOD "\n",
        HEAD GOOD GOOD, /* a name twice */
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - - " HASH " \n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - - " HASH " ci more\n",
        HEAD "0123456789ab  user 2026-01-01T00:00:00Z - - " HASH " ci\n",
        HEAD "0123456789a user 2026-01-01T00:00:00Z - - " HASH " ci\n",
        HEAD "0123456789ag user 2026-01-01T00:00:00Z - - " HASH " ci\n",
        HEAD "0123456789ab root 2026-01-01T00:00:00Z - - " HASH " ci\n",
        HEAD "0123456789ab any 2026-01-01T00:00:00Z - - " HASH " ci\n",
        HEAD "0123456789ab user yesterday - - " HASH " ci\n",
        HEAD "0123456789ab user - - - " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z soon - " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - 0 " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - 1000001 " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - 99999999999999999999 " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - 1- " HASH " ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - - " HASH "00 ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - - 0123 ci\n",
        HEAD "0123456789ab user 2026-01-01T00:00:00Z - - " HASH " c/i\n",
    };
    struct auth_keys keys = {0};
    struct err err = {0};
    (void)state;

    assert_int_equal(auth_keys_parse(STR_LIT(HEAD GOOD), &keys, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (auth_keys_parse(str_of(bad[i]), &keys, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.text[0] != '\0');
        assert_int_equal(keys.count, 1); /* as it was */
    }
    assert_int_equal(auth_keys_parse(STR_LIT(HEAD), &keys, &err), 0);
    assert_int_equal(keys.count, 0);
    auth_keys_free(&keys);
}

static void test_last_use(void **state)
{
    struct auth_keys keys = {0};
    struct buf text = {0};
    struct err err = {0};
    (void)state;

    assert_int_equal(auth_keys_parse(STR_LIT(HEAD GOOD), &keys, &err), 0);
    auth_used_parse(STR_LIT("nonsense\nffffffffffff 2026-01-01T00:00:00Z\n0123456789ab 2026-02-01T00:00:00Z\n0123456789ab x\n\n"),
                    &keys);
    auth_used_write(&keys, &text);
    assert_true(str_is(buf_str(&text), "0123456789ab 2026-02-01T00:00:00.000Z\n"));
    auth_used_parse(STR_LIT("0123456789ab 2026-01-01T00:00:00Z\n"), &keys); /* older than what is known */
    buf_reset(&text);
    auth_used_write(&keys, &text);
    assert_true(str_is(buf_str(&text), "0123456789ab 2026-02-01T00:00:00.000Z\n"));
    buf_free(&text);
    auth_keys_free(&keys);
}

/* ---- the file ---- */

struct ground {
    char folder[UNIT_FOLDER_SIZE];
    char data[128];
    struct settings *settings;
    struct auth_paths paths;
};

static int begin(void **state)
{
    static struct ground ground;
    struct err err = {0};

    unit_forget_environment();
    ground = (struct ground){0};
    unit_folder(ground.folder);
    snprintf(ground.data, sizeof ground.data, "%s/data", ground.folder); /* nobody has made it */
    char *argv[] = {"test", "--data", ground.data, NULL};
    ground.settings = settings_load(3, argv, NULL, &err);
    assert_non_null(ground.settings);
    assert_int_equal(auth_paths_of(ground.settings, &ground.paths, &err), 0);
    *state = &ground;
    return 0;
}

static int end(void **state)
{
    struct ground *ground = *state;

    settings_free(ground->settings);
    unit_remove(ground->folder);
    return 0;
}

static int add(struct auth_keys *keys, void *arg, struct err *err)
{
    char text[AUTH_KEY_TEXT + 1];
    struct auth_key key = key_of(arg, text);
    return auth_keys_add(keys, &key, err);
}

static unsigned mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void test_a_file_is_made_for_its_owner_alone(void **state)
{
    struct ground *ground = *state;
    struct auth_keys keys = {0};
    struct err err = {0};
    char folder[160];

    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), 0); /* none is an empty list */
    assert_int_equal(keys.count, 0);
    assert_int_equal(auth_file_change(ground->settings, &ground->paths, add, "ci", &err), 0);
    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), 0);
    assert_int_equal(keys.count, 1);
    snprintf(folder, sizeof folder, "%s/auth", ground->data);
    assert_int_equal(mode_of(ground->data), 0711);
    assert_int_equal(mode_of(folder), 0700);
    assert_int_equal(mode_of(ground->paths.keys), 0600);
    /* A refusal leaves everything as it is. */
    assert_int_equal(auth_file_change(ground->settings, &ground->paths, add, "ci", &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), 0);
    assert_int_equal(keys.count, 1);
    auth_keys_free(&keys);
}

static void test_a_damaged_file_is_not_written_over(void **state)
{
    struct ground *ground = *state;
    struct auth_keys keys = {0};
    struct err err = {0};

    assert_int_equal(auth_file_change(ground->settings, &ground->paths, add, "ci", &err), 0);
    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), 0);
    unit_write(ground->paths.keys, HEAD "half a li");
    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), -1);
    assert_non_null(strstr(err.text, ground->paths.keys));
    assert_int_equal(keys.count, 1);
    assert_int_equal(auth_file_change(ground->settings, &ground->paths, add, "ops", &err), -1);
    struct buf text = {0};
    assert_int_equal(file_read(ground->paths.keys, &text, &err), 0);
    assert_true(str_is(buf_str(&text), HEAD "half a li"));
    buf_free(&text);
    auth_keys_free(&keys);
}

static void test_two_writers_lose_nothing(void **state)
{
    struct ground *ground = *state;
    struct auth_keys keys = {0};
    struct err err = {0};
    enum { WRITERS = 4, EACH = 8 };
    char name[32];
    int status;

    for (int i = 0; i < WRITERS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        for (int n = 0; n < EACH; n++) {
            snprintf(name, sizeof name, "w%d-%d", i, n);
            if (auth_file_change(ground->settings, &ground->paths, add, name, &err) != 0)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(auth_file_keys(&ground->paths, &keys, &err), 0);
    assert_int_equal(keys.count, WRITERS * EACH);
    auth_keys_free(&keys);
}

static void test_changes_are_seen(void **state)
{
    struct ground *ground = *state;
    struct watch watch = {.path = ground->paths.keys};
    struct err err = {0};
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    uint64_t now_ms = 1000;

    assert_true(watch_changed(&watch, now_ms)); /* never looked at before */
    assert_false(watch_changed(&watch, now_ms += WATCH_MS));
    assert_int_equal(auth_file_change(ground->settings, &ground->paths, add, "ci", &err), 0);
    assert_false(watch_changed(&watch, now_ms + WATCH_MS - 1)); /* not asked yet */
    assert_true(watch_changed(&watch, now_ms += WATCH_MS));
    /* So new that its time might not tell of one more change, when it is looked at within a second. */
    for (uint64_t before = 0; before == 0 || clock_mono_ms() - before >= 900;) {
        before = clock_mono_ms();
        assert_int_equal(utimensat(AT_FDCWD, ground->paths.keys, NULL, 0), 0);
        assert_true(watch_changed(&watch, now_ms += WATCH_MS));
    }
    assert_true(watch_changed(&watch, now_ms += WATCH_MS));
    /* Set back in time, as by a copy that keeps it: a change as any other. */
    assert_int_equal(utimensat(AT_FDCWD, ground->paths.keys, old, 0), 0);
    assert_true(watch_changed(&watch, now_ms += WATCH_MS));
    assert_int_equal(unlink(ground->paths.keys), 0);
    assert_true(watch_changed(&watch, now_ms += WATCH_MS));
    assert_false(watch_changed(&watch, now_ms += WATCH_MS));
}

static void test_roles(void **state)
{
    enum role role;
    (void)state;

    assert_true(role_parse(STR_LIT("admin"), &role) && role == ROLE_ADMIN);
    assert_true(role_parse(STR_LIT("readonly"), &role) && role == ROLE_READONLY);
    assert_false(role_parse(STR_LIT("nobody"), &role));
    assert_false(role_parse(STR_LIT("any"), &role));
    assert_false(role_parse(STR_LIT("Admin"), &role));
    /* who:                         none   readonly user   worker admin */
    static const bool may[][5] = {{false, false, false, false, false}, /* ROLE_NONE */
                                  {false, true, true, false, true},    /* ROLE_READONLY */
                                  {false, false, true, false, true},   /* ROLE_USER */
                                  {false, false, false, true, true},   /* ROLE_WORKER */
                                  {false, false, false, false, true},  /* ROLE_ADMIN */
                                  {false, true, true, true, true},     /* ROLE_KNOWN */
                                  {true, true, true, true, true}};     /* ROLE_ANYONE */
    for (enum role wanted = ROLE_NONE; wanted <= ROLE_ANYONE; wanted++) {
        for (enum role who = ROLE_NONE; who <= ROLE_ADMIN; who++)
            assert_int_equal(role_may(who, wanted), may[wanted][who]);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_matches_itself_alone),
        cmocka_unit_test(test_names_are_taken_once),
        cmocka_unit_test(test_text_comes_back),
        cmocka_unit_test(test_damage_is_refused_whole),
        cmocka_unit_test(test_last_use),
        TEST(test_a_file_is_made_for_its_owner_alone),
        TEST(test_a_damaged_file_is_not_written_over),
        TEST(test_two_writers_lose_nothing),
        TEST(test_changes_are_seen),
        cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
