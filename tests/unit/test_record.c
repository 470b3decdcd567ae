/* The recorder in the core: its configuration, cycles through restarts, what recordings come to, and the ledger. */
#include "tests/unit/unit.h"

#include "tests/unit/record_fixture.h"

/* ---- configuration ---- */

static void test_config(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_stream stream = stream_of("rtsp://cam/3", 25, 1.8, "c.mp4");
    struct rec_recorder_global part = {0};
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, &stream, 1, 0), ERR_NOT_FOUND, "recorder_unloaded", NULL);
    refused(run(fixture, false), ERR_NOT_FOUND, "recorder_unloaded", NULL);
    assert_false(view(fixture).loaded);
    fixture_free(fixture);

    fixture = two_streams(60, 2, 3, 30);
    const struct msg *answer = configure(fixture, RECORDER_ADD_STREAM, NULL, &stream, 1, 0);
    assert_int_equal(answer->shape->id, MSG_RECORDER_CONFIGURED);
    assert_true(answer->u.recorder_configured.index == 2 &&
                str_is(answer->u.recorder_configured.stream.output_filename, "c.mp4"));
    part.max_concurrent_streams = 0;
    SET_HAS(&part, rec_recorder_global, max_concurrent_streams);
    refused(configure(fixture, RECORDER_SET_GLOBAL, &part, NULL, 0, 0), ERR_INVALID, "recorder_positive",
            "max_concurrent_streams");
    part.max_concurrent_streams = 7;
    assert_int_equal(
        configure(fixture, RECORDER_SET_GLOBAL, &part, NULL, 0, 0)->u.recorder_configured.global.max_concurrent_streams, 7);
    struct rec_recorder_stream change = {.weight = 4};
    SET_HAS(&change, rec_recorder_stream, weight);
    answer = configure(fixture, RECORDER_SET_STREAM, NULL, &change, 1, 0);
    assert_true(answer->u.recorder_configured.stream.weight == 4);
    assert_true(str_is(answer->u.recorder_configured.stream.rtsp_url, "rtsp://u:secret@cam/1"));
    refused(configure(fixture, RECORDER_SET_STREAM, NULL, &change, 1, 3), ERR_NOT_FOUND, "recorder_index", NULL);
    change.weight = 0;
    refused(configure(fixture, RECORDER_SET_STREAM, NULL, &change, 1, 0), ERR_INVALID, "recorder_stream_value",
            "streams[0].weight");
    const char *const bad[] = {"../c.mp4", "c/d.mp4", "c.avi", ".c.mp4", "", ".mp4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rec_recorder_stream other = stream_of("rtsp://cam/4", 5, 1, bad[i]);
        refused(configure(fixture, RECORDER_ADD_STREAM, NULL, &other, 1, 0), ERR_INVALID, "recorder_stream_value",
                "streams[3].output_filename");
    }
    struct rec_recorder_stream other = stream_of("http://cam/4", 5, 1, "d.mp4");
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, &other, 1, 0), ERR_INVALID, "recorder_stream_value",
            "streams[3].rtsp_url");
    other = stream_of("", 5, 1, "d.mp4");
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, &other, 1, 0), ERR_INVALID, "recorder_stream", NULL);
    fixture_rebuild(fixture);
    configure(fixture, RECORDER_IMPORT, &part, NULL, 0, 0); /* the live one stays */
    struct rec_recorder_config config;
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CONFIG, 1, &config));
    assert_true(config.streams.count == 3 && config.streams.items[2].id == 3 && config.global.max_concurrent_streams == 7);
    for (int i = 0; i < 2; i++)
        assert_int_equal(configure(fixture, RECORDER_REMOVE_STREAM, NULL, NULL, 0, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    refused(configure(fixture, RECORDER_REMOVE_STREAM, NULL, NULL, 0, 0), ERR_INVALID, "recorder_last", NULL);
    fixture_free(fixture);
}

/* A list that comes whole keeps the identity of the streams it still has; addresses shown masked are as they were. */
static void test_identity(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 3, 30);
    struct rec_recorder_global global = global_of(60, 2, 3, 30);
    struct rec_recorder_stream streams[] = {stream_of("rtsp://cam/2", 20, 1.5, "b.mp4"),
                                            stream_of("rtsp://***@cam/1", 9, 1, "a.mp4"),
                                            stream_of("rtsp://cam/9", 9, 1, "b.mp4")};
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, streams, 3, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    struct rec_recorder_config config;
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CONFIG, 1, &config));
    assert_true(config.streams.items[0].id == 2 && config.streams.items[1].id == 1 && config.streams.items[2].id == 3);
    assert_true(str_is(config.streams.items[1].rtsp_url, "rtsp://u:secret@cam/1"));
    refused(configure(fixture, RECORDER_REPLACE, &global, NULL, 0, 0), ERR_INVALID, "recorder_last", NULL);
    fixture_free(fixture);
}

/* Addresses that are shown alike are told apart by their files. */
static void test_shown_alike(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 3, 30);
    struct rec_recorder_global global = global_of(60, 2, 3, 30);
    struct rec_recorder_stream streams[] = {stream_of("rtsp://u:one@cam/1", 9, 1, "a.mp4"),
                                            stream_of("rtsp://u:two@cam/1", 9, 1, "b.mp4")};
    struct rec_recorder_config config;
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, streams, 2, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    streams[0].rtsp_url = streams[1].rtsp_url = STR_LIT("rtsp://***@cam/1");
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, streams, 2, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CONFIG, 1, &config));
    assert_true(str_is(config.streams.items[0].rtsp_url, "rtsp://u:one@cam/1"));
    assert_true(str_is(config.streams.items[1].rtsp_url, "rtsp://u:two@cam/1"));
    fixture_free(fixture);
}

/* A password among the parameters is as one before the host. */
static void test_shown_in_parameters(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 3, 30);
    struct rec_recorder_global global = global_of(60, 2, 3, 30);
    struct rec_recorder_stream streams[] = {stream_of("rtsp://cam/1?user=u&password=one", 9, 1, "a.mp4"),
                                            stream_of("rtsp://cam/1?user=u&password=two", 9, 1, "b.mp4")};
    struct rec_recorder_config config;
    char many[2049] = "rtsp://cam/1?";
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, streams, 2, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    streams[0].rtsp_url = streams[1].rtsp_url = STR_LIT("rtsp://cam/1?user=u&password=***");
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, streams, 2, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CONFIG, 1, &config));
    assert_true(str_is(config.streams.items[0].rtsp_url, "rtsp://cam/1?user=u&password=one"));
    assert_true(str_is(config.streams.items[1].rtsp_url, "rtsp://cam/1?user=u&password=two"));
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, streams, 1, 0), ERR_INVALID, "recorder_masked", "rtsp_url");
    streams[0].rtsp_url = STR_LIT("rtsp://cam/2?user=u&password=***");
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, streams, 1, 0), ERR_INVALID, "recorder_stream_value", "rtsp_url");
    while (strlen(many) + 6 < sizeof many) /* masked it would be too long to be shown */
        strcat(many, "pwd=1&");
    streams[0].rtsp_url = str_of(many);
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, streams, 1, 0), ERR_INVALID, "recorder_stream_value",
            "streams[2].rtsp_url");
    fixture_free(fixture);
}

/* Where that leaves a choice nobody is given the password of another. */
static void test_shown_and_moved(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 3, 30);
    struct rec_recorder_global global = global_of(60, 2, 3, 30);
    struct rec_recorder_stream real[] = {stream_of("rtsp://u:one@cam/1", 9, 1, "a.mp4"),
                                         stream_of("rtsp://u:two@cam/1", 9, 1, "b.mp4"),
                                         stream_of("rtsp://u:three@cam/1", 9, 1, "b.mp4")};
    struct rec_recorder_stream shown[] = {stream_of("rtsp://***@cam/1", 9, 1, "b.mp4"),
                                          stream_of("rtsp://***@cam/1", 9, 1, "new.mp4"),
                                          stream_of("rtsp://***@cam/1", 9, 1, "b.mp4")};
    struct rec_recorder_stream one = {.rtsp_url = STR_LIT("rtsp://***@cam/1"), .weight = 2};
    struct rec_recorder_config config;
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, real, 3, 0)->shape->id, MSG_RECORDER_CONFIGURED);

    SET_HAS(&one, rec_recorder_stream, weight); /* told of alone it is that of its index */
    assert_true(str_is(configure(fixture, RECORDER_SET_STREAM, NULL, &one, 1, 1)->u.recorder_configured.stream.rtsp_url,
                       "rtsp://u:two@cam/1"));
    refused(configure(fixture, RECORDER_ADD_STREAM, NULL, shown, 1, 0), ERR_INVALID, "recorder_masked", "rtsp_url");
    refused(configure(fixture, RECORDER_REPLACE, &global, shown, 1, 0), ERR_INVALID, "recorder_masked",
            "rtsp_url"); /* which b? */
    /* Moved, and one of them by another name, which only the first can be. */
    assert_int_equal(configure(fixture, RECORDER_REPLACE, &global, shown, 3, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CONFIG, 1, &config));
    assert_true(str_is(config.streams.items[0].rtsp_url, "rtsp://u:two@cam/1"));
    assert_true(str_is(config.streams.items[1].rtsp_url, "rtsp://u:one@cam/1"));
    assert_true(str_is(config.streams.items[2].rtsp_url, "rtsp://u:three@cam/1"));
    shown[0].output_filename = STR_LIT("x.mp4");
    shown[1].output_filename = STR_LIT("y.mp4");
    refused(configure(fixture, RECORDER_REPLACE, &global, shown, 3, 0), ERR_INVALID, "recorder_masked", "rtsp_url");
    shown[0].rtsp_url = STR_LIT("rtsp://***@cam/other");
    refused(configure(fixture, RECORDER_REPLACE, &global, shown, 3, 0), ERR_INVALID, "recorder_stream_value", "rtsp_url");
    fixture_free(fixture);
}

/* ---- cycles ---- */

static void test_cycle(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 2, 30);
    struct rec_recorder_cycle cycle;
    struct rec_recorder_day day;
    hello(fixture);
    assert_true(run(fixture, false)->u.recorder_view.state.running);
    refused(run(fixture, false), ERR_CONFLICT, "recorder_running", NULL);
    fixture_wait(fixture, 1);
    struct rec_lease a = fixture_begin(fixture, RECORDER), b = fixture_begin(fixture, RECORDER);
    assert_true(stored(fixture, 1).run_id == a.run_id && stored(fixture, 2).run_id == b.run_id);
    struct rec_run record;
    assert_true(fixture_run(fixture, a.run_id, &record));
    struct str output;
    assert_true(map_text(record.parameters, STR_LIT("output"), &output));
    assert_true(output.len > 20 && memcmp(output.ptr, FOLDER "/", sizeof FOLDER) == 0);
    struct msg_recorder_view seen = view(fixture);
    assert_true(seen.recordings.count == 2 && str_is(seen.recordings.items[0].rtsp_url, "rtsp://***@cam/1"));
    assert_int_equal(seen.recordings.items[0].status, RECORDING_CONNECTING);
    fixture_rebuild(fixture);
    const struct rec_lease held[] = {a, b};
    comes_back(fixture, held, 2);
    result(fixture, a, OUTCOME_COMPLETED, WELL);
    struct rec_recording first = stored(fixture, 1);
    assert_int_equal(first.status, RECORDING_COMPLETED);
    assert_true(first.frames == 375 && first.bytes == 1000 && first.gaps.count == 1 && str_is(first.gaps.items[0].cause, "read"));
    assert_true(view(fixture).state.cycle == 1);
    result(fixture, b, OUTCOME_FAILED, "auth: 401 Unauthorized");
    assert_int_equal(stored(fixture, 2).status, RECORDING_CONNECT_ERROR);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CYCLE, 1, &cycle)); /* over with the last of them */
    assert_true(cycle.ended_at && cycle.unreported == 1 && cycle.completed == 1 && cycle.failed == 1 && cycle.most == 2);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DAY, 1, &day));
    assert_true(day.stream == 1 && day.due_seconds == 15 && day.recorded_ms == 15500 && day.gap_ms == 1250 && day.completed == 1);
    struct msg_recorder_reported told = {.known = cycle};
    fixture_ask(fixture, &shape_msg_recorder_reported, &told);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_CYCLE, 1, &cycle) && !cycle.unreported);
    fixture_rebuild(fixture);
    hello(fixture);
    fixture_wait(fixture, 29000);
    assert_int_equal(fixture_assigned(fixture, RECORDER).run_id, 0); /* not before its interval */
    fixture_heartbeat(fixture, RECORDER, NULL, 0);
    fixture_wait(fixture, 2000);
    a = fixture_begin(fixture, RECORDER), b = fixture_begin(fixture, RECORDER);
    assert_int_equal(stored(fixture, 3).cycle, 2);
    result(fixture, a, OUTCOME_COMPLETED, WELL);
    result(fixture, b, OUTCOME_COMPLETED, "not an object");
    seen = view(fixture);
    assert_true(!seen.state.running && seen.state.ended_at && seen.cycle.completed == 2); /* poll_cycles */
    fixture_wait(fixture, 120000);
    assert_int_equal(view(fixture).cycle.id, 2);
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DAY, 1, &day));
    assert_true(day.due_seconds == 30 && day.recorded_ms == 31000 && day.completed == 2);
    fixture_free(fixture);
}

/* One at a time: the second when the first is over; what is late is cut, and what has no time left is cancelled. */
static void test_one_lane(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(36, 1, 1, 0);
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1);
    struct rec_lease b = fixture_begin(fixture, RECORDER);
    assert_int_equal(stored(fixture, 2).run_id, b.run_id); /* the heavier */
    for (int i = 0; i < 25; i++) {
        fixture_wait(fixture, 1000);
        fixture_heartbeat(fixture, RECORDER, &b, 1);
    }
    assert_int_equal(fixture_assigned(fixture, RECORDER).run_id, 0); /* its slot has come, and the lane is not free */
    result(fixture, b, OUTCOME_COMPLETED, WELL);
    fixture_wait(fixture, 200);
    struct rec_lease a = fixture_begin(fixture, RECORDER);
    assert_true(stored(fixture, 1).run_id == a.run_id && stored(fixture, 1).seconds < 15);
    result(fixture, a, OUTCOME_COMPLETED, WELL);
    assert_int_equal(view(fixture).cycle.most, 1);
    fixture_free(fixture);
}

static void test_does_not_fit(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(1, 1, 1, 0);
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1);
    struct rec_recording left = stored(fixture, 1);
    assert_int_equal(left.status, RECORDING_CANCELLED);
    assert_true(left.error.len > 0 && left.seconds == 0);
    result(fixture, fixture_begin(fixture, RECORDER), OUTCOME_COMPLETED, WELL);
    struct msg_recorder_view seen = view(fixture);
    assert_true(seen.cycle.cancelled == 1 && seen.cycle.completed == 1 && seen.cycle.ended_at);
    fixture_free(fixture);
}

/* Nobody records: each slot is told as unavailable when it is over, and the cycle ends. */
static void test_no_worker(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 1, 0);
    run(fixture, false);
    fixture_wait(fixture, 16000);
    assert_int_equal(stored(fixture, 1).status, RECORDING_UNAVAILABLE);
    assert_int_equal(stored(fixture, 2).status, RECORDING_IDLE);
    fixture_wait(fixture, 6000);
    assert_int_equal(stored(fixture, 2).status, RECORDING_UNAVAILABLE);
    assert_true(view(fixture).cycle.failed == 2 && !view(fixture).state.running);
    fixture_free(fixture);
}

/* Its worker is silent, until the run is taken from it. */
static void loses_worker(struct fixture *fixture, uint64_t run_id)
{
    struct rec_run record = {0};
    for (int i = 0; i < 600; i++, fixture_wait(fixture, 1000))
        if (fixture_run(fixture, run_id, &record) && record.status != RUN_RUNNING)
            break;
    assert_int_equal(record.status, RUN_PENDING);
}

/* What was recorded is there to be saved however long nobody could give it out: a minute begins when it is seen to have no worker. */
static void test_long_outage(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, 1, 0);
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1);
    struct rec_lease a = fixture_begin(fixture, RECORDER), b = fixture_begin(fixture, RECORDER);
    fixture_jump(fixture, 3600000);
    fixture_rebuild(fixture);
    loses_worker(fixture, a.run_id);
    fixture_wait(fixture, 50000);
    assert_int_equal(stored(fixture, 1).status, RECORDING_IDLE);
    fixture_jump(fixture, 3600000); /* again, while it has none */
    fixture_rebuild(fixture);
    fixture_wait(fixture, 50000);
    hello(fixture);
    struct rec_lease again = fixture_begin(fixture, RECORDER), other = fixture_begin(fixture, RECORDER);
    assert_true(again.run_id == a.run_id && again.attempt == 2 && other.run_id == b.run_id && other.attempt == 2);
    result(fixture, again, OUTCOME_COMPLETED, WELL);
    assert_int_equal(stored(fixture, 1).status, RECORDING_COMPLETED);
    loses_worker(fixture, b.run_id);
    fixture_wait(fixture, 50000);
    assert_int_equal(stored(fixture, 2).status, RECORDING_IDLE); /* the minute is that of this loss */
    fixture_wait(fixture, 12000);
    assert_int_equal(stored(fixture, 2).status, RECORDING_READ_ERROR);
    fixture_free(fixture);
}

static void test_stop(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 1, -1, 0);
    hello(fixture);
    assert_false(run(fixture, true)->u.recorder_view.state.running); /* idle: as it is */
    run(fixture, false);
    fixture_wait(fixture, 1);
    struct rec_lease b = fixture_begin(fixture, RECORDER);
    assert_false(run(fixture, true)->u.recorder_view.state.running);
    fixture_rebuild(fixture);
    comes_back(fixture, &b, 1);
    fixture_wait(fixture, 300);
    assert_int_equal(stored(fixture, 1).status, RECORDING_CANCELLED);
    assert_int_equal(stored(fixture, 2).status, RECORDING_CANCELLED);
    struct msg_recorder_view seen = view(fixture);
    assert_true(seen.cycle.cancelled == 2 && seen.cycle.ended_at && seen.state.cycle == 0);
    fixture_wait(fixture, 60000);
    assert_int_equal(view(fixture).cycle.id, 1);
    fixture_free(fixture);
}

/* It waits for what is being cancelled, and not for an interval. */
static void test_start_during_stop(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(60, 2, -1, 3600);
    hello(fixture);
    run(fixture, false);
    fixture_wait(fixture, 1);
    fixture_begin(fixture, RECORDER);
    run(fixture, true);
    assert_true(run(fixture, false)->u.recorder_view.state.running);
    fixture_wait(fixture, 2000);
    struct msg_recorder_view seen = view(fixture);
    assert_true(seen.state.running && !seen.state.stopping && seen.state.cycle == 2 && seen.cycle.number == 1);
    fixture_free(fixture);
}

/* ---- the ledger ---- */

static void adds_up(struct fixture *fixture, uint64_t id, uint64_t due, uint64_t recorded, uint64_t gaps, uint64_t lost,
                    uint64_t extra, uint64_t unplanned)
{
    struct rec_recorder_day day;
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DAY, id, &day));
    assert_true(due * 1000 + extra == recorded + gaps + lost + unplanned * 1000);
    assert_int_equal(day.due_seconds, due);
    assert_int_equal(day.recorded_ms, recorded);
    assert_int_equal(day.gap_ms, gaps);
    assert_int_equal(day.lost_ms, lost);
    assert_int_equal(day.extra_ms, extra);
    assert_int_equal(day.unplanned_seconds, unplanned);
}

static void gap_is(struct fixture *fixture, uint64_t recording, uint32_t count, double at, double seconds, const char *cause)
{
    struct rec_recorder_gaps gaps;
    assert_true(fixture_stored(fixture, TYPE_RECORDER_GAPS, recording, &gaps));
    assert_int_equal(gaps.gaps.count, count);
    const struct rec_recording_gap *last = &gaps.gaps.items[count - 1];
    assert_true(last->at > at - 0.0005 && last->at < at + 0.0005 && last->seconds > seconds - 0.0005 &&
                last->seconds < seconds + 0.0005);
    assert_true(str_is(last->cause, cause));
    assert_true(gaps.cycle.len == 15 && gaps.started_at && gaps.day >= 20000101);
}

/* Of a slot each millisecond is recorded, in a gap, or lost, for a reason. */
static void test_missing(void **unused)
{
    static const struct {
        enum outcome outcome;
        const char *text, *cause;
        uint64_t recorded, gaps, lost, extra;
        double at, seconds;
        uint32_t count;
    } cases[] = {{OUTCOME_COMPLETED, WELL, "read", 15500, 1250, 0, 1750, 2, 1.25, 1},
                 {OUTCOME_COMPLETED, "{\"seconds\":14.96}", NULL, 14960, 0, 40, 0, 0, 0, 0},
                 {OUTCOME_COMPLETED, "{\"seconds\":4.5,\"status\":6,\"error\":\"timeout: silent\"}", "timeout", 4500, 0, 10500, 0,
                  4.5, 10.5, 1},
                 {OUTCOME_COMPLETED, "{\"seconds\":4,\"gaps\":[{\"at\":1,\"seconds\":2.5,\"cause\":\"worker\"}]}", "short", 4000,
                  2500, 8500, 0, 6.5, 8.5, 2},
                 {OUTCOME_FAILED, "connect: refused", "connect", 0, 0, 15000, 0, 0, 15, 1},
                 {OUTCOME_FAILED, "who knows", "read", 0, 0, 15000, 0, 0, 15, 1},
                 {OUTCOME_TIMEOUT, "it took too long", "timeout", 0, 0, 15000, 0, 0, 15, 1}};
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_global global = global_of(60, 1, -1, 1);
    struct rec_recorder_stream stream = stream_of("rtsp://cam/1", 15, 1, "a.mp4");
    struct rec_recorder_gaps none;
    uint64_t due = 0, recorded = 0, gaps = 0, lost = 0, extra = 0;
    configure(fixture, RECORDER_IMPORT, &global, &stream, 1, 0);
    hello(fixture);
    run(fixture, false);
    for (uint64_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        result(fixture, begin_next(fixture), cases[i].outcome, cases[i].text);
        due += 15;
        recorded += cases[i].recorded;
        gaps += cases[i].gaps;
        lost += cases[i].lost;
        extra += cases[i].extra;
        if (cases[i].count)
            gap_is(fixture, i + 1, cases[i].count, cases[i].at, cases[i].seconds, cases[i].cause);
        else
            assert_false(fixture_stored(fixture, TYPE_RECORDER_GAPS, i + 1, &none));
        fixture_rebuild(fixture);
        hello(fixture);
    }
    adds_up(fixture, 1, due, recorded, gaps, lost, extra, 0);
    begin_next(fixture);
    run(fixture, true);
    fixture_wait(fixture, 300);
    gap_is(fixture, sizeof cases / sizeof *cases + 1, 1, 0, 15, "stopped");
    adds_up(fixture, 1, due + 15, recorded, gaps, lost + 15000, extra, 0);
    fixture_free(fixture);
}

/* More gaps than are kept: the last of them has the seconds of all behind it. */
static void test_many_gaps(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_global global = global_of(600, 1, -1, 1);
    struct rec_recorder_stream stream = stream_of("rtsp://cam/1", 300, 1, "a.mp4");
    struct buf text = {0};
    configure(fixture, RECORDER_IMPORT, &global, &stream, 1, 0);
    hello(fixture);
    run(fixture, false);
    buf_text(&text, "{\"seconds\":150,\"gaps\":[");
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "%s{\"at\":%d,\"seconds\":1.5,\"cause\":\"read\"}", i ? "," : "", 3 * i);
    buf_text(&text, "]}");
    assert_int_equal(buf_add(&text, "", 1), 0);
    result(fixture, begin_next(fixture), OUTCOME_COMPLETED, text.data);
    assert_int_equal(stored(fixture, 1).gaps.count, 64);
    gap_is(fixture, 1, 64, 3 * 63, 1.5 * 37, "read");
    adds_up(fixture, 1, 300, 150000, 150000, 0, 0, 0);
    buf_free(&text);
    fixture_free(fixture);
}

/* What had no room is due, and not lost. */
static void test_unplanned(void **unused)
{
    (void)unused;
    struct fixture *fixture = two_streams(10, 2, 1, 0);
    hello(fixture);
    run(fixture, false);
    for (int i = 0; i < 2; i++)
        result(fixture, begin_next(fixture), OUTCOME_COMPLETED, "{\"seconds\":5}");
    uint64_t unplanned = 0;
    for (uint64_t id = 1; id <= 2; id++) {
        struct rec_recorder_day day;
        assert_true(fixture_stored(fixture, TYPE_RECORDER_DAY, id, &day));
        assert_true(day.due_seconds * 1000 + day.extra_ms ==
                    day.recorded_ms + day.gap_ms + day.lost_ms + day.unplanned_seconds * 1000);
        unplanned += day.unplanned_seconds;
    }
    assert_int_equal(unplanned, 15);
    fixture_free(fixture);
}

/* Each kind of end, as the seed numbers it. */
static void test_statuses(void **unused)
{
    static const struct {
        enum outcome outcome;
        const char *text;
        unsigned status;
    } cases[] = {{OUTCOME_COMPLETED, WELL, 4},
                 {OUTCOME_COMPLETED, "{\"seconds\":3,\"status\":6,\"error\":\"it broke off\"}", 6},
                 {OUTCOME_COMPLETED, "{\"status\":44}", 4},
                 {OUTCOME_FAILED, "connect: refused", 5},
                 {OUTCOME_FAILED, "auth: 401", 5},
                 {OUTCOME_FAILED, "read: reset", 6},
                 {OUTCOME_FAILED, "disk: full", 6},
                 {OUTCOME_FAILED, "timeout: no packet for 5 s", 7},
                 {OUTCOME_TIMEOUT, "it took too long", 7},
                 {OUTCOME_FAILED, "notfound: 404", 9},
                 {OUTCOME_FAILED, "unavailable: no media", 9}};
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_global global = global_of(60, 1, -1, 1);
    struct rec_recorder_stream stream = stream_of("rtsp://cam/1", 15, 1, "a.mp4");
    configure(fixture, RECORDER_IMPORT, &global, &stream, 1, 0);
    hello(fixture);
    run(fixture, false);
    for (uint64_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        result(fixture, begin_next(fixture), cases[i].outcome, cases[i].text);
        assert_int_equal(stored(fixture, i + 1).status, cases[i].status);
    }
    fixture_free(fixture);
}

/* ---- names, and what is kept ---- */

/* Streams may share a name: the later one's file gets a number that nobody has. */
static void test_names(void **unused)
{
    (void)unused;
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_global global = global_of(60, 9, 1, 1);
    struct rec_recorder_stream streams[] = {stream_of("rtsp://c/1", 5, 1, "a.mp4"), stream_of("rtsp://c/2", 5, 1, "a.mp4"),
                                            stream_of("rtsp://c/3", 5, 1, "a_2.mp4"), stream_of("rtsp://c/4", 5, 1, "a.mp4")};
    configure(fixture, RECORDER_IMPORT, &global, streams, 4, 0);
    run(fixture, false);
    fixture_wait(fixture, 1);
    const char *const names[] = {"a.mp4", "a_3.mp4", "a_2.mp4", "a_4.mp4"};
    for (uint64_t i = 0; i < 4; i++)
        assert_true(str_is(stored(fixture, i + 1).output, names[i]));
    fixture_free(fixture);
}

/* Old cycles go with their recordings; the sums of their days stay. */
static void farm_small(struct farm *farm)
{
    struct recorder *self = farm->self;
    self->cycles_max = 2;
}

static void test_prune(void **unused)
{
    (void)unused;
    struct fixture *fixture = fixture_new();
    fixture->make_farm = record_farm;
    fixture->farm_made = farm_small;
    fixture_start(fixture);
    struct rec_recorder_global global = global_of(60, 1, 4, 1);
    struct rec_recorder_stream stream = stream_of("rtsp://cam/1", 15, 1, "a.mp4");
    struct rec_recording gone;
    struct rec_recorder_gaps gaps;
    struct rec_recorder_day day;
    configure(fixture, RECORDER_IMPORT, &global, &stream, 1, 0);
    hello(fixture);
    run(fixture, false);
    for (int i = 0; i < 4; i++) {
        result(fixture, begin_next(fixture), OUTCOME_COMPLETED, WELL);
        fixture_rebuild(fixture);
        hello(fixture);
    }
    fixture_wait(fixture, 10);
    assert_false(fixture_stored(fixture, TYPE_RECORDING, 1, &gone));
    assert_false(fixture_stored(fixture, TYPE_RECORDING, 2, &gone));
    assert_true(fixture_stored(fixture, TYPE_RECORDING, 3, &gone));
    assert_false(fixture_stored(fixture, TYPE_RECORDER_GAPS, 2, &gaps)); /* go with them */
    assert_true(fixture_stored(fixture, TYPE_RECORDER_GAPS, 3, &gaps));
    assert_true(fixture_stored(fixture, TYPE_RECORDER_DAY, 1, &day) && day.completed == 4 && day.due_seconds == 60);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_shown_alike),
        cmocka_unit_test(test_shown_in_parameters),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_one_lane),
        cmocka_unit_test(test_does_not_fit),
        cmocka_unit_test(test_no_worker),
        cmocka_unit_test(test_long_outage),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_shown_and_moved),
        cmocka_unit_test(test_start_during_stop),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_many_gaps),
        cmocka_unit_test(test_unplanned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
