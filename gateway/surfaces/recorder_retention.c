/* /retention: what would go now, and why; nothing does. */
#include <errno.h>
#include <stdio.h>

#include "gateway/gateway.h"
#include "gateway/recordings_keep.h"
#include "gateway/surfaces/recorder.h"
#include "proto/clock.h"
#include "proto/settings_table.h"

/* ---- the rules ---- */

/* Those of the settings, or what is asked for in their place. -1 with problem. */
static int rules_read(const struct request *request, struct recorder_rules *rules, struct problem *problem)
{
    const struct {
        const char *name;
        int setting;
        uint64_t *value;
    } given[] = {{"keep_days", SET_RECORDER_KEEP_DAYS, &rules->days},
                 {"keep_gb", SET_RECORDER_KEEP_GB, &rules->gb},
                 {"free_gb", SET_RECORDER_FREE_GB, &rules->free_gb}};
    recorder_keep_rules(request->gateway->settings, rules);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        const struct setting *setting = &settings_table[given[i].setting];
        struct str text = {0};
        int64_t number = 0;
        int fault = 0;
        bool there = request_param(request, given[i].name, &text, problem, &fault);
        if (there && !fault && (!setting_decimal(text, &number) || number > setting->high * 1000))
            fault = problem_value(problem, PROBLEM_BAD_REQUEST, given[i].name, "range", text,
                                  "0..%lld, with up to three decimals", (long long)setting->high);
        if (fault)
            return -1;
        if (there)
            *given[i].value = (uint64_t)number;
    }
    return 0;
}

void recorder_rules_write(struct writer *w, const char *key, const struct recorder_rules *rules)
{
    if (key)
        writer_open(w, key, '{');
    writer_real(w, "keep_days", (double)rules->days / 1000);
    writer_real(w, "keep_gb", (double)rules->gb / 1000);
    writer_real(w, "free_gb", (double)rules->free_gb / 1000);
    writer_bool(w, "active", rules->days || rules->gb || rules->free_gb);
    if (key)
        writer_close(w, '}');
}

/* ---- written in the helper thread ---- */

struct sum {
    uint64_t count, bytes;
};

struct showing {
    struct writer w;
    struct str directory;
    struct sum by[RECORDINGS_EMPTY];
    bool folders; /* the list of videos is complete, and that of folders begun */
};

static const char *const reasons[] = {
    [RECORDINGS_OLD] = "age", [RECORDINGS_MUCH] = "size", [RECORDINGS_ROOM] = "free_space", [RECORDINGS_EMPTY] = "empty"};

static bool show_file(void *self, const struct recording_folder *folder, const struct recording_file *file,
                      enum recordings_why why)
{
    struct showing *showing = self;
    recorder_video_begin(&showing->w, showing->directory, folder, file);
    writer_text(&showing->w, "reason", str_of(reasons[why]));
    writer_close(&showing->w, '}');
    showing->by[why].count++;
    showing->by[why].bytes += file->size;
    return true;
}

static void begin_folders(struct showing *showing)
{
    if (showing->folders)
        return;
    writer_close(&showing->w, ']');
    writer_open(&showing->w, "timestamps", '[');
    showing->folders = true;
}

static bool show_folder(void *self, const struct recording_folder *folder, enum recordings_why why)
{
    struct showing *showing = self;
    begin_folders(showing);
    writer_open(&showing->w, NULL, '{');
    writer_text(&showing->w, "timestamp", str_of(folder->name));
    writer_text(&showing->w, "reason", str_of(reasons[why]));
    writer_close(&showing->w, '}');
    return true;
}

static void write_sum(struct writer *w, const char *key, struct sum sum)
{
    writer_open(w, key, '{');
    writer_uint(w, "count", sum.count);
    writer_uint(w, "bytes", sum.bytes);
    writer_close(w, '}');
}

static void write_sums(struct showing *showing, const struct recordings *recordings, const struct recordings_gone *gone)
{
    struct sum all = {0}, held = {0};
    for (uint32_t i = 0; i < recordings->count; i++) {
        const struct recording_folder *folder = &recordings->folders[i];
        all.count += folder->count + folder->piece_count;
        all.bytes += folder->bytes + folder->piece_bytes;
        held.count += folder->held ? folder->piece_count : 0;
        held.bytes += folder->held ? folder->piece_bytes : 0;
        for (uint32_t j = 0; j < folder->count; j++) {
            bool stays = folder->held || folder->files[j].held;
            held.count += stays;
            held.bytes += stays ? folder->files[j].size : 0;
        }
    }
    writer_uint(&showing->w, "count", gone->files);
    writer_uint(&showing->w, "bytes", gone->bytes);
    writer_uint(&showing->w, "folders", gone->folders);
    writer_open(&showing->w, "reasons", '{');
    for (int why = RECORDINGS_OLD; why <= RECORDINGS_ROOM; why++)
        write_sum(&showing->w, reasons[why], showing->by[why]);
    writer_close(&showing->w, '}');
    write_sum(&showing->w, "kept", (struct sum){all.count - gone->files, all.bytes - gone->bytes});
    write_sum(&showing->w, "held", held);
}

static void retention_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    struct showing showing = {.w = {.out = &job->out}, .directory = recorder_trimmed(job->directory)};
    const struct recordings_taker taker = {show_file, show_folder, &showing};
    struct recordings_gone gone = {0};
    if (recordings_look(job->recordings, job->folder) != 0) {
        job->cause = errno;
        return;
    }
    if (job->recordings->count)
        job->limits.lacking = recordings_lacking(job->folder, job->rules.free_gb * MILLI_GB);
    job->limits.before = str_of(job->before);
    writer_open(&showing.w, NULL, '{');
    recorder_rules_write(&showing.w, NULL, &job->rules);
    writer_open(&showing.w, "videos", '[');
    if (recordings_choose(job->recordings, &job->limits, &taker, &gone) != 0)
        job->cause = ENOMEM;
    begin_folders(&showing);
    writer_close(&showing.w, ']');
    write_sums(&showing, job->recordings, &gone);
    writer_close(&showing.w, '}');
}

/* ---- on the loop ---- */

static void retention_answer(struct recorder_job *job)
{
    if (!recorder_unlisted(job))
        recorder_job_reply(job);
}

static void on_view(struct request *request, const struct msg *msg)
{
    struct recorder_job *job = recorder_job_of(request);
    struct problem problem;
    uint64_t now_ms = clock_wall_ms();
    if (rules_read(request, &job->rules, &problem) != 0) {
        reply_problem(request, &problem);
        return;
    }
    recorder_keep_limits(&job->rules, now_ms, &job->limits);
    recorder_keep_before(now_ms, &msg->u.recorder_view, job->before);
    recorder_job_do(job, retention_work, retention_answer);
}

static void on_config(struct request *request, const struct rec_recorder_config *config)
{
    struct str none = {0};
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, none, none);
    if (job)
        recorder_job_ask(job, true, on_view);
}

void recorder_retention(struct request *request)
{
    struct recorder_rules rules;
    struct problem problem;
    if (rules_read(request, &rules, &problem) != 0)
        reply_problem(request, &problem);
    else
        recorder_config_ask(request, on_config);
}
