/* The client against a server of a few lines, which answers what each test tells it to. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/socket.h>

#include "gateway/cli/client.h"
#include "proto/messages.h"

#define ANSWERS_MAX 4

struct server {
    int fd;
    int port;
    const char *answers[ANSWERS_MAX]; /* whole HTTP answers, one a connection; NULL: closed without one */
    size_t count;
    int slow_ms; /* what the first one takes */
    char requests[ANSWERS_MAX][4096];
    pthread_t thread;
};

static void *server_run(void *arg)
{
    struct server *server = arg;

    for (size_t i = 0; i < server->count; i++) {
        int fd = accept(server->fd, NULL, NULL);
        size_t len = 0;
        while (fd >= 0 && len < sizeof server->requests[i] - 1) {
            ssize_t got = read(fd, server->requests[i] + len, sizeof server->requests[i] - 1 - len);
            len += got > 0 ? (size_t)got : 0;
            server->requests[i][len] = '\0';
            const char *body = strstr(server->requests[i], "\r\n\r\n");
            const char *size = strcasestr(server->requests[i], "content-length:");
            if (got <= 0 || (body != NULL && strlen(body + 4) >= (size != NULL ? strtoul(size + 15, NULL, 10) : 0))) {
                break;
            }
        }
        if (i == 0) {
            poll(NULL, 0, server->slow_ms);
        }
        if (fd >= 0 && server->answers[i] != NULL) {
            assert_true(write(fd, server->answers[i], strlen(server->answers[i])) > 0);
        }
        close(fd);
    }
    return NULL;
}

static struct client *server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];

    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", server->port);
    struct client *client = client_new(url, "secret", NULL);
    assert_non_null(client);
    return client;
}

static void server_stop(struct server *server, struct client *client)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
    client_free(client);
}

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"

/* However patient a command is. */
static void no_address_is_told_at_once(void **state)
{
    struct err err = {0};
    struct client *client = client_new("http://a b:x", NULL, &err);
    json_t *data;

    (void)state;
    assert_non_null(client);
    client_set_patience(client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    assert_int_equal(client_post(client, NULL, &data, &err, "/runs"), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    client_free(client);
}

static void data_is_answered(void **state)
{
    struct server server = {.answers = {HEAD("200 OK") "{\"success\":true,\"data\":{\"id\":7}}"}, .count = 1};
    struct client *client = server_start(&server);
    struct err err = {0};
    json_t *data;

    (void)state;
    assert_int_equal(client_get(client, &data, &err, "/tasks/%d", 7), 0);
    assert_int_equal(json_integer_value(json_object_get(data, "id")), 7);
    json_decref(data);
    server_stop(&server, client);
    assert_int_equal(strncmp(server.requests[0], "GET /api/tasks/7 HTTP/1.1", 25), 0);
    assert_non_null(strstr(server.requests[0], "Authorization: Bearer secret"));
    assert_null(strstr(server.requests[0], "Idempotency-Key"));
}

static void key_of(const char *request, char out[64])
{
    const char *at = strstr(request, "Idempotency-Key: ");

    assert_non_null(at);
    snprintf(out, 64, "%.*s", (int)strcspn(at, "\r"), at);
}

static void a_write_is_tried_again_with_its_key(void **state)
{
    struct server server = {.answers = {HEAD("503 Service Unavailable") "{\"success\":false,\"error\":{\"message\":\"away\"}}",
                                        NULL, HEAD("201 Created") "{\"success\":true,\"data\":{\"run_id\":3}}"},
                            .count = 3};
    struct client *client = server_start(&server);
    struct err err = {0};
    char keys[3][64];
    json_t *data;
    json_t *body = json_pack("{s:s}", "name", "x");

    (void)state;
    client_set_patience(client, 300000, 300000);
    assert_int_equal(client_post(client, body, &data, &err, "/runs"), 0);
    json_decref(body);
    json_decref(data);
    server_stop(&server, client);
    for (size_t i = 0; i < 3; i++) {
        key_of(server.requests[i], keys[i]);
        assert_non_null(strstr(server.requests[i], "{\"name\":\"x\"}"));
    }
    assert_string_equal(keys[0], keys[1]);
    assert_string_equal(keys[0], keys[2]);
}

/* A farm that takes longer than the patience to say that it is away has had nothing of it. */
static void a_slow_answer_costs_no_patience(void **state)
{
    struct server server = {.answers = {HEAD("503 Service Unavailable") "{\"success\":false,\"error\":{\"message\":\"away\"}}",
                                        HEAD("200 OK") "{\"success\":true,\"data\":{}}"},
                            .count = 2,
                            .slow_ms = 3000};
    struct client *client = server_start(&server);
    struct err err = {0};
    json_t *data;

    (void)state;
    client_set_patience(client, 0, 3000);
    assert_int_equal(client_get(client, &data, &err, "/x"), 0);
    json_decref(data);
    server_stop(&server, client);
}

static void failure(const char *answer, int code, const char *words)
{
    struct server server = {.answers = {answer}, .count = 1};
    struct client *client = server_start(&server);
    struct err err = {0};

    assert_int_equal(client_get(client, NULL, &err, "/x"), -1);
    assert_int_equal(err.code, code);
    if (strstr(err.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
    server_stop(&server, client);
}

static void refusals_are_sentences(void **state)
{
    (void)state;
    failure(HEAD("404 Not Found") "{\"success\":false,\"error\":{\"message\":\"there is no run 9\"}}", ERR_NOT_FOUND,
            "there is no run 9");
    failure(HEAD("422 X") "{\"success\":false,\"error\":{\"message\":\"required\",\"details\":{\"field\":\"name\"}}}",
            ERR_INVALID, "name: required");
    failure(HEAD("401 X") "{\"success\":false,\"error\":{\"message\":\"who are you\"}}", ERR_FORBIDDEN, "GANTRY_KEY");
    failure(HEAD("200 OK") "<html>", ERR_INTERNAL, "no JSON");
    failure(HEAD("200 OK") "[]", ERR_INTERNAL, "answered 200");
    failure(HEAD("503 X") "{\"success\":false,\"error\":{\"message\":\"away\"}}", ERR_UNAVAILABLE, "away");
}

static void a_farm_that_is_not_there_is_told_plainly(void **state)
{
    struct client *client = client_new("http://127.0.0.1:1", NULL, NULL);
    struct err err = {0};

    (void)state;
    assert_int_equal(client_get(client, NULL, &err, "/x"), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "gantry up"));
    client_free(client);
    assert_null(client_new("ftp://x", NULL, &err));
    assert_non_null(strstr(err.text, "http://"));
}

static void an_interrupt_ends_the_patience(void **state)
{
    volatile sig_atomic_t flag = 1;
    struct client *client = client_new("http://127.0.0.1:1", NULL, NULL);

    (void)state;
    client_set_patience(client, CLIENT_FOR_EVER, CLIENT_FOR_EVER);
    client_set_interrupt(client, &flag);
    assert_int_equal(client_get(client, NULL, NULL, "/x"), -1);
    client_free(client);
}

static void queries_are_escaped(void **state)
{
    char path[64] = "/tasks";
    char tight[16] = "/tasks";

    (void)state;
    assert_int_equal(client_query_add(path, sizeof path, "search", "a b&c=数"), 0);
    assert_int_equal(client_query_add(path, sizeof path, "page", "2"), 0);
    assert_string_equal(path, "/tasks?search=a%20b%26c%3D%E6%95%B0&page=2");
    assert_int_equal(client_query_add(tight, sizeof tight, "search", "something long"), -1);
    assert_string_equal(tight, "/tasks");
}

/* ---- files ---- */

struct taken {
    long status;
    char text[64];
};

static int take(void *arg, long status, const char *bytes, size_t len)
{
    struct taken *taken = arg;

    taken->status = status;
    snprintf(taken->text, sizeof taken->text, "%.*s", (int)len, bytes);
    return 0;
}

static void files_go_and_come(void **state)
{
    struct server server = {.answers = {HEAD("201 Created") "{\"code\":201,\"data\":{\"asset_id\":4}}",
                                        "HTTP/1.1 204 No Content\r\nConnection: close\r\nLocation:  http://x/tus/ab \r\n\r\n",
                                        HEAD("206 Partial Content") "picture",
                                        HEAD("404 Not Found") "{\"detail\":\"it is gone\"}"},
                            .count = 4};
    struct client *client = server_start(&server);
    struct err err = {0};
    struct taken taken = {0};
    char folder[UNIT_FOLDER_SIZE], path[128];
    const struct client_field fields[] = {{"hash", "abc"}, {NULL, NULL}};
    struct client_transfer form = {.method = "POST", .path = "/files/upload", .form = fields, .file = path};
    struct client_transfer piece = {
        .method = "PATCH", .path = "/tus/ab", .headers = {"Upload-Offset: 2"}, .file = path, .from = 2, .length = 3};
    struct client_transfer get = {
        .method = "GET", .path = "/files/download/1", .headers = {"Range: bytes=5-"}, .take = take, .arg = &taken};
    json_t *data;

    (void)state;
    snprintf(path, sizeof path, "%s/file", unit_folder(folder));
    unit_write(path, "0123456789");
    client_set_base(client, "/render/api");
    assert_int_equal(client_move(client, &form, &data, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(data, "asset_id")), 4);
    json_decref(data);
    assert_int_equal(client_move(client, &piece, &data, &err), 0);
    assert_null(data);
    assert_int_equal(piece.status, 204);
    assert_string_equal(piece.location, "http://x/tus/ab");
    assert_int_equal(client_move(client, &get, NULL, &err), 0);
    assert_int_equal(taken.status, 206);
    assert_string_equal(taken.text, "picture");
    assert_int_equal(client_move(client, &get, NULL, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "it is gone");
    server_stop(&server, client);
    assert_int_equal(strncmp(server.requests[0], "POST /render/api/files/upload HTTP/1.1", 38), 0);
    assert_non_null(strstr(server.requests[0], "name=\"file\""));
    assert_non_null(strstr(server.requests[0], "0123456789"));
    assert_non_null(strstr(server.requests[0], "name=\"hash\""));
    assert_int_equal(strncmp(server.requests[1], "PATCH /render/api/tus/ab HTTP/1.1", 33), 0);
    assert_non_null(strstr(server.requests[1], "\r\n\r\n234"));
    assert_null(strstr(server.requests[1], "2345"));
    assert_int_equal(strncmp(server.requests[2], "GET /render/api/files/download/1 HTTP/1.1", 41), 0);
    assert_non_null(strstr(server.requests[2], "Authorization: Bearer secret"));
    unit_remove(folder);
}

static void a_file_that_is_not_there_is_told(void **state)
{
    struct client *client = client_new("http://127.0.0.1:1", NULL, NULL);
    struct client_transfer piece = {.method = "PATCH", .path = "/x", .file = "/none/file", .length = 3};
    struct err err = {0};

    (void)state;
    assert_int_equal(client_move(client, &piece, NULL, &err), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "/none/file: No such file"));
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_address_is_told_at_once),
        cmocka_unit_test(data_is_answered),
        cmocka_unit_test(a_write_is_tried_again_with_its_key),
        cmocka_unit_test(a_slow_answer_costs_no_patience),
        cmocka_unit_test(refusals_are_sentences),
        cmocka_unit_test(a_farm_that_is_not_there_is_told_plainly),
        cmocka_unit_test(an_interrupt_ends_the_patience),
        cmocka_unit_test(queries_are_escaped),
        cmocka_unit_test(files_go_and_come),
        cmocka_unit_test(a_file_that_is_not_there_is_told),
    };
    if (sodium_init() < 0) {
        return 1;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
