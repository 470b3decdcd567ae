/* docs/messages.md is made from the descriptors by this test, and proven current by it. GANTRY_REWRITE=1 writes it anew. */
#include "unit.h"

#include <inttypes.h>

#include "proto/messages.h"

#define DOC_PATH DOCS_FOLDER "/messages.md"

static const char *const intro =
    "# Messages and records\n"
    "\n"
    "Made from `proto/messages.def` by `tests/unit/test_messages_doc.c` (`GANTRY_REWRITE=1` writes it anew). Do not edit.\n"
    "\n"
    "A message is msgpack: `[id, {key: value, …}]`, with two further elements where they are needed: a number that an answer\n"
    "repeats (corr, 0 for none), and a request id for logs (at most 64 printable ASCII characters without blanks). It is one\n"
    "ZeroMQ frame of at most 32 MiB. A record is `{key: value, …}`: nested in messages, and stored under these same keys.\n"
    "\n"
    "- Keys a reader does not know are skipped, so that old and new processes mix; a record has at most 63 keys. A key given\n"
    "  twice, text that is not UTF-8, bytes behind the message, ext types, and values nested more than 16 deep are refused.\n"
    "- **Presence**: *required*; *optional*: absent means zero or empty, which is not sent; *nullable*: absent and zero differ;\n"
    "  *secret*: optional, and never printed.\n"
    "- **Type**: `bool`; `int` and `uint` (a whole number as a float is refused); `real` (a finite float, or an integer); "
    "`text`\n"
    "  (str) and `binary` (bin); `map` (free-form, text keys); `texts` (each at most 32 KiB) and `uints`; or a record of that\n"
    "  name, with `[]` a list of them.\n"
    "- **Bounds** are of the value for `int` and `uint`, in bytes for `text`, `binary` and `map`, in items for lists.\n"
    "- Times are milliseconds since 1970 UTC.\n";

static const char *presence_name(uint8_t presence)
{
    static const char *const names[] = {
        [CODEC_REQ] = "required", [CODEC_OPT] = "optional", [CODEC_NUL] = "nullable", [CODEC_SEC] = "secret"};

    return names[presence];
}

static const char *party_name(uint8_t party)
{
    static const char *const names[] = {[PARTY_ANY] = "any",
                                        [PARTY_GATEWAY] = "gateway",
                                        [PARTY_SCHEDULER] = "scheduler",
                                        [PARTY_STORE] = "store",
                                        [PARTY_WORKER] = "worker"};

    return names[party];
}

static void write_type(struct buf *out, const struct field *field)
{
    static const char *const names[] = {
        [CODEC_BOOL] = "bool",   [CODEC_INT] = "int", [CODEC_UINT] = "uint",  [CODEC_REAL] = "real",  [CODEC_STR] = "text",
        [CODEC_BLOB] = "binary", [CODEC_MAP] = "map", [CODEC_STRS] = "texts", [CODEC_UINTS] = "uints"};

    if (field->record != NULL) {
        buf_printf(out, "[%s](#%s)%s", field->record->name, field->record->name, field->kind == CODEC_LIST ? "[]" : "");
    } else {
        buf_text(out, names[field->kind]);
    }
}

static void write_bounds(struct buf *out, const struct field *field)
{
    if (field->kind == CODEC_BOOL || field->kind == CODEC_REAL || field->kind == CODEC_NEST) {
        return;
    }
    if (field->low == INT64_MIN) {
        buf_text(out, "−2⁶³…");
    } else {
        buf_printf(out, "%" PRId64 "…", field->low);
    }
    if (field->high == INT64_MAX) {
        buf_text(out, "2⁶³−1");
    } else {
        buf_printf(out, "%" PRId64, field->high);
    }
}

static void write_fields(struct buf *out, const struct shape *shape)
{
    if (shape->count == 0) {
        buf_text(out, "\nNo fields.\n");
        return;
    }
    buf_text(out, "\n| key | field | type | presence | bounds | meaning |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        buf_printf(out, "| %u | `%s` | ", field->key, field->name);
        write_type(out, field);
        buf_printf(out, " | %s | ", presence_name(field->presence));
        write_bounds(out, field);
        buf_printf(out, " | %s |\n", field->doc);
    }
}

static void write_words(struct buf *out, const char *name, const char *(*word)(uint64_t), uint64_t first)
{
    buf_printf(out, "- `%s`:", name);
    for (uint64_t number = first; strcmp(word(number), "?") != 0; number++) {
        buf_printf(out, "%s %" PRIu64 " %s", number > first ? "," : "", number, word(number));
    }
    buf_text(out, "\n");
}

static void write_page(struct buf *out)
{
    buf_text(out, intro);
    buf_text(out, "\n## What numbers mean\n\n");
    write_words(out, "error_code", error_code_name, 1);
    write_words(out, "priority", priority_name, 0);
    write_words(out, "task_status", task_status_name, 0);
    write_words(out, "run_status", run_status_name, 0);
    write_words(out, "worker_status", worker_status_name, 0);
    write_words(out, "outcome", outcome_name, 0);
    buf_text(out, "- `log_stream`: 0 system, 1 stdout, 2 stderr\n");
    buf_text(out, "\n## Messages\n");
    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        buf_printf(out, "\n### %s (0x%04x), %s → %s\n", shape->name, shape->id, party_name(shape->from), party_name(shape->to));
        if (shape->doc[0] != '\0') {
            buf_printf(out, "\n%s\n", shape->doc);
        }
        write_fields(out, shape);
    }
    buf_text(out, "\n## Records\n");
    for (size_t i = 0; i < records_count; i++) {
        buf_printf(out, "\n### %s\n", records_all[i]->name);
        if (records_all[i]->doc[0] != '\0') {
            buf_printf(out, "\n%s\n", records_all[i]->doc);
        }
        write_fields(out, records_all[i]);
    }
}

static void read_page(struct buf *out)
{
    FILE *file = fopen(DOC_PATH, "r");
    char bytes[4096];
    size_t len;

    while (file != NULL && (len = fread(bytes, 1, sizeof bytes, file)) > 0) {
        assert_int_equal(buf_add(out, bytes, len), 0);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void test_current(void **state)
{
    (void)state;
    struct buf made = {0}, kept = {0};

    write_page(&made);
    assert_false(made.failed);
    if (getenv("GANTRY_REWRITE") != NULL) {
        FILE *file = fopen(DOC_PATH, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(made.data, 1, made.len, file), made.len);
        assert_int_equal(fclose(file), 0);
    }
    read_page(&kept);
    if (!str_eq(buf_str(&made), buf_str(&kept))) {
        fail_msg("docs/messages.md is not what proto/messages.def says: run this test with GANTRY_REWRITE=1");
    }
    buf_free(&made);
    buf_free(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_current)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
