/* A frame of every message and record, kept in golden/frames.txt, so that a change of what is on the wire or on disk is seen.
 *
 * The newest line of a name is what the table makes of it today. Older lines are what older processes wrote: they still decode.
 * After a change that is meant (a new field with a new key) run this test with GANTRY_REWRITE=1: it appends the new frames;
 * git shows the drift. It never removes a line: an old frame that no longer decodes is a broken promise.
 */
#include "fill.h"

#define GOLDEN_PATH GOLDEN_FOLDER "/frames.txt"

struct line {
    char name[64];
    struct buf bytes;
};

struct lines {
    struct line *items;
    size_t count;
};

static void line_read(struct line *line, const char *text)
{
    size_t len = strcspn(text, " ");

    assert_true(len > 0 && len < sizeof line->name && text[len] == ' ');
    memcpy(line->name, text, len);
    for (text += len + 1; *text != '\0' && *text != '\n'; text += 2) {
        unsigned byte;
        assert_int_equal(sscanf(text, "%2x", &byte), 1);
        char c = (char)byte;
        assert_int_equal(buf_add(&line->bytes, &c, 1), 0);
    }
}

static void lines_read(struct lines *lines)
{
    FILE *file = fopen(GOLDEN_PATH, "r");
    char *text = NULL;
    size_t size = 0;

    while (file != NULL && getline(&text, &size, file) > 0) {
        lines->items = realloc(lines->items, (lines->count + 1) * sizeof *lines->items);
        assert_non_null(lines->items);
        struct line *line = &lines->items[lines->count++];
        *line = (struct line){0};
        line_read(line, text);
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
}

static void lines_free(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        buf_free(&lines->items[i].bytes);
    }
    free(lines->items);
}

static const struct line *lines_newest(const struct lines *lines, const char *name)
{
    for (size_t i = lines->count; i > 0; i--) {
        if (strcmp(lines->items[i - 1].name, name) == 0) {
            return &lines->items[i - 1];
        }
    }
    return NULL;
}

static void shape_name(const struct shape *shape, char out[64])
{
    snprintf(out, 64, "%s_%s", shape->id != 0 ? "msg" : "rec", shape->name);
}

static int encode(struct buf *out, const struct shape *shape, const void *value)
{
    struct err err = {0};

    buf_reset(out);
    return shape->id != 0 ? codec_encode(out, shape, value, UINT64_C(0x1122334455667788), STR_LIT("req-1"), &err)
                          : codec_encode_record(out, shape, value, &err);
}

/* One shape against its newest line; true when they differ. */
static bool check_shape(const struct lines *lines, const struct shape *shape, FILE *rewrite)
{
    struct arena *arena = arena_new(FILL_ARENA);
    struct buf bytes = {0};
    char name[64];

    shape_name(shape, name);
    assert_int_equal(encode(&bytes, shape, fill_new(arena, shape, true)), 0);
    const struct line *newest = lines_newest(lines, name);
    bool differs = newest == NULL || !str_eq(buf_str(&newest->bytes), buf_str(&bytes));
    if (differs && rewrite != NULL) {
        fprintf(rewrite, "%s ", name);
        for (size_t i = 0; i < bytes.len; i++) {
            fprintf(rewrite, "%02x", (unsigned char)bytes.data[i]);
        }
        fputc('\n', rewrite);
    } else if (differs) {
        print_error("%s: %s; if the change is meant, run this test with GANTRY_REWRITE=1\n", name,
                    newest == NULL ? "has no golden frame" : "is not what its golden frame says");
    }
    buf_free(&bytes);
    arena_free(arena);
    return differs;
}

static void test_newest(void **state)
{
    (void)state;
    struct lines lines = {0};
    FILE *rewrite = getenv("GANTRY_REWRITE") != NULL ? fopen(GOLDEN_PATH, "a") : NULL;
    bool differs = false;

    lines_read(&lines);
    for (size_t i = 0; i < messages_count; i++) {
        differs = check_shape(&lines, messages_all[i], rewrite) || differs;
    }
    for (size_t i = 0; i < records_count; i++) {
        differs = check_shape(&lines, records_all[i], rewrite) || differs;
    }
    lines_free(&lines);
    if (rewrite != NULL) {
        assert_int_equal(fclose(rewrite), 0);
    } else {
        assert_false(differs);
    }
}

static const struct shape *shape_named(const char *name)
{
    char other[64];

    for (size_t i = 0; i < messages_count + records_count; i++) {
        const struct shape *shape = i < messages_count ? messages_all[i] : records_all[i - messages_count];
        shape_name(shape, other);
        if (strcmp(name, other) == 0) {
            return shape;
        }
    }
    return NULL;
}

/* Every line ever written decodes, and encodes to the same bytes. */
static void test_all_decode(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct arena *arena = arena_new(FILL_ARENA);
    struct buf again = {0};
    struct err err = {0};
    static union {
        struct msg msg;
        char record[FILL_STRUCT_MAX];
    } out;

    lines_read(&lines);
    assert_true(lines.count >= messages_count + records_count);
    for (size_t i = 0; i < lines.count; i++) {
        const struct shape *shape = shape_named(lines.items[i].name);
        if (shape == NULL) {
            fail_msg("%s is no longer in the table", lines.items[i].name);
            return;
        }
        const void *value = shape->id != 0 ? (void *)&out.msg.u : out.record;
        int rc = shape->id != 0 ? msg_decode(arena, buf_str(&lines.items[i].bytes), &out.msg, &err)
                                : codec_decode_record(arena, shape, buf_str(&lines.items[i].bytes), out.record, &err);
        if (rc != 0) {
            fail_msg("line %zu: %s", i + 1, err.text);
        }
        assert_int_equal(encode(&again, shape, value), 0);
        assert_true(str_eq(buf_str(&again), buf_str(&lines.items[i].bytes)));
        arena_reset(arena);
    }
    buf_free(&again);
    arena_free(arena);
    lines_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest),
        cmocka_unit_test(test_all_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
