/* The recorder in the core, with two streams or none, and a worker that records. */
#ifndef GANTRY_TESTS_RECORD_FIXTURE_H
#define GANTRY_TESTS_RECORD_FIXTURE_H

#include "scheduler/farms/parameters.h"
#include "scheduler/farms/record/record.h"
#include "tests/unit/core_check.h"
#include "tests/unit/core_fixture.h"

#define FOLDER "/srv/output"
#define RECORDER 1 /* the peer that records */

struct farm *record_farm(void);

static inline struct fixture *farm_fixture(void)
{
    struct fixture *fixture = fixture_new();
    fixture->make_farm = record_farm;
    fixture_start(fixture);
    return fixture;
}

static inline struct rec_recorder_global global_of(int64_t total, int64_t lanes, int64_t cycles, int64_t interval)
{
    struct rec_recorder_global global = {.total_poll_duration_seconds = total,
                                         .max_concurrent_streams = lanes,
                                         .output_directory = STR_LIT("./output"),
                                         .report_filename = STR_LIT("rtsp_report.json"),
                                         .connection_timeout_seconds = 3,
                                         .read_timeout_seconds = 5,
                                         .poll_cycles = cycles,
                                         .cycle_interval_seconds = interval};
    SET_HAS(&global, rec_recorder_global, total_poll_duration_seconds);
    SET_HAS(&global, rec_recorder_global, max_concurrent_streams);
    SET_HAS(&global, rec_recorder_global, output_directory);
    SET_HAS(&global, rec_recorder_global, report_filename);
    SET_HAS(&global, rec_recorder_global, connection_timeout_seconds);
    SET_HAS(&global, rec_recorder_global, read_timeout_seconds);
    SET_HAS(&global, rec_recorder_global, poll_cycles);
    SET_HAS(&global, rec_recorder_global, cycle_interval_seconds);
    return global;
}

static inline struct rec_recorder_stream stream_of(const char *url, int64_t seconds, double weight, const char *output)
{
    struct rec_recorder_stream stream = {
        .rtsp_url = str_of(url), .duration_seconds = seconds, .weight = weight, .output_filename = str_of(output)};
    SET_HAS(&stream, rec_recorder_stream, duration_seconds);
    SET_HAS(&stream, rec_recorder_stream, weight);
    SET_HAS(&stream, rec_recorder_stream, output_filename);
    return stream;
}

static inline const struct msg *configure(struct fixture *fixture, enum recorder_verb verb,
                                          const struct rec_recorder_global *global, struct rec_recorder_stream *streams,
                                          uint32_t count, uint64_t index)
{
    struct msg_recorder_configure ask = {
        .idem = fixture_key(fixture), .verb = verb, .streams = {streams, count}, .index = index, .folder = STR_LIT(FOLDER)};
    if (global) {
        ask.global = *global;
        SET_HAS(&ask, msg_recorder_configure, global);
    }
    return fixture_ask(fixture, &shape_msg_recorder_configure, &ask);
}

/* Two streams as in the seed. */
static inline struct fixture *two_streams(int64_t total, int64_t lanes, int64_t cycles, int64_t interval)
{
    struct fixture *fixture = farm_fixture();
    struct rec_recorder_global global = global_of(total, lanes, cycles, interval);
    struct rec_recorder_stream streams[] = {stream_of("rtsp://u:secret@cam/1", 15, 1, "a.mp4"),
                                            stream_of("rtsp://cam/2", 20, 1.5, "b.mp4")};
    assert_int_equal(configure(fixture, RECORDER_IMPORT, &global, streams, 2, 0)->shape->id, MSG_RECORDER_CONFIGURED);
    return fixture;
}

static inline const struct msg *run(struct fixture *fixture, bool stop)
{
    struct msg_recorder_run ask = {.idem = fixture_key(fixture), .stop = stop};
    return fixture_ask(fixture, &shape_msg_recorder_run, &ask);
}

static inline struct msg_recorder_view view(struct fixture *fixture)
{
    const struct msg_recorder_ask ask = {0};
    return fixture_ask(fixture, &shape_msg_recorder_ask, &ask)->u.recorder_view;
}

static inline void comes_back(struct fixture *fixture, const struct rec_lease *leases, uint32_t count)
{
    struct str type = STR_LIT(RECORD_TYPE);
    struct msg_hello hello = {.protocol = 1,
                              .ident = STR_LIT("recorder"),
                              .boot = STR_LIT("b"),
                              .hostname = STR_LIT("host"),
                              .task_types = {&type, 1},
                              .executors = {&type, 1},
                              .slots = 8,
                              .credit = 8,
                              .running = {(struct rec_lease *)(uintptr_t)leases, count}};
    fixture_send(fixture, DOOR_WORKERS, RECORDER, ++fixture->corr, &shape_msg_hello, &hello);
    fixture_settle(fixture);
}

static inline void hello(struct fixture *fixture)
{
    comes_back(fixture, NULL, 0);
}

static inline void result(struct fixture *fixture, struct rec_lease lease, enum outcome outcome, const char *text)
{
    struct rec_outcome item = {.run_id = lease.run_id, .attempt = lease.attempt, .outcome = outcome};
    struct msg_result result = {.items = {&item, 1}};
    if (outcome == OUTCOME_COMPLETED) {
        item.result = str_of(text);
        SET_HAS(&item, rec_outcome, result);
    } else {
        item.error = str_of(text);
    }
    fixture_send(fixture, DOOR_WORKERS, RECORDER, 0, &shape_msg_result, &result);
    fixture_settle(fixture);
}

/* The next recording that is given out, when its time comes. */
static inline struct rec_lease begin_next(struct fixture *fixture)
{
    struct rec_lease lease = fixture_assigned(fixture, RECORDER);
    for (int i = 0; i < 100 && !lease.run_id; i++) {
        fixture_wait(fixture, 100);
        lease = fixture_assigned(fixture, RECORDER);
    }
    assert_int_not_equal(lease.run_id, 0);
    fixture_accept(fixture, RECORDER, lease);
    return lease;
}

static inline struct rec_recording stored(struct fixture *fixture, uint64_t id)
{
    struct rec_recording recording;
    assert_true(fixture_stored(fixture, TYPE_RECORDING, id, &recording));
    return recording;
}

#define WELL                                                                                                                     \
    "{\"seconds\":15.5,\"bytes\":1000,\"frames\":375,\"gaps\":[{\"at\":2,\"seconds\":1.25,\"cause\":\"read\"}],\"status\":4}"

static inline void refused(const struct msg *answer, uint64_t code, const char *rule, const char *field)
{
    assert_int_equal(answer->shape->id, MSG_ERROR);
    assert_int_equal(answer->u.error.code, code);
    assert_true(str_is(answer->u.error.rule, rule));
    if (field)
        assert_true(str_is(answer->u.error.field, field));
}

#endif
