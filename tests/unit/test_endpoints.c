/* The surfaces that ship: their tables are sound, and docs/http/README.md says what they say. */
#include "tests/unit/unit.h"

#include <ctype.h>

#include "gateway/surfaces/surface.h"

static void test_tables_are_sound(void **state)
{
    struct err err = {0};
    struct router *router = router_new();
    (void)state;

    for (const struct surface *const *surface = surfaces_all; *surface; surface++) {
        if (router_add(router, *surface, (*surface)->prefix, &err) != 0)
            fail_msg("%s", err.text);
        assert_non_null((*surface)->write_problem);
        assert_true((*surface)->doc[0] != '\0');
        for (const struct route *route = (*surface)->routes; route->handle; route++) {
            assert_int_equal(route->path[0], '/');
            assert_true(strlen(route->doc) > 10);
            assert_true(isupper((unsigned char)route->doc[0]) && route->doc[strlen(route->doc) - 1] == '.');
        }
    }
    router_free(router);
}

static void test_page_is_current(void **state)
{
    static const char path[] = DOCS_FOLDER "/http/README.md";
    char *made = NULL, *kept = NULL;
    size_t made_size = 0, kept_size = 0;
    (void)state;

    FILE *memory = open_memstream(&made, &made_size);
    route_markdown(surfaces_all, memory);
    assert_int_equal(fclose(memory), 0);
    if (getenv("GANTRY_WRITE_DOCS"))
        unit_write(path, made);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing: run this test with GANTRY_WRITE_DOCS=1", path);
    assert_true(getdelim(&kept, &kept_size, '\0', file) > 0);
    fclose(file);
    if (strcmp(made, kept) != 0)
        fail_msg("%s is not what the tables say: run this test with GANTRY_WRITE_DOCS=1", path);
    free(made);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables_are_sound), cmocka_unit_test(test_page_is_current)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
