/* The processes of a run, one after another: a look for its output, its program, and the output's verification and naming. */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/settings.h"
#include "worker/executors/executor.h"
#include "worker/hear.h"
#include "worker/keepers.h"

#define CHECK_TIMEOUT_MS 3600000u /* reading a large output again takes its time */
#define FINISH_TIMEOUT_MS 30000u  /* at least, for what follows the program */

/* ---- what a process of a run writes ---- */

static void keep_line(struct buf *buf, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t') {
            buf_reset(buf);
            buf_add(buf, text, len);
            return;
        }
}

static void on_out_line(void *self, const char *text, size_t len)
{
    struct run *run = self;
    keep_line(&run->last_line, text, len);
    backlog_add(&run->backlog, clock_wall_ms(), LOG_INFO, STREAM_STDOUT, text, len);
}

static void on_err_line(void *self, const char *text, size_t len)
{
    struct run *run = self;
    keep_line(&run->last_error, text, len);
    if (run->ffmpeg)
        progress_stderr(&run->progress, text, len);
    backlog_add(&run->backlog, clock_wall_ms(), LOG_WARN, STREAM_STDERR, text, len);
}

static void on_output(void *self, enum log_stream stream, const char *data, size_t len)
{
    struct run *run = self;
    if (run->phase == PHASE_PROGRAM) {
        capture_feed(stream == STREAM_STDOUT ? run->out : run->err, data, len, clock_mono_ms());
        return;
    }
    size_t room = sizeof(run->phase_text) - 1 - run->phase_len;
    len = len < room ? len : room;
    memcpy(run->phase_text + run->phase_len, data, len);
    run->phase_len += len;
}

static void on_progress(void *self, const char *data, size_t len)
{
    struct run *run = self;
    if (run->phase == PHASE_PROGRAM)
        progress_feed(&run->progress, data, len);
}

static void on_channel(void *self, const char *data, size_t len)
{
    hear_feed(self, data, len);
}

static void on_started(void *self, pid_t pid)
{
    struct run *run = self;
    log_debug("GTY-RUN-STARTED", "run=%" PRIu64 " attempt=%" PRIu64 " pid=%d", run->id, run->attempt, (int)pid);
    run_event(run, SLOT_EV_UP);
}

/* ---- how they end ---- */

static void check_ended(struct run *run)
{
    const struct rec_published *known = &run->assignment.published;
    if (strcmp(run->phase_text, "free") == 0)
        run_event(run, SLOT_EV_START);
    else if (strcmp(run->phase_text, "stands") == 0) {
        run_note(run, LOG_INFO, "its output stands complete, as attempt %" PRIu64 " published it", known->attempt);
        run_event(run, SLOT_EV_DONE);
    } else if (strcmp(run->phase_text, "adopt") == 0 && known->hash.len == PUBLISH_HASH) {
        run_note(run, LOG_INFO, "attempt %" PRIu64 " left its output complete; it is taken over", known->attempt);
        char *temporary = strndup(known->temporary.ptr, known->temporary.len);
        if (!temporary) {
            struct err err = {0};
            err_set(&err, ERR_NO_MEMORY, "no memory for the name of its output");
            run_not_started(run, &err);
            return;
        }
        free(run->temporary);
        run->temporary = temporary;
        run->file.size = known->size;
        memcpy(run->file.hash, known->hash.ptr, PUBLISH_HASH);
        run_event(run, SLOT_EV_OUTPUT);
    } else {
        run_fail(run, OUTCOME_FAILED, "the output's place could not be looked at: %s", run->phase_text);
        run_event(run, SLOT_EV_BAD);
    }
}

static void verify_ended(struct run *run)
{
    char hex[2 * PUBLISH_HASH + 1];
    if (sscanf(run->phase_text, "verified %" SCNu64 " %32s", &run->file.size, hex) == 2 && publish_unhex(hex, run->file.hash)) {
        run_event(run, SLOT_EV_OUTPUT);
        return;
    }
    run_fail(run, OUTCOME_FAILED, "the output could not be verified: %s", run->phase_text);
    run_event(run, SLOT_EV_BAD);
}

static void phase_name_own(struct run *run);

/* A program that names its output was killed in between, for want of memory, say: it says once whether that came to its end, or undoes it. False:
 * it cannot be asked. */
static bool mend(struct run *run)
{
    bool named = run->phase == PHASE_NAME && run->places_output && run->naming && strcmp(run->naming[EXECUTOR_STEP], "name") == 0;
    char *step = named ? strdup("mend") : NULL;
    if (!step)
        return false;
    free(run->naming[EXECUTOR_STEP]);
    run->naming[EXECUTOR_STEP] = step;
    phase_name_own(run);
    return true;
}

/* The helper processes write one line, and exit with 1 when it is `error TEXT`. */
static void helper_ended(struct run *run, const struct process_end *end)
{
    run->phase_text[run->phase_len] = '\0';
    run->phase_text[strcspn(run->phase_text, "\n")] = '\0';
    if (end->started && !end->timed_out && end->signal == 0 && end->exit_code == 0) {
        if (run->phase == PHASE_CHECK)
            check_ended(run);
        else if (run->phase == PHASE_VERIFY)
            verify_ended(run);
        else
            run_event(run, SLOT_EV_DONE);
        return;
    }
    bool told = strncmp(run->phase_text, "error ", 6) == 0;
    if (!told && end->started && mend(run))
        return;
    run_fail(run, OUTCOME_FAILED, "%s%s", told ? "" : "the output could not be handled: ",
             told              ? run->phase_text + 6
             : end->failure[0] ? end->failure
                               : "its process was killed, or ran too long");
    run_event(run, SLOT_EV_BAD);
}

static void keeper_give_back(struct run *run)
{
    keepers_release(run->keeper);
    run->keeper = NULL;
}

static void on_ended(void *self, const struct process_end *end)
{
    struct run *run = self;
    run->process = NULL;
    keeper_give_back(run);
    channel_reset(&run->channel); /* nobody waits for an answer any more */
    if (end->unable && run->state != SLOT_STOPPING && run->state != SLOT_DROPPING) {
        struct err err = {0};
        err_set(&err, ERR_IO, "%s", end->failure);
        run_not_started(run, &err);
        return;
    }
    if (run->phase != PHASE_PROGRAM) {
        helper_ended(run, end);
        return;
    }
    capture_finish(run->out);
    capture_finish(run->err);
    bool well = run_judge(run, end);
    run_event(run, !well ? SLOT_EV_BAD : run->final && run->temporary ? SLOT_EV_OUTPUT : SLOT_EV_DONE);
}

static const struct process_events events = {
    .started = on_started, .output = on_output, .progress = on_progress, .channel = on_channel, .ended = on_ended};

/* ---- starting them ---- */

static void start(struct run *run, enum run_phase phase, const struct job *job)
{
    struct err err = {0};
    run->phase = phase;
    run->phase_len = 0;
    channel_reset(&run->channel);
    run->process = process_start(run->context->processes, job, &events, run, &err);
    if (!run->process)
        run_not_started(run, &err);
}

/* The next name of a list; len 0 at its end. */
static struct str user_next(const char **list)
{
    *list += strspn(*list, ", ");
    struct str name = {*list, (uint32_t)strcspn(*list, ", ")};
    *list += name.len;
    return name;
}

static bool user_listed(const char *list, struct str wanted)
{
    struct str name;
    while ((name = user_next(&list)).len > 0)
        if (str_eq(name, wanted))
            return true;
    return false;
}

/* The user a run is to become: "" in name for the worker's own. Where root's worker has a list, root is one to be named in it as any: who may
 * make tasks is not to be root by naming nobody. */
static int find_user(const struct run *run, char name[65], struct passwd *found, struct err *err)
{
    const char *list = run->context->run_as, *first = list;
    struct str wanted = run->assignment.spec.run_as;
    const struct passwd *own = getpwuid(geteuid());
    *found = (struct passwd){.pw_uid = (uid_t)-1, .pw_gid = (gid_t)-1};
    name[0] = '\0';
    bool bound = geteuid() == 0 && user_next(&first).len > 0;
    if (bound && wanted.len == 0) {
        first = list;
        wanted = user_next(&first);
    }
    if (wanted.len == 0 || (!bound && own && str_is(wanted, own->pw_name)))
        return 0;
    if (!user_listed(list, wanted) || !str_copy(name, 65, wanted))
        return err_set(err, ERR_FORBIDDEN, "run_as: this worker lets no run become user %.*s (setting worker.run_as)",
                       (int)wanted.len, wanted.ptr);
    const struct passwd *user = getpwnam(name);
    if (!user)
        return err_set(err, ERR_INVALID, "run_as: there is no user %s on this worker", name);
    if (user->pw_uid == geteuid())
        name[0] = '\0';
    else
        *found = *user;
    return 0;
}

static uint64_t time_left_ms(const struct run *run)
{
    uint64_t limit = run->assignment.timeout_seconds * 1000, gone = clock_mono_ms() - run->started_mono;
    if (limit == 0)
        return 0;
    return limit > gone + FINISH_TIMEOUT_MS ? limit - gone : FINISH_TIMEOUT_MS;
}

void naming_free(struct run *run)
{
    for (char **at = run->naming; at && *at; at++)
        free(*at);
    free(run->naming);
    run->naming = NULL;
}

void phase_again(struct run *run)
{
    bool again = run->again;
    run->again = false;
    if (again && run->state == SLOT_VERIFYING)
        phase_verify(run);
    else if (again && run->state == SLOT_NAMING)
        phase_name(run);
}

/* A helper runs as the run's user, so that it can do to files only what the run itself could. */
static void start_helper(struct run *run, enum run_phase phase, char **argv, uint64_t timeout_ms)
{
    struct err err = {0};
    struct passwd user;
    char name[65], *env[] = {NULL};
    if (find_user(run, name, &user, &err) < 0) {
        run_fail(run, OUTCOME_FAILED, "%s", err.text);
        run_event(run, SLOT_EV_BAD);
        return;
    }
    struct job job = {
        .argv = argv, .env = env, .cwd = "/", .user = name, .timeout_ms = timeout_ms, .grace_ms = run->context->grace_ms};
    start(run, phase, &job);
}

void phase_check(struct run *run)
{
    const struct rec_published *known = &run->assignment.published;
    char id[24], attempt[24], size[24], hex[2 * PUBLISH_HASH + 1], temporary[PUBLISH_PATH];
    bool knows = HAS(&run->assignment, rec_assignment, published) && known->hash.len == PUBLISH_HASH &&
                 str_eq(known->path, str_of(run->final)) && str_copy(temporary, sizeof(temporary), known->temporary);
    snprintf(id, sizeof(id), "%" PRIu64, run->id);
    snprintf(attempt, sizeof(attempt), "%" PRIu64, run->attempt);
    char *argv[10] = {(char *)run->context->self, (char *)"--publish", (char *)"check", run->final, id, attempt};
    if (knows) {
        snprintf(size, sizeof(size), "%" PRIu64, known->size);
        publish_hex((const unsigned char *)known->hash.ptr, hex);
        argv[6] = temporary;
        argv[7] = size;
        argv[8] = hex;
    }
    start_helper(run, PHASE_CHECK, argv, CHECK_TIMEOUT_MS);
}

void phase_verify(struct run *run)
{
    char *argv[] = {(char *)run->context->self, (char *)"--publish", (char *)"verify", run->temporary, NULL};
    start_helper(run, PHASE_VERIFY, argv, time_left_ms(run));
}

/* The program that places its output names it, too: with the same arguments, but `name` and the two names in the place of `run`. */
static int naming_keep(struct run *run, const struct plan *plan, struct err *err)
{
    naming_free(run);
    run->naming = calloc(plan->argv.count + 3, sizeof(*run->naming));
    for (size_t i = 0; run->naming && i < plan->argv.count; i++) {
        run->naming[i] = strdup(i == EXECUTOR_STEP ? "name" : plan->argv.items[i]);
        if (!run->naming[i])
            break;
    }
    return run->naming && run->naming[plan->argv.count - 1] ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for a run");
}

static void phase_name_own(struct run *run)
{
    struct err err = {0};
    char user[65], *env[] = {NULL}, **argv = run->naming;
    struct passwd who;
    size_t count = 0;
    while (argv[count])
        count++;
    if (find_user(run, user, &who, &err) < 0 || asprintf(&argv[count], "temporary=%s", run->temporary) < 0 ||
        asprintf(&argv[count + 1], "final=%s", run->final) < 0) {
        run_fail(run, OUTCOME_FAILED, "%s", err.code ? err.text : "no memory to name its output");
        run_event(run, SLOT_EV_BAD);
        return;
    }
    struct job job = {.argv = argv, .env = env, .cwd = "/", .user = user, .grace_ms = run->context->grace_ms, .channel = true};
    start(run, PHASE_NAME, &job);
    free(argv[count]);
    free(argv[count + 1]);
    argv[count] = argv[count + 1] = NULL;
}

void phase_name(struct run *run)
{
    if (run->places_output) {
        phase_name_own(run);
        return;
    }
    char *argv[] = {(char *)run->context->self, (char *)"--publish", (char *)"name", run->temporary, run->final, NULL};
    start_helper(run, PHASE_NAME, argv, 0);
}

static void note_lines(struct run *run, const struct buf *notes)
{
    const char *at = notes->data, *end = at + notes->len;
    while (at && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        int len = (int)((newline ? newline : end) - at);
        run_note(run, LOG_WARN, "%.*s", len, at);
        at += len + 1;
    }
}

/* Where its engine is kept for the task's next frame; NULL: it ends with this one. */
static const char *keeper_find(struct run *run, const char *user, const struct passwd *who)
{
    const struct run_context *context = run->context;
    struct err err = {0};
    if (!context->keepers || settings_count_of(context->settings, SET_RENDER_CHUNK) < 2 || !keepers_can(&run->assignment))
        return NULL;
    run->keeper = keepers_take(context->keepers, &run->assignment, user, who->pw_uid, who->pw_gid, &err);
    if (!run->keeper)
        run_note(run, LOG_INFO, "no engine is kept for this frame: %s", err.text);
    return run->keeper ? run->keeper->folder : NULL;
}

static int program_prepare(struct run *run, struct plan *plan, char folder[PATH_MAX], char user[65], struct err *err)
{
    struct passwd who;
    if (find_user(run, user, &who, err) < 0)
        return -1;
    if (run->context->keepers)
        keepers_yield(run->context->keepers, &run->assignment);
    run->out = capture_new(on_out_line, run);
    run->err = capture_new(on_err_line, run);
    if (!run->out || !run->err)
        return err_set(err, ERR_NO_MEMORY, "no memory for a run");
    run->has_folder = true;
    if (home_make(run->context->home, run->id, run->attempt, who.pw_uid, who.pw_gid, folder, err) < 0)
        return -1;
    if (run->temporary && home_output_begins(run->context->home, run->id, run->attempt, run->temporary, err) < 0)
        return -1;
    struct plan_place place = {.folder = folder,
                               .self = run->context->self,
                               .output = run->temporary,
                               .user = user[0] ? user : NULL,
                               .uid = who.pw_uid,
                               .gid = who.pw_gid,
                               .settings = run->context->settings,
                               .ident = run->context->home->ident,
                               .keeper = keeper_find(run, user, &who)};
    return plan_make(plan, &run->assignment, &place, err);
}

void phase_program(struct run *run)
{
    struct err err = {0};
    struct plan plan = {0};
    char folder[PATH_MAX], cwd[PATH_MAX + 8], user[65];
    const struct rec_task_spec *spec = &run->assignment.spec;
    if (program_prepare(run, &plan, folder, user, &err) < 0) {
        keeper_give_back(run);
        run_not_started(run, &err);
        return;
    }
    note_lines(run, &plan.notes);
    run->ffmpeg = plan.ffmpeg;
    run->own = plan.channel;
    if (plan.ffmpeg)
        progress_arguments(&run->progress, plan.argv.items);
    if (spec->cwd.len)
        str_copy(cwd, sizeof(cwd), spec->cwd);
    else
        snprintf(cwd, sizeof(cwd), "%s/work", folder);
    struct job job = {.argv = plan.argv.items,
                      .env = plan.env.items,
                      .cwd = cwd,
                      .user = user,
                      .cpu_seconds = spec->limits.cpu_seconds,
                      .memory_mb = spec->limits.memory_mb,
                      .files = spec->limits.files,
                      .timeout_ms = run->assignment.timeout_seconds * 1000,
                      .grace_ms = run->context->grace_ms,
                      .channel = plan.channel};
    if (run->places_output && naming_keep(run, &plan, &err) < 0)
        run_not_started(run, &err);
    else
        start(run, PHASE_PROGRAM, &job);
    if (!run->process)
        keeper_give_back(run);
    plan_clear(&plan);
}
