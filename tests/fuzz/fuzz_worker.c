/* A worker whose scheduler says anything: the real session, roster and runs; their processes are made up, and end as the input says.
 * What must hold: what the worker says keeps to the table, and everything is given back in the end. */
#include <stdlib.h>
#include <unistd.h>

#include "proto/log.h"
#include "tests/fuzz/farside.h"
#include "tests/fuzz/steps.h"
#include "worker/link.h"
#include "worker/sweep.h"

#define PROCESSES 64

enum step_op {
    STEP_MESSAGE,
    STEP_WELCOME,
    STEP_ASSIGN, /* with an attempt and a run that are few */
    STEP_OUTPUT, /* a process writes the bytes */
    STEP_END,    /* a process ends */
    STEP_LINK,
    STEP_TIME,
    STEP_LEAVE,
    STEP_ANSWER,
    STEP_OPS,
};

static const uint16_t message_ids[] = {MSG_ASSIGN,
                                       MSG_ASSIGN,
                                       MSG_CANCEL,
                                       MSG_REFUSED,
                                       MSG_RESULT_ACK,
                                       MSG_LOG_ACK,
                                       MSG_PUBLISH_GRANT,
                                       MSG_HEARTBEAT_ACK,
                                       MSG_WELCOME,
                                       MSG_ERROR,
                                       MSG_PONG,
                                       MSG_HELLO,
                                       0};
static const uint16_t welcome_ids[] = {MSG_WELCOME, 0};
static const uint16_t assign_ids[] = {MSG_ASSIGN, 0};

static const uint16_t *frames(unsigned op)
{
    return op == STEP_MESSAGE ? message_ids : op == STEP_WELCOME ? welcome_ids : op == STEP_ASSIGN ? assign_ids : NULL;
}

const struct steps_plan steps_plan = {STEP_OPS, frames};

static struct loop *loop;
static struct home home;
static struct roster roster;
static struct link *session;

/* ---- in the place of worker/process.c ---- */

struct process {
    bool used, forgotten, told;
    const struct process_events *events;
    void *self;
};

static struct process all[PROCESSES];

struct process *__wrap_process_start(struct processes *pool, const struct job *job, const struct process_events *events,
                                     void *self, struct err *err);
void __wrap_process_term(struct process *process);
void __wrap_process_kill(struct process *process);
void __wrap_process_forget(struct process *process);

struct process *__wrap_process_start(struct processes *pool, const struct job *job, const struct process_events *events,
                                     void *self, struct err *err)
{
    size_t len;
    char *packed = job_pack(job, &len);
    (void)pool;
    free(packed);
    for (int i = 0; i < PROCESSES && packed; i++) {
        if (!all[i].used) {
            all[i] = (struct process){.used = true, .events = events, .self = self};
            return &all[i];
        }
    }
    err_set(err, ERR_LIMIT, "no process");
    return NULL;
}

void __wrap_process_term(struct process *process)
{
    farside_check(process->used);
}

void __wrap_process_kill(struct process *process)
{
    farside_check(process->used);
}

void __wrap_process_forget(struct process *process)
{
    if (process)
        *process = (struct process){.used = false};
}

static struct process *process_of(unsigned which)
{
    unsigned live = 0;
    for (int i = 0; i < PROCESSES; i++)
        live += all[i].used;
    which = live ? which % live : 0;
    for (int i = 0; i < PROCESSES; i++) {
        if (all[i].used && which-- == 0)
            return &all[i];
    }
    return NULL;
}

static void process_output(unsigned argument, struct str bytes)
{
    struct process *process = process_of(argument / 4);
    if (!process)
        return;
    if (!process->told && process->events->started)
        process->events->started(process->self, 12345);
    process->told = true;
    if (argument % 4 == 3 && process->events->progress)
        process->events->progress(process->self, bytes.ptr, bytes.len);
    else if (process->events->output)
        process->events->output(process->self, argument % 2 ? STREAM_STDOUT : STREAM_STDERR, bytes.ptr, bytes.len);
}

static void process_end(unsigned argument)
{
    struct process *process = process_of(argument / 8);
    struct process_end end = {.started = argument % 8 != 7, .exit_code = 0};
    if (!process)
        return;
    switch (argument % 8) {
    case 1:
        end.exit_code = 1;
        break;
    case 2:
        end = (struct process_end){.started = true, .exit_code = -1, .signal = 9};
        break;
    case 3:
        end = (struct process_end){.started = true, .timed_out = true, .exit_code = -1, .signal = 15, .left = 2};
        break;
    case 4:
        end = (struct process_end){.started = true, .vanished = true, .exit_code = -1};
        break;
    case 7:
        str_copy(end.failure, sizeof end.failure, STR_LIT("it cannot be started"));
        break;
    default:
        break;
    }
    const struct process copy = *process;
    process->used = false;
    copy.events->ended(copy.self, &end);
}

/* ---- the worker ---- */

static void on_over(void *self, const struct err *err)
{
    (void)self, (void)err;
}

static void on_pass(void *arg)
{
    loop_stop(arg);
}

/* A wake-up of the loop: what is due, then what follows. */
static void pass(void)
{
    loop_after(loop, 0, on_pass, loop);
    loop_run(loop);
}

static char folder[] = "/var/tmp/gantry-fuzz-XXXXXX"; /* or in memory */

static void close_all(void)
{
    struct err err = {0};
    while (sweep_folder(folder, 1000, &err) == 0)
        ;
}

static void open_all(void)
{
    struct err err = {0};
    log_init("fuzz", (enum log_level)(LOG_ERROR + 1));
    loop = loop_new();
    if (access("/dev/shm", W_OK) == 0)
        memcpy(folder, "/dev/shm", 8);
    farside_check(loop && mkdtemp(folder) && home_open(&home, loop, folder, "fuzz", &err) == 0);
    atexit(close_all);
}

static void begin(void)
{
    static struct str types[] = {{"shell", 5}}, executors[] = {{"shell", 5}, {"exec", 4}, {"python", 6}, {"http", 4}};
    static struct link_config config;
    struct err err = {0};
    if (!loop)
        open_all();
    config = (struct link_config){.endpoint = "tcp://127.0.0.1:1",
                                  .ident = home.ident,
                                  .hostname = "h",
                                  .ip_address = "",
                                  .task_types = {types, 1},
                                  .executors = {executors, 4}};
    const struct run_context context = {
        .loop = loop, .home = &home, .self = "/bin/true", .run_as = "", .grace_ms = 1000, .log_bytes = 16384};
    roster_init(&roster, &context, 2);
    session = link_new(loop, &config, &roster, on_over, NULL, &err);
    farside_check(session != NULL);
    farside_up(true);
}

static void end(void)
{
    link_free(session);
    farside_check(!farside_silence());
    roster_abandon(&roster);
    roster_clear(&roster);
    for (int i = 0; i < PROCESSES; i++)
        farside_check(!all[i].used);
    farside_mono_ms += 100000;
    pass(); /* folders go */
}

/* ---- steps ---- */

static void step(const struct step *step)
{
    switch ((enum step_op)step->op) {
    case STEP_MESSAGE:
    case STEP_WELCOME:
    case STEP_ASSIGN:
        farside_message(step->bytes);
        break;
    case STEP_OUTPUT:
        process_output(step->argument, step->bytes);
        break;
    case STEP_END:
        process_end(step->argument);
        break;
    case STEP_LINK:
        farside_up(step->argument & 1);
        break;
    case STEP_TIME:
        farside_mono_ms += step->argument * UINT64_C(100);
        break;
    case STEP_LEAVE:
        if (step->argument % 8 == 1)
            link_drain(session);
        else if (step->argument % 8 == 2)
            link_leave(session, 1000);
        break;
    case STEP_ANSWER:
    case STEP_OPS:
        farside_answer(step->bytes);
        break;
    }
    pass();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[STEPS_MAX];
    unsigned count = steps_read(data, size, steps);

    begin();
    for (unsigned i = 0; i < count; i++)
        step(&steps[i]);
    end();
    return 0;
}
