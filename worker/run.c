#include "worker/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "worker/executors/executor.h"
#include "worker/keepers.h"
#include "worker/sweep.h"
#include "worker/template.h"

#define ARENA_MAX ((size_t)4 << 20)
#define REASON_MAX 256     /* of a REJECT */
#define LACKING_MS 60000u  /* so long what follows the program is tried again */
#define DISCARD_BUDGET 256 /* entries of a folder that stands where the output should be */

/* The assignment came in a frame that goes away; a copy of it is packed and read again. */
static int assignment_copy(struct run *run, const struct rec_assignment *assignment, struct err *err)
{
    run->arena = arena_new(ARENA_MAX);
    if (!run->arena)
        return err_set(err, ERR_NO_MEMORY, "no memory for a run");
    if (rec_encode_assignment(&run->bytes, assignment, err) < 0)
        return -1;
    return rec_decode_assignment(run->arena, buf_str(&run->bytes), &run->assignment, err);
}

static int output_names(struct run *run, struct err *err)
{
    const struct rec_task_spec *spec = &run->assignment.spec;
    struct template_names names = {run->assignment.parameters, NULL, run->id};
    struct buf path = {.limit = PUBLISH_PATH};
    char final[PUBLISH_PATH], temporary[PUBLISH_PATH];
    const struct executor *executor = executor_find(spec->executor);
    run->places_output = executor && executor->places_output;
    if (spec->output.len == 0 || run->places_output)
        return 0;
    int rc = template_fill_path(spec->output, &names, &path, err);
    if (rc == 0)
        rc = publish_names(buf_str(&path), spec->cwd, run->id, run->attempt, final, temporary, err);
    buf_free(&path);
    if (rc < 0)
        return -1;
    run->final = strdup(final);
    run->temporary = strdup(temporary);
    return run->final && run->temporary ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for a run");
}

struct run *run_new(const struct run_context *context, const struct rec_assignment *assignment, struct err *err)
{
    struct run *run = calloc(1, sizeof(*run));
    if (!run) {
        err_set(err, ERR_NO_MEMORY, "no memory for a run");
        return NULL;
    }
    run->context = context;
    run->id = assignment->run_id;
    run->attempt = assignment->attempt;
    run->outcome = OUTCOME_COMPLETED;
    run->exit_code = -1;
    run->last_line.limit = run->last_error.limit = CAPTURE_LINE;
    run->result.limit = RUN_RESULT_MAX;
    backlog_init(&run->backlog, context->log_bytes);
    progress_init(&run->progress);
    if (assignment_copy(run, assignment, err) < 0) {
        run_free(run);
        return NULL;
    }
    return run;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    process_forget(run->process);
    keepers_release(run->keeper);
    if (run->has_folder)
        home_remove(run->context->home, run->id, run->attempt);
    capture_free(run->out);
    capture_free(run->err);
    backlog_clear(&run->backlog);
    buf_free(&run->last_line);
    buf_free(&run->last_error);
    buf_free(&run->result);
    buf_free(&run->bytes);
    arena_free(run->arena);
    channel_clear(&run->channel);
    naming_free(run);
    free(run->final);
    free(run->temporary);
    free(run->remains);
    free(run);
}

/* ---- words ---- */

void run_note(struct run *run, enum log_level level, const char *format, ...)
{
    char text[1024], clean[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t len = str_clean(clean, sizeof(clean), str_of(text));
    backlog_add(&run->backlog, clock_wall_ms(), level, STREAM_SYSTEM, clean, len);
}

void run_fail(struct run *run, enum outcome outcome, const char *format, ...)
{
    char text[RUN_ERROR_MAX + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    run->outcome = outcome;
    run->error[str_clean(run->error, RUN_ERROR_MAX, str_of(text))] = '\0';
}

/* ---- how the program ended ---- */

static void explain_signal(const struct run *run, const struct process_end *end, char *text, size_t size)
{
    const struct rec_limits *limits = &run->assignment.spec.limits;
    uint64_t cpu_ms = end->user_ms + end->system_ms;
    const char *name = sigdescr_np(end->signal);
    if (limits->cpu_seconds && (end->signal == SIGXCPU || (end->signal == SIGKILL && cpu_ms >= limits->cpu_seconds * 1000)))
        snprintf(text, size, "CPU limit: it used its %" PRIu64 " s of CPU time (killed by signal %d)", limits->cpu_seconds,
                 end->signal);
    else if (limits->memory_mb &&
             (end->signal == SIGSEGV || end->signal == SIGABRT || end->signal == SIGBUS || end->signal == SIGKILL))
        snprintf(text, size, "killed by signal %d (%s), probably at its memory limit of %" PRIu64 " MiB", end->signal,
                 name ? name : "?", limits->memory_mb);
    else if (end->signal == SIGKILL)
        snprintf(text, size, "killed by signal 9 (Killed) from outside: by an operator, or by the system when memory ran out");
    else
        snprintf(text, size, "killed by signal %d (%s)", end->signal, name ? name : "?");
}

static void explain_exit(const struct run *run, const struct process_end *end, char *text, size_t size)
{
    struct str last = str_cut(buf_str(&run->last_error), 1000);
    int code = end->exit_code;
    if (run->own && last.len) {
        snprintf(text, size, "%.*s", (int)last.len, last.ptr);
        return;
    }
    int len = snprintf(text, size, "exit code %d", code);
    if (code > 128 && code < 160 && sigdescr_np(code - 128))
        len += snprintf(text + len, size - (size_t)len, " (as of a child killed by signal %d, %s)", code - 128,
                        sigdescr_np(code - 128));
    if (last.len)
        snprintf(text + len, size - (size_t)len, ": %.*s", (int)last.len, last.ptr);
}

static void judge_failure(struct run *run, const struct process_end *end)
{
    char text[2048];
    if (end->overdue)
        run_fail(run, OUTCOME_TIMEOUT,
                 "timeout: it ran over its limit of %" PRIu64
                 " s, and its supervisor, stopped or stuck, had to be killed with it",
                 run->assignment.timeout_seconds);
    else if (!end->started)
        run_fail(run, OUTCOME_FAILED, "%s", end->failure);
    else if (end->timed_out)
        run_fail(run, OUTCOME_TIMEOUT, "timeout: it ran for its limit of %" PRIu64 " s", run->assignment.timeout_seconds);
    else if (end->vanished)
        run_fail(run, OUTCOME_FAILED, "its supervisor was killed from outside, and the run with it");
    else if (end->signal) {
        explain_signal(run, end, text, sizeof(text));
        run_fail(run, OUTCOME_FAILED, "%s", text);
    } else {
        explain_exit(run, end, text, sizeof(text));
        run_fail(run, OUTCOME_FAILED, "%s", text);
    }
}

/* The result is what the program wrote to the file GANTRY_RESULT, or else its last line. */
static void read_result(struct run *run)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%" PRIu64 "-%" PRIu64 "/result", run->context->home->runs, run->id, run->attempt);
    size_t size = RUN_RESULT_MAX;
    char *raw = malloc(size + 1), *clean = malloc(size);
    ssize_t got = raw && clean ? home_read_file(path, raw, size + 1) : -1;
    bool starved = !raw || !clean || (got < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM));
    if (starved)
        run_note(run, LOG_WARN, "the file with its result was not read: no memory or descriptors");
    if (got > 0) {
        bool longer = (size_t)got > size && raw[size] != '\n';
        size_t len = str_clean(clean, size, (struct str){raw, (uint32_t)((size_t)got > size ? size : (size_t)got)});
        if (longer)
            run_note(run, LOG_WARN, "its result is longer than %zu bytes; the rest is cut off", size);
        while (len && (clean[len - 1] == '\n' || clean[len - 1] == '\r'))
            len--;
        run->has_result = buf_add(&run->result, clean, len) == 0;
    } else if (run->last_line.len)
        run->has_result = buf_add(&run->result, run->last_line.data, run->last_line.len) == 0;
    free(raw);
    free(clean);
}

bool run_judge(struct run *run, const struct process_end *end)
{
    bool well = end->started && !end->timed_out && !end->vanished && end->signal == 0 && end->exit_code == 0;
    run->has_exit = end->started && !end->vanished;
    run->exit_code = end->exit_code;
    run->signal = end->signal;
    if (end->left)
        run_note(run, LOG_WARN, "%u processes had outlived the program and were killed", end->left);
    if (well)
        read_result(run);
    else
        judge_failure(run, end);
    return well;
}

/* ---- events ---- */

static void output_remove(struct run *run)
{
    if (unlink(run->temporary) == 0 || errno == ENOENT)
        return;
    int rc = -1;
    struct err err = {0};
    if (errno == EISDIR) /* the program made a folder of that name */
        rc = sweep_folder(run->temporary, DISCARD_BUDGET, &err);
    else
        err_set(&err, ERR_IO, "%s", strerror(errno));
    if (rc == 1)
        return;
    log_warn("GTY-RUN-OUTPUT", "run=%" PRIu64 " attempt=%" PRIu64 " cannot remove %s: %s", run->id, run->attempt, run->temporary,
             rc == 0 ? "too much is in it" : err.text);
    run_note(run, LOG_WARN, "%.600s is left behind: %.300s", run->temporary, rc == 0 ? "too much is in it" : err.text);
}

/* What is not to be published goes: a failed attempt leaves no half of a file. Once PUBLISH was made, a later attempt may want it. */
static void output_discard(struct run *run)
{
    if (!run->temporary)
        return;
    output_remove(run);
    home_output_over(run->context->home, run->id, run->attempt);
}

/* No attempt comes after this one. */
static void remains_discard(struct run *run)
{
    if (run->remains)
        sweep_folder(run->remains, DISCARD_BUDGET, NULL);
}

static void run_ended(struct run *run)
{
    run->ended_at = clock_wall_ms();
    run->duration_ms = run->started_mono ? clock_mono_ms() - run->started_mono : 0;
    if (run->outcome != OUTCOME_COMPLETED)
        output_discard(run);
    else if (run->places_output)
        home_output_over(run->context->home, run->id, run->attempt);
    if (run->error[0])
        run_note(run, run->outcome == OUTCOME_ABORTED ? LOG_INFO : LOG_ERROR, "%s", run->error);
    log_info("GTY-RUN-ENDED", "run=%" PRIu64 " attempt=%" PRIu64 " outcome=%s %s", run->id, run->attempt,
             outcome_name(run->outcome), run->error);
}

/* Told to end while no process of it runs (it waited for its next one to be started): there is no end to wait for. */
static bool nothing_ends(const struct run *run)
{
    return (run->state == SLOT_STOPPING || run->state == SLOT_DROPPING) && !run->process;
}

void run_event(struct run *run, enum slot_event event)
{
    struct slot_step step = slot_step(run->state, event);
    log_debug("GTY-RUN-STEP", "run=%" PRIu64 " attempt=%" PRIu64 " state=%s event=%s next=%s", run->id, run->attempt,
              slot_state_name(run->state), slot_event_name(event), slot_state_name(step.next));
    run->state = step.next;
    switch (step.action) {
    case SLOT_ILLEGAL:
        log_warn("GTY-RUN-ILLEGAL", "run=%" PRIu64 " attempt=%" PRIu64 " state=%s event=%s ignored", run->id, run->attempt,
                 slot_state_name(run->state), slot_event_name(event));
        break;
    case SLOT_NOTHING:
        break;
    case SLOT_CHECK:
        phase_check(run);
        break;
    case SLOT_START:
        phase_program(run);
        break;
    case SLOT_VERIFY:
        phase_verify(run);
        break;
    case SLOT_ASK:
        if (!run->places_output)
            home_output_over(run->context->home, run->id, run->attempt);
        run->asked = true;
        run->publish_sent = 0;
        break;
    case SLOT_NAME:
        phase_name(run);
        break;
    case SLOT_STOP:
        if (run->process)
            process_term(run->process);
        break;
    case SLOT_KILL:
        if (run->process)
            process_kill(run->process);
        break;
    case SLOT_ABORT:
        remains_discard(run);
        run_fail(run, OUTCOME_ABORTED, "aborted");
        run_ended(run);
        break;
    case SLOT_REPORT:
        run_ended(run);
        break;
    case SLOT_REJECT:
        run->owes_reject = true;
        break;
    case SLOT_FREE:
        if (!run->asked || run->spent || run->places_output)
            output_discard(run);
        break; /* what remains is for the attempt that follows, here or elsewhere: it may be at it already */
    }
    if (nothing_ends(run))
        run_event(run, SLOT_EV_BAD);
}

/* What only this worker lacks for now (room on its disk, memory, descriptors, processes) is no failure of the run. */
static bool lacking(const struct err *err)
{
    return err->code == ERR_IO || err->code == ERR_NO_MEMORY;
}

void run_not_started(struct run *run, const struct err *err)
{
    bool before = run->state == SLOT_ACCEPTED || run->state == SLOT_CHECKING || run->state == SLOT_STARTING;
    bool after = run->state == SLOT_VERIFYING || run->state == SLOT_NAMING;
    uint64_t now = clock_mono_ms();

    if (after && lacking(err) && (run->lacking_since == 0 || now - run->lacking_since < LACKING_MS)) {
        if (run->lacking_since == 0)
            run_note(run, LOG_WARN, "its output waits: %s", err->text);
        run->lacking_since = run->lacking_since ? run->lacking_since : now;
        run->again = true;
        return;
    }
    run_fail(run, OUTCOME_FAILED, "%s", err->text);
    if (!before || !lacking(err)) {
        run_event(run, SLOT_EV_BAD);
        return;
    }
    log_warn("GTY-RUN-UNABLE", "run=%" PRIu64 " attempt=%" PRIu64 " goes back to the queue: %s", run->id, run->attempt,
             run->error);
    run->error[str_cut(str_of(run->error), REASON_MAX).len] = '\0';
    run->reject_reason = run->error;
    run_event(run, SLOT_EV_UNABLE);
}

void run_begin(struct run *run)
{
    struct err err = {0};
    run->started_at = clock_wall_ms();
    run->started_mono = clock_mono_ms();
    if (output_names(run, &err) < 0) {
        run_not_started(run, &err);
        return;
    }
    run_event(run, run->final ? SLOT_EV_CHECK : SLOT_EV_START);
}

/* ---- records ---- */

void run_lease(const struct run *run, struct rec_lease *lease)
{
    *lease = (struct rec_lease){.run_id = run->id, .attempt = run->attempt};
    if (!run->owes_reject) /* what goes back has not begun, however far it came */
        lease->started_at = run->started_at;
}

void run_outcome(const struct run *run, struct rec_outcome *outcome)
{
    *outcome = (struct rec_outcome){.run_id = run->id,
                                    .attempt = run->attempt,
                                    .outcome = run->outcome,
                                    .exit_code = run->exit_code,
                                    .signal = (uint64_t)run->signal,
                                    .result = buf_str(&run->result),
                                    .error = str_of(run->error),
                                    .started_at = run->started_at,
                                    .ended_at = run->ended_at,
                                    .duration_ms = run->duration_ms};
    if (run->has_exit)
        SET_HAS(outcome, rec_outcome, exit_code);
    if (run->has_result)
        SET_HAS(outcome, rec_outcome, result);
}

void run_published(const struct run *run, struct rec_published *published)
{
    *published = (struct rec_published){.attempt = run->attempt,
                                        .path = str_of(run->final),
                                        .temporary = str_of(run->temporary),
                                        .size = run->file.size,
                                        .hash = {(const char *)run->file.hash, PUBLISH_HASH}};
}
