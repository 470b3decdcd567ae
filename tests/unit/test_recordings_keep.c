/* What is too much goes, the oldest first, and nothing else does. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/recordings_held.h"
#include "gateway/recordings_keep.h"

#define HOUR_MS UINT64_C(3600000)
#define NOW_MS (1000 * HOUR_MS)

static char root[UNIT_FOLDER_SIZE];
static struct recordings *recordings;
static struct recordings_gone gone;

static const char *path_of(const char *path)
{
    static char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    return whole;
}

static void set_time(const char *path, uint64_t hours_ago)
{
    const time_t at = (time_t)((NOW_MS - hours_ago * HOUR_MS) / 1000);
    const struct timespec times[2] = {{at, 0}, {at, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(path), times, 0), 0);
}

/* 100 bytes. */
static void make(const char *path, uint64_t hours_ago)
{
    FILE *file = fopen(path_of(path), "w");
    assert_non_null(file);
    fprintf(file, "%100d", 1);
    fclose(file);
    set_time(path, hours_ago);
}

static bool there(const char *path)
{
    return access(path_of(path), F_OK) == 0;
}

/* Three cycles, five videos; the newest of the videos is not in the newest folder. */
static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    const char *const folders[] = {"20250101_000000", "20250102_000000", "20250103_000000"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mkdir(path_of(folders[i]), 0755), 0);
    make("20250101_000000/a.mp4", 50);
    make("20250101_000000/b.mp4", 10);
    make("20250101_000000/report.txt", 50);
    make("20250102_000000/a.mp4", 40);
    make("20250102_000000/b.mp4", 40);
    make("20250102_000000/report.txt", 40);
    make("20250103_000000/a.mp4", 30);
    recordings = recordings_new();
    return recordings ? 0 : -1;
}

static int teardown(void **unused)
{
    (void)unused;
    recordings_free(recordings);
    unit_remove(root);
    return 0;
}

static void keep(struct recordings_limits limits)
{
    limits.now_ms = NOW_MS;
    if (!limits.before.len)
        limits.before = STR_LIT("20990101_000000");
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings_keep(recordings, &limits, &gone), 0);
    assert_int_equal(gone.cause, 0);
}

static void test_nothing_asked(void **unused)
{
    (void)unused;
    keep((struct recordings_limits){0});
    assert_int_equal(gone.files + gone.folders, 0);
}

static void test_age(void **unused)
{
    (void)unused;
    keep((struct recordings_limits){.keep_ms = 45 * HOUR_MS});
    assert_int_equal(gone.files, 1);
    assert_int_equal(gone.folders, 0);
    assert_false(there("20250101_000000/a.mp4"));
    assert_true(there("20250101_000000/b.mp4") && there("20250101_000000/report.txt"));
    keep((struct recordings_limits){.keep_ms = 40 * HOUR_MS});
    assert_int_equal(gone.files, 0); /* not yet */
    keep((struct recordings_limits){.keep_ms = 35 * HOUR_MS});
    assert_int_equal(gone.files, 2);
    assert_int_equal(gone.folders, 1);
    assert_false(there("20250102_000000"));
    assert_true(there("20250103_000000/a.mp4"));
}

/* A cycle of which nothing was recorded has reports only. */
static void test_age_of_reports(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20241231_000000"), 0755), 0);
    make("20241231_000000/report.txt", 60);
    set_time("20241231_000000", 60);
    keep((struct recordings_limits){.keep_ms = 70 * HOUR_MS});
    assert_int_equal(gone.folders, 0);
    keep((struct recordings_limits){.keep_ms = 55 * HOUR_MS});
    assert_int_equal(gone.files, 0);
    assert_int_equal(gone.folders, 1);
    assert_false(there("20241231_000000"));
}

/* A folder goes with its reports alone: what somebody else keeps there stays. */
static void test_what_is_no_recording(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20241231_000000"), 0755), 0);
    assert_int_equal(mkdir(path_of("20241231_000000/kept"), 0755), 0);
    make("20241231_000000/kept/clip.mp4", 1);
    make("20241231_000000/report.txt", 60);
    make("20241231_000000/rtsp_report.json", 60);
    set_time("20241231_000000", 60);
    keep((struct recordings_limits){.keep_ms = 55 * HOUR_MS, .report = "rtsp_report.json"});
    assert_int_equal(gone.folders, 0);
    assert_true(there("20241231_000000/kept/clip.mp4"));
    assert_false(there("20241231_000000/report.txt"));
    assert_false(there("20241231_000000/rtsp_report.json"));
}

static void test_size(void **unused)
{
    (void)unused;
    keep((struct recordings_limits){.keep_bytes = 500});
    assert_int_equal(gone.files, 0);
    keep((struct recordings_limits){.keep_bytes = 350});
    assert_int_equal(gone.files, 2);
    assert_int_equal(gone.bytes, 200);
    assert_true(!there("20250101_000000/a.mp4") && !there("20250102_000000/a.mp4"));
    assert_true(there("20250101_000000/b.mp4") && there("20250102_000000/b.mp4") && there("20250103_000000/a.mp4"));
}

static void test_free_room(void **unused)
{
    (void)unused;
    keep((struct recordings_limits){.lacking = 1});
    assert_int_equal(gone.files, 1);
    assert_false(there("20250101_000000/a.mp4"));
    keep((struct recordings_limits){.lacking = UINT64_MAX}); /* more than there is */
    assert_int_equal(gone.files, 4);
    assert_int_equal(gone.folders, 3);
}

/* From the cycle that is under way on nothing goes, but what is there counts. */
static void test_under_way(void **unused)
{
    (void)unused;
    keep((struct recordings_limits){.keep_ms = 1, .keep_bytes = 1, .lacking = UINT64_MAX, .before = STR_LIT("20250102_000000")});
    assert_int_equal(gone.files, 2);
    assert_int_equal(gone.folders, 1);
    assert_true(there("20250102_000000/a.mp4") && there("20250103_000000/a.mp4"));
    keep((struct recordings_limits){.keep_ms = 1, .before = STR_LIT("nothing")}); /* no name of a folder: nothing may go */
    assert_int_equal(gone.files + gone.folders, 0);
}

/* What is held stays, with its folder and reports, and counts. */
static void test_held(void **unused)
{
    (void)unused;
    assert_int_equal(recordings_hold(root, STR_LIT("20250101_000000"), STR_LIT("a.mp4"), true), 0);
    assert_int_equal(recordings_hold(root, STR_LIT("20250102_000000"), (struct str){0}, true), 0);
    keep((struct recordings_limits){.keep_bytes = 400});
    assert_int_equal(gone.files, 1);
    assert_true(there("20250101_000000/b.mp4")); /* the newest */
    assert_false(there("20250103_000000"));
    keep((struct recordings_limits){.keep_ms = 1, .keep_bytes = 1, .lacking = UINT64_MAX});
    assert_int_equal(gone.files, 1);
    assert_int_equal(gone.folders, 0);
    assert_true(there("20250101_000000/a.mp4") && there("20250101_000000/report.txt"));
    assert_true(there("20250102_000000/a.mp4") && there("20250102_000000/b.mp4"));
    assert_int_equal(recordings_hold(root, STR_LIT("20250102_000000"), (struct str){0}, false), 0);
    keep((struct recordings_limits){.lacking = UINT64_MAX});
    assert_int_equal(gone.files, 2);
    assert_false(there("20250102_000000"));
    assert_true(there("20250101_000000/a.mp4"));
}

/* A folder of reports alone that is held. */
static void test_held_reports(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20241231_000000"), 0755), 0);
    make("20241231_000000/report.txt", 60);
    assert_int_equal(recordings_hold(root, STR_LIT("20241231_000000"), (struct str){0}, true), 0);
    set_time("20241231_000000", 60);
    keep((struct recordings_limits){.keep_ms = 55 * HOUR_MS});
    assert_true(there("20241231_000000/report.txt"));
}

/* What is left of recordings that became no video goes in its turn, all of a run's at once; what is no piece is left and not counted. */
static void test_pieces(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20250101_000000/.gantry-rec-7"), 0755), 0);
    make("20250101_000000/.gantry-rec-7/1-1.mp4", 60);
    make("20250101_000000/.gantry-rec-7/2-5.mp4", 20);
    assert_int_equal(mkdir(path_of("20250101_000000/.gantry-rec-8"), 0755), 0);
    make("20250101_000000/.gantry-rec-8/other", 60);
    assert_int_equal(symlink(".gantry-rec-7", path_of("20250101_000000/.gantry-rec-9")), 0);
    keep((struct recordings_limits){.keep_bytes = 700});
    assert_int_equal(gone.files, 0);
    keep((struct recordings_limits){.keep_bytes = 600});
    assert_true(gone.files == 1 && !there("20250101_000000/a.mp4"));
    assert_int_equal(recordings_hold(root, STR_LIT("20250101_000000"), (struct str){0}, true), 0);
    keep((struct recordings_limits){.keep_ms = 15 * HOUR_MS});
    assert_true(gone.files == 3 && there("20250101_000000/.gantry-rec-7/1-1.mp4"));
    assert_int_equal(recordings_hold(root, STR_LIT("20250101_000000"), (struct str){0}, false), 0);
    keep((struct recordings_limits){.keep_ms = 15 * HOUR_MS});
    assert_true(gone.files == 1 && gone.bytes == 200 && gone.folders == 0);
    assert_false(there("20250101_000000/.gantry-rec-7"));
    assert_true(there("20250101_000000/b.mp4") && there("20250101_000000/.gantry-rec-8/other"));
}

/* A folder of pieces alone goes with them. */
static void test_pieces_alone(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20241231_000000"), 0755), 0);
    assert_int_equal(mkdir(path_of("20241231_000000/.gantry-rec-6"), 0755), 0);
    make("20241231_000000/.gantry-rec-6/1-1.mp4", 60);
    make("20241231_000000/report.txt", 60);
    set_time("20241231_000000", 60);
    keep((struct recordings_limits){.lacking = 1});
    assert_true(gone.files == 1 && gone.bytes == 100 && gone.folders == 1);
    assert_false(there("20241231_000000"));
}

/* One more piece; nothing came into any for that long. */
static void piece_add(unsigned number, time_t hours)
{
    const struct timespec times[2] = {{time(NULL) - hours * 3600, 0}, {time(NULL) - hours * 3600, 0}};
    char path[64];
    for (unsigned i = 1; i <= number; i++) {
        snprintf(path, sizeof path, "20250103_000000/.gantry-rec-6/%u-1.mp4", i);
        if (i == number)
            unit_write(path_of(path), "ten bytes.");
        assert_int_equal(utimensat(AT_FDCWD, path_of(path), times, 0), 0);
    }
}

static void pieces_are(uint64_t bytes)
{
    assert_int_equal(recordings_look(recordings, root), 0);
    const struct recording_folder *folder = recordings_find(recordings, STR_LIT("20250103_000000"));
    assert_int_equal(folder->piece_count, 1);
    assert_int_equal(folder->piece_bytes, bytes);
}

/* Those that may be written to yet are looked at again, though their folder does not change and their source was silent for long. */
static void test_pieces_grow(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(path_of("20250103_000000/.gantry-rec-6"), 0755), 0);
    set_time("20250103_000000", 60);
    for (unsigned i = 1; i <= 3; i++) {
        piece_add(i, 24);
        pieces_are(10 * i);
    }
    piece_add(4, 26); /* longer than any slot */
    pieces_are(40);
    piece_add(5, 26);
    pieces_are(40);
}

/* What takes long lets others in. */
static void test_in_turns(void **unused)
{
    (void)unused;
    for (unsigned left = 4; left > 0; left--) {
        keep((struct recordings_limits){.lacking = UINT64_MAX, .most = 1});
        assert_int_equal(gone.files, 1);
        assert_true(gone.more);
    }
    keep((struct recordings_limits){.lacking = UINT64_MAX, .most = 1});
    assert_true(gone.files == 1 && !gone.more);
    keep((struct recordings_limits){.lacking = UINT64_MAX, .most = 1});
    assert_true(gone.files == 0 && !gone.more);
}

struct told {
    char text[512];
};

static bool tell_file(void *self, const struct recording_folder *folder, const struct recording_file *file,
                      enum recordings_why why)
{
    struct told *told = self;
    size_t len = strlen(told->text);
    snprintf(told->text + len, sizeof told->text - len, "%.8s/%s %d, ", folder->name, file->name, why);
    return true;
}

static bool tell_folder(void *self, const struct recording_folder *folder, enum recordings_why why)
{
    struct told *told = self;
    size_t len = strlen(told->text);
    snprintf(told->text + len, sizeof told->text - len, "%.8s %d, ", folder->name, why);
    return true;
}

/* Who only wants to know is told in which order, and why, and all stays. */
static void test_choose(void **unused)
{
    struct told told = {""};
    const struct recordings_taker taker = {tell_file, tell_folder, &told};
    const struct recordings_limits limits = {
        .now_ms = NOW_MS, .keep_ms = 45 * HOUR_MS, .keep_bytes = 350, .lacking = 300, .before = STR_LIT("20990101_000000")};
    (void)unused;
    gone = (struct recordings_gone){0};
    assert_int_equal(recordings_look(recordings, root), 0);
    assert_int_equal(recordings_choose(recordings, &limits, &taker, &gone), 0);
    assert_string_equal(told.text, "20250101/a.mp4 1, 20250102/a.mp4 2, 20250102/b.mp4 3, 20250102 4, ");
    assert_true(gone.files == 3 && gone.bytes == 300 && gone.folders == 1);
    assert_true(there("20250101_000000/a.mp4") && there("20250102_000000/report.txt"));
}

static void test_lacking(void **unused)
{
    (void)unused;
    assert_int_equal(recordings_lacking(root, 0), 0);
    assert_int_equal(recordings_lacking(root, 1), 0);
    assert_true(recordings_lacking(root, UINT64_MAX) > UINT64_MAX / 2);
    assert_int_equal(recordings_lacking("/tmp/gantry-unit-none", 1), 0);
}

/* Its disk never shows what went: no more goes than was lacking at first, and nothing else until it had time to. */
static void test_room_shows_late(void **unused)
{
    struct recordings_room room = {0};
    (void)unused;
    recordings_room_begin(&room, root, UINT64_MAX, 1000);
    assert_true(room.lacking > UINT64_MAX / 2);
    room.lacking = 250;
    for (unsigned i = 0; i < 4; i++) {
        keep((struct recordings_limits){.lacking = room.lacking, .most = 1});
        recordings_room_went(&room, gone.bytes, 2000 + i);
        assert_int_equal(gone.files, i < 3);
        assert_int_equal(gone.more, i < 2);
    }
    assert_true(there("20250101_000000/b.mp4") && there("20250103_000000/a.mp4"));
    recordings_room_begin(&room, root, UINT64_MAX, 2002 + RECORDINGS_LATE_MS - 1);
    assert_int_equal(room.lacking, 0);
    recordings_room_went(&room, 100, 2002 + RECORDINGS_LATE_MS - 1); /* it was too old */
    recordings_room_begin(&room, root, UINT64_MAX, 2002 + RECORDINGS_LATE_MS);
    assert_int_not_equal(room.lacking, 0);
    recordings_room_went(&room, 0, 2002 + RECORDINGS_LATE_MS); /* nothing may go: it is measured again */
    recordings_room_begin(&room, root, 0, 2002 + RECORDINGS_LATE_MS);
    assert_int_equal(room.lacking, 0);
    recordings_room_begin(&room, root, UINT64_MAX, 2002 + RECORDINGS_LATE_MS);
    assert_int_not_equal(room.lacking, 0);
}

/* A link is nobody's recording. */
static void test_links(void **unused)
{
    (void)unused;
    make("outside.mp4", 99);
    char target[256];
    snprintf(target, sizeof target, "%s", path_of("outside.mp4"));
    assert_int_equal(symlink(target, path_of("20250103_000000/link.mp4")), 0);
    keep((struct recordings_limits){.lacking = UINT64_MAX});
    assert_true(there("outside.mp4"));
    assert_int_equal(gone.files, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age_of_reports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_recording, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_reports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choose, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lacking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_shows_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
