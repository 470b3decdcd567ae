/* A gateway that is not there, or is none: errors that say so, after as long as is worth it. What it does with one that is there: scenario
 * tests. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "proto/messages.h"
#include "worker/video/remote.h"

static struct remote remote_at(const char *gateway)
{
    return (struct remote){.gateway = gateway, .key_file = "", .ca_file = "", .task = 1, .attempt = 1, .patience_ms = 300};
}

/* A server of one answer, repeated for each connection, behind some others. */
struct server {
    int fd;
    unsigned port, asked, firsts;
    const char *answer;
    int quiet_ms; /* says nothing for so long before it answers */
    const char *const *first;
    pthread_t thread;
};

/* Waits, and takes what comes meanwhile. False: the client does not want to. */
static bool quiet(const struct server *server, int client)
{
    char bytes[4096];
    struct pollfd one = {.fd = client, .events = POLLIN};
    while (poll(&one, 1, server->quiet_ms) > 0)
        if (recv(client, bytes, sizeof(bytes), 0) <= 0)
            return false;
    return true;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    int client;
    char bytes[4096];
    while ((client = accept(server->fd, NULL, NULL)) >= 0) {
        if (recv(client, bytes, sizeof(bytes), 0) > 0) {
            const char *answer = server->asked < server->firsts ? server->first[server->asked] : server->answer;
            server->asked++;
            if (!server->quiet_ms || quiet(server, client))
                send(client, answer, strlen(answer), MSG_NOSIGNAL);
        }
        shutdown(client, SHUT_WR);
        while (recv(client, bytes, sizeof(bytes), 0) > 0)
            ;
        close(client);
    }
    return NULL;
}

static void server_start(struct server *server, const char *answer, char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    server->answer = answer;
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    getsockname(server->fd, (struct sockaddr *)&address, &len);
    server->port = ntohs(address.sin_port);
    snprintf(url, 64, "http://127.0.0.1:%u/", server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static char folder[UNIT_FOLDER_SIZE], path[300];

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    snprintf(path, sizeof(path), "%s/file", folder);
    unit_write(path, "0123456789");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unit_remove(folder);
    return 0;
}

/* Fetches ten bytes from a server that answers so. Answers the error's code, 0 when all is well. */
static int fetched(const char *answer, const char *words, unsigned asked)
{
    struct server server = {0};
    struct err err = {0};
    char url[64];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    server_start(&server, answer, url);
    struct remote remote = remote_at(url);
    int rc = remote_fetch(&remote, fd, 10, &err);
    server_stop(&server);
    close(fd);
    if (words && !strstr(err.text, words))
        fail_msg("%s", err.text);
    assert_true(asked ? server.asked == asked : server.asked > 1);
    assert_int_equal(rc, err.code && rc ? -1 : 0);
    return rc ? (int)err.code : 0;
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(fetched("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\nabcdefghij", NULL, 1), 0);
    assert_int_equal(fetched("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nabcdefghijk", "has changed", 1), ERR_CONFLICT);
    assert_int_equal(fetched("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi", "has changed", 1), ERR_CONFLICT);
    assert_int_equal(fetched("HTTP/1.1 404 No\r\nContent-Length: 16\r\n\r\n{\"message\":\"no\"}", "the gateway says", 1),
                     ERR_NOT_FOUND);
    assert_int_equal(fetched("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nplain", "the gateway", 1), ERR_UNAVAILABLE);
    assert_int_equal(fetched("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "the gateway", 0), ERR_UNAVAILABLE);
    assert_int_equal(fetched("HTTP/1.1 409 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", "the gateway", 0),
                     ERR_UNAVAILABLE);
    assert_int_equal(fetched("SSH-2.0-OpenSSH_9.2\r\n", "the gateway", 1), ERR_UNAVAILABLE);
    assert_int_equal(
        fetched("HTTP/1.1 302 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "the gateway", 0),
        ERR_UNAVAILABLE);
}

static void test_nobody(void **state)
{
    (void)state;
    struct err err = {0};
    bool stands;
    struct remote remote = remote_at("http://127.0.0.1:1");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(remote_finish(&remote, fd, 10, "00", &err), -1);
    assert_int_equal(remote_stands(&remote, 10, "00", &stands, &err), -1);
    assert_int_equal(remote_same(&remote, &err), -1);
    assert_int_equal(remote_send(&remote, fd, 100000, &err), -1);
    close(fd);
}

/* A gateway that reads and hashes a large result says nothing for long, and is not given up. */
static void test_slow_answer(void **state)
{
    (void)state;
    struct server server = {.quiet_ms = 4000};
    struct err err = {0};
    char url[64];
    bool stands = true;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    server_start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"data\":{\"received\":0,\"complete\":false}}", url);
    struct remote remote = remote_at(url);
    remote.silence_s = 1;
    assert_int_equal(remote_finish(&remote, fd, 10, "00", &err), 0);
    assert_int_equal(server.asked, 2);
    assert_int_equal(remote_stands(&remote, 10, "00", &stands, &err), 0);
    assert_int_equal(server.asked, 3);
    assert_false(stands);
    server_stop(&server);
    close(fd);
}

/* An older request of this worker's may write on while the gateway is asked how far it is: then it is asked again. */
static void test_last_part(void **state)
{
    (void)state;
    static const char elsewhere[] = "HTTP/1.1 409 No\r\nContent-Length: 0\r\n\r\n",
                      none[] = "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{\"data\":{\"received\":0}}",
                      half[] = "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{\"data\":{\"received\":5}}";
    static const char *const answers[] = {none, elsewhere, half};
    struct server server = {.first = answers, .firsts = 3};
    struct err err = {0};
    char url[64];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    server_start(&server, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", url);
    struct remote remote = remote_at(url);
    assert_int_equal(remote_finish(&remote, fd, 10, "00", &err), 0);
    server_stop(&server);
    assert_int_equal(server.asked, 4);
    close(fd);
}

static void test_settings(void **state)
{
    (void)state;
    struct err err = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct remote remote = remote_at("ftp://127.0.0.1/");
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    char key[300], *big = calloc(1, 5000);
    snprintf(key, sizeof(key), "%s/key", folder);
    remote = remote_at("http://127.0.0.1:1");
    remote.key_file = key;
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    assert_non_null(strstr(err.text, "worker.gateway_key"));
    unit_write(key, "\n\n");
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    assert_non_null(strstr(err.text, "holds no key"));
    unit_write(key, "two\nlines\n");
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    assert_non_null(strstr(err.text, "holds no key"));
    memset(big, 'x', 4999);
    remote = remote_at(big);
    assert_int_equal(remote_fetch(&remote, fd, 10, &err), -1);
    assert_non_null(strstr(err.text, "too long"));
    free(big);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
