#include "worker/record/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static const struct {
    const char *word;
    int status;
} faults[] = {
    [FAULT_NONE] = {"none", 4},
    [FAULT_CONNECT] = {"connect", 5},
    [FAULT_AUTH] = {"auth", 5},
    [FAULT_NOTFOUND] = {"notfound", 9},
    [FAULT_READ] = {"read", 6},
    [FAULT_TIMEOUT] = {"timeout", 7},
    [FAULT_UNAVAILABLE] = {"unavailable", 9},
    [FAULT_DISK] = {"disk", 6},
    [FAULT_FULL] = {"disk_full", 6},
    [FAULT_UNMOUNTED] = {"unmounted", 6},
    [FAULT_OUTPUT] = {"output", 6},
    [FAULT_STOPPED] = {"stopped", 8},
};

const char *record_fault_word(enum record_fault fault)
{
    return faults[fault].word;
}

int record_fault_status(enum record_fault fault)
{
    return faults[fault].status;
}

void report_gap(struct record_report *report, int64_t at_us, int64_t us, enum record_fault cause)
{
    if (report->gap_count < REPORT_GAPS)
        report->gaps[report->gap_count] = (struct record_gap){at_us, us, cause};
    else
        report->gaps[REPORT_GAPS - 1].us += us; /* the sum stays right */
    report->gap_count++;
}

static unsigned gaps_kept(const struct record_report *report)
{
    return report->gap_count < REPORT_GAPS ? report->gap_count : REPORT_GAPS;
}

int64_t report_gaps_us(const struct record_report *report)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < gaps_kept(report); i++)
        sum += report->gaps[i].us;
    return sum;
}

/* Milliseconds are what these times are good for. */
static json_t *seconds(int64_t us)
{
    return json_real((double)((us + 500) / 1000) / 1000);
}

static json_t *gaps(const struct record_report *report)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < gaps_kept(report); i++) {
        const struct record_gap *gap = &report->gaps[i];
        const char *cause = gap->cause == FAULT_STOPPED ? "worker" : record_fault_word(gap->cause);
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:s}", "at", seconds(gap->at_us), "seconds", seconds(gap->us), "cause", cause));
    }
    return list;
}

static json_t *known(double number)
{
    return number < 0 ? json_null() : json_real((double)(int64_t)(number * 10 + 0.5) / 10);
}

static int dump(json_t *object, struct buf *out)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    int rc = text ? buf_text(out, text) : -1;
    free(text);
    json_decref(object);
    return rc;
}

int report_write(const struct record_report *report, struct buf *out)
{
    json_t *object = json_pack("{s:o, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:s}", "seconds",
                               seconds(report->recorded_us), "bytes", (json_int_t)report->bytes, "frames",
                               (json_int_t)report->frames, "audio_frames", (json_int_t)report->audio_frames, "gaps", gaps(report),
                               "reconnects", (json_int_t)report->reconnects, "lost_packets", (json_int_t)report->lost_packets,
                               "jitter_ms", known(report->jitter_ms), "first_frame_ms", known(report->first_frame_ms), "video",
                               report->video, "audio", report->audio, "width", (int)report->width, "height", (int)report->height,
                               "status", record_fault_status(report->fault), "error", report->error);
    return dump(object, out);
}

int report_progress(const struct record_report *report, int status, int64_t done_us, int64_t due_us, struct buf *out)
{
    double percent = due_us > 0 ? 100.0 * (double)done_us / (double)due_us : 0;
    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    buf_printf(out, "percent=%.1f\nnote={\"status\":%d,\"seconds\":%.1f,\"bytes\":%" PRIu64 ",\"frames\":%" PRIu64 "}\n", percent,
               status, (double)report->recorded_us / 1e6, report->bytes, report->frames);
    return out->failed ? -1 : 0;
}
