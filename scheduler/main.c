/* gantry-scheduler: decides what runs where, and when. */
#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>

#include "proto/ident.h"
#include "proto/log.h"
#include "proto/trace.h"
#include "scheduler/host.h"

struct process {
    struct settings *settings;
    struct loop *loop;
    struct host *host;
};

static void level_set(const struct settings *settings)
{
    int level = log_level_parse(str_of(settings_text(settings, SET_LOG_LEVEL)));
    log_set_level(level < 0 ? LOG_INFO : (enum log_level)level);
}

static void on_reload(void *arg)
{
    struct process *process = arg;
    struct err err = {0};
    int changed = 0;

    if (settings_reload(process->settings, &changed, &err) != 0) {
        log_error("GTY-SETTINGS-KEPT", "%s; the old values stay", err.text);
        return;
    }
    level_set(process->settings);
    host_reload(process->host);
    log_info("GTY-SETTINGS-RELOAD", "changed=%d", changed);
}

static void on_terminate(void *arg)
{
    struct process *process = arg;

    log_info("GTY-TERMINATE", "writing what is decided");
    host_end(process->host);
}

/* Every worker and client is a descriptor. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int process_open(struct process *process, struct err *err)
{
    char runtime[128];

    process->loop = loop_new();
    if (process->loop == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory or descriptors for the loop");
    }
    if (ident_runtime_dir(settings_text(process->settings, SET_DATA), runtime, sizeof runtime, err) != 0 ||
        trace_init(process->loop, runtime, "scheduler", err) != 0) {
        return -1;
    }
    process->host = host_new(process->loop, process->settings, err);
    if (process->host == NULL) {
        return -1;
    }
    loop_on_reload(process->loop, on_reload, process);
    loop_on_terminate(process->loop, on_terminate, process);
    return 0;
}

int main(int argc, char **argv)
{
    struct process process = {0};
    struct err err = {0};
    int code = 1;

    log_init("scheduler", LOG_INFO);
    if (sodium_init() < 0) {
        err_set(&err, ERR_INTERNAL, "libsodium does not start");
    } else {
        process.settings = settings_load(argc, argv, NULL, &err);
    }
    if (process.settings != NULL) {
        descriptors_raise();
        level_set(process.settings);
        if (process_open(&process, &err) == 0) {
            log_info("GTY-SCHEDULER-START", "version=%s waiting for the store", GANTRY_VERSION);
            loop_run(process.loop);
            code = host_code(process.host, &err);
            log_info("GTY-STOP", "code=%d", code);
        }
    }
    if (err.code != 0) {
        fprintf(stderr, "gantry-scheduler: %s\n", err.text);
    }
    host_free(process.host);
    trace_close();
    loop_free(process.loop);
    settings_free(process.settings);
    return code;
}
