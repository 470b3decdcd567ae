/* Paths to handlers. */
#include "tests/unit/unit.h"

#include "gateway/surfaces/surface.h"
#include "proto/messages.h"

static void handle(struct request *request)
{
    (void)request;
}

static const struct route api_routes[] = {
    {METHOD_GET, "/things", handle, ROLE_USER, "list"},
    {METHOD_POST, "/things", handle, ROLE_USER, "make"},
    {METHOD_GET, "/things/{id}", handle, ROLE_USER, "get"},
    {METHOD_GET, "/things/all", handle, ROLE_USER, "a literal goes before a {}"},
    {METHOD_PUT, "/things/{id}/parts/{part}", handle, ROLE_USER, "two arguments"},
    {0},
};
static const struct route web_routes[] = {{METHOD_GET, "/", handle, ROLE_READONLY, "page"}, {0}};
static const struct surface api = {.name = "api", .prefix = "/api", .routes = api_routes};
static const struct surface web = {.name = "web", .prefix = "", .routes = web_routes};

static struct router *router;
static struct route_match match;

static int begin(void **state)
{
    (void)state;
    router = router_new();
    struct err err;
    return !router || router_add(router, &api, api.prefix, &err) != 0 || router_add(router, &web, web.prefix, &err) != 0;
}

static int end(void **state)
{
    (void)state;
    router_free(router);
    return 0;
}

static void find(enum method method, const char *path)
{
    static struct str segments[8];
    uint32_t count = 0;

    while (*path == '/' && (path[1] || count)) {
        segments[count++] = (struct str){path + 1, (uint32_t)strcspn(path + 1, "/")};
        path += 1 + strcspn(path + 1, "/");
    }
    router_match(router, method, segments, count, &match);
}

static void test_matches(void **state)
{
    (void)state;
    find(METHOD_GET, "/");
    assert_ptr_equal(match.route, &web_routes[0]);
    assert_ptr_equal(match.surface, &web);
    find(METHOD_POST, "/api/things");
    assert_ptr_equal(match.route, &api_routes[1]);
    assert_ptr_equal(match.surface, &api);
    find(METHOD_GET, "/api/things/7");
    assert_ptr_equal(match.route, &api_routes[2]);
    assert_true(str_is(match.args[0], "7"));
    find(METHOD_GET, "/api/things/all");
    assert_ptr_equal(match.route, &api_routes[3]);
    find(METHOD_PUT, "/api/things/7/parts/x");
    assert_ptr_equal(match.route, &api_routes[4]);
    assert_true(str_is(match.args[1], "x"));
}

static void test_tells_unknown_from_other_method(void **state)
{
    static const char *const unknown[] = {"/api",           "/api/",
                                          "/api/thing",     "/api/things/",
                                          "/api/things/7/", "/api/things/7/parts",
                                          "/nothing",       "/api/things/7/parts/x/y"};
    char list[64];
    (void)state;

    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        find(METHOD_GET, unknown[i]);
        assert_null(match.route);
        assert_int_equal(match.methods, 0);
        assert_non_null(match.surface);
    }
    find(METHOD_DELETE, "/api/things");
    assert_null(match.route);
    assert_string_equal(method_list(match.methods, list), "GET, HEAD, POST, OPTIONS");
    find(METHOD_OTHER, "/api/things/7/parts/x");
    assert_null(match.route);
    assert_string_equal(method_list(match.methods, list), "PUT, OPTIONS");
}

static void test_refuses_a_row_given_twice(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(router_add(router, &api, api.prefix, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_names_methods(void **state)
{
    (void)state;
    assert_int_equal(method_parse(STR_LIT("HEAD")), METHOD_GET);
    assert_int_equal(method_parse(STR_LIT("get")), METHOD_OTHER);
    assert_int_equal(method_parse(STR_LIT("DELETE")), METHOD_DELETE);
    assert_string_equal(method_name(METHOD_PATCH), "PATCH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_tells_unknown_from_other_method),
        cmocka_unit_test(test_refuses_a_row_given_twice),
        cmocka_unit_test(test_names_methods),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
