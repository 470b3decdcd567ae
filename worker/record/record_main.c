/* gantry-record: records an RTSP stream, as a run's program. A process of its own for each: what a server sends may crash a library.
 *
 *   gantry-record --record STEP NAME=VALUE…
 *     run    records, as the JSON file GANTRY_PARAMS says, and says on the channel where the result is to go
 *     name   puts it there once that is granted: temporary=, final=
 *     mend   ends what a `name` that was killed had begun
 *   run=, attempt=: which; published=: what an earlier attempt was granted (made.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/file.h"
#include "proto/messages.h"
#include "worker/channel.h"
#include "worker/job.h"
#include "worker/record/finish.h"
#include "worker/record/place.h"
#include "worker/record/session.h"
#include "worker/video/made.h"

#define MEMORY_BYTES ((rlim_t)2 << 30) /* whatever a server sends */

struct recording {
    char *const *words;
    uint64_t run, attempt;
    struct record_config config;
    struct pieces pieces;
    struct record_report report;
    char output[PUBLISH_PATH], temporary[PUBLISH_PATH]; /* from within their folder */
};

static const char *word(char *const *words, const char *name)
{
    size_t len = strlen(name);
    for (; *words; words++)
        if (strncmp(*words, name, len) == 0 && (*words)[len] == '=')
            return *words + len + 1;
    return "";
}

/* What is said last is the run's error. */
static int fail(const struct recording *it, enum record_fault fault, const char *text)
{
    char clean[512];
    record_mask(it->config.url, text, clean, sizeof(clean));
    fprintf(stderr, "%s: %s\n", record_fault_word(fault), clean);
    return 1;
}

/* Something could not be written: as its disk is full, or away, or for another reason. */
static int fail_disk(const struct recording *it, struct err *err)
{
    enum record_fault state = record_place_check(&it->config, err);
    return fail(it, state ? state : FAULT_DISK, err->text);
}

/* ---- to the worker ---- */

static int say(enum channel_word what, const char *text, struct err *err)
{
    struct buf frame = {0};
    int rc = channel_pack(&frame, what, str_of(text)) < 0 ? err_set(err, ERR_NO_MEMORY, "no memory to tell the worker") : 0;
    for (size_t done = 0; rc == 0 && done < frame.len;) {
        ssize_t put = write(JOB_FD_PROGRAM_CHANNEL, frame.data + done, frame.len - done);
        if (put < 0 && errno != EINTR)
            rc = err_set(err, ERR_IO, "the worker is not there any more: %s", strerror(errno));
        done += put > 0 ? (size_t)put : 0;
    }
    buf_free(&frame);
    return rc;
}

static int result_write(const struct recording *it, struct err *err)
{
    const char *path = getenv("GANTRY_RESULT");
    struct buf text = {0};
    FILE *file = path ? fopen(path, "we") : NULL;
    int rc = report_write(&it->report, &text);
    if (rc == 0 && file && fwrite(text.data, 1, text.len, file) != text.len)
        rc = -1;
    if (file && fclose(file) != 0)
        rc = -1;
    if (rc < 0)
        err_set(err, ERR_IO, "the result cannot be written");
    buf_free(&text);
    return rc;
}

/* ---- the steps ---- */

static void on_terminate(int number)
{
    (void)number;
    source_stopped = 1;
}

static void process_prepare(void)
{
    struct sigaction action = {.sa_handler = on_terminate};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);                                       /* a limit of files' sizes is a full disk */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadow takes terabytes of address space */
    setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_BYTES, MEMORY_BYTES});
#endif
}

/* What others know a name by that is from within the folder. -1: it is too long. */
static int outside(const struct recording *it, const char *name, char out[PUBLISH_PATH])
{
    int folder = (int)(strrchr(it->config.output, '/') - it->config.output);
    int len = snprintf(out, PUBLISH_PATH, "%.*s%s", folder, it->config.output, name + 1);
    return len < 0 || len >= PUBLISH_PATH ? -1 : 0;
}

static int say_name(const struct recording *it, enum channel_word what, const char *name, struct err *err)
{
    char path[PUBLISH_PATH];
    if (outside(it, name, path) < 0)
        return err_set(err, ERR_INVALID, "the output's path is too long");
    return say(what, path, err);
}

static int begin(struct recording *it, struct err *err)
{
    const char *path = getenv("GANTRY_PARAMS");
    struct buf json = {0};
    int rc = path ? file_read(path, &json, err) : err_set(err, ERR_INVALID, "GANTRY_PARAMS is not set");
    if (rc > 0)
        rc = err_set(err, ERR_NOT_FOUND, "the run's parameters are not there");
    if (rc == 0)
        rc = record_config_read(buf_str(&json), &it->config, err);
    buf_free(&json);
    if (rc < 0 || place_enter(it->config.root, it->config.output, false, err) < 0)
        return -1;
    char longest[PUBLISH_PATH];
    if (place_name(it->config.output, it->output, sizeof(it->output)) < 0 ||
        publish_beside(it->output, it->run, it->attempt, it->temporary) < 0 || outside(it, it->temporary, longest) < 0)
        return err_set(err, ERR_INVALID, "the output's path is too long");
    return pieces_find(it->output, it->run, &it->pieces, err);
}

/* What an earlier attempt was granted may stand already. 1: it does, and is the result; 0: no; -1 with err: something else does. */
static int stands(struct recording *it, struct err *err)
{
    struct stat info;
    if (lstat(it->output, &info) < 0)
        return 0;
    if (!made_stands(word(it->words, "published"), it->output, &info))
        return err_set(err, ERR_CONFLICT, "%.150s is there already, and is not this run's", it->config.output);
    return finish_check(it->output, NULL, &it->report, err) < 0 ? -1 : 1;
}

/* FAULT_NONE, or what cut the recording short. */
static enum record_fault record(struct recording *it, struct session *session)
{
    uint64_t start_ms = it->pieces.count ? it->pieces.at[0].start_ms : 0;
    *session = (struct session){.config = &it->config,
                                .pieces = &it->pieces,
                                .attempt = it->attempt,
                                .progress_fd = JOB_FD_PROGRAM,
                                .report = &it->report,
                                .start_ms = start_ms};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (start_ms && (int64_t)(now_ms - start_ms) * 1000 >= record_due_us(&it->config, start_ms))
        return FAULT_NONE; /* its time was over before this attempt began */
    if (record_due_us(&it->config, now_ms) > 0 || start_ms)
        return session_record(session);
    snprintf(session->text, sizeof(session->text), "its time was over before it began");
    return FAULT_TIMEOUT;
}

/* There is no room for a second copy, say, or it is not what was to be made: what was recorded is a video as it is. before: what was known of it
 * until it was to be copied. */
static int take_whole(struct recording *it, const struct record_report *before, struct err *err)
{
    static struct record_report found;
    struct record_report *report = &it->report;
    char path[PATH_MAX];
    int only = finish_only(&it->pieces);
    if (only < 0)
        return -1;
    fprintf(stderr, "%s; it is kept as it was recorded\n", err->text);
    pieces_path(&it->pieces, &it->pieces.at[only], path);
    if (rename(path, it->temporary) < 0)
        return -1;
    if (finish_check(it->temporary, NULL, &found, err) < 0) {
        rename(it->temporary, path); /* for another attempt */
        return -1;
    }
    *report = found;
    report->reconnects = before->reconnects;
    report->lost_packets = before->lost_packets;
    report->jitter_ms = before->jitter_ms;
    report->first_frame_ms = before->first_frame_ms;
    if (it->pieces.at[only].attempt != it->attempt)
        return 0;
    report->bytes = before->bytes;
    report->gap_count = before->gap_count; /* who recorded it knows them, and why they are */
    memcpy(report->gaps, before->gaps, sizeof(report->gaps));
    report->recorded_us = finish_length_us(&found) - report_gaps_us(report);
    return 0;
}

/* What the slot is short of at its end is a gap, too, if nobody has said so. */
static void end_mark(struct recording *it, uint64_t start_ms, enum record_fault cause)
{
    struct record_report *report = &it->report;
    int64_t due = record_due_us(&it->config, start_ms), missing = due - report->recorded_us - report_gaps_us(report);
    if (missing > 1500000)
        report_gap(report, due - missing, missing, cause);
}

static int finish(struct recording *it, const struct session *session, enum record_fault fault, struct err *err)
{
    if (say_name(it, CHANNEL_TEMPORARY, it->temporary, err) < 0)
        return -1;
    static struct record_report before;
    uint64_t start_ms = it->pieces.count ? it->pieces.at[0].start_ms : 0;
    before = it->report;
    unlink(it->temporary);
    int rc = finish_make(&it->pieces, start_ms, it->attempt, it->temporary, &it->report, err);
    if (rc < 0 && (err->code == ERR_IO || err->code == ERR_INVALID) && take_whole(it, &before, err) == 0)
        rc = 0;
    if (rc != 0)
        return rc;
    bool lost = !session->begun_us; /* nothing was recorded in this attempt: its time was over */
    end_mark(it, start_ms, fault ? fault : lost ? FAULT_STOPPED : FAULT_TIMEOUT);
    it->report.fault = fault;
    if (fault)
        snprintf(it->report.error, sizeof(it->report.error), "%s: %.200s", record_fault_word(fault), session->text);
    return say(CHANNEL_FINAL, it->config.output, err) < 0 ? -1 : result_write(it, err);
}

static int step_run(struct recording *it)
{
    static struct session session;
    struct err err = {0};
    process_prepare();
    it->report.jitter_ms = it->report.first_frame_ms = -1;
    if (begin(it, &err) < 0)
        return fail(it, FAULT_OUTPUT, err.text);
    source_log(it->config.url);
    int there = stands(it, &err);
    if (there < 0)
        return fail(it, FAULT_OUTPUT, err.text);
    if (there > 0) {
        pieces_remove(&it->pieces);
        return result_write(it, &err) < 0 ? fail_disk(it, &err) : 0;
    }
    enum record_fault fault = it->pieces.count ? FAULT_NONE : record_place_check(&it->config, &err);
    if (fault)
        return fail(it, fault, err.text);
    if (say_name(it, CHANNEL_REMAINS, it->pieces.folder, &err) < 0)
        return fail(it, FAULT_STOPPED, err.text);
    fault = record(it, &session);
    if (fault == FAULT_STOPPED)
        return fail(it, fault, "it was told to end");
    bool unwritten = fault == FAULT_DISK || fault == FAULT_FULL || fault == FAULT_UNMOUNTED;
    if (unwritten && it->pieces.count == 0)
        return fail(it, fault, session.text);
    int rc = finish(it, &session, fault, &err);
    if (rc < 0)
        return fail_disk(it, &err);
    if (rc > 0) {
        pieces_remove(&it->pieces);
        return fail(it, fault ? fault : FAULT_READ, fault ? session.text : "nothing of it was recorded");
    }
    printf("%.1f s recorded, %llu frames\n", (double)it->report.recorded_us / 1e6, (unsigned long long)it->report.frames);
    return 0;
}

/* temporary= and final=, from within their folder, which is entered. */
static int names_read(struct recording *it, struct err *err)
{
    const char *temporary = word(it->words, "temporary"), *final = word(it->words, "final");
    size_t folder = final[0] == '/' ? (size_t)(strrchr(final, '/') + 1 - final) : 0;
    if (!folder || strncmp(temporary, final, folder) != 0 || strchr(temporary + folder, '/') ||
        place_name(temporary, it->temporary, sizeof(it->temporary)) < 0 || place_name(final, it->output, sizeof(it->output)) < 0)
        return err_set(err, ERR_BAD_REQUEST, "it needs temporary= and final=, two names in one folder");
    int rc = place_enter("", final, false, err);
    return rc > 0 ? err_set(err, ERR_IO, "the folder of %.150s is gone", final) : rc;
}

static int step_name(struct recording *it)
{
    struct err err = {0};
    if (names_read(it, &err) == 0 && publish_name(it->temporary, it->output, &err) == 0) {
        if (pieces_find(it->output, it->run, &it->pieces, NULL) == 0)
            pieces_remove(&it->pieces);
        puts("named");
        return 0;
    }
    printf("error %s\n", err.text);
    return 1;
}

static int step_mend(struct recording *it)
{
    if (names_read(it, NULL) == 0 && access(it->temporary, F_OK) < 0 && access(it->output, F_OK) == 0) {
        puts("named");
        return 0;
    }
    return step_name(it);
}

int main(int argc, char **argv)
{
    static struct recording it;
    static const struct {
        const char *name;
        int (*run)(struct recording *it);
    } steps[] = {{"run", step_run}, {"name", step_name}, {"mend", step_mend}};
    for (size_t i = 0; argc > 2 && i < sizeof(steps) / sizeof(steps[0]); i++)
        if (strcmp(argv[1], "--record") == 0 && strcmp(argv[2], steps[i].name) == 0) {
            it.words = argv + 3;
            it.run = strtoull(word(it.words, "run"), NULL, 10);
            it.attempt = strtoull(word(it.words, "attempt"), NULL, 10);
            return steps[i].run(&it);
        }
    fprintf(stderr, "usage: gantry-record --record run|name|mend NAME=VALUE…\n");
    return 2;
}
