#include "gateway/stills.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/messages.h"
#include "proto/subprocess.h"

#define AT_ONCE_MAX 16
#define TICK_MS 100 /* between looks at what has taken too long */
#define PROGRAM "gantry-picture"

const struct stills_limits stills_usual = {
    .at_once = 2, .line = 64, .wait_ms = 10000, .work_ms = 15000, .bytes = (size_t)4 << 20};

struct maker { /* a child */
    struct stills *stills;
    struct still *still; /* NULL: it was forgotten */
    pid_t pid;           /* 0: there is none */
    int process, pipe;
    bool killed;
    uint64_t until_ms;
    struct buf out;
};

struct stills {
    struct loop *loop;
    char program[PATH_MAX];
    struct stills_limits limits;
    struct maker makers[AT_ONCE_MAX];
    struct still *first, *last; /* the line */
    unsigned waiting, making;
    int timer;
    bool ticking;
};

static void line_go(struct stills *stills);

/* ---- telling ---- */

static void tell(struct still *still, enum still_end end)
{
    if (still->fd >= 0)
        close(still->fd);
    still->fd = -1;
    still->end = end;
    still->done(still);
}

/* While there is anything that may take too long. */
static void clock_set(struct stills *stills)
{
    bool busy = stills->waiting > 0 || stills->making > 0;
    if (busy && !stills->ticking)
        loop_set(stills->loop, stills->timer, TICK_MS, TICK_MS);
    else if (!busy && stills->ticking)
        loop_unset(stills->loop, stills->timer);
    stills->ticking = busy;
}

/* ---- a child ---- */

static int spawn(const struct stills *stills, const struct still *still, int out, pid_t *pid)
{
    char *const argv[] = {(char *)(uintptr_t)stills->program, (char *)(uintptr_t) "--still",
                          (char *)(uintptr_t)(still->which == STILL_LAST ? "last" : "early"), NULL};
    const struct subprocess wish = {.argv = argv, .in = still->fd, .out = out, .err = SUBPROCESS_NULL};
    return subprocess_start(&wish, pid);
}

static void maker_kill(struct maker *maker)
{
    if (!maker->killed)
        kill(maker->pid, SIGKILL);
    maker->killed = true;
}

static void pipe_close(struct maker *maker)
{
    if (maker->pipe < 0)
        return;
    loop_remove_fd(maker->stills->loop, maker->pipe);
    close(maker->pipe);
    maker->pipe = -1;
}

/* What there is to be read now. */
static void on_pipe(void *arg)
{
    struct maker *maker = arg;
    char bytes[16384];
    while (maker->pipe >= 0) {
        ssize_t got = read(maker->pipe, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0 && !maker->killed && buf_add(&maker->out, bytes, (size_t)got) == 0)
            continue;
        if (got > 0)
            maker_kill(maker); /* it writes without end */
        pipe_close(maker);
    }
}

static bool is_jpeg(const struct buf *out)
{
    return out->len > 3 && memcmp(out->data, "\xff\xd8\xff", 3) == 0;
}

/* What a child's end means. */
static enum still_end judge(struct maker *maker, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (maker->out.starved || code == 127)
        return STILL_FAILED;
    if (code == 0 && !maker->killed && !maker->out.failed && is_jpeg(&maker->out))
        return STILL_MADE;
    if (code != 1 || maker->killed || maker->out.failed)
        buf_reset(&maker->out);
    return STILL_NONE;
}

static void on_process(void *arg)
{
    struct maker *maker = arg;
    struct stills *stills = maker->stills;
    struct still *still = maker->still;
    int status = 0;
    on_pipe(maker);
    pipe_close(maker);
    loop_remove_fd(stills->loop, maker->process);
    close(maker->process);
    while (waitpid(maker->pid, &status, 0) < 0 && errno == EINTR)
        continue; /* it has ended: this does not wait */
    enum still_end end = judge(maker, status);
    if (still)
        still->out = maker->out;
    else
        buf_free(&maker->out);
    *maker = (struct maker){.stills = stills, .process = -1, .pipe = -1};
    stills->making--;
    if (still)
        tell(still, end);
    line_go(stills);
}

/* The child is there, and is followed; else it has been ended. */
static bool follow(struct maker *maker)
{
    struct loop *loop = maker->stills->loop;
    maker->process = pidfd_open(maker->pid, 0);
    bool piped = maker->process >= 0 && loop_add_fd(loop, maker->pipe, false, on_pipe, maker) == 0;
    if (piped && loop_add_fd(loop, maker->process, false, on_process, maker) == 0)
        return true;
    if (piped)
        loop_remove_fd(loop, maker->pipe);
    if (maker->process >= 0)
        close(maker->process);
    kill(maker->pid, SIGKILL);
    while (waitpid(maker->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return false;
}

static bool maker_begin(struct maker *maker, struct still *still)
{
    struct stills *stills = maker->stills;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    int rc = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? errno : spawn(stills, still, ends[1], &maker->pid);
    close(ends[1]);
    maker->pipe = ends[0];
    if (rc == 0 && follow(maker)) {
        maker->still = still;
        maker->killed = false;
        maker->out = (struct buf){.limit = stills->limits.bytes};
        maker->until_ms = clock_mono_ms() + stills->limits.work_ms;
        stills->making++;
        close(still->fd); /* the child has it */
        still->fd = -1;
        return true;
    }
    if (rc)
        log_warn("GTY-STILL-START", "%s: %s", stills->program, strerror(rc));
    close(ends[0]);
    *maker = (struct maker){.stills = stills, .process = -1, .pipe = -1};
    return false;
}

/* ---- the line ---- */

static struct still *line_take(struct stills *stills)
{
    struct still *still = stills->first;
    stills->first = still->next;
    if (!stills->first)
        stills->last = NULL;
    stills->waiting--;
    return still;
}

static struct maker *maker_free(struct stills *stills)
{
    for (unsigned i = 0; i < stills->limits.at_once; i++)
        if (!stills->makers[i].pid)
            return &stills->makers[i];
    return NULL;
}

static void line_go(struct stills *stills)
{
    struct maker *maker;
    while (stills->first && (maker = maker_free(stills)) != NULL) {
        struct still *still = line_take(stills);
        if (!maker_begin(maker, still))
            tell(still, STILL_FAILED);
    }
    clock_set(stills);
}

static void on_tick(void *arg)
{
    struct stills *stills = arg;
    uint64_t now = clock_mono_ms();
    for (unsigned i = 0; i < stills->limits.at_once; i++) {
        struct maker *maker = &stills->makers[i];
        if (maker->pid && now >= maker->until_ms)
            maker_kill(maker);
    }
    while (stills->first && now >= stills->first->until_ms)
        tell(line_take(stills), STILL_LATE);
    clock_set(stills);
}

void stills_make(struct stills *stills, struct still *still)
{
    still->next = NULL;
    still->out = (struct buf){0};
    still->until_ms = clock_mono_ms() + stills->limits.wait_ms;
    if (stills->waiting >= stills->limits.line) {
        tell(still, STILL_LATE);
        return;
    }
    if (stills->last)
        stills->last->next = still;
    else
        stills->first = still;
    stills->last = still;
    stills->waiting++;
    line_go(stills);
}

void stills_forget(struct stills *stills, struct still *still)
{
    struct still *before = NULL;
    for (unsigned i = 0; i < stills->limits.at_once; i++) {
        if (stills->makers[i].still == still) {
            stills->makers[i].still = NULL;
            maker_kill(&stills->makers[i]);
            return;
        }
    }
    for (struct still *at = stills->first; at; before = at, at = at->next) {
        if (at != still)
            continue;
        if (before)
            before->next = at->next;
        else
            stills->first = at->next;
        stills->last = stills->last == at ? before : stills->last;
        stills->waiting--;
        close(still->fd);
        still->fd = -1;
        return;
    }
}

/* ---- life ---- */

/* The program that stands beside this one. */
static bool beside(char out[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (len <= 0)
        return false;
    out[len] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash || (size_t)(slash + 1 - out) + sizeof PROGRAM > PATH_MAX)
        return false;
    memcpy(slash + 1, PROGRAM, sizeof PROGRAM);
    return true;
}

struct stills *stills_new(struct loop *loop, const char *program, const struct stills_limits *limits, struct err *err)
{
    struct stills *stills = calloc(1, sizeof *stills);
    if (!stills || (stills->timer = loop_timer(loop, on_tick, stills)) < 0) {
        free(stills);
        err_set(err, ERR_NO_MEMORY, "no memory for stills");
        return NULL;
    }
    stills->loop = loop;
    stills->limits = *limits;
    if (stills->limits.at_once > AT_ONCE_MAX)
        stills->limits.at_once = AT_ONCE_MAX;
    for (unsigned i = 0; i < AT_ONCE_MAX; i++)
        stills->makers[i] = (struct maker){.stills = stills, .process = -1, .pipe = -1};
    if (program ? str_copy(stills->program, sizeof stills->program, str_of(program)) : beside(stills->program))
        return stills;
    err_set(err, ERR_IO, "it cannot be told where " PROGRAM " is");
    stills_free(stills);
    return NULL;
}

void stills_free(struct stills *stills)
{
    if (!stills)
        return;
    for (unsigned i = 0; i < AT_ONCE_MAX; i++) {
        struct maker *maker = &stills->makers[i];
        if (!maker->pid)
            continue;
        maker_kill(maker);
        pipe_close(maker);
        loop_remove_fd(stills->loop, maker->process);
        close(maker->process);
        while (waitpid(maker->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        buf_free(&maker->out);
    }
    while (stills->first)
        close(line_take(stills)->fd);
    loop_cancel(stills->loop, stills->timer);
    free(stills);
}
