#include "tests/unit/unit.h"

#include "gateway/cli/watch.h"

static int code_of(const char *text)
{
    json_t *run = json_loads(text, 0, NULL);

    assert_non_null(run);
    int code = watch_exit_code(run);
    json_decref(run);
    return code;
}

static void the_exit_code_is_the_runs(void **state)
{
    (void)state;
    assert_int_equal(code_of("{\"status\":\"completed\",\"attempts\":[{\"exit_code\":0}]}"), 0);
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":7}]}"), 7);
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":7},{\"exit_code\":3}]}"), 3);
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":null,\"signal\":9}]}"), 137);
    assert_int_equal(code_of("{\"status\":\"aborted\",\"attempts\":[{\"signal\":15}]}"), 143);
    assert_int_equal(code_of("{\"status\":\"aborted\",\"attempts\":[]}"), 1);
    assert_int_equal(code_of("{\"status\":\"failed\"}"), 1);
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":0}]}"),
                     1); /* the output could not be published */
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":-1}]}"), 1);
    assert_int_equal(code_of("{\"status\":\"failed\",\"attempts\":[{\"exit_code\":256}]}"), 1);
    assert_int_equal(code_of("{}"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_exit_code_is_the_runs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
