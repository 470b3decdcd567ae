#include "tests/unit/unit.h"

#include "proto/ident.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "proto/settings.h"
#include "proto/settings_file.h"
#include "proto/settings_table.h"

struct fixture {
    char folder[UNIT_FOLDER_SIZE];
    char file[128]; /* <folder>/gantry.conf */
    struct err err;
};

static int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    unit_folder(f->folder);
    snprintf(f->file, sizeof(f->file), "%s/gantry.conf", f->folder);
    log_init("test", LOG_ERROR);
    *state = f;
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *f = *state;
    unit_remove(f->folder);
    free(f);
    return 0;
}

/* settings_load with --data <folder> and up to three more arguments. */
static struct settings *load(struct fixture *f, const char *a, const char *b, const char *c)
{
    char *argv[] = {(char *)"test", (char *)"--data", f->folder, (char *)a, (char *)b, (char *)c, NULL};
    int argc = 3;
    while (argv[argc])
        argc++;
    memset(&f->err, 0, sizeof(f->err));
    return settings_load(argc, argv, NULL, &f->err);
}

static void refused(struct fixture *f, const char *a, const char *b, const char *words)
{
    struct settings *settings = load(f, a, b, NULL);
    assert_null(settings);
    assert_int_equal(f->err.code, ERR_INVALID);
    if (!strstr(f->err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
}

static void file_refused(struct fixture *f, const char *text, const char *words)
{
    unit_write(f->file, text);
    refused(f, NULL, NULL, words);
    unlink(f->file);
}

static void test_table_is_sound(void **state)
{
    (void)state;
    char name[SETTING_NAME_SIZE], range[128];
    struct err err;
    assert_int_equal(settings_count, SET_COUNT_OF_ALL);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (setting_check(row, str_of(row->initial), row->name, NULL, &err) < 0)
            fail_msg("its own default: %s", err.text);
        for (int s = SPELT_NAME; s <= SPELT_FLAG; s++) {
            setting_spell(row, (enum setting_spelling)s, name);
            assert_int_equal(setting_find(str_of(name), (enum setting_spelling)s), name[0] ? (int)i : -1);
        }
        assert_true(setting_range(row, range, sizeof(range))[0]);
        assert_true(row->doc[0] && row->who[0]);
    }
}

static void test_defaults(void **state)
{
    struct settings *settings = load(*state, NULL, NULL, NULL);
    assert_non_null(settings);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 30);
    assert_string_equal(settings_text(settings, SET_LOG_LEVEL), "info");
    assert_string_equal(settings_text(settings, SET_OUTPUT), "");
    assert_false(settings_bool(settings, SET_HTTP_INSECURE));
    assert_string_equal(settings_source(settings, SET_LEASE_SECONDS), "default");
    assert_string_equal(settings_source(settings, SET_DATA), "flag");
    settings_free(settings);
    settings_free(NULL);
}

/* A number with decimals is kept in thousandths. */
static void test_decimals(void **state)
{
    static const struct {
        const char *text;
        int64_t number;
    } good[] = {{"0", 0}, {"0.05", 50}, {"0.001", 1}, {"2.5", 2500}, {"100000", 100000000}, {"100000.000", 100000000}};
    static const char *const bad[] = {"", ".", ".5", "5.", "-1", "1e3", "1,5", "0.0001", "100000.001", "100001", "9999999999999"};
    char flag[64];
    struct settings *settings = load(*state, NULL, NULL, NULL);
    assert_int_equal(settings_count_of(settings, SET_TRANSCODE_SEGMENT_MINUTES), 10000);
    settings_free(settings);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(flag, sizeof(flag), "--transcode-segment-minutes=%s", good[i].text);
        settings = load(*state, flag, NULL, NULL);
        assert_non_null(settings);
        assert_int_equal(settings_count_of(settings, SET_TRANSCODE_SEGMENT_MINUTES), good[i].number);
        settings_free(settings);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(flag, sizeof(flag), "--transcode-segment-minutes=%s", bad[i]);
        refused(*state, flag, NULL, "expected 0..100000, with up to three decimals");
    }
}

static void test_layers(void **state)
{
    struct fixture *f = *state;
    unit_write(f->file, "lease.seconds = 40\nlease.losses = 4\nqueue.max = 5\n");
    setenv("GANTRY_LEASE_LOSSES", "6", 1);
    setenv("GANTRY_QUEUE_MAX", "7", 1);
    struct settings *settings = load(f, "--queue-max=8", NULL, NULL);
    unsetenv("GANTRY_LEASE_LOSSES");
    unsetenv("GANTRY_QUEUE_MAX");
    assert_non_null(settings);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 40);
    assert_string_equal(settings_source(settings, SET_LEASE_SECONDS), "file");
    assert_int_equal(settings_count_of(settings, SET_LEASE_LOSSES), 6);
    assert_string_equal(settings_source(settings, SET_LEASE_LOSSES), "environment");
    assert_int_equal(settings_count_of(settings, SET_QUEUE_MAX), 8);
    assert_string_equal(settings_source(settings, SET_QUEUE_MAX), "flag");
    settings_free(settings);
}

static void test_file_grammar(void **state)
{
    struct fixture *f = *state;
    unit_write(f->file, "\n# comment\n  lease.seconds=31 # behind\r\n"
                        "worker.labels\t=  gpu=a#1,x=y  \n"
                        "http.hosts = \"a # b\" # comment\n"
                        "output = \"say \\\"hi\\\" \\\\ \"\n"
                        "library =\n"
                        "insecure = true");
    struct settings *settings = load(f, NULL, NULL, NULL);
    assert_non_null(settings);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 31);
    assert_string_equal(settings_text(settings, SET_WORKER_LABELS), "gpu=a#1,x=y");
    assert_string_equal(settings_text(settings, SET_HTTP_HOSTS), "a # b");
    assert_string_equal(settings_text(settings, SET_OUTPUT), "say \"hi\" \\ ");
    assert_string_equal(settings_text(settings, SET_LIBRARY), "");
    assert_true(settings_bool(settings, SET_HTTP_INSECURE));
    settings_free(settings);
}

static void test_file_errors_say_where(void **state)
{
    struct fixture *f = *state;
    file_refused(f, "# one\nlease.secnds = 5\n", "gantry.conf:2: unknown setting \"lease.secnds\"; do you mean lease.seconds?");
    file_refused(f, "completely.else = 5\n", "gantry.conf:1: unknown setting \"completely.else\"");
    file_refused(f, "\nlease.seconds = 0\n", "gantry.conf:2: lease.seconds is \"0\", expected 1..3600");
    file_refused(f, "lease.seconds = 3601\n", "expected 1..3600");
    file_refused(f, "lease.seconds = 30s\n", "\"30s\", expected 1..3600");
    file_refused(f, "lease.seconds = -3\n", "expected 1..3600");
    file_refused(f, "lease.seconds = 99999999999999999999\n", "expected 1..3600");
    file_refused(f, "lease.seconds =\n", "expected 1..3600");
    file_refused(f, "log.level = loud\n", "log.level is \"loud\", expected debug|info|warn|error");
    file_refused(f, "log.level = \"debug|info\"\n", "expected debug|info|warn|error");
    file_refused(f, "insecure = yes\n", "expected true|false");
    file_refused(f, "lease.seconds 5\n", "gantry.conf:1: expected `name = value`");
    file_refused(f, "output = \"open\n", "gantry.conf:1: the closing quote is missing");
    file_refused(f, "output = \"a\" b\n", "something follows");
    file_refused(f, "output = \"a\\n\"\n", "backslash");
    file_refused(f, "output = a\"b\n", "a quote stands within");
    file_refused(f, "output = a\001b\n", "gantry.conf:1: a control character");
    file_refused(f, "output = \xff\n", "not UTF-8");
    file_refused(f, "queue.max = 1\nqueue.max = 1\n", "gantry.conf:2: queue.max is set in line 1 already");
    file_refused(f, "config = x\n", "cannot be set in this file");
    file_refused(f, "data = x\n", "cannot be set in this file");
    file_refused(f, "= x\n", "unknown setting");
}

static void test_file_limits(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->file, "w");
    for (int i = 0; i < 5000; i++)
        fputs("# sixty-four bytes of comment, over and over, to pass the limit\n", file);
    fclose(file);
    refused(f, NULL, NULL, "over 262144 bytes");
    file = fopen(f->file, "w");
    fputs("output = ", file);
    for (int i = 0; i < 4097; i++)
        fputc('x', file);
    fclose(file);
    refused(f, NULL, NULL, "gantry.conf:1: the value is too long");
    file = fopen(f->file, "w");
    fputs("output = ", file);
    for (int i = 0; i < 4096; i++)
        fputc('x', file);
    fclose(file);
    refused(f, NULL, NULL, "expected text, at most 4095 bytes");
}

static void test_named_file(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/own.conf", f->folder);
    unit_write(f->file, "lease.seconds = 50\n");
    unit_write(path, "lease.losses = 9\ndata = elsewhere\n");
    struct settings *settings = load(f, "--config", path, NULL);
    assert_non_null(settings);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 30); /* the other file is not read */
    assert_int_equal(settings_count_of(settings, SET_LEASE_LOSSES), 9);
    assert_string_equal(settings_text(settings, SET_DATA), f->folder); /* the flag is above it */
    settings_free(settings);

    setenv("GANTRY_CONFIG", path, 1);
    settings = load(f, NULL, NULL, NULL);
    unsetenv("GANTRY_CONFIG");
    assert_non_null(settings);
    assert_int_equal(settings_count_of(settings, SET_LEASE_LOSSES), 9);
    settings_free(settings);

    unlink(path);
    assert_null(load(f, "--config", path, NULL));
    assert_int_equal(f->err.code, ERR_IO);
}

static void test_environment(void **state)
{
    struct fixture *f = *state;
    static const char *const given_to_runs[] = {"GANTRY_PARAMS", "GANTRY_PARAM_X",     "GANTRY_RUN_ID", "GANTRY_OUTPUT",
                                                "GANTRY_RESULT", "GANTRY_PROGRESS_FD", "GANTRY_KEY"};
    size_t count = sizeof(given_to_runs) / sizeof(given_to_runs[0]);
    for (size_t i = 0; i < count; i++)
        setenv(given_to_runs[i], "/x", 1);
    struct settings *settings = load(f, NULL, NULL, NULL);
    assert_non_null(settings);
    assert_string_equal(settings_text(settings, SET_OUTPUT), "");
    settings_free(settings);
    for (size_t i = 0; i < count; i++)
        unsetenv(given_to_runs[i]);

    setenv("GANTRY_LEASE_SECOND", "5", 1);
    refused(f, NULL, NULL, "unknown variable \"GANTRY_LEASE_SECOND\"; do you mean GANTRY_LEASE_SECONDS?");
    unsetenv("GANTRY_LEASE_SECOND");
    setenv("GANTRY_LEASE_SECONDS", "x", 1);
    refused(f, NULL, NULL, "GANTRY_LEASE_SECONDS is \"x\", expected 1..3600");
    unsetenv("GANTRY_LEASE_SECONDS");
    setenv("GANTRY_OUTPU", "x\x01", 1);
    refused(f, NULL, NULL, "unknown variable");
    unsetenv("GANTRY_OUTPU");
    setenv("GANTRY_LIBRARY", "x\x01", 1);
    refused(f, NULL, NULL, "GANTRY_LIBRARY holds control characters");
    unsetenv("GANTRY_LIBRARY");
}

static void test_flags(void **state)
{
    struct fixture *f = *state;
    struct settings *settings = load(f, "--insecure", "--set", "lease.seconds=50");
    assert_non_null(settings);
    assert_true(settings_bool(settings, SET_HTTP_INSECURE));
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 50);
    settings_free(settings);
    settings = load(f, "--insecure=false", "--set=queue.max=3", "--queue-max=4"); /* the last one counts */
    assert_non_null(settings);
    assert_false(settings_bool(settings, SET_HTTP_INSECURE));
    assert_int_equal(settings_count_of(settings, SET_QUEUE_MAX), 4);
    settings_free(settings);

    refused(f, "--lease-second", "5", "unknown flag \"--lease-second\"; do you mean --lease-seconds?");
    refused(f, "--lease-second=5", NULL, "unknown flag \"--lease-second\"; do you mean --lease-seconds?");
    refused(f, "--port", NULL, "--port expects a value");
    refused(f, "--port", "70000", "--port is \"70000\", expected 0..65535");
    refused(f, "--set", "port", "--set expects name=value");
    refused(f, "--set", "prt=1", "--set: unknown setting \"prt\"; do you mean port?");
    refused(f, "stray", NULL, "unexpected argument \"stray\"");
    refused(f, "--", NULL, "unexpected argument \"--\"");
}

static void test_flags_with_rest(void **state)
{
    struct fixture *f = *state;
    int rest = 0;
    char *argv[] = {(char *)"run", (char *)"--data", f->folder, (char *)"--wait", (char *)"--", (char *)"ls", NULL};
    struct settings *settings = settings_load(6, argv, &rest, &f->err);
    assert_non_null(settings);
    assert_int_equal(rest, 3);
    settings_free(settings);
    settings = settings_load(3, argv, &rest, &f->err);
    assert_non_null(settings);
    assert_int_equal(rest, 3);
    settings_free(settings);

    assert_int_equal(settings_flag_span("--port"), 2);
    assert_int_equal(settings_flag_span("--port=1"), 1);
    assert_int_equal(settings_flag_span("--insecure"), 1);
    assert_int_equal(settings_flag_span("--set"), 2);
    assert_int_equal(settings_flag_span("--set=a=b"), 1);
    assert_int_equal(settings_flag_span("--wait"), 0);
    assert_int_equal(settings_flag_span("--"), 0);
    assert_int_equal(settings_flag_span("port"), 0);
}

static void test_reload(void **state)
{
    struct fixture *f = *state;
    int changed = -1;
    unit_write(f->file, "lease.seconds = 40\nlease.losses = 4\nport = 1234\n");
    struct settings *settings = load(f, "--queue-max=8", NULL, NULL);
    assert_non_null(settings);
    unit_write(f->file, "lease.seconds = 41\nport = 4321\nqueue.max = 9\n");
    assert_int_equal(settings_reload(settings, &changed, &f->err), 0);
    assert_int_equal(changed, 2);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 41);
    assert_int_equal(settings_count_of(settings, SET_LEASE_LOSSES), 3);
    assert_string_equal(settings_source(settings, SET_LEASE_LOSSES), "default");
    assert_int_equal(settings_count_of(settings, SET_HTTP_PORT), 1234); /* not reloadable */
    assert_int_equal(settings_count_of(settings, SET_QUEUE_MAX), 8);    /* flags stay on top */
    assert_int_equal(settings_reload(settings, &changed, NULL), 0);
    assert_int_equal(changed, 0);
    settings_free(settings);
}

/* Texts are borrowed: one that does not change stays where it is, also when it now stands somewhere else. */
static void test_reload_moves_no_text_that_stays(void **state)
{
    struct fixture *f = *state;
    unit_write(f->file, "worker.types = shell,exec\nhttp.hosts = a\n");
    struct settings *settings = load(f, NULL, NULL, NULL);
    assert_non_null(settings);
    const char *texts[SET_COUNT_OF_ALL];
    for (int id = 0; id < SET_COUNT_OF_ALL; id++)
        texts[id] = settings_text(settings, (enum setting_id)id);
    unit_write(f->file, "worker.types = shell\nhttp.hosts = b\nworker.labels = \"\"\n");
    assert_int_equal(settings_reload(settings, NULL, &f->err), 0);
    for (int id = 0; id < SET_COUNT_OF_ALL; id++)
        if (id != SET_HTTP_HOSTS && settings_text(settings, (enum setting_id)id) != texts[id])
            fail_msg("the text of %s has moved", settings_table[id].name);
    assert_string_equal(settings_text(settings, SET_WORKER_TYPES), "shell,exec");
    assert_string_equal(settings_text(settings, SET_HTTP_HOSTS), "b");
    assert_string_equal(settings_source(settings, SET_WORKER_LABELS), "file");
    settings_free(settings);
}

static void test_reload_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    int changed = -1;
    unit_write(f->file, "lease.seconds = 40\n");
    struct settings *settings = load(f, NULL, NULL, NULL);
    assert_non_null(settings);
    unit_write(f->file, "lease.seconds = 41\nlease.losses = 0\n");
    assert_int_equal(settings_reload(settings, &changed, &f->err), -1);
    assert_non_null(strstr(f->err.text, "gantry.conf:2: lease.losses"));
    assert_int_equal(changed, 0);
    assert_int_equal(settings_count_of(settings, SET_LEASE_SECONDS), 40);
    settings_free(settings);
}

/* Values that are fine each and make no sense together: at the start, and at a reload. */
static void test_values_together(void **state)
{
    struct fixture *f = *state;
    const char *words = "lease.seconds is 3 and lease.heartbeat_ms is 5000; the first is to be 3 times as long";
    refused(f, "--lease-seconds=3", NULL, words);
    refused(f, "--lease-seconds=14", "--lease-heartbeat-ms=5000", "lease.seconds is 14");
    refused(f, "--lease-heartbeat-ms=10001", NULL, "lease.heartbeat_ms is 10001");
    refused(f, "--http-memory-mb=64", NULL,
            "http.memory_mb is 64 and http.body_kb is 1024; the first is to be 136 times as large");
    refused(f, "--http-body-kb=65536", "--http-memory-mb=8703", "http.body_kb is 65536");
    struct settings *settings = load(f, "--http-body-kb=65536", "--http-memory-mb=8704", NULL);
    assert_non_null(settings);
    settings_free(settings);
    settings = load(f, "--lease-seconds=15", NULL, NULL);
    assert_non_null(settings);
    settings_free(settings);
    unit_write(f->file, "lease.heartbeat_ms = 1000\n");
    settings = load(f, "--lease-seconds=3", NULL, NULL);
    assert_non_null(settings);
    unit_write(f->file, "lease.losses = 5\n");
    assert_int_equal(settings_reload(settings, NULL, &f->err), -1);
    assert_non_null(strstr(f->err.text, words));
    assert_int_equal(settings_count_of(settings, SET_LEASE_HEARTBEAT_MS), 1000);
    assert_int_equal(settings_count_of(settings, SET_LEASE_LOSSES), 3);
    settings_free(settings);
}

static void test_endpoint(void **state)
{
    struct fixture *f = *state;
    char out[128], runtime[64], wanted[128];
    struct settings *settings = load(f, "--bus-workers", "tcp://127.0.0.1:9", NULL);
    assert_non_null(settings);
    assert_int_equal(settings_endpoint(settings, SET_BUS_WORKERS, "workers", out, sizeof(out), &f->err), 0);
    assert_string_equal(out, "tcp://127.0.0.1:9");
    assert_int_equal(settings_endpoint(settings, SET_BUS_STORE, "store", out, sizeof(out), &f->err), 0);
    assert_int_equal(ident_runtime_dir(f->folder, runtime, sizeof(runtime), &f->err), 0);
    snprintf(wanted, sizeof(wanted), "ipc://%s/store.sock", runtime);
    assert_string_equal(out, wanted);
    assert_int_equal(settings_endpoint(settings, SET_BUS_STORE, "store", out, 8, &f->err), -1);
    settings_free(settings);
    unit_remove(runtime);
}

/* What explain prints is a settings file that gives the same settings. */
static void test_explain_can_be_read_back(void **state)
{
    struct fixture *f = *state;
    struct settings *one = load(f, "--set", "output=a \"b\" \\ # c", "--lease-seconds=77");
    assert_non_null(one);
    FILE *file = fopen(f->file, "w");
    settings_explain(one, file);
    fclose(file);
    struct settings *two = load(f, NULL, NULL, NULL);
    if (!two)
        fail_msg("%s", f->err.text);
    for (int id = 0; id < SET_COUNT_OF_ALL; id++)
        assert_string_equal(settings_text(one, (enum setting_id)id), settings_text(two, (enum setting_id)id));
    settings_free(one);
    settings_free(two);
}

static void test_usage_is_by_process(void **state)
{
    (void)state;
    char text[32768];
    FILE *out = fmemopen(text, sizeof(text), "w");
    settings_usage("store", out);
    fclose(out);
    assert_non_null(strstr(text, "--store-map-gb"));
    assert_non_null(strstr(text, "--data"));
    assert_null(strstr(text, "--worker-slots"));
    assert_null(strstr(text, "--lease-seconds"));
}

static void test_documentation_is_current(void **state)
{
    (void)state;
    static char made[65536], kept[65536];
    FILE *out = fmemopen(made, sizeof(made), "w");
    settings_markdown(out);
    fclose(out);
    FILE *in = fopen(DOCS_FOLDER "/settings.md", "r");
    assert_non_null(in);
    kept[fread(kept, 1, sizeof(kept) - 1, in)] = '\0';
    fclose(in);
    if (strcmp(made, kept) != 0)
        fail_msg("docs/settings.md is not what `gantry config --markdown` prints");
}

int main(void)
{
    unit_forget_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test_setup_teardown(test_defaults, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_decimals, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_layers, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_file_grammar, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_file_errors_say_where, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_file_limits, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_named_file, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_environment, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_flags, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_flags_with_rest, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_reload, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_reload_moves_no_text_that_stays, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_reload_is_all_or_nothing, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_values_together, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_endpoint, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(test_explain_can_be_read_back, fixture_open, fixture_close),
        cmocka_unit_test(test_usage_is_by_process),
        cmocka_unit_test(test_documentation_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
