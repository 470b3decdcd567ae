/* gantry-worker: takes runs from the scheduler and works on them, each as a process tree under gantry-run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/daemon.h"
#include "proto/endpoint.h"
#include "proto/log.h"
#include "proto/notify.h"
#include "worker/executors/executor.h"
#include "worker/keepers.h"
#include "worker/link.h"
#include "worker/lookout.h"
#include "worker/render/keep.h"
#include "worker/render/offer.h"
#include "worker/render/render.h"
#include "worker/render/tell.h"
#include "worker/setup.h"
#include "worker/studio.h"
#include "worker/value.h"
#include "worker/video/rules.h"
#include "worker/video/scan.h"
#include "worker/video/transcode.h"
#include "worker/video/watch.h"

#define LEAVE_MS 1500 /* processes have this long after TERM when the time to drain is over */
#define FDS_OF_A_RUN 6
#define FDS_OF_A_KEEPER 5
#define FDS_BESIDES 200

struct worker {
    struct daemon daemon;
    struct setup setup;
    struct home home;
    struct studio studio;
    struct offer offer;
    struct lookout lookout;
    struct processes *processes;
    struct keepers keepers;
    struct roster roster;
    struct link_config config;
    struct endpoint endpoint;
    struct link *link;
    unsigned signals; /* that asked it to end */
    int exit_code;
};

/* As its runs will read them: what makes no sense is told at the start. */
static int rules_check(const struct settings *settings, struct err *err)
{
    struct rules *rules = malloc(sizeof(*rules));
    int rc =
        rules ? rules_read(settings_text(settings, SET_TRANSCODE_RULES), rules, err) : err_set(err, ERR_NO_MEMORY, "no memory");
    free(rules);
    return rc;
}

static void configure(void *self)
{
    struct worker *worker = self;
    struct err err = {0};
    if (rules_check(worker->daemon.settings, &err) < 0)
        log_error("GTY-WORKER-RULES", "%s; scans fail until that is mended", err.text);
    const struct settings *settings = worker->daemon.settings;
    struct run_context *context = &worker->roster.context;
    context->settings = settings;
    context->run_as = settings_text(settings, SET_WORKER_RUN_AS);
    context->grace_ms = (uint64_t)settings_count_of(settings, SET_WORKER_GRACE_SECONDS) * 1000;
    context->log_bytes = (size_t)settings_count_of(settings, SET_WORKER_LOG_KB) * 1024;
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
    int64_t seconds = settings_count_of(worker->daemon.settings, SET_WORKER_DRAIN_SECONDS);
    worker->signals++;
    if (worker->signals > 2) {
        loop_stop(worker->daemon.loop);
    } else if (worker->signals == 2) {
        log_info("GTY-WORKER-LEAVE", "runs=%u at once; what runs goes back to the queue", worker->roster.count);
        link_leave(worker->link, 0);
    } else {
        log_info("GTY-WORKER-DRAIN", "runs=%u seconds=%ld finishing what runs", worker->roster.count, (long)seconds);
        link_drain(worker->link);
        if (loop_after(worker->daemon.loop, (uint64_t)seconds * 1000, on_drained, worker) < 0)
            on_drained(worker);
    }
}

static void on_over(void *self, const struct err *err)
{
    struct worker *worker = self;
    if (err->code) {
        worker->exit_code = daemon_fail(&worker->daemon, err);
    }
    loop_stop(worker->daemon.loop);
}

static void on_welcomed(void *self, struct str name)
{
    char status[128];
    (void)self;
    snprintf(status, sizeof(status), "working as %.*s", (int)(name.len < 80 ? name.len : 80), name.ptr);
    notify_ready(status);
}

/* Those that settings give, and what it offers to farms. */
static int labels_make(struct worker *worker, struct err *err)
{
    struct str items[2 * (SETUP_LABELS_MAX + STUDIO_LABELS + OFFER_LABELS)];
    int count = setup_label_items(settings_text(worker->daemon.settings, SET_WORKER_LABELS), items, err);
    if (count < 0)
        return -1;
    count += studio_labels(&worker->studio, items + (ptrdiff_t)2 * count);
    count += offer_labels(&worker->offer, items + (ptrdiff_t)2 * count);
    buf_reset(&worker->setup.labels);
    return value_pack_texts(&worker->setup.labels, items, (uint32_t)count) < 0 ? err_set(err, ERR_NO_MEMORY, "no memory") : 0;
}

/* What it offers to the transcode farm is another: it says HELLO anew, which changes nothing else of its session. */
static void on_studio(void *self)
{
    struct worker *worker = self;
    struct err err = {0};
    if (labels_make(worker, &err) < 0) {
        log_warn("GTY-TRANSCODE-HOURS", "it cannot be said what is offered now: %s", err.text);
        return;
    }
    worker->config.labels = buf_str(&worker->setup.labels);
    link_again(worker->link);
}

static const char *on_refusal(void *self, const struct rec_assignment *assignment, uint32_t held)
{
    struct worker *worker = self;
    return studio_refusal(&worker->studio, assignment, held);
}

static void on_finished(void *self, const struct run *run)
{
    struct worker *worker = self;
    if (run->outcome == OUTCOME_COMPLETED)
        studio_count(&worker->studio, &run->assignment);
}

static int open_link(struct worker *worker, struct err *err)
{
    const struct setup *setup = &worker->setup;
    if (endpoint_of(worker->daemon.settings, SET_BUS_WORKERS, "workers", false, &worker->endpoint, err) < 0)
        return -1;
    worker->config = (struct link_config){
        .endpoint = worker->endpoint.text,
        .curve = &worker->endpoint.curve,
        .ident = worker->home.ident,
        .hostname = setup->hostname,
        .ip_address = setup->ip_address,
        .task_types = {(struct str *)setup->types, setup->type_count},
        .executors = {(struct str *)setup->executors, setup->executor_count},
        .labels = buf_str(&setup->labels),
        .welcomed = on_welcomed,
        .finished = on_finished,
    };
    worker->link = link_new(worker->daemon.loop, &worker->config, &worker->roster, on_over, worker, err);
    if (!worker->link)
        return -1;
    link_ship(worker->link, worker->daemon.ship);
    return 0;
}

static int open_all(struct worker *worker, struct err *err)
{
    const struct settings *settings = worker->daemon.settings;
    const char *name = settings_text(settings, SET_WORKER_NAME);
    if (setup_read(&worker->setup, worker->daemon.settings, err) < 0 || rules_check(settings, err) < 0 ||
        home_open(&worker->home, worker->daemon.loop, settings_text(settings, SET_DATA), *name ? name : "worker", err) < 0)
        return -1;
    worker->studio.changed = on_studio;
    worker->studio.self = worker;
    if (studio_open(&worker->studio, worker->daemon.loop, settings, &worker->home, &worker->setup, err) < 0)
        return -1;
    offer_open(&worker->offer, settings, &worker->home, &worker->setup);
    if (labels_make(worker, err) < 0)
        return -1;
    daemon_descriptors((uint64_t)worker->setup.slots * (FDS_OF_A_RUN + FDS_OF_A_KEEPER) + FDS_BESIDES);
    worker->processes = processes_new(worker->daemon.loop, worker->setup.supervisor, err);
    if (!worker->processes ||
        keepers_open(&worker->keepers, worker->processes, &worker->home, worker->setup.self, worker->setup.slots, err) < 0)
        return -1;
    struct run_context context = {.loop = worker->daemon.loop,
                                  .processes = worker->processes,
                                  .home = &worker->home,
                                  .self = worker->setup.self,
                                  .keepers = &worker->keepers,
                                  .refusal = on_refusal,
                                  .refuser = worker};
    roster_init(&worker->roster, &context, worker->setup.slots);
    configure(worker);
    if (open_link(worker, err) < 0)
        return -1;
    return lookout_open(&worker->lookout, worker->daemon.loop, worker->processes, worker->link, &worker->setup, settings, err);
}

static void close_all(struct worker *worker)
{
    studio_close(&worker->studio);
    lookout_close(&worker->lookout);
    link_free(worker->link);
    roster_abandon(&worker->roster);
    keepers_stop(&worker->keepers);
    processes_free(worker->processes); /* every process is gone before its run's folder is */
    roster_clear(&worker->roster);
    keepers_close(&worker->keepers);
    if (worker->home.loop)
        home_close(&worker->home);
    setup_clear(&worker->setup);
    daemon_close(&worker->daemon);
}

int main(int argc, char **argv)
{
    /* What the worker does in processes of its own runs. */
    if (argc == 3 && strcmp(argv[1], "--http") == 0)
        return http_main(argv[2]);
    if (argc > 2 && strcmp(argv[1], "--scan") == 0)
        return scan_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--watch") == 0)
        return watch_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--transcode") == 0)
        return transcode_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--render") == 0)
        return render_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--scene") == 0)
        return scene_run_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--render-keeper") == 0)
        return keeper_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--publish") == 0)
        return publish_main(argc - 2, argv + 2);

    loop_hold_signals();
    struct worker worker = {0};
    struct err err = {0};
    int opened = daemon_open(&worker.daemon, "worker", "works on runs of a farm", argc, argv, &err);
    if (opened == 0 && open_all(&worker, &err) == 0) {
        daemon_on_reload(&worker.daemon, configure, &worker);
        loop_on_terminate(worker.daemon.loop, on_terminate, &worker);
        log_info("GTY-WORKER-START", "ident=%s slots=%u endpoint=%s", worker.home.ident, worker.setup.slots,
                 worker.endpoint.text);
        notify_status("waiting for the scheduler");
        loop_run(worker.daemon.loop);
        log_info("GTY-WORKER-STOP", "runs=%u", worker.roster.count);
        ship_end(worker.daemon.ship);
    } else if (opened != 1) {
        worker.exit_code = daemon_fail(&worker.daemon, &err);
    }
    close_all(&worker);
    return worker.exit_code;
}
