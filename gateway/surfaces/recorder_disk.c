/* /disk: what is free on the output folder's disk, and until when. */
#include <errno.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/recorder.h"
#include "proto/clock.h"

#define DAY_MS 86400000.0

static void disk_work(struct file_job *of)
{
    struct recorder_job *job = (struct recorder_job *)(void *)of;
    recordings_disk_look(job->folder, &job->disk);
    if (recordings_look(job->recordings, job->folder) != 0) {
        job->cause = errno;
        return;
    }
    const struct recordings_outlook outlook = {.limits = job->limits,
                                               .keep_free = job->rules.free_gb * MILLI_GB,
                                               .free = job->disk.free,
                                               .min_free = job->disk.min_free};
    recordings_foresee(job->recordings, &outlook, &job->forecast);
}

static void write_bytes(struct writer *w, const char *key, bool there, uint64_t bytes)
{
    if (there)
        writer_uint(w, key, bytes);
    else
        writer_null(w, key);
}

static void write_forecast(const struct request *request, struct writer *w, const struct recordings_forecast *forecast,
                           bool there)
{
    static const struct {
        const char *word;
        enum text_id text;
    } fates[] = {[FATE_UNKNOWN] = {"unknown", TEXT_REC_FORECAST_UNKNOWN},
                 [FATE_IDLE] = {"idle", TEXT_REC_FORECAST_IDLE},
                 [FATE_KEPT] = {"retention", TEXT_REC_FORECAST_KEPT},
                 [FATE_FULL] = {"full", TEXT_REC_FORECAST_FULL},
                 [FATE_FILLS] = {"filling", TEXT_REC_FORECAST_FILLS}};
    enum recordings_fate fate = there ? forecast->fate : FATE_UNKNOWN;
    writer_uint(w, "bytes_per_day", forecast->bytes_per_day);
    writer_rounded(w, "observed_days", (double)forecast->observed_ms / DAY_MS, 3);
    writer_text(w, "forecast", str_of(fates[fate].word));
    writer_text(w, "forecast_message", str_of(text_of(fates[fate].text, request->lang)));
    recorder_time_write(w, "full_at", there ? forecast->full_at : 0);
}

static void disk_answer(struct recorder_job *job)
{
    struct request *request = job->request;
    const struct recordings_disk *disk = &job->disk;
    bool there = disk->there && disk->state != RECORDER_DISK_UNMOUNTED, missing = !disk->there && !disk->known;
    struct writer w;
    if (recorder_unlisted(job))
        return;
    recorder_open(request, &w);
    writer_text(&w, "path", job->directory);
    writer_text(&w, "state", missing ? STR_LIT("missing") : str_of(recorder_disk_word(disk->state)));
    writer_text(&w, "message",
                str_of(missing ? text_of(TEXT_REC_DISK_MISSING, request->lang) : recorder_disk_text(request, disk->state)));
    writer_bool(&w, "guarded", disk->known || disk->marked);
    write_bytes(&w, "total", there, disk->total);
    write_bytes(&w, "used", there, disk->used);
    write_bytes(&w, "free", there, disk->free);
    writer_uint(&w, "min_free", disk->min_free);
    writer_open(&w, "recordings", '{');
    writer_uint(&w, "count", job->forecast.count);
    writer_uint(&w, "bytes", job->forecast.bytes);
    writer_uint(&w, "held_bytes", job->forecast.held_bytes);
    writer_close(&w, '}');
    write_forecast(request, &w, &job->forecast, there);
    recorder_rules_write(&w, "retention", &job->rules);
    recorder_close(request, &w, 200);
}

static void on_view(struct request *request, const struct msg *msg)
{
    struct recorder_job *job = recorder_job_of(request);
    recorder_keep_rules(request->gateway->settings, &job->rules);
    recorder_keep_limits(&job->rules, clock_wall_ms(), &job->limits);
    recorder_disk_ask(request->gateway, &msg->u.recorder_view, str_of(job->folder), &job->disk);
    job->disk.use = false;
    recorder_job_do(job, disk_work, disk_answer);
}

static void on_config(struct request *request, const struct rec_recorder_config *config)
{
    struct str none = {0};
    struct recorder_job *job = recorder_job_new(request, config->folder, config->global.output_directory, none, none);
    if (job)
        recorder_job_ask(job, true, on_view);
}

void recorder_disk(struct request *request)
{
    recorder_config_ask(request, on_config);
}
