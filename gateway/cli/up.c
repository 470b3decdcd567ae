/* `gantry up`: a farm in one command.
 *
 * Store, scheduler, gateway and workers are started at once: each of them waits for the others by itself. Until the farm has
 * answered for the first time, a process that exits with 1 has found something a person must mend (a port in use, a folder that cannot
 * be written): its line is shown and all end. From then on whatever ends is started again, with a growing pause that is forgotten once a
 * process has lived for a while. A scheduler that exits with 3 was superseded: it stays away while another one answers in its place.
 *
 * Ending goes in stages, so that each process still has what it needs to finish: workers (their runs go back to the queue), gateway,
 * scheduler, store. A stage that is not over at its deadline is killed, which by design loses nothing.
 *
 * Invariants: exactly one line is written to stdout, once; a child runs only between child_start and its end's callback; while
 * stopping, nothing is started. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/cli/address.h"
#include "gateway/cli/args.h"
#include "gateway/cli/child.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/lock.h"
#include "proto/clock.h"
#include "proto/endpoint.h"
#include "proto/ident.h"
#include "proto/messages.h"
#include "proto/notify.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 5000
#define ALIVE_MS 10000 /* a life this long makes the pause short again */
#define CHECK_MS 100   /* how often the farm is asked whether it is ready */
#define PING_MS 1000
#define SUPERSEDED_MS 1000 /* how often the scheduler that took over is asked whether it still answers, */
#define SILENCES 10 /* and how often in a row it does not before it counts as gone: it may be rebuilding, or have stood still */
#define DRAIN_SECONDS 5 /* runs get this long to finish at the end */
#define EXTRA 4

enum stage { STAGE_WORKERS, STAGE_GATEWAY, STAGE_SCHEDULER, STAGE_STORE, STAGE_OVER };

/* When a stage of the end is killed, counted from the beginning of the end: all is over within 10 s. */
static const uint64_t stage_deadline_ms[] = {7000, 8000, 8800, 9500};

struct up;

struct member {
    struct up *up;
    enum stage stage;
    char label[16];
    char path[PATH_MAX];
    char extra[EXTRA][128]; /* flags of its own */
    char **argv;
    struct child *child;
    uint64_t backoff_ms;
    int timer;       /* of the next start; -1 */
    bool noted_down; /* superseded: its pause was told */
    int silences;    /* of the scheduler that took over */
};

struct up {
    struct loop *loop;
    const struct cli *cli;
    struct lock *lock;
    struct member *members;
    size_t count;
    int workers; /* the one that records among them */
    bool records;
    bool ready;
    bool stopping;
    enum stage stage;
    uint64_t stop_began_ms;
    int check_timer, stage_timer;
    int exit_code;
    char port_file[320];          /* where a gateway with a free port writes it down */
    char cause[600];              /* why it could not start: said last, behind what the others say as they end */
    struct bus_client *scheduler; /* asks whoever answers as the scheduler; made when first needed */
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    child_line("up", text, strlen(text));
}

static void note_children(struct up *up)
{
    pid_t *pids = calloc(up->count, sizeof *pids);

    if (pids == NULL) {
        return;
    }
    for (size_t i = 0; i < up->count; i++) {
        pids[i] = child_pid(up->members[i].child);
    }
    lock_note(up->lock, pids, up->count);
    free(pids);
}

/* ---- the end ---- */

static bool stage_is_over(const struct up *up)
{
    for (size_t i = 0; i < up->count; i++) {
        if (up->members[i].stage == up->stage && child_runs(up->members[i].child)) {
            return false;
        }
    }
    return true;
}

static void stage_signal(struct up *up, int signal)
{
    for (size_t i = 0; i < up->count; i++) {
        if (up->members[i].stage == up->stage) {
            child_signal(up->members[i].child, signal);
        }
    }
}

static void stage_late(void *arg)
{
    struct up *up = arg;

    up->stage_timer = -1;
    say("the %s does not end in time: killed", up->stage == STAGE_WORKERS ? "worker" : up->members[up->stage - 1].label);
    stage_signal(up, SIGKILL);
}

/* Goes on to the first stage that still has somebody running. */
static void stage_next(struct up *up)
{
    while (up->stage < STAGE_OVER && stage_is_over(up)) {
        loop_cancel(up->loop, up->stage_timer);
        up->stage_timer = -1;
        up->stage = (enum stage)(up->stage + 1);
        if (up->stage < STAGE_OVER) {
            stage_signal(up, SIGTERM);
        }
    }
    if (up->stage == STAGE_OVER) {
        loop_stop(up->loop);
        return;
    }
    if (up->stage_timer < 0) {
        uint64_t passed = clock_mono_ms() - up->stop_began_ms;
        uint64_t deadline = stage_deadline_ms[up->stage];
        up->stage_timer = loop_after(up->loop, deadline > passed ? deadline - passed : 0, stage_late, up);
    }
}

static void up_stop(struct up *up, int exit_code)
{
    if (up->stopping) {
        return;
    }
    up->stopping = true;
    up->exit_code = exit_code;
    up->stop_began_ms = clock_mono_ms();
    loop_cancel(up->loop, up->check_timer);
    for (size_t i = 0; i < up->count; i++) {
        loop_cancel(up->loop, up->members[i].timer);
    }
    up->stage = STAGE_WORKERS;
    stage_signal(up, SIGTERM);
    stage_next(up);
}

static void up_terminate(void *arg)
{
    struct up *up = arg;

    if (up->stopping) { /* asked twice: at once */
        loop_stop(up->loop);
        return;
    }
    up_stop(up, EXIT_FINE);
}

static void up_reload(void *arg)
{
    struct up *up = arg;

    for (size_t i = 0; i < up->count; i++) {
        child_signal(up->members[i].child, SIGHUP);
    }
}

/* ---- starting and starting again ---- */

static void member_start(void *arg)
{
    struct member *member = arg;
    struct up *up = member->up;
    struct err err = {0};

    member->timer = -1;
    if (child_start(member->child, &err) != 0) {
        say("%s", err.text);
        member->timer = loop_after(up->loop, BACKOFF_MOST_MS, member_start, member);
        return;
    }
    member->noted_down = false;
    member->silences = 0;
    note_children(up);
}

static void member_start_later(struct member *member, const struct child_end *end)
{
    char how[64];

    if (end->lived_ms >= ALIVE_MS) {
        member->backoff_ms = 0;
    }
    uint64_t twice = member->backoff_ms * 2;
    member->backoff_ms = twice == 0 ? BACKOFF_FIRST_MS : twice > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : twice;
    if (end->signal != 0) {
        snprintf(how, sizeof how, "was ended by signal %d (%s)", end->signal, strsignal(end->signal));
    } else {
        snprintf(how, sizeof how, "ended with code %d", end->exit_code);
    }
    say("%s %s: starting it again in %lu ms", member->label, how, (unsigned long)member->backoff_ms);
    member->timer = loop_after(member->up->loop, member->backoff_ms, member_start, member);
}

/* Asks the scheduler's endpoint who is there. -1 with err. */
static int scheduler_ping(struct up *up, bus_reply *reply, void *arg, struct err *err)
{
    struct msg_ping ping = {0};
    struct endpoint at;

    if (up->scheduler == NULL) {
        if (endpoint_of(up->cli->settings, SET_BUS_SCHEDULER, "scheduler", false, &at, err) != 0) {
            return -1;
        }
        up->scheduler = bus_client_new(up->loop, at.text, &at.curve, &(struct bus_client_events){0}, up, err);
    }
    if (up->scheduler == NULL) {
        return -1;
    }
    bus_ask(up->scheduler, &shape_msg_ping, &ping, (struct str){0}, PING_MS, reply, arg);
    return 0;
}

static void rival_ask(void *arg);

static void rival_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct member *member = arg;
    struct up *up = member->up;

    (void)err;
    if (up->stopping) {
        return;
    }
    if (msg == NULL || msg->shape->id != MSG_PONG) {
        if (++member->silences < SILENCES) {
            rival_ask(member);
            return;
        }
        say("no other scheduler answers any more: starting one");
        member_start(member);
        return;
    }
    if (!member->noted_down) {
        say("another scheduler (pid %lu) has taken over: not starting one while it answers", (unsigned long)msg->u.pong.pid);
        member->noted_down = true;
    }
    member->silences = 0;
    member->timer = loop_after(up->loop, SUPERSEDED_MS, rival_ask, member);
}

static void rival_ask(void *arg)
{
    struct member *member = arg;
    struct err err = {0};

    member->timer = -1;
    if (scheduler_ping(member->up, rival_answer, member, &err) != 0) {
        say("cannot ask for another scheduler: %s", err.text);
        member->timer = loop_after(member->up->loop, BACKOFF_MOST_MS, member_start, member);
    }
}

static void member_ended(void *self, struct child *child, const struct child_end *end)
{
    struct member *member = self;
    struct up *up = member->up;

    (void)child;
    note_children(up);
    if (up->stopping) {
        stage_next(up);
    } else if (!up->ready && end->exit_code == 1) {
        const char *words = end->last_words[0] != '\0' ? end->last_words : "it could not start";
        const char *own = strncmp(words, "gantry-", 7) == 0 ? strstr(words, ": ") : NULL; /* its name is said already */
        snprintf(up->cause, sizeof up->cause, "%s: %s", member->label, own != NULL ? own + 2 : words);
        up_stop(up, EXIT_TROUBLE);
    } else {
        if (end->last_words[0] != '\0') {
            child_line(member->label, end->last_words, strlen(end->last_words));
        }
        if (member->stage == STAGE_SCHEDULER && end->exit_code == 3) {
            rival_ask(member);
        } else {
            member_start_later(member, end);
        }
    }
}

/* ---- ready ---- */

/* The one question that needs no key: the farm may ask callers for one that nobody here has. Nor does its certificate matter: what is asked
 * is whether it answers, and one that has run out is the gateway's to tell of (tls.c). */
static bool farm_answers(const struct up *up, char *url, size_t size)
{
    bool answers = false;

    if (!address_of_own(up->cli->settings, url, size)) {
        return false;
    }
    struct client *client = client_new(url, NULL, NULL);
    if (client != NULL) {
        client_trust_any(client);
        client_set_timeout(client, 1500);
        answers = client_probe(client, "/healthz") == 0;
    }
    client_free(client);
    return answers;
}

static void check_ready(void *arg);

static void check_again(struct up *up)
{
    up->check_timer = loop_after(up->loop, CHECK_MS, check_ready, up);
}

static long long count_of(const struct msg_pong *pong, const char *name)
{
    for (uint32_t i = 0; i < pong->counts.count; i++) {
        if (str_is(pong->counts.items[i].name, name)) {
            return (long long)pong->counts.items[i].value;
        }
    }
    return 0;
}

/* Last of all the gateway: what it measures for this answer it shows to others for a second, so the workers have to be there before. */
static void crew_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct up *up = arg;
    char url[512];

    (void)err;
    if (up->stopping) {
        return;
    }
    if (msg == NULL || msg->shape->id != MSG_PONG || !msg->u.pong.ready ||
        count_of(&msg->u.pong, "workers_active") < up->workers || !farm_answers(up, url, sizeof url)) {
        check_again(up);
        return;
    }
    up->ready = true;
    for (size_t i = 0; i < up->count; i++) {
        child_settled(up->members[i].child);
    }
    printf("ready %s\n", url);
    fflush(stdout);
    notify_ready(url);
}

/* The gateway writes its port down once it listens, and knows the way to the scheduler by then. */
static void check_ready(void *arg)
{
    struct up *up = arg;
    struct err err = {0};

    up->check_timer = -1;
    if (access(up->port_file, F_OK) != 0 || scheduler_ping(up, crew_answer, up, &err) != 0) {
        check_again(up);
    }
}

/* ---- putting it together ---- */

static int member_init(struct up *up, struct member *member, enum stage stage, const char *program, const char *label,
                       struct err *err)
{
    int settings_len;
    char *const *flags = args_settings(up->cli->args, &settings_len);
    int count = 0;

    member->up = up;
    member->stage = stage;
    member->timer = -1;
    snprintf(member->label, sizeof member->label, "%s", label);
    if (child_sibling(program, member->path, sizeof member->path, err) != 0) {
        return -1;
    }
    member->argv = calloc((size_t)settings_len + EXTRA + 2, sizeof *member->argv);
    if (member->argv == NULL) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    member->argv[count++] = member->path;
    for (int i = 0; i < settings_len; i++) {
        member->argv[count++] = flags[i];
    }
    for (size_t i = 0; i < EXTRA; i++) {
        if (member->extra[i][0] != '\0') {
            member->argv[count++] = member->extra[i];
        }
    }
    member->child = child_new(up->loop, member->label, member->path, member->argv, member_ended, member);
    return member->child != NULL ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static bool is_default(const struct settings *settings, enum setting_id id)
{
    return strcmp(settings_source(settings, id), "default") == 0;
}

/* Recordings wait for their cameras, not for a processor: where nobody says how many runs a worker has at once, they get a worker of their own
 * with a slot for each stream there may be. */
static bool wants_recorder(const struct settings *settings)
{
    return settings_text(settings, SET_OUTPUT)[0] != '\0' && settings_count_of(settings, SET_UP_WORKERS) > 0 &&
           is_default(settings, SET_WORKER_SLOTS) && is_default(settings, SET_WORKER_TYPES);
}

static int worker_init(struct up *up, int index, struct err *err)
{
    struct member *member = &up->members[STAGE_OVER - 1 + index];
    const char *name = settings_text(up->cli->settings, SET_WORKER_NAME);
    int64_t drain = settings_count_of(up->cli->settings, SET_WORKER_DRAIN_SECONDS);
    bool recorder = up->records && index == up->workers - 1;
    char label[16];

    name = name[0] != '\0' ? name : "worker";
    snprintf(label, sizeof label, up->workers - up->records > 1 ? "worker-%d" : "worker", index + 1);
    if (recorder) {
        snprintf(label, sizeof label, "recorder");
        snprintf(member->extra[0], sizeof member->extra[0], "--worker-name=%s-recorder", name);
        snprintf(member->extra[2], sizeof member->extra[2], "--worker-types=record");
        snprintf(member->extra[3], sizeof member->extra[3], "--worker-slots=%d", RECORDER_STREAMS);
    } else if (index > 0) {
        snprintf(member->extra[0], sizeof member->extra[0], "--worker-name=%s-%d", name, index + 1);
    }
    snprintf(member->extra[1], sizeof member->extra[1], "--worker-drain-seconds=%d",
             drain < DRAIN_SECONDS ? (int)drain : DRAIN_SECONDS);
    return member_init(up, member, STAGE_WORKERS, "gantry-worker", label, err);
}

static int up_init(struct up *up, const struct cli *cli, struct err *err)
{
    char folder[256];
    const char *data = settings_text(cli->settings, SET_DATA);

    up->cli = cli;
    up->check_timer = up->stage_timer = -1;
    up->records = wants_recorder(cli->settings);
    up->workers = (int)settings_count_of(cli->settings, SET_UP_WORKERS) + up->records;
    if ((up->lock = lock_take(data, err)) == NULL || ident_runtime_dir(data, folder, sizeof folder, err) != 0) {
        return -1;
    }
    snprintf(up->port_file, sizeof up->port_file, "%s/gateway.port", folder);
    unlink(up->port_file); /* of an earlier life */
    up->loop = loop_new();
    up->members = calloc((size_t)up->workers + 3, sizeof *up->members);
    if (up->loop == NULL || up->members == NULL || notify_from_loop(up->loop, up_reload, up) != 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    up->count = (size_t)up->workers + 3;
    /* stage_late names the member of a stage by its place here */
    if (member_init(up, &up->members[0], STAGE_GATEWAY, "gantry-gateway", "gateway", err) != 0 ||
        member_init(up, &up->members[1], STAGE_SCHEDULER, "gantry-scheduler", "scheduler", err) != 0 ||
        member_init(up, &up->members[2], STAGE_STORE, "gantry-store", "store", err) != 0) {
        return -1;
    }
    for (int i = 0; i < up->workers; i++) {
        if (worker_init(up, i, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Removes a socket that nobody listens at any more: libzmq leaves its own behind, and another process may have taken the place since. */
static void socket_remove(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && len > 0 && (size_t)len < sizeof address.sun_path &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED) {
        unlink(address.sun_path);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Removes the runtime folder, unless somebody still has a socket in it. */
static void folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_SOCK) {
            socket_remove(folder, entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(folder);
}

static void up_close(struct up *up)
{
    bus_client_free(up->scheduler);
    for (size_t i = 0; i < up->count; i++) {
        child_free(up->members[i].child);
        free(up->members[i].argv);
    }
    free(up->members);
    if (up->port_file[0] != '\0') {
        unlink(up->port_file);
        *strrchr(up->port_file, '/') = '\0';
        folder_remove(up->port_file);
    }
    loop_free(up->loop);
    lock_free(up->lock);
}

int up_command(struct cli *cli)
{
    struct up up = {0};
    struct err err = {0};

    notify_open(); /* before there are children, who are not to speak for it */
    if (up_init(&up, cli, &err) != 0) {
        fprintf(stderr, "gantry up: %s\n", err.text);
        up_close(&up);
        return EXIT_TROUBLE;
    }
    loop_on_terminate(up.loop, up_terminate, &up);
    for (size_t i = up.count; i > 0; i--) {
        member_start(&up.members[i - 1]);
    }
    up.check_timer = loop_after(up.loop, CHECK_MS, check_ready, &up);
    if (loop_run(up.loop) != 0) {
        fprintf(stderr, "gantry up: the loop failed: %s\n", strerror(errno));
        up.exit_code = EXIT_TROUBLE;
    }
    up_close(&up);
    notify_close();
    if (up.cause[0] != '\0') {
        fprintf(stderr, "gantry up: %s\n", up.cause);
    }
    return up.exit_code;
}
