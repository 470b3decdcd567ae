#include "proto/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/clock.h"

struct source {
    void *socket; /* or NULL and a descriptor */
    int fd;
    bool writable;
    loop_fn *fn; /* NULL: removed during this wake-up */
    void *arg;
};

struct timer {
    int id;
    uint64_t due_ms;
    uint64_t interval_ms; /* 0: once */
    loop_fn *fn;          /* NULL: cancelled during this wake-up */
    void *arg;
    bool kept; /* made by loop_timer: it waits to be set again */
};

struct hook {
    loop_fn *fn;
    void *arg;
};

struct loop {
    struct source *sources;
    zmq_pollitem_t *items; /* items[i] polls sources[i] */
    size_t count, size;
    bool changed; /* items must be made anew */

    struct timer *timers;
    size_t timer_count, timer_size;
    int next_timer;

    struct hook settle, reload, signal, terminate;
    int signals;
    sigset_t before; /* the mask as it was */
    bool stop;
};

static void hook_call(const struct hook *hook)
{
    if (hook->fn != NULL) {
        hook->fn(hook->arg);
    }
}

static void loop_signal(void *arg)
{
    struct loop *loop = arg;
    struct signalfd_siginfo info;

    while (read(loop->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            hook_call(&loop->reload);
            continue;
        }
        hook_call(&loop->signal);
        if (loop->terminate.fn != NULL) {
            hook_call(&loop->terminate);
        } else {
            loop->stop = true;
        }
    }
}

static void signals_taken(sigset_t *mask)
{
    sigemptyset(mask);
    sigaddset(mask, SIGTERM);
    sigaddset(mask, SIGINT);
    sigaddset(mask, SIGHUP);
}

void loop_hold_signals(void)
{
    sigset_t mask;

    signals_taken(&mask);
    sigprocmask(SIG_BLOCK, &mask, NULL);
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    sigset_t mask;

    if (loop == NULL) {
        return NULL;
    }
    signals_taken(&mask);
    sigprocmask(SIG_BLOCK, &mask, &loop->before);
    signal(SIGPIPE, SIG_IGN);
    loop->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (loop->signals < 0 || loop_add_fd(loop, loop->signals, false, loop_signal, loop) != 0) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->signals >= 0) {
        close(loop->signals);
    }
    sigprocmask(SIG_SETMASK, &loop->before, NULL);
    free(loop->sources);
    free(loop->items);
    free(loop->timers);
    free(loop);
}

static int source_add(struct loop *loop, struct source source)
{
    if (loop->count == loop->size) {
        size_t size = loop->size ? loop->size * 2 : 16;
        struct source *sources = realloc(loop->sources, size * sizeof *sources);
        if (sources == NULL) {
            return -1;
        }
        loop->sources = sources;
        zmq_pollitem_t *items = realloc(loop->items, size * sizeof *items);
        if (items == NULL) {
            return -1;
        }
        loop->items = items;
        loop->size = size;
    }
    loop->sources[loop->count++] = source;
    loop->changed = true;
    return 0;
}

int loop_add_socket(struct loop *loop, void *zmq_socket, loop_fn *fn, void *arg)
{
    return source_add(loop, (struct source){.socket = zmq_socket, .fd = -1, .fn = fn, .arg = arg});
}

int loop_add_fd(struct loop *loop, int fd, bool writable, loop_fn *fn, void *arg)
{
    return source_add(loop, (struct source){.fd = fd, .writable = writable, .fn = fn, .arg = arg});
}

static void source_remove(struct loop *loop, void *socket, int fd)
{
    for (size_t i = 0; i < loop->count; i++) {
        struct source *source = &loop->sources[i];
        if (source->fn != NULL && source->socket == socket && source->fd == fd) {
            source->fn = NULL;
            loop->changed = true;
        }
    }
}

void loop_remove_socket(struct loop *loop, void *zmq_socket)
{
    source_remove(loop, zmq_socket, -1);
}

void loop_remove_fd(struct loop *loop, int fd)
{
    source_remove(loop, NULL, fd);
}

#define NEVER UINT64_MAX

/* When a delay from now ends; however long it is, it does not wrap. */
static uint64_t due_after(uint64_t delay_ms)
{
    uint64_t now = clock_mono_ms();
    return delay_ms < NEVER - now ? now + delay_ms : NEVER;
}

static int timer_add(struct loop *loop, struct timer timer)
{
    if (loop->timer_count == loop->timer_size) {
        size_t size = loop->timer_size ? loop->timer_size * 2 : 16;
        struct timer *timers = realloc(loop->timers, size * sizeof *timers);
        if (timers == NULL) {
            return -1;
        }
        loop->timers = timers;
        loop->timer_size = size;
    }
    loop->next_timer = loop->next_timer == INT32_MAX ? 1 : loop->next_timer + 1;
    timer.id = loop->next_timer;
    loop->timers[loop->timer_count++] = timer;
    return loop->next_timer;
}

int loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *fn, void *arg)
{
    uint64_t interval = interval_ms ? interval_ms : 1;
    return timer_add(loop, (struct timer){.due_ms = due_after(interval), .interval_ms = interval, .fn = fn, .arg = arg});
}

int loop_after(struct loop *loop, uint64_t delay_ms, loop_fn *fn, void *arg)
{
    return timer_add(loop, (struct timer){.due_ms = due_after(delay_ms), .fn = fn, .arg = arg});
}

int loop_timer(struct loop *loop, loop_fn *fn, void *arg)
{
    return timer_add(loop, (struct timer){.due_ms = NEVER, .fn = fn, .arg = arg, .kept = true});
}

static void timer_set(struct loop *loop, int timer, uint64_t due_ms, uint64_t interval_ms)
{
    for (size_t i = 0; i < loop->timer_count; i++) {
        if (loop->timers[i].id == timer) {
            loop->timers[i].due_ms = due_ms;
            loop->timers[i].interval_ms = interval_ms;
        }
    }
}

void loop_set(struct loop *loop, int timer, uint64_t delay_ms, uint64_t interval_ms)
{
    timer_set(loop, timer, due_after(delay_ms), interval_ms);
}

void loop_unset(struct loop *loop, int timer)
{
    timer_set(loop, timer, NEVER, 0);
}

void loop_cancel(struct loop *loop, int timer)
{
    for (size_t i = 0; i < loop->timer_count; i++) {
        if (loop->timers[i].id == timer) {
            loop->timers[i].fn = NULL;
        }
    }
}

void loop_on_settle(struct loop *loop, loop_fn *fn, void *arg)
{
    loop->settle = (struct hook){fn, arg};
}

void loop_on_reload(struct loop *loop, loop_fn *fn, void *arg)
{
    loop->reload = (struct hook){fn, arg};
}

void loop_on_signal(struct loop *loop, loop_fn *fn, void *arg)
{
    loop->signal = (struct hook){fn, arg};
}

void loop_on_terminate(struct loop *loop, loop_fn *fn, void *arg)
{
    loop->terminate = (struct hook){fn, arg};
}

/* Drops what was removed and makes the poll set match the sources again. */
static void sources_tidy(struct loop *loop)
{
    size_t kept = 0;

    if (!loop->changed) {
        return;
    }
    for (size_t i = 0; i < loop->count; i++) {
        if (loop->sources[i].fn != NULL) {
            loop->sources[kept++] = loop->sources[i];
        }
    }
    loop->count = kept;
    for (size_t i = 0; i < kept; i++) {
        const struct source *source = &loop->sources[i];
        short events = (short)(source->writable ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
        loop->items[i] = (zmq_pollitem_t){source->socket, source->fd, events, 0};
    }
    loop->changed = false;
}

static void timers_tidy(struct loop *loop)
{
    size_t kept = 0;

    for (size_t i = 0; i < loop->timer_count; i++) {
        if (loop->timers[i].fn != NULL) {
            loop->timers[kept++] = loop->timers[i];
        }
    }
    loop->timer_count = kept;
}

static long next_wait(const struct loop *loop)
{
    uint64_t now = clock_mono_ms();
    uint64_t wait = 60000;

    for (size_t i = 0; i < loop->timer_count; i++) {
        uint64_t due = loop->timers[i].due_ms;
        uint64_t left = due > now ? due - now : 0;
        wait = left < wait ? left : wait;
    }
    return (long)wait;
}

static void run_sources(struct loop *loop)
{
    /* A callback may add sources behind the end of items: only those that were polled are looked at. */
    size_t polled = loop->count;

    for (size_t i = 0; i < polled; i++) {
        if (loop->items[i].revents != 0 && loop->sources[i].fn != NULL) {
            loop->sources[i].fn(loop->sources[i].arg);
        }
    }
}

static void run_timers(struct loop *loop)
{
    uint64_t now = clock_mono_ms();
    size_t present = loop->timer_count; /* those a callback adds wait for the next wake-up */

    for (size_t i = 0; i < present; i++) {
        struct timer timer = loop->timers[i];
        if (timer.fn == NULL || timer.due_ms > now) {
            continue;
        }
        if (timer.interval_ms == 0 && timer.kept) {
            loop->timers[i].due_ms = NEVER;
        } else if (timer.interval_ms == 0) {
            loop->timers[i].fn = NULL;
        } else {
            loop->timers[i].due_ms = now + timer.interval_ms;
        }
        timer.fn(timer.arg);
    }
}

int loop_run(struct loop *loop)
{
    while (!loop->stop) {
        sources_tidy(loop);
        timers_tidy(loop);
        int ready = zmq_poll(loop->items, (int)loop->count, next_wait(loop));
        if (ready < 0 && errno != EINTR) {
            return -1;
        }
        if (ready > 0) {
            run_sources(loop);
        }
        run_timers(loop);
        hook_call(&loop->settle);
    }
    loop->stop = false;
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}
