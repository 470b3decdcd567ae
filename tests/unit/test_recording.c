/* What of a recording needs no stream: its timeline, parameters, words without secrets, pieces, report. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/record/config.h"
#include "worker/record/piece_whole.h"
#include "worker/record/pieces.h"
#include "worker/record/report.h"
#include "worker/record/timeline.h"

/* ---- timeline ---- */

#define FRAME 40000
#define SECOND 1000000

struct line {
    struct timeline timeline;
    int64_t arrival, gap;
};

/* A frame that arrives `after` the one before, with that time of its own; where it stands. */
static int64_t put(struct line *line, unsigned track, int64_t after, int64_t in)
{
    int64_t dts = in, pts = in;
    line->arrival += after;
    assert_true(timeline_put(&line->timeline, track, line->arrival, &dts, &pts, &line->gap));
    assert_true(pts >= dts);
    return dts;
}

static void test_as_it_comes(void **state)
{
    struct line line = {.arrival = 77 * (int64_t)SECOND};
    (void)state;
    for (int i = 0; i < 100; i++) /* the arrivals are late and early, the times are not */
        assert_int_equal(put(&line, 0, FRAME + (i % 2 ? 9000 : -9000), 5000000 + i * FRAME), i * FRAME);
    assert_int_equal(timeline_end(&line.timeline, 0), 100 * FRAME);
    assert_int_equal(line.timeline.repaired, 0);
}

static void test_out_of_a_buffer(void **state)
{
    struct line line = {0};
    (void)state;
    put(&line, 0, 0, 0);
    for (int i = 1; i < 75; i++) /* three seconds in no time */
        assert_int_equal(put(&line, 0, 10, i * FRAME), i * FRAME);
    assert_int_equal(line.timeline.repaired, 0);
}

static void test_jumps(void **state)
{
    static const int64_t far[] = {(INT64_C(1) << 32) * 100 / 9, -(INT64_C(1) << 32) * 100 / 9, 20 * (int64_t)SECOND, -SECOND,
                                  INT64_MAX / 16};
    (void)state;
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        struct line line = {0};
        int64_t base = 1000 * (int64_t)SECOND, last = 0;
        for (int frame = 0; frame < 50; frame++)
            last = put(&line, 0, FRAME, base + frame * FRAME);
        base += far[i];
        for (int frame = 50; frame < 100; frame++) {
            int64_t at = put(&line, 0, FRAME, base + frame * FRAME);
            assert_int_equal(at - last, FRAME);
            assert_int_equal(line.gap, 0);
            last = at;
        }
        assert_int_equal(line.timeline.repaired, 1);
    }
}

static void test_backwards_a_little(void **state)
{
    struct line line = {0};
    (void)state;
    put(&line, 0, 0, 0);
    put(&line, 0, FRAME, 2 * FRAME);
    int64_t last = put(&line, 0, FRAME, 4 * FRAME);
    assert_int_equal(put(&line, 0, FRAME, 3 * FRAME), last + 1);
    assert_int_equal(put(&line, 0, FRAME, 5 * FRAME), 5 * FRAME);
}

static void test_a_clock_that_stands(void **state)
{
    struct line line = {0};
    int64_t last = 0;
    (void)state;
    for (int i = 0; i < 20; i++)
        last = put(&line, 0, FRAME, i * FRAME);
    for (int i = 0; i < 100; i++)
        last = put(&line, 0, FRAME, 19 * FRAME);
    assert_int_equal(last, 119 * FRAME);
    assert_int_equal(put(&line, 0, FRAME, 20 * FRAME), last + FRAME); /* and goes on */
}

static void test_without_times(void **state)
{
    struct line line = {0};
    (void)state;
    put(&line, 0, 0, TIMELINE_NONE);
    int64_t last = put(&line, 0, FRAME, TIMELINE_NONE);
    for (int i = 0; i < 30; i++) {
        int64_t at = put(&line, 0, FRAME, i % 2 ? TIMELINE_NONE : INT64_MAX - 5);
        assert_true(at > last);
        last = at;
    }
}

static void test_gaps_and_connections(void **state)
{
    struct line line = {0};
    (void)state;
    for (int i = 0; i < 50; i++)
        put(&line, 0, FRAME, i * FRAME);
    /* It falls silent for four seconds, and says so. */
    assert_int_equal(put(&line, 0, 4 * SECOND, 49 * FRAME + 4 * SECOND), 49 * FRAME + 4 * SECOND);
    assert_int_equal(line.gap, 4 * SECOND - FRAME);
    /* A new connection's clock begins anew. */
    timeline_connect(&line.timeline);
    int64_t before = line.timeline.tracks[0].last, at = put(&line, 0, 3 * SECOND, 123);
    assert_int_equal(at, before + 3 * SECOND);
    assert_int_equal(line.gap, 3 * SECOND - FRAME);
    assert_int_equal(put(&line, 0, FRAME, 123 + FRAME), at + FRAME);
    /* One that comes at once, while what came is ahead of the arrivals, follows. */
    put(&line, 0, 10, 123 + FRAME + SECOND);
    before = line.timeline.tracks[0].last;
    timeline_connect(&line.timeline);
    at = put(&line, 0, 10, 0);
    assert_true(at > before && at < before + SECOND);
    assert_int_equal(put(&line, 0, FRAME, FRAME), at + FRAME);
}

static void test_slow_streams_have_no_gaps(void **state)
{
    struct line line = {0};
    (void)state;
    put(&line, 0, 0, 0);
    for (int i = 1; i < 20; i++) {
        put(&line, 0, SECOND, i * (int64_t)SECOND);
        assert_int_equal(line.gap, 0);
    }
}

static void test_two_tracks(void **state)
{
    struct line line = {0};
    int64_t dts = 700, pts = 700, gap;
    (void)state;
    put(&line, 0, 0, 1000 * (int64_t)SECOND);
    /* As their source says, wherever they arrive. */
    assert_int_equal(put(&line, 1, 2 * SECOND, 1000 * (int64_t)SECOND + 5000), 5000);
    assert_int_equal(put(&line, 1, 20000, 1000 * (int64_t)SECOND + 25000), 25000);
    /* One whose clock is another stands where it arrives. */
    struct line other = {0};
    put(&other, 0, 0, 1000 * (int64_t)SECOND);
    assert_int_equal(put(&other, 1, 30000, 7), 30000);
    /* What is before the first frame is dropped. */
    struct line third = {0};
    put(&third, 0, 0, 1000);
    assert_false(timeline_put(&third.timeline, 1, 0, &dts, &pts, &gap));
}

static void test_anything_grows(void **state)
{
    struct line line = {0};
    uint64_t seed = 1;
    int64_t last[2] = {-1, -1};
    (void)state;
    put(&line, 0, 0, 0);
    last[0] = 0;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned track = seed >> 60 & 1;
        int64_t in = (int64_t)(seed >> (seed >> 58)), dts = in, pts = (int64_t)seed;
        line.arrival += (int64_t)(seed >> 40) % 100000;
        if (seed >> 50 == 0)
            timeline_connect(&line.timeline);
        if (!timeline_put(&line.timeline, track, line.arrival, &dts, &pts, &line.gap))
            continue;
        assert_true(dts > last[track] && pts >= dts && line.gap >= 0);
        last[track] = dts;
    }
}

/* ---- parameters ---- */

static int read_config(const char *json, struct record_config *config, struct err *err)
{
    *err = (struct err){0};
    return record_config_read(str_of(json), config, err);
}

static void test_parameters(void **state)
{
    struct record_config config;
    struct err err;
    (void)state;
    assert_int_equal(
        read_config("{\"url\":\"rtsp://a:b@c/d?e=f\",\"duration_s\":20,\"output\":\"/o/x.mp4\",\"connect_s\":3,\"read_s\":5.0,"
                    "\"stream\":\"s\",\"cycle\":4}",
                    &config, &err),
        0);
    assert_string_equal(config.url, "rtsp://a:b@c/d?e=f");
    assert_string_equal(config.output, "/o/x.mp4");
    assert_int_equal(config.duration_s, 20);
    assert_int_equal(config.connect_s, 3);
    assert_int_equal(config.read_s, 5);
    assert_int_equal(read_config("{\"url\":\"RTSPS://c\",\"duration_s\":1,\"output\":\"/x\"}", &config, &err), 0);
    assert_int_equal(config.connect_s, RECORD_CONNECT);
    assert_int_equal(config.read_s, RECORD_READ);
}

/* Where nothing is said of its folder a recording begins; else only where its marker is, and as much is free as there should be. */
static void test_place(void **state)
{
    static struct record_config config;
    char root[UNIT_FOLDER_SIZE], json[512], marker[UNIT_FOLDER_SIZE + 32];
    struct err err = {0};
    (void)state;
    unit_folder(root);
    snprintf(marker, sizeof(marker), "%s/" RECORDER_MARKER, root);
    assert_int_equal(record_place_check(&config, &err), FAULT_NONE);
    snprintf(json, sizeof(json),
             "{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"%s/c/x.mp4\",\"root\":\"%s\",\"marked\":1,\"min_free\":1}",
             root, root);
    assert_int_equal(read_config(json, &config, &err), 0);
    assert_string_equal(config.root, root);
    assert_true(config.marked && config.min_free == 1);
    assert_int_equal(record_place_check(&config, &err), FAULT_UNMOUNTED);
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, RECORDER_MARKER));
    int fd = open(marker, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(record_place_check(&config, &err), FAULT_NONE);
    config.min_free = (uint64_t)INT64_MAX;
    assert_int_equal(record_place_check(&config, &err), FAULT_FULL);
    assert_non_null(strstr(err.text, "MB are free"));
    config.min_free = 0;
    assert_int_equal(record_place_check(&config, &err), FAULT_NONE);
    unit_remove(root);
}

static void test_parameters_that_make_no_sense(void **state)
{
    static const char *const rows[][2] = {
        {"", "cannot be read"},
        {"[]", "cannot be read"},
        {"{\"url\":1,\"duration_s\":1,\"output\":\"/x\"}", "url"},
        {"{\"url\":\"file:///etc/passwd\",\"duration_s\":1,\"output\":\"/x\"}", "url"},
        {"{\"url\":\"rtsp://\",\"duration_s\":1,\"output\":\"/x\"}", "url"},
        {"{\"url\":\"rtsp://a b\",\"duration_s\":1,\"output\":\"/x\"}", "url"},
        {"{\"url\":\"rtsp://a\\n\",\"duration_s\":1,\"output\":\"/x\"}", "url"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1}", "output"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"x\"}", "output"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/\"}", "output"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/../y\"}", "output"},
        {"{\"url\":\"rtsp://a\",\"output\":\"/x\"}", "duration_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":0,\"output\":\"/x\"}", "duration_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":\"5\",\"output\":\"/x\"}", "duration_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":86401,\"output\":\"/x\"}", "duration_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x\",\"connect_s\":-1}", "connect_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x\",\"read_s\":99999}", "read_s"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/y\",\"root\":\"/z\"}", "root"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/y\",\"root\":\"/x/y\"}", "root"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/y\",\"root\":1}", "root"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/y\",\"marked\":\"1\"}", "marked"},
        {"{\"url\":\"rtsp://a\",\"duration_s\":1,\"output\":\"/x/y\",\"min_free\":-1}", "min_free"},
    };
    struct record_config config;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(read_config(rows[i][0], &config, &err), -1);
        assert_non_null(strstr(err.text, rows[i][1]));
    }
    char *lengthy = NULL;
    assert_true(asprintf(&lengthy, "{\"url\":\"rtsp://%0*d\",\"duration_s\":1,\"output\":\"/x\"}", RECORD_URL_MAX, 1) > 0);
    assert_int_equal(read_config(lengthy, &config, &err), -1);
    free(lengthy);
}

static void test_words_without_secrets(void **state)
{
    static const char *const rows[][3] = {
        {"rtsp://me:se@cret@cam/a", "method of rtsp://me:se@cret@cam/a failed", "method of rtsp://***@cam/a failed"},
        {"rtsp://me:secret@cam/a", "bad me:secret here", "bad *** here"},
        {"rtsp://cam/a?password=hidden", "no rtsp://cam/a?password=hidden.", "no rtsp://cam/a?***."},
        {"rtsp://cam/a", "tcp://other:word@host:1, http://b", "tcp://***@host:1, http://b"},
        {"rtsp://cam/a", "nothing @ all", "nothing @ all"},
        {"rtsp://cam/a", "moved to 'rtsp://b/c?user=me&Token=word&x=1'", "moved to 'rtsp://b/c?user=me&Token=***&x=1'"},
    };
    char out[128], cut[9];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        record_mask(rows[i][0], rows[i][1], out, sizeof(out));
        assert_string_equal(out, rows[i][2]);
    }
    record_mask("rtsp://me:secret@cam/a", "a me:secret", cut, sizeof(cut));
    assert_string_equal(cut, "a ***");
    record_mask("rtsp://cam/a", "0123456789", cut, sizeof(cut));
    assert_string_equal(cut, "01234567");
}

/* ---- pieces ---- */

static void file_make(const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void test_pieces_of_attempts(void **state)
{
    char folder[UNIT_FOLDER_SIZE], output[PATH_MAX], name[64];
    static struct pieces pieces;
    struct err err;
    (void)state;
    unit_folder(folder);
    snprintf(output, sizeof(output), "%s/cycle/cam.mp4", folder);
    assert_int_equal(pieces_find(output, 7, &pieces, &err), 0);
    assert_int_equal(pieces.count, 0);
    assert_int_equal(pieces_folder(&pieces, &err), 0);
    static const char *const names[] = {"10-5000.mp4", "2-4000.mp4", "2-4000.mp4.x", "other", "x-1.mp4", "3.mp4"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        file_make(pieces.folder, names[i]);
    assert_int_equal(pieces_find(output, 7, &pieces, &err), 0);
    assert_int_equal(pieces.count, 2);
    assert_int_equal(pieces.at[0].attempt, 2);
    assert_int_equal(pieces.at[0].start_ms, 4000);
    assert_int_equal(pieces.at[1].attempt, 10);
    assert_int_equal(pieces_find(output, 8, &pieces, &err), 0);
    assert_int_equal(pieces.count, 0);
    pieces_find(output, 7, &pieces, &err);
    for (int i = 0; i < PIECES_MAX; i++) {
        snprintf(name, sizeof(name), "%d-1.mp4", 100 + i);
        file_make(pieces.folder, name);
    }
    assert_int_equal(pieces_find(output, 7, &pieces, &err), 0);
    assert_int_equal(pieces.count, PIECES_MAX);
    assert_int_equal(pieces.at[0].attempt, 100);
    pieces_remove(&pieces); /* what is not ours stays */
    assert_int_equal(pieces_find(output, 7, &pieces, &err), 0);
    assert_int_equal(pieces.count, 0);
    unit_remove(folder);
    snprintf(output, sizeof(output), "%s/gone/cycle/cam.mp4", folder);
    pieces_find(output, 7, &pieces, &err);
    assert_int_equal(pieces_folder(&pieces, &err), -1); /* the output folder itself is not made */
}

struct bytes {
    const unsigned char *at;
    int64_t len;
};

static int64_t bytes_read(void *self, int64_t at, unsigned char *out, int64_t len)
{
    const struct bytes *bytes = self;
    int64_t got = at >= bytes->len ? 0 : len < bytes->len - at ? len : bytes->len - at;
    memcpy(out, bytes->at + at, (size_t)got);
    return got;
}

static int64_t whole(const char *bytes, size_t len)
{
    struct bytes all = {(const unsigned char *)bytes, (int64_t)len};
    return piece_whole(bytes_read, &all, all.len);
}

static void test_what_is_whole(void **state)
{
    static const char file[] =
        "\0\0\0\x0c"
        "ftyp1234\0\0\0\x08moov\0\0\0\x08moof\0\0\0\x0amdat12\0\0\0\x08moof\0\0\0\x01mdat\0\0\0\0\0\0\0\x13"
        "123";
    const int64_t first = 12 + 8 + 8 + 10, all = sizeof(file) - 1;
    (void)state;
    for (int64_t len = 0; len <= all; len++)
        assert_int_equal(whole(file, (size_t)len), len < first ? 0 : len < all ? first : all);
    assert_int_equal(whole("\0\0\0\x07mdat", 8), 0);
    assert_int_equal(whole("\0\0\0\0mdat", 8), 0);
    assert_int_equal(whole("\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff", 16), 0);
    assert_int_equal(whole("\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f", 16), 0);
}

static void test_fragments(void **state)
{
    static const char file[] = "\0\0\0\x0c"
                               "ftyp1234\0\0\0\x08moov\0\0\0\x08moof\0\0\0\x0amdat12\0\0\0\x08"
                               "free\0\0\0\x08moof\0\0\0\x09mdat3\0\0\0\x08moof\0\0\0\x20mdat";
    static const char plain[] = "\0\0\0\x0c"
                                "ftyp1234\0\0\0\x0amdat12\0\0\0\x08moov";
    const int64_t head = 12 + 8, second = head + 8 + 10 + 8, end = second + 8 + 9;
    struct bytes all = {(const unsigned char *)file, sizeof(file) - 1}, other = {(const unsigned char *)plain, sizeof(plain) - 1};
    const int64_t from[] = {head, second, end, end};
    struct piece_span span;
    (void)state;
    for (uint64_t number = 0; number < 4; number++) {
        piece_span(bytes_read, &all, all.len, number, &span);
        assert_int_equal(span.head, head);
        assert_int_equal(span.whole, end);
        assert_int_equal(span.count, 2);
        assert_int_equal(span.from, from[number]);
    }
    piece_span(bytes_read, &other, other.len, 0, &span);
    assert_int_equal(span.count, 0);
    assert_int_equal(span.whole, 12 + 10);
    assert_true(span.head == span.whole && span.from == span.whole);
    piece_span(bytes_read, &all, 0, 0, &span);
    assert_true(span.head == 0 && span.from == 0 && span.whole == 0 && span.count == 0);
}

/* ---- the report ---- */

static void test_reports(void **state)
{
    static struct record_report report;
    struct buf out = {0};
    (void)state;
    report = (struct record_report){.recorded_us = 12345600,
                                    .bytes = 1000,
                                    .frames = 300,
                                    .jitter_ms = -1,
                                    .first_frame_ms = 123.44,
                                    .video = "h264",
                                    .width = 320,
                                    .height = 180,
                                    .fault = FAULT_TIMEOUT,
                                    .error = "timeout: nothing \"came\""};
    report_gap(&report, 1000000, 2000000, FAULT_READ);
    report_gap(&report, 5000000, 500000, FAULT_STOPPED);
    assert_int_equal(report_write(&report, &out), 0);
    json_t *object = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(object);
    assert_true(json_number_value(json_object_get(object, "seconds")) == 12.346);
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 7);
    assert_true(json_is_null(json_object_get(object, "jitter_ms")));
    assert_true(json_number_value(json_object_get(object, "first_frame_ms")) == 123.4);
    assert_string_equal(json_string_value(json_object_get(object, "audio")), "");
    assert_string_equal(json_string_value(json_object_get(object, "error")), "timeout: nothing \"came\"");
    const json_t *gaps = json_object_get(object, "gaps");
    assert_int_equal(json_array_size(gaps), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(gaps, 0), "cause")), "read");
    assert_string_equal(json_string_value(json_object_get(json_array_get(gaps, 1), "cause")), "worker");
    json_decref(object);
    buf_reset(&out);
    assert_int_equal(report_progress(&report, 3, 15 * SECOND, 20 * SECOND, &out), 0);
    buf_add(&out, "", 1);
    assert_string_equal(out.data, "percent=75.0\nnote={\"status\":3,\"seconds\":12.3,\"bytes\":1000,\"frames\":300}\n");
    buf_free(&out);
}

/* However many gaps there are: the result is bounded, and their sum is right. */
static void test_many_gaps(void **state)
{
    static struct record_report report;
    struct buf out = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        report_gap(&report, i * (int64_t)SECOND, SECOND, FAULT_READ);
    assert_int_equal(report_gaps_us(&report), 1000 * (int64_t)SECOND);
    assert_int_equal(report_write(&report, &out), 0);
    assert_true(out.len < 32768);
    buf_free(&out);
}

static void test_statuses(void **state)
{
    static const struct {
        enum record_fault fault;
        int status;
        const char *word;
    } rows[] = {{FAULT_NONE, 4, "none"},         {FAULT_CONNECT, 5, "connect"},    {FAULT_AUTH, 5, "auth"},
                {FAULT_NOTFOUND, 9, "notfound"}, {FAULT_READ, 6, "read"},          {FAULT_TIMEOUT, 7, "timeout"},
                {FAULT_STOPPED, 8, "stopped"},   {FAULT_DISK, 6, "disk"},          {FAULT_UNAVAILABLE, 9, "unavailable"},
                {FAULT_FULL, 6, "disk_full"},    {FAULT_UNMOUNTED, 6, "unmounted"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(record_fault_status(rows[i].fault), rows[i].status);
        assert_string_equal(record_fault_word(rows[i].fault), rows[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_comes),
        cmocka_unit_test(test_out_of_a_buffer),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_backwards_a_little),
        cmocka_unit_test(test_a_clock_that_stands),
        cmocka_unit_test(test_without_times),
        cmocka_unit_test(test_gaps_and_connections),
        cmocka_unit_test(test_slow_streams_have_no_gaps),
        cmocka_unit_test(test_two_tracks),
        cmocka_unit_test(test_anything_grows),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_parameters_that_make_no_sense),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_words_without_secrets),
        cmocka_unit_test(test_pieces_of_attempts),
        cmocka_unit_test(test_what_is_whole),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_many_gaps),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
