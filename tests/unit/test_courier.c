/* Sends real requests to a socket of ours: what arrives, what counts as arrived, and where nothing goes. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/courier.h"

static struct loop *loop;
static struct courier *courier;
static struct targets targets;
static int listener, connection;
static unsigned port;
static const char *reply;
static char received[8192];
static size_t received_len;
static struct receipt receipt;
static char error[512];
static unsigned done;

static void on_data(void *arg)
{
    (void)arg;
    ssize_t got = recv(connection, received + received_len, sizeof received - 1 - received_len, MSG_DONTWAIT);
    if (got <= 0)
        return;
    received_len += (size_t)got;
    received[received_len] = '\0';
    const char *body = strstr(received, "\r\n\r\n");
    if (!body || !strstr(body, "}") || !reply)
        return; /* not all of it yet, or nobody answers */
    assert_true(send(connection, reply, strlen(reply), MSG_NOSIGNAL) > 0);
    loop_remove_fd(loop, connection);
    shutdown(connection, SHUT_WR);
}

static void on_connection(void *arg)
{
    (void)arg;
    connection = accept(listener, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(loop_add_fd(loop, connection, false, on_data, NULL), 0);
}

static void on_done(void *arg, const struct receipt *what)
{
    assert_ptr_equal(arg, &done);
    done++;
    receipt = *what;
    snprintf(error, sizeof error, "%s", what->error);
    loop_stop(loop);
}

static int setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct err err;
    (void)state;

    targets = (struct targets){0};
    connection = -1;
    received_len = done = 0;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&address, &len);
    port = ntohs(address.sin_port);
    loop = loop_new();
    assert_int_equal(loop_add_fd(loop, listener, false, on_connection, NULL), 0);
    courier = courier_new(loop, &targets, &err);
    return courier ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    courier_free(courier);
    loop_free(loop);
    close(listener);
    if (connection >= 0)
        close(connection);
    return 0;
}

static struct parcel *post(const char *host, uint64_t timeout_ms)
{
    char url[128];
    snprintf(url, sizeof url, "http://%s:%u/hook", host, port);
    const struct parcel_spec spec = {
        .url = url, .id = "msg_1", .signature = "v1,x", .seconds = 7, .body = STR_LIT("{\"a\":1}"), .timeout_ms = timeout_ms};
    return courier_send(courier, &spec, on_done, &done);
}

/* Without an answer the time limit ends it; with one it is far away, however slow the machine is. */
static void send_one(const char *host, const char *answer)
{
    reply = answer;
    assert_non_null(post(host, answer ? 300000 : 400));
    assert_int_equal(courier_load(courier), 1);
    loop_run(loop);
    assert_int_equal(done, 1);
    assert_int_equal(courier_load(courier), 0);
}

static void what_arrives(void **state)
{
    (void)state;
    send_one("127.0.0.1", "HTTP/1.1 204 No Content\r\n\r\n");
    assert_true(receipt.arrived);
    assert_int_equal(receipt.code, 204);
    assert_string_equal(error, "");
    assert_true(strncmp(received, "POST /hook HTTP/1.1\r\n", 21) == 0);
    static const char *const wanted[] = {
        "\r\nContent-Type: application/json\r\n", "\r\nwebhook-id: msg_1\r\n", "\r\nwebhook-timestamp: 7\r\n",
        "\r\nwebhook-signature: v1,x\r\n",        "\r\nContent-Length: 7\r\n", "\r\n\r\n{\"a\":1}"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!strstr(received, wanted[i]))
            fail_msg("%s is missing in %s", wanted[i], received);
    }
    assert_null(strstr(received, "Expect:"));
}

static void what_does_not_count(void **state)
{
    (void)state;
    send_one("127.0.0.1", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    assert_false(receipt.arrived);
    assert_int_equal(receipt.code, 500);
    assert_string_equal(error, "it answered 500");
}

static void redirects(void **state)
{
    (void)state;
    send_one("127.0.0.1", "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
    assert_false(receipt.arrived);
    assert_int_equal(receipt.code, 302);
    assert_non_null(strstr(error, "redirects are not followed"));
}

/* An answer of any length is bounded, and a success all the same. */
static void a_long_answer(void **state)
{
    static char answer[80000];
    (void)state;
    int len = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n");
    memset(answer + len, 'x', 70000);
    send_one("127.0.0.1", answer);
    assert_true(receipt.arrived);
}

static void silence(void **state)
{
    (void)state;
    send_one("127.0.0.1", NULL);
    assert_false(receipt.arrived);
    assert_int_equal(receipt.code, 0);
    assert_non_null(strstr(error, "imed out"));
}

/* A proxy of the environment would reach for us what we may not. */
static void no_proxy_is_used(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    send_one("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_true(receipt.arrived);
}

/* By name: it is the address that counts. */
static void denied_by_address(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(targets_parse(STR_LIT("127.0.0.0/8,::1"), &targets, &err), 0);
    send_one("localhost", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_false(receipt.arrived);
    assert_non_null(strstr(error, "nothing is sent to this address"));
    assert_int_equal(received_len, 0);
}

static void link_local_is_denied(void **state)
{
    (void)state;
    send_one("[::ffff:169.254.169.254]", NULL);
    assert_non_null(strstr(error, "nothing is sent to this address"));
}

static void one_that_is_forgotten_ends_without_a_word(void **state)
{
    (void)state;
    reply = NULL;
    struct parcel *one = post("127.0.0.1", 400), *other = post("127.0.0.1", 400);
    assert_int_equal(courier_load(courier), 2);
    courier_forget(courier, one);
    assert_int_equal(courier_load(courier), 1);
    loop_run(loop);
    assert_int_equal(done, 1);
    (void)other;
    assert_non_null(post("127.0.0.1", 400)); /* what is under way at the end ends with it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_arrives, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(silence, setup, teardown),
        cmocka_unit_test_setup_teardown(no_proxy_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(denied_by_address, setup, teardown),
        cmocka_unit_test_setup_teardown(link_local_is_denied, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_forgotten_ends_without_a_word, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
