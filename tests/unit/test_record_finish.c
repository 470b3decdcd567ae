/* What was recorded becomes a file, and counts only as what it is found to be. */
#include "tests/unit/unit.h"

#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/record/finish.h"

#define STEP_US INT64_C(40000)
#define SECOND INT64_C(1000000)
#define RECEIVED 12345 /* bytes, by the attempt that makes the file */

static char root[UNIT_FOLDER_SIZE], made[256];
static int64_t step_us; /* that frames are apart */

static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    step_us = STEP_US;
    snprintf(made, sizeof(made), "%s/made.mp4", root);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    unit_remove(root);
    return 0;
}

/* Frames a step apart, each a fragment of its own, as a recording's piece has them; of the codec whose packets may hold anything. first: the first
 * key frame. gap_us: before the last frame. */
static void film(const char *path, int frames, int first, int64_t gap_us)
{
    AVFormatContext *mux = NULL;
    AVDictionary *options = NULL;
    AVPacket *packet = av_packet_alloc();
    assert_non_null(packet);
    assert_true(avformat_alloc_output_context2(&mux, NULL, "mp4", path) >= 0);
    AVStream *stream = avformat_new_stream(mux, NULL);
    assert_non_null(stream);
    stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    stream->codecpar->codec_id = AV_CODEC_ID_MPEG2VIDEO;
    stream->codecpar->width = 320;
    stream->codecpar->height = 180;
    stream->time_base = (AVRational){1, 90000};
    av_dict_set(&options, "movflags", "frag_every_frame+empty_moov+default_base_moof", 0);
    assert_true(avio_open(&mux->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(mux, &options) >= 0);
    av_dict_free(&options);
    for (int i = 0; i < frames; i++) {
        int64_t at = i * step_us + (i == frames - 1 ? gap_us : 0);
        assert_int_equal(av_new_packet(packet, 32), 0);
        memset(packet->data, 'a' + i % 26, 32);
        packet->dts = packet->pts = av_rescale_q(at, (AVRational){1, 1000000}, stream->time_base);
        packet->duration = av_rescale_q(step_us, (AVRational){1, 1000000}, stream->time_base);
        packet->flags = i >= first && (i - first) % 25 == 0 ? AV_PKT_FLAG_KEY : 0;
        assert_true(av_write_frame(mux, packet) >= 0);
        av_packet_unref(packet);
    }
    av_write_trailer(mux);
    avio_closep(&mux->pb);
    avformat_free_context(mux);
    av_packet_free(&packet);
}

/* One piece of attempt 1. */
static void piece(struct pieces *pieces, int frames, int first, int64_t gap_us)
{
    char output[256], path[PATH_MAX];
    struct err err = {0};
    snprintf(output, sizeof(output), "%s/cam.mp4", root);
    assert_int_equal(pieces_find(output, 7, pieces, &err), 0);
    assert_int_equal(pieces_folder(pieces, &err), 0);
    pieces->at[pieces->count++] = (struct piece){.attempt = 1, .start_ms = 1000000};
    pieces_path(pieces, &pieces->at[0], path);
    film(path, frames, first, gap_us);
}

static int make(const struct pieces *pieces, struct record_report *report, struct err *err)
{
    unlink(made);
    *report = (struct record_report){.bytes = RECEIVED, .jitter_ms = -1, .first_frame_ms = -1};
    *err = (struct err){0};
    return finish_make(pieces, 1000000, 1, made, report, err);
}

static void test_what_was_made(void **unused)
{
    static struct record_report report, found;
    static struct pieces pieces;
    char path[PATH_MAX];
    struct err err;
    (void)unused;
    piece(&pieces, 50, 0, 0);
    assert_int_equal(make(&pieces, &report, &err), 0);
    assert_int_equal(report.frames, 50);
    assert_int_equal(report.bytes, RECEIVED);
    assert_int_equal(report.recorded_us, 2 * SECOND);
    assert_int_equal(finish_check(made, &report, &found, &err), 0);
    assert_int_equal(found.frames, 50);
    assert_true(llabs(found.recorded_us - 2 * SECOND) < 50000);
    assert_string_equal(found.video, "mpeg2video");
    assert_int_equal(found.bytes, 50 * 32);
    pieces.at[0].attempt = 2; /* of another than the one that makes it: what came then is known from the piece alone */
    pieces_path(&pieces, &pieces.at[0], path);
    film(path, 50, 0, 0);
    assert_int_equal(make(&pieces, &report, &err), 0);
    assert_int_equal(report.bytes, RECEIVED + 50 * 32);
}

static void refused(const struct record_report *report, const char *words)
{
    static struct record_report found;
    struct err err = {0};
    found = (struct record_report){0};
    assert_int_equal(finish_check(made, report, &found, &err), -1);
    assert_non_null(strstr(err.text, words));
}

/* It is as long as what was put into it, within a second, and has as many frames. */
static void test_not_what_was_made(void **unused)
{
    static struct record_report report, found;
    static struct pieces pieces;
    struct err err;
    (void)unused;
    piece(&pieces, 50, 0, 0);
    assert_int_equal(make(&pieces, &report, &err), 0);
    report.frames++;
    refused(&report, "50 of 51 frames");
    report.frames--;
    for (int sign = -1; sign <= 1; sign += 2) {
        found = (struct record_report){0};
        report.recorded_us += sign * 900000;
        assert_int_equal(finish_check(made, &report, &found, &err), 0);
        report.recorded_us += sign * 200000;
        refused(&report, sign > 0 ? "2.0 s long, not 3.1" : "2.0 s long, not 0.9");
        report.recorded_us -= sign * 1100000;
    }
    report_gap(&report, SECOND, 3 * SECOND, FAULT_READ); /* gaps are part of it */
    refused(&report, "2.0 s long, not 5.0");
}

/* Of a slow camera's frames a piece does not say how long they last, as each is a fragment of its own; the file does. */
static void test_frames_far_apart(void **unused)
{
    static struct record_report report;
    static struct pieces pieces;
    struct err err;
    (void)unused;
    for (step_us = 1100000; step_us <= 2000000; step_us += 100000) {
        pieces = (struct pieces){0};
        piece(&pieces, 10, 0, 0);
        assert_int_equal(make(&pieces, &report, &err), 0);
        assert_int_equal(report.frames, 10);
        assert_true(finish_length_us(&report) >= 9 * step_us && finish_length_us(&report) <= 10 * step_us);
        pieces_remove(&pieces);
    }
}

/* A piece of somebody else's making may begin anywhere. */
static void test_no_key_frame_first(void **unused)
{
    static struct record_report report;
    static struct pieces pieces;
    struct err err;
    (void)unused;
    piece(&pieces, 50, 5, 0);
    assert_int_equal(make(&pieces, &report, &err), -1);
    assert_non_null(strstr(err.text, "does not begin with a key frame"));
}

static void test_no_video(void **unused)
{
    (void)unused;
    FILE *file = fopen(made, "w");
    assert_non_null(file);
    fputs("this is no video", file);
    fclose(file);
    refused(NULL, "no video");
    assert_int_equal(unlink(made), 0);
    assert_int_equal(symlink("/etc/passwd", made), 0);
    refused(NULL, "cannot be read");
}

/* What cannot be copied is taken as it is: its gaps are found in it. */
static void test_a_gap_is_found(void **unused)
{
    static struct record_report found;
    struct err err = {0};
    (void)unused;
    film(made, 51, 0, 4 * SECOND);
    found = (struct record_report){0};
    assert_int_equal(finish_check(made, NULL, &found, &err), 0);
    assert_int_equal(found.gap_count, 1);
    assert_true(llabs(report_gaps_us(&found) - 4 * SECOND) < 100000);
    assert_true(llabs(finish_length_us(&found) - 6 * SECOND) < 200000);
    assert_true(llabs(found.recorded_us - 2 * SECOND) < 200000);
}

static void test_cut_short(void **unused)
{
    static struct record_report report;
    static struct pieces pieces;
    char path[PATH_MAX];
    struct stat info;
    struct err err;
    (void)unused;
    piece(&pieces, 50, 0, 0);
    pieces_path(&pieces, &pieces.at[0], path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size / 2), 0);
    assert_int_equal(make(&pieces, &report, &err), 0); /* what is whole in it */
    assert_true(report.frames > 10 && report.frames < 40);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(make(&pieces, &report, &err), 1);
}

/* A worker was killed when its piece had nothing but its header; the next attempt came 9 s later. */
static void test_a_first_piece_without_frames(void **unused)
{
    static struct record_report report, found;
    static struct pieces pieces;
    char path[PATH_MAX];
    struct err err;
    (void)unused;
    piece(&pieces, 0, 0, 0);
    assert_int_equal(finish_only(&pieces), -1);
    pieces.at[pieces.count++] = (struct piece){.attempt = 2, .start_ms = 1009000};
    pieces_path(&pieces, &pieces.at[1], path);
    film(path, 100, 0, 0);
    assert_int_equal(finish_only(&pieces), 1);
    assert_int_equal(make(&pieces, &report, &err), 0);
    assert_int_equal(report.frames, 100);
    assert_int_equal(report.recorded_us, 4 * SECOND);
    assert_int_equal(report.gap_count, 1);
    assert_true(report.gaps[0].at_us == 0 && report.gaps[0].us == 9 * SECOND && report.gaps[0].cause == FAULT_STOPPED);
    found = (struct record_report){0};
    assert_int_equal(finish_check(made, &report, &found, &err), 0);
    pieces.at[pieces.count++] = (struct piece){.attempt = 3, .start_ms = 1020000};
    pieces_path(&pieces, &pieces.at[2], path);
    film(path, 1, 0, 0);
    assert_int_equal(finish_only(&pieces), -1); /* there are two */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_what_was_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_far_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_key_frame_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_video, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gap_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_first_piece_without_frames, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
