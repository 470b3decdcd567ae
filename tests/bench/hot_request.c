/* A submit over REST in the gateway: from the request line to the question to the scheduler, and from its answer to the JSON; without
 * libmicrohttpd and without the bus. */
#include <microhttpd.h>
#include <string.h>

#include "gateway/ask.h"
#include "gateway/connection.h"
#include "gateway/dispatch.h"
#include "gateway/gateway.h"
#include "gateway/headers.h"
#include "gateway/pool.h"
#include "gateway/surfaces/surface.h"
#include "tests/bench/hot.h"
#include "tests/fuzz/farside.h"

static struct gateway gateway;
static struct connections connections;
static struct connection connection;
static struct pool pool;
static struct buf answer;
static const char body[] =
    "{\"parameters\":{\"payload\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}";

int __wrap_MHD_get_connection_values_n(struct MHD_Connection *mhd, enum MHD_ValueKind kind, MHD_KeyValueIteratorN fn, void *cls);
void __wrap_http_answer(struct request *of);
void __wrap_http_wake(struct request *of);

int __wrap_MHD_get_connection_values_n(struct MHD_Connection *mhd, enum MHD_ValueKind kind, MHD_KeyValueIteratorN fn, void *cls)
{
    static const struct {
        const char *name, *value;
    } headers[] = {{"Host", "localhost"}, {"Content-Type", "application/json"}, {"Content-Length", "220"}};
    (void)mhd;

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        fn(cls, kind, headers[i].name, strlen(headers[i].name), headers[i].value, strlen(headers[i].value));
    return (int)(sizeof headers / sizeof headers[0]);
}

void __wrap_http_answer(struct request *of)
{
    (void)of;
}

void __wrap_http_wake(struct request *of)
{
    (void)of;
}

static void prepare(void)
{
    static char *argv[] = {"hot",
                           "--bus-scheduler=tcp://127.0.0.1:1",
                           "--bus-store=tcp://127.0.0.1:2",
                           "--bus-doorbell=tcp://127.0.0.1:3",
                           "--data=/nonexistent",
                           NULL};
    struct msg_run_answer run = {.run = {.id = 123456,
                                         .task_id = 7,
                                         .task_name = STR_LIT("task"),
                                         .created_at = UINT64_C(1700000000000),
                                         .timeout_seconds = 3600},
                                 .estimated_completion = UINT64_C(1700000003600)};
    struct err err = {0};

    connections.max = 10;
    connection = (struct connection){.all = &connections, .fd = -1};
    gateway.settings = settings_load(5, argv, NULL, &err);
    gateway.loop = loop_new();
    gateway.router = router_new();
    hot_check(gateway.settings && gateway.loop && gateway.router, err.text);
    for (const struct surface *const *surface = surfaces_all; *surface; surface++)
        hot_check(router_add(gateway.router, *surface, (*surface)->prefix, &err) == 0, err.text);
    gateway.guard = (struct guard){.bound = "127.0.0.1", .names = "", .origins = ""};
    gateway.limits = (struct limits){.idle_ms = 75000, .request_ms = 30000, .body = 1 << 20};
    gateway.deadline_ms = 10000;
    gateway.audit.enabled = true;
    gateway.ask = ask_new(&gateway, &err);
    hot_check(gateway.ask != NULL, err.text);
    farside_up(true);
    hot_check(msg_encode_run_answer(&answer, &run, 1, (struct str){0}, &err) == 0, err.text);
}

static void submit(unsigned number)
{
    struct request *request = pool_take(&pool);
    (void)number;

    request->gateway = &gateway;
    request->connection = &connection;
    dispatch_target(request, "/api/tasks/7/trigger");
    request->state = REQUEST_BODY;
    headers_read(request, NULL, "POST");
    hot_check(dispatch_headers(request, false) == DISPATCH_READ && buf_add(&request->body, body, sizeof body - 1) == 0,
              "headers");
    dispatch_request(request);
    request->state = REQUEST_WAITING;
    hot_check(!request->answered && farside_answer(buf_str(&answer)), "nothing was asked");
    hot_check(request->answered && request->status == 201, "it was not answered");
    request->state = REQUEST_SENDING;
    struct MHD_Response *response = MHD_create_response_from_buffer(request->out.len, request->out.data, MHD_RESPMEM_PERSISTENT);
    headers_write(request, response, false);
    MHD_destroy_response(response);
    pool_give_back(&pool, request);
}

const struct hot hot_table[] = {{"submit", prepare, submit}, {NULL, NULL, NULL}};
