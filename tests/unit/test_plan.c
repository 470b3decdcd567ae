/* Plans and the executors that make them. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "worker/executors/executor.h"
#include "worker/plan.h"
#include "worker/value.h"

static char folder[UNIT_FOLDER_SIZE];
static struct rec_assignment run;
static struct str arguments[8];
static struct plan plan;
static struct err err;
static struct buf parameters, metadata;

static struct plan_place place(void)
{
    return (struct plan_place){.folder = folder, .self = "/opt/gantry-worker", .uid = (uid_t)-1, .gid = (gid_t)-1};
}

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    run = (struct rec_assignment){.run_id = 12, .attempt = 3, .task_id = 4, .task_name = STR_LIT("name")};
    run.spec.executor = STR_LIT("exec");
    run.spec.command = STR_LIT("prog");
    run.spec.arguments.items = arguments;
    err = (struct err){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plan_clear(&plan);
    buf_free(&parameters);
    buf_free(&metadata);
    unit_remove(folder);
    return 0;
}

static void argument(struct str text)
{
    arguments[run.spec.arguments.count++] = text;
}

static void make(void)
{
    struct plan_place where = place();
    if (plan_make(&plan, &run, &where, &err) < 0)
        fail_msg("%s", err.text);
}

static void make_fails(const char *text)
{
    struct plan_place where = place();
    assert_int_equal(plan_make(&plan, &run, &where, &err), -1);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
}

static const char *variable(const char *name)
{
    size_t len = strlen(name);
    const char *found = NULL;
    for (size_t i = 0; i < plan.env.count; i++)
        if (strncmp(plan.env.items[i], name, len) == 0 && plan.env.items[i][len] == '=') {
            assert_null(found); /* once */
            found = plan.env.items[i] + len + 1;
        }
    return found;
}

static const char *joined(void)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; i < plan.argv.count; i++) {
        strcat(text, plan.argv.items[i]);
        strcat(text, "|");
    }
    return text;
}

static void give_parameters(const struct str *texts, uint32_t count)
{
    assert_int_equal(value_pack_texts(&parameters, texts, count), 0);
    run.parameters = buf_str(&parameters);
}

static const char *file_text(const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void test_environment(void **state)
{
    (void)state;
    const struct str texts[] = {STR_LIT("in-put"), STR_LIT("a b"), STR_LIT("\xc3\xa4"), STR_LIT("")};
    struct buf env = {0};
    const struct str vars[] = {STR_LIT("MINE"),          STR_LIT("1"),  STR_LIT("HOME"), STR_LIT("/x"),
                               STR_LIT("GANTRY_RUN_ID"), STR_LIT("999")};
    give_parameters(texts, 2);
    value_pack_texts(&env, vars, 3);
    run.spec.env = buf_str(&env);
    setenv("GANTRY_WORKER_SECRET", "leak", 1);
    setenv("LD_PRELOAD_NOT", "leak", 1);
    make();
    assert_string_equal(variable("GANTRY_RUN_ID"), "12"); /* a task cannot change it */
    assert_string_equal(variable("GANTRY_ATTEMPT"), "3");
    assert_string_equal(variable("GANTRY_TASK_ID"), "4");
    assert_string_equal(variable("GANTRY_TASK_NAME"), "name");
    assert_string_equal(variable("GANTRY_PROGRESS_FD"), "3");
    assert_string_equal(variable("GANTRY_PARAM_IN_PUT"), "a b");
    assert_string_equal(variable("GANTRY_PARAM___"), "");
    assert_string_equal(variable("MINE"), "1");
    assert_string_equal(variable("HOME"), "/x");
    assert_non_null(variable("PATH"));
    assert_null(variable("GANTRY_OUTPUT"));
    assert_null(variable("GANTRY_WORKER_SECRET"));
    assert_null(variable("LD_PRELOAD_NOT"));
    assert_string_equal(file_text(variable("GANTRY_PARAMS")), "{\"in-put\":\"a b\",\"\xc3\xa4\":\"\"}");
    struct stat info;
    assert_int_equal(stat(variable("GANTRY_PARAMS"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    buf_free(&env);
}

static void test_filled(void **state)
{
    (void)state;
    const struct str texts[] = {STR_LIT("in"), STR_LIT("a b; rm -rf /"), STR_LIT("twice"), STR_LIT("{{in}}")};
    give_parameters(texts, 2);
    argument(STR_LIT("-i={{in}}"));
    argument(STR_LIT("{{ in }}{{twice}}"));
    argument(STR_LIT("{{unknown}} {{ {{in}} }} {{"));
    argument(STR_LIT(""));
    argument(STR_LIT("{{output}}"));
    struct plan_place where = place();
    where.output = "/o/.gantry-12-3.out";
    assert_int_equal(plan_make(&plan, &run, &where, &err), 0);
    assert_string_equal(joined(),
                        "prog|-i=a b; rm -rf /|a b; rm -rf /{{in}}|{{unknown}} {{ a b; rm -rf / }} {{||/o/.gantry-12-3.out|");
    assert_string_equal(variable("GANTRY_OUTPUT"), "/o/.gantry-12-3.out");
}

static void test_shell(void **state)
{
    (void)state;
    const struct str texts[] = {STR_LIT("in"), STR_LIT("$(reboot)")};
    give_parameters(texts, 1);
    run.spec.executor = STR_LIT("shell");
    run.spec.command = STR_LIT("echo {{in}} \"$1\"");
    argument(STR_LIT("{{in}}"));
    make();
    assert_string_equal(joined(), "/bin/sh|-c|echo {{in}} \"$1\"|sh|$(reboot)|");
}

static void test_python(void **state)
{
    (void)state;
    run.spec.executor = STR_LIT("python");
    run.spec.command = STR_LIT("job.py");
    argument(STR_LIT("--x"));
    make();
    assert_string_equal(joined(), "python3|job.py|--x|");
    assert_string_equal(variable("PYTHONUNBUFFERED"), "1");
}

static void test_ffmpeg(void **state)
{
    (void)state;
    run.spec.command = STR_LIT("/usr/bin/ffmpeg");
    argument(STR_LIT("-y"));
    make();
    assert_true(plan.ffmpeg);
    assert_string_equal(joined(), "/usr/bin/ffmpeg|-progress|pipe:3|-nostats|-nostdin|-y|");
    plan_clear(&plan);
    unit_remove(folder);
    unit_folder(folder);
    argument(STR_LIT("-progress"));
    make();
    assert_false(plan.ffmpeg);
    assert_string_equal(joined(), "/usr/bin/ffmpeg|-y|-progress|");
    plan_clear(&plan);
    unit_remove(folder);
    unit_folder(folder);
    run.spec.command = STR_LIT("ffmpeg-not");
    make();
    assert_false(plan.ffmpeg);
}

static void test_too_large(void **state)
{
    (void)state;
    char *big = calloc(1, 200001);
    assert_non_null(big);
    memset(big, 'x', 200000);
    /* a parameter: left out of the environment, and said so; the file has it */
    const struct str texts[] = {STR_LIT("big"), {big, 200000}, STR_LIT("small"), STR_LIT("s")};
    give_parameters(texts, 2);
    make();
    assert_null(variable("GANTRY_PARAM_BIG"));
    assert_string_equal(variable("GANTRY_PARAM_SMALL"), "s");
    assert_non_null(memmem(plan.notes.data, plan.notes.len, "GANTRY_PARAMS", 13));
    plan_clear(&plan);
    /* an argument: an error */
    unit_remove(folder);
    unit_folder(folder);
    argument(STR_LIT("{{big}}"));
    make_fails("200000 bytes");
    free(big);
}

static void test_refused(void **state)
{
    (void)state;
    run.spec.executor = STR_LIT("cobol");
    make_fails("no executor cobol");
    run.spec.executor = STR_LIT("exec");
    argument(STR_LIT("a\0b"));
    make_fails("NUL");
    run.spec.arguments.count = 0;
    unit_remove(folder);
    unit_folder(folder);
    struct buf env = {0};
    const struct str vars[] = {STR_LIT("A=B"), STR_LIT("1")};
    value_pack_texts(&env, vars, 1);
    run.spec.env = buf_str(&env);
    make_fails("not a name of a variable");
    buf_free(&env);
}

/* ---- http: the request file ---- */

/* {"http": {"headers": {"X-A": "1"}, <more>}} where more is raw msgpack of `pairs` pairs */
static void give_http(const char *more, uint32_t len, uint8_t pairs)
{
    static const char head[] = "\x81\xa4http";
    static const char headers[] = "\xa7headers\x81\xa3X-A\xa1"
                                  "1";
    char count = (char)(0x80 + pairs + 1);
    buf_add(&metadata, head, sizeof(head) - 1);
    buf_add(&metadata, &count, 1);
    buf_add(&metadata, headers, sizeof(headers) - 1);
    buf_add(&metadata, more, len);
    run.spec.metadata = buf_str(&metadata);
    assert_true(map_valid(run.spec.metadata));
    run.spec.executor = STR_LIT("http");
}

static const char *request(void)
{
    static char text[4096];
    make();
    assert_string_equal(plan.argv.items[0], "/opt/gantry-worker");
    assert_string_equal(plan.argv.items[1], "--http");
    int fd = open(plan.argv.items[2], O_RDONLY);
    ssize_t got = read(fd, text, sizeof(text) - 1);
    assert_true(got > 0);
    close(fd);
    for (ssize_t i = 0; i < got; i++)
        if (text[i] == '\0')
            text[i] = '|';
    text[got] = '\0';
    return text;
}

static void test_http_get(void **state)
{
    (void)state;
    static const char status[] = "\xaf"
                                 "expected_status\x92\xcc\xc8\xcd\x01\x2c";
    give_http(status, sizeof(status) - 1, 1);
    run.spec.command = STR_LIT("http://localhost/x?y=1");
    assert_string_equal(request(), "method=GET|url=http://localhost/x?y=1|header=X-A: 1|status=200|status=300|");
}

static void test_http_merged(void **state)
{
    (void)state;
    static const char body[] = "\xa4"
                               "body\x82\xa1"
                               "a\x01\xa1"
                               "b\x02";
    const struct str texts[] = {STR_LIT("b"), STR_LIT("mine"), STR_LIT("c"), STR_LIT("x")};
    give_http(body, sizeof(body) - 1, 1);
    give_parameters(texts, 2);
    run.spec.command = STR_LIT("PUT  http://localhost/");
    assert_string_equal(request(), "method=PUT|url=http://localhost/|header=X-A: 1|header=Content-Type: "
                                   "application/json|body={\"a\":1,\"b\":\"mine\",\"c\":\"x\"}|");
}

static void test_http_text(void **state)
{
    (void)state;
    static const char body[] = "\xa4"
                               "body\xa3raw";
    give_http(body, sizeof(body) - 1, 1);
    run.spec.command = STR_LIT("http://localhost/");
    assert_string_equal(request(), "method=POST|url=http://localhost/|header=X-A: 1|body=raw|");
}

static void test_http_refused(void **state)
{
    (void)state;
    static const char status[] = "\xaf"
                                 "expected_status\x07";
    give_http(status, sizeof(status) - 1, 1);
    run.spec.command = STR_LIT("get http://localhost/");
    make_fails("not an HTTP method");
    unit_remove(folder);
    unit_folder(folder);
    run.spec.command = STR_LIT("http://localhost/");
    make_fails("expected_status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_python, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ffmpeg, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_http_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_http_merged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_http_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_http_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
