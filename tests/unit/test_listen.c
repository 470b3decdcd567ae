/* Where it listens, and where it refuses to. */
#include "tests/unit/unit.h"

#include "gateway/listen.h"
#include "proto/messages.h"

static void test_takes_a_free_port(void **state)
{
    struct err err = {0};
    unsigned port = 0;
    int fd = listen_open("127.0.0.1", &port, false, &err);
    (void)state;

    assert_true(fd >= 0);
    assert_in_range(port, 1, 65535);
    unsigned again = port;
    assert_int_equal(listen_open("127.0.0.1", &again, false, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "in use"));
    close(fd);
}

/* Both addresses of localhost, where the machine has IPv6; of any other host only the one. */
static void test_localhost_is_two(void **state)
{
    struct err err = {0};
    unsigned port = 0;
    (void)state;

    int fd = listen_open("LocalHost", &port, false, &err), also = listen_also("LocalHost", port, &err);
    assert_true(fd >= 0 && listen_is_loopback(fd));
    assert_int_equal(err.code, 0);
    assert_int_equal(listen_also("127.0.0.1", port, &err), -1);
    assert_int_equal(err.code, 0);
    if (also >= 0) {
        assert_true(listen_is_loopback(also));
        assert_int_equal(listen_also("localhost", port, &err), -1);
        assert_int_equal(err.code, ERR_IO);
        assert_non_null(strstr(err.text, "[::1]"));
        close(also);
    }
    close(fd);
}

static void test_refuses_the_world_without_insecure(void **state)
{
    struct err err = {0};
    unsigned port = 0;
    (void)state;

    assert_int_equal(listen_open("0.0.0.0", &port, false, &err), -1);
    assert_int_equal(err.code, ERR_FORBIDDEN);
    assert_non_null(strstr(err.text, "--insecure"));
    err = (struct err){0};
    assert_int_equal(listen_open("::", &port, false, &err), -1);
    assert_int_equal(listen_open("no such host", &port, true, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_announces_whole_or_not_at_all(void **state)
{
    char folder[UNIT_FOLDER_SIZE], path[128], text[16] = "";
    struct err err = {0};
    (void)state;

    snprintf(path, sizeof path, "%s/gateway.port", unit_folder(folder));
    assert_int_equal(listen_announce(path, 8080, &err), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "8080\n");
    snprintf(path, sizeof path, "%s/missing/gateway.port", folder);
    assert_int_equal(listen_announce(path, 8080, &err), -1);
    unit_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_a_free_port),
        cmocka_unit_test(test_localhost_is_two),
        cmocka_unit_test(test_refuses_the_world_without_insecure),
        cmocka_unit_test(test_announces_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
