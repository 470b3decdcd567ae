/* The engine, over the whole table: what holds for one message holds for all. */
#include "fill.h"

#include <math.h>

static struct arena *values; /* what is encoded */
static struct arena *lists;  /* what is decoded */

static int set_up(void **state)
{
    (void)state;
    values = arena_new(FILL_ARENA);
    lists = arena_new(FILL_ARENA);
    return values != NULL && lists != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(values);
    arena_free(lists);
    return 0;
}

static int encode(struct buf *out, const struct shape *shape, const void *value, struct err *err)
{
    buf_reset(out);
    return shape->id != 0 ? codec_encode(out, shape, value, 77, STR_LIT("req-1"), err)
                          : codec_encode_record(out, shape, value, err);
}

/* Decodes a copy of exactly the bytes, so that a sanitizer sees one too far; what out points to is then gone. */
static int decode(const struct shape *shape, struct str bytes, void *out, struct err *err)
{
    static struct msg msg;
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    int rc;

    assert_non_null(copy);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    arena_reset(lists);
    *err = (struct err){0};
    if (shape->id != 0) {
        rc = msg_decode(lists, (struct str){copy, bytes.len}, &msg, err);
        memcpy(out, &msg.u, shape->size);
        assert_true(rc != 0 || msg.shape == shape);
    } else {
        rc = codec_decode_record(lists, shape, (struct str){copy, bytes.len}, out, err);
    }
    if (rc != 0) { /* not at all: nothing is left of it, and a sentence says why */
        static const char zero[FILL_STRUCT_MAX];
        assert_memory_equal(out, zero, shape->size);
        assert_int_not_equal(err->code, 0);
        assert_int_not_equal(err->text[0], 0);
    }
    free(copy);
    return rc;
}

/* ---- round trips ---- */

static void test_round_trip(void **state)
{
    (void)state;
    struct buf bytes = {0}, again = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (size_t i = 0; i < shapes_count(); i++) {
        for (int all = 0; all <= 1; all++) {
            const struct shape *shape = shape_at(i);
            assert_true(shape->size <= sizeof out);
            arena_reset(values);
            arena_reset(lists);
            const void *value = fill_new(values, shape, all);
            assert_int_equal(encode(&bytes, shape, value, &err), 0);
            if (shape->id != 0) {
                static struct msg msg;
                assert_int_equal(msg_decode(lists, buf_str(&bytes), &msg, &err), 0);
                assert_ptr_equal(msg.shape, shape);
                assert_int_equal(msg.corr, 77);
                assert_true(str_is(msg.rid, "req-1"));
                memcpy(out, &msg.u, shape->size);
            } else {
                assert_int_equal(codec_decode_record(lists, shape, buf_str(&bytes), out, &err), 0);
            }
            assert_true(fill_equal(shape, value, out));
            assert_int_equal(encode(&again, shape, out, &err), 0);
            assert_true(str_eq(buf_str(&bytes), buf_str(&again)));
        }
    }
    buf_free(&bytes);
    buf_free(&again);
}

/* One value of each kind, looked at. */
static void test_values(void **state)
{
    (void)state;
    struct str words[] = {STR_LIT("one"), STR_LIT(""), STR_LIT("三")};
    struct rec_attempt attempts[] = {{.number = 1, .exit_code = -1}, {.number = 2}};
    struct rec_run run = {.id = INT64_MAX,
                          .created_at = 0,
                          .progress = 12.5,
                          .parameters = STR_LIT("\x81\xa1k\x2a"),
                          .attempts = {attempts, 2},
                          .farm_data = STR_LIT("\xff\x00")};
    struct buf bytes = {0};
    struct err err;
    struct rec_run out;

    arena_reset(lists);
    SET_HAS(&attempts[0], rec_attempt, exit_code);
    SET_HAS(&run, rec_run, result); /* there, and empty */
    SET_HAS(&run, rec_run, spec);
    SET_HAS(&run.spec, rec_task_spec, arguments);
    SET_HAS(&run.spec, rec_task_spec, priority); /* there, and zero */
    run.spec.arguments = (struct str_list){words, 3};
    assert_int_equal(rec_encode_run(&bytes, &run, &err), 0);
    assert_int_equal(rec_decode_run(lists, buf_str(&bytes), &out, &err), 0);
    assert_true(out.id == INT64_MAX && out.created_at == 0 && out.progress == 12.5);
    assert_true(str_eq(out.parameters, run.parameters) && str_eq(out.farm_data, run.farm_data));
    assert_int_equal(out.attempts.count, 2);
    assert_true(out.attempts.items[0].exit_code == -1 && HAS(&out.attempts.items[0], rec_attempt, exit_code));
    assert_false(HAS(&out.attempts.items[1], rec_attempt, exit_code));
    assert_true(HAS(&out, rec_run, result) && out.result.len == 0);
    assert_false(HAS(&out, rec_run, published));
    assert_true(HAS(&out, rec_run, created_at)); /* required: there though zero */
    assert_false(HAS(&out, rec_run, due_at));    /* optional and zero: not sent */
    assert_true(HAS(&out.spec, rec_task_spec, priority) && out.spec.priority == 0);
    assert_false(HAS(&out.spec, rec_task_spec, name));
    assert_int_equal(out.spec.arguments.count, 3);
    assert_true(str_is(out.spec.arguments.items[1], "") && str_is(out.spec.arguments.items[2], "三"));
    buf_free(&bytes);
}

/* ---- what is cut, unknown, missing or out of bounds ---- */

static void test_truncated(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (size_t i = 0; i < shapes_count(); i++) {
        const struct shape *shape = shape_at(i);
        arena_reset(values);
        assert_int_equal(encode(&bytes, shape, fill_new(values, shape, true), &err), 0);
        for (uint32_t len = 0; len < bytes.len; len++) {
            assert_int_equal(decode(shape, (struct str){bytes.data, len}, out, &err), -1);
        }
    }
    buf_free(&bytes);
}

/* The bytes of a record's map with a pair added behind the others: the map's head is written anew. */
static void with_pair(struct buf *out, struct str record, struct str pair)
{
    struct reader reader = {record.ptr, record.ptr + record.len};
    struct token token;

    assert_int_equal(reader_next(&reader, &token), 0);
    uint32_t count = token.u.count + 1;
    const unsigned char head[3] = {0xde, (unsigned char)(count >> 8), (unsigned char)count};
    buf_reset(out);
    buf_add(out, head, sizeof head);
    buf_add(out, reader.at, (size_t)(reader.end - reader.at));
    assert_int_equal(buf_add(out, pair.ptr, pair.len), 0);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    static const struct str unknown[] = {
        PAIR("\x3f\xc0"),
        PAIR("\x3f\xa3new"),
        PAIR("\x00\x01"),
        PAIR("\x3f\x82\xa1k\x01\x05\x92\x01\x90"),
        PAIR("\xcd\x10\x00\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
        PAIR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x00"),
        PAIR("\x3f\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"), /* CODEC_DEPTH deep */
    };
    static const struct str refused[] = {
        PAIR("\x3f\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"), /* one deeper */
        PAIR("\x3f\xd4\x01\x00"),                                                             /* an ext type */
        PAIR("\x3f\xa1\xff"),                                                                 /* not UTF-8 */
        PAIR("\xa1k\x01"),                                                                    /* keys are numbers, */
        PAIR("\xff\x01"),                                                                     /* not below zero, */
        PAIR("\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x01"),                                     /* nor real ones */
        PAIR("\x3f\xdf\x0f\xff\xff\xff"),
    };
    struct buf plain = {0}, bytes = {0}, again = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (size_t i = 0; i < records_count; i++) {
        const struct shape *shape = records_all[i];
        arena_reset(values);
        assert_int_equal(encode(&plain, shape, fill_new(values, shape, true), &err), 0);
        for (size_t k = 0; k < sizeof unknown / sizeof unknown[0]; k++) {
            with_pair(&bytes, buf_str(&plain), unknown[k]);
            arena_reset(lists);
            assert_int_equal(codec_decode_record(lists, shape, buf_str(&bytes), out, &err), 0);
            assert_int_equal(encode(&again, shape, out, &err), 0);
            assert_true(str_eq(buf_str(&plain), buf_str(&again)));
        }
        for (size_t k = 0; k < sizeof refused / sizeof refused[0]; k++) {
            with_pair(&bytes, buf_str(&plain), refused[k]);
            assert_int_equal(decode(shape, buf_str(&bytes), out, &err), -1);
        }
        buf_reset(&bytes);
        buf_add(&bytes, plain.data, plain.len);
        assert_int_equal(buf_add(&bytes, "\xc0", 1), 0); /* a byte behind it */
        assert_int_equal(decode(shape, buf_str(&bytes), out, &err), -1);
        with_pair(&bytes, buf_str(&plain), PAIR("\xcd\x10\x00\x01")); /* an unknown key twice */
        with_pair(&again, buf_str(&bytes), PAIR("\xcd\x10\x00\x01"));
        assert_int_equal(decode(shape, buf_str(&again), out, &err), -1);
    }
    buf_free(&plain);
    buf_free(&bytes);
    buf_free(&again);
}

static void test_too_many_keys(void **state)
{
    (void)state;
    struct buf bytes = {0}, more = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    assert_int_equal(buf_add(&bytes, "\x80", 1), 0);
    for (unsigned key = 64; key <= 64 + CODEC_KEYS_MAX; key++) {
        const char pair[] = {(char)0xcc, (char)key, 1};
        assert_int_equal(decode(&shape_rec_limits, buf_str(&bytes), out, &err), 0);
        with_pair(&more, buf_str(&bytes), (struct str){pair, sizeof pair});
        struct buf swap = bytes;
        bytes = more;
        more = swap;
    }
    assert_int_equal(decode(&shape_rec_limits, buf_str(&bytes), out, &err), -1);
    assert_string_equal(err.text, "limits: 64 keys given, at most 63 expected");
    buf_free(&bytes);
    buf_free(&more);
}

static void assert_names(const struct err *err, const struct shape *shape, const struct field *field)
{
    char begin[200];

    snprintf(begin, sizeof begin, "%s.%s", shape->name, field->name);
    if (strncmp(err->text, begin, strlen(begin)) != 0) {
        fail_msg("\"%s\" does not begin with %s", err->text, begin);
    }
}

static void test_missing(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (size_t i = 0; i < shapes_count(); i++) {
        const struct shape *shape = shape_at(i);
        for (size_t k = 0; k < shape->count; k++) {
            struct loose loose;
            struct field *field = loosen(&loose, shape, k);
            arena_reset(values);
            char *value = fill_new(values, shape, true);
            field->presence = CODEC_NUL;
            *(uint64_t *)value &= ~(UINT64_C(1) << field->key);
            assert_int_equal(encode(&bytes, &loose.shape, value, &err), 0);
            bool required = shape->fields[k].presence == CODEC_REQ;
            assert_int_equal(decode(shape, buf_str(&bytes), out, &err), required ? -1 : 0);
            if (required) {
                assert_names(&err, shape, field);
                assert_non_null(strstr(err.text, ": missing"));
            }
        }
    }
    buf_free(&bytes);
}

/* Every kind of value in every field: its own kind only (and whole numbers for real ones). */
static void test_mistyped(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        uint32_t kinds; /* bits of those that take it */
    } given[] = {
        {PAIR("\xc0"), 0},
        {PAIR("\xc3"), 1 << CODEC_BOOL},
        {PAIR("\x01"), 1 << CODEC_INT | 1 << CODEC_UINT | 1 << CODEC_REAL},
        {PAIR("\xff"), 1 << CODEC_INT | 1 << CODEC_REAL},
        {PAIR("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), 1 << CODEC_REAL},
        {PAIR("\xa1\x31"), 1 << CODEC_STR},
        {PAIR("\xc4\x01\x31"), 1 << CODEC_BLOB},
        {PAIR("\xc7\x01\x01\x31"), 0},
    };
    struct buf bytes = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (size_t i = 0; i < records_count; i++) {
        const struct shape *shape = records_all[i];
        for (size_t k = 0; k < shape->count; k++) {
            const struct field *field = &shape->fields[k];
            for (size_t g = 0; g < sizeof given / sizeof given[0]; g++) {
                const char head[] = {(char)0x81, (char)field->key};
                buf_reset(&bytes);
                buf_add(&bytes, head, sizeof head);
                buf_add(&bytes, given[g].bytes.ptr, given[g].bytes.len);
                decode(shape, buf_str(&bytes), out, &err);
                bool taken = (given[g].kinds >> field->kind & 1) != 0;
                if (!taken) {
                    assert_names(&err, shape, field);
                }
                assert_true(taken || strstr(err.text, "given") || strstr(err.text, "not a map") || strstr(err.text, "malformed"));
                assert_true(!taken || strstr(err.text, "a boolean") == NULL);
            }
        }
    }
    buf_free(&bytes);
}

/* Encodes and decodes with one field at a size. fits: neither refuses it; otherwise both do, naming it. */
static void check_size(const struct shape *shape, size_t i, uint64_t size, bool fits)
{
    const struct field *field = &shape->fields[i];
    struct buf bytes = {0};
    struct loose loose;
    struct err err;
    char out[FILL_STRUCT_MAX];

    arena_reset(values);
    char *value = fill_new(values, shape, false);
    fill_size(values, field, value, size, false);
    assert_int_equal(encode(&bytes, shape, value, &err), fits ? 0 : -1);
    if (!fits) {
        assert_names(&err, shape, field);
        assert_int_equal(bytes.len, 0);
    }
    struct field *wide = loosen(&loose, shape, i);
    wide->low = field->kind == CODEC_INT ? INT64_MIN : 0;
    wide->high = INT64_MAX;
    wide->presence = CODEC_REQ;
    assert_int_equal(encode(&bytes, &loose.shape, value, &err), 0);
    assert_int_equal(decode(shape, buf_str(&bytes), out, &err), fits ? 0 : -1);
    if (!fits) {
        assert_names(&err, shape, field);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "expected"));
    }
    buf_free(&bytes);
}

static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < shapes_count(); i++) {
        const struct shape *shape = shape_at(i);
        for (size_t k = 0; k < shape->count; k++) {
            const struct field *field = &shape->fields[k];
            if (field->kind == CODEC_BOOL || field->kind == CODEC_REAL || field->kind == CODEC_NEST) {
                continue;
            }
            check_size(shape, k, (uint64_t)field->high, true);
            if (field->kind == CODEC_INT ? field->low > INT64_MIN : field->low > 0) {
                check_size(shape, k, (uint64_t)field->low - 1, false);
            }
            if (field->kind != CODEC_MAP || field->low > 0) { /* no bytes are an empty map of one byte */
                check_size(shape, k, (uint64_t)field->low, true);
            }
            if (field->high < INT64_MAX) {
                check_size(shape, k, (uint64_t)field->high + 1, false);
            }
        }
    }
}

static void test_string_in_list(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct err err;
    char out[FILL_STRUCT_MAX];

    for (uint32_t len = CODEC_STRING_MAX; len <= CODEC_STRING_MAX + 1; len++) {
        const unsigned char head[] = {
            0x81, KEY_rec_task_spec_tags, 0x92, 0xa0, 0xda, (unsigned char)(len >> 8), (unsigned char)len};
        arena_reset(values);
        buf_reset(&bytes);
        buf_add(&bytes, head, sizeof head);
        buf_add(&bytes, fill_text(values, "tag", len).ptr, len);
        assert_int_equal(decode(&shape_rec_task_spec, buf_str(&bytes), out, &err), len > CODEC_STRING_MAX ? -1 : 0);
    }
    assert_string_equal(err.text, "task_spec.tags[1]: 32769 bytes given, at most 32768 expected");
    buf_free(&bytes);
}

static void test_number_edges(void **state)
{
    (void)state;
    struct rec_filter filter = {.field = STR_LIT("id"), .op = FILTER_EQ};
    struct rec_filter out;
    struct rec_progress progress = {.run_id = 1, .attempt = 1};
    struct rec_row row = {.id = (uint64_t)INT64_MAX + 1, .value = STR_LIT("")};
    struct buf bytes = {0};
    struct err err;
    char any[FILL_STRUCT_MAX];

    filter.number = INT64_MIN;
    assert_int_equal(rec_encode_filter(&bytes, &filter, &err), 0);
    assert_int_equal(rec_decode_filter(lists, buf_str(&bytes), &out, &err), 0);
    assert_true(out.number == INT64_MIN);
    assert_int_equal(decode(&shape_rec_filter, PAIR("\x83\x01\xa1x\x02\x01\x03\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), any, &err),
                     -1);
    assert_non_null(strstr(err.text, "filter.number: 9223372036854775808 given"));

    buf_reset(&bytes);
    assert_int_equal(rec_encode_row(&bytes, &row, &err), -1);
    assert_string_equal(err.text, "row.id: 9223372036854775808 given, 0 to 9223372036854775807 expected");

    /* What is no number is not sent if it may be left off, and refused where it comes from a peer. */
    progress.percent = NAN;
    assert_int_equal(rec_encode_progress(&bytes, &progress, &err), 0);
    assert_int_equal(bytes.data[0], (char)0x82);
    assert_int_equal(decode(&shape_rec_progress, PAIR("\x83\x01\x01\x02\x01\x03\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), any, &err),
                     -1);
    assert_int_equal(decode(&shape_rec_progress, PAIR("\x83\x01\x01\x02\x01\x03\xca\xff\x80\x00\x00"), any, &err), -1);
    assert_int_equal(decode(&shape_rec_progress, PAIR("\x83\x01\x01\x02\x01\x03\xca\x3f\x80\x00\x00"), any, &err), 0);
    assert_true(((struct rec_progress *)any)->percent == 1.0);
    assert_int_equal(decode(&shape_rec_progress, PAIR("\x83\x01\x01\x02\x01\x03\xfd"), any, &err), 0);
    assert_true(((struct rec_progress *)any)->percent == -3.0);
    buf_free(&bytes);
}

/* ---- hostile frames ---- */

static void test_hostile(void **state)
{
    (void)state;
    static const struct str frames[] = {
        PAIR(""),
        PAIR("\xc0"),
        PAIR("\xdf\x0f\xff\xff\xff"),
        PAIR("\xdd\x0f\xff\xff\xff"),
        PAIR("\x92\x02\xdf\x0f\xff\xff\xff"),
        PAIR("\x90"),
        PAIR("\x91\x02"),
        PAIR("\x92\x02"),
        PAIR("\x92\x80\x02"), /* the other way round */
        PAIR("\x92\xff\x80"),
        PAIR("\x92\xa1\x02\x80"),
        PAIR("\x92\x02\x80\x80"), /* a byte behind it */
        PAIR("\x93\x02\x80\xff"), /* corr below zero */
        PAIR("\x93\x02\x80\xa1x"),
        PAIR("\x94\x02\x80\x01\x01"), /* a request id that is no text, */
        PAIR("\x94\x02\x80\x01\xa3"
             "a b"), /* has a blank, */
        PAIR("\x94\x02\x80\x01\xa2"
             "a\n"),                                                  /* a newline, */
        PAIR("\x94\x02\x80\x01\xa2\xc3\xa9"),                         /* or is not ASCII */
        PAIR("\x95\x02\x80\x01\xa1x\x01"),                            /* a fifth element */
        PAIR("\x92\xcd\x7f\xff\x80"),                                 /* no such message */
        PAIR("\x92\xcf\x00\x00\x00\x01\x00\x00\x00\x02\x80"),         /* nor this: its low bytes are PING's */
        PAIR("\x92\xcd\x03\x03\x82\x01\x01\x02\xdd\x0f\xff\xff\xff"), /* GET with a list that is not there */
        PAIR("\x92\xcd\x03\x03\x83\x01\x01\x01\x02\x02\x91\x01"),     /* a key twice */
        PAIR("\x92\x01\x82\x01\x01\x02\xa2\xff\xfe"),                 /* text that is not UTF-8 */
        PAIR("\x92\xcd\x03\x01\x84\x01\x01\x02\xdc\x00\x11\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
             "\x05\x01\x06\x01"), /* 17 filters */
    };
    static struct msg msg;
    struct err err = {0};

    arena_reset(lists);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        err = (struct err){0};
        assert_int_equal(msg_decode(lists, frames[i], &msg, &err), -1);
        assert_null(msg.shape);
        assert_true(err.code == ERR_BAD_REQUEST || err.code == ERR_INVALID || err.code == ERR_PROTOCOL);
        assert_int_equal(msg_decode(lists, frames[i], &msg, NULL), -1);
    }
    assert_int_equal(msg_decode(lists, PAIR("\x92\x02\x80"), &msg, &err), 0);
    assert_int_equal(msg_decode(lists, PAIR("\x92\xcd\x7f\xff\x80"), &msg, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_string_equal(err.text, "message 0x7fff is not known here");
}

/* A frame over the limit is refused before it is read. */
static void test_frame_limit(void **state)
{
    (void)state;
    static struct msg msg;
    struct err err = {0};

    assert_int_equal(msg_decode(lists, (struct str){"\x92\x02\x80", CODEC_FRAME_MAX + 1}, &msg, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);

    struct rec_row row = {.id = 1, .value = {NULL, 0}};
    struct msg_query_rows rows = {.rows = {NULL, 33}};
    struct buf bytes = {0};
    arena_reset(values);
    row.value = fill_text(values, "v", 1 << 20);
    rows.rows.items = fill_alloc(values, rows.rows.count * sizeof row);
    for (uint32_t i = 0; i < rows.rows.count; i++) {
        rows.rows.items[i] = row;
    }
    assert_int_equal(msg_encode_query_rows(&bytes, &rows, 0, STR_LIT(""), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(bytes.len, 0);
    rows.rows.count = 31;
    assert_int_equal(msg_encode_query_rows(&bytes, &rows, 0, STR_LIT(""), &err), 0);
    buf_free(&bytes);
}

/* Lists take no more than the arena gives. */
static void test_arena_limit(void **state)
{
    (void)state;
    struct arena *small = arena_new(64);
    static struct msg msg;
    struct err err = {0};
    uint64_t ids[9] = {0};
    struct msg_get get = {.type = 1, .ids = {ids, 8}};
    struct buf bytes = {0};

    assert_int_equal(msg_encode_get(&bytes, &get, 0, STR_LIT(""), &err), 0);
    assert_int_equal(msg_decode(small, buf_str(&bytes), &msg, &err), 0);
    get.ids.count = 9;
    buf_reset(&bytes);
    arena_reset(small);
    assert_int_equal(msg_encode_get(&bytes, &get, 0, STR_LIT(""), &err), 0);
    assert_int_equal(msg_decode(small, buf_str(&bytes), &msg, &err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_non_null(strstr(err.text, "get.ids"));
    buf_free(&bytes);
    arena_free(small);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Changes up to eight bytes, and now and then the length. */
static uint32_t mutate(char *bytes, uint32_t len, uint64_t *seed)
{
    static const unsigned char heads[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc3,
                                          0xc6, 0xcb, 0xcf, 0xd3, 0xd9, 0xdb, 0xdd, 0xdf, 0xe0, 0xff};

    for (uint64_t n = 1 + random_next(seed) % 8; n > 0; n--) {
        uint64_t r = random_next(seed);
        char *at = bytes + (r >> 8) % len;
        *at = (char)(r % 3 == 0 ? (uint64_t)(unsigned char)*at ^ 1U << (r >> 40) % 8
                                : (r % 3 == 1 ? heads[(r >> 40) % sizeof heads] : r >> 40));
    }
    uint64_t r = random_next(seed);
    if (r % 8 == 0 && len > 2) { /* a byte goes */
        uint32_t at = (uint32_t)((r >> 8) % (len - 1));
        memmove(bytes + at, bytes + at + 1, len - at - 1);
        len--;
    }
    return len;
}

/* Whatever decodes encodes, to bytes that decode to the same again. */
static void check_stable(const struct shape *shape, const void *value, struct buf *one, struct buf *two)
{
    static struct msg msg;
    struct err err = {0};

    buf_reset(one);
    buf_reset(two);
    if (codec_encode(one, shape, value, 0, STR_LIT(""), &err) != 0) {
        fail_msg("what was decoded does not encode: %s", err.text);
    }
    assert_int_equal(msg_decode(lists, buf_str(one), &msg, &err), 0);
    assert_int_equal(codec_encode(two, shape, &msg.u, 0, STR_LIT(""), &err), 0);
    assert_true(str_eq(buf_str(one), buf_str(two)));
    buf_reset(two);
    codec_print(two, shape, &msg.u);
    assert_false(two->failed);
}

static void test_mutated(void **state)
{
    (void)state;
    enum { ROUNDS = 100000 };
    struct buf bytes = {0}, one = {0}, two = {0};
    static struct msg msg;
    struct err err;
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    unsigned long decoded = 0;

    for (size_t i = 0; i < messages_count; i++) {
        const struct shape *shape = messages_all[i];
        arena_reset(values);
        assert_int_equal(encode(&bytes, shape, fill_new(values, shape, i % 2 == 0), &err), 0);
        for (size_t n = 0; n < ROUNDS / messages_count; n++) {
            char *copy = malloc(bytes.len);
            assert_non_null(copy);
            memcpy(copy, bytes.data, bytes.len);
            uint32_t len = mutate(copy, (uint32_t)bytes.len, &seed);
            copy = realloc(copy, len);
            assert_non_null(copy);
            arena_reset(lists);
            if (msg_decode(lists, (struct str){copy, len}, &msg, &err) == 0) {
                struct msg kept = msg;
                decoded++;
                check_stable(kept.shape, &kept.u, &one, &two);
            }
            free(copy);
        }
    }
    assert_true(decoded > ROUNDS / 100); /* otherwise this tests the first byte only */
    buf_free(&bytes);
    buf_free(&one);
    buf_free(&two);
}

/* ---- encoding refuses what no peer takes, and then leaves the buffer as it was ---- */

static void test_encode_refuses(void **state)
{
    (void)state;
    struct buf out = {0};
    struct err err = {0};
    struct msg_error error = {.code = 1, .text = STR_LIT("\xff")};
    struct msg_ping ping = {0};
    char wide[CODEC_STRING_MAX + 1];
    struct str words[2] = {STR_LIT("a"), {wide, sizeof wide}};

    assert_int_equal(buf_text(&out, "before"), 0);
    assert_int_equal(msg_encode_error(&out, &error, 0, STR_LIT(""), &err), -1);
    assert_string_equal(err.text, "error.text: not UTF-8");
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(str_is(buf_str(&out), "before"));

    struct msg_task_create create = {.idem = {.scope = STR_LIT("0123456789abcdef"), .body = STR_LIT("0123456789abcdef")}};
    memset(wide, 'w', sizeof wide);
    SET_HAS(&create.spec, rec_task_spec, arguments);
    create.spec.arguments = (struct str_list){words, 2};
    assert_int_equal(msg_encode_task_create(&out, &create, 0, STR_LIT(""), &err), -1);
    assert_string_equal(err.text, "task_create.spec.arguments[1]: 32769 bytes given, at most 32768 expected");
    words[1].len--;
    SET_HAS(&create.spec, rec_task_spec, env);
    create.spec.env = STR_LIT("\x82\xa1"
                              "a\x01\xa1"
                              "a\x02");
    assert_int_equal(msg_encode_task_create(&out, &create, 0, STR_LIT(""), &err), -1);
    assert_non_null(strstr(err.text, "task_create.spec.env: not a map"));
    create.spec.env = (struct str){NULL, 0};
    assert_int_equal(msg_encode_task_create(&out, &create, 0, STR_LIT(""), &err), 0);
    out.len = strlen("before");

    assert_int_equal(msg_encode_ping(&out, &ping, 1, STR_LIT("a b"), &err), -1);
    assert_int_equal(msg_encode_ping(&out, &ping, 1, (struct str){wide, CODEC_RID_MAX + 1}, &err), -1);
    assert_true(str_is(buf_str(&out), "before"));

    out.limit = out.len + 2;
    out.size = out.limit;
    assert_int_equal(msg_encode_ping(&out, &ping, 1, STR_LIT(""), &err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_true(str_is(buf_str(&out), "before"));
    assert_false(out.failed);
    out.failed = true;
    assert_int_equal(msg_encode_ping(&out, &ping, 1, STR_LIT(""), &err), -1);
    assert_true(out.failed);
    buf_free(&out);
}

/* Errors name the whole way: through lists and nested records. */
static void test_error_paths(void **state)
{
    (void)state;
    struct rec_op ops[3] = {{.op = OP_PUT, .value = STR_LIT("")}, {.op = OP_PUT}, {.op = 9}};
    struct msg_batch batch = {.epoch = 1, .seq = 1, .ops = {ops, 3}};
    struct buf out = {0};
    struct err err = {0};
    static struct msg msg;

    assert_int_equal(msg_encode_batch(&out, &batch, 0, STR_LIT(""), &err), -1);
    assert_string_equal(err.text, "batch.ops[2].op: 9 given, 1 to 5 expected");
    ops[2].op = 4;
    assert_int_equal(msg_encode_batch(&out, &batch, 0, STR_LIT(""), &err), 0);
    out.data[out.len - 1] = 6;
    arena_reset(lists);
    assert_int_equal(msg_decode(lists, buf_str(&out), &msg, &err), -1);
    assert_string_equal(err.text, "batch.ops[2].op: 6 given, 1 to 5 expected");
    out.data[out.len - 1] = (char)0xc0;
    assert_int_equal(msg_decode(lists, buf_str(&out), &msg, &err), -1);
    assert_string_equal(err.text, "batch.ops[2].op: nil given, an integer of 0 or more expected");

    /* A field behind a list is not in it. */
    struct rec_attempt attempt = {.number = 1};
    struct rec_run run = {
        .id = 1, .created_at = 1, .attempts = {&attempt, 1}, .farm = STR_LIT("123456789012345678901234567890123")};
    buf_reset(&out);
    assert_int_equal(rec_encode_run(&out, &run, &err), -1);
    assert_string_equal(err.text, "run.farm: 33 bytes given, 0 to 32 expected");
    run.farm.len = 32;
    assert_int_equal(rec_encode_run(&out, &run, &err), 0);
    out.data[out.len - 34] = (char)0xc4; /* binary of 32 bytes, its length what was the first letter */
    struct rec_run decoded;
    assert_int_equal(rec_decode_run(lists, buf_str(&out), &decoded, &err), -1);
    assert_non_null(strstr(err.text, "run.farm: "));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_values),        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_too_many_keys), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_mistyped),     cmocka_unit_test(test_bounds),        cmocka_unit_test(test_string_in_list),
        cmocka_unit_test(test_number_edges), cmocka_unit_test(test_hostile),       cmocka_unit_test(test_frame_limit),
        cmocka_unit_test(test_arena_limit),  cmocka_unit_test(test_mutated),       cmocka_unit_test(test_encode_refuses),
        cmocka_unit_test(test_error_paths),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
