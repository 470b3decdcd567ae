/* gantry-worker: takes runs from the scheduler and works on them, each as a process tree under gantry-run. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/curve.h"
#include "proto/ident.h"
#include "proto/log.h"
#include "proto/trace.h"
#include "worker/executors/executor.h"
#include "worker/link.h"
#include "worker/setup.h"

#define LEAVE_MS 2000 /* processes have this long after TERM when the time to drain is over */
#define FDS_OF_A_RUN 6
#define FDS_BESIDES 200

struct worker {
    struct settings *settings;
    struct loop *loop;
    struct setup setup;
    struct home home;
    struct processes *processes;
    struct roster roster;
    struct link_config config;
    struct bus_curve curve;
    struct curve_paths curve_paths;
    char endpoint[256];
    struct link *link;
    unsigned signals; /* that asked it to end */
    int exit_code;
};

static void configure(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    struct run_context *context = &worker->roster.context;
    int level = log_level_parse(str_of(settings_text(settings, SET_LOG_LEVEL)));
    log_set_level(level < 0 ? LOG_INFO : (enum log_level)level);
    context->run_as = settings_text(settings, SET_WORKER_RUN_AS);
    context->grace_ms = (uint64_t)settings_count_of(settings, SET_WORKER_GRACE_SECONDS) * 1000;
    context->log_bytes = (size_t)settings_count_of(settings, SET_WORKER_LOG_KB) * 1024;
}

static void on_reload(void *arg)
{
    struct worker *worker = arg;
    struct err err = {0};
    int changed = 0;
    if (settings_reload(worker->settings, &changed, &err) < 0) {
        log_error("GTY-SETTINGS-KEPT", "%s; the old values stay", err.text);
        return;
    }
    configure(worker);
    log_info("GTY-SETTINGS-RELOAD", "changed=%d", changed);
}

static void on_drained(void *arg)
{
    struct worker *worker = arg;
    log_info("GTY-WORKER-LEAVE", "runs=%u the time to drain is over; what runs goes back to the queue", worker->roster.count);
    link_leave(worker->link, LEAVE_MS);
}

/* The first signal: finish what runs. The second: end it now. A third: do not even wait for the farm to hear of it. */
static void on_terminate(void *arg)
{
    struct worker *worker = arg;
    int64_t seconds = settings_count_of(worker->settings, SET_WORKER_DRAIN_SECONDS);
    worker->signals++;
    if (worker->signals > 2) {
        loop_stop(worker->loop);
    } else if (worker->signals == 2) {
        log_info("GTY-WORKER-LEAVE", "runs=%u at once; what runs goes back to the queue", worker->roster.count);
        link_leave(worker->link, 0);
    } else {
        log_info("GTY-WORKER-DRAIN", "runs=%u seconds=%ld finishing what runs", worker->roster.count, (long)seconds);
        link_drain(worker->link);
        if (loop_after(worker->loop, (uint64_t)seconds * 1000, on_drained, worker) < 0)
            on_drained(worker);
    }
}

static void on_over(void *self, const struct err *err)
{
    struct worker *worker = self;
    if (err->code) {
        fprintf(stderr, "gantry-worker: %s\n", err->text);
        worker->exit_code = 1;
    }
    loop_stop(worker->loop);
}

static void raise_descriptors(uint32_t slots)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)slots * FDS_OF_A_RUN + FDS_BESIDES;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        log_warn("GTY-DESCRIPTORS", "have=%llu want=%llu fewer runs will fit", (unsigned long long)limit.rlim_cur,
                 (unsigned long long)wanted);
}

static int open_link(struct worker *worker, struct err *err)
{
    const struct setup *setup = &worker->setup;
    if (settings_endpoint(worker->settings, SET_BUS_WORKERS, "workers", worker->endpoint, sizeof(worker->endpoint), err) < 0 ||
        curve_prepare(worker->settings, worker->endpoint, false, &worker->curve_paths, &worker->curve, err) < 0)
        return -1;
    worker->config = (struct link_config){
        .endpoint = worker->endpoint,
        .curve = &worker->curve,
        .ident = worker->home.ident,
        .hostname = setup->hostname,
        .ip_address = setup->ip_address,
        .task_types = {(struct str *)setup->types, setup->type_count},
        .executors = {(struct str *)setup->executors, setup->executor_count},
        .labels = buf_str(&setup->labels),
    };
    worker->link = link_new(worker->loop, &worker->config, &worker->roster, on_over, worker, err);
    return worker->link ? 0 : -1;
}

static int open_all(struct worker *worker, struct err *err)
{
    char runtime[128];
    const char *data = settings_text(worker->settings, SET_DATA), *name = settings_text(worker->settings, SET_WORKER_NAME);
    if (setup_read(&worker->setup, worker->settings, err) < 0 || ident_runtime_dir(data, runtime, sizeof(runtime), err) < 0 ||
        home_open(&worker->home, worker->loop, data, *name ? name : "worker", err) < 0 ||
        trace_init(worker->loop, runtime, "worker", err) < 0)
        return -1;
    raise_descriptors(worker->setup.slots);
    worker->processes = processes_new(worker->loop, worker->setup.supervisor, err);
    if (!worker->processes)
        return -1;
    struct run_context context = {
        .loop = worker->loop, .processes = worker->processes, .home = &worker->home, .self = worker->setup.self};
    roster_init(&worker->roster, &context, worker->setup.slots);
    configure(worker);
    return open_link(worker, err);
}

static void close_all(struct worker *worker)
{
    link_free(worker->link);
    roster_abandon(&worker->roster);
    processes_free(worker->processes); /* every process is gone before its run's folder is */
    roster_clear(&worker->roster);
    trace_close();
    if (worker->home.loop)
        home_close(&worker->home);
    setup_clear(&worker->setup);
    loop_free(worker->loop);
    settings_free(worker->settings);
}

static int work(int argc, char **argv)
{
    struct worker worker = {0};
    struct err err = {0};
    worker.settings = settings_load(argc, argv, NULL, &err);
    if (!worker.settings)
        goto error;
    log_init("worker", LOG_INFO);
    worker.loop = loop_new();
    if (!worker.loop) {
        err_set(&err, ERR_NO_MEMORY, "no memory or descriptors for the event loop");
        goto error;
    }
    if (open_all(&worker, &err) < 0)
        goto error;
    loop_on_reload(worker.loop, on_reload, &worker);
    loop_on_terminate(worker.loop, on_terminate, &worker);
    log_info("GTY-WORKER-START", "ident=%s slots=%u endpoint=%s", worker.home.ident, worker.setup.slots, worker.endpoint);
    loop_run(worker.loop);
    log_info("GTY-WORKER-STOP", "runs=%u", worker.roster.count);
    close_all(&worker);
    return worker.exit_code;
error:
    fprintf(stderr, "gantry-worker: %s\n", err.text);
    close_all(&worker);
    return 1;
}

int main(int argc, char **argv)
{
    /* What the worker does in processes of its own runs. */
    if (argc == 3 && strcmp(argv[1], "--http") == 0)
        return http_main(argv[2]);
    if (argc > 2 && strcmp(argv[1], "--publish") == 0)
        return publish_main(argc - 2, argv + 2);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("gantry-worker " GANTRY_VERSION);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("gantry-worker: works on runs of a farm. Settings, each as a flag, GANTRY_… variable, or line of the settings "
             "file:\n");
        settings_usage("worker", stdout);
        return 0;
    }
    if (sodium_init() < 0) {
        fprintf(stderr, "gantry-worker: libsodium cannot be started\n");
        return 1;
    }
    return work(argc, argv);
}
