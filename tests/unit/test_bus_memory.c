/* libzmq finds no memory for a message: nothing goes to the wrong peer, and the list of keys goes on being asked. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "proto/bus.h"
#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/curve.h"

static atomic_int fail_sizes; /* so many messages of at least fail_least bytes find no memory; the gate is a thread */
static size_t fail_least;

int __real_zmq_msg_init_size(zmq_msg_t *msg, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *msg, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *msg, size_t size)
{
    if (size >= fail_least && fail_sizes > 0) {
        fail_sizes--;
        errno = ENOMEM;
        return -1;
    }
    return __real_zmq_msg_init_size(msg, size);
}

/* ---- two frames, whole or not at all ---- */

static void *dealer(const char *endpoint)
{
    void *socket = socket_plain(ZMQ_DEALER);
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    assert_int_equal(zmq_send(socket, "hello", 5, 0), 5);
    return socket;
}

/* Who said hello, and nothing behind it. */
static struct str head_of(void *router, char id[16])
{
    char text[8];
    int len = zmq_recv(router, id, 16, 0);
    assert_true(len > 0 && zmq_recv(router, text, sizeof text, 0) == 5);
    return (struct str){id, (uint32_t)len};
}

static void test_pair(void **state)
{
    char one_id[16], two_id[16], got[8];
    void *router = socket_plain(ZMQ_ROUTER);

    (void)state;
    assert_int_equal(zmq_bind(router, "inproc://pair"), 0);
    void *one = dealer("inproc://pair");
    struct str to_one = head_of(router, one_id);
    void *two = dealer("inproc://pair");
    struct str to_two = head_of(router, two_id);
    fail_least = 0;
    fail_sizes = 1;
    assert_int_equal(socket_send_pair(router, to_one, STR_LIT("first")), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(socket_send_pair(router, to_two, STR_LIT("second")), 0);
    assert_int_equal(zmq_recv(two, got, sizeof got, 0), 6);
    assert_int_equal(zmq_recv(one, got, sizeof got, ZMQ_DONTWAIT), -1);
    assert_int_equal(socket_send_pair(router, to_one, STR_LIT("third")), 0);
    assert_int_equal(zmq_recv(one, got, sizeof got, 0), 5);
    zmq_close(one);
    zmq_close(two);
    zmq_close(router);
}

/* ---- the gate ---- */

static struct loop *loop;
static int ups;

static void on_up(void *self)
{
    (void)self;
    ups++;
    loop_stop(loop);
}

static void on_late(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void test_gate(void **state)
{
    static const struct bus_route routes[] = {{0, NULL, NULL}};
    static struct curve_paths server_paths, client_paths;
    const struct bus_client_events events = {.up = on_up};
    char folder[UNIT_FOLDER_SIZE], endpoint[64];
    struct bus_curve server_curve, client_curve;
    struct bus_server *server = NULL;
    struct err err = {0};

    (void)state;
    unit_folder(folder);
    char *argv[] = {"test", "--data", folder, "--bus-curve", "always", NULL};
    struct settings *settings = settings_load(5, argv, NULL, &err);
    loop = loop_new();
    assert_true(settings != NULL && loop != NULL);
    assert_int_equal(curve_prepare(settings, "tcp://127.0.0.1:*", CURVE_LISTENS_TO_WORKERS, &server_paths, &server_curve, &err),
                     0);
    assert_int_equal(curve_prepare(settings, "tcp://127.0.0.1:*", CURVE_CONNECTS, &client_paths, &client_curve, &err), 0);
    for (int port = 42000 + (int)(getpid() % 10000), tries = 0; server == NULL && tries < 200; tries++) {
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port + tries);
        server = bus_server_new(loop, endpoint, &server_curve, routes, NULL, &err);
    }
    assert_non_null(server);
    fail_least = 40; /* the answer's key */
    fail_sizes = 3;
    struct bus_client *client = bus_client_new(loop, endpoint, &client_curve, &events, NULL, &err);
    assert_non_null(client);
    assert_true(loop_after(loop, 120000, on_late, NULL) >= 0);
    loop_run(loop);
    assert_int_equal(ups, 1);
    assert_int_equal(fail_sizes, 0);
    bus_client_free(client);
    bus_server_free(server);
    loop_free(loop);
    settings_free(settings);
    unit_remove(folder);
}

static int finish(void **state)
{
    (void)state;
    bus_finish();
    return 0;
}

int main(void)
{
    unit_forget_environment();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pair), cmocka_unit_test(test_gate)};
    return cmocka_run_group_tests(tests, NULL, finish);
}
