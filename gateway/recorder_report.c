#include "gateway/recorder_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/put_at.h"
#include "gateway/recordings_pieces.h"
#include "gateway/surfaces/recorder.h"
#include "proto/file.h"
#include "proto/log.h"

#define ARENA ((size_t)8 << 20)

struct recorder_report {
    struct file_job job;
    char folder[4096]; /* of all recordings */
    char name[64];     /* of the cycle's */
    char file[256];    /* of the report in JSON */
    struct recorder_texts texts;
    struct recordings_done done_with; /* whose pieces may go */
    bool marked;
    int cause; /* errno */
    void (*done)(struct recorder_report *report, bool well, void *arg);
    void *arg;
};

/* ---- JSON ---- */

static void json_recording(struct writer *w, const struct rec_recording *one)
{
    writer_open(w, NULL, '{');
    writer_uint(w, "task_id", one->number);
    writer_uint(w, "stream_index", one->index);
    writer_uint(w, "stream_id", one->stream);
    recorder_url_write(w, "rtsp_url", one->rtsp_url, true);
    writer_text(w, "output_file", one->output);
    writer_uint(w, "status", one->status);
    writer_text(w, "status_text", str_of(text_of(recorder_status(one->status, true), LANG_ZH)));
    writer_real(w, "weight", one->weight);
    writer_uint(w, "start_offset", one->start);
    writer_uint(w, "wanted_seconds", one->wanted_seconds);
    writer_uint(w, "planned_seconds", one->seconds);
    writer_rounded(w, "recorded_seconds", one->recorded_seconds, 3);
    recorder_time_write(w, "start_time", one->started_at);
    recorder_time_write(w, "end_time", one->ended_at);
    writer_uint(w, "bytes_received", one->bytes);
    writer_uint(w, "frames_received", one->frames);
    writer_uint(w, "audio_frames", one->audio_frames);
    writer_uint(w, "reconnects", one->reconnects);
    writer_uint(w, "lost_packets", one->lost_packets);
    writer_rounded(w, "jitter_ms", one->jitter_ms, 3);
    writer_rounded(w, "first_frame_ms", one->first_frame_ms, 1);
    writer_text(w, "video", one->video);
    writer_text(w, "audio", one->audio);
    writer_uint(w, "width", one->width);
    writer_uint(w, "height", one->height);
    writer_text(w, "error_message", one->error);
    writer_open(w, "gaps", '[');
    for (uint32_t i = 0; i < one->gaps.count; i++) {
        writer_open(w, NULL, '{');
        writer_rounded(w, "at", one->gaps.items[i].at, 3);
        writer_rounded(w, "seconds", one->gaps.items[i].seconds, 3);
        writer_text(w, "cause", one->gaps.items[i].cause);
        writer_close(w, '}');
    }
    writer_close(w, ']');
    writer_close(w, '}');
}

static void json_open(struct writer *w, const struct rec_recorder_cycle *cycle)
{
    writer_open(w, NULL, '{');
    writer_text(w, "timestamp", cycle->name);
    writer_uint(w, "cycle", cycle->number);
    recorder_time_write(w, "start_time", cycle->started_at);
    recorder_time_write(w, "end_time", cycle->ended_at);
    writer_uint(w, "total_poll_duration_seconds", cycle->total_seconds);
    writer_uint(w, "max_concurrent_streams", cycle->lanes);
    writer_uint(w, "max_concurrent_used", cycle->most);
    writer_uint(w, "total_tasks", cycle->count);
    writer_uint(w, "completed_tasks", cycle->completed);
    writer_uint(w, "failed_tasks", cycle->failed);
    writer_uint(w, "cancelled_tasks", cycle->cancelled);
    writer_rounded(w, "completion_rate", cycle->count ? (double)cycle->completed / (double)cycle->count : 0, 4);
    writer_open(w, "streams", '[');
}

/* ---- for people ---- */

static void text_open(struct buf *out, const struct rec_recorder_cycle *cycle)
{
    char from[RECORDER_TIME], to[RECORDER_TIME];
    buf_printf(out, "RTSP 录制报告 %.*s\n", (int)cycle->name.len, cycle->name.ptr);
    buf_printf(out, "第 %llu 轮, %s - %s\n", (unsigned long long)cycle->number, recorder_time(cycle->started_at, from),
               recorder_time(cycle->ended_at, to));
    buf_printf(out, "任务 %llu: 完成 %llu, 失败 %llu, 取消 %llu; 最大并发 %llu\n", (unsigned long long)cycle->count,
               (unsigned long long)cycle->completed, (unsigned long long)cycle->failed, (unsigned long long)cycle->cancelled,
               (unsigned long long)cycle->most);
}

static void text_recording(struct buf *out, const struct rec_recording *one)
{
    buf_printf(out, "\n任务 %llu: %.*s\n", (unsigned long long)one->number, (int)one->output.len, one->output.ptr);
    buf_printf(out, "  状态: %s\n", text_of(recorder_status(one->status, true), LANG_ZH));
    buf_printf(out, "  计划: %llu秒开始, 持续 %llu秒 (配置 %llu秒)\n", (unsigned long long)one->start,
               (unsigned long long)one->seconds, (unsigned long long)one->wanted_seconds);
    buf_printf(out, "  录制: %.1f秒, %llu 字节, %llu 帧, 重连 %llu 次, 丢包 %llu\n", one->recorded_seconds,
               (unsigned long long)one->bytes, (unsigned long long)one->frames, (unsigned long long)one->reconnects,
               (unsigned long long)one->lost_packets);
    for (uint32_t i = 0; i < one->gaps.count; i++)
        buf_printf(out, "  中断: %.1f秒处, %.1f秒 (%.*s)\n", one->gaps.items[i].at, one->gaps.items[i].seconds,
                   (int)one->gaps.items[i].cause.len, one->gaps.items[i].cause.len ? one->gaps.items[i].cause.ptr : "");
    if (one->error.len)
        buf_printf(out, "  错误: %.*s\n", (int)one->error.len, one->error.ptr);
}

/* ---- a table ---- */

/* A text of others: in quotes, and none that a spreadsheet would take for a formula. */
static void cell(struct buf *out, struct str text)
{
    buf_text(out, "\"");
    if (text.len && strchr("=+-@\t\r", text.ptr[0]))
        buf_text(out, "'");
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_text(out, "\"");
        buf_add(out, &text.ptr[i], 1);
    }
    buf_text(out, "\"");
}

static void table_recording(struct buf *out, const struct rec_recording *one)
{
    char from[RECORDER_TIME], to[RECORDER_TIME];
    buf_printf(out, "%llu,%llu,", (unsigned long long)one->index, (unsigned long long)one->stream);
    cell(out, one->output);
    buf_printf(out, ",%llu,%llu,%llu,%.3f,%s,%s,%llu,%llu,%llu,%llu,%u,", (unsigned long long)one->status,
               (unsigned long long)one->wanted_seconds, (unsigned long long)one->seconds, one->recorded_seconds,
               recorder_time(one->started_at, from), recorder_time(one->ended_at, to), (unsigned long long)one->bytes,
               (unsigned long long)one->frames, (unsigned long long)one->reconnects, (unsigned long long)one->lost_packets,
               one->gaps.count);
    cell(out, one->error);
    buf_text(out, "\r\n");
}

/* ---- made ---- */

static int by_number(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Its video is there whole, or nobody wants it. What failed may have left something that nobody has put together. */
static void done_add(struct recordings_done *done, const struct rec_recording *one)
{
    if (one->run_id && (one->status == RECORDING_COMPLETED || one->status == RECORDING_CANCELLED))
        done->runs[done->count++] = one->run_id;
}

static int fill(struct recorder_report *report, const struct rec_recorder_cycle *cycle, const struct rec_row_list *rows)
{
    struct recorder_texts *texts = &report->texts;
    struct writer w = {.out = &texts->json};
    struct arena *arena = arena_new(ARENA);
    struct err err;
    struct recordings_done *done = &report->done_with;
    done->runs = calloc(rows->count ? rows->count : 1, sizeof *done->runs);
    bool well = arena != NULL && done->runs != NULL;
    json_open(&w, cycle);
    text_open(&texts->text, cycle);
    buf_text(&texts->table,
             "stream_index,stream_id,output_file,status,wanted_seconds,planned_seconds,recorded_seconds,start_time,end_time,"
             "bytes,frames,reconnects,lost_packets,gaps,error\r\n");
    for (uint32_t i = 0; i < rows->count && well; i++) {
        struct rec_recording one;
        arena_reset(arena);
        well = rec_decode_recording(arena, rows->items[i].value, &one, &err) == 0;
        if (!well)
            break;
        json_recording(&w, &one);
        text_recording(&texts->text, &one);
        table_recording(&texts->table, &one);
        done_add(done, &one);
    }
    if (done->count > 1)
        qsort(done->runs, done->count, sizeof *done->runs, by_number);
    writer_close(&w, ']');
    writer_close(&w, '}');
    buf_text(&texts->json, "\n");
    arena_free(arena);
    return well && !texts->json.failed && !texts->text.failed && !texts->table.failed ? 0 : -1;
}

struct recorder_report *recorder_report_new(const struct rec_recorder_cycle *cycle, bool marked,
                                            const struct rec_row_list *recordings)
{
    struct recorder_report *report = calloc(1, sizeof *report);
    if (!report)
        return NULL;
    report->marked = marked;
    if (!str_copy(report->folder, sizeof report->folder, cycle->folder) ||
        !str_copy(report->name, sizeof report->name, cycle->name) ||
        !str_copy(report->file, sizeof report->file, cycle->report_filename) || fill(report, cycle, recordings) != 0) {
        recorder_report_free(report);
        return NULL;
    }
    return report;
}

void recorder_report_free(struct recorder_report *report)
{
    if (!report)
        return;
    buf_free(&report->texts.json);
    buf_free(&report->texts.text);
    buf_free(&report->texts.table);
    free(report->done_with.runs);
    free(report);
}

const struct recorder_texts *recorder_report_texts(const struct recorder_report *report)
{
    return &report->texts;
}

/* ---- written ---- */

/* The cycle's folder, made where it is not there, unless its disk is not. -1 with errno. */
static int folder_open(const struct recorder_report *report, int root)
{
    if (report->marked && faccessat(root, RECORDER_MARKER, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        errno = ENODEV;
        return -1;
    }
    if (mkdirat(root, report->name, 0755) != 0 && errno != EEXIST)
        return -1;
    return openat(root, report->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void write_all(struct file_job *of)
{
    struct recorder_report *report = (struct recorder_report *)(void *)of;
    const struct recorder_texts *texts = &report->texts;
    int root = open(report->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    report->cause = errno;
    if (root < 0)
        return;
    int at = folder_open(report, root);
    report->cause = errno;
    if (at >= 0) {
        bool well = put_at(at, report->file, buf_str(&texts->json)) == 0 &&
                    put_at(at, "report.txt", buf_str(&texts->text)) == 0 &&
                    put_at(at, "streams.csv", buf_str(&texts->table)) == 0 && fsync(at) == 0 && fsync(root) == 0;
        report->cause = well ? 0 : errno;
        close(at);
    }
    close(root);
    /* The cycle is over: no attempt comes back for what one before it has left. What cannot be removed now goes with the folder. */
    if (report->cause == 0 && recordings_pieces_clear(report->folder, str_of(report->name), &report->done_with) != 0)
        log_warn("GTY-RECORDER-PIECES", "%s/%s: %s", report->folder, report->name, strerror(errno));
}

static void on_done(struct file_job *of)
{
    struct recorder_report *report = (struct recorder_report *)(void *)of;
    if (report->cause)
        log_warn("GTY-RECORDER-REPORT", "%s/%s: %s", report->folder, report->name, strerror(report->cause));
    report->done(report, report->cause == 0, report->arg);
    recorder_report_free(report);
}

void recorder_report_write(struct recorder_report *report, struct files *files,
                           void (*done)(struct recorder_report *report, bool well, void *arg), void *arg)
{
    report->done = done;
    report->arg = arg;
    report->job.work = write_all;
    report->job.done = on_done;
    files_do(files, &report->job);
}
