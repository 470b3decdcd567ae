/* Real sockets: a server and clients on one loop, over ipc and, with CURVE, over tcp. */
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/bus.h"
#include "proto/clock.h"
#include "proto/curve.h"
#include "proto/trace.h"

#define LONG_MS 300000 /* a deadline that no test waits for */

static struct loop *loop;
static char folder[64];
static char endpoint[128];

static struct {
    int up, down, messages; /* client events */
    uint64_t seen[64];      /* ids of the GET requests the server saw, in order */
    uint32_t seen_count;
    int answers, failures; /* replies */
    uint64_t order[64];    /* ids of DONE answers, in order */
    struct err last;
    char rid[65];
    bool silent;          /* the server takes requests and does not answer */
    struct bus_peer peer; /* of the last request */
    uint64_t bell;
} saw;

static void handle_get(void *self, const struct bus_call *call)
{
    struct msg_done done = {.id = call->msg->u.get.ids.items[0]};

    (void)self;
    saw.seen[saw.seen_count++ % 64] = done.id;
    saw.peer = call->peer;
    str_copy(saw.rid, sizeof saw.rid, call->msg->rid);
    if (!saw.silent) {
        bus_answer(call, &shape_msg_done, &done);
    }
}

static const struct bus_route routes[] = {{MSG_GET, handle_get, "a request"}, {0, NULL, NULL}};

static void fill_pong(void *self, struct msg_pong *pong)
{
    (void)self;
    *pong = (struct msg_pong){.service = STR_LIT("test"), .pid = 1};
}

static struct bus_server *serve(const char *at, const struct bus_curve *curve)
{
    struct err err = {0};
    struct bus_server *server = bus_server_new(loop, at, curve, routes, NULL, &err);

    if (server == NULL) {
        fail_msg("%s", err.text);
    }
    bus_server_on_ping(server, fill_pong);
    return server;
}

static void on_up(void *self)
{
    (void)self;
    saw.up++;
}

static void on_down(void *self)
{
    (void)self;
    saw.down++;
}

static void on_message(void *self, const struct msg *msg, struct str frame)
{
    (void)self;
    (void)frame;
    assert_non_null(msg->shape);
    saw.messages++;
}

static struct bus_client *connect_to(const char *at, const struct bus_curve *curve)
{
    struct bus_client_events events = {on_up, on_down, on_message};
    struct err err = {0};
    struct bus_client *client = bus_client_new(loop, at, curve, &events, NULL, &err);

    if (client == NULL) {
        fail_msg("%s", err.text);
    }
    return client;
}

static void on_reply(void *arg, const struct msg *msg, const struct err *err)
{
    (void)arg;
    if (msg == NULL) {
        saw.failures++;
        saw.last = *err;
        return;
    }
    if (msg->shape->id == MSG_DONE) {
        saw.order[saw.answers % 64] = msg->u.done.id;
    }
    if (msg->shape->id == MSG_ERROR) {
        saw.last.code = (int)msg->u.error.code;
    }
    saw.answers++;
}

static void ask(struct bus_client *client, uint64_t id, uint64_t deadline_ms)
{
    struct msg_get get = {.type = 1, .ids = {&id, 1}};

    bus_ask(client, &shape_msg_get, &get, STR_LIT("req_test"), deadline_ms, on_reply, NULL);
}

/* Runs the loop until a counter has a value; a test that waits longer than a minute has failed. */
static struct {
    const int *counter;
    int value;
    uint64_t until;
} wish;

static void look(void *arg)
{
    (void)arg;
    if (*wish.counter >= wish.value) {
        loop_stop(loop);
    } else if (clock_mono_ms() > wish.until) {
        fail_msg("a counter stayed at %d, %d was expected", *wish.counter, wish.value);
    }
}

static void run_until(const int *counter, int value)
{
    wish.counter = counter;
    wish.value = value;
    wish.until = clock_mono_ms() + 60000;
    int timer = loop_every(loop, 1, look, NULL);
    loop_run(loop);
    loop_cancel(loop, timer);
}

static void on_enough(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void run_for(uint64_t ms)
{
    loop_after(loop, ms, on_enough, NULL);
    loop_run(loop);
}

static int setup(void **state)
{
    (void)state;
    memset(&saw, 0, sizeof saw);
    strcpy(folder, "/tmp/gantry-bus-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(endpoint, sizeof endpoint, "ipc://%s/server.sock", folder);
    loop = loop_new();
    return loop == NULL;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    loop_free(loop);
    bus_finish();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void test_request_and_answer(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);
    struct msg_ping ping = {0};

    ask(client, 7, LONG_MS);
    run_until(&saw.answers, 1);
    assert_int_equal(saw.order[0], 7);
    assert_string_equal(saw.rid, "req_test");
    assert_int_equal(saw.up, 1 + saw.down); /* once a connection */

    bus_ask(client, &shape_msg_ping, &ping, (struct str){0}, LONG_MS, on_reply, NULL);
    run_until(&saw.answers, 2);
    bus_client_free(client);
    bus_server_free(server);
}

static void test_unknown_message_is_refused(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);
    struct msg_log_read wrong = {.run_id = 1, .limit = 1};

    bus_ask(client, &shape_msg_log_read, &wrong, (struct str){0}, LONG_MS, on_reply, NULL);
    run_until(&saw.answers, 1);
    assert_int_equal(saw.last.code, ERR_PROTOCOL);
    bus_client_free(client);
    bus_server_free(server);
}

/* Asked before anybody listens: answered once somebody does. */
static void test_server_comes_later(void **state)
{
    (void)state;
    struct bus_client *client = connect_to(endpoint, NULL);

    ask(client, 1, LONG_MS);
    run_for(120);
    assert_int_equal(saw.answers + saw.failures, 0);
    assert_false(bus_client_is_up(client));
    struct bus_server *server = serve(endpoint, NULL);
    run_until(&saw.answers, 1);
    assert_true(bus_client_is_up(client));
    bus_client_free(client);
    bus_server_free(server);
}

/* What is open when the server goes is asked again, in order, of the one that comes. */
static void test_restart_in_the_middle(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);

    saw.silent = true;
    for (uint64_t id = 1; id <= 20; id++) {
        ask(client, id, LONG_MS);
    }
    run_until((const int *)&saw.seen_count, 20);
    bus_server_free(server);
    run_until(&saw.down, 1);
    assert_int_equal(saw.answers, 0);
    saw.silent = false;
    saw.seen_count = 0;
    server = serve(endpoint, NULL);
    run_until(&saw.answers, 20);
    for (uint64_t id = 1; id <= 20; id++) {
        assert_int_equal(saw.seen[id - 1], id);
        assert_int_equal(saw.order[id - 1], id);
    }
    assert_int_equal(saw.failures, 0);
    bus_client_free(client);
    bus_server_free(server);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct bus_client *client = connect_to(endpoint, NULL);

    ask(client, 1, 50);
    run_until(&saw.failures, 1);
    assert_int_equal(saw.last.code, ERR_UNAVAILABLE); /* nobody got it */

    struct bus_server *server = serve(endpoint, NULL);
    run_until(&saw.up, 1);
    saw.silent = true;
    ask(client, 2, 50);
    run_until(&saw.failures, 2);
    assert_int_equal(saw.last.code, ERR_UNKNOWN_OUTCOME); /* somebody may have acted on it */
    bus_client_free(client);
    bus_server_free(server);
}

static void stand_still(uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {}
}

/* The answer could not come while the asker itself stood still: that is nobody's silence. */
static void test_deadlines_of_who_stood_still(void **state)
{
    (void)state;
    struct bus_client *client = connect_to(endpoint, NULL);

    ask(client, 1, 2000);
    stand_still(2600);
    struct bus_server *server = serve(endpoint, NULL);
    run_until(&saw.answers, 1);
    assert_int_equal(saw.failures, 0);
    bus_client_free(client);
    bus_server_free(server);
}

static void test_forgotten_request_is_not_answered(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);
    struct msg_ping ping = {0};

    run_until(&saw.up, 1);
    uint64_t corr = bus_ask(client, &shape_msg_ping, &ping, (struct str){0}, LONG_MS, on_reply, NULL);
    bus_forget(client, corr);
    bus_forget(client, corr); /* twice is harmless */
    ask(client, 3, LONG_MS);
    run_until(&saw.answers, 1);
    run_for(20);
    assert_int_equal(saw.answers, 1);
    assert_int_equal(saw.order[0], 3);
    assert_int_equal(saw.messages, 0);
    bus_client_free(client);
    bus_server_free(server);
}

static void test_too_many_open(void **state)
{
    (void)state;
    struct bus_client *client = connect_to(endpoint, NULL);

    for (uint32_t i = 0; i < BUS_OPEN_MAX; i++) {
        ask(client, 1, LONG_MS);
    }
    assert_int_equal(saw.failures, 0);
    ask(client, 1, LONG_MS);
    assert_int_equal(saw.failures, 1);
    assert_int_equal(saw.last.code, ERR_LIMIT);
    bus_client_free(client);
}

static void test_tell_needs_a_connection(void **state)
{
    (void)state;
    struct bus_client *client = connect_to(endpoint, NULL);
    struct msg_drain drain = {0};
    struct err err = {0};

    assert_int_equal(bus_tell(client, &shape_msg_drain, &drain, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    bus_client_free(client);
}

/* A peer that is gone is an error to who sends to it, not a silent loss. */
static void test_gone_peer(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);
    struct msg_done done = {0};
    struct err err = {0};

    ask(client, 1, LONG_MS);
    run_until(&saw.answers, 1);
    assert_int_equal(bus_send(server, &saw.peer, &shape_msg_done, &done, 0, (struct str){0}, &err), 0);
    run_until(&saw.messages, 1);
    bus_client_free(client);
    uint64_t until = clock_mono_ms() + 60000; /* libzmq's thread sees that it is gone when it gets to it */
    while (bus_send(server, &saw.peer, &shape_msg_done, &done, 0, (struct str){0}, &err) == 0) {
        assert_true(clock_mono_ms() < until);
        run_for(5);
    }
    assert_int_equal(err.code, ERR_NOT_FOUND);
    bus_server_free(server);
}

/* Garbage, several frames, an over-long routing id: answered or dropped, and the honest go on. */
static void test_hostile_frames(void **state)
{
    (void)state;
    struct bus_server *server = serve(endpoint, NULL);
    void *context = zmq_ctx_new();
    void *hostile = zmq_socket(context, ZMQ_DEALER);
    char long_id[200];
    int zero = 0;

    memset(long_id, 'x', sizeof long_id);
    assert_int_equal(zmq_setsockopt(hostile, ZMQ_ROUTING_ID, long_id, sizeof long_id), 0);
    zmq_setsockopt(hostile, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(hostile, endpoint), 0);
    void *plain = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(plain, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(plain, endpoint), 0);
    for (int i = 0; i < 50; i++) {
        zmq_send(hostile, "\x92\x02\x80", 3, 0); /* a PING from nobody we can answer */
        zmq_send(plain, "\xdf\x0f\xff\xff\xff", 5, 0);
        zmq_send(plain, "a", 1, ZMQ_SNDMORE);
        zmq_send(plain, "b", 1, ZMQ_SNDMORE);
        zmq_send(plain, "", 0, 0);
        zmq_send(plain, "", 0, 0);
    }
    struct bus_client *client = connect_to(endpoint, NULL);
    ask(client, 5, LONG_MS);
    run_until(&saw.answers, 1);
    assert_int_equal(saw.order[0], 5);
    zmq_close(hostile);
    zmq_close(plain);
    zmq_ctx_term(context);
    bus_client_free(client);
    bus_server_free(server);
}

static void test_bad_endpoints(void **state)
{
    char deep[200];
    struct err err = {0};

    (void)state;
    snprintf(deep, sizeof deep, "ipc:///tmp/%0120d", 0);
    assert_null(bus_server_new(loop, deep, NULL, routes, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(bus_server_new(loop, "udp://127.0.0.1:1", NULL, routes, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(bus_server_new(loop, "tcp://999.1.1.1:1", NULL, routes, NULL, &err));
}

static void on_bell(void *self, const struct msg_doorbell *doorbell)
{
    (void)self;
    saw.bell = doorbell->event;
    saw.messages++;
}

static struct bus_bell *rung;

static void ring(void *arg)
{
    (void)arg;
    bus_bell_ring(rung, &(struct msg_doorbell){.event = 42});
}

static void test_doorbell(void **state)
{
    struct err err = {0};

    (void)state;
    rung = bus_bell_new(endpoint, NULL, &err);
    assert_non_null(rung);
    struct bus_ear *ear = bus_ear_new(loop, endpoint, NULL, on_bell, NULL, &err);
    assert_non_null(ear);
    int timer = loop_every(loop, 10, ring, NULL); /* what is rung before the other side listens is lost, by design */
    run_until(&saw.messages, 1);
    assert_int_equal(saw.bell, 42);
    loop_cancel(loop, timer);
    bus_ear_free(ear);
    bus_bell_free(rung);
}

static void ring_on(void *arg)
{
    uint64_t *number = arg;
    bus_bell_ring(rung, &(struct msg_doorbell){.event = ++*number});
}

struct beside {
    int messages;
    uint64_t bell;
};

static void on_bell_beside(void *self, const struct msg_doorbell *doorbell)
{
    struct beside *beside = self;
    beside->bell = doorbell->event;
    beside->messages++;
}

/* An ear that does not listen hears nothing, while another does, and hears again when it listens again. */
static void test_deaf_ear(void **state)
{
    struct err err = {0};
    struct beside beside = {0};
    uint64_t number = 0;

    (void)state;
    rung = bus_bell_new(endpoint, NULL, &err);
    struct bus_ear *ear = bus_ear_new(loop, endpoint, NULL, on_bell, NULL, &err);
    struct bus_ear *other = bus_ear_new(loop, endpoint, NULL, on_bell_beside, &beside, &err);
    assert_true(rung != NULL && ear != NULL && other != NULL);
    int timer = loop_every(loop, 5, ring_on, &number);
    run_until(&saw.messages, 1);
    run_until(&beside.messages, 1);
    assert_int_equal(bus_ear_listen(ear, false), 0);
    while (beside.bell < saw.bell + 5) {
        run_until(&beside.messages, beside.messages + 1);
    }
    assert_int_equal(bus_ear_listen(ear, true), 0);
    run_until(&saw.messages, saw.messages + 1);
    loop_cancel(loop, timer);
    bus_ear_free(ear);
    bus_ear_free(other);
    bus_bell_free(rung);
    rung = NULL;
}

/* ---- CURVE ---- */

static struct settings *settings_for(const char *data, const char *mode)
{
    char *argv[] = {"test", "--data", (char *)data, "--bus-curve", (char *)mode, NULL};
    struct err err = {0};
    struct settings *settings = settings_load(5, argv, NULL, &err);

    if (settings == NULL) {
        fail_msg("%s", err.text);
    }
    return settings;
}

/* A port that is free now, of those that the kernel gives away: whoever chooses one by number beside us takes none of them. */
static void port_next(char bound[64])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    snprintf(bound, 64, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
}

static void run_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run_shell(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static void test_curve(void **state)
{
    const char *tcp = "tcp://127.0.0.1:*";
    char stranger_data[128], bound[64];
    static struct curve_paths server_paths, client_paths, stranger_paths;
    struct bus_curve server_curve, client_curve, stranger_curve;
    struct err err = {0};

    (void)state;
    struct settings *ours = settings_for(folder, "always");
    assert_int_equal(curve_prepare(ours, tcp, CURVE_LISTENS_TO_WORKERS, &server_paths, &server_curve, &err), 0);
    assert_non_null(server_curve.allowed);
    assert_int_equal(curve_prepare(ours, tcp, CURVE_CONNECTS, &client_paths, &client_curve, &err), 0);

    struct bus_server *server = NULL;
    for (int tries = 0; tries < 200 && server == NULL; tries++) {
        port_next(bound);
        server = bus_server_new(loop, bound, &server_curve, routes, NULL, &err);
    }
    assert_non_null(server);
    struct bus_client *client = connect_to(bound, &client_curve);
    ask(client, 1, LONG_MS);
    run_until(&saw.answers, 1);

    /* A key that is not in the folder gets nothing, and neither does a plain peer. */
    snprintf(stranger_data, sizeof stranger_data, "%s/stranger/curve", folder);
    run_shell("mkdir -p '%s' && cp '%s/curve/server.key' '%s/'", stranger_data, folder, stranger_data);
    snprintf(stranger_data, sizeof stranger_data, "%s/stranger", folder);
    struct settings *theirs = settings_for(stranger_data, "always");
    assert_int_equal(curve_prepare(theirs, bound, CURVE_CONNECTS, &stranger_paths, &stranger_curve, &err), 0);
    struct bus_client *stranger = connect_to(bound, &stranger_curve);
    struct bus_client *plain = connect_to(bound, NULL);
    ask(stranger, 2, 400);
    ask(plain, 3, 400);
    run_until(&saw.failures, 2);
    assert_int_equal(saw.last.code, ERR_UNAVAILABLE);
    assert_int_equal(saw.seen_count, 1);

    /* Once it is let in, it finds its way by itself. */
    run_shell("cp '%s/curve/client.key' '%s/curve/allowed/stranger.key'", stranger_data, folder);
    ask(stranger, 4, LONG_MS);
    run_until(&saw.answers, 2);

    bus_client_free(plain);
    bus_client_free(stranger);
    bus_client_free(client);
    bus_server_free(server);
    settings_free(ours);
    settings_free(theirs);
}

/* An ear that was refused hears once it is let in. */
static void test_curve_of_the_doorbell(void **state)
{
    static struct curve_paths bell_paths, ear_paths;
    struct bus_curve bell_curve, ear_curve;
    struct err err = {0};
    char bound[64], far[128];
    uint64_t number = 0;

    (void)state;
    struct settings *ours = settings_for(folder, "always");
    assert_int_equal(curve_prepare(ours, "tcp://127.0.0.1:*", CURVE_LISTENS_TO_PROCESSES, &bell_paths, &bell_curve, &err), 0);
    snprintf(far, sizeof far, "%s/far", folder);
    run_shell("mkdir -p '%s/curve' && cp '%s/curve/server.key' '%s/curve/'", far, folder, far);
    struct settings *theirs = settings_for(far, "always");
    assert_int_equal(curve_prepare(theirs, "tcp://127.0.0.1:*", CURVE_CONNECTS, &ear_paths, &ear_curve, &err), 0);
    for (int tries = 0; tries < 200 && (rung == NULL || tries == 0); tries++) {
        port_next(bound);
        rung = bus_bell_new(bound, &bell_curve, &err);
    }
    struct bus_ear *ear = bus_ear_new(loop, bound, &ear_curve, on_bell, NULL, &err);
    assert_true(rung != NULL && ear != NULL);
    int timer = loop_every(loop, 5, ring_on, &number);
    run_for(200);
    assert_int_equal(saw.messages, 0);
    run_shell("cp '%s/curve/client.key' '%s/curve/trusted/far.key'", far, folder);
    run_until(&saw.messages, 3);
    loop_cancel(loop, timer);
    bus_ear_free(ear);
    bus_bell_free(rung);
    rung = NULL;
    settings_free(ours);
    settings_free(theirs);
}

/* Who is refused knocks again now and then, however fast the refusal: a worker whose key was taken away must not burn a core, its own or
 * the farm's. */
static void on_knock(void *arg)
{
    int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        saw.messages++;
        close(fd);
    }
}

static void test_refused_client_is_patient(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char bound[64];

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    snprintf(bound, sizeof bound, "tcp://127.0.0.1:%d", ntohs(at.sin_port));
    assert_int_equal(loop_add_fd(loop, listener, false, on_knock, &listener), 0);
    uint64_t began = clock_mono_ms();
    struct bus_client *client = connect_to(bound, NULL);
    run_until(&saw.messages, 3);
    assert_true(clock_mono_ms() - began >= 900); /* two pauses of 500 ms, a tick early each */
    bus_client_free(client);
    loop_remove_fd(loop, listener);
    close(listener);
}

/* What the option that libzmq's header hides is for: with nobody to authenticate, nobody gets in. */
static void test_curve_without_authenticator(void **state)
{
    char public_key[41], secret_key[41], other_public[41], other_secret[41], at[64], byte;
    size_t size = sizeof at;
    int on = 1, zero = 0;
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    void *dealer = zmq_socket(context, ZMQ_DEALER);

    (void)state;
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    assert_int_equal(zmq_curve_keypair(other_public, other_secret), 0);
    assert_int_equal(zmq_setsockopt(router, ZMQ_CURVE_SERVER, &on, sizeof on), 0);
    assert_int_equal(zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, secret_key, 41), 0);
    assert_int_equal(zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "gantry", 6), 0);
    assert_int_equal(zmq_setsockopt(router, 93, &on, sizeof on), 0);
    assert_int_equal(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, at, &size), 0);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, public_key, 41);
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, other_public, 41);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, other_secret, 41);
    zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(dealer, at), 0);
    zmq_send(dealer, "x", 1, ZMQ_DONTWAIT);
    zmq_setsockopt(router, ZMQ_RCVTIMEO, &(int){500}, sizeof(int));
    assert_int_equal(zmq_recv(router, &byte, 1, 0), -1);
    zmq_close(dealer);
    zmq_close(router);
    zmq_ctx_term(context);
}

static void test_curve_is_needed_beyond_loopback(void **state)
{
    static struct curve_paths paths;
    struct bus_curve curve;
    struct err err = {0};

    (void)state;
    struct settings *never = settings_for(folder, "never");
    assert_int_equal(curve_prepare(never, "tcp://0.0.0.0:7000", CURVE_LISTENS_TO_PROCESSES, &paths, &curve, &err), -1);
    assert_int_equal(curve_prepare(never, "tcp://127.0.0.1:7000", CURVE_LISTENS_TO_PROCESSES, &paths, &curve, &err), 0);
    assert_null(curve.own);
    settings_free(never);
    struct settings *automatic = settings_for(folder, "auto");
    assert_int_equal(curve_prepare(automatic, "tcp://0.0.0.0:7000", CURVE_LISTENS_TO_PROCESSES, &paths, &curve, &err), 0);
    assert_non_null(curve.own);
    assert_int_equal(curve_prepare(automatic, "ipc:///tmp/x", CURVE_LISTENS_TO_PROCESSES, &paths, &curve, &err), 0);
    assert_null(curve.own);
    settings_free(automatic);
}

/* ---- trace ---- */

static void *watcher;
static int watched;

/* Counts messages; watched is set by the process's word that it sees us. */
static void on_traced(void *arg)
{
    struct trace_header header;
    char bytes[256];

    (void)arg;
    while (zmq_recv(watcher, &header, sizeof header, ZMQ_DONTWAIT) == (int)sizeof header) {
        assert_true(zmq_recv(watcher, bytes, sizeof bytes, 0) >= 0);
        if (header.direction == TRACE_JOINED) {
            assert_int_equal(atol(header.peer), getpid());
            watched = trace_on();
        } else {
            saw.messages++;
        }
    }
}

static void test_trace(void **state)
{
    char path[160];
    struct err err = {0};
    struct bus_server *server = serve(endpoint, NULL);
    struct bus_client *client = connect_to(endpoint, NULL);

    (void)state;
    assert_int_equal(trace_init(loop, folder, "test", &err), 0);
    assert_false(trace_on());
    void *context = zmq_ctx_new();
    watcher = zmq_socket(context, ZMQ_SUB);
    zmq_setsockopt(watcher, ZMQ_SUBSCRIBE, "", 0);
    snprintf(path, sizeof path, "ipc://%s/trace-test-%ld.ipc", folder, (long)getpid());
    assert_int_equal(zmq_connect(watcher, path), 0);
    assert_int_equal(loop_add_socket(loop, watcher, on_traced, NULL), 0);
    watched = 0;
    run_until(&watched, 1);
    ask(client, 1, LONG_MS);
    run_until(&saw.messages, 4); /* asked and seen, answered and seen */
    loop_remove_socket(loop, watcher);
    zmq_close(watcher);
    zmq_ctx_term(context);
    trace_close();
    assert_int_not_equal(access(path + 6, F_OK), 0);
    bus_client_free(client);
    bus_server_free(server);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_request_and_answer),
        TEST(test_unknown_message_is_refused),
        TEST(test_server_comes_later),
        TEST(test_restart_in_the_middle),
        TEST(test_deadlines),
        TEST(test_deadlines_of_who_stood_still),
        TEST(test_forgotten_request_is_not_answered),
        TEST(test_too_many_open),
        TEST(test_tell_needs_a_connection),
        TEST(test_gone_peer),
        TEST(test_hostile_frames),
        TEST(test_bad_endpoints),
        TEST(test_doorbell),
        TEST(test_deaf_ear),
        TEST(test_curve),
        TEST(test_curve_of_the_doorbell),
        TEST(test_refused_client_is_patient),
        TEST(test_curve_without_authenticator),
        TEST(test_curve_is_needed_beyond_loopback),
        TEST(test_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
